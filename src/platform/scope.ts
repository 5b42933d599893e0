import type { Permission, Role } from './permissions.js';

/** Who acts: a member in person, an application by its key, an operator of the platform, or the platform itself (jobs). */
export interface Actor {
  readonly kind: 'MEMBER' | 'APPLICATION' | 'OPERATOR' | 'SYSTEM';
  /** The account, application or job id. */
  readonly id: string;
  /** The API key of an application: the ledger looks once more whether it is revoked. */
  readonly keyId?: string;
}

/**
 * On whose behalf something happens. Made once, at the edge or at a job's claim, and frozen; the first argument of
 * every service method. There is no default and no empty one.
 */
export interface Scope {
  readonly tenantId: string;
  readonly actor: Actor;
  readonly permissions: ReadonlySet<Permission>;
  readonly requestId: string;
  /** Aborted when the caller has gone away or the job is cancelled. */
  readonly signal: AbortSignal;
}

/** The tenant id under which the platform's own rows (sign-ins of operators, unknown accounts) are kept: no tenant has it. */
export const PLATFORM = 'platform';

/** A scope is frozen when it is made, so that nothing can widen it on its way. */
export function makeScope(parts: Scope): Scope {
  return Object.freeze({ ...parts, actor: Object.freeze({ ...parts.actor }) });
}

/** A tenant to which a signed-in person belongs. */
export interface OwnMembership {
  readonly tenantId: string;
  readonly tenantName: string;
  readonly role: Role;
}

/** A person with a session, in whichever tenant or none. */
export interface SignedIn {
  readonly accountId: string;
  readonly sessionId: string;
  readonly email: string;
  readonly name: string;
  readonly operator: boolean;
  readonly memberships: readonly OwnMembership[];
}

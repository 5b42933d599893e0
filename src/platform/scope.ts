import type { Permission, Role } from './permissions.js';

/** Who acts: a member in person, an application by its key, an operator of the platform, or the platform itself (jobs). */
export interface Actor {
  readonly kind: 'MEMBER' | 'APPLICATION' | 'OPERATOR' | 'SYSTEM';
  /** The account, application or job id. */
  readonly id: string;
  /** The API key of an application: the ledger looks once more whether it is revoked. */
  readonly keyId?: string;
}

/** A device that has shown, with this request, that it holds its key. */
export interface ProvenDevice {
  readonly id: string;
  /** The agreements that admit it. */
  readonly agreementIds: ReadonlySet<string>;
  /** SHA-256 that names the proof, to whoever asks first: to be recorded as used, because a proof counts once. Null to all others. */
  takeProof(): Buffer | null;
}

/**
 * On whose behalf something happens. Made once, at the edge or at a job's claim, and frozen; the first argument of
 * every service method. There is no default and no empty one.
 */
export interface Scope {
  readonly tenantId: string;
  readonly actor: Actor;
  readonly permissions: ReadonlySet<Permission>;
  /** Null or left out: the request proves no device. */
  readonly device?: ProvenDevice | null;
  readonly requestId: string;
  /** Aborted when the caller has gone away or the job is cancelled. */
  readonly signal: AbortSignal;
}

/** The tenant id under which the platform's own rows (sign-ins of operators, unknown accounts) are kept: no tenant has it. */
export const PLATFORM = 'platform';

export interface ScopeParts extends Omit<Scope, 'signal'> {
  /** Or how to make one, which is done when it is first asked for: most requests are over before. */
  readonly signal: AbortSignal | (() => AbortSignal);
}

class FrozenScope implements Scope {
  readonly tenantId: string;
  readonly actor: Actor;
  readonly permissions: ReadonlySet<Permission>;
  readonly device: ProvenDevice | null;
  readonly requestId: string;
  readonly #signal: ScopeParts['signal'];

  constructor({ tenantId, actor, permissions, device, requestId, signal }: ScopeParts) {
    this.tenantId = tenantId;
    this.actor = Object.isFrozen(actor) ? actor : Object.freeze({ ...actor });
    this.permissions = permissions;
    this.device = device ?? null;
    this.requestId = requestId;
    this.#signal = signal;
    Object.freeze(this);
  }

  get signal(): AbortSignal {
    return typeof this.#signal === 'function' ? this.#signal() : this.#signal;
  }
}

/** A scope is frozen when it is made, so that nothing can widen it on its way. */
export function makeScope(parts: ScopeParts): Scope {
  return new FrozenScope(parts);
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

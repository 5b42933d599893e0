import type { Clock } from '../../platform/clock.js';
import type { Db } from '../../platform/db.js';
import { type Permission, type Role, ROLE_PERMISSIONS } from '../../platform/permissions.js';
import { type Actor, PLATFORM, type SignedIn } from '../../platform/scope.js';
import { findKey, findSession } from './gate.repo.js';
import { hashToken, tokenKind } from './token.js';

/** For which tenant a credential speaks, as whom, and what it may do there. */
export interface Grant {
  readonly tenantId: string;
  readonly actor: Actor;
  readonly permissions: ReadonlySet<Permission>;
}

/** What a valid token gives. */
export interface Credential {
  /** The person; null for an API key. */
  readonly account: SignedIn | null;
  /** Null if no tenant is chosen, or one of which the person is no member. */
  readonly grant: Grant | null;
  readonly expiresAt: Date;
  /** The payload of `concordat_credential` after which this must be looked up again. */
  readonly subject: string;
}

/** Operators see the list of tenants and the platform's own log; they act in no tenant of which they are not members. */
const OPERATOR_PERMISSIONS: ReadonlySet<Permission> = new Set(['platform:manage', 'audit:read']);
const MEMBER_PERMISSIONS = new Map<Role, ReadonlySet<Permission>>(
  Object.entries(ROLE_PERMISSIONS).map(([role, permissions]) => [role as Role, new Set<Permission>(permissions)]),
);

/** Turns tokens into credentials through the gate's role: one indexed read, nothing cached, so that revoking works at once. */
export class CredentialService {
  constructor(
    private readonly db: Pick<Db, 'gate'>,
    private readonly clock: Clock,
  ) {}

  /**
   * Null for a token that is malformed, unknown, expired or revoked. `wantedTenant` is the tenant that the request asks for;
   * without one a session works in the tenant that it switched to, else the only one, else (an operator) in the platform.
   */
  async authenticate(token: string, wantedTenant: string | null = null): Promise<Credential | null> {
    const kind = tokenKind(token);
    if (kind === 'session') return this.bySession(hashToken(token), wantedTenant);
    if (kind === 'apiKey') return this.byKey(hashToken(token), wantedTenant);
    return null;
  }

  private async bySession(tokenHash: Buffer, wantedTenant: string | null): Promise<Credential | null> {
    const found = await findSession(this.db.gate, tokenHash, this.clock.now());
    if (!found) return null;
    const { currentTenantId, expiresAt, ...account } = found;
    return { account, grant: grantOf(account, wantedTenant ?? currentTenantId), expiresAt, subject: account.accountId };
  }

  private async byKey(tokenHash: Buffer, wantedTenant: string | null): Promise<Credential | null> {
    const found = await findKey(this.db.gate, tokenHash, this.clock.now());
    if (!found) return null;
    const { id, tenantId, applicationId, permissions, expiresAt } = found;
    const actor: Actor = { kind: 'APPLICATION', id: applicationId, keyId: id };
    const grant =
      wantedTenant === null || wantedTenant === tenantId
        ? { tenantId, actor, permissions: new Set(permissions) }
        : null;
    return { account: null, grant, expiresAt, subject: id };
  }
}

function grantOf(account: SignedIn, wanted: string | null): Grant | null {
  const { memberships, accountId, operator } = account;
  const only = memberships.length === 1 && !operator ? memberships[0] : undefined;
  const membership = wanted === null ? only : memberships.find((one) => one.tenantId === wanted);
  if (membership) {
    const permissions = MEMBER_PERMISSIONS.get(membership.role)!;
    return { tenantId: membership.tenantId, actor: { kind: 'MEMBER', id: accountId }, permissions };
  }
  if (operator && (wanted === null || wanted === PLATFORM))
    return { tenantId: PLATFORM, actor: { kind: 'OPERATOR', id: accountId }, permissions: OPERATOR_PERMISSIONS };
  return null;
}

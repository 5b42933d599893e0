import type { Clock } from '../../platform/clock.js';
import type { Db } from '../../platform/db.js';
import type { Listener } from '../../platform/listen.js';
import { type Permission, type Role, ROLE_PERMISSIONS } from '../../platform/permissions.js';
import { type Actor, PLATFORM, type SignedIn } from '../../platform/scope.js';
import { findKey, findSession, type KeyFound, type SessionFound } from './gate.repo.js';
import { hashHex, tokenKind } from './token.js';

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

/** An API key that is remembered, and what it gives. */
interface HeldKey {
  readonly tenantId: string;
  readonly expiresAtMs: number;
  readonly credential: Credential;
  /** For a request that names another tenant than the key's. */
  readonly elsewhere: Credential;
}

/** Of either kind. */
const MOST_REMEMBERED = 10_000;

/**
 * Turns tokens into credentials through the gate's role. Keys and sessions are remembered until the database notifies that they, or the
 * memberships of the account, have changed; what is decided on a key in the moment before that is caught by the ledger, which looks at
 * it once more. Out of touch with the database's news, and for what is not remembered, the database is asked.
 */
export class CredentialService {
  /** By the hash of the token. */
  private readonly keys = new Map<string, HeldKey>();
  /** By the hash of the token. */
  private readonly sessions = new Map<string, SessionFound>();
  /** From the subject of what is remembered, which is a key or an account, to the hashes of its tokens. */
  private readonly hashes = new Map<string, Set<string>>();
  private newsCount = 0;

  constructor(
    private readonly db: Pick<Db, 'gate'>,
    private readonly clock: Clock,
    private readonly listener: Listener,
  ) {
    listener.on('concordat_credential', (subject) => this.forget(subject));
  }

  /** What has changed is read anew: a key or an account by its id; null: anything may have. Who changes one says so here at once. */
  forget(subject: string | null): void {
    this.newsCount++;
    if (subject === null) {
      this.keys.clear();
      this.sessions.clear();
      this.hashes.clear();
      return;
    }
    for (const hash of this.hashes.get(subject) ?? []) {
      this.keys.delete(hash);
      this.sessions.delete(hash);
    }
    this.hashes.delete(subject);
  }

  /**
   * Null for a token that is malformed, unknown, expired or revoked. `wantedTenant` is the tenant that the request asks for;
   * without one a session works in the tenant that it switched to, else the only one, else (an operator) in the platform.
   */
  async authenticate(token: string, wantedTenant: string | null = null): Promise<Credential | null> {
    const kind = tokenKind(token);
    if (kind === 'session') return this.bySession(hashHex(token), wantedTenant);
    if (kind === 'apiKey') return this.byKey(hashHex(token), wantedTenant);
    return null;
  }

  /** As `authenticate` for what is remembered; null where the database must be asked. */
  held(token: string, wantedTenant: string | null): Credential | null {
    const kind = tokenKind(token);
    if (kind === 'session') return this.heldSession(hashHex(token), wantedTenant);
    if (kind !== 'apiKey') return null;
    const held = this.heldBy(hashHex(token));
    return held && credentialOf(held, wantedTenant);
  }

  private heldBy(tokenHash: string): HeldKey | null {
    const held = this.listener.isInTouch() ? this.keys.get(tokenHash) : undefined;
    return held && this.clock.now().getTime() < held.expiresAtMs ? held : null;
  }

  private heldSession(tokenHash: string, wantedTenant: string | null): Credential | null {
    const held = this.listener.isInTouch() ? this.sessions.get(tokenHash) : undefined;
    const isGood = held !== undefined && this.clock.now() < held.expiresAt && isClear(held, wantedTenant);
    return isGood ? ofSession(held, wantedTenant) : null;
  }

  private async bySession(tokenHash: string, wantedTenant: string | null): Promise<Credential | null> {
    const held = this.heldSession(tokenHash, wantedTenant);
    if (held) return held;
    const newsBefore = this.newsCount;
    const found = await findSession(this.db.gate, Buffer.from(tokenHash, 'hex'), this.clock.now());
    if (!found) return null;
    // News that came during the reading may have been about this session.
    if (newsBefore === this.newsCount) this.remember(this.sessions, found.accountId, [tokenHash, found]);
    return ofSession(found, wantedTenant);
  }

  private async byKey(tokenHash: string, wantedTenant: string | null): Promise<Credential | null> {
    const held = this.heldBy(tokenHash);
    if (held) return credentialOf(held, wantedTenant);
    const newsBefore = this.newsCount;
    const found = await findKey(this.db.gate, Buffer.from(tokenHash, 'hex'), this.clock.now());
    if (!found) return null;
    const made = heldKey(found);
    if (newsBefore === this.newsCount) this.remember(this.keys, found.id, [tokenHash, made]);
    return credentialOf(made, wantedTenant);
  }

  private remember<T>(known: Map<string, T>, subject: string, [tokenHash, held]: [string, T]): void {
    if (known.size >= MOST_REMEMBERED) this.forget(null);
    known.set(tokenHash, held);
    this.hashes.set(subject, (this.hashes.get(subject) ?? new Set()).add(tokenHash));
  }
}

/**
 * Whether the request says, or the account leaves no doubt, in which tenant it works. Otherwise it is the one that the session switched
 * to, perhaps a moment ago on another replica: no request may end up in another tenant than the person has before their eyes.
 */
function isClear({ memberships, operator }: SessionFound, wantedTenant: string | null): boolean {
  return wantedTenant !== null || (memberships.length <= 1 && !operator);
}

function ofSession({ currentTenantId, expiresAt, ...account }: SessionFound, wantedTenant: string | null): Credential {
  return { account, grant: grantOf(account, wantedTenant ?? currentTenantId), expiresAt, subject: account.accountId };
}

function heldKey({ id, tenantId, applicationId, permissions, expiresAt }: KeyFound): HeldKey {
  const actor: Actor = Object.freeze({ kind: 'APPLICATION', id: applicationId, keyId: id });
  const elsewhere: Credential = { account: null, grant: null, expiresAt, subject: id };
  const credential = { ...elsewhere, grant: { tenantId, actor, permissions: new Set(permissions) } };
  return { tenantId, expiresAtMs: expiresAt.getTime(), credential, elsewhere };
}

function credentialOf({ tenantId, credential, elsewhere }: HeldKey, wantedTenant: string | null): Credential {
  return wantedTenant === null || wantedTenant === tenantId ? credential : elsewhere;
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

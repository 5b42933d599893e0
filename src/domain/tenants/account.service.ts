import { randomBytes } from 'node:crypto';
import type { Clock } from '../../platform/clock.js';
import { continueIn, type Db, inPlatform, type Tx } from '../../platform/db.js';
import { AppError, notFound } from '../../platform/errors.js';
import { newId } from '../../platform/ids.js';
import { type Actor, PLATFORM, type SignedIn } from '../../platform/scope.js';
import { appendAudit } from '../audit/audit.service.js';
import * as accounts from './account.repo.js';
import { attemptKey, countAttempt, forgetAttempts } from './attempt.repo.js';
import type { CredentialService } from './credential.service.js';
import { normalEmail } from './email.js';
import { listMemberships } from './gate.repo.js';
import { hashPassword, isPassword } from './password.js';
import { newToken } from './token.js';

const SESSION_MS = 12 * 3600_000;
const WINDOW_MS = 15 * 60_000;
/** Failed sign-ins within the window. An address may be that of a whole office. */
const ATTEMPTS_PER_ACCOUNT = 10;
const ATTEMPTS_PER_ADDRESS = 100;

export interface OpenedSession {
  /** Shown once. */
  readonly token: string;
  readonly expiresAt: Date;
}

/** People: how they sign in and out. Members of tenants are the tenant service's. */
export class AccountService {
  constructor(
    private readonly db: Pick<Db, 'app' | 'gate'>,
    private readonly clock: Clock,
    private readonly credentials: Pick<CredentialService, 'forget'>,
  ) {}

  /**
   * Opens a session. The answer and its time are the same for a wrong password and an unknown account: BAD_CREDENTIALS. TOO_MANY_ATTEMPTS
   * does not depend on whether there is one either.
   */
  async signIn(address: string, input: { email: string; password: string }): Promise<OpenedSession> {
    const email = normalEmail(input.email, 'input.email');
    const keys = await this.admitAttempt(email, address);
    const account = await inPlatform(this.db, (tx) => accounts.findAccountByEmail(tx, email));
    const memberships = await listMemberships(this.db.gate, account?.id ?? '');
    const tenantId = memberships.length === 1 && !account?.operator ? memberships[0]!.tenantId : null;
    const actor: Actor = { kind: account?.operator ? 'OPERATOR' : 'MEMBER', id: account?.id ?? 'unknown' };
    if (!(await isPassword(input.password, account?.hash ?? null)) || !account) {
      await inPlatform(this.db, (tx) =>
        this.record(tx, { tenantId, actor }, { kind: 'session.refused', subjectId: null, detail: { address } }),
      );
      throw new AppError('BAD_CREDENTIALS', 'The email address or the password is wrong.');
    }
    const { token, hash } = newToken('session');
    const now = this.clock.now();
    const session = {
      id: newId('session'),
      accountId: account.id,
      tokenHash: hash,
      currentTenantId: null,
      createdAt: now,
      expiresAt: new Date(now.getTime() + SESSION_MS),
    };
    await inPlatform(this.db, async (tx) => {
      await forgetAttempts(tx, keys.account, keys.address);
      await accounts.insertSession(tx, session);
      await this.record(
        tx,
        { tenantId, actor },
        { kind: 'session.opened', subjectId: session.id, detail: { address } },
      );
    });
    return { token, expiresAt: session.expiresAt };
  }

  async signOut(account: SignedIn, tenantId: string | null): Promise<void> {
    await inPlatform(this.db, async (tx) => {
      await accounts.deleteSession(tx, account.sessionId);
      const event = { kind: 'session.closed', subjectId: account.sessionId } as const;
      await this.record(tx, { tenantId, actor: actorOf(account) }, event);
    });
    this.credentials.forget(account.accountId);
  }

  /** Which tenant the session works in from now on. NOT_FOUND for one of which the person is no member. */
  async switchTenant(account: SignedIn, tenantId: string): Promise<void> {
    if (!account.memberships.some((one) => one.tenantId === tenantId)) throw notFound('tenant');
    await inPlatform(this.db, async (tx) => {
      await accounts.setSessionTenant(tx, account.sessionId, tenantId);
      const actor: Actor = { kind: 'MEMBER', id: account.accountId };
      await this.record(tx, { tenantId, actor }, { kind: 'session.opened', subjectId: account.sessionId });
    });
    this.credentials.forget(account.accountId);
  }

  /**
   * Asks a signed-in person for the password once more, before what a stolen session must not do. BAD_CREDENTIALS if it is wrong;
   * counted like a sign-in.
   */
  async confirmPassword(account: SignedIn, address: string, password: string, field = 'input.password'): Promise<void> {
    const keys = await this.admitAttempt(account.email, address);
    const found = await inPlatform(this.db, (tx) => accounts.findAccountByEmail(tx, account.email));
    if (!(await isPassword(password, found?.hash ?? null)))
      throw new AppError('BAD_CREDENTIALS', 'The password is wrong.', { field });
    await inPlatform(this.db, (tx) => forgetAttempts(tx, keys.account, keys.address));
  }

  /** Ends every other session of the account. BAD_CREDENTIALS if the current password is wrong; counted like a sign-in. */
  async changePassword(
    account: SignedIn,
    address: string,
    input: { currentPassword: string; newPassword: string },
  ): Promise<void> {
    await this.confirmPassword(account, address, input.currentPassword, 'input.currentPassword');
    const hash = await hashPassword(input.newPassword, 'input.newPassword');
    const now = this.clock.now();
    await inPlatform(this.db, async (tx) => {
      await accounts.updatePassword(tx, account.accountId, hash, now);
      await accounts.deleteOtherSessions(tx, account.accountId, account.sessionId, now);
      const event = { kind: 'password.changed', subjectId: account.accountId } as const;
      await this.record(tx, { tenantId: null, actor: actorOf(account) }, event);
    });
    this.credentials.forget(account.accountId);
  }

  /** Counts the attempt against the account and against the address; TOO_MANY_ATTEMPTS if either has had enough. */
  private async admitAttempt(email: string, address: string): Promise<{ account: string; address: string }> {
    const keys = { account: attemptKey('account', email), address: attemptKey('address', address) };
    const now = this.clock.now();
    const from = new Date(now.getTime() - WINDOW_MS);
    const oldest = await inPlatform(
      this.db,
      async (tx) =>
        (await countAttempt(tx, keys.address, { from, now, limit: ATTEMPTS_PER_ADDRESS })) ??
        (await countAttempt(tx, keys.account, { from, now, limit: ATTEMPTS_PER_ACCOUNT })),
    );
    if (oldest) {
      throw new AppError('TOO_MANY_ATTEMPTS', 'There were too many failed attempts to sign in.', {
        retryAfterMs: Math.max(1, oldest.getTime() + WINDOW_MS - now.getTime()),
      });
    }
    return keys;
  }

  /** The record goes to the tenant that is concerned, or to the platform's own log if it is none in particular. */
  private async record(
    tx: Tx,
    who: { tenantId: string | null; actor: Actor },
    event: Parameters<typeof appendAudit>[2],
  ): Promise<void> {
    const tenantId = who.tenantId ?? PLATFORM;
    await continueIn(tx, tenantId);
    await appendAudit(tx, { tenantId, actor: who.actor }, { at: this.clock.now(), ...event });
  }
}

function actorOf(account: SignedIn): Actor {
  return { kind: account.operator ? 'OPERATOR' : 'MEMBER', id: account.accountId };
}

/** Makes the first operator, once in the life of a database; null if there is one. The password is shown to whoever starts it. */
export async function ensureOperator(
  db: Pick<Db, 'app'>,
  email: string,
): Promise<{ email: string; password: string } | null> {
  if (await inPlatform(db, accounts.hasOperator)) return null;
  const operator = await newPassword(email);
  const made = await inPlatform(db, (tx) => makeOperator(tx, operator, 'migrate'));
  return made ? { email: operator.email, password: operator.password } : null;
}

/**
 * A new password for an operator who has lost it: every session ends, and what was tried before is forgotten; or a new operator, if
 * nobody has the address. For the operator's command only. CONFLICT if it is somebody else's.
 */
export async function resetOperator(
  db: Pick<Db, 'app'>,
  email: string,
): Promise<{ email: string; password: string; isNew: boolean }> {
  const operator = await newPassword(email);
  const isNew = await inPlatform(db, async (tx) => {
    if (await makeOperator(tx, operator, 'operator')) return true;
    const found = await accounts.findAccountByEmail(tx, operator.email);
    if (!found?.operator) throw new AppError('CONFLICT', `Whoever has the address ${operator.email} is no operator.`);
    const now = new Date();
    await accounts.updatePassword(tx, found.id, operator.hash, now);
    await accounts.deleteOtherSessions(tx, found.id, '', now);
    await forgetAttempts(tx, attemptKey('account', found.email), '');
    await appendAudit(tx, systemOf('operator'), { kind: 'password.changed', subjectId: found.id });
    return false;
  });
  return { email: operator.email, password: operator.password, isNew };
}

type NewPassword = Readonly<Record<'email' | 'password' | 'hash', string>>;

async function newPassword(email: string): Promise<NewPassword> {
  const password = randomBytes(15).toString('base64url');
  return { email: normalEmail(email, 'email'), password, hash: await hashPassword(password, 'password') };
}

/** False if the address has an account already. */
async function makeOperator(tx: Tx, { email, hash }: NewPassword, by: string): Promise<boolean> {
  const account = { id: newId('account'), email, name: 'Operator', operator: true, hash, at: new Date() };
  if (!(await accounts.insertAccount(tx, account))) return false;
  await appendAudit(tx, systemOf(by), { kind: 'operator.created', subjectId: account.id });
  return true;
}

/** A command of ours, in the platform's own log. */
const systemOf = (command: string) => ({ tenantId: PLATFORM, actor: { kind: 'SYSTEM', id: command } }) as const;

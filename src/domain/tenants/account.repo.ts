import type { Tx } from '../../platform/db.js';
import { SessionRow } from './tenant.entity.js';

/** Every function here needs a transaction of the platform (`inPlatform`), unless it says otherwise. */

export interface AccountWithHash {
  readonly id: string;
  readonly email: string;
  readonly name: string;
  readonly operator: boolean;
  readonly hash: string;
}

export async function findAccountByEmail(tx: Tx, email: string): Promise<AccountWithHash | null> {
  const [row] = await tx.query<AccountWithHash[]>(
    `select a.id, a.email, a.name, a.operator, p.hash from account a join account_password p on p.account_id = a.id where a.email = $1`,
    [email],
  );
  return row ?? null;
}

export async function hasOperator(tx: Tx): Promise<boolean> {
  const rows = await tx.query<unknown[]>(`select from account where operator limit 1`);
  return rows.length > 0;
}

export interface NewAccount {
  readonly id: string;
  readonly email: string;
  readonly name: string;
  readonly operator: boolean;
  readonly hash: string;
  readonly at: Date;
}

/** False if the email address has an account already. */
export async function insertAccount(tx: Tx, account: NewAccount): Promise<boolean> {
  const made = await tx.query<unknown[]>(
    `insert into account (id, email, name, operator, created_at) values ($1, $2, $3, $4, $5) on conflict (email) do nothing returning id`,
    [account.id, account.email, account.name, account.operator, account.at],
  );
  if (made.length === 0) return false;
  await tx.query(`insert into account_password (account_id, hash, changed_at) values ($1, $2, $3)`, [
    account.id,
    account.hash,
    account.at,
  ]);
  return true;
}

export async function updatePassword(tx: Tx, accountId: string, hash: string, at: Date): Promise<void> {
  await tx.query(`update account_password set hash = $2, changed_at = $3 where account_id = $1`, [accountId, hash, at]);
}

export async function insertSession(tx: Tx, session: SessionRow): Promise<void> {
  await tx.insert(SessionRow, session);
}

export async function deleteSession(tx: Tx, id: string): Promise<void> {
  await tx.delete(SessionRow, { id });
}

/** Ends every session of the account but one, and those of anybody that have expired. */
export async function deleteOtherSessions(tx: Tx, accountId: string, keptId: string, now: Date): Promise<void> {
  await tx.query(`delete from session where (account_id = $1 and id <> $2) or expires_at < $3`, [
    accountId,
    keptId,
    now,
  ]);
}

export async function setSessionTenant(tx: Tx, id: string, tenantId: string | null): Promise<void> {
  await tx.update(SessionRow, { id }, { currentTenantId: tenantId });
}

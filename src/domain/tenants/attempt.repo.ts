import { createHash } from 'node:crypto';
import type { Tx } from '../../platform/db.js';

/** What attempts are counted by. A digest, because people type passwords into the wrong field. */
export function attemptKey(kind: 'account' | 'address', value: string): string {
  return `${kind} ${createHash('sha256').update(value).digest('base64url')}`;
}

/**
 * Counts one attempt unless `limit` of them lie within the window. Returns null if it was counted, else when the oldest one leaves the
 * window. One caller at a time for each key, so that attempts at once are not one too many. Needs a transaction of the platform.
 */
export async function countAttempt(
  tx: Tx,
  key: string,
  window: { from: Date; now: Date; limit: number },
): Promise<Date | null> {
  await tx.query(`select pg_advisory_xact_lock(hashtextextended($1, 4711))`, [key]);
  await tx.query(`delete from sign_in_attempt where key = $1 and at <= $2`, [key, window.from]);
  const [found] = await tx.query<{ count: number; oldest: Date | null }[]>(
    `select count(*) as count, min(at) as oldest from sign_in_attempt where key = $1`,
    [key],
  );
  if (found!.oldest && found!.count >= window.limit) return found!.oldest;
  await tx.query(`insert into sign_in_attempt (key, at) values ($1, $2)`, [key, window.now]);
  return null;
}

/** Forgets the account's attempts, and one of the address's: a success is no attempt. */
export async function forgetAttempts(tx: Tx, accountKey: string, addressKey: string): Promise<void> {
  await tx.query(`delete from sign_in_attempt where key = $1`, [accountKey]);
  await tx.query(
    `delete from sign_in_attempt where id = (select id from sign_in_attempt where key = $1 order by id desc limit 1)`,
    [addressKey],
  );
}

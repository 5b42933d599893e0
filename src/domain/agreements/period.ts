import type { AgreementRow } from './agreement.entity.js';
import type { Terms } from './terms.js';

const DAY_MS = 86_400_000;

/** The same day and time so many months later (UTC); the last day of the month where there is no such day. */
export function addMonths(from: Date, months: number): Date {
  const to = new Date(from);
  to.setUTCMonth(to.getUTCMonth() + months);
  if (to.getUTCDate() !== from.getUTCDate()) to.setUTCDate(0);
  return to;
}

/** The end of the period after so many renewals; always counted from the signed end, so that nothing drifts. */
export function periodEnd({ period, renewal }: Pick<Terms, 'period' | 'renewal'>, renewals: number): Date {
  return addMonths(new Date(period.until), renewals * (renewal?.months ?? 0));
}

/** How many renewals it takes for the period to last beyond `beyond`. Needs terms that renew. */
export function renewalsBeyond(terms: Pick<Terms, 'period' | 'renewal'>, renewals: number, beyond: Date): number {
  let count = renewals;
  while (periodEnd(terms, count) <= beyond) count++;
  return count;
}

export function noticeEnd(terms: Pick<Terms, 'noticeDays'>, now: Date): Date {
  return new Date(now.getTime() + terms.noticeDays * DAY_MS);
}

/** Whether the agreement is prolonged at the end of its period, as things stand. */
export function isRenewing({
  terms,
  renewalStopped,
  noticeBy,
}: Pick<AgreementRow, 'terms' | 'renewalStopped' | 'noticeBy'>): boolean {
  return terms.renewal !== null && !renewalStopped && noticeBy === null;
}

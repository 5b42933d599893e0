import type { Clock } from '../../platform/clock.js';
import { type Db, inTenant } from '../../platform/db.js';
import { AppError, notFound } from '../../platform/errors.js';
import type { Scope } from '../../platform/scope.js';
import type { AgreementService } from '../agreements/agreement.service.js';
import { findMeter, listUsage, type UsageRow } from './usage.repo.js';

export interface RefusalCount {
  readonly code: string;
  readonly requests: number;
}

export interface UsageFigures {
  /** Requests answered, and the rows that were answered and charged. */
  readonly requests: number;
  readonly rows: number;
  readonly refusals: readonly RefusalCount[];
}

export interface UsageDay extends UsageFigures {
  /** UTC, YYYY-MM-DD. */
  readonly day: string;
}

export interface Usage extends UsageFigures {
  readonly agreementId: string;
  readonly from: Date;
  readonly until: Date;
  /** Days with any request, in order. */
  readonly days: readonly UsageDay[];
}

/** What is used up and what is left, from the counters that the ledger admits by. */
export interface Allowance {
  readonly rowsToday: number;
  readonly rowsThisMonth: number;
  readonly rowsTotal: number;
  /** Of those, what jobs hold and have not answered yet. */
  readonly rowsReserved: number;
  readonly rowsLeftToday: number | null;
  readonly rowsLeftThisMonth: number | null;
  readonly rowsLeftInTotal: number | null;
  /** Thousandths of epsilon. */
  readonly privacyBudgetLeftMilli: number | null;
}

const LONGEST_MS = 400 * 86_400_000;

export class UsageService {
  constructor(
    private readonly parts: { readonly db: Db; readonly clock: Clock; readonly agreements: AgreementService },
  ) {}

  /** The same figures for both parties, counted from the recorded entries. `until` is exclusive; 30 days up to now unless told. */
  async read(scope: Scope, agreementId: string, range: { from?: Date | null; until?: Date | null }): Promise<Usage> {
    const until = range.until ?? new Date(this.parts.clock.now().getTime() + 1);
    const from = range.from ?? new Date(until.getTime() - 30 * 86_400_000);
    if (!(from < until) || until.getTime() - from.getTime() > LONGEST_MS)
      throw new AppError('INVALID_INPUT', 'from must lie before until, by at most 400 days.', { field: 'from' });
    const agreement = await this.parts.agreements.get(scope, agreementId);
    const rows = await inTenant(this.parts.db, scope, (tx) => listUsage(tx, agreement.id, from, until));
    return { agreementId: agreement.id, from, until, ...figuresOf(rows), days: daysOf(rows) };
  }

  async allowance(scope: Scope, agreementId: string): Promise<Allowance> {
    const agreement = await this.parts.agreements.get(scope, agreementId);
    const meter = await inTenant(this.parts.db, scope, (tx) => findMeter(tx, agreement.id));
    if (!meter) throw notFound('agreement');
    const now = this.parts.clock.now().toISOString();
    const rowsToday = meter.day >= now.slice(0, 10) ? meter.rowsToday : 0;
    const rowsThisMonth = meter.month >= now.slice(0, 7) ? meter.rowsThisMonth : 0;
    // An amendment may have lowered a limit below what is used up.
    const left = (limit: number | null, used: number) => (limit === null ? null : Math.max(0, limit - used));
    return {
      rowsToday,
      rowsThisMonth,
      rowsTotal: meter.rowsTotal,
      rowsReserved: meter.rowsReserved,
      rowsLeftToday: left(meter.rowsPerDay, rowsToday),
      rowsLeftThisMonth: left(meter.rowsPerMonth, rowsThisMonth),
      rowsLeftInTotal: left(meter.rowsInTotal, meter.rowsTotal),
      privacyBudgetLeftMilli: left(meter.budgetMilli, meter.budgetUsedMilli),
    };
  }
}

export function daysOf(rows: readonly UsageRow[]): UsageDay[] {
  const days = [...new Set(rows.map((row) => row.day))].sort();
  return days.map((day) => ({ day, ...figuresOf(rows.filter((row) => row.day === day)) }));
}

export function figuresOf(rows: readonly Omit<UsageRow, 'day'>[]): UsageFigures {
  const figures = { requests: 0, rows: 0 };
  const refusals = new Map<string, number>();
  for (const row of rows) {
    if (row.refusalCode !== null) {
      refusals.set(row.refusalCode, (refusals.get(row.refusalCode) ?? 0) + row.requests);
      continue;
    }
    figures.requests += row.requests;
    figures.rows += row.rows;
  }
  return { ...figures, refusals: [...refusals].sort().map(([code, requests]) => ({ code, requests })) };
}

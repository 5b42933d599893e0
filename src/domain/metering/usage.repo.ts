import type { Tx } from '../../platform/db.js';
import { OUTCOMES, outcomeName } from '../audit/audit.service.js';

export interface UsageRow {
  /** UTC, YYYY-MM-DD. */
  readonly day: string;
  /** Null: answered. */
  readonly refusalCode: string | null;
  readonly requests: number;
  readonly rows: number;
}

/**
 * From the entries themselves, of which both parties have the same. `until` is exclusive. Predictions made before there was a table for
 * them are entries of the audit log.
 */
export async function listUsage(tx: Tx, agreementId: string, from: Date, until: Date): Promise<UsageRow[]> {
  const rows = await tx.query<(UsageRow & { code: number | null })[]>(
    `select to_char(at at time zone 'UTC', 'YYYY-MM-DD') as day, code, refusal as "refusalCode", count(*) as requests, sum(row_count)::bigint as rows
     from (
       select e.at, e.code, null as refusal, e.row_count
         from prediction_entry e join prediction_context c on c.id = e.context_id
         where $4 in (c.tenant_id, c.counterparty_tenant_id) and c.agreement_id = $1 and e.at >= $2 and e.at < $3
       union all
       select at, null, refusal_code, row_count from audit_entry
         where $4 in (tenant_id, counterparty_tenant_id) and agreement_id = $1 and at >= $2 and at < $3
     ) entry group by 1, 2, 3 order by 1, 2, 3`,
    [agreementId, from, until, tx.tenantId],
  );
  return rows.map(({ code, ...row }) =>
    code === null || code === OUTCOMES.ANSWERED ? row : { ...row, refusalCode: outcomeName(code) },
  );
}

/** Counters, and the limits that the terms set; null: they set none. */
export interface MeterRow {
  /** UTC, YYYY-MM-DD: the day that rowsToday counts. */
  readonly day: string;
  readonly rowsToday: number;
  /** UTC, YYYY-MM: the month that rowsThisMonth counts. */
  readonly month: string;
  readonly rowsThisMonth: number;
  readonly rowsTotal: number;
  /** Of those above: held by jobs, not answered yet. */
  readonly rowsReserved: number;
  /** Thousandths of epsilon. */
  readonly budgetUsedMilli: number;
  readonly rowsPerDay: number | null;
  readonly rowsPerMonth: number | null;
  readonly rowsInTotal: number | null;
  readonly budgetMilli: number | null;
}

export async function findMeter(tx: Tx, agreementId: string): Promise<MeterRow | null> {
  const [row] = await tx.query<MeterRow[]>(
    `select to_char(day, 'YYYY-MM-DD') as day, rows_today as "rowsToday", to_char(month, 'YYYY-MM') as month, rows_this_month as "rowsThisMonth",
       rows_total as "rowsTotal", rows_reserved as "rowsReserved", budget_used_milli as "budgetUsedMilli", rows_per_day as "rowsPerDay", rows_per_month as "rowsPerMonth",
       rows_in_total as "rowsInTotal", budget_milli as "budgetMilli"
     from agreement_meter where agreement_id = $1 and $2 in (provider_tenant_id, consumer_tenant_id)`,
    [agreementId, tx.tenantId],
  );
  return row ?? null;
}

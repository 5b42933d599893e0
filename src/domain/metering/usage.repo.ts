import type { Tx } from '../../platform/db.js';

export interface UsageRow {
  /** UTC, YYYY-MM-DD. */
  readonly day: string;
  /** Null: answered. */
  readonly refusalCode: string | null;
  readonly requests: number;
  readonly rows: number;
}

/** From the entries themselves, of which both parties have the same. `until` is exclusive. */
export function listUsage(tx: Tx, agreementId: string, from: Date, until: Date): Promise<UsageRow[]> {
  return tx.query<UsageRow[]>(
    `select to_char(at at time zone 'UTC', 'YYYY-MM-DD') as day, refusal_code as "refusalCode", count(*) as requests,
       sum(row_count)::bigint as rows
     from audit_entry
     where $4 in (tenant_id, counterparty_tenant_id) and agreement_id = $1 and at >= $2 and at < $3 group by 1, 2 order by 1, 2 nulls first`,
    [agreementId, from, until, tx.tenantId],
  );
}

export interface MeterRow {
  /** UTC, YYYY-MM-DD: the day that rowsToday counts. */
  readonly day: string;
  readonly rowsToday: number;
  readonly rowsTotal: number;
}

export async function findMeter(tx: Tx, agreementId: string): Promise<MeterRow | null> {
  const [row] = await tx.query<MeterRow[]>(
    `select to_char(day, 'YYYY-MM-DD') as day, rows_today as "rowsToday", rows_total as "rowsTotal"
     from agreement_meter where agreement_id = $1 and $2 in (provider_tenant_id, consumer_tenant_id)`,
    [agreementId, tx.tenantId],
  );
  return row ?? null;
}

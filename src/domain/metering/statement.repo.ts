import type { Tx } from '../../platform/db.js';
import { OUTCOMES, outcomeName } from '../audit/audit.service.js';
import { type EndedJob, listEndedJobs } from './reservation.repo.js';
import type { UsageRow } from './usage.repo.js';

/** In microseconds: so many of 100 answers took no longer. */
export interface Latency {
  readonly p50Us: number;
  readonly p95Us: number;
  readonly p99Us: number;
}

export interface StatedRow extends UsageRow {
  /** Of the agreement. */
  readonly version: number;
}

/** What was recorded, as one snapshot has it. */
export interface Stated {
  readonly rows: readonly StatedRow[];
  /** Null: nothing was answered of which the time is known. */
  readonly latency: Latency | null;
  readonly latencyByVersion: ReadonlyMap<number, Latency>;
  /** Batches that ended, each time that one was asked for. */
  readonly jobs: readonly EndedJob[];
  /** Of the entries counted: the first and the last. */
  readonly logIndex: { readonly first: number; readonly last: number } | null;
}

interface Group {
  readonly isTotal: boolean;
  readonly version: number | null;
  readonly day: string | null;
  readonly code: number | null;
  readonly refusal: string | null;
  readonly requests: number;
  readonly rows: number;
  readonly first: number | null;
  readonly last: number | null;
  readonly percentiles: readonly [number, number, number] | null;
}

/**
 * From the entries that `listUsage` counts, in one statement and so from one snapshot. `until` is exclusive; `lastIndex`: the
 * last entry of the log that counts, null for all. Canonical JSON escapes the
 * quotes in a caller's text, so that none can look like the version or the door. Nobody waits for the chunk of a batch: its time is no latency. Predictions made before there was a table for them were made
 * when agreements had one version, and their time was not taken.
 */
export async function readStated(
  tx: Tx,
  agreementId: string,
  { from, until, lastIndex }: { readonly from: Date; readonly until: Date; readonly lastIndex: number | null },
): Promise<Stated> {
  const groups = await tx.query<Group[]>(
    `with context as materialized (
       select id, substring(content from '"agreementVersion":([0-9]+)')::int as version, content like '%"door":"BATCH"%' as is_batch from prediction_context
         where $4 in (tenant_id, counterparty_tenant_id) and agreement_id = $1
     ), entry as (
       select e.log_index, to_char(e.at at time zone 'UTC', 'YYYY-MM-DD') as day, c.version, e.code::int, null as refusal, e.row_count, case when not c.is_batch then e.duration_us end as duration_us
         from prediction_entry e join context c on c.id = e.context_id where e.at >= $2 and e.at < $3 and ($6::bigint is null or e.log_index <= $6)
       union all
       select log_index, to_char(at at time zone 'UTC', 'YYYY-MM-DD'), 1, case when refusal_code is null then $5::int end, refusal_code, row_count, null
         from audit_entry where $4 in (tenant_id, counterparty_tenant_id) and agreement_id = $1 and at >= $2 and at < $3 and ($6::bigint is null or log_index <= $6)
     )
     select grouping(version) = 1 as "isTotal", version, day, code, refusal, count(*) as requests, coalesce(sum(row_count), 0)::bigint as rows,
       min(log_index) as first, max(log_index) as last,
       percentile_disc(array[0.5, 0.95, 0.99]) within group (order by duration_us) filter (where code = $5) as percentiles
     from entry group by grouping sets ((version, day, code, refusal), (version), ()) order by version, day, code, refusal`,
    [agreementId, from, until, tx.tenantId, OUTCOMES.ANSWERED, lastIndex],
  );
  const rows = groups.flatMap(({ version, day, code, refusal, requests, rows }) => {
    if (version === null || day === null) return [];
    const refusalCode = code === OUTCOMES.ANSWERED ? null : (refusal ?? outcomeName(code!));
    return [{ version, day, refusalCode, requests, rows }];
  });
  const latencyByVersion = new Map<number, Latency>();
  for (const { version, day, percentiles } of groups)
    if (version !== null && day === null && percentiles) latencyByVersion.set(version, latencyOf(percentiles));
  const { first, last, percentiles } = groups.find(({ isTotal }) => isTotal)!;
  return {
    rows,
    latency: percentiles && latencyOf(percentiles),
    latencyByVersion,
    jobs: await listEndedJobs(tx, agreementId, { from, until }),
    logIndex: first === null ? null : { first, last: last! },
  };
}

/**
 * The first and the last entry of the agreement that the statement sees. Indices are given in the order of commits: whatever is recorded
 * later has a later one.
 */
export async function readLogIndex(tx: Tx, agreementId: string): Promise<Stated['logIndex']> {
  const [row] = await tx.query<{ first: number | null; last: number | null }[]>(
    `select min(log_index) as first, max(log_index) as last from (
       select e.log_index from prediction_entry e join prediction_context c on c.id = e.context_id
         where $2 in (c.tenant_id, c.counterparty_tenant_id) and c.agreement_id = $1
       union all
       select log_index from audit_entry where $2 in (tenant_id, counterparty_tenant_id) and agreement_id = $1
     ) entry`,
    [agreementId, tx.tenantId],
  );
  return row!.first === null ? null : { first: row!.first, last: row!.last! };
}

function latencyOf([p50Us, p95Us, p99Us]: readonly [number, number, number]): Latency {
  return { p50Us, p95Us, p99Us };
}

import pg from 'pg';
import { canonical } from '../../src/cli/verifier.mjs';
import { contentOf, PREDICTION_COLUMNS, type PredictionRow } from '../../src/domain/audit/prediction.js';
import { readEntries } from '../../src/domain/audit/tree.repo.js';
import { leafOf, TreeHasher } from '../../src/domain/audit/tree.js';
import type { Received } from './cluster-callers.js';

/** A checkpoint that somebody was shown. */
export interface Seen {
  readonly origin: string;
  readonly treeSize: number;
  /** Hexadecimal. */
  readonly rootHash: string;
}

export interface Truth {
  /** What is not as it must be; empty. */
  readonly faults: string[];
  readonly entries: number;
  readonly answered: number;
  readonly refused: number;
  /** Recorded as answered, but no answer arrived. */
  readonly unanswered: number;
}

type Row = PredictionRow & { readonly agreement_id: string | null };

/** Holds what callers received, and what the log has shown, to the rows of the database. */
export async function compare(
  databaseUrl: string,
  received: readonly Received[],
  seen: readonly Seen[],
): Promise<Truth> {
  const owner = new pg.Client(databaseUrl);
  await owner.connect();
  try {
    const { rows } = await owner.query<Row>(
      `select ${PREDICTION_COLUMNS}, c.agreement_id from prediction_entry e join prediction_context c on c.id = e.context_id order by e.log_index`,
    );
    const faults = [
      ...answersWithoutRows(received, rows),
      ...signedTwice(received),
      ...(await counted(owner)),
      ...(await overdrawn(owner)),
      ...(await forked(owner, seen)),
    ];
    const known = new Set(received.map(({ predictionId }) => predictionId));
    const answered = rows.filter(({ code }) => code === 0);
    const unanswered = answered.filter((row) => !known.has(contentOf(row).predictionId)).length;
    const refused = rows.length - answered.length;
    return { faults, entries: rows.length, answered: answered.length, refused, unanswered };
  } finally {
    await owner.end();
  }
}

function answersWithoutRows(received: readonly Received[], rows: readonly Row[]): string[] {
  const recorded = new Map(rows.map((row) => [row.log_index, row]));
  return received.flatMap(({ index, entry, agreementId, rowCount }) => {
    const row = recorded.get(index);
    if (!row) return [`the answer ${index} has no row`];
    if (canonical(contentOf(row)) !== entry) return [`the answer ${index} has another row`];
    const isSame = row.agreement_id === agreementId && row.row_count === rowCount && row.code === 0;
    return isSame ? [] : [`the row ${index} is charged otherwise`];
  });
}

/** Each index belongs to one answer and to one batch, and each batch has one signature, under one name of the log. */
function signedTwice(received: readonly Received[]): string[] {
  const faults: string[] = [];
  const [indices, batches, origins] = [new Set<number>(), new Map<number, Received['batch']>(), new Set<string>()];
  for (const { index, batch, origin } of received) {
    if (indices.has(index)) faults.push(`two answers are recorded as ${index}`);
    indices.add(index);
    origins.add(origin);
    const same = batches.get(batch.firstIndex);
    if (same && (same.size !== batch.size || same.signature !== batch.signature))
      faults.push(`two batches begin at ${batch.firstIndex}`);
    batches.set(batch.firstIndex, batch);
  }
  let end = 0;
  for (const { firstIndex, size } of [...batches.values()].sort((a, b) => a.firstIndex - b.firstIndex)) {
    if (firstIndex < end) faults.push(`the index ${firstIndex} is in two batches`);
    end = firstIndex + size;
  }
  if (origins.size > 1) faults.push(`the log had ${origins.size} names`);
  return faults;
}

/** Meters are the sums of usage, and no index is missing or there twice. */
async function counted(owner: pg.Client): Promise<string[]> {
  const { rows } = await owner.query<{ fault: string }>(
    `select 'the meter of ' || m.agreement_id || ' says ' || m.rows_total || ', its rows ' || coalesce(sum(e.row_count), 0) as fault
       from agreement_meter m left join prediction_context c on c.agreement_id = m.agreement_id
         left join prediction_entry e on e.context_id = c.id and e.code = 0
       group by m.agreement_id having m.rows_total <> coalesce(sum(e.row_count), 0)
         or m.budget_used_milli <> coalesce(m.epsilon_milli_per_row, 0) * coalesce(sum(e.row_count), 0)
     union all select 'the log counts ' || (select next_index from audit_log) || ' entries, there are ' || count(distinct log_index) || ' of ' || count(*)
       from (select log_index from audit_entry union all select log_index from prediction_entry) entry
       having count(*) <> (select next_index from audit_log) or count(distinct log_index) <> count(*)
     union all select 'the prediction ' || prediction_id || ' is there twice' from prediction_entry group by prediction_id having count(*) > 1
     union all select 'the log has ' || count(*) || ' names' from log_origin having count(*) <> 1`,
  );
  return rows.map(({ fault }) => fault);
}

/** By the rows and their times alone. */
async function overdrawn(owner: pg.Client): Promise<string[]> {
  const { rows } = await owner.query<{ fault: string }>(
    `with used as (select c.agreement_id, e.at, e.row_count from prediction_entry e join prediction_context c on c.id = e.context_id where e.code = 0)
     select 'in all under ' || m.agreement_id as fault from agreement_meter m join used using (agreement_id)
       group by m.agreement_id having sum(row_count) > m.rows_in_total or sum(row_count) * m.epsilon_milli_per_row > m.budget_milli
     union all select 'in one second under ' || m.agreement_id || ': ' || sum(row_count) from agreement_meter m join used using (agreement_id)
       group by m.agreement_id, date_trunc('second', at) having sum(row_count) > m.rows_per_second`,
  );
  return rows.map(({ fault }) => `more was answered than agreed ${fault}`);
}

/** Every checkpoint that was ever shown is one of the tree over the rows as they are now. */
async function forked(owner: pg.Client, seen: readonly Seen[]): Promise<string[]> {
  const wanted = new Map<number, Set<string>>();
  for (const { treeSize, rootHash } of seen) wanted.set(treeSize, (wanted.get(treeSize) ?? new Set()).add(rootHash));
  const sizes = [...wanted.keys()].sort((a, b) => a - b);
  const tree = new TreeHasher();
  const faults: string[] = [];
  for (const size of sizes) {
    while (tree.size < size) {
      const run = async <T extends object>(text: string, values?: unknown[]) =>
        (await owner.query<T & pg.QueryResultRow>(text, values)).rows;
      const entries = await readEntries(run, tree.size, Math.min(2000, size - tree.size));
      if (entries.length === 0) return [...faults, `the entry ${tree.size} is gone, and a checkpoint had it`];
      for (const entry of entries) tree.append(leafOf(entry));
    }
    const [root, ...others] = wanted.get(size)!;
    if (others.length > 0 || root !== tree.root().toString('hex')) faults.push(`the log forked at ${size}`);
  }
  return faults;
}

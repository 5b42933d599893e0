/**
 * What the ledger can record: `npm run bench -- ledger [--runs 5] [--seconds 2] [--rows 5000000] [--callers 128] [--json]`. One replica records
 * single-row requests of that many callers, under an agreement with every limit set, and signs their batches; the reference inserts as
 * many rows of the same columns by single statements of 64 into a table with nothing but its primary key. Both on one embedded
 * PostgreSQL that syncs every commit, in turn; then the same with `--rows` predictions there (0: not at all). Ratios are taken
 * within one run: compare nothing across machines or days.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, realpathSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { LogKeys } from '../src/domain/audit/log-key.service.js';
import { byteaArray, int4Array, uuidArray } from '../src/domain/metering/binary-array.js';
import { type Entry, LedgerService, newPredictionId } from '../src/domain/metering/ledger.service.js';
import { openHome } from '../src/launch/home.mjs';
import { removeHome } from '../src/launch/postgres-files.mjs';
import { startPostgres } from '../src/launch/postgres.mjs';
import { migrate } from '../src/migrate.js';
import { systemClock } from '../src/platform/clock.js';
import { roleUrl } from '../src/platform/db.js';
import { newId } from '../src/platform/ids.js';
import { makeLog } from '../src/platform/log.js';
import { RecentEntries } from '../src/domain/audit/recent-entries.js';
import { makeScope } from '../src/platform/scope.js';

const args = process.argv.slice(2);
const option = (name: string, otherwise: string): string =>
  args.includes(name) ? args[args.indexOf(name) + 1]! : otherwise;
const RUNS = Number(option('--runs', '5'));
const RUN_MS = 1000 * Number(option('--seconds', '2'));
const ROWS = Number(option('--rows', '5000000'));
const CALLERS = Number(option('--callers', '128'));
const BATCH = 64;
const FILL_STEP = 250_000;

interface Row {
  readonly name: string;
  readonly ours: number;
  readonly reference: number | null;
  readonly ratio: number | null;
  readonly target: string;
  readonly met: boolean;
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;

async function main(): Promise<void> {
  const { path: home } = await openHome(mkdtempSync(join(realpathSync(tmpdir()), 'concordat-bench-')));
  const server = await startPostgres({ home });
  const masterKey = Buffer.alloc(32, 7);
  await migrate(server.url, masterKey);
  const owner = new pg.Client(server.url);
  await owner.connect();
  const pool = new pg.Pool({ connectionString: roleUrl(server.url, masterKey, 'concordat_ledger'), max: 4 });
  const place = { home, publicUrl: 'https://concordat.example', port: 4000 };
  const log = makeLog('error', 'bench');
  const signer = await LogKeys.open({ pool, masterKey, ...place, clock: systemClock, log, listener: null });
  const ledger = new LedgerService({ pool, signer, recent: new RecentEntries(), log });
  try {
    const record = await recorder(owner, pool, ledger);
    const insert = await inserter(owner);
    await compare(record, insert, 1);
    const before = await sizeOf(owner);
    const empty = await compare(record, insert, RUNS);
    const after = await sizeOf(owner);
    const rows: Row[] = [
      row('entries a second', [empty.ours, empty.reference], [0.5, '>= 0.5']),
      bytesRow('bytes a prediction', (after.bytes - before.bytes) / (after.count - before.count)),
    ];
    if (ROWS > 0) {
      await fill(owner, pool);
      await compare(record, insert, 1);
      const filled = await compare(record, insert, RUNS);
      const size = await sizeOf(owner);
      // Both change with the machine's mood: the reference of each half says by how much.
      const drift = filled.reference / empty.reference;
      rows.push(
        row(`entries a second, ${ROWS} there`, [filled.ours, filled.reference], [0.5, '>= 0.5']),
        row('the same, of the empty rate', [filled.ours, empty.ours * drift], [0.9, '>= 0.9']),
        bytesRow(`bytes a prediction, ${ROWS} there`, size.bytes / size.count),
      );
    }
    console.table(rows);
    console.log(
      `load ${loadavg()
        .map((one) => one.toFixed(1))
        .join(' ')}`,
    );
    if (args.includes('--json')) console.log(JSON.stringify({ bench: 'ledger', rows }));
  } finally {
    await ledger.close();
    signer.close();
    await pool.end();
    await owner.end();
    await server.stop();
    removeHome(home);
  }
}

function row(name: string, [ours, reference]: [number, number], [least, target]: [number, string]): Row {
  const ratio = ours / reference;
  return {
    name,
    ours: Math.round(ours),
    reference: Math.round(reference),
    ratio: round(ratio),
    target,
    met: ratio >= least,
  };
}

function bytesRow(name: string, bytes: number): Row {
  return { name, ours: Math.round(bytes), reference: null, ratio: null, target: '<= 250', met: bytes <= 250 };
}

const round = (x: number): number => Math.round(x * 1000) / 1000;

/** Per second, of the given number of turns: the median of each. */
async function compare(ours: Work, reference: Work, turns: number): Promise<{ ours: number; reference: number }> {
  const [a, b]: [number[], number[]] = [[], []];
  for (let turn = 0; turn < turns; turn++) {
    b.push(await reference());
    a.push(await ours());
  }
  return { ours: median(a), reference: median(b) };
}

/** Works for RUN_MS; resolves with how much a second. */
type Work = () => Promise<number>;

async function recorder(owner: pg.Client, pool: pg.Pool, ledger: LedgerService): Promise<Work> {
  const [agreementId, consumer, provider, endpointId] = [
    newId('agreement'),
    newId('tenant'),
    newId('tenant'),
    newId('endpoint'),
  ];
  await owner.query(`alter table agreement_meter drop constraint agreement_meter_agreement_id_fkey`);
  await pool.query(
    `insert into agreement_meter (agreement_id, provider_tenant_id, consumer_tenant_id, endpoint_id, state, valid_from, valid_until,
       rows_per_second, rows_per_day, rows_per_month, rows_in_total, epsilon_milli_per_row, budget_milli)
     values ($1, $2, $3, $4, 'ACTIVE', now(), now() + interval '1 day', 1e9, 1e12, 1e12, 1e12, 1, 1e12)`,
    [agreementId, provider, consumer, endpointId],
  );
  const actor = { kind: 'APPLICATION', id: newId('application') } as const;
  const signal = new AbortController().signal;
  const scope = makeScope({ tenantId: consumer, actor, permissions: new Set(), requestId: 'bench', signal });
  const entry: Omit<Entry, 'predictionId' | 'startedAt'> = {
    isRepeatable: false,
    proof: null,
    facts: {
      providerTenantId: provider,
      endpointId,
      agreement: { id: agreementId, version: 1, documentDigest: '0'.repeat(64) },
      model: { versionId: newId('modelVersion'), digest: '1'.repeat(64) },
      purpose: 'CREDIT',
      disclosure: { kind: 'SCORES', digits: 2 },
      door: 'OPEN_INFERENCE',
      region: 'local',
      declaredRegion: null,
      deviceId: null,
    },
    rowCount: 1,
    refusal: null,
    commitments: { inputDigest: randomBytes(32), outputDigest: randomBytes(32) },
  };
  return () =>
    perSecond(CALLERS, async () => {
      const posted = await ledger.record(scope, {
        ...entry,
        predictionId: newPredictionId(),
        startedAt: performance.now(),
      });
      if (posted.refusal !== null) throw new Error(posted.refusal);
      return 1;
    });
}

async function inserter(owner: pg.Client): Promise<Work> {
  await owner.query(
    `create table reference (log_index bigint generated always as identity primary key, at timestamptz not null, prediction_id uuid not null,
       context_id int not null, row_count int not null, duration_us int not null, code smallint not null, batch_place smallint not null,
       batch_size smallint not null, input_digest bytea, output_digest bytea)`,
  );
  const ones = int4Array(new Array<number>(BATCH).fill(1));
  const digests = byteaArray(Array.from({ length: BATCH }, () => randomBytes(32)));
  const text = `insert into reference (at, prediction_id, context_id, row_count, duration_us, code, batch_place, batch_size, input_digest, output_digest)
    select now(), id, context, rows, duration, 0, 0, 64, input, output
    from unnest($1::uuid[], $2::int[], $3::int[], $4::int[], $5::bytea[], $6::bytea[]) u(id, context, rows, duration, input, output)`;
  return () =>
    perSecond(1, async () => {
      const ids = uuidArray(Array.from({ length: BATCH }, () => newPredictionId()));
      await owner.query({ name: 'reference', text, values: [ids, ones, ones, ones, digests, digests] });
      return BATCH;
    });
}

async function perSecond(callers: number, once: () => Promise<number>): Promise<number> {
  let done = 0;
  const start = performance.now();
  const call = async () => {
    while (performance.now() - start < RUN_MS) {
      const count = await once();
      done += count;
    }
  };
  await Promise.all(Array.from({ length: callers }, call));
  return done / ((performance.now() - start) / 1000);
}

/** Entries as a replica would have written them, of a month. */
async function fill(owner: pg.Client, pool: pg.Pool): Promise<void> {
  for (let made = 0; made < ROWS; made += FILL_STEP) {
    const count = Math.min(FILL_STEP, ROWS - made);
    await pool.query(
      `with log as (update audit_log set next_index = next_index + $1 returning next_index - $1 as first)
       insert into prediction_entry (log_index, at, prediction_id, context_id, row_count, duration_us, code, batch_place, batch_size, input_digest, output_digest)
       select log.first + i, clock_timestamp(),
         (lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0') || '7' || substr(md5(i::text), 1, 3) || '8' || substr(md5(random()::text), 1, 15))::uuid,
         1 + i % (select max(id) from prediction_context), 1, 1000, 0, i % 64, 64, sha256(int8send(i)), sha256(int8send(-i))
       from log, generate_series(0, $1 - 1) i`,
      [count],
    );
  }
  await owner.query('vacuum analyze prediction_entry');
}

/** Tables of predictions with their indices, and the tiles of the log. */
async function sizeOf(owner: pg.Client): Promise<{ bytes: number; count: number }> {
  const { rows } = await owner.query<{ bytes: number; count: number }>(
    `select (select sum(pg_total_relation_size(relid)) from pg_partition_tree('prediction_entry'))::bigint + pg_total_relation_size('prediction_context')
       + pg_total_relation_size('log_tile') as bytes, next_index as count from audit_log`,
  );
  return rows[0]!;
}

await main();

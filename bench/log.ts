/**
 * The transparency log by itself: `npm run bench -- log [--json] [--entries 100000]`. How long from the commit of an entry, which is when its
 * answer leaves, to a signed checkpoint that everybody can read, while entries keep coming; how long a proof takes, and its check; what
 * a leaf costs the integrator. On a PostgreSQL of its own, with fsync.
 */
import { mkdtempSync, realpathSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { rootOfPath } from '../src/cli/verifier.mjs';
import { Integrator } from '../src/domain/audit/integrator.js';
import { LogKeys, runOn } from '../src/domain/audit/log-key.service.js';
import { findCheckpoint, findTile, tileReader } from '../src/domain/audit/tree.repo.js';
import { leafOf, Tree } from '../src/domain/audit/tree.js';
import { openHome } from '../src/launch/home.mjs';
import { removeHome } from '../src/launch/postgres-files.mjs';
import { startPostgres } from '../src/launch/postgres.mjs';
import { migrate } from '../src/migrate.js';
import { systemClock } from '../src/platform/clock.js';
import { roleUrl } from '../src/platform/db.js';
import { RecentEntries } from '../src/domain/audit/recent-entries.js';
import { makeLog } from '../src/platform/log.js';

const args = process.argv.slice(2);
const entries = Number(args.includes('--entries') ? args[args.indexOf('--entries') + 1] : 100_000);
const MASTER_KEY = Buffer.alloc(32, 5);
const SECONDS = 10;
const PER_COMMIT = 32;
/** Of answer to signed checkpoint. */
const TARGET_MS = 250;

/** So many entries in one commit, as a flush of the ledger has them. */
const APPEND = `with place as (update audit_log set next_index = next_index + $1 returning next_index - $1 as first)
  insert into audit_entry (log_index, leaf_hash, salt, tenant_id, at, kind, content)
  select first + i, sha256('\\x00'::bytea || sha256(convert_to(repeat('s', 16) || i, 'UTF8'))), convert_to(repeat('s', 16), 'UTF8'), 'platform', now(), 'bench', i::text
  from place, generate_series(0, $1 - 1) i returning log_index`;

const quantile = (sorted: number[], q: number) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!;

async function main(): Promise<void> {
  const { path: home } = await openHome(mkdtempSync(join(realpathSync(tmpdir()), 'concordat-bench-')));
  const server = await startPostgres({ home });
  try {
    await migrate(server.url, MASTER_KEY);
    const rows = await measure(server.url, home);
    if (args.includes('--json')) console.log(JSON.stringify({ load: loadavg()[0], rows }));
    else {
      console.log(`load ${loadavg()[0]!.toFixed(1)}`);
      for (const { what, value, unit, target } of rows)
        console.log(
          `${what.padEnd(64)} ${value.toFixed(1).padStart(10)} ${unit}${target ? `   (at most ${target})` : ''}`,
        );
    }
  } finally {
    await server.stop();
    removeHome(home);
  }
}

interface Figure {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  readonly target?: number;
}

async function measure(url: string, home: string): Promise<Figure[]> {
  const ledgerUrl = roleUrl(url, MASTER_KEY, 'concordat_ledger');
  const pool = new pg.Pool({ connectionString: ledgerUrl, max: 3 });
  const log = makeLog('error', 'bench');
  const parts = {
    pool,
    masterKey: MASTER_KEY,
    home,
    publicUrl: null,
    port: 4000,
    clock: systemClock,
    log,
    listener: null,
  };
  const keys = await LogKeys.open(parts);
  const integrator = new Integrator(ledgerUrl, { keys, recent: new RecentEntries(), clock: systemClock, log });
  const run = runOn(pool);
  try {
    await pool.query(APPEND, [entries]);
    const started = performance.now();
    const used = process.cpuUsage();
    integrator.start();
    const size = async () => (await findCheckpoint(run))?.treeSize ?? 0;
    while ((await size()) < entries) await delay(20);
    const caughtUp = performance.now() - started;
    const { user, system } = process.cpuUsage(used);

    const delays = await follow(pool, size);
    const proofs = await prove(run, await size());
    return [
      { what: `catching up with ${entries} entries: leaves per second`, value: entries / (caughtUp / 1000), unit: '' },
      { what: 'CPU of the integrator a leaf', value: (user + system) / entries, unit: 'µs' },
      { what: 'from answer to signed checkpoint, median', value: quantile(delays, 0.5), unit: 'ms' },
      { what: 'from answer to signed checkpoint, p99', value: quantile(delays, 0.99), unit: 'ms', target: TARGET_MS },
      { what: 'inclusion proof, median', value: proofs.made, unit: 'µs' },
      { what: 'its verification, median', value: proofs.checked, unit: 'µs' },
    ];
  } finally {
    await integrator.close();
    keys.close();
    await pool.end();
  }
}

/** Commits go on for some seconds, at every kind of distance; each is seen signed after so many milliseconds, in order. */
async function follow(pool: pg.Pool, size: () => Promise<number>): Promise<number[]> {
  const open: { index: number; at: number }[] = [];
  const delays: number[] = [];
  let going = true;
  const watching = (async () => {
    while (going || open.length > 0) {
      const signed = await size();
      const now = performance.now();
      while (open[0] && open[0].index < signed) delays.push(now - open.shift()!.at);
      await delay(2);
    }
  })();
  for (const end = performance.now() + SECONDS * 1000; performance.now() < end; await delay(Math.random() * 30)) {
    const { rows } = await pool.query<{ log_index: number }>(APPEND, [PER_COMMIT]);
    open.push({ index: Math.max(...rows.map((row) => row.log_index)), at: performance.now() });
  }
  going = false;
  await watching;
  return delays.sort((a, b) => a - b);
}

async function prove(run: ReturnType<typeof runOn>, size: number): Promise<{ made: number; checked: number }> {
  const [made, checked]: [number[], number[]] = [[], []];
  const root = await new Tree(tileReader((level, index) => findTile(run, level, index))).root(size);
  for (let i = 0; i < 200; i++) {
    const index = Math.floor(Math.random() * size);
    const entry = (await findTile(run, -1, Math.floor(index / 256)))!.subarray(
      (index % 256) * 32,
      (index % 256) * 32 + 32,
    );
    const before = performance.now();
    const path = await new Tree(tileReader((level, at) => findTile(run, level, at))).inclusion(index, size);
    const between = performance.now();
    if (!rootOfPath({ index, size, leaf: leafOf(entry), path }).equals(root)) throw new Error('A proof is wrong.');
    made.push((between - before) * 1000);
    checked.push((performance.now() - between) * 1000);
  }
  const median = (values: number[]) =>
    quantile(
      values.sort((a, b) => a - b),
      0.5,
    );
  return { made: median(made), checked: median(checked) };
}

await main();

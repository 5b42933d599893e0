/**
 * What it costs to govern a prediction: `npm run bench -- serve [--runs 5] [--seconds 2] [--callers 1,16,64,256] [--rows 1000]
 * [--only "GraphQL"] [--api-flags "--cpu-prof --cpu-prof-dir=folder"] [--json]`. *bare* is node:http and onnxruntime-node, micro-batched, *naive* the same with
 * one run() per request; both answer the same single-row requests with the same model and check nothing. Ours is the API with
 * everything on and an API key, over an embedded PostgreSQL that syncs every commit. CPU is API and database together. The
 * servers are measured in turn, and ratios are taken within one run: compare nothing across machines or days. *with DPoP* is the
 * Open Inference door where each request proves by a signature (ES256) from which device it comes; it is compared with bare and one
 * verification of such a signature, measured in the same run, and has no target.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { cpuSeconds, familyCpuSeconds } from './cpu.js';
import { bareDoor, type Door, governedDoors } from './serve-doors.js';
import type { LoadMessage, LoadOrder, LoadOutcome } from './serve-load.js';
import { verificationUs } from './serve-proof.js';
import { makeWorld, type World } from './serve-world.js';

const args = process.argv.slice(2);
const option = (name: string, otherwise: string): string =>
  args.includes(name) ? args[args.indexOf(name) + 1]! : otherwise;
const RUNS = Number(option('--runs', '5'));
const RUN_MS = 1000 * Number(option('--seconds', '2'));
const CALLERS = option('--callers', '1,16,64,256').split(',').map(Number);
const MANY_ROWS = Number(option('--rows', '1000'));
const ONLY = option('--only', '');
/** Callers of the requests of many rows: two for each core. */
const MANY_ROWS_CALLERS = 4;
const WARM_ROWS = 10_000;

/** One way of asking: so many callers, each with so many rows in a request. */
interface Setting {
  readonly callers: number;
  readonly rows: number;
}

interface Measured extends LoadOutcome {
  /** Microseconds per request. */
  readonly apiUs: number;
  readonly databaseUs: number;
  readonly perSecond: number;
}

interface Row {
  readonly name: string;
  readonly ours: number;
  readonly reference: number | null;
  readonly ratio: number | null;
  /** Null: a figure to know, with no target. */
  readonly target: string | null;
  readonly met: boolean | null;
}

const settings: readonly Setting[] = [
  ...CALLERS.map((callers) => ({ callers, rows: 1 })),
  ...(MANY_ROWS > 1 ? [{ callers: MANY_ROWS_CALLERS, rows: MANY_ROWS }] : []),
];
/** By setting, then by door: one for each run. */
const warmed = new Set<Door>();
const results = new Map<Setting, Map<string, Measured[]>>();

function child(file: string, given: string[] = []): ChildProcess {
  return fork(fileURLToPath(new URL(file, import.meta.url)), given, { execArgv: ['--import', 'tsx'] });
}

async function startBare(name: string, model: string, mode: string): Promise<{ door: Door; process: ChildProcess }> {
  const process = child('./serve-bare.ts', [model, mode]);
  const { port } = await new Promise<{ port: number }>((resolve) => process.once('message', resolve as never));
  return { door: bareDoor(name, { port, pid: process.pid! }), process };
}

/** Sends the load and takes the CPU of those who answer it, from the first to the last moment that counts. */
function measure(load: ChildProcess, door: Door, setting: Setting, world: World): Promise<Measured> {
  const order: LoadOrder = {
    port: door.port,
    requests: door.requests(setting.rows),
    proof: door.proof,
    callers: setting.callers,
    warmMs: Math.max(500, RUN_MS / 4),
    // The first time until the compiler has seen enough of it.
    warmAnswers: warmed.has(door) ? 0 : Math.ceil(WARM_ROWS / setting.rows),
    runMs: RUN_MS,
    expected: door.expected,
  };
  const cpu = () => ({ api: cpuSeconds(door.pid), database: door.governed ? familyCpuSeconds(world.postgresPid) : 0 });
  return new Promise((resolve, reject) => {
    warmed.add(door);
    let from = cpu();
    let to = from;
    const take = (message: LoadMessage): void => {
      if (message.kind === 'began') from = cpu();
      else if (message.kind === 'ended') to = cpu();
      else {
        load.off('message', take);
        if (message.kind === 'failed') return reject(new Error(`${door.name}: ${message.why}`));
        const { outcome } = message;
        resolve({
          ...outcome,
          perSecond: outcome.answered / outcome.seconds,
          apiUs: (1e6 * (to.api - from.api)) / outcome.answered,
          databaseUs: (1e6 * (to.database - from.database)) / outcome.answered,
        });
      }
    };
    load.on('message', take);
    load.send(order);
  });
}

const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);
const median = (values: readonly number[]): number => sorted(values)[Math.floor((values.length - 1) / 2)]!;
const cpuOf = ({ apiUs, databaseUs }: Measured): number => apiUs + databaseUs;
const measuredAt = (callers: number, rows: number, door: string): readonly Measured[] | null => {
  const setting = settings.find((one) => one.callers === callers && one.rows === rows);
  return (setting && results.get(setting)?.get(door)) ?? null;
};

/** A row whose ratio, the median of those within each run, may be at most (or must be at least) `limit`. */
function ratioRow(
  name: string,
  limit: string,
  of: { setting: Setting; door: string; to: string; by: typeof cpuOf },
): Row[] {
  const { callers, rows } = of.setting;
  const [ours, others] = [of.door, of.to].map((door) => measuredAt(callers, rows, door));
  if (!ours || !others) return [];
  const ratio = median(ours.map((mine, run) => of.by(mine) / of.by(others[run]!)));
  const [how, number] = limit.split(' ') as ['<=' | '>=', string];
  const met = how === '<=' ? ratio <= Number(number) : ratio >= Number(number);
  return [{ name, ours: median(ours.map(of.by)), reference: median(others.map(of.by)), ratio, target: limit, met }];
}

/** To bare and one verification of a proof's signature. */
function provenRow(callers: number, verifyUs: number): Row[] {
  const [ours, bare] = ['with DPoP', 'bare'].map((door) => measuredAt(callers, 1, door));
  if (!ours || !bare) return [];
  const reference = bare.map((one) => cpuOf(one) + verifyUs);
  const ratio = median(ours.map((mine, run) => cpuOf(mine) / reference[run]!));
  const name = `Open Inference with DPoP, ${callers} callers, 1 row: CPU, to bare and a verification (${verifyUs.toFixed(0)} µs)`;
  return [{ name, ours: median(ours.map(cpuOf)), reference: median(reference), ratio, target: null, met: null }];
}

function latencyRow(door: string, limitMs: number): Row[] {
  const measured = measuredAt(64, 1, door);
  if (!measured) return [];
  const ours = median(measured.map(({ p99Ms }) => p99Ms));
  const name = `${door}, 64 callers: p99 in milliseconds`;
  return [{ name, ours, reference: null, ratio: null, target: `<= ${limitMs}`, met: ours <= limitMs }];
}

function rowsOf(verifyUs: number): Row[] {
  const at64 = { callers: 64, rows: 1 };
  const many = { callers: MANY_ROWS_CALLERS, rows: MANY_ROWS };
  const [oip, graphql] = ['Open Inference', 'GraphQL'];
  const perSecond = ({ perSecond }: Measured): number => perSecond;
  const cpu = (door: string, setting: Setting, to: string, limit: string): Row[] =>
    ratioRow(
      `${door}, ${setting.callers} callers, ${setting.rows} row${setting.rows > 1 ? 's' : ''}: CPU, to ${to}`,
      limit,
      {
        setting,
        door,
        to,
        by: cpuOf,
      },
    );
  return [
    ...cpu(oip, at64, 'bare', '<= 2.4'),
    ...cpu(oip, at64, 'naive', '<= 0.9'),
    ...cpu(oip, { callers: 256, rows: 1 }, 'bare', '<= 2.0'),
    ...cpu(graphql, at64, 'bare', '<= 4.0'),
    ...ratioRow(`${oip}, 64 callers: requests per second, to bare`, '>= 0.45', {
      setting: at64,
      door: oip,
      to: 'bare',
      by: perSecond,
    }),
    ...provenRow(64, verifyUs),
    ...latencyRow(oip, 10),
    ...latencyRow(graphql, 20),
    ...cpu(oip, many, 'bare', '<= 1.3'),
    ...cpu(graphql, many, 'bare', '<= 1.3'),
  ];
}

function printAll(doors: readonly Door[]): void {
  for (const setting of settings) {
    console.log(`\n${setting.callers} callers, ${setting.rows} row${setting.rows > 1 ? 's' : ''} each`);
    console.log('                  API µs  database µs   x bare (range)         requests/s   p50 ms   p99 ms');
    const bare = results.get(setting)!.get('bare');
    for (const { name } of doors) {
      const measured = results.get(setting)!.get(name)!;
      const of = (what: (one: Measured) => number): string => median(measured.map(what)).toFixed(1);
      const ratios = bare ? sorted(measured.map((mine, run) => cpuOf(mine) / cpuOf(bare[run]!))) : [NaN];
      const told = `${median(ratios).toFixed(2)} (${ratios[0]!.toFixed(2)} to ${ratios.at(-1)!.toFixed(2)})`;
      const cells = [
        of(({ apiUs }) => apiUs).padStart(8),
        of(({ databaseUs }) => databaseUs).padStart(12),
        told.padStart(22),
        of(({ perSecond }) => perSecond).padStart(12),
        of(({ p50Ms }) => p50Ms).padStart(8),
        of(({ p99Ms }) => p99Ms).padStart(8),
      ];
      console.log(`${name.padEnd(16)}${cells.join(' ')}`);
    }
  }
}

async function main(): Promise<void> {
  const world = await makeWorld(option('--api-flags', '').split(' ').filter(Boolean));
  const children: ChildProcess[] = [];
  try {
    const bare = await startBare('bare', world.model, 'micro');
    const naive = await startBare('naive', world.model, 'naive');
    const load = child('./serve-load.ts');
    children.push(bare.process, naive.process, load);
    const all = [bare.door, naive.door, ...(await governedDoors(world))];
    const doors = all.filter(({ name }) => ONLY === '' || ONLY.split(',').includes(name));
    for (const setting of settings) results.set(setting, new Map(doors.map(({ name }) => [name, []])));
    for (let run = 0; run < RUNS; run++)
      for (const setting of settings)
        for (const door of doors)
          results
            .get(setting)!
            .get(door.name)!
            .push(await measure(load, door, setting, world));
    printAll(doors);
    const rows = rowsOf(verificationUs({ ...world.proven, key: world.key, url: 'http://localhost/' }));
    console.log('');
    for (const { name, ours, reference, ratio, target, met } of rows)
      console.log(
        `${name.padEnd(56)} ours ${ours.toFixed(1).padStart(9)}  to ${(reference?.toFixed(1) ?? '-').padStart(9)}  ratio ${(ratio?.toFixed(2) ?? '-').padStart(6)}  target ${(target ?? 'none').padEnd(8)} ${met === null ? '' : met ? 'met' : 'MISSED'}`.trimEnd(),
      );
    console.log(`Medians of ${RUNS} interleaved runs; load average at the end ${loadavg()[0]!.toFixed(1)}.`);
    if (args.includes('--json')) console.log(JSON.stringify({ bench: 'serve', rows }));
  } finally {
    for (const process of children) process.kill();
    await world.close();
  }
}

await main();

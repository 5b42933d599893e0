/**
 * Boosting beside XGBoost's `hist` on the same data with the same parameters, on two threads each, in interleaved runs, every
 * run a process of its own: `npm run bench -- train [--full] [--runs 5] [--threads 1] [--only name] [--json]`. Time is binning
 * and training; memory is the peak over the loaded data; small tables are trained several times in one process. XGBoost is
 * taken from the Python at PYTHON (/usr/bin/python3); without it only our figures are shown.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pace } from '../src/ml/core/pace.js';
import { type Table } from '../src/ml/core/table.js';
import { type Target } from '../src/ml/core/target.js';
import { parseParameters } from '../src/ml/spec.js';
import { fitBoosting } from '../src/ml/trees/fit.js';
import { addTree } from '../src/ml/trees/score.js';
import { higgsLike, type MadeData } from './higgs-like.js';

interface Case {
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  readonly leaves: number;
  /** Of XGBoost's time, at most. */
  readonly target: number;
  /** Trainings in one process, whose median counts. */
  readonly repeats: number;
  readonly isLong?: boolean;
  /** XGBoost's threads, where two only cost it time. */
  readonly referenceThreads?: 1;
}

const CASES: readonly Case[] = [
  { name: '569 x 28, 31 leaves', rows: 569, columns: 28, leaves: 31, target: 1.5, repeats: 15, referenceThreads: 1 },
  { name: '100,000 x 28, 31 leaves', rows: 100_000, columns: 28, leaves: 31, target: 0.6, repeats: 1 },
  { name: '100,000 x 28, 255 leaves', rows: 100_000, columns: 28, leaves: 255, target: 0.6, repeats: 1 },
  { name: '100,000 x 112, 31 leaves', rows: 100_000, columns: 112, leaves: 31, target: 0.6, repeats: 1 },
  {
    name: '1,000,000 x 28, 31 leaves',
    rows: 1_000_000,
    columns: 28,
    leaves: 31,
    target: 0.45,
    repeats: 1,
    isLong: true,
  },
  {
    name: '1,000,000 x 28, 255 leaves',
    rows: 1_000_000,
    columns: 28,
    leaves: 255,
    target: 0.45,
    repeats: 1,
    isLong: true,
  },
];
/** Log loss may be so much worse than the reference's; memory at most this share of its. */
const LOSS_MARGIN = 0.0005;
const MEMORY_TARGET = 0.6;
const ROUNDS = 100;

interface Order {
  readonly train: string;
  readonly test: string;
  readonly rows: number;
  readonly testRows: number;
  readonly columns: number;
  readonly leaves: number;
  readonly rounds: number;
  readonly repeats: number;
  readonly threads: number | null;
  readonly referenceThreads: number;
}
interface Outcome {
  readonly seconds: number;
  readonly logLoss: number;
  readonly peakBytes: number;
}

const args = process.argv.slice(2);
const option = (name: string): string | null => (args.includes(name) ? args[args.indexOf(name) + 1]! : null);

/** One process's work: trains as told and prints its outcome. */
async function child(order: Order): Promise<void> {
  const load = (path: string, rows: number): MadeData => ({
    columns: floats(path, rows, order.columns),
    y: floats(`${path}.y`, rows, 1)[0]!,
  });
  const data = load(order.train, order.rows);
  const table: Table = {
    rowCount: order.rows,
    columns: data.columns.map((values, k) => ({ name: `x${k}`, kind: 'number', values: Float64Array.from(values) })),
  };
  const parameters = parseParameters('GRADIENT_BOOSTING', {
    nEstimators: ROUNDS,
    numLeaves: order.leaves,
    earlyStoppingRounds: 0,
  });
  const lesson = {
    table,
    columns: table.columns.map(({ name }) => name),
    target: { task: 'binary', classes: ['0', '1'], y: Float64Array.from(data.y), warnings: [] } as unknown as Target,
    trainRows: Uint32Array.from({ length: order.rows }, (_, row) => row),
    validationRows: new Uint32Array(0),
    weights: null,
    seed: 1,
    pace: new Pace(new AbortController().signal),
    onRound: () => {},
    ...(order.threads === null ? {} : { threads: order.threads }),
  };
  writeFileSync('/proc/self/clear_refs', '5');
  const before = memory('VmRSS');
  const seconds: number[] = [];
  let learned = null;
  for (let i = 0; i < order.repeats; i++) {
    const start = performance.now();
    learned = await fitBoosting(lesson, parameters);
    seconds.push((performance.now() - start) / 1000);
  }
  const peakBytes = memory('VmHWM') - before;
  const { model } = learned!;
  if (model.family !== 'trees') throw new Error('Boosting gives trees.');
  const test = load(order.test, order.testRows);
  const raw = new Float64Array(order.testRows).fill(model.base[0]!);
  for (const tree of model.trees) addTree(tree, { rowCount: order.testRows, columns: test.columns }, [raw]);
  let loss = 0;
  for (let i = 0; i < raw.length; i++) loss += Math.log1p(Math.exp(test.y[i] === 1 ? -raw[i]! : raw[i]!));
  console.log(JSON.stringify({ seconds: median(seconds), logLoss: loss / raw.length, peakBytes } satisfies Outcome));
}

function floats(path: string, rows: number, columns: number): Float32Array[] {
  const bytes = readFileSync(path);
  const all = new Float32Array(bytes.buffer, bytes.byteOffset, rows * columns);
  return Array.from({ length: columns }, (_, k) => all.slice(k * rows, (k + 1) * rows));
}

function memory(name: 'VmRSS' | 'VmHWM'): number {
  const line = readFileSync('/proc/self/status', 'utf8')
    .split('\n')
    .find((text) => text.startsWith(name))!;
  return Number(line.split(/\s+/)[1]) * 1024;
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

function start(command: string, parameters: string[]): Outcome | null {
  const env = { ...process.env, OMP_WAIT_POLICY: 'passive' };
  const done = spawnSync(command, parameters, { encoding: 'utf8', maxBuffer: 1 << 24, env });
  if (done.status !== 0) {
    if (command === process.execPath) throw new Error(done.stderr);
    return null;
  }
  return JSON.parse(done.stdout.trim().split('\n').at(-1)!) as Outcome;
}

const python = process.env['PYTHON'] ?? '/usr/bin/python3';
const ours = (order: Order): Outcome =>
  start(process.execPath, ['--import', 'tsx', import.meta.filename, '--child', JSON.stringify(order)])!;
const theirs = (order: Order): Outcome | null =>
  start(python, ['-W', 'ignore', join(import.meta.dirname, 'train.py'), JSON.stringify(order)]);

function save(folder: string, name: string, data: MadeData): string {
  const path = join(folder, name);
  writeFileSync(path, Buffer.concat(data.columns.map((column) => Buffer.from(column.buffer))));
  writeFileSync(`${path}.y`, Buffer.from(data.y.buffer));
  return path;
}

interface Row {
  readonly name: string;
  readonly ours: number;
  readonly reference: number | null;
  readonly ratio: number | null;
  readonly target: number;
  readonly met: boolean | null;
}

function rowsOf(one: Case, mine: readonly Outcome[], other: readonly Outcome[]): Row[] {
  const of = (name: string, key: keyof Outcome, target: number): Row => {
    const [a, b] = [mine, other].map((all) => (all.length > 0 ? median(all.map((outcome) => outcome[key])) : null));
    // Log losses are compared by their difference.
    const ratio = b === null || b === undefined ? null : key === 'logLoss' ? a! - b : a! / b;
    const rowName = `${one.name}: ${name}`;
    return {
      name: rowName,
      ours: a!,
      reference: b ?? null,
      ratio,
      target,
      met: ratio === null ? null : ratio <= target,
    };
  };
  const rows = [of('seconds', 'seconds', one.target), of('log loss (difference)', 'logLoss', LOSS_MARGIN)];
  return one.repeats > 1 ? rows.slice(0, 1) : [...rows, of('peak bytes', 'peakBytes', MEMORY_TARGET)];
}

function compare(): void {
  const runs = Number(option('--runs') ?? 3);
  const only = option('--only');
  const threads = option('--threads');
  const chosen = CASES.filter(({ name, isLong }) =>
    only === null ? !isLong || args.includes('--full') : name === only,
  );
  const folder = mkdtempSync(join(tmpdir(), 'concordat-bench-'));
  const rows: Row[] = [];
  let hasReference = true;
  try {
    for (const one of chosen) {
      const testRows = Math.min(200_000, Math.max(one.rows / 5, 20_000));
      const order: Order = {
        ...one,
        train: save(folder, 'train', higgsLike(one.rows, one.columns, 1)),
        test: save(folder, 'test', higgsLike(testRows, one.columns, 2)),
        testRows,
        rounds: ROUNDS,
        threads: threads === null ? null : Number(threads),
        referenceThreads: one.referenceThreads ?? 2,
      };
      const [mine, other]: [Outcome[], Outcome[]] = [[], []];
      for (let run = 0; run < runs; run++) {
        mine.push(ours(order));
        const outcome = hasReference ? theirs(order) : null;
        if (outcome === null) hasReference = false;
        else other.push(outcome);
      }
      const made = rowsOf(one, mine, other);
      rows.push(...made);
      made.forEach(print);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  if (!hasReference) console.log(`XGBoost is left out: ${python} does not have it (apt-get install python3-xgboost).`);
  console.log(`Medians of ${runs} interleaved runs; load average at the end ${loadavg()[0]!.toFixed(1)}.`);
  if (args.includes('--json')) console.log(JSON.stringify({ bench: 'train', rows }));
}

function print({ name, ours: mine, reference, ratio, target, met }: Row): void {
  const show = (value: number | null): string =>
    value === null ? '-' : value > 1e5 ? `${(value / 2 ** 20).toFixed(0)} MiB` : value.toFixed(value < 1 ? 5 : 3);
  const verdict = met === null ? '' : met ? 'met' : 'MISSED';
  console.log(
    `${name.padEnd(52)} ours ${show(mine).padStart(9)}  XGBoost ${show(reference).padStart(9)}  ratio ${show(ratio).padStart(8)}  target ${target}  ${verdict}`,
  );
}

if (args[0] === '--child') await child(JSON.parse(args[1]!) as Order);
else compare();

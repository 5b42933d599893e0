/**
 * Boosting beside XGBoost's `hist` on the same data with the same parameters, on two threads each, in interleaved runs, every
 * run a process of its own: `npm run bench -- train [--full] [--runs 5] [--threads 1] [--only name] [--json]`. Time is binning
 * and training; memory is the peak over the loaded data; small tables are trained several times in one process. XGBoost is
 * taken from the Python at PYTHON (/usr/bin/python3); without it only our figures are shown. Every run has rows of its own, so
 * that the log loss is a mean over several samples, with its standard error. It is compared with the better mean of XGBoost's and
 * that of scikit-learn's HistGradientBoosting, where that is installed.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pace } from '../src/ml/core/pace.js';
import { predictTable } from '../src/ml/core/predict.js';
import { type Column, type Table } from '../src/ml/core/table.js';
import { type Target } from '../src/ml/core/target.js';
import { parseParameters } from '../src/ml/spec.js';
import { fitBoosting } from '../src/ml/trees/fit.js';
import { type BenchData, type Case, CASES } from './train-cases.js';

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
  readonly categorical: readonly number[];
  readonly leaves: number;
  readonly rounds: number;
  /** Whether prediction of the training rows is timed. */
  readonly predicts: boolean;
  /** Whether scikit-learn's boosting is asked for its log loss too. */
  readonly asksOther: boolean;
  readonly repeats: number;
  readonly threads: number | null;
  readonly referenceThreads: number;
}
interface Outcome {
  readonly seconds: number;
  readonly logLoss: number;
  /** Of scikit-learn's boosting. */
  readonly otherLogLoss?: number | null;
  readonly peakBytes: number;
  readonly predictSeconds: number | null;
}

const args = process.argv.slice(2);
const option = (name: string): string | null => (args.includes(name) ? args[args.indexOf(name) + 1]! : null);

/** One process's work: trains as told and prints its outcome. */
async function child(order: Order): Promise<void> {
  const load = (path: string, rows: number): BenchData => ({
    columns: floats(path, rows, order.columns),
    y: floats(`${path}.y`, rows, 1)[0]!,
    categorical: order.categorical,
  });
  const data = load(order.train, order.rows);
  const table = tableOf(data, order);
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
  const answers = (of: Table): Float64Array =>
    predictTable({ model, task: 'binary', classes: ['0', '1'], threshold: 0.5, target: 'y', inputs: [] }, of, null)
      .scores;
  let predictSeconds: number | null = null;
  if (order.predicts) {
    const start = performance.now();
    answers(table);
    predictSeconds = (performance.now() - start) / 1000;
  }
  const test = load(order.test, order.testRows);
  const scores = answers(tableOf(test, order));
  let loss = 0;
  for (let i = 0; i < test.y.length; i++)
    loss -= Math.log(Math.min(Math.max(test.y[i] === 1 ? scores[2 * i + 1]! : scores[2 * i]!, 1e-15), 1));
  const logLoss = loss / test.y.length;
  console.log(JSON.stringify({ seconds: median(seconds), logLoss, peakBytes, predictSeconds } satisfies Outcome));
}

/** Codes are named alike in both parts, so that the model knows those of the test rows. */
function tableOf(data: BenchData, order: Order): Table {
  const columns = data.columns.map((values, k): Column => {
    const name = `x${k}`;
    if (!order.categorical.includes(k)) return { name, kind: 'number', values: Float64Array.from(values) };
    const count = values.reduce((most, code) => Math.max(most, code), 0) + 1;
    const categories = Array.from({ length: count }, (_, code) => `c${code}`);
    return { name, kind: 'category', categories, codes: Int32Array.from(values) };
  });
  return { rowCount: data.y.length, columns };
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

function save(folder: string, name: string, data: BenchData): string {
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
  /** Standard error of the difference over the runs, for log losses. */
  readonly error?: number | null;
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Medians, and their ratio. */
function medianRow(name: string, target: number, mine: readonly number[], other: readonly number[]): Row {
  const [ours, reference] = [median(mine), other.length > 0 ? median(other) : null];
  const ratio = reference === null ? null : ours / reference;
  return { name, ours, reference, ratio, target, met: ratio === null ? null : ratio <= target };
}

/** The difference of means from the reference whose mean is less. */
function lossRow(one: Case, mine: readonly Outcome[], other: readonly Outcome[]): Row {
  const name = `${one.name}: log loss (difference)`;
  const losses = mine.map(({ logLoss }) => logLoss);
  const ours = mean(losses);
  const references = [other.map(({ logLoss }) => logLoss), other.map(({ otherLogLoss }) => otherLogLoss ?? Infinity)];
  const best = references.toSorted((a, b) => mean(a) - mean(b))[0]!;
  if (best.length === 0) return { name, ours, reference: null, ratio: null, target: LOSS_MARGIN, met: null };
  const differences = losses.map((loss, run) => loss - best[run]!);
  const ratio = mean(differences);
  const squares = differences.reduce((sum, difference) => sum + (difference - ratio) ** 2, 0);
  const error = losses.length > 1 ? Math.sqrt(squares / (losses.length - 1) / losses.length) : null;
  return { name, ours, reference: mean(best), ratio, target: LOSS_MARGIN, met: ratio <= LOSS_MARGIN, error };
}

function rowsOf(one: Case, mine: readonly Outcome[], other: readonly Outcome[]): Row[] {
  const row = (name: string, key: 'seconds' | 'peakBytes' | 'predictSeconds', target: number): Row =>
    medianRow(
      `${one.name}: ${name}`,
      target,
      ...([mine, other].map((all) => all.map((outcome) => outcome[key]!)) as [number[], number[]]),
    );
  const seconds = row('seconds', 'seconds', one.target);
  if (one.repeats > 1) return [seconds];
  return [
    seconds,
    lossRow(one, mine, other),
    row('peak bytes', 'peakBytes', MEMORY_TARGET),
    ...(one.predictTarget === undefined ? [] : [row('prediction, seconds', 'predictSeconds', one.predictTarget)]),
  ];
}

function orderOf(one: Case, [train, test]: readonly [BenchData, BenchData], folder: string): Order {
  const threads = option('--threads');
  return {
    leaves: one.leaves,
    repeats: one.repeats,
    predicts: one.predictTarget !== undefined,
    train: save(folder, 'train', train),
    test: save(folder, 'test', test),
    rows: train.y.length,
    testRows: test.y.length,
    columns: train.columns.length,
    categorical: train.categorical,
    rounds: ROUNDS,
    threads: threads === null ? null : Number(threads),
    referenceThreads: one.referenceThreads ?? 2,
    asksOther: one.repeats === 1,
  };
}

async function compare(): Promise<void> {
  const runs = Number(option('--runs') ?? 3);
  const only = option('--only');
  const chosen = CASES.filter(({ name, isLong }) =>
    only === null ? !isLong || args.includes('--full') : name === only,
  );
  const folder = mkdtempSync(join(tmpdir(), 'concordat-bench-'));
  const rows: Row[] = [];
  let hasReference = true;
  try {
    for (const one of chosen) {
      const [mine, other]: [Outcome[], Outcome[]] = [[], []];
      for (let run = 0; run < runs; run++) {
        const data = await one.make(run + 1);
        if (data === null) break;
        const order = orderOf(one, data, folder);
        mine.push(ours(order));
        const outcome = hasReference ? theirs(order) : null;
        if (outcome === null) hasReference = false;
        else other.push(outcome);
      }
      if (mine.length === 0) {
        console.log(`${one.name} is left out: its data is not in DATA.`);
        continue;
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

function print({ name, ours: mine, reference, ratio, target, met, error }: Row): void {
  const show = (value: number | null): string =>
    value === null ? '-' : value > 1e5 ? `${(value / 2 ** 20).toFixed(0)} MiB` : value.toFixed(value < 1 ? 5 : 3);
  const verdict = met === null ? '' : met ? 'met' : 'MISSED';
  console.log(
    `${name.padEnd(52)} ours ${show(mine).padStart(9)}  XGBoost ${show(reference).padStart(9)}  ratio ${show(ratio).padStart(8)}  target ${target}  ${verdict}${error ? ` (± ${error.toFixed(5)})` : ''}`,
  );
}

if (args[0] === '--child') await child(JSON.parse(args[1]!) as Order);
else await compare();

/**
 * Forests and single trees beside scikit-learn's on the same data with the same parameters, on two threads each, in interleaved
 * runs, every run a process of its own: `npm run bench -- forest [--runs 5] [--only name] [--threads 1] [--json]`. Time is binning
 * and growing; memory is the peak over the loaded data. scikit-learn is taken from the Python at PYTHON (/usr/bin/python3);
 * without it only our figures are shown.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { auc, rank } from '../src/ml/core/metric.js';
import { Pace } from '../src/ml/core/pace.js';
import { type Table } from '../src/ml/core/table.js';
import { parseParameters } from '../src/ml/spec.js';
import { fitExtraTrees, fitForest, fitSingleTree } from '../src/ml/trees/fit-forest.js';
import { addTree } from '../src/ml/trees/score.js';
import { higgsLike, type MadeData } from './higgs-like.js';

interface Case {
  readonly name: string;
  readonly algorithm: 'RANDOM_FOREST' | 'EXTRA_TREES' | 'DECISION_TREE';
  readonly rows: number;
  readonly columns: number;
  readonly trees: number;
  readonly minSamplesLeaf: number;
  /** Of scikit-learn's time, at most. */
  readonly target: number;
}

const SIZE = { rows: 100_000, columns: 28 } as const;
const CASES: readonly Case[] = [
  { name: 'random forest', algorithm: 'RANDOM_FOREST', ...SIZE, trees: 100, minSamplesLeaf: 1, target: 0.25 },
  { name: 'extra trees', algorithm: 'EXTRA_TREES', ...SIZE, trees: 100, minSamplesLeaf: 1, target: 1 },
  { name: 'single tree', algorithm: 'DECISION_TREE', ...SIZE, trees: 1, minSamplesLeaf: 1, target: 0.5 },
  {
    name: 'single tree, 20 rows a leaf',
    algorithm: 'DECISION_TREE',
    ...SIZE,
    trees: 1,
    minSamplesLeaf: 20,
    target: 0.5,
  },
];
const TEST_ROWS = 20_000;
/** Of runs with other seeds the log losses differ by about a thousandth. */
const LOSS_MARGIN = 0.002;
const AUC_MARGIN = 0.002;
const MEMORY_TARGET = 0.6;

interface Order extends Case {
  readonly train: string;
  readonly test: string;
  readonly testRows: number;
  readonly threads: number | null;
  readonly seed: number;
}
interface Outcome {
  readonly seconds: number;
  readonly logLoss: number;
  readonly auc: number;
  readonly peakBytes: number;
}

const args = process.argv.slice(2);
const option = (name: string): string | null => (args.includes(name) ? args[args.indexOf(name) + 1]! : null);

function load(path: string, rows: number, columns: number): MadeData {
  const floats = (file: string, width: number): Float32Array[] => {
    const bytes = readFileSync(file);
    const all = new Float32Array(bytes.buffer, bytes.byteOffset, rows * width);
    return Array.from({ length: width }, (_, k) => all.slice(k * rows, (k + 1) * rows));
  };
  return { columns: floats(path, columns), y: floats(`${path}.y`, 1)[0]! };
}

function memory(name: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync('/proc/self/status', 'utf8').split('\n');
  return Number(status.find((text) => text.startsWith(name))!.split(/\s+/)[1]) * 1024;
}

function fit(lesson: Parameters<typeof fitForest>[0], { algorithm, trees, minSamplesLeaf }: Order) {
  const given = { nEstimators: trees, minSamplesLeaf };
  if (algorithm === 'RANDOM_FOREST') return fitForest(lesson, parseParameters(algorithm, given));
  if (algorithm === 'EXTRA_TREES') return fitExtraTrees(lesson, parseParameters(algorithm, given));
  return fitSingleTree(lesson, parseParameters(algorithm, { minSamplesLeaf, maxDepth: 0 }));
}

/** One process's work: trains as told and prints its outcome. */
async function child(order: Order): Promise<void> {
  const data = load(order.train, order.rows, order.columns);
  const table: Table = {
    rowCount: order.rows,
    columns: data.columns.map((values, k) => ({ name: `x${k}`, kind: 'number', values: Float64Array.from(values) })),
  };
  const lesson = {
    table,
    columns: table.columns.map(({ name }) => name),
    target: { task: 'binary', classes: ['0', '1'], y: Float64Array.from(data.y), warnings: [] },
    trainRows: Uint32Array.from({ length: order.rows }, (_, row) => row),
    validationRows: new Uint32Array(0),
    weights: null,
    seed: order.seed,
    pace: new Pace(new AbortController().signal),
    onRound: () => {},
    ...(order.threads === null ? {} : { threads: order.threads }),
  } as const;
  writeFileSync('/proc/self/clear_refs', '5');
  const before = memory('VmRSS');
  const start = performance.now();
  const { model } = await fit(lesson, order);
  const seconds = (performance.now() - start) / 1000;
  const peakBytes = memory('VmHWM') - before;
  if (model.family !== 'trees') throw new Error('Forests are trees.');
  const test = load(order.test, order.testRows, order.columns);
  const sums = [new Float64Array(order.testRows), new Float64Array(order.testRows)];
  for (const tree of model.trees) addTree(tree, { rowCount: order.testRows, columns: test.columns }, sums);
  const p = sums[1]!.map((sum) => Math.min(1 - 1e-3, Math.max(1e-3, sum / model.trees.length)));
  const loss = p.reduce((sum, share, i) => sum - Math.log(test.y[i] === 1 ? share : 1 - share), 0);
  const once = new Float64Array(p.length).fill(1);
  const outcome: Outcome = {
    seconds,
    logLoss: loss / p.length,
    auc: auc(rank(p), Int32Array.from(test.y), 1, once)!,
    peakBytes,
  };
  console.log(JSON.stringify(outcome));
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

function start(command: string, parameters: string[]): Outcome | null {
  const done = spawnSync(command, parameters, { encoding: 'utf8', maxBuffer: 1 << 24 });
  if (done.status === 0) return JSON.parse(done.stdout.trim().split('\n').at(-1)!) as Outcome;
  if (command === process.execPath) throw new Error(done.stderr);
  return null;
}

const python = process.env['PYTHON'] ?? '/usr/bin/python3';
const ours = (order: Order): Outcome =>
  start(process.execPath, ['--import', 'tsx', import.meta.filename, '--child', JSON.stringify(order)])!;
const theirs = (order: Order): Outcome | null =>
  start(python, ['-W', 'ignore', join(import.meta.dirname, 'forest.py'), JSON.stringify(order)]);

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
  /** Of times and memory; of figures the difference by which ours is worse. */
  readonly ratio: number | null;
  readonly target: number;
  readonly met: boolean | null;
}

function rowsOf(one: Case, mine: readonly Outcome[], other: readonly Outcome[]): Row[] {
  const of = (name: string, key: keyof Outcome, target: number): Row => {
    const a = median(mine.map((outcome) => outcome[key]));
    const b = other.length > 0 ? median(other.map((outcome) => outcome[key])) : null;
    const ratio = b === null ? null : key === 'logLoss' ? a - b : key === 'auc' ? b - a : a / b;
    const met = ratio === null ? null : ratio <= target;
    return { name: `${one.name}: ${name}`, ours: a, reference: b, ratio, target, met };
  };
  return [
    of('seconds', 'seconds', one.target),
    of('log loss (difference)', 'logLoss', LOSS_MARGIN),
    of('AUC (difference)', 'auc', AUC_MARGIN),
    of('peak bytes', 'peakBytes', MEMORY_TARGET),
  ];
}

function print({ name, ours: mine, reference, ratio, target, met }: Row): void {
  const show = (value: number | null): string =>
    value === null ? '-' : value > 1e5 ? `${(value / 2 ** 20).toFixed(0)} MiB` : value.toFixed(value < 1 ? 5 : 3);
  const verdict = met === null ? '' : met ? 'met' : 'MISSED';
  console.log(
    `${name.padEnd(52)} ours ${show(mine).padStart(9)}  scikit-learn ${show(reference).padStart(9)}  ratio ${show(ratio).padStart(8)}  target ${target}  ${verdict}`,
  );
}

function compare(): void {
  const runs = Number(option('--runs') ?? 3);
  const only = option('--only');
  const threads = option('--threads');
  const folder = mkdtempSync(join(tmpdir(), 'concordat-bench-'));
  const rows: Row[] = [];
  let hasReference = true;
  try {
    for (const one of CASES.filter(({ name }) => only === null || name === only)) {
      const [mine, other]: [Outcome[], Outcome[]] = [[], []];
      const files = {
        train: save(folder, 'train', higgsLike(one.rows, one.columns, 1)),
        test: save(folder, 'test', higgsLike(TEST_ROWS, one.columns, 2)),
      };
      for (let seed = 1; seed <= runs; seed++) {
        const shared = { testRows: TEST_ROWS, threads: threads === null ? null : Number(threads), seed };
        const order: Order = { ...one, ...files, ...shared };
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
  if (!hasReference) console.log(`scikit-learn is left out: ${python} does not have it (apt install python3-sklearn).`);
  console.log(`Medians of ${runs} interleaved runs; load average at the end ${loadavg()[0]!.toFixed(1)}.`);
  if (args.includes('--json')) console.log(JSON.stringify({ bench: 'forest', rows }));
}

if (args[0] === '--child') await child(JSON.parse(args[1]!) as Order);
else compare();

/**
 * Test figures of our algorithms beside scikit-learn's, on the same splits: `npm run bench -- accuracy [data directory] [seeds] [first seed]`.
 * Every figure is the mean over the seeds (standard deviation in brackets). Without scikit-learn only our own are shown.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ALGORITHMS } from '../src/ml/spec.js';
import { assignSplit } from '../src/ml/split.js';
import { type Column, type Table, train } from '../src/ml/train.js';
import { readCsv } from '../test/ml/csv.js';

interface DataSet {
  readonly path: string;
  readonly target: string;
  readonly task: 'BINARY' | 'MULTICLASS' | 'REGRESSION';
  /** Every so manyth row only. */
  readonly every: number;
}

const SETS: readonly DataSet[] = [
  { path: 'breast_cancer/breast_cancer.csv', target: 'diagnosis', task: 'BINARY', every: 1 },
  { path: 'german_credit/german_credit.csv', target: 'class', task: 'BINARY', every: 1 },
  { path: 'credit_scoring/credit_data.csv', target: 'Status', task: 'BINARY', every: 1 },
  { path: 'penguins/penguins.csv', target: 'species', task: 'MULTICLASS', every: 1 },
  { path: 'ames_housing/ames.csv', target: 'Sale_Price', task: 'REGRESSION', every: 1 },
  { path: 'diamonds/diamonds.csv', target: 'price', task: 'REGRESSION', every: 5 },
];

type Results = Record<string, Record<string, number>>;
interface Request {
  readonly path: string;
  readonly target: string;
  readonly task: string;
  readonly rows: readonly number[];
  readonly assignment: readonly number[];
}

const directory = process.argv[2] ?? 'examples';
const seeds = Array.from({ length: Number(process.argv[3] ?? 5) }, (_, i) => i + Number(process.argv[4] ?? 1));

/** Some rows of a table. */
function take(table: Table, rows: readonly number[]): Table {
  const columns = table.columns.map((column): Column => {
    if (column.kind === 'category') return { ...column, codes: Int32Array.from(rows, (row) => column.codes[row]) };
    return { ...column, values: Float64Array.from(rows, (row) => column.values[row]) };
  });
  return { rowCount: rows.length, columns };
}

async function ours(table: Table, set: DataSet, assignment: Uint8Array, seed: number): Promise<Results> {
  const results: Results = {};
  for (const algorithm of ALGORITHMS) {
    const spec = {
      algorithm,
      task: set.task,
      target: set.target,
      features: null,
      parameters: { decisionThreshold: 'HALF' },
      seed,
    };
    const start = performance.now();
    let learned = start;
    const onRound = (): void => void (learned = performance.now());
    const { test, parity } = await train(spec, table, { assignment, signal: new AbortController().signal, onRound });
    if (!parity.passed) console.log(`PARITY FAILED: ${set.path} ${algorithm} ${parity.maxDifference}`);
    const figures = test.figures.flatMap(({ name, value }) => (value === null ? [] : [[name, value] as const]));
    results[algorithm] = { ...Object.fromEntries(figures), seconds: (learned - start) / 1000 };
  }
  return results;
}

function theirs(requests: readonly Request[]): Results[] | null {
  const script = new URL('accuracy.py', import.meta.url).pathname;
  const input = requests.map((request) => JSON.stringify(request)).join('\n');
  const done = spawnSync(process.env['PYTHON'] ?? '/usr/bin/python3', ['-W', 'ignore', script], {
    input,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: { ...process.env, OMP_WAIT_POLICY: 'passive' },
  });
  if (done.status !== 0) {
    console.log(
      `scikit-learn did not answer (Debian: apt install python3-sklearn python3-pandas): ${done.stderr.trim().split('\n').at(-1)}`,
    );
    return null;
  }
  return done.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Results);
}

function summary(results: readonly Results[] | null, algorithm: string, name: string): string {
  if (results === null) return '-';
  if (results.some((result) => result[algorithm] === undefined)) return '-';
  const values = results.map((result) => result[algorithm][name]);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
  const digits = name === 'seconds' ? 2 : name === 'RMSE' ? 1 : 4;
  return name === 'seconds' ? mean.toFixed(digits) : `${mean.toFixed(digits)} (${deviation.toFixed(digits)})`;
}

console.log(
  '| data | algorithm | figure | Concordat | scikit-learn | s | s |\n| --- | --- | --- | --- | --- | --- | --- |',
);
for (const set of SETS) {
  const path = join(directory, set.path);
  if (!existsSync(path)) {
    console.log(`${path} is not there: left out.`);
    continue;
  }
  const whole = readCsv(path);
  const rows = Array.from({ length: whole.rowCount }, (_, row) => row).filter((row) => row % set.every === 0);
  const table = take(whole, rows);
  const requests: Request[] = [];
  const mine: Results[] = [];
  for (const seed of seeds) {
    const isNumber = set.task === 'REGRESSION';
    const assignment = assignSplit(table, {
      method: isNumber ? 'RANDOM' : 'STRATIFIED',
      column: set.target,
      shares: { train: 0.6, validation: 0.2, test: 0.2 },
      seed,
    });
    requests.push({ path, target: set.target, task: set.task, rows, assignment: [...assignment] });
    mine.push(await ours(table, set, assignment, seed));
  }
  const other = theirs(requests);
  for (const algorithm of ALGORITHMS) {
    for (const name of set.task === 'REGRESSION' ? ['RMSE', 'R2'] : ['ACCURACY', 'AUC', 'LOG_LOSS']) {
      const cells = [
        set.path.split('/')[0],
        algorithm,
        name,
        ...[mine, other].map((r) => summary(r, algorithm, name)),
        ...[mine, other].map((r) => summary(r, algorithm, 'seconds')),
      ];
      console.log(`| ${cells.join(' | ')} |`);
    }
  }
}

/**
 * Test figures of our algorithms beside those of scikit-learn, XGBoost and LightGBM, at equal parameters on the same rows:
 * `npm run bench -- accuracy [data directory] [seeds] [first seed] [--only table,table] [--algorithms A,B] [--json]`. Every figure is the
 * mean over the seeds (standard deviation in brackets). A loss is missed where its mean is more than 0.5 % worse than the
 * reference's; whether that is more than the noise of the seeds, the standard error of the paired difference tells. What a library
 * that is not there would answer is left open: scikit-learn, XGBoost and LightGBM are looked for in the Python at PYTHON (/usr/bin/python3).
 *
 * Both sides take categories in their own way. Where ours differs from the reference's, a row "equal input" compares trees that are
 * given just what the reference is given.
 */
import { spawnSync } from 'node:child_process';
import { type Algorithm, ALGORITHMS } from '../src/ml/spec.js';
import { type Table, train } from '../src/ml/train.js';
import { DATA_SETS, type DataSet, loadSet, splitOf } from './tables.js';

type Figures = Readonly<Record<string, number>>;
type Results = Readonly<Record<string, Figures | undefined>>;

const args = process.argv.slice(2);
const only = args.includes('--only') ? args[args.indexOf('--only') + 1]!.split(',') : null;
const wanted = args.includes('--algorithms') ? args[args.indexOf('--algorithms') + 1]!.split(',') : null;
const plain = args.filter((arg, i) => !arg.startsWith('--') && !/^--(only|algorithms)$/.test(args[i - 1] ?? ''));
const directory = plain[0] ?? 'examples';
const seeds = Array.from({ length: Number(plain[1] ?? 3) }, (_, i) => i + Number(plain[2] ?? 1));

/** Our mean loss as a share of the reference's, at most. */
const TARGET = 1.005;

/** One line of the comparison: ours with some parameters beside the reference of an algorithm. */
interface Entry {
  readonly name: string;
  readonly algorithm: Algorithm;
  readonly parameters: Readonly<Record<string, number | string>>;
}

/** What has to be said to have the same as a reference that takes categories one-hot, and its leaves as they are. */
const EQUAL_INPUT: Partial<Record<Algorithm, Entry['parameters']>> = {
  DECISION_TREE: { categoryEncoding: 'ONE_HOT', leafSmooth: 0 },
  RANDOM_FOREST: { categoryEncoding: 'ONE_HOT' },
  EXTRA_TREES: { categoryEncoding: 'ONE_HOT' },
  XGBOOST: { categoryEncoding: 'ONE_HOT' },
};

const chosen = ALGORITHMS.filter((algorithm) => wanted === null || wanted.includes(algorithm));

function entriesOf(table: Table, { target, task }: DataSet): Entry[] {
  const hasCategories = table.columns.some(({ name, kind }) => kind === 'category' && name !== target);
  return chosen.flatMap((algorithm) => {
    const equal = EQUAL_INPUT[algorithm];
    const isOther = equal !== undefined && (hasCategories || ('leafSmooth' in equal && task !== 'REGRESSION'));
    const own = { name: algorithm, algorithm, parameters: {} };
    return isOther ? [own, { name: `${algorithm}, equal input`, algorithm, parameters: equal }] : [own];
  });
}

async function ours(table: Table, set: DataSet, assignment: Uint8Array, seed: number): Promise<Results> {
  const results: Record<string, Figures> = {};
  for (const { name, algorithm, parameters } of entriesOf(table, set)) {
    const spec = {
      algorithm,
      task: set.task,
      target: set.target,
      features: null,
      parameters: { decisionThreshold: 'HALF', ...parameters },
      seed,
    };
    const start = performance.now();
    let learned = start;
    const onRound = (): void => void (learned = performance.now());
    const { test, parity } = await train(spec, table, { assignment, signal: new AbortController().signal, onRound });
    if (!parity.passed) console.log(`PARITY FAILED: ${set.path} ${name} ${parity.maxDifference}`);
    const figures = test.figures.flatMap(({ name: figure, value }) =>
      value === null ? [] : [[figure, value] as const],
    );
    results[name] = { ...Object.fromEntries(figures), seconds: (learned - start) / 1000 };
  }
  return results;
}

function theirs(requests: readonly object[]): Results[] | null {
  const script = new URL('accuracy.py', import.meta.url).pathname;
  const done = spawnSync(process.env['PYTHON'] ?? '/usr/bin/python3', ['-W', 'ignore', script], {
    input: requests.map((request) => JSON.stringify(request)).join('\n'),
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

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const deviation = (values: readonly number[]): number =>
  Math.sqrt(mean(values.map((value) => (value - mean(values)) ** 2)));

/** By seed; null: the library is not there. */
function valuesOf(results: readonly Results[] | null, algorithm: string, name: string): number[] | null {
  const values = results?.map((result) => result[algorithm]?.[name]);
  return values === undefined || values.includes(undefined) ? null : (values as number[]);
}

function shown(values: readonly number[] | null, name: string): string {
  if (values === null) return '-';
  if (name === 'seconds') return mean(values).toFixed(2);
  const digits = name === 'RMSE' ? 3 : 4;
  return `${mean(values).toFixed(digits)} (${deviation(values).toFixed(digits)})`;
}

interface Row {
  readonly name: string;
  readonly ours: number;
  readonly reference: number | null;
  readonly ratio: number | null;
  readonly target: number;
  readonly met: boolean | null;
  /** Standard error of the difference, as a share of the reference's loss. */
  readonly error: number | null;
}

function rowOf(name: string, mine: readonly number[], other: readonly number[] | null): Row {
  if (other === null)
    return {
      name: `${name} (reference missing)`,
      ours: mean(mine),
      reference: null,
      ratio: null,
      target: TARGET,
      met: null,
      error: null,
    };
  const ratio = mean(mine) / mean(other);
  const differences = mine.map((value, i) => value - other[i]!);
  const error = deviation(differences) / Math.sqrt(Math.max(1, differences.length - 1)) / mean(other);
  return {
    name,
    ours: mean(mine),
    reference: mean(other),
    ratio,
    target: TARGET,
    met: ratio <= TARGET,
    error,
  };
}

const rows: Row[] = [];
console.log(
  '| data | algorithm | figure | Concordat | reference | s | s |\n| --- | --- | --- | --- | --- | --- | --- |',
);
for (const set of DATA_SETS.filter(({ name }) => only === null || only.includes(name))) {
  const loaded = await loadSet(directory, set);
  if (loaded === null) {
    console.log(`${set.path} is not in ${directory}: left out.`);
    continue;
  }
  const { table, csv, rows: taken } = loaded;
  const requests: object[] = [];
  const mine: Results[] = [];
  for (const seed of seeds) {
    const assignment = splitOf(table, set, seed);
    const { target, task, without = [] } = set;
    requests.push({ path: csv, target, task, rows: taken, without, assignment: [...assignment], algorithms: chosen });
    mine.push(await ours(table, set, assignment, seed));
  }
  const other = theirs(requests);
  loaded.close();
  for (const { name, algorithm } of entriesOf(table, set)) {
    const figures = set.task === 'REGRESSION' ? ['RMSE', 'R2'] : ['LOG_LOSS', 'ACCURACY', 'AUC'];
    const both = (figure: string) =>
      [valuesOf(mine, name, figure), valuesOf(other, name, figure) ?? valuesOf(other, algorithm, figure)] as const;
    const seconds = both('seconds').map((values) => shown(values, 'seconds'));
    for (const figure of figures) {
      const pair = both(figure).map((values) => shown(values, figure));
      console.log(`| ${[set.name, name, figure, ...pair, ...seconds].join(' | ')} |`);
    }
    const [a, b] = both(figures[0]!);
    rows.push(rowOf(`${set.name}: ${name} ${figures[0]}`, a!, b));
  }
}
const missed = rows.filter(({ met }) => met === false);
console.log(`${rows.filter(({ met }) => met === true).length} of ${rows.length} met, ${missed.length} missed:`);
for (const { name, ratio, error } of missed)
  console.log(
    `  ${name}: ${ratio!.toFixed(4)} of the reference's loss, ± ${error!.toFixed(4)}${ratio! - 1 <= 2 * error! ? ' (within two standard errors)' : ''}`,
  );
if (args.includes('--json')) console.log(JSON.stringify({ bench: 'accuracy', rows }));

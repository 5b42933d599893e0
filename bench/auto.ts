/**
 * AUTO, given some seconds for each table, beside libraries at their defaults on the same rows: `npm run bench -- auto
 * [data directory] [seeds] [first seed] [--seconds 60] [--threads 2] [--only table] [--json]`. The references learn from the training and
 * the validation rows together; AUTO divides its time between search and learning as it likes. What counts is the mean rank by
 * log loss or RMSE on the test rows. Without scikit-learn and XGBoost only our own figures are shown.
 */
import { spawnSync } from 'node:child_process';
import { loadavg } from 'node:os';
import { runStudy } from '../src/ml/tune.js';
import { type Table, train } from '../src/ml/train.js';
import { DATA_SETS, type DataSet, loadSet, splitOf } from './tables.js';

type Figures = Readonly<Record<string, number>>;
type Results = Readonly<Record<string, Figures>>;

const args = process.argv.slice(2);
const option = (name: string): string | null => (args.includes(name) ? args[args.indexOf(name) + 1]! : null);
const plain = args.filter((arg, i) => !arg.startsWith('--') && !/^--(seconds|only|threads)$/.test(args[i - 1] ?? ''));
const directory = plain[0] ?? 'examples';
const seeds = Array.from({ length: Number(plain[1] ?? 3) }, (_, i) => i + Number(plain[2] ?? 1));
const seconds = Number(option('--seconds') ?? 60);
const parallelism = Number(option('--threads') ?? 2);
const only = option('--only')?.split(',') ?? null;

const REFERENCES = ['LINEAR', 'RANDOM_FOREST', 'HIST_BOOSTING', 'XGBOOST'] as const;
const ours = 'AUTO';
/** Of the seconds given, at most. */
const TIME_TARGET = 1.1;

async function auto(table: Table, set: DataSet, assignment: Uint8Array, seed: number): Promise<Figures> {
  const start = performance.now();
  const { signal } = new AbortController();
  const common = { target: set.target, features: null, task: set.task, seed } as const;
  const study = await runStudy(
    {
      ...common,
      search: 'AUTO',
      algorithms: null,
      space: [],
      metric: null,
      folds: null,
      limits: { trials: null, seconds, latencyMicros: null },
    },
    table,
    {
      assignment,
      signal,
      history: [],
      parallelism,
      elapsedMsBefore: 0,
      now: () => performance.now(),
      onTrial: () => {},
      onProgress: () => {},
    },
  );
  if (study.fit === null) throw new Error('No trial was completed.');
  const searched = (performance.now() - start) / 1000;
  const { test, parity } = await train(study.fit, table, { assignment, signal, onRound: () => {} });
  const taken = (performance.now() - start) / 1000;
  if (!parity.passed) console.log(`PARITY FAILED: ${set.name} ${parity.maxDifference}`);
  const states = study.trials.map(({ state }) => state);
  const count = (state: string): number => states.filter((one) => one === state).length;
  const leaders = study.leaderboard.slice(0, 6).map(({ algorithm, value }) => `${algorithm} ${value!.toPrecision(4)}`);
  const { best } = study;
  const members = best!.members?.map(({ algorithm, weight }) => `${algorithm}x${weight ?? 1}`).join(' + ') ?? '';
  console.log(
    `  ${set.name} seed ${seed}: ${states.length} trials (${count('COMPLETE')} complete, ${count('PRUNED')} pruned, ${count('FAILED')} failed), searched ${searched.toFixed(1)} s, in all ${taken.toFixed(1)} s`,
  );
  console.log(`    chose ${best!.algorithm} ${members} ${best!.value!.toPrecision(4)}; best: ${leaders.join(', ')}`);
  for (const { algorithm, error } of study.trials.filter(({ state }) => state === 'FAILED'))
    console.log(`    ${algorithm} failed: ${error!.code} ${error!.message}`);
  const figures = test.figures.flatMap(({ name, value }) => (value === null ? [] : [[name, value] as const]));
  return { ...Object.fromEntries(figures), seconds: taken };
}

function theirs(requests: readonly object[]): Results[] | null {
  const script = new URL('auto.py', import.meta.url).pathname;
  const done = spawnSync(process.env['PYTHON'] ?? '/usr/bin/python3', ['-W', 'ignore', script], {
    input: requests.map((request) => JSON.stringify(request)).join('\n'),
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: { ...process.env, OMP_WAIT_POLICY: 'passive' },
  });
  if (done.status !== 0) {
    console.log(`The references did not answer: ${done.stderr.trim().split('\n').at(-1)}`);
    return null;
  }
  return done.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Results);
}

/** Places among all, 1 the least value; equal values share theirs. */
function ranks(values: readonly number[]): number[] {
  return values.map((value) => {
    const less = values.filter((other) => other < value).length;
    const same = values.filter((other) => other === value).length;
    return less + (same + 1) / 2;
  });
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const places = new Map<string, number[]>([...REFERENCES, ours].map((name) => [name, []]));
const times: number[] = [];
let missing: string | null = null;
for (const set of DATA_SETS.filter(({ name }) => only === null || only.includes(name))) {
  const loaded = await loadSet(directory, set);
  if (loaded === null) {
    console.log(`${set.path} is not in ${directory}: left out.`);
    continue;
  }
  const { table, csv, rows } = loaded;
  const requests: object[] = [];
  const mine: Figures[] = [];
  for (const seed of seeds) {
    const assignment = splitOf(table, set, seed);
    const { target, task, without = [] } = set;
    requests.push({ path: csv, target, task, rows, without, seed, assignment: [...assignment] });
    mine.push(await auto(table, set, assignment, seed));
  }
  const other = theirs(requests);
  loaded.close();
  times.push(...mine.map((figures) => figures['seconds']!));
  const figure = set.task === 'REGRESSION' ? 'RMSE' : 'LOG_LOSS';
  const shown = [`${ours} ${mean(mine.map((figures) => figures[figure]!)).toPrecision(4)}`];
  if (other === null) missing = 'scikit-learn or XGBoost (apt install python3-sklearn python3-xgboost python3-pandas)';
  else {
    for (const name of REFERENCES)
      shown.push(`${name} ${mean(other.map((results) => results[name]![figure]!)).toPrecision(4)}`);
    mine.forEach((figures, i) => {
      const values = [...REFERENCES.map((name) => other[i]![name]![figure]!), figures[figure]!];
      ranks(values).forEach((place, at) => places.get([...REFERENCES, ours][at]!)!.push(place));
    });
  }
  console.log(`${set.name}: ${figure} ${shown.join('  ')}`);
}

interface Row {
  readonly name: string;
  readonly ours: number | null;
  readonly reference: number | null;
  readonly ratio: number | null;
  readonly target: number;
  readonly met: boolean | null;
}
const own = places.get(ours)!;
const result: Row[] = REFERENCES.map((name) => {
  const [a, b] = own.length === 0 ? [null, null] : [mean(own), mean(places.get(name)!)];
  const ratio = a === null || b === null ? null : a / b;
  return {
    name: `mean rank: AUTO beside ${name}`,
    ours: a,
    reference: b,
    ratio,
    target: 1,
    met: ratio === null ? null : ratio < 1,
  };
});
const slowest = times.length === 0 ? null : Math.max(...times);
result.push({
  name: `seconds, of ${seconds}`,
  ours: slowest,
  reference: seconds,
  ratio: slowest === null ? null : slowest / seconds,
  target: TIME_TARGET,
  met: slowest === null ? null : slowest / seconds <= TIME_TARGET,
});
if (missing !== null) console.log(`References are missing: ${missing}.`);
for (const { name, ours: a, reference, target, met } of result)
  console.log(
    `${name.padEnd(40)} ${a?.toFixed(2) ?? '-'}  ${reference?.toFixed(2) ?? '-'}  target ${target}  ${met === null ? 'reference missing' : met ? 'met' : 'MISSED'}`,
  );
console.log(`${own.length} comparisons; load average at the end ${loadavg()[0]!.toFixed(1)}.`);
if (args.includes('--json')) console.log(JSON.stringify({ bench: 'auto', rows: result }));

/** What boosting learns by each objective, beside XGBoost and LightGBM (goldens/objectives.py), and through a whole training. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Lesson } from '../../src/ml/core/learned.js';
import { Pace } from '../../src/ml/core/pace.js';
import { type Target } from '../../src/ml/core/target.js';
import { parseParameters } from '../../src/ml/spec.js';
import { assignSplit } from '../../src/ml/split.js';
import { type Artifact, type Table, train, type TrainSpec } from '../../src/ml/train.js';
import { fitBoosting } from '../../src/ml/trees/fit.js';
import { lossOf, type Objective } from '../../src/ml/trees/objective.js';
import { addTree } from '../../src/ml/trees/score.js';
import { madeTable } from './tables.js';

const goldens = JSON.parse(readFileSync(new URL('../goldens/objectives.json', import.meta.url), 'utf8')) as Record<
  string,
  Record<string, number>
>;

const ROWS = 900;
const ALL = 1500;

/** The table of goldens/objectives.py. */
function made(): { x: Float64Array[]; noise: Float64Array[] } {
  let state = 12345;
  const draw = (): number => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >> 8) / 2 ** 23;
  };
  const x = Array.from({ length: 5 }, () => new Float64Array(ALL));
  const noise = Array.from({ length: 3 }, () => new Float64Array(ALL));
  for (let i = 0; i < ALL; i++) for (const column of [...x, ...noise]) column[i] = draw();
  return { x, noise };
}

function targetOf(name: string, i: number, x: Float64Array[], noise: Float64Array[]): number {
  const [a, b, c, d, e] = x.map((column) => column[i]!) as [number, number, number, number, number];
  const [n, m, o] = noise.map((column) => column[i]!) as [number, number, number];
  const centre = 3 * a + 2 * (b > 0.5 ? 1 : 0) * c - d;
  const spread = (n + m - 1) * (0.5 + e);
  const outlier = o > 0.95 ? 20 * (n - 0.3) : 0;
  const rate = Math.exp(centre / 2);
  const size = rate * (0.2 + 2 * m * o);
  switch (name) {
    case 'LOGISTIC':
    case 'WEIGHTED_LOGISTIC':
      return centre + 2 * (n - 0.5) > 1.7 ? 1 : 0;
    case 'SOFTMAX':
      return Math.max(0, Math.min(3, Math.floor(centre + 2 * n - 0.5)));
    case 'ABSOLUTE':
    case 'HUBER':
      return centre + spread + outlier;
    case 'POISSON':
      return Math.floor(rate * 2 * n + m);
    case 'GAMMA':
      return size;
    case 'TWEEDIE':
      return o < 0.4 ? 0 : size;
    default:
      return centre + spread;
  }
}

const isClass = (name: string): boolean => name.endsWith('LOGISTIC') || name === 'SOFTMAX';
const objectiveOf = (name: string): Objective =>
  (name === 'WEIGHTED' ? 'SQUARED' : name.replace('WEIGHTED_', '')) as Objective;

describe('the test loss is that of the better library, or less than 4 % more', () => {
  const { x, noise } = made();
  const rows = (from: number, to: number): Uint32Array => Uint32Array.from({ length: to - from }, (_, i) => from + i);

  it.each(Object.keys(goldens))('%s', async (name) => {
    const y = Float64Array.from({ length: ALL }, (_, i) => targetOf(name, i, x, noise));
    const classes = isClass(name) ? ['0', '1', '2', '3'].slice(0, name === 'SOFTMAX' ? 4 : 2) : null;
    const task = classes === null ? 'regression' : name === 'SOFTMAX' ? 'multiclass' : 'binary';
    const target: Target = { task, classes, y, warnings: [] };
    const weights = name.startsWith('WEIGHTED') ? x[4]!.map((value) => (value > 0.7 ? 10 : 1)) : null;
    const parameters = parseParameters('GRADIENT_BOOSTING', {
      objective: objectiveOf(name),
      nEstimators: 60,
      numLeaves: 15,
      earlyStoppingRounds: 0,
      quantileAlpha: 0.8,
      tweedieVariancePower: 1.4,
    });
    const table: Table = {
      rowCount: ALL,
      columns: x.map((values, f) => ({ name: `x${f}`, kind: 'number', values })),
    };
    const lesson: Lesson = {
      table,
      columns: table.columns.map((column) => column.name),
      target,
      trainRows: rows(0, ROWS),
      validationRows: rows(ROWS, ALL),
      weights,
      seed: 1,
      pace: new Pace(new AbortController().signal),
      onRound: () => {},
    };
    const { model } = await fitBoosting(lesson, parameters);
    if (model.family !== 'trees') throw new Error('Boosting gives trees.');
    const raw = Array.from(model.base, (start) => new Float64Array(ALL - ROWS).fill(start));
    const columns = x.map((values) => Float32Array.from(values.subarray(ROWS)));
    model.trees.forEach((tree, t) => addTree(tree, { rowCount: ALL - ROWS, columns }, [raw[model.treeOutput![t]!]!]));
    const loss = lossOf(target, parameters, lesson.trainRows).mean(raw, y.subarray(ROWS), weights?.subarray(ROWS));
    expect(loss).toBeLessThan(1.04 * Math.min(...Object.values(goldens[name]!)));
  });
});

const table = madeTable(900, 2);
const assignment = assignSplit(table, {
  method: 'RANDOM',
  shares: { train: 0.6, validation: 0.2, test: 0.2 },
  seed: 1,
});
function run(
  parameters: TrainSpec['parameters'],
  spec: Partial<TrainSpec> = {},
  of: Table = table,
  threads = 1,
): Promise<Artifact> {
  const whole: TrainSpec = {
    algorithm: 'GRADIENT_BOOSTING',
    task: 'AUTO',
    target: 'amount',
    features: ['a', 'b', 'c', 'd', 'e'],
    parameters: { nEstimators: 40, ...parameters },
    seed: 3,
    ...spec,
  };
  return train(whole, of, { assignment, signal: new AbortController().signal, threads, onRound: () => {} });
}

/** `madeTable` with the target moved up, so that it is positive. */
const lifted: Table = {
  ...table,
  columns: table.columns.map((column) =>
    column.kind === 'number' && column.name === 'amount'
      ? { ...column, values: column.values.map((value) => value + 15) }
      : column,
  ),
};

describe('a training', () => {
  it.each(['SQUARED', 'ABSOLUTE', 'HUBER', 'QUANTILE', 'POISSON', 'GAMMA', 'TWEEDIE'])(
    'by %s learns, is proved, and is the same on two threads',
    async (objective) => {
      const one = await run({ objective }, {}, lifted);
      const two = await run({ objective }, {}, lifted, 2);
      expect(one.test.figures.find(({ name }) => name === 'R2')!.value).toBeGreaterThan(0.8);
      expect(one.parity).toMatchObject({ passed: true });
      expect(Buffer.from(two.onnx).equals(Buffer.from(one.onnx))).toBe(true);
    },
  );

  it('answers the quantile that is asked for', async () => {
    const share = async (quantileAlpha: number): Promise<number> => {
      const { history, bestRound } = await run({ objective: 'QUANTILE', quantileAlpha });
      return history[bestRound - 1]!.validation;
    };
    expect(await share(0.05)).toBeLessThan(await share(0.5));
  });

  it('refuses an objective for another task, and targets below its range', async () => {
    await expect(run({ objective: 'LOGISTIC' })).rejects.toMatchObject({
      code: 'TASK_DOES_NOT_FIT',
      field: 'objective',
    });
    await expect(run({ objective: 'GAMMA' }, { target: 'kind' })).rejects.toMatchObject({ code: 'TASK_DOES_NOT_FIT' });
    await expect(run({ objective: 'POISSON' })).rejects.toMatchObject({ code: 'TARGET_OUT_OF_RANGE', field: 'target' });
    await expect(run({ objective: 'GAMMA' }, { target: 'd', task: 'REGRESSION', features: ['a'] })).rejects.toThrow(
      /above 0/,
    );
  });
});

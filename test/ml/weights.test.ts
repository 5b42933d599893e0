/** What rows count, and what is watched to stop. */
import { describe, expect, it } from 'vitest';
import { logistic, softmax } from '../../src/ml/core/loss.js';
import { squaredError } from '../../src/ml/core/residual-loss.js';
import { stoppingMetric, STOPPING_METRICS } from '../../src/ml/core/stopping-metric.js';
import { type AnyParameters } from '../../src/ml/spec.js';
import { assignSplit } from '../../src/ml/split.js';
import { type Artifact, type Column, type Table, train, type TrainSpec } from '../../src/ml/train.js';
import { madeTable } from './tables.js';

const table = madeTable(900, 2);
const assignment = assignSplit(table, {
  method: 'RANDOM',
  shares: { train: 0.6, validation: 0.2, test: 0.2 },
  seed: 1,
});
const withColumn = (of: Table, column: Column): Table => ({
  ...of,
  columns: [...of.columns.filter(({ name }) => name !== column.name), column],
});
const weighted = (values: (row: number) => number): Table =>
  withColumn(table, { name: 'w', kind: 'number', values: Float64Array.from({ length: 900 }, (_, row) => values(row)) });

function run(parameters: AnyParameters, of: Table, spec: Partial<TrainSpec> = {}): Promise<Artifact> {
  const whole: TrainSpec = {
    algorithm: 'GRADIENT_BOOSTING',
    task: 'AUTO',
    target: 'amount',
    features: ['a', 'b', 'c', 'd', 'e'],
    parameters: { nEstimators: 30, ...parameters },
    seed: 3,
    ...spec,
  };
  return train(whole, of, { assignment, signal: new AbortController().signal, onRound: () => {} });
}
const figure = ({ test }: Artifact, name: string): number => test.figures.find((f) => f.name === name)!.value!;
const isSame = (one: Artifact, other: Artifact): boolean => Buffer.from(one.onnx).equals(Buffer.from(other.onnx));

describe('weights', () => {
  it('of one for every row change nothing', async () => {
    const [plain, ones] = [
      await run({}, table, { target: 'isHigh' }),
      await run(
        {},
        weighted(() => 1),
        { target: 'isHigh', weightColumn: 'w' },
      ),
    ];
    expect(isSame(ones, plain)).toBe(true);
  });

  it('move the answers to the rows that count', async () => {
    // Rows of category p count a thousandfold, and learn from a target of their own.
    const c = table.columns.find(({ name }) => name === 'c') as Extract<Column, { kind: 'category' }>;
    const { fitted } = await run(
      { nEstimators: 1, numLeaves: 2 },
      weighted((row) => (c.codes[row] === 0 ? 1000 : 1)),
      {
        weightColumn: 'w',
      },
    );
    const amount = table.columns.find(({ name }) => name === 'amount') as Extract<Column, { kind: 'number' }>;
    const inside = [...c.codes.keys()].filter((row) => c.codes[row] === 0 && assignment[row] === 0);
    const mean = inside.reduce((sum, row) => sum + amount.values[row]!, 0) / inside.length;
    if (fitted.model.family !== 'trees') throw new Error('Boosting gives trees.');
    expect(Math.abs(fitted.model.base[0]! - mean)).toBeLessThan(0.1);
  });

  it('of classes find more of the rare one', async () => {
    const rare = withColumn(table, {
      name: 'rare',
      kind: 'boolean',
      values: Float64Array.from({ length: 900 }, (_, row) => (row % 11 === 0 ? 1 : 0)),
    });
    const spec = { target: 'rare', parameters: { nEstimators: 5, decisionThreshold: 'HALF' } };
    const recall = async (classWeight: string): Promise<number> =>
      figure(await run({}, rare, { ...spec, parameters: { ...spec.parameters, classWeight } }), 'RECALL');
    expect(await recall('BALANCED')).toBeGreaterThan(await recall('NONE'));
  });

  it('are never learned from, and are refused where they are none', async () => {
    const all = await run(
      {},
      weighted((row) => 1 + (row % 3)),
      { features: null, weightColumn: 'w' },
    );
    expect(all.fitted.inputs.map(({ name }) => name)).not.toContain('w');
    const refused = (spec: Partial<TrainSpec>, values = (): number => 1) =>
      expect(run({}, weighted(values), spec)).rejects;
    await refused({ weightColumn: 'w' }, () => NaN).toMatchObject({
      code: 'WEIGHT_OUT_OF_RANGE',
      field: 'weightColumn',
    });
    await refused({ weightColumn: 'w' }, () => 0).toMatchObject({ code: 'WEIGHT_OUT_OF_RANGE' });
    await refused({ weightColumn: 'c' }).toMatchObject({ code: 'DUPLICATE_COLUMN' });
    await refused({ weightColumn: 'c', features: ['a'] }).toMatchObject({ code: 'WRONG_COLUMN_KIND' });
    await refused({ weightColumn: 'amount' }).toMatchObject({ code: 'DUPLICATE_COLUMN' });
    await refused({ weightColumn: 'nothing' }).toMatchObject({ code: 'UNKNOWN_COLUMN' });
  });
});

describe('stopping', () => {
  const CLASS = ['LOG_LOSS', 'AUC', 'ACCURACY', 'F1'];
  it.each(STOPPING_METRICS)('%s stops where it was best', async (metric) => {
    for (const target of CLASS.includes(metric) ? ['isHigh', 'kind'] : ['amount']) {
      const { history, rounds, bestRound } = await run(
        { stoppingMetric: metric, earlyStoppingRounds: 4, learningRate: 0.5, nEstimators: 60 },
        table,
        { target },
      );
      const values = history.map(({ validation }) => validation);
      const best = ['AUC', 'ACCURACY', 'F1'].includes(metric) ? Math.max(...values) : Math.min(...values);
      expect(bestRound).toBe(values.indexOf(best) + 1);
      expect(rounds).toBe(Math.min(60, bestRound + 4));
      expect(history[0]!.metric.toLowerCase()).toBe(metric === 'AUTO' ? 'rmse' : metric.replace('_', '').toLowerCase());
    }
  });

  it('is refused by a figure of another task', async () => {
    await expect(run({ stoppingMetric: 'AUC' }, table)).rejects.toMatchObject({ code: 'TASK_DOES_NOT_FIT' });
    await expect(run({ stoppingMetric: 'RMSE' }, table, { target: 'kind' })).rejects.toMatchObject({
      field: 'stoppingMetric',
    });
  });

  it('figures are those of their definitions', () => {
    const y = Float64Array.of(0, 1, 1, 0, 1);
    const raw = [Float64Array.of(-2, -1, 3, 0.5, 0.5)];
    const binary = (metric: 'AUC' | 'ACCURACY' | 'F1', weights: Float64Array | null = null): number =>
      stoppingMetric(metric, logistic, 'binary', 0.5).of(raw, y, weights);
    expect(binary('AUC')).toBeCloseTo((1 + 0 + 2 + 1.5) / 6, 12);
    expect(binary('ACCURACY')).toBeCloseTo(3 / 5, 12);
    expect(binary('ACCURACY', Float64Array.of(1, 1, 1, 1, 6))).toBeCloseTo(8 / 10, 12);
    expect(binary('F1')).toBeCloseTo(4 / 6, 12);
    const classes = [Float64Array.of(1, 0), Float64Array.of(0, 2), Float64Array.of(0, 3)];
    expect(stoppingMetric('ACCURACY', softmax(3), 'multiclass', 0.5).of(classes, Float64Array.of(0, 1), null)).toBe(
      0.5,
    );
    const number = (metric: 'MAE' | 'MAPE' | 'RMSE' | 'QUANTILE_LOSS'): number =>
      stoppingMetric(metric, squaredError, 'regression', 0.9).of(
        [Float64Array.of(1, 2)],
        Float64Array.of(4, 0.5),
        null,
      );
    expect(number('MAE')).toBe(2.25);
    expect(number('MAPE')).toBe((3 / 4 + 1.5) / 2);
    expect(number('RMSE')).toBe(Math.sqrt((9 + 2.25) / 2));
    expect(number('QUANTILE_LOSS')).toBeCloseTo((0.9 * 3 + 0.1 * 1.5) / 2, 12);
  });
});

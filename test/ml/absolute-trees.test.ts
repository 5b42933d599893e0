/** Trees and forests grown by absolute error: as good as those of scikit-learn (goldens/absolute_trees.py), and what must hold. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Lesson } from '../../src/ml/core/learned.js';
import { type FittedModel } from '../../src/ml/core/model.js';
import { Pace } from '../../src/ml/core/pace.js';
import { predictTable } from '../../src/ml/core/predict.js';
import { type Target } from '../../src/ml/core/target.js';
import { type AnyParameters, parseParameters } from '../../src/ml/spec.js';
import { type Table } from '../../src/ml/train.js';
import { fitExtraTrees, fitForest, fitSingleTree } from '../../src/ml/trees/fit-forest.js';
import { readCsv } from './csv.js';

interface Case {
  readonly name: string;
  readonly algorithm: 'DECISION_TREE' | 'RANDOM_FOREST' | 'EXTRA_TREES';
  readonly parameters: AnyParameters;
  readonly weighted: boolean;
  readonly mae: number;
}
const goldens = JSON.parse(readFileSync(new URL('../goldens/absolute_trees.json', import.meta.url), 'utf8')) as {
  readonly same: readonly Pick<Case, 'weighted' | 'mae'>[];
  readonly cases: readonly Case[];
};

const FIT = { DECISION_TREE: fitSingleTree, RANDOM_FOREST: fitForest, EXTRA_TREES: fitExtraTrees };

const whole = readCsv('examples/ames_housing/ames.csv');
const prices = whole.columns.find(({ name }) => name === 'Sale_Price')!;
const houses: Table = {
  rowCount: whole.rowCount,
  columns: whole.columns.filter((column) => column.kind === 'number' && column !== prices),
};
const y = Float64Array.from({ length: whole.rowCount }, (_, row) =>
  prices.kind === 'number' ? prices.values[row]! / 100_000 : NaN,
);
const every = Uint32Array.from(y, (_, row) => row);
const tests = every.filter((row) => row % 3 === 0);
const trains = every.filter((row) => row % 3 !== 0);
const evenRowsMore = Float64Array.from(y, (_, row) => (row % 2 === 0 ? 3 : 1));

const numbers = { task: 'regression', classes: null, y, warnings: [] } as unknown as Target;

/** Fits; answers the rows. */
async function answersOf(
  algorithm: Case['algorithm'],
  parameters: AnyParameters,
  about: Partial<Lesson>,
  rows: Uint32Array,
): Promise<Float64Array> {
  const lesson: Lesson = {
    table: houses,
    columns: (about.table ?? houses).columns.map(({ name }) => name),
    target: numbers,
    trainRows: trains,
    validationRows: new Uint32Array(0),
    weights: null,
    seed: 1,
    pace: new Pace(new AbortController().signal),
    onRound: () => {},
    threads: 1,
    ...about,
  };
  const { model } = await FIT[algorithm](lesson, parseParameters(algorithm, parameters) as never);
  const fitted: FittedModel = { model, task: 'regression', classes: null, threshold: 0.5, target: 'y', inputs: [] };
  return predictTable(fitted, lesson.table, rows).scores;
}

describe('growth by absolute error', () => {
  it.each(goldens.cases)('$name: as good as in scikit-learn', async ({ algorithm, parameters, weighted, mae }) => {
    const weights = weighted ? evenRowsMore : null;
    const seeds = algorithm === 'DECISION_TREE' ? [1] : [1, 2, 3];
    let error = 0;
    for (const seed of seeds) {
      const answers = await answersOf(algorithm, parameters, { weights, seed }, tests);
      tests.forEach((row, i) => (error += Math.abs(answers[i]! - y[row]!) / (tests.length * seeds.length)));
    }
    expect(error).toBeLessThan(mae * 1.05);
    expect(error).toBeGreaterThan(mae * 0.94);
  });

  it.each(goldens.same)('makes the tree of scikit-learn (weighted: $weighted)', async ({ weighted, mae }) => {
    const weights = weighted ? evenRowsMore : null;
    const columns = houses.columns.filter(
      (column) => column.kind === 'number' && new Set([...trains].map((row) => column.values[row])).size <= 200,
    );
    const parameters = { criterion: 'ABSOLUTE', minSamplesLeaf: 1, maxDepth: 5 };
    const answers = await answersOf('DECISION_TREE', parameters, { table: { ...houses, columns }, weights }, trains);
    let [error, total] = [0, 0];
    trains.forEach((row, i) => {
      error += (weights?.[row] ?? 1) * Math.abs(answers[i]! - y[row]!);
      total += weights?.[row] ?? 1;
    });
    expect(error / total).toBeCloseTo(mae, 6);
  });

  it('answers with the weighted median where there is one leaf', async () => {
    const values = Float64Array.of(5, -1e12, 7, 100, 6);
    const table: Table = {
      rowCount: 5,
      columns: [{ name: 'x', kind: 'number', values: Float64Array.of(1, 2, 3, 4, 5) }],
    };
    const about = { table, target: { ...numbers, y: values }, trainRows: Uint32Array.of(0, 1, 2, 3, 4) };
    const parameters = { criterion: 'ABSOLUTE', minSamplesLeaf: 5 };
    const row = Uint32Array.of(0);
    const answer = async (weights: Float64Array | null) =>
      (await answersOf('DECISION_TREE', parameters, { ...about, weights }, row))[0];
    expect(await answer(null)).toBe(6);
    expect(await answer(Float64Array.of(1, 1, 1, 9, 1))).toBe(100);
    // As much below 7 as from it on: the middle of 6 and 7.
    expect(await answer(Float64Array.of(1, 1, 2, 1, 1))).toBe(6.5);
  });

  it('puts categories in order by their medians, which outliers do not pull', async () => {
    // a, c and e hold 1000, b, d and f 1001; one outlier makes the mean of a the highest, another that of b the lowest.
    const count = 60;
    const table: Table = {
      rowCount: count,
      columns: [
        {
          name: 'kind',
          kind: 'category',
          categories: ['a', 'b', 'c', 'd', 'e', 'f'],
          codes: Int32Array.from({ length: count }, (_, row) => row % 6),
        },
      ],
    };
    const values = Float64Array.from({ length: count }, (_, row) =>
      row < 2 ? (row === 0 ? 1e6 : -1e6) : 1000 + (row % 2),
    );
    const trainRows = Uint32Array.from(values, (_, row) => row);
    const parameters = { criterion: 'ABSOLUTE', maxDepth: 1, minSamplesLeaf: 1 };
    const about = { table, target: { ...numbers, y: values }, trainRows };
    const answers = await answersOf('DECISION_TREE', parameters, about, trainRows);
    expect([...answers]).toEqual(Array.from(answers, (_, row) => 1000 + (row % 2)));
  });

  it.each(['DECISION_TREE', 'RANDOM_FOREST', 'EXTRA_TREES'] as const)('is not for classes: %s', async (algorithm) => {
    const target = { task: 'binary', classes: ['no', 'yes'], y: y.map((price) => Number(price > 2)), warnings: [] };
    const fit = answersOf(algorithm, { criterion: 'ABSOLUTE' }, { target: target as unknown as Target }, tests);
    await expect(fit).rejects.toMatchObject({ code: 'TASK_DOES_NOT_FIT', field: 'criterion' });
  });
});

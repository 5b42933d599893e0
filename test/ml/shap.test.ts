import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { featureMatrix } from '../../src/ml/core/feature-matrix.js';
import { type FittedModel, type TreeModel } from '../../src/ml/core/model.js';
import { Pace } from '../../src/ml/core/pace.js';
import { type Table } from '../../src/ml/core/table.js';
import { addTrees, compileTrees } from '../../src/ml/core/walk.js';
import { explain, type Explanation } from '../../src/ml/evaluate/shap.js';
import { addCovers } from '../../src/ml/evaluate/tree-walk.js';
import { type ModelShape, randomModel } from './onnx-models.js';
import { bruteShapley, knownByBackground, knownByPath } from './shap-twins.js';
import { freshSeed } from './tables.js';

const pace = new Pace(new AbortController().signal);
const upTo = (count: number, from = 0): Uint32Array => Uint32Array.from({ length: count }, (_, i) => from + i);

/** Raw scores of table rows, as the trees and the linear weights sum them. */
function rawScores({ model }: FittedModel, table: Table, rows: Uint32Array): Float64Array {
  if (model.family === 'combined') throw new Error('Only single models here.');
  const width = model.features.length;
  const x = new Float32Array(rows.length * width);
  featureMatrix(model.features, table)(x, rows, 0, rows.length);
  if (model.family === 'linear') {
    const { intercept, weights } = model;
    return Float64Array.from({ length: rows.length * intercept.length }, (_, at) => {
      const [i, k] = [Math.floor(at / intercept.length), at % intercept.length];
      let sum = intercept[k]!;
      for (let f = 0; f < width; f++) sum += weights[k * width + f]! * x[i * width + f]!;
      return sum;
    });
  }
  const raw = new Float64Array(rows.length * model.base.length);
  addTrees(compileTrees(model), x, rows.length, raw);
  const share = model.aggregate === 'mean' ? model.trees.length : 1;
  return raw.map((sum, at) => sum / share + model.base[at % model.base.length]!);
}

function expectAdditive(explanation: Explanation, raw: Float64Array, hint: string): void {
  const { columns, outputs, base, values } = explanation;
  raw.forEach((score, at) => {
    let sum = base[at % outputs]!;
    for (let p = 0; p < columns.length; p++) sum += values[at * columns.length + p]!;
    expect(Math.abs(sum - score), `${hint}, score ${at}`).toBeLessThan(1e-8 * Math.max(1, Math.abs(score)));
  });
}

const FAMILIES = ['boosting', 'forest', 'linear'] as const satisfies readonly ModelShape['family'][];
const TASKS = ['binary', 'multiclass', 'regression'] as const;

describe('Shapley values', () => {
  it('sum to the raw score, whatever the model', async () => {
    const seed = freshSeed();
    for (const family of FAMILIES)
      for (const task of TASKS)
        for (const method of ['BACKGROUND', 'PATH'] as const) {
          if (family === 'linear' && method === 'PATH') continue;
          const { fitted, table } = randomModel(seed, { family, task, columns: 7, trees: 8, depth: 6, scale: 1 }, 80);
          const explanation = await explain(fitted, table, upTo(40), upTo(30, 40), method, pace);
          expectAdditive(explanation, rawScores(fitted, table, upTo(40)), `seed ${seed}, ${family} ${task} ${method}`);
        }
  });

  it('are those of the definition, summed over all sets of columns', async () => {
    const seed = freshSeed();
    for (const family of ['boosting', 'forest'] as const)
      for (const task of TASKS) {
        const { fitted, table } = randomModel(seed, { family, task, columns: 5, trees: 4, depth: 4, scale: 1 }, 60);
        const model = fitted.model as TreeModel;
        const [rows, background] = [upTo(12), upTo(25, 20)];
        for (const [method, known] of [
          ['PATH', knownByPath(model, table, background)],
          ['BACKGROUND', knownByBackground(model, table, background)],
        ] as const) {
          const { columns, values, outputs } = await explain(fitted, table, rows, background, method, pace);
          const twin = bruteShapley(columns, outputs, rows, known);
          values.forEach((value, at) =>
            expect(Math.abs(value - twin[at]!), `seed ${seed}, ${family} ${task} ${method}, ${at}`).toBeLessThan(1e-9),
          );
        }
      }
  });

  it('of linear models are weight times distance from the mean', async () => {
    const { fitted, table } = randomModel(3, { family: 'linear', task: 'regression', columns: 4, scale: 1 }, 60);
    const [rows, background] = [upTo(10), upTo(30, 10)];
    const { base, values } = await explain(fitted, table, rows, background, 'BACKGROUND', pace);
    const mean = rawScores(fitted, table, background).reduce((sum, score) => sum + score / background.length, 0);
    expect(base[0]).toBeCloseTo(mean, 6);
    expect(values.some((value) => value !== 0)).toBe(true);
    await expect(explain(fitted, table, rows, background, 'PATH', pace)).rejects.toMatchObject({
      code: 'TASK_DOES_NOT_FIT',
    });
  });

  it('say nothing of columns that no split asks about', async () => {
    const { fitted, table } = randomModel(9, {
      family: 'boosting',
      task: 'regression',
      columns: 6,
      trees: 1,
      depth: 2,
    });
    const model = fitted.model as TreeModel;
    const asked = new Set([...model.trees[0]!.feature].filter((f) => f >= 0).map((f) => model.features[f]!.column));
    for (const method of ['BACKGROUND', 'PATH'] as const) {
      const { columns, values } = await explain(fitted, table, upTo(20), upTo(20), method, pace);
      values.forEach((value, at) => {
        if (!asked.has(columns[at % columns.length]!)) expect(value).toBe(0);
      });
    }
  });
});

interface Golden {
  readonly x: readonly (readonly (number | null)[])[];
  readonly trees: readonly Record<
    'feature' | 'threshold' | 'missingLeft' | 'left' | 'right' | 'value' | 'cover',
    number[]
  >[];
  /** By row: a contribution for each feature, then the base. */
  readonly contributions: readonly (readonly number[])[];
}

/** XGBoost sums in float32. */
const XGBOOST_LIMIT = 2e-5;

describe('path-dependent values', () => {
  it('are those of XGBoost', async () => {
    const golden = JSON.parse(readFileSync(new URL('../goldens/shap.json', import.meta.url), 'utf8')) as Golden;
    const names = golden.x[0]!.map((_, f) => `x${f}`);
    const table: Table = {
      rowCount: golden.x.length,
      columns: names.map((name, f) => ({
        name,
        kind: 'number',
        values: Float64Array.from(golden.x, (row) => Math.fround(row[f] ?? NaN)),
      })),
    };
    const model: TreeModel = {
      family: 'trees',
      features: names.map((column) => ({ kind: 'number', column, impute: null, mean: 0, scale: 1 })),
      trees: golden.trees.map((tree) => ({
        feature: Int32Array.from(tree.feature),
        threshold: Float32Array.from(tree.threshold),
        missingLeft: Uint8Array.from(tree.missingLeft),
        leftCodes: tree.feature.map(() => null),
        left: Int32Array.from(tree.left),
        right: Int32Array.from(tree.right),
        value: Float32Array.from(tree.value),
      })),
      treeOutput: new Int32Array(golden.trees.length),
      base: Float32Array.of(0.5),
      aggregate: 'sum',
      link: 'identity',
    };
    const inputs = names.map((name) => ({ name, kind: 'number', categories: null }) as const);
    const fitted = { model, task: 'regression', classes: null, threshold: 0.5, target: 'y', inputs } as const;
    const trees = compileTrees(model);
    const cover = new Float64Array(trees.feature.length);
    const x = new Float32Array(table.rowCount * names.length);
    featureMatrix(model.features, table)(x, null, 0, table.rowCount);
    addCovers(trees, x, table.rowCount, cover);
    expect([...cover]).toEqual(golden.trees.flatMap((tree) => tree.cover));
    const rows = upTo(golden.contributions.length);
    const { base, values } = await explain(fitted, table, rows, upTo(table.rowCount), 'PATH', pace);
    golden.contributions.forEach((contributions, i) => {
      expect(Math.abs(contributions.at(-1)! - base[0]!)).toBeLessThan(XGBOOST_LIMIT);
      names.forEach((_, f) =>
        expect(Math.abs(contributions[f]! - values[i * names.length + f]!), `row ${i}, ${f}`).toBeLessThan(
          XGBOOST_LIMIT,
        ),
      );
    });
  });
});

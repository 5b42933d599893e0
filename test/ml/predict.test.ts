import { describe, expect, it } from 'vitest';
import { type Feature, type FittedModel, type Model, type Tree } from '../../src/ml/core/model.js';
import { predictTable } from '../../src/ml/core/predict.js';
import { type Column, type Table } from '../../src/ml/core/table.js';
import { randomModel } from './onnx-models.js';

/** A root with two leaves. */
function stump(
  feature: number,
  split: { threshold?: number; codes?: number[]; missingLeft: 0 | 1 },
  left: number[],
  right: number[],
): Tree {
  return {
    feature: Int32Array.of(feature, -1, -1),
    threshold: Float32Array.of(split.threshold ?? 0, 0, 0),
    missingLeft: Uint8Array.of(split.missingLeft, 0, 0),
    leftCodes: [split.codes === undefined ? null : Int32Array.from(split.codes), null, null],
    left: Int32Array.of(1, -1, -1),
    right: Int32Array.of(2, -1, -1),
    value: Float32Array.from([...left.map(() => 0), ...left, ...right]),
  };
}

function fit(
  model: Model,
  columns: readonly Column[],
  task: FittedModel['task'],
  classes: string[] | null,
): FittedModel {
  const inputs = columns.map(({ name, kind }) => ({ name, kind, categories: null }));
  return { model, task, classes, threshold: 0.5, target: 'y', inputs };
}

const plain = (kind: 'number' | 'date' | 'boolean', column: string): Feature => ({
  kind,
  column,
  impute: null,
  mean: 0,
  scale: 1,
});
const table = (columns: readonly Column[], rowCount: number): Table => ({ columns, rowCount });

describe('predictTable', () => {
  it('walks numbers, codes and missing values', () => {
    const columns: Column[] = [
      { name: 'x', kind: 'number', values: Float64Array.of(1, 1 + 2 ** -40, 1.5, NaN) },
      // The table's categories come in another order than the model's; "neu" was never seen.
      { name: 'c', kind: 'category', categories: ['b', 'neu', 'a'], codes: Int32Array.of(2, 0, 1, -1) },
    ];
    const features: Feature[] = [plain('number', 'x'), { kind: 'code', column: 'c', categories: ['a', 'b'] }];
    const trees = [
      stump(0, { threshold: 1, missingLeft: 0 }, [1], [2]),
      stump(1, { codes: [1], missingLeft: 1 }, [10], [20]),
    ];
    const model: Model = {
      family: 'trees',
      features,
      trees,
      treeOutput: Int32Array.of(0, 0),
      base: Float32Array.of(100),
      aggregate: 'sum',
      link: 'identity',
    };
    const { scores, labels } = predictTable(fit(model, columns, 'regression', null), table(columns, 4), null);
    // 1 + 2^-40 is 1 as a float32, so it goes left.
    expect([...scores]).toEqual([121, 111, 112, 112]);
    expect(labels).toBeNull();
  });

  it('averages shares and takes the first of equal scores', () => {
    const columns: Column[] = [{ name: 'x', kind: 'boolean', values: Float64Array.of(0, 1, NaN) }];
    const trees = [
      stump(0, { threshold: 0.5, missingLeft: 1 }, [1, 0, 0], [0, 1, 0]),
      stump(0, { threshold: 0.5, missingLeft: 0 }, [0, 0, 1], [0, 0.5, 0.5]),
    ];
    const model: Model = {
      family: 'trees',
      features: [plain('boolean', 'x')],
      trees,
      treeOutput: null,
      base: new Float32Array(3),
      aggregate: 'mean',
      link: 'identity',
    };
    const { scores, labels } = predictTable(
      fit(model, columns, 'multiclass', ['a', 'b', 'c']),
      table(columns, 3),
      Uint32Array.of(2, 0, 1),
    );
    expect([...scores]).toEqual([0.5, 0.25, 0.25, 0.5, 0, 0.5, 0, 0.75, 0.25]);
    expect([...labels!]).toEqual([0, 0, 1]);
  });

  it('imputes, scales, one-hot encodes and meets the threshold exactly', () => {
    const columns: Column[] = [
      { name: 'd', kind: 'date', values: Float64Array.of(86_400_000 * 3, NaN) },
      { name: 'c', kind: 'category', categories: ['rot', 'neu'], codes: Int32Array.of(0, 1) },
    ];
    const features: Feature[] = [
      { kind: 'date', column: 'd', impute: 5, mean: 1, scale: 2 },
      { kind: 'oneHot', column: 'c', category: 'rot' },
      { kind: 'oneHot', column: 'c', category: null },
    ];
    const model: Model = {
      family: 'linear',
      features,
      weights: Float32Array.of(1, -1, -2),
      intercept: Float32Array.of(0),
      link: 'sigmoid',
    };
    const { scores, labels } = predictTable(fit(model, columns, 'binary', ['no', 'yes']), table(columns, 2), null);
    // raw = (3 - 1) / 2 - 1 = 0 and (5 - 1) / 2 - 2 = 0.
    expect([...scores]).toEqual([0.5, 0.5, 0.5, 0.5]);
    expect([...labels!]).toEqual([1, 1]);
  });

  it('answers a row the same in any company', () => {
    for (const family of ['boosting', 'forest', 'linear'] as const) {
      const { fitted, table: rows } = randomModel(11, { family, task: 'multiclass', columns: 60 }, 3000);
      const all = predictTable(fitted, rows, null);
      for (const row of [0, 1091, 1092, 2999]) {
        const one = predictTable(fitted, rows, Uint32Array.of(row));
        expect([...one.scores]).toEqual([...all.scores.subarray(row * 4, row * 4 + 4)]);
        expect(one.labels![0]).toBe(all.labels![row]);
      }
    }
  });

  it('says which column does not fit', () => {
    const { fitted, table: rows } = randomModel(12, { family: 'linear', task: 'binary' });
    expect(() => predictTable(fitted, { ...rows, columns: rows.columns.slice(1) }, null)).toThrow(
      'lacks the column "alter"',
    );
    const wrong: Column = { name: 'alter', kind: 'boolean', values: new Float64Array(rows.rowCount) };
    expect(() => predictTable(fitted, { ...rows, columns: [wrong, ...rows.columns.slice(1)] }, null)).toThrow(
      'is a boolean, the model wants a number',
    );
  });
});

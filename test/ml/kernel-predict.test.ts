/** The kernel that predicts against the plain walk, bit for bit. */
import { describe, expect, it } from 'vitest';
import { featureMatrix } from '../../src/ml/core/feature-matrix.js';
import { type TreeModel } from '../../src/ml/core/model.js';
import { predictTable } from '../../src/ml/core/predict.js';
import { addTrees, compileTrees } from '../../src/ml/core/walk.js';
import { isWorthKernel, KernelPredictor } from '../../src/ml/trees/kernel-predictor.js';
import { type ModelShape, randomModel } from './onnx-models.js';
import { freshSeed } from './tables.js';

const seed = freshSeed();
const note = `TEST_SEED=${seed}`;

const SHAPES: readonly ModelShape[] = [
  { family: 'boosting', task: 'binary', trees: 70 },
  { family: 'boosting', task: 'multiclass', trees: 70, categories: 300 },
  { family: 'boosting', task: 'regression', trees: 3, depth: 0 },
  { family: 'forest', task: 'multiclass', classes: 7, trees: 20, depth: 9 },
  { family: 'forest', task: 'regression', trees: 5, columns: 1 },
  { family: 'boosting', task: 'binary', trees: 0 },
];

/** Sums of leaves, plainly. */
function plain(model: TreeModel, block: Float32Array, rows: number): Float64Array {
  const raw = new Float64Array(rows * model.base.length);
  addTrees(compileTrees(model), block, rows, raw);
  return raw;
}

describe.each([1, 2])('on %i threads', (threads) => {
  it.each(SHAPES)('leaves add up as they do one by one: %o', async (shape) => {
    for (const rows of [1, 3, 256, 1027]) {
      const { fitted, table } = randomModel(seed + rows, shape, rows);
      const model = fitted.model as TreeModel;
      const block = new Float32Array(rows * model.features.length);
      featureMatrix(model.features, table)(block, null, 0, rows);
      const predictor = new KernelPredictor(model, rows, threads);
      try {
        const raw = new Float64Array(rows * model.base.length);
        for (let from = 0; from < rows; from += predictor.blockRows) {
          const size = Math.min(predictor.blockRows, rows - from);
          const width = model.features.length;
          predictor.block.set(block.subarray(from * width, (from + size) * width));
          predictor.score(size);
          raw.set(predictor.raw.subarray(0, size * model.base.length), from * model.base.length);
        }
        expect(raw, note).toEqual(plain(model, block, rows));
      } finally {
        predictor.close();
      }
    }
  });
});

it('a table of many rows is answered as its rows are one by one', () => {
  const { fitted, table } = randomModel(seed, { family: 'boosting', task: 'multiclass', trees: 90 }, 1500);
  expect(isWorthKernel(fitted.model as TreeModel, 1500)).toBe(true);
  const all = predictTable(fitted, table, null).scores;
  for (let row = 0; row < 1500; row += 77) {
    const { scores } = predictTable(fitted, table, Uint32Array.of(row));
    expect(scores, note).toEqual(all.slice(row * 4, row * 4 + 4));
  }
});

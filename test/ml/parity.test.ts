import { describe, expect, it } from 'vitest';
import { exportOnnx } from '../../src/ml/onnx/export.js';
import { proveParity } from '../../src/ml/onnx/parity.js';
import { type ModelShape, randomModel } from './onnx-models.js';

const seed = Number(process.env['SEED'] ?? 20261123);
const allRows = (count: number): Uint32Array => Uint32Array.from({ length: count }, (_, i) => i);

const shapes: Readonly<Record<string, ModelShape>> = {
  'boosting, binary': { family: 'boosting', task: 'binary' },
  'boosting, four classes': { family: 'boosting', task: 'multiclass' },
  'boosting, regression': { family: 'boosting', task: 'regression' },
  'boosting, rates': { family: 'boosting', task: 'regression', link: 'exp' },
  'linear, rates': { family: 'linear', task: 'regression', link: 'exp', scale: 0.1 },
  'forest, binary': { family: 'forest', task: 'binary' },
  'forest, twelve classes': { family: 'forest', task: 'multiclass', classes: 12, trees: 60 },
  'forest, regression': { family: 'forest', task: 'regression' },
  'linear, binary': { family: 'linear', task: 'binary' },
  'linear, classes': { family: 'linear', task: 'multiclass' },
  'linear, regression': { family: 'linear', task: 'regression' },
  'one tree': { family: 'forest', task: 'multiclass', trees: 1 },
  'one column': { family: 'boosting', task: 'binary', columns: 1 },
  'only leaves': { family: 'boosting', task: 'multiclass', depth: 0 },
  'only leaves of shares': { family: 'forest', task: 'binary', depth: 0 },
  'no tree': { family: 'boosting', task: 'binary', trees: 0 },
  'columns unused by the few trees': { family: 'boosting', task: 'regression', trees: 2, depth: 2, columns: 40 },
  'pooled, binary': { family: 'pool', task: 'binary' },
  'pooled, classes': { family: 'pool', task: 'multiclass' },
  'pooled, regression': { family: 'pool', task: 'regression' },
  'pooled, only leaves': { family: 'pool', task: 'multiclass', depth: 0 },
  'stacked, binary': { family: 'stack', task: 'binary' },
  'stacked, classes': { family: 'stack', task: 'multiclass' },
  'stacked, regression': { family: 'stack', task: 'regression' },
  'stacked, one column': { family: 'stack', task: 'binary', columns: 1 },
  'stacked, only leaves': { family: 'stack', task: 'multiclass', depth: 0 },
  'categories by the hundred': { family: 'boosting', task: 'binary', categories: 700, trees: 30 },
  'linear, categories by the thousand': { family: 'linear', task: 'multiclass', categories: 1500 },
};

describe(`ONNX Runtime answers as the trainer (SEED=${seed})`, () => {
  for (const [name, shape] of Object.entries(shapes)) {
    it(name, async () => {
      for (let round = 0; round < 6; round++) {
        const { fitted, table } = randomModel(seed + round, shape);
        const onnx = exportOnnx(fitted, { name: 'test', metadata: {} });
        const proof = await proveParity(fitted, onnx, table, allRows(table.rowCount), { seed });
        expect(proof, `round ${round}`).toMatchObject({ passed: true, labelMismatches: 0, rows: 400 });
        expect(proof.edgeRows).toBeGreaterThan(0);
      }
    });
  }

  it('a thousand trees of values near a million', async () => {
    const { fitted, table } = randomModel(seed, { family: 'boosting', task: 'regression', trees: 1000, scale: 1e6 });
    const proof = await proveParity(fitted, exportOnnx(fitted, { name: 'test', metadata: {} }), table, allRows(400), {
      seed,
    });
    expect(proof).toMatchObject({ passed: true });
    expect(proof.maxDifference).toBeLessThan(1e-6);
  });

  it('two thousand columns', async () => {
    for (const family of ['boosting', 'linear'] as const) {
      const { fitted, table } = randomModel(seed, { family, task: 'binary', columns: 2000, trees: 200 }, 50);
      const proof = await proveParity(fitted, exportOnnx(fitted, { name: 'test', metadata: {} }), table, allRows(50), {
        seed,
      });
      expect(proof).toMatchObject({ passed: true });
    }
  });
});

import { describe, expect, it } from 'vitest';
import { type FittedModel } from '../../src/ml/core/model.js';
import { packModel, unpackModel } from '../../src/ml/core/pack.js';
import { Pace } from '../../src/ml/core/pace.js';
import { type Table } from '../../src/ml/core/table.js';
import { Explainer, Unexplainable } from '../../src/ml/evaluate/explainer.js';
import { withReference } from '../../src/ml/evaluate/reference.js';
import { explain } from '../../src/ml/evaluate/shap.js';
import { encodeInputs } from '../../src/ml/onnx/encode.js';
import { train } from '../../src/ml/train.js';
import { type ModelShape, randomModel } from './onnx-models.js';
import { freshSeed, madeTable, requestColumns } from './tables.js';

const signal = new AbortController().signal;
const pace = new Pace(signal);
const upTo = (count: number, from = 0): Uint32Array => Uint32Array.from({ length: count }, (_, i) => from + i);

function explainRequest(fitted: FittedModel, table: Table, rows: Uint32Array) {
  const columns = requestColumns(table, rows);
  const inputs = Object.fromEntries(fitted.inputs.map(({ name }) => [name, columns[name]!]));
  return new Explainer(fitted).explain(encodeInputs(fitted.inputs, inputs, rows.length), signal);
}

describe('the explainer of requests', () => {
  it.each([
    ['boosting', 'binary'],
    ['boosting', 'multiclass'],
    ['forest', 'multiclass'],
    ['forest', 'regression'],
    ['linear', 'binary'],
    ['linear', 'multiclass'],
  ] as const)('explains as the evaluation does: %s, %s', async (family, task) => {
    const seed = freshSeed();
    const shape = { family, task, columns: 7, trees: 8, depth: 6, scale: 1 } satisfies ModelShape;
    const { fitted: bare, table } = randomModel(seed, shape, 80);
    const [rows, known] = [upTo(20), upTo(50, 20)];
    const fitted = unpackModel(packModel(await withReference(bare, table, known, pace)));
    const expected = await explain(bare, table, rows, known, family === 'linear' ? 'BACKGROUND' : 'PATH', pace);
    const found = await explainRequest(fitted, table, rows);
    expect(found.columns).toEqual(expected.columns);
    const close = (a: Float64Array, b: Float64Array) =>
      a.forEach((value, at) => expect(Math.abs(value - b[at]!), `seed ${seed}, ${at}`).toBeLessThan(1e-9));
    close(found.base, expected.base);
    close(found.values, expected.values);
  });

  it('explains what training makes, sums of models too, and says of which it cannot', async () => {
    const table = madeTable(400, 3);
    const assignment = Uint8Array.from({ length: 400 }, (_, i) => (i % 5 < 3 ? 0 : i % 5 < 4 ? 1 : 2));
    const spec = { task: 'AUTO', features: null, parameters: {}, seed: 1 } as const;
    const onRound = () => {};
    const made = (change: object) =>
      train({ ...spec, algorithm: 'LINEAR', target: 'amount', ...change }, table, { assignment, signal, onRound });
    const members = [
      { algorithm: 'LINEAR', parameters: {} },
      { algorithm: 'RANDOM_FOREST', parameters: { nEstimators: 5 } },
    ];
    const { fitted } = await made({ algorithm: 'VOTING', members });
    const { base, values, columns } = await explainRequest(fitted, table, upTo(10));
    expect(values).toHaveLength(10 * columns.length);
    expect(Number.isFinite(base[0]!)).toBe(true);
    const mixed = await made({ algorithm: 'VOTING', target: 'kind', members });
    expect(() => new Explainer(mixed.fitted)).toThrow(Unexplainable);
    const { fitted: bare } = randomModel(1, { family: 'linear', task: 'binary', columns: 3, scale: 1 }, 10);
    expect(() => new Explainer(bare)).toThrow(Unexplainable);
  });
});

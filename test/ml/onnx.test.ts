import { fromBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema } from 'onnx-buf';
import { describe, expect, it } from 'vitest';
import { exportOnnx } from '../../src/ml/onnx/export.js';
import { tensorName } from '../../src/ml/onnx/graph.js';
import { proveParity } from '../../src/ml/onnx/parity.js';
import { nextFloat } from '../../src/ml/onnx/edges.js';
import { ProtoWriter, readFields, readString } from '../../src/ml/onnx/proto.js';
import { type FittedModel, type TreeModel } from '../../src/ml/core/model.js';
import { randomModel } from './onnx-models.js';

const options = { name: 'modell', metadata: { b: '2', a: 'ä' } };
const families = ['boosting', 'forest', 'linear'] as const;

describe('the exported file', () => {
  it('is read by an independent decoder', () => {
    const { fitted } = randomModel(1, { family: 'forest', task: 'multiclass', columns: 14 });
    const model = fromBinary(ModelProtoSchema, exportOnnx(fitted, options));
    expect(model.irVersion).toBe(10n);
    expect(model.producerName).toBe('concordat');
    expect(model.opsetImport.map(({ domain, version }) => [domain, version])).toEqual([
      ['', 21n],
      ['ai.onnx.ml', 5n],
    ]);
    expect(model.metadataProps.map(({ key }) => key)).toEqual(['concordat.signature', 'a', 'b']);
    expect(model.graph!.name).toBe('modell');
    expect(model.graph!.input.map(({ name }) => name)).toEqual(fitted.inputs.map(({ name }) => tensorName(name)));
    expect(model.graph!.output.map(({ name }) => name)).toEqual(['label', 'scores', 'classes']);
  });

  it('names every value once and uses only standard operators', () => {
    for (const family of families) {
      const { fitted } = randomModel(2, { family, task: 'binary', columns: 14 });
      const { input, initializer, node } = fromBinary(ModelProtoSchema, exportOnnx(fitted, options)).graph!;
      const names = [...input.map((v) => v.name), ...initializer.map((v) => v.name)];
      for (const n of node) {
        expect(
          n.input.every((name) => names.includes(name)),
          `inputs of ${n.opType}`,
        ).toBe(true);
        expect(['', 'ai.onnx.ml']).toContain(n.domain);
        names.push(...n.output);
      }
      expect(new Set(names).size).toBe(names.length);
    }
  });

  it('has the same bytes for the same model', () => {
    for (const family of families) {
      const bytes = [0, 1].map(() => exportOnnx(randomModel(3, { family, task: 'multiclass' }).fitted, options));
      expect(Buffer.compare(bytes[0]!, bytes[1]!)).toBe(0);
    }
    const { fitted } = randomModel(3, { family: 'linear', task: 'binary' });
    const turned = exportOnnx(fitted, { name: 'modell', metadata: { a: 'ä', b: '2' } });
    expect(Buffer.compare(turned, exportOnnx(fitted, options))).toBe(0);
  });

  it('is refused for what it cannot say', () => {
    const { fitted } = randomModel(4, { family: 'linear', task: 'binary' });
    expect(() => exportOnnx({ ...fitted, inputs: [] }, options)).toThrow('without input columns');
    expect(() =>
      exportOnnx({ ...fitted, inputs: [{ name: '\udc00', kind: 'number', categories: null }] }, options),
    ).toThrow('surrogate');
    expect(() => exportOnnx(fitted, { name: '', metadata: { 'concordat.signature': '{}' } })).toThrow('taken');
  });

  it('gives every column a name of its own', () => {
    const columns = [
      '',
      'label',
      'scores',
      'classes',
      'value',
      'step:0',
      'input:',
      'input:label',
      'a\0',
      'a',
      '__proto__',
      'ä',
    ];
    expect(new Set(columns.map(tensorName)).size).toBe(columns.length);
    expect(tensorName('Größe in cm')).toBe('Größe in cm');
  });
});

describe('the parity proof', () => {
  const rows = Uint32Array.from({ length: 400 }, (_, i) => i);
  const changed = (fitted: FittedModel, change: (model: TreeModel) => Partial<TreeModel>): FittedModel => ({
    ...fitted,
    model: { ...(fitted.model as TreeModel), ...change(fitted.model as TreeModel) },
  });

  it('fails for a model that is another, by as little as one float of one threshold', async () => {
    const { fitted, table } = randomModel(5, { family: 'boosting', task: 'binary', trees: 1, depth: 4, columns: 1 });
    const good = await proveParity(fitted, exportOnnx(fitted, options), table, rows, { seed: 1 });
    expect(good.passed).toBe(true);
    const shifted = changed(fitted, ({ trees }) => ({
      trees: trees.map((tree) => ({ ...tree, threshold: tree.threshold.map((t) => nextFloat(t, 1)) })),
    }));
    const bad = await proveParity(fitted, exportOnnx(shifted, options), table, rows, { seed: 1 });
    expect(bad).toMatchObject({ passed: false });
  });

  it('fails where missing values go the other way, a set lacks a code, a score is off by 1e-4', async () => {
    const { fitted, table } = randomModel(6, { family: 'boosting', task: 'binary' });
    const wrong = [
      changed(fitted, ({ trees }) => ({
        trees: trees.map((tree) => ({ ...tree, missingLeft: tree.missingLeft.map((side) => 1 - side) })),
      })),
      changed(fitted, ({ trees }) => ({
        trees: trees.map((tree) => ({ ...tree, leftCodes: tree.leftCodes.map((codes) => codes?.slice(1) ?? null) })),
      })),
      changed(fitted, ({ base }) => ({ base: base.map((value) => value + 1e-3) })),
    ];
    for (const other of wrong) {
      const proof = await proveParity(fitted, exportOnnx(other, options), table, rows, { seed: 1 });
      expect(proof.passed).toBe(false);
      expect(proof.maxDifference).toBeGreaterThan(1e-5);
    }
  });

  it('fails where only the labels differ', async () => {
    const { fitted, table } = randomModel(7, { family: 'linear', task: 'binary' });
    const proof = await proveParity(
      fitted,
      exportOnnx({ ...fitted, threshold: 1 - fitted.threshold }, options),
      table,
      rows,
      { seed: 1 },
    );
    expect(proof).toMatchObject({ passed: false });
    expect(proof.labelMismatches).toBeGreaterThan(0);
    expect(proof.maxDifference).toBeLessThan(1e-6);
  });
});

describe('nextFloat', () => {
  it('steps over zero and between signs', () => {
    expect(nextFloat(1, 1)).toBe(1 + 2 ** -23);
    expect(nextFloat(1, -1)).toBe(1 - 2 ** -24);
    expect(nextFloat(-1, 1)).toBe(-1 + 2 ** -24);
    expect([nextFloat(0, 1), nextFloat(0, -1)]).toEqual([2 ** -149, -(2 ** -149)]);
  });
});

describe('the wire format', () => {
  it('reads back what it wrote', () => {
    const bytes = new ProtoWriter()
      .integer(1, 2 ** 53 - 1)
      .string(2, 'ä')
      .float(3, 1.5)
      .packed(4, [0, 127, 128, 2 ** 31, 2 ** 40])
      .finish();
    const seen: [number, number][] = [];
    readFields(bytes, (field, payload) => seen.push([field, payload.length]));
    expect(seen).toEqual([
      [2, 2],
      [4, 1 + 1 + 2 + 5 + 6],
    ]);
    readFields(bytes, (field, payload) => field === 2 && expect(readString(payload)).toBe('ä'));
    for (const value of [-1, 0.5, NaN, 2 ** 53]) expect(() => new ProtoWriter().integer(1, value)).toThrow(RangeError);
  });
});

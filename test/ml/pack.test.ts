import { describe, expect, it } from 'vitest';
import { type FittedModel } from '../../src/ml/core/model.js';
import { pack, packModel, unpack, unpackModel } from '../../src/ml/core/pack.js';
import { predictTable } from '../../src/ml/core/predict.js';
import { below, type ModelShape, pick, random, type Random, randomModel } from './onnx-models.js';
import { freshSeed } from './tables.js';

const ARRAYS = [
  Int8Array,
  Uint8Array,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
] as const;
const NUMBERS = [0, -0, 1, 127, 128, 2 ** 31 - 1, 2 ** 31, -1, 0.1, NaN, Infinity, -Infinity, 1e300, 2 ** 53];
const TEXTS = ['', 'a', 'größe', '年齢', '🦊', '__proto__', '\u0000', 'toString', '\ufeffbom'];

/** Any value that the format knows, nested. */
function randomValue(rng: Random, depth: number): unknown {
  const kind = below(rng, depth > 0 ? 8 : 6);
  if (kind === 0) return null;
  if (kind === 1) return pick(rng, [true, false, undefined]);
  if (kind === 2) return pick(rng, NUMBERS);
  if (kind === 3) return pick(rng, TEXTS);
  if (kind === 4) return Array.from({ length: below(rng, 9) }, () => (rng() < 0.7 ? null : below(rng, 9)));
  if (kind === 5) return new (pick(rng, ARRAYS))(Array.from({ length: below(rng, 5) }, () => below(rng, 300) - 100));
  const entries = Array.from({ length: below(rng, 5) }, () => [pick(rng, TEXTS), randomValue(rng, depth - 1)] as const);
  return kind === 6 ? Object.fromEntries(entries) : entries.map(([, value]) => value);
}

describe('a packed model', () => {
  it('is the same after unpacking, whatever plain data it is made of', () => {
    const seed = freshSeed();
    const rng = random(seed);
    for (let i = 0; i < 500; i++) {
      const value = randomValue(rng, 4);
      expect(unpack(pack(value)), `seed ${seed}, value ${i}`).toStrictEqual(value);
    }
  });

  it('answers the same, from the same bytes', () => {
    for (const family of ['boosting', 'forest', 'linear'] as const satisfies readonly ModelShape['family'][])
      for (const task of ['binary', 'multiclass', 'regression'] as const) {
        const { fitted, table } = randomModel(5, { family, task, columns: 8, trees: 20 });
        const bytes = packModel(fitted);
        expect(packModel(fitted)).toEqual(bytes);
        const again = unpackModel(bytes);
        expect(again).toStrictEqual(fitted);
        expect(predictTable(again, table, null)).toEqual(predictTable(fitted, table, null));
      }
  });

  it('holds little more than its arrays', () => {
    const { fitted } = randomModel(5, { family: 'forest', task: 'binary', trees: 50, depth: 9 });
    if (fitted.model.family !== 'trees') throw new Error('A forest has trees.');
    const arrays = fitted.model.trees
      .flatMap((tree) => [...Object.values(tree), ...tree.leftCodes])
      .reduce((sum: number, value) => sum + (ArrayBuffer.isView(value) ? value.byteLength : 0), 0);
    expect(packModel(fitted).length).toBeLessThan(1.3 * arrays + 5000);
  });

  it('does not care where its bytes lie', () => {
    const { fitted } = randomModel(6, { family: 'boosting', task: 'regression' });
    const bytes = packModel(fitted);
    const shifted = new Uint8Array(bytes.length + 3);
    shifted.set(bytes, 3);
    expect(unpackModel(shifted.subarray(3))).toStrictEqual(fitted);
  });

  it('is refused when damaged, cut off or something else', () => {
    const { fitted } = randomModel(7, { family: 'boosting', task: 'binary', columns: 4 });
    const bytes = packModel(fitted);
    const rng = random(3);
    for (let i = 0; i < 300; i++) {
      const broken = bytes.slice();
      broken[below(rng, broken.length)]! ^= 1 << below(rng, 8);
      expect(() => unpackModel(broken)).toThrow(/packed/i);
      expect(() => unpackModel(bytes.subarray(0, below(rng, bytes.length)))).toThrow(/packed/i);
    }
    expect(() => unpackModel(new Uint8Array(0))).toThrow('no packed model');
    expect(() => unpackModel(pack({ model: 3 }))).toThrow('no fitted model');
    expect(() => unpackModel(pack(null))).toThrow('no fitted model');
  });

  it('takes nothing but plain data and typed arrays', () => {
    for (const odd of [new Map(), () => 1, 1n, new Date(0), Symbol('x'), new DataView(new ArrayBuffer(1))])
      expect(() => packModel({ odd } as unknown as FittedModel)).toThrow('plain data');
    let deep: unknown = 1;
    for (let i = 0; i < 100; i++) deep = [deep];
    expect(() => pack(deep)).toThrow('deeply');
  });
});

import { describe, expect, it } from 'vitest';
import {
  encodeInputs,
  encodeTensors,
  InputError,
  type InputTensor,
  MATRIX,
  type RawValue,
} from '../../src/ml/infer.js';
import { type InputColumn } from '../../src/ml/core/model.js';
import { below, pick, random, type Random } from './onnx-models.js';

const column = (name: string, kind: InputColumn['kind']): InputColumn => ({ name, kind, categories: null });
const VIEWS = {
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  UINT8: Uint8Array,
  UINT16: Uint16Array,
  UINT32: Uint32Array,
  FP32: Float32Array,
  FP64: Float64Array,
} as const;
const NUMERIC = Object.keys(VIEWS) as (keyof typeof VIEWS)[];

/** The bytes of an array, at an odd place of a larger buffer. */
function bytes(array: ArrayBufferView): Uint8Array {
  const odd = new Uint8Array(array.byteLength + 3);
  odd.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), 3);
  return odd.subarray(3);
}

function text(values: readonly (string | Uint8Array)[]): Uint8Array {
  return Buffer.concat(
    values.flatMap((value) => {
      const part = Buffer.from(value as string);
      const size = Buffer.alloc(4);
      size.writeUInt32LE(part.length);
      return [size, part];
    }),
  );
}

const failure = (inputs: InputColumn[], tensors: InputTensor[], rowCount: number, published = inputs) => {
  try {
    encodeTensors(inputs, published, tensors, rowCount);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return [error.column, error.row, error.message];
  }
  return null;
};

/** One column as plain values, and the tensors of every kind that say the same. */
function randomColumn(rng: Random, kind: InputColumn['kind'], rowCount: number) {
  const values: RawValue[] = [];
  const rows = Array.from({ length: rowCount });
  const missing = () => rng() < 0.2;
  if (kind === 'number') {
    const datatype = pick(rng, NUMERIC);
    const data = new VIEWS[datatype](rowCount);
    for (const i of rows.keys()) {
      data[i] = datatype.startsWith('FP') ? (missing() ? NaN : rng() * 1e6 - 5e5) : below(rng, 100);
      values.push(Number.isNaN(data[i]) ? null : data[i]!);
    }
    return { values, datatype, bytes: bytes(data) };
  }
  if (kind === 'boolean') {
    const hasMissing = rng() < 0.5;
    const data = hasMissing ? new Float32Array(rowCount) : new Uint8Array(rowCount);
    for (const i of rows.keys()) {
      const value = hasMissing && missing() ? null : rng() < 0.5;
      values.push(value);
      data[i] = value === null ? NaN : Number(value);
    }
    return { values, datatype: hasMissing ? 'FP32' : 'BOOL', bytes: bytes(data) };
  }
  if (kind === 'date') {
    const data = new BigInt64Array(rowCount);
    for (const i of rows.keys()) {
      const ms = missing() ? null : Math.round((rng() - 0.5) * 1.6e16);
      values.push(ms);
      data[i] = ms === null ? -(2n ** 63n) : BigInt(ms);
    }
    return { values, datatype: 'INT64', bytes: bytes(data) };
  }
  for (const _ of rows) values.push(missing() ? null : pick(rng, ['rot', 'grün', '🦊', 'x'.repeat(300), 'a\0b', ' ']));
  return { values, datatype: 'BYTES', bytes: text(values.map((value) => (value as string | null) ?? '')) };
}

describe('encodeTensors', () => {
  it('reads JSON and bytes as encodeInputs reads lists', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const rng = random(seed);
      const rowCount = 1 + below(rng, 20);
      const inputs = ['a', '__proto__', 'input', 'größe', '🦊']
        .slice(0, 1 + below(rng, 5))
        .map((name) => column(name, pick(rng, ['number', 'boolean', 'date', 'category'])));
      const made = inputs.map(({ kind }) => randomColumn(rng, kind, rowCount));
      const expected = encodeInputs(
        inputs,
        Object.fromEntries(inputs.map(({ name }, i) => [name, made[i]!.values])),
        rowCount,
      );
      const tensors = inputs.map(({ name }, i): InputTensor => {
        const shape = rng() < 0.5 ? [rowCount] : [rowCount, 1];
        const { datatype, values, bytes: raw } = made[i]!;
        const nested = shape.length === 2 && rng() < 0.5;
        return { name, datatype, shape, data: rng() < 0.5 ? raw : nested ? values.map((value) => [value]) : values };
      });
      if (rng() < 0.5) tensors.reverse();
      expect(encodeTensors(inputs, inputs, tensors, rowCount), `seed ${seed}`).toEqual(expected);
    }
  });

  it('takes one matrix for models of numbers, in the published order of the columns', () => {
    const inputs = [column('a', 'number'), column('flag', 'boolean'), column('b', 'number')];
    const published = [inputs[2]!, inputs[0]!, inputs[1]!];
    const expected = {
      rowCount: 2,
      from: 0,
      columns: [Float32Array.of(1.5, NaN), Float32Array.of(1, NaN), Float32Array.of(-2, 7)],
    };
    const cells = [-2, 1.5, 1, 7, NaN, NaN];
    const matrix = (datatype: string, data: InputTensor['data']) =>
      encodeTensors(inputs, published, [{ name: MATRIX, datatype, shape: [2, 3], data }], 2);
    expect(matrix('FP32', bytes(Float32Array.from(cells)))).toEqual(expected);
    expect(matrix('FP64', bytes(Float64Array.from(cells)))).toEqual(expected);
    expect(matrix('FP32', [-2, 1.5, 1, 7, null, null])).toEqual(expected);
    expect(
      matrix('FP64', [
        [-2, 1.5, 1],
        [7, null, null],
      ]),
    ).toEqual(expected);
    const one = [column('only', 'number')];
    expect(encodeTensors(one, one, [{ name: MATRIX, datatype: 'INT64', shape: [1, 1], data: [3] }], 1).columns).toEqual(
      [Float32Array.of(3)],
    );
  });

  it('names column and row of what does not fit, never the value', () => {
    const x = [column('x', 'number')];
    const tensor = (change: Partial<InputTensor> = {}): InputTensor[] => [
      { name: 'x', datatype: 'FP32', shape: [2], data: [1, 2], ...change },
    ];
    const secret = '4711.0815';
    const cases: [InputColumn[], InputTensor[], column: string | null, row: number | null, RegExp][] = [
      [x, tensor({ name: 'y' }), 'x', null, /missing/],
      [x, [...tensor(), ...tensor()], 'x', null, /twice/],
      [x, [...tensor(), ...tensor({ name: 'y' })], 'y', null, /no such column/],
      [x, tensor({ shape: [2, 2], data: [1, 2, 3, 4] }), 'x', null, /shape/],
      [x, tensor({ shape: [3], data: [1, 2, 3] }), 'x', null, /3 values for 2 rows/],
      [x, tensor({ data: [1] }), 'x', null, /2 values, the data has 1/],
      [x, tensor({ shape: [2, 1], data: [[1], [2, 3]] }), 'x', null, /lists/],
      [x, tensor({ shape: [2, 1], data: [[1], 2] }), 'x', null, /lists/],
      [x, tensor({ data: [[1], [2]] }), 'x', 0, /number/],
      [x, tensor({ data: [1, secret] }), 'x', 1, /number/],
      [x, tensor({ data: [1, true] }), 'x', 1, /number/],
      [x, tensor({ data: [1, 1e39] }), 'x', 1, /finite/],
      [x, tensor({ datatype: 'INT8', data: [1, 128] }), 'x', 1, /datatype/],
      [x, tensor({ datatype: 'UINT16', data: [-1, 1] }), 'x', 0, /datatype/],
      [x, tensor({ datatype: 'INT32', data: [1, 1.5] }), 'x', 1, /datatype/],
      [x, tensor({ datatype: 'FP16' }), 'x', null, /none of/],
      [x, tensor({ datatype: '__proto__' }), 'x', null, /none of/],
      [x, tensor({ datatype: 'BYTES', data: ['1', '2'] }), 'x', null, /must be one of/],
      [x, tensor({ data: bytes(Float32Array.of(1)) }), 'x', null, /8 bytes, the tensor has 4/],
      [x, tensor({ data: bytes(Float32Array.of(1, 2, 3)) }), 'x', null, /8 bytes, the tensor has 12/],
      [x, tensor({ data: bytes(Float32Array.of(1, Infinity)) }), 'x', 1, /finite/],
      [x, tensor({ datatype: 'FP64', data: bytes(Float64Array.of(-Infinity, 1e300)) }), 'x', 0, /finite/],
      [
        x,
        [{ name: MATRIX, datatype: 'FP32', shape: [2, 2], data: [1, 2, 3, 4] }],
        null,
        null,
        /2 columns, the model 1/,
      ],
      [x, [{ name: MATRIX, datatype: 'BYTES', shape: [2, 1], data: ['1', '2'] }], null, null, /datatype/],
      [[column('x', 'boolean')], tensor({ datatype: 'BOOL', data: Uint8Array.of(1, 2) }), 'x', 1, /true/],
      [[column('x', 'boolean')], tensor({ datatype: 'BOOL', data: [true, 'true'] }), 'x', 1, /true/],
      [[column('x', 'date')], tensor({ datatype: 'FP32' }), 'x', null, /must be one of/],
      [[column('x', 'date')], tensor({ datatype: 'FP64', data: [1, 1.5] }), 'x', 1, /date/],
      [[column('x', 'date')], tensor({ datatype: 'BYTES', data: ['2024-02-29', '2024-02-30'] }), 'x', 1, /date/],
      [
        [column('x', 'date')],
        tensor({ datatype: 'INT64', data: bytes(BigInt64Array.of(0n, 2n ** 62n)) }),
        'x',
        1,
        /date/,
      ],
    ];
    for (const [inputs, tensors, name, row, message] of cases) {
      const told = failure(inputs, tensors, 2);
      expect(told, JSON.stringify(tensors)).toEqual([name, row, expect.stringMatching(message)]);
      expect(String(told![2])).not.toContain(secret);
    }
    const mixed = [column('x', 'number'), column('city', 'category')];
    const matrix = { name: MATRIX, datatype: 'FP32', shape: [1, 2], data: [1, 2] };
    expect(failure(mixed, [matrix], 1)).toEqual([null, null, expect.stringMatching(/Not all columns are numbers/)]);
  });

  it('believes no length of a text', () => {
    const city = [column('city', 'category')];
    const told = (data: Uint8Array, rows = 2) =>
      failure(city, [{ name: 'city', datatype: 'BYTES', shape: [rows], data }], rows);
    const lying = (length: number, rest: string) => {
      const size = Buffer.alloc(4);
      size.writeUInt32LE(length);
      return Buffer.concat([text(['Lyon']), size, Buffer.from(rest)]);
    };
    expect(told(text(['Lyon', 'Paris']))).toBeNull();
    expect(told(text(['Lyon', 'ÿ'.repeat(10_000)]))).toBeNull();
    expect(told(lying(5, 'Pari'))).toEqual(['city', 1, expect.stringMatching(/longer than what was sent/)]);
    expect(told(lying(2 ** 32 - 1, 'Paris'))).toEqual(['city', 1, expect.stringMatching(/longer/)]);
    expect(told(lying(4, 'Paris'))).toEqual(['city', null, expect.stringMatching(/1 bytes follow/)]);
    expect(told(text(['Lyon']))).toEqual(['city', 1, expect.stringMatching(/longer/)]);
    expect(told(new Uint8Array(7))).toEqual(['city', null, expect.stringMatching(/too short/)]);
    expect(told(Buffer.concat([text(['Lyon']), Buffer.of(1, 0, 0)]))).toEqual(['city', 1, expect.any(String)]);
    expect(told(text(['Lyon', Buffer.of(0xff, 0xfe)]))).toEqual(['city', 1, expect.stringMatching(/UTF-8/)]);
    expect(told(text(['Lyon', 'x'.repeat(10_001)]))).toEqual(['city', 1, expect.stringMatching(/10000 characters/)]);
    expect(told(new Uint8Array(0), 10_000)).toEqual(['city', null, expect.stringMatching(/too short/)]);
  });
});

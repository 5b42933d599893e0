/** Small made tables for the tests of the learning core. */
import { Rng } from '../../src/ml/core/rng.js';
import { type RawValue } from '../../src/ml/onnx/encode.js';
import { type Column, type Table } from '../../src/ml/train.js';

/** A seed that changes from run to run; every test that takes one prints it when it fails. */
export function freshSeed(): number {
  return Number(process.env['TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
}

/**
 * Numbers a, b (b with missing values), a category c of six values, a boolean d, a date e, a constant f, an identifier g; and the
 * targets: `amount` a number, `kind` three classes, `isHigh` two.
 */
export function madeTable(rowCount: number, seed: number): Table {
  const rng = new Rng(seed);
  const a = Float64Array.from({ length: rowCount }, () => Math.round(rng.float() * 400) / 10);
  const b = Float64Array.from({ length: rowCount }, () => (rng.float() < 0.1 ? NaN : rng.float() * 2 - 1));
  const c = Int32Array.from({ length: rowCount }, () => (rng.float() < 0.05 ? -1 : rng.below(6)));
  const d = Float64Array.from({ length: rowCount }, () => rng.below(2));
  const e = Float64Array.from({ length: rowCount }, () => 1.6e12 + 864e5 * rng.below(900));
  const lift = [0, 9, -5, 3, -9, 6];
  const amount = Float64Array.from(
    a,
    (value, i) =>
      value / 2 + (c[i] < 0 ? 12 : lift[c[i]]) + (Number.isNaN(b[i]) ? 4 : 6 * b[i]) + 3 * d[i] + 4 * rng.float(),
  );
  const sorted = amount.slice().sort();
  const third = (value: number): number =>
    value < sorted[Math.floor(rowCount / 3)] ? 0 : value < sorted[Math.floor((2 * rowCount) / 3)] ? 1 : 2;
  const category = (name: string, codes: Int32Array, categories: readonly string[]): Column => ({
    name,
    kind: 'category',
    codes,
    categories,
  });
  return {
    rowCount,
    columns: [
      { name: 'a', kind: 'number', values: a },
      { name: 'b', kind: 'number', values: b },
      category('c', c, ['p', 'q', 'r', 's', 't', 'u']),
      { name: 'd', kind: 'boolean', values: d },
      { name: 'e', kind: 'date', values: e },
      { name: 'f', kind: 'number', values: new Float64Array(rowCount).fill(7) },
      category(
        'g',
        Int32Array.from(a, (_, i) => i),
        Array.from(a, (_, i) => `id-${i}`),
      ),
      { name: 'amount', kind: 'number', values: amount },
      category('kind', Int32Array.from(amount, third), ['low', 'middle', 'top']),
      {
        name: 'isHigh',
        kind: 'boolean',
        values: amount.map((value) => (value > sorted[Math.floor(rowCount * 0.7)] ? 1 : 0)),
      },
    ],
  };
}

/** Rows of a table as a request sends them. */
export function requestColumns({ columns }: Table, rows: Uint32Array): Record<string, RawValue[]> {
  return Object.fromEntries(
    columns.map((column) => [
      column.name,
      Array.from(rows, (row): RawValue => {
        if (column.kind === 'category') return column.codes[row]! < 0 ? null : column.categories[column.codes[row]!]!;
        const value = column.values[row]!;
        if (Number.isNaN(value)) return null;
        return column.kind === 'boolean' ? value === 1 : value;
      }),
    ]),
  );
}

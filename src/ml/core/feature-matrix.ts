/**
 * Raw columns -> float32 features, row-major. The ONNX graph does the same in onnx/export-features.ts.
 *
 *   number, boolean   x = fround(value)
 *   date              x = fround(epochMs / 86_400_000)
 *   all three         a missing x becomes fround(impute) if there is one; then fround((x - mean) / scale)
 *   code              index of the value in `categories`, NaN where missing or unseen
 *   oneHot            1 where the value is `category`; for null: 1 where missing or not among the column's other one-hot features
 */
import { type Feature } from './model.js';
import { type CategoryColumn, type Column, type Table } from './table.js';

export const DAY_MS = 86_400_000;

/** Writes features of table rows rows[from .. from + size) (or from .. from + size where rows is null) into out (size x features). */
export type FillFeatures = (out: Float32Array, rows: Uint32Array | null, from: number, size: number) => void;

/**
 * Whether a category can be told apart at every door: the empty string stands for missing, and ONNX Runtime cuts strings at a
 * NUL and cannot hold half a surrogate pair. All others are answered as unseen.
 */
export function isMatchable(category: string): boolean {
  return category !== '' && !/[\0\p{Cs}]/u.test(category);
}

export function featureMatrix(features: readonly Feature[], table: Table): FillFeatures {
  const columns = new Map<string, Column>(table.columns.map((column) => [column.name, column]));
  const width = features.length;
  const fillers = features.map((feature, at) => {
    const column = columns.get(feature.column);
    if (column === undefined) throw new Error(`The table lacks the column "${feature.column}" of the model.`);
    const wanted = feature.kind === 'code' || feature.kind === 'oneHot' ? 'category' : feature.kind;
    if (column.kind !== wanted)
      throw new Error(`Column "${feature.column}" is a ${column.kind}, the model wants a ${wanted}.`);
    if (column.kind === 'category') return byCode(column, codeValues(feature, column, features), at, width);
    return numeric(feature as NumericFeature, column.values, at, width);
  });
  return (out, rows, from, size) => {
    for (const fill of fillers) fill(out, rows, from, size);
  };
}

type NumericFeature = Extract<Feature, { mean: number }>;

function numeric(feature: NumericFeature, values: Float64Array, at: number, width: number): FillFeatures {
  const { mean, scale } = feature;
  const divisor = feature.kind === 'date' ? DAY_MS : 1;
  const missing = feature.impute === null ? NaN : Math.fround(feature.impute);
  return (out, rows, from, size) => {
    for (let i = 0, to = at; i < size; i++, to += width) {
      const row = rows === null ? from + i : rows[from + i]!;
      const x = Math.fround(values[row]! / divisor);
      out[to] = ((x === x ? x : missing) - mean) / scale;
    }
  };
}

/** `values` has one entry per category of the table and a last one for missing. */
function byCode({ codes }: CategoryColumn, values: Float32Array, at: number, width: number): FillFeatures {
  const last = values.length - 1;
  return (out, rows, from, size) => {
    for (let i = 0, to = at; i < size; i++, to += width) {
      const code = codes[rows === null ? from + i : rows[from + i]!]!;
      out[to] = values[code < 0 ? last : code]!;
    }
  };
}

/** The feature's value for each category of the table's own list, which may differ from the model's. */
function codeValues(feature: Feature, column: CategoryColumn, features: readonly Feature[]): Float32Array {
  const values = new Float32Array(column.categories.length + 1);
  if (feature.kind === 'code') {
    const known = new Map(feature.categories.map((category, code) => [category, code]));
    column.categories.forEach(
      (category, i) => (values[i] = isMatchable(category) ? (known.get(category) ?? NaN) : NaN),
    );
    values[column.categories.length] = NaN;
  } else if (feature.kind === 'oneHot' && feature.category !== null) {
    const { category } = feature;
    column.categories.forEach((other, i) => (values[i] = other === category && isMatchable(other) ? 1 : 0));
  } else {
    const known = oneHotCategories(features, feature.column);
    column.categories.forEach((category, i) => (values[i] = isMatchable(category) && known.has(category) ? 0 : 1));
    values[column.categories.length] = 1;
  }
  return values;
}

/** The categories of `column` that have a one-hot feature; whatever is not among them is "missing or unseen". */
export function oneHotCategories(features: readonly Feature[], column: string): Set<string> {
  const known = new Set<string>();
  for (const f of features)
    if (f.kind === 'oneHot' && f.column === column && f.category !== null) known.add(f.category);
  return known;
}

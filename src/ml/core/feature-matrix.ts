/**
 * Raw columns -> float32 features, row-major. The ONNX graph does the same in onnx/export-features.ts.
 *
 *   number, boolean   x = fround(value)
 *   date              x = fround(epochMs / 86_400_000)
 *   datePart          x = the part's number, see core/calendar.ts
 *   all four          a missing x becomes fround(impute) if there is one; then fround((x - mean) / scale), or fround(knots(x))
 *   missing           1 where the value is missing, else 0
 *   code              index of the value in `categories`, the next one for `others`, NaN where missing or unseen
 *   oneHot, oneOf     1 where the value is (one of) the feature's; for null: 1 where missing or not among the column's other such features
 *   lookup            the category's value; `otherwise` where missing or unseen
 */
import { datePart, DAY_MS } from './calendar.js';
import { interpolator } from './knots.js';
import { type Feature } from './model.js';
import { type CategoryColumn, type Column, type Table } from './table.js';

export { DAY_MS } from './calendar.js';

/** Writes features of table rows rows[from .. from + size) (or from .. from + size where rows is null) into out (size x features). */
export type FillFeatures = (out: Float32Array, rows: Uint32Array | null, from: number, size: number) => void;

/**
 * Whether a category can be told apart at every door: the empty string stands for missing, and ONNX Runtime cuts strings at a
 * NUL and cannot hold half a surrogate pair. All others are answered as unseen.
 */
export function isMatchable(category: string): boolean {
  return category !== '' && !/[\0\p{Cs}]/u.test(category);
}

/** Codes of a `code` feature: one for each category, and one for the others if there are any. */
export function codeCount({ categories, others }: Extract<Feature, { kind: 'code' }>): number {
  return categories.length + (others === undefined || others.length === 0 ? 0 : 1);
}

export function featureMatrix(features: readonly Feature[], table: Table): FillFeatures {
  const columns = new Map<string, Column>(table.columns.map((column) => [column.name, column]));
  const width = features.length;
  const known = knownByColumn(features);
  const fillers = features.map((feature, at) => {
    const column = columns.get(feature.column);
    if (column === undefined) throw new Error(`The table lacks the column "${feature.column}" of the model.`);
    const wanted = columnKind(feature);
    if (column.kind !== wanted)
      throw new Error(`Column "${feature.column}" is a ${column.kind}, the model wants a ${wanted}.`);
    if (column.kind === 'category') return byCode(column, codeValues(feature, column, known), at, width);
    if (feature.kind === 'missing') return missing(column.values, at, width);
    return numeric(feature as NumericFeature, column.values, at, width);
  });
  return (out, rows, from, size) => {
    for (const fill of fillers) fill(out, rows, from, size);
  };
}

/** The kind of raw column that a feature is made from. */
export function columnKind(feature: Feature): Column['kind'] {
  switch (feature.kind) {
    case 'datePart':
      return 'date';
    case 'missing':
      return feature.of;
    case 'number':
    case 'boolean':
    case 'date':
      return feature.kind;
    default:
      return 'category';
  }
}

export type NumericFeature = Extract<Feature, { mean: number }>;

function numeric(feature: NumericFeature, values: Float64Array, at: number, width: number): FillFeatures {
  const { mean, scale, knots } = feature;
  const fill = unscaled(feature, values, at, width);
  const instead = feature.impute === null ? NaN : Math.fround(feature.impute);
  if (feature.impute === null && mean === 0 && scale === 1 && knots === undefined) return fill;
  const scaled = knots === undefined ? (x: number) => (x - mean) / scale : interpolator(knots);
  return (out, rows, from, size) => {
    fill(out, rows, from, size);
    for (let i = 0, to = at; i < size; i++, to += width) {
      const x = out[to]!;
      out[to] = scaled(x === x ? x : instead);
    }
  };
}

function unscaled(feature: NumericFeature, values: Float64Array, at: number, width: number): FillFeatures {
  if (feature.kind === 'datePart') {
    const { part } = feature;
    return (out, rows, from, size) => {
      for (let i = 0, to = at; i < size; i++, to += width)
        out[to] = datePart(values[rows === null ? from + i : rows[from + i]!]!, part);
    };
  }
  if (feature.kind === 'date')
    return (out, rows, from, size) => {
      for (let i = 0, to = at; i < size; i++, to += width)
        out[to] = values[rows === null ? from + i : rows[from + i]!]! / DAY_MS;
    };
  return (out, rows, from, size) => {
    if (rows === null) for (let i = 0, to = at; i < size; i++, to += width) out[to] = values[from + i]!;
    else for (let i = 0, to = at; i < size; i++, to += width) out[to] = values[rows[from + i]!]!;
  };
}

function missing(values: Float64Array, at: number, width: number): FillFeatures {
  return (out, rows, from, size) => {
    for (let i = 0, to = at; i < size; i++, to += width)
      out[to] = Number.isNaN(values[rows === null ? from + i : rows[from + i]!]!) ? 1 : 0;
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

/** The feature's value for each category of the table's own list, which may differ from the model's; last for missing. */
function codeValues(
  feature: Feature,
  { categories }: CategoryColumn,
  known: ReadonlyMap<string, ReadonlySet<string>>,
): Float32Array {
  const values = new Float32Array(categories.length + 1);
  const fill = (of: (category: string) => number, otherwise: number): Float32Array => {
    categories.forEach((category, i) => (values[i] = isMatchable(category) ? of(category) : otherwise));
    values[categories.length] = otherwise;
    return values;
  };
  switch (feature.kind) {
    case 'code': {
      const codes = new Map(feature.categories.map((category, code) => [category, code]));
      for (const other of feature.others ?? []) codes.set(other, feature.categories.length);
      return fill((category) => codes.get(category) ?? NaN, NaN);
    }
    case 'lookup': {
      const index = new Map(feature.categories.map((category, i) => [category, i]));
      const of = (category: string): number => {
        const i = index.get(category);
        return i === undefined ? feature.otherwise : feature.values[i]!;
      };
      return fill(of, feature.otherwise);
    }
    case 'oneOf': {
      const own = new Set(feature.categories);
      return fill((category) => (own.has(category) ? 1 : 0), 0);
    }
    default: {
      if (feature.kind === 'oneHot' && feature.category !== null)
        return fill((category) => (category === feature.category ? 1 : 0), 0);
      const others = known.get(feature.column);
      return fill((category) => (others?.has(category) ? 0 : 1), 1);
    }
  }
}

/** By column the categories that have an indicator; whatever is not among them is "missing or unseen". */
function knownByColumn(features: readonly Feature[]): Map<string, Set<string>> {
  const known = new Map<string, Set<string>>();
  for (const feature of features) {
    if (feature.kind !== 'oneHot' && feature.kind !== 'oneOf') continue;
    const own = known.get(feature.column) ?? new Set();
    known.set(feature.column, own);
    if (feature.kind === 'oneOf') for (const category of feature.categories) own.add(category);
    else if (feature.category !== null) own.add(feature.category);
  }
  return known;
}

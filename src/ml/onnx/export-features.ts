/**
 * Raw columns -> features inside the graph, the counterpart of core/feature-matrix.ts.
 *
 *   number, boolean   float tensor; NaN is missing
 *   date              int64 epoch milliseconds; -2^63 is missing: days = float(double(ms) / 86_400_000)
 *   category          string; the empty string is missing
 *
 * Columns are joined first and worked on together: two thousand columns cost five operators, not ten thousand.
 */
import { isMatchable, type NumericFeature } from '../core/feature-matrix.js';
import { type Feature, type InputColumn } from '../core/model.js';
import { exportDateParts, exportDays, exportMissingDates } from './export-dates.js';
import { exportKnots } from './export-knots.js';
import { DataType, type DataTypeCode, type GraphBuilder, tensorName } from './graph.js';

type Of<K extends Feature['kind']> = Extract<Feature, { kind: K }>;

/** Features in the order of the graph: `tensor` is float [N, order.length]; order[j] is the model's index of its column j. */
export interface JoinedFeatures {
  readonly tensor: string;
  readonly order: Int32Array;
}

const INPUT_TYPES: Readonly<Record<InputColumn['kind'], DataTypeCode>> = {
  number: DataType.float,
  boolean: DataType.float,
  date: DataType.int64,
  category: DataType.string,
};

export function exportInputs(graph: GraphBuilder, inputs: readonly InputColumn[]): void {
  for (const { name, kind } of inputs) graph.input(tensorName(name), INPUT_TYPES[kind], ['N', 1]);
}

/** Features while they are joined: their indices in the model, and a float tensor of so many columns. */
interface Part {
  readonly tensor: string;
  readonly indices: readonly number[];
}

/**
 * All features side by side, but only those `used`; null where there is none. One-hot features are those of trees: of linear
 * models exportOneHot makes a sum instead.
 */
export function joinFeatures(
  graph: GraphBuilder,
  features: readonly Feature[],
  used: (index: number) => boolean,
): JoinedFeatures | null {
  const wanted = [...features.keys()].filter(used);
  const numeric = wanted.filter((i) => 'mean' in features[i]!);
  const at = (i: number) => features[i] as NumericFeature;
  const parts: Part[] = [
    ...exportNumbers(
      graph,
      features,
      numeric.filter((i) => at(i).knots === undefined),
    ),
    ...exportNumbers(
      graph,
      features,
      numeric.filter((i) => at(i).knots !== undefined),
    ),
    ...exportMissing(
      graph,
      features,
      wanted.filter((i) => features[i]!.kind === 'missing'),
    ),
  ];
  for (const i of wanted) {
    const feature = features[i]!;
    if (feature.kind === 'code') parts.push({ tensor: exportCode(graph, feature), indices: [i] });
    if (feature.kind === 'lookup') parts.push({ tensor: exportLookup(graph, feature), indices: [i] });
  }
  parts.push(
    ...exportIndicators(
      graph,
      features,
      wanted.filter((i) => isIndicator(features[i]!)),
    ),
  );
  if (parts.length === 0) return null;
  return {
    tensor: graph.concat(parts.map(({ tensor }) => tensor)),
    order: Int32Array.from(parts.flatMap(({ indices }) => indices)),
  };
}

/** Numbers, booleans, dates and their parts, imputed and scaled: all of them by knots, or none. */
function exportNumbers(graph: GraphBuilder, features: readonly Feature[], indices: readonly number[]): Part[] {
  if (indices.length === 0) return [];
  const ofKind = (...kinds: Feature['kind'][]) => indices.filter((i) => kinds.includes(features[i]!.kind));
  const names = (of: readonly number[]) => of.map((i) => tensorName(features[i]!.column));
  const plain = ofKind('number', 'boolean');
  const dates = ofKind('date');
  const parts = ofKind('datePart');
  const tensors: string[] = [];
  if (plain.length > 0) tensors.push(graph.concat(names(plain)));
  if (dates.length > 0) tensors.push(exportDays(graph, names(dates)));
  if (parts.length > 0)
    tensors.push(
      exportDateParts(
        graph,
        names(parts),
        parts.map((i) => (features[i] as Of<'datePart'>).part),
      ),
    );
  const order = [...plain, ...dates, ...parts];
  const scaled = exportScaling(
    graph,
    graph.concat(tensors),
    order.map((i) => features[i] as NumericFeature),
  );
  return [{ tensor: scaled, indices: order }];
}

/** x -> float((double(x or impute) - mean) / scale), or float(knots(x or impute)); nothing at all where no feature asks for it. */
function exportScaling(graph: GraphBuilder, joined: string, features: readonly NumericFeature[]): string {
  let x = joined;
  if (features.some(({ impute }) => impute !== null)) {
    const impute = graph.constant(Float32Array.from(features, (f) => f.impute ?? NaN));
    x = graph.node('Where', [graph.node('IsNaN', [x]), impute, x]);
  }
  const knots = features.flatMap((f) => (f.knots === undefined ? [] : [f.knots]));
  if (knots.length > 0) return graph.cast(exportKnots(graph, graph.cast(x, DataType.double), knots), DataType.float);
  if (features.every(({ mean, scale }) => mean === 0 && scale === 1)) return x;
  const centred = graph.node('Sub', [
    graph.cast(x, DataType.double),
    graph.constant(Float64Array.from(features, (f) => f.mean)),
  ]);
  const scaled = graph.node('Div', [centred, graph.constant(Float64Array.from(features, (f) => f.scale))]);
  return graph.cast(scaled, DataType.float);
}

function exportMissing(graph: GraphBuilder, features: readonly Feature[], indices: readonly number[]): Part[] {
  const isDate = (i: number) => (features[i] as Of<'missing'>).of === 'date';
  const groups = [indices.filter((i) => !isDate(i)), indices.filter(isDate)];
  return groups.flatMap((group, date) => {
    if (group.length === 0) return [];
    const joined = graph.concat(group.map((i) => tensorName(features[i]!.column)));
    const flags = date === 1 ? exportMissingDates(graph, joined) : graph.node('IsNaN', [joined]);
    return [{ tensor: graph.cast(flags, DataType.float), indices: group }];
  });
}

function exportLookup(graph: GraphBuilder, { column, categories, values, otherwise }: Of<'lookup'>): string {
  return exportFloats(graph, column, categories, (i) => values[i]!, otherwise);
}

/** Whether the feature says of a column's value that it is (one of) its own. */
export function isIndicator({ kind }: Feature): boolean {
  return kind === 'oneHot' || kind === 'oneOf';
}

/** One-hot features as they are: the number of the one that is 1, compared with the number of each. */
function exportIndicators(graph: GraphBuilder, features: readonly Feature[], indices: readonly number[]): Part[] {
  const columns = [...new Set(indices.map((i) => features[i]!.column))];
  return columns.map((column) => {
    const own = indices.filter((i) => features[i]!.column === column);
    const keys = indicatorKeys(features, column);
    const numbers = graph.node('LabelEncoder', [tensorName(column)], {
      keys_strings: { strings: ['', ...keys.keys()] },
      values_int64s: { ints: [features.length, ...keys.values()] },
      default_int64: { int: features.length },
    });
    const numberOf = (i: number): bigint => {
      const feature = features[i]!;
      return BigInt(feature.kind === 'oneHot' && feature.category === null ? features.length : i);
    };
    const hot = graph.node('Equal', [numbers, graph.constant(BigInt64Array.from(own, numberOf), [1, own.length])]);
    return { tensor: graph.cast(hot, DataType.float), indices: own };
  });
}

/** Of each category with an indicator in `column` the indicator's index. */
function indicatorKeys(features: readonly Feature[], column: string): Map<string, number> {
  const keys = new Map<string, number>();
  features.forEach((feature, index) => {
    if (feature.column !== column) return;
    const own =
      feature.kind === 'oneOf' ? feature.categories : feature.kind === 'oneHot' ? [feature.category ?? ''] : [];
    for (const category of own) if (isMatchable(category)) keys.set(category, index);
  });
  return keys;
}

function exportCode(graph: GraphBuilder, { column, categories, others = [] }: Of<'code'>): string {
  return exportFloats(graph, column, [...categories, ...others], (i) => Math.min(i, categories.length), NaN);
}

/** The empty string has a key of its own, so that a column without any category left still makes a valid encoder. */
function exportFloats(
  graph: GraphBuilder,
  column: string,
  categories: readonly string[],
  value: (index: number) => number,
  otherwise: number,
): string {
  const known = [...categories.keys()].filter((i) => isMatchable(categories[i]!));
  return graph.node('LabelEncoder', [tensorName(column)], {
    keys_strings: { strings: ['', ...known.map((i) => categories[i]!)] },
    values_floats: { floats: Float32Array.from([otherwise, ...known.map(value)]) },
    default_float: { float: otherwise },
  });
}

/**
 * One-hot features times their weights is a row of the weights: for each category column the encoder gives the row's number, and
 *
 *   sum[i, :] = sum over columns c of table[row(c, value[i, c]), :]      double [N, outputs]
 *
 * `weight(feature, output)` reads the model. Null where the model has no one-hot feature.
 */
export function exportOneHot(
  graph: GraphBuilder,
  features: readonly Feature[],
  outputs: number,
  weight: (feature: number, output: number) => number,
): string | null {
  const columns = oneHotFeatures(features);
  if (columns.size === 0) return null;
  const table: number[] = [];
  const addRow = (at: readonly number[] = []): number => {
    for (let k = 0; k < outputs; k++) table.push(at.reduce((sum, feature) => sum + weight(feature, k), 0));
    return table.length / outputs - 1;
  };
  const rows = [...columns].map(([column, byCategory]) => {
    const other = addRow(byCategory.get(null));
    const known = [...byCategory].filter(([category]) => category !== null && isMatchable(category));
    return graph.node('LabelEncoder', [tensorName(column)], {
      keys_strings: { strings: ['', ...known.map(([category]) => category!)] },
      values_int64s: { ints: [other, ...known.map(([, at]) => addRow(at))] },
      default_int64: { int: other },
    });
  });
  const weights = graph.constant(Float64Array.from(table), [table.length / outputs, outputs]);
  const picked = graph.node('Gather', [weights, graph.concat(rows)], { axis: { int: 0 } });
  return graph.node('ReduceSum', [picked, graph.constant(BigInt64Array.of(1n))], { keepdims: { int: 0 } });
}

/** By column and category the indices of its one-hot features (more than one only in an odd model). */
function oneHotFeatures(features: readonly Feature[]): Map<string, Map<string | null, number[]>> {
  const columns = new Map<string, Map<string | null, number[]>>();
  features.forEach((feature, index) => {
    if (feature.kind !== 'oneHot' && feature.kind !== 'oneOf') return;
    const byCategory = columns.get(feature.column) ?? new Map<string | null, number[]>();
    columns.set(feature.column, byCategory);
    for (const category of feature.kind === 'oneHot' ? [feature.category] : feature.categories)
      byCategory.set(category, [...(byCategory.get(category) ?? []), index]);
  });
  return columns;
}

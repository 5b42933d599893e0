/**
 * Raw columns -> features inside the graph, the counterpart of core/feature-matrix.ts.
 *
 *   number, boolean   float tensor; NaN is missing
 *   date              int64 epoch milliseconds; -2^63 is missing: days = float(double(ms) / 86_400_000)
 *   category          string; the empty string is missing
 *
 * Columns are joined first and worked on together: two thousand columns cost five operators, not ten thousand.
 */
import { DAY_MS, isMatchable } from '../core/feature-matrix.js';
import { type Feature, type InputColumn } from '../core/model.js';
import { DataType, type DataTypeCode, type GraphBuilder, tensorName } from './graph.js';

export const MISSING_DATE = -(2n ** 63n);

type Numeric = Extract<Feature, { mean: number }>;

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

/** Numbers, booleans, dates, codes: those that are one column each. Null where there is none. `used` leaves out the others. */
export function joinFeatures(
  graph: GraphBuilder,
  features: readonly Feature[],
  used: (index: number) => boolean,
): JoinedFeatures | null {
  const indices = (...kinds: Feature['kind'][]): number[] =>
    [...features.keys()].filter((i) => used(i) && kinds.includes(features[i]!.kind));
  const plain = indices('number', 'boolean');
  const dates = indices('date');
  const codes = indices('code');
  const numeric = [...plain, ...dates];
  const parts: string[] = [];
  if (plain.length > 0) parts.push(graph.concat(plain.map((i) => tensorName(features[i]!.column))));
  if (dates.length > 0)
    parts.push(
      exportDays(
        graph,
        dates.map((i) => tensorName(features[i]!.column)),
      ),
    );
  if (parts.length > 0)
    parts.splice(
      0,
      parts.length,
      exportScaling(
        graph,
        graph.concat(parts),
        numeric.map((i) => features[i] as Numeric),
      ),
    );
  for (const i of codes) parts.push(exportCode(graph, features[i] as Extract<Feature, { kind: 'code' }>));
  return parts.length === 0 ? null : { tensor: graph.concat(parts), order: Int32Array.from([...numeric, ...codes]) };
}

function exportDays(graph: GraphBuilder, columns: readonly string[]): string {
  const ms = graph.concat(columns);
  const days = graph.node('Div', [graph.cast(ms, DataType.double), graph.scalar(DAY_MS)]);
  const missing = graph.node('Equal', [ms, graph.constant(BigInt64Array.of(MISSING_DATE), [])]);
  return graph.node('Where', [missing, graph.constant(Float32Array.of(NaN), []), graph.cast(days, DataType.float)]);
}

/** x -> float((double(x or impute) - mean) / scale); nothing at all where no feature asks for it. */
function exportScaling(graph: GraphBuilder, joined: string, features: readonly Numeric[]): string {
  let x = joined;
  if (features.some(({ impute }) => impute !== null)) {
    const impute = graph.constant(Float32Array.from(features, (f) => f.impute ?? NaN));
    x = graph.node('Where', [graph.node('IsNaN', [x]), impute, x]);
  }
  if (features.every(({ mean, scale }) => mean === 0 && scale === 1)) return x;
  const centred = graph.node('Sub', [
    graph.cast(x, DataType.double),
    graph.constant(Float64Array.from(features, (f) => f.mean)),
  ]);
  const scaled = graph.node('Div', [centred, graph.constant(Float64Array.from(features, (f) => f.scale))]);
  return graph.cast(scaled, DataType.float);
}

/** The empty string has a key of its own, so that a column without any category left still makes a valid encoder. */
function exportCode(graph: GraphBuilder, { column, categories }: Extract<Feature, { kind: 'code' }>): string {
  const known = [...categories.keys()].filter((code) => isMatchable(categories[code]!));
  return graph.node('LabelEncoder', [tensorName(column)], {
    keys_strings: { strings: ['', ...known.map((code) => categories[code]!)] },
    values_floats: { floats: Float32Array.from([NaN, ...known]) },
    default_float: { float: NaN },
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
    if (feature.kind !== 'oneHot') return;
    const byCategory = columns.get(feature.column) ?? new Map<string | null, number[]>();
    columns.set(feature.column, byCategory.set(feature.category, [...(byCategory.get(feature.category) ?? []), index]));
  });
  return columns;
}

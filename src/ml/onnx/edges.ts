/**
 * Rows at the edges of a model, where two implementations part first. Each is a copy of a real row with one column changed:
 *
 *   number     a split's float32 threshold and its neighbours above and below; +-1e9; the largest float; missing
 *   boolean    both values; missing
 *   date       the milliseconds around a split's threshold and around the start of its day; missing
 *   category   the first, a middle and the last known one; one never seen; missing
 */
import { DAY_MS } from '../core/feature-matrix.js';
import { type FittedModel, type Model, type TreeModel } from '../core/model.js';
import { type Column, type Table } from '../core/table.js';

/** Thresholds tried at most for one column, and rows and cells in all. */
const THRESHOLDS = 12;
const MAX_ROWS = 20_000;
const MAX_CELLS = 4_000_000;
const UNSEEN = '\u2063never seen in training\u2063';

/** A table of edge rows with the model's input columns. Its rows start from `rows` of `table` in turn; `seed` picks thresholds. */
export function edgeTable(fitted: FittedModel, table: Table, rows: Uint32Array, seed: number): Table {
  const byName = new Map(table.columns.map((column) => [column.name, column]));
  const columns = fitted.inputs.map(({ name }) => withUnseen(byName.get(name)!));
  const thresholds = thresholdsByColumn(treeModels(fitted.model), seed);
  const edges = columns.map((column) => edgeValues(column, thresholds.get(column.name) ?? []));
  const total = edges.reduce((sum, values) => sum + values.length, 0);
  const share = Math.min(MAX_ROWS, MAX_CELLS / columns.length) / Math.max(1, total);
  const kept = edges.map((values) => values.slice(0, Math.max(1, Math.floor(values.length * share))));
  const changes = kept.flatMap((values, at) => values.map((value) => ({ at, value })));
  const rowCount = rows.length === 0 ? 0 : changes.length;
  const filled = columns.map((column, at) => {
    const value = (i: number): number =>
      changes[i]!.at === at ? changes[i]!.value : valuesOf(column)[rows[i % rows.length]!]!;
    if (column.kind === 'category')
      return { ...column, codes: Int32Array.from({ length: rowCount }, (_, i) => value(i)) };
    return { ...column, values: Float64Array.from({ length: rowCount }, (_, i) => value(i)) };
  });
  return { rowCount, columns: filled };
}

function withUnseen(column: Column): Column {
  return column.kind === 'category' ? { ...column, categories: [...column.categories, UNSEEN] } : column;
}

function valuesOf(column: Column): Float64Array | Int32Array {
  return column.kind === 'category' ? column.codes : column.values;
}

function edgeValues(column: Column, thresholds: readonly number[]): number[] {
  if (column.kind === 'boolean') return [NaN, 0, 1];
  if (column.kind === 'category') {
    const last = column.categories.length - 1;
    return [...new Set([-1, last, 0, last >> 1, Math.max(0, last - 1)])];
  }
  if (column.kind === 'number')
    return [
      NaN,
      0,
      1e9,
      -1e9,
      3.4028234663852886e38,
      ...thresholds.flatMap((t) => [t, nextFloat(t, 1), nextFloat(t, -1)]),
    ];
  const atDays = thresholds.flatMap((t) =>
    [nextFloat(t, -1), t, nextFloat(t, 1)].map((days) => Math.round(days * DAY_MS)),
  );
  const atStart = thresholds.map((t) => Math.floor(t) * DAY_MS);
  return [NaN, 0, ...[...atDays, ...atStart].flatMap((ms) => [ms - 1, ms, ms + 1])].filter(
    (ms) => !(Math.abs(ms) > 8.64e15),
  );
}

/** The float32 above (step 1) or below (step -1): the bits of floats of one sign are ordered like the floats. */
export function nextFloat(value: number, step: 1 | -1): number {
  const floats = Float32Array.of(value);
  const bits = new Int32Array(floats.buffer);
  if (floats[0] === 0) return step * 2 ** -149;
  bits[0]! += floats[0]! > 0 ? step : -step;
  return floats[0]!;
}

function treeModels(model: Model): TreeModel[] {
  const models = model.family === 'combined' ? model.members : [model];
  return models.filter((member) => member.family === 'trees');
}

/** Up to THRESHOLDS numeric thresholds of every column, spread over all its splits by a seeded stride. */
function thresholdsByColumn(models: readonly TreeModel[], seed: number): Map<string, number[]> {
  const all = new Map<string, Set<number>>();
  for (const { trees, features } of models) {
    for (const tree of trees) {
      tree.feature.forEach((f, node) => {
        if (f < 0 || tree.leftCodes[node] != null) return;
        const { column } = features[f]!;
        all.set(column, (all.get(column) ?? new Set()).add(tree.threshold[node]!));
      });
    }
  }
  const picked = new Map<string, number[]>();
  for (const [column, thresholds] of all) {
    const list = [...thresholds];
    const start = Math.abs(Math.imul(seed | 0, 0x9e3779b1)) % list.length;
    const count = Math.min(THRESHOLDS, list.length);
    picked.set(
      column,
      Array.from({ length: count }, (_, i) => list[(start + Math.floor((i * list.length) / count)) % list.length]!),
    );
  }
  return picked;
}

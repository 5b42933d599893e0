/**
 * Rows at the edges of a model, where two implementations part first. Each is a copy of a real row with one column changed:
 *
 *   number     a split's float32 threshold, or a knot of the scaling, and its neighbours above and below; +-1e9; the largest float; missing
 *   boolean    both values; missing
 *   date       the milliseconds around a split's threshold and around the start of its day; the turns of years, of leap days
 *              and of 1970; the ends of the calendar; missing
 *   category   some known ones from the first to the last; one never seen; missing
 */
import { DAY_MS } from '../core/feature-matrix.js';
import { type Feature, type FittedModel, type Model, type SingleModel } from '../core/model.js';
import { type Column, type Table } from '../core/table.js';

/** Thresholds tried at most for one column, and rows and cells in all. */
const THRESHOLDS = 12;
const MAX_ROWS = 20_000;
const MAX_CELLS = 4_000_000;
const CATEGORIES = 8;
const MAX_DATE_MS = 8.64e15;
/** Midnights (UTC) at which parts of a date turn: years, leap days and what only looks like one, before and after 1970. */
const TURNS = [
  '1970-01-01',
  '1969-01-01',
  '1968-02-29',
  '1900-03-01',
  '1900-02-28',
  '1601-01-01',
  '0000-03-01',
  '2000-02-29',
  '2001-01-01',
  '2023-12-31',
  '2024-02-29',
  '2024-12-31',
  '2100-03-01',
]
  .map((day) => Date.parse(`${day}T00:00:00Z`))
  .concat(-MAX_DATE_MS, MAX_DATE_MS);
const UNSEEN = '\u2063never seen in training\u2063';

/** A table of edge rows with the model's input columns. Its rows start from `rows` of `table` in turn; `seed` picks thresholds. */
export function edgeTable(fitted: FittedModel, table: Table, rows: Uint32Array, seed: number): Table {
  const byName = new Map(table.columns.map((column) => [column.name, column]));
  const columns = fitted.inputs.map(({ name }) => withUnseen(byName.get(name)!));
  const thresholds = thresholdsByColumn(singleModels(fitted.model), seed);
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
    const known = Array.from({ length: CATEGORIES }, (_, i) => Math.floor((i * last) / CATEGORIES));
    return [...new Set([-1, last, Math.max(0, last - 1), ...known])];
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
  return [NaN, ...[...atDays, ...atStart, ...TURNS].flatMap((ms) => [ms - 1, ms, ms + 1])].filter(
    (ms) => !(Math.abs(ms) > MAX_DATE_MS),
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

function singleModels(model: Model): readonly SingleModel[] {
  return model.family === 'combined' ? model.members : [model];
}

/** Up to THRESHOLDS numeric thresholds and knots of every column, spread over all of them by a seeded stride. */
function thresholdsByColumn(models: readonly SingleModel[], seed: number): Map<string, number[]> {
  const all = new Map<string, Set<number>>();
  const add = (feature: Feature, threshold: number): void => {
    // Thresholds of encoded categories and of parts of dates are no values of the column.
    if (feature.kind === 'number' || feature.kind === 'date')
      all.set(feature.column, (all.get(feature.column) ?? new Set()).add(threshold));
  };
  for (const model of models) {
    for (const feature of model.features)
      if ('knots' in feature && feature.knots !== undefined) for (const x of feature.knots.x) add(feature, x);
    if (model.family === 'linear') continue;
    for (const tree of model.trees) {
      tree.feature.forEach((f, node) => {
        if (f >= 0 && tree.leftCodes[node] == null) add(model.features[f]!, tree.threshold[node]!);
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

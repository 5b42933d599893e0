/**
 * Partial dependence (Friedman, "Greedy function approximation", 2001): the mean answer when a column holds a value in every row;
 * with quantiles of the rows' own curves (individual conditional expectation, Goldstein et al., 2015), which show where rows differ.
 */
import { quantile } from '../core/bootstrap.js';
import { type Pace } from '../core/pace.js';
import { predictTable } from '../core/predict.js';
import { SpecError } from '../core/spec-error.js';
import { type Column } from '../core/table.js';
import { type Answers } from './answers.js';
import { spread } from './permutation.js';

export interface DependencePoint {
  /** A number, or epoch milliseconds of a date; null for a category, true or false, and for missing. */
  readonly number: number | null;
  /** A category, `true` or `false`; null for a number, and for missing. */
  readonly text: string | null;
  /** Share of the rows that hold the value (numbers: a value up to this one and above the one before). */
  readonly share: number;
  /** Per output: of the rows' answers at this value. */
  readonly mean: readonly number[];
  readonly low: readonly number[];
  readonly high: readonly number[];
}

export interface Dependence {
  readonly column: string;
  /** Classes, or the target's name: what `mean`, `low` (10 %) and `high` (90 %) are of. */
  readonly outputs: readonly string[];
  readonly rows: number;
  readonly points: readonly DependencePoint[];
}

/** Rows used at most; of more, an even choice. */
export const MOST_DEPENDENCE_ROWS = 1000;
/** Values tried at most of one column. */
export const MOST_VALUES = 20;

/** @throws SpecError UNKNOWN_COLUMN for a column that the model does not take */
export async function partialDependence(answers: Answers, name: string, pace: Pace): Promise<Dependence> {
  const { fitted, table } = answers;
  const column = table.columns.find((one) => one.name === name);
  if (column === undefined || !fitted.inputs.some((input) => input.name === name))
    throw new SpecError('UNKNOWN_COLUMN', 'partialDependence.columns', `The model takes no column "${name}".`);
  const rows = Uint32Array.from(spread(answers.rows.length, MOST_DEPENDENCE_ROWS), (i) => answers.rows[i]!);
  const outputs = fitted.classes ?? [fitted.target];
  const points: DependencePoint[] = [];
  for (const value of valuesOf(column, rows)) {
    const changed = {
      ...table,
      columns: table.columns.map((one) => (one === column ? filled(column, value.at) : one)),
    };
    const { scores } = predictTable(fitted, changed, rows);
    const own = outputs.map((_, k) => scores.filter((_score, at) => at % outputs.length === k).sort());
    points.push({
      number: value.number,
      text: value.text,
      share: value.share,
      mean: own.map((sorted) => sorted.reduce((sum, score) => sum + score, 0) / sorted.length),
      low: own.map((sorted) => quantile(sorted, 0.1)!),
      high: own.map((sorted) => quantile(sorted, 0.9)!),
    });
    if (pace.isDue(rows.length * 500)) await pace.rest();
  }
  return { column: name, outputs, rows: rows.length, points };
}

interface TriedValue {
  /** As the column stores it. */
  readonly at: number;
  readonly number: number | null;
  readonly text: string | null;
  readonly share: number;
}

/** Numbers and dates: quantiles; categories: the most frequent ones; the missing value last, if there is one. */
function valuesOf(column: Column, rows: Uint32Array): TriedValue[] {
  if (column.kind === 'category') return categoriesOf(column.codes, column.categories, rows);
  const present = Float64Array.from(rows, (row) => column.values[row]!)
    .filter((value) => !Number.isNaN(value))
    .sort();
  const missing = rows.length - present.length;
  const grid = [
    ...new Set(Array.from({ length: MOST_VALUES }, (_, i) => quantile(present, i / (MOST_VALUES - 1)) ?? NaN)),
  ].filter((value) => !Number.isNaN(value));
  const isBoolean = column.kind === 'boolean';
  const values = (isBoolean ? [0, 1] : grid).map((at, i, all) => ({
    at,
    number: isBoolean ? null : at,
    text: isBoolean ? String(at === 1) : null,
    share: present.filter((value) => value <= at && (i === 0 || value > all[i - 1]!)).length / rows.length,
  }));
  return missing > 0 ? [...values, { at: NaN, number: null, text: null, share: missing / rows.length }] : values;
}

function categoriesOf(codes: Int32Array, categories: readonly string[], rows: Uint32Array): TriedValue[] {
  const counts = new Map<number, number>();
  for (const row of rows) counts.set(codes[row]!, (counts.get(codes[row]!) ?? 0) + 1);
  return [...counts]
    .sort(([a, m], [b, n]) => Number(a < 0) - Number(b < 0) || n - m || a - b)
    .filter(([code], i) => code < 0 || i < MOST_VALUES)
    .map(([code, count]) => ({
      at: code,
      number: null,
      text: code < 0 ? null : (categories[code] ?? null),
      share: count / rows.length,
    }));
}

function filled(column: Column, at: number): Column {
  if (column.kind === 'category') return { ...column, codes: new Int32Array(column.codes.length).fill(at) };
  return { ...column, values: new Float64Array(column.values.length).fill(at) };
}

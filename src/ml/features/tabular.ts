/**
 * Raw columns -> features, learned from the training rows only: which columns are of use, which categories are known, where
 * numbers are centred. The values themselves are computed by core/feature-matrix.ts, for training as for prediction.
 */
import { featureMatrix, isMatchable, DAY_MS } from '../core/feature-matrix.js';
import { type Feature } from '../core/model.js';
import { type CategoryColumn, type Column, type Table } from '../core/table.js';

export interface FittedFeatures {
  /** Grouped by column, in the order of the columns. */
  readonly features: readonly Feature[];
  /** Columns of use, in the order of the table. */
  readonly columns: readonly string[];
  /** Categories known of each category column. */
  readonly categories: ReadonlyMap<string, readonly string[]>;
  readonly warnings: readonly string[];
}

/** A category is known if at least so many training rows hold it: fewer teach nothing and would name a person. */
export const MIN_CATEGORY_ROWS = 5;

/** Most categories known of one column: one byte a row, with room for missing. */
export const MAX_CATEGORIES = 254;

/** A category column with more distinct values than this, and one for every second row, is taken for an identifier. */
const IDENTIFIER_VALUES = 20;
const IDENTIFIER_SHARE = 0.5;

/** One feature per column: numbers as they are, categories as codes. */
export function fitTreeFeatures(table: Table, names: readonly string[], rows: Uint32Array): FittedFeatures {
  return fitFeatures(table, names, rows, (column, categories) =>
    column.kind === 'category'
      ? [{ kind: 'code', column: column.name, categories }]
      : [{ kind: column.kind, column: column.name, impute: null, mean: 0, scale: 1 }],
  );
}

/** Numbers imputed by their mean and standardised; categories one-hot with an indicator of missing or unseen. */
export function fitLinearFeatures(table: Table, names: readonly string[], rows: Uint32Array): FittedFeatures {
  return fitFeatures(table, names, rows, (column, categories) => {
    if (column.kind === 'category')
      return [...categories, null].map((category) => ({ kind: 'oneHot', column: column.name, category }));
    const { mean, deviation } = moments(column.values, rows, column.kind === 'date' ? DAY_MS : 1);
    if (!Number.isFinite(mean) || !(deviation > 0) || !Number.isFinite(deviation))
      return 'it does not vary, or has values too large to be scaled';
    return [{ kind: column.kind, column: column.name, impute: mean, mean, scale: deviation }];
  });
}

/** The column's features, or why it has none. */
type Maker = (column: Column, categories: readonly string[]) => Feature[] | string;

function fitFeatures(table: Table, names: readonly string[], rows: Uint32Array, make: Maker): FittedFeatures {
  const features: Feature[] = [];
  const columns: string[] = [];
  const categories = new Map<string, readonly string[]>();
  const warnings: string[] = [];
  for (const column of table.columns) {
    if (!names.includes(column.name)) continue;
    const known =
      column.kind === 'category'
        ? knownCategories(column, rows)
        : { categories: [], problem: numberProblem(column.values, rows) };
    const made = known.problem ?? make(column, known.categories);
    if (typeof made === 'string') {
      warnings.push(`Column "${column.name}" is left out: ${made}.`);
      continue;
    }
    if (column.kind === 'category') categories.set(column.name, known.categories);
    columns.push(column.name);
    features.push(...made);
  }
  return { features, columns, categories, warnings };
}

interface KnownCategories {
  readonly categories: readonly string[];
  readonly problem: string | null;
}

/** The most frequent categories of the training rows, in the order of the column's list. */
function knownCategories(column: CategoryColumn, rows: Uint32Array): KnownCategories {
  const counts = new Float64Array(column.categories.length);
  for (const row of rows) if (column.codes[row] >= 0) counts[column.codes[row]]++;
  const present = counts.reduce((sum, count) => sum + count, 0);
  const distinct = counts.reduce((sum, count) => sum + (count > 0 ? 1 : 0), 0);
  const refuse = (problem: string): KnownCategories => ({ categories: [], problem });
  if (present === 0) return refuse('it has no values in the training rows');
  if (distinct === 1 && present === rows.length) return refuse('it has the same value in every training row');
  if (distinct > IDENTIFIER_VALUES && distinct > IDENTIFIER_SHARE * present)
    return refuse('it looks like an identifier, with a value of its own for most rows');
  const known = Array.from(counts.keys())
    .filter((code) => counts[code] >= MIN_CATEGORY_ROWS && isMatchable(column.categories[code]))
    .sort((a, b) => counts[b] - counts[a] || a - b)
    .slice(0, MAX_CATEGORIES)
    .sort((a, b) => a - b);
  if (known.length === 0) return refuse(`none of its values is held by ${MIN_CATEGORY_ROWS} training rows`);
  return { categories: known.map((code) => column.categories[code]), problem: null };
}

function numberProblem(values: Float64Array, rows: Uint32Array): string | null {
  let first = NaN;
  let missing = 0;
  for (const row of rows) {
    const value = Math.fround(values[row]);
    if (Number.isNaN(value)) missing++;
    else if (Number.isNaN(first)) first = value;
    else if (value !== first) return null;
  }
  if (missing === rows.length) return 'it has no values in the training rows';
  return missing === 0 ? 'it has the same value in every training row' : null;
}

/** Mean and standard deviation of fround(value / unit) without the missing, as float32. */
function moments(values: Float64Array, rows: Uint32Array, unit: number): { mean: number; deviation: number } {
  const present = Float64Array.from(rows, (row) => Math.fround(values[row] / unit)).filter(
    (value) => !Number.isNaN(value),
  );
  const mean = present.reduce((sum, value) => sum + value, 0) / present.length;
  const variance = present.reduce((sum, value) => sum + (value - mean) ** 2, 0) / present.length;
  return { mean: Math.fround(mean), deviation: Math.fround(Math.sqrt(variance)) };
}

/** Features by column for some rows of the table: result[f][i] is feature f of table row rows[i]. */
export function featureColumns(features: readonly Feature[], table: Table, rows: Uint32Array): Float32Array[] {
  return features.map((feature) => {
    const column = new Float32Array(rows.length);
    featureMatrix([feature], table)(column, rows, 0, rows.length);
    return column;
  });
}

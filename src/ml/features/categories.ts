/** Which categories of a column a model knows: those held by enough training rows, the rare ones of them in one group. */
import { isMatchable } from '../core/feature-matrix.js';
import { type CategoryColumn } from '../core/table.js';
import { MIN_CATEGORY_ROWS } from './feature-spec.js';

export interface KnownCategories {
  /** With a value of their own, in the order of the column's list. */
  readonly own: readonly string[];
  /** The rare ones, which share a value: those of fewer than `minRows` rows, and those beyond the `limit`. */
  readonly others: readonly string[];
}

/** Categories known of one column at most, however rare. */
const MOST_KNOWN = 100_000;

/** A category column with more distinct values than this, and one for every second row, is taken for an identifier. */
const IDENTIFIER_VALUES = 20;
const IDENTIFIER_SHARE = 0.5;

/**
 * @param minRows rows of a category for a value of its own
 * @param limit   values at most, that of the others included
 * @returns why the column is of no use, where it is not
 */
export function knownCategories(
  column: CategoryColumn,
  rows: Uint32Array,
  minRows: number,
  limit = MOST_KNOWN,
): KnownCategories | string {
  const counts = new Float64Array(column.categories.length);
  for (const row of rows) if (column.codes[row] >= 0) counts[column.codes[row]]++;
  const present = counts.reduce((sum, count) => sum + count, 0);
  const distinct = counts.reduce((sum, count) => sum + (count > 0 ? 1 : 0), 0);
  if (present === 0) return 'it has no values in the training rows';
  if (distinct === 1 && present === rows.length) return 'it has the same value in every training row';
  if (distinct > IDENTIFIER_VALUES && distinct > IDENTIFIER_SHARE * present)
    return 'it looks like an identifier, with a value of its own for most rows';
  const known = Array.from(counts.keys())
    .filter((code) => counts[code] >= MIN_CATEGORY_ROWS && isMatchable(column.categories[code]))
    .sort((a, b) => counts[b] - counts[a] || a - b)
    .slice(0, MOST_KNOWN);
  if (known.length === 0) return `none of its values is held by ${MIN_CATEGORY_ROWS} training rows`;
  const frequent = known.filter((code) => counts[code] >= minRows).length;
  const ownCount = frequent === known.length && frequent <= limit ? frequent : Math.min(frequent, limit - 1);
  const names = (codes: readonly number[]) => [...codes].sort((a, b) => a - b).map((code) => column.categories[code]);
  return { own: names(known.slice(0, ownCount)), others: names(known.slice(ownCount)) };
}

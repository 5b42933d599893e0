/** What rows count: by a column of the table, by the sizes of the classes, or both (their product). */
import { SpecError } from './spec-error.js';
import { type Table } from './table.js';
import { type Target } from './target.js';

/**
 * The weights that a column holds, by table row.
 * @param used rows that take part
 * @throws SpecError UNKNOWN_COLUMN, WRONG_COLUMN_KIND unless it holds numbers, WEIGHT_OUT_OF_RANGE unless those of `used` are finite and above 0
 */
export function readWeights(table: Table, name: string, used: Uint32Array): Float64Array {
  const column = table.columns.find((one) => one.name === name);
  if (column === undefined) throw new SpecError('UNKNOWN_COLUMN', 'weightColumn', `There is no column "${name}".`);
  if (column.kind !== 'number')
    throw new SpecError(
      'WRONG_COLUMN_KIND',
      'weightColumn',
      `"${name}" holds no numbers: a weight is a number above 0.`,
    );
  const { values } = column;
  const bad = used.reduce((count, row) => count + (values[row] > 0 && values[row] < MOST_WEIGHT ? 0 : 1), 0);
  if (bad > 0) {
    throw new SpecError(
      'WEIGHT_OUT_OF_RANGE',
      'weightColumn',
      `"${name}" is missing, 0, negative or too large in ${bad} of the rows; every row needs a weight above 0.`,
    );
  }
  return values;
}

/** Weights become float32, and their sums must stay finite. */
const MOST_WEIGHT = 1e30;

/**
 * `weights` times n / (K n_k) for a row of class k, n_k of the n training rows being of it (scikit-learn's "balanced"), so that all
 * K classes count the same. Rows of a class unknown in training keep their weight.
 */
export function balanceClasses(weights: Float64Array | null, { y, classes }: Target, train: Uint32Array): Float64Array {
  const counts = new Float64Array(classes!.length);
  for (const row of train) counts[y[row]]++;
  return y.map((k, row) => (weights?.[row] ?? 1) * (counts[k] > 0 ? train.length / (counts.length * counts[k]) : 1));
}

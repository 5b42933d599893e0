/**
 * Splits: which rows are for training, validation and test. The assignment depends on nothing but the order and content of the
 * rows and the seed. Rows go to the parts by largest remainders, so that the sizes are right to a row.
 */
import { Rng } from './core/rng.js';
import { SpecError } from './core/spec-error.js';
import { type Column, type Table } from './core/table.js';

export const TRAIN = 0;
export const VALIDATION = 1;
export const TEST = 2;

export const SPLIT_METHODS = ['RANDOM', 'STRATIFIED', 'GROUPED', 'TIME'] as const;
export type SplitMethod = (typeof SPLIT_METHODS)[number];

export interface SplitShares {
  readonly train: number;
  readonly validation: number;
  readonly test: number;
}

export interface SplitSpec {
  /**
   * RANDOM: any row anywhere. STRATIFIED: every value of `column` in the same shares. GROUPED: rows of one value of `column` together.
   * TIME: the earliest rows by `column` are trained on, the latest tested; equal times stay together.
   */
  readonly method: SplitMethod;
  readonly column?: string | null;
  /** Positive, with sum 1. */
  readonly shares: SplitShares;
  readonly seed: number;
}

export interface SplitCounts {
  readonly train: number;
  readonly validation: number;
  readonly test: number;
}

/** More distinct values than this are no strata. */
const MAX_STRATA = 1000;

/**
 * TRAIN, VALIDATION or TEST for every row. A missing value is a stratum of its own, in GROUPED a group of one row, and in TIME
 * trained on, as nothing says that it is late.
 * @throws SpecError BAD_PARAMETER, UNKNOWN_COLUMN, WRONG_COLUMN_KIND, TOO_MANY_GROUPS, EMPTY_SPLIT
 */
export function assignSplit(table: Table, spec: SplitSpec): Uint8Array {
  const { train, validation, test } = spec.shares;
  const shares = [train, validation, test];
  if (!shares.every((share) => share > 0) || Math.abs(train + validation + test - 1) > 1e-6) {
    throw new SpecError(
      'BAD_PARAMETER',
      'shares',
      'The shares of train, validation and test must be positive and sum to 1.',
    );
  }
  const rng = new Rng(spec.seed);
  const assignment = assign(table, spec, shares, rng);
  const counts = countSplit(assignment);
  const empty = Object.entries(counts).find(([, count]) => count === 0);
  if (empty !== undefined)
    throw new SpecError('EMPTY_SPLIT', 'shares', `The ${empty[0]} part would have no row: ${emptyReason(spec.method)}`);
  return assignment;
}

export function countSplit(assignment: Uint8Array): SplitCounts {
  const counts = [0, 0, 0];
  for (const part of assignment) counts[part]++;
  return { train: counts[TRAIN], validation: counts[VALIDATION], test: counts[TEST] };
}

function emptyReason(method: SplitMethod): string {
  if (method === 'GROUPED') return 'there are too few groups.';
  return method === 'TIME' ? 'too many rows have the same time.' : 'there are too few rows.';
}

function assign(table: Table, spec: SplitSpec, shares: readonly number[], rng: Rng): Uint8Array {
  const { rowCount } = table;
  switch (spec.method) {
    case 'RANDOM':
      return deal([Uint32Array.from({ length: rowCount }, (_, row) => row)], rowCount, shares, rng);
    case 'STRATIFIED':
      return deal(strataOf(findColumn(table, spec)), rowCount, shares, rng);
    case 'GROUPED':
      return placeGroups(groupsOf(findColumn(table, spec), true), rowCount, shares, rng);
    case 'TIME':
      return cutByTime(findColumn(table, spec), rowCount, shares);
  }
}

function findColumn(table: Table, { method, column: name }: SplitSpec): Column {
  const column = table.columns.find((c) => c.name === name);
  if (column === undefined)
    throw new SpecError(
      'UNKNOWN_COLUMN',
      'column',
      name ? `There is no column "${name}".` : `A ${method} split needs a column.`,
    );
  return column;
}

function strataOf(column: Column): Uint32Array[] {
  const strata = groupsOf(column, false);
  if (strata.length > MAX_STRATA) {
    throw new SpecError(
      'TOO_MANY_GROUPS',
      'column',
      `"${column.name}" has ${strata.length} different values, too many to stratify by; at most ${MAX_STRATA}.`,
    );
  }
  return strata;
}

/** Rows of each value, in the order in which the values first appear. */
function groupsOf(column: Column, missingAlone: boolean): Uint32Array[] {
  const groups = new Map<number, number[]>();
  const alone: number[][] = [];
  const values = column.kind === 'category' ? column.codes : column.values;
  for (let row = 0; row < values.length; row++) {
    const value = values[row];
    if (missingAlone && (Number.isNaN(value) || (column.kind === 'category' && value < 0))) alone.push([row]);
    else if (groups.has(value)) groups.get(value)!.push(row);
    else groups.set(value, [row]);
  }
  return [...groups.values(), ...alone].map((rows) => Uint32Array.from(rows));
}

/** Shuffles each stratum and deals it out; what rounding takes from a part in one stratum it gets back in the next. */
function deal(strata: readonly Uint32Array[], rowCount: number, shares: readonly number[], rng: Rng): Uint8Array {
  const assignment = new Uint8Array(rowCount);
  const owed = [0, 0, 0];
  for (const rows of strata) {
    rng.shuffle(rows);
    const ideal = shares.map((share, part) => share * rows.length + owed[part]);
    const counts = apportion(ideal, rows.length);
    ideal.forEach((wanted, part) => (owed[part] = wanted - counts[part]));
    let at = 0;
    counts.forEach((count, part) => {
      for (const end = at + count; at < end; at++) assignment[rows[at]] = part;
    });
  }
  return assignment;
}

/** Whole counts near `ideal` with the sum `total`; the largest remainders are rounded up, training first among equals, and training gets at least one. */
function apportion(ideal: readonly number[], total: number): number[] {
  const counts = ideal.map((wanted) => Math.max(0, Math.floor(wanted + 1e-9)));
  const byRemainder = [TRAIN, VALIDATION, TEST].sort((a, b) => ideal[b] - counts[b] - (ideal[a] - counts[a]) || a - b);
  let rest = total - counts.reduce((sum, count) => sum + count, 0);
  for (let i = 0; rest > 0; i++, rest--) counts[byRemainder[i % 3]]++;
  for (; rest < 0; rest++) counts[counts.indexOf(Math.max(...counts))]--;
  if (counts[TRAIN] === 0 && total > 0) {
    const giver = counts[VALIDATION] > counts[TEST] ? VALIDATION : TEST;
    counts[giver]--;
    counts[TRAIN]++;
  }
  return counts;
}

/** Larger groups first (equal ones in random order), each to the part that lacks most of its share. */
function placeGroups(
  groups: readonly Uint32Array[],
  rowCount: number,
  shares: readonly number[],
  rng: Rng,
): Uint8Array {
  const order = Uint32Array.from({ length: groups.length }, (_, i) => i);
  rng.shuffle(order);
  const bySize = Array.from(order).sort((a, b) => groups[b].length - groups[a].length);
  const assignment = new Uint8Array(rowCount);
  const lacking = shares.map((share) => share * rowCount);
  for (const group of bySize) {
    const part = lacking.reduce(
      (best, lack, i) => (lack / shares[i] > lacking[best] / shares[best] + 1e-9 ? i : best),
      0,
    );
    for (const row of groups[group]) assignment[row] = part;
    lacking[part] -= groups[group].length;
  }
  return assignment;
}

function cutByTime(column: Column, rowCount: number, shares: readonly number[]): Uint8Array {
  if (column.kind !== 'date' && column.kind !== 'number') {
    throw new SpecError(
      'WRONG_COLUMN_KIND',
      'column',
      `"${column.name}" holds neither dates nor numbers, so its rows have no order in time.`,
    );
  }
  const time = (row: number): number => (Number.isNaN(column.values[row]) ? -Infinity : column.values[row]);
  const order = Uint32Array.from({ length: rowCount }, (_, row) => row).sort((a, b) =>
    time(a) < time(b) ? -1 : time(a) > time(b) ? 1 : a - b,
  );
  const assignment = new Uint8Array(rowCount);
  let part = TRAIN;
  let bound = Math.round(shares[TRAIN] * rowCount);
  for (let i = 0; i < rowCount; i++) {
    // A part ends where it is full and the time changes.
    const changes = i > 0 && time(order[i]) !== time(order[i - 1]);
    if (part === TRAIN && i >= bound && changes) {
      part = VALIDATION;
      bound = Math.max(Math.round((shares[TRAIN] + shares[VALIDATION]) * rowCount), i + 1);
    } else if (part === VALIDATION && i >= bound && changes) part = TEST;
    assignment[order[i]] = part;
  }
  return assignment;
}

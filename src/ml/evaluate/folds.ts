/**
 * Folds of cross-validation, as splits: every row of the set is tested once, by a model that has not seen it. The part before the
 * tested one is the validation part (early stopping, threshold), so that all three parts are made by one rule:
 *
 *   KFOLD, STRATIFIED, GROUPED   the rows in k parts; fold i tests part i, validates on part i + 1, trains on the others
 *   TIME                         the rows by time in k + 2 parts; fold i trains on parts 0 .. i, validates on i + 1, tests i + 2
 */
import { Rng } from '../core/rng.js';
import { SpecError } from '../core/spec-error.js';
import { type Column, type Table } from '../core/table.js';
import { TEST, TRAIN, VALIDATION } from '../split.js';

export const FOLD_SCHEMES = ['KFOLD', 'STRATIFIED', 'GROUPED', 'TIME'] as const;
export type FoldScheme = (typeof FOLD_SCHEMES)[number];

export interface FoldSpec {
  readonly scheme: FoldScheme;
  /** 3 to 20. */
  readonly folds: number;
  /** STRATIFIED: every value alike in all parts. GROUPED: rows of one value in one part. TIME: dates or numbers. KFOLD: null. */
  readonly column: string | null;
}

export const LEAST_FOLDS = 3;
export const MOST_FOLDS = 20;

/** Of a row that takes no part. */
export const NO_PART = 255;

/**
 * A split per fold: TRAIN, VALIDATION, TEST or NO_PART by table row.
 * @param rows the table rows to be dealt out; all others take no part
 * @throws SpecError BAD_PARAMETER, UNKNOWN_COLUMN, WRONG_COLUMN_KIND, EMPTY_SPLIT (fewer groups, times or rows than parts)
 */
export function makeFolds(
  table: Table,
  rows: Uint32Array,
  { scheme, folds, column }: FoldSpec,
  seed: number,
): Uint8Array[] {
  if (!Number.isInteger(folds) || folds < LEAST_FOLDS || folds > MOST_FOLDS)
    throw new SpecError('BAD_PARAMETER', 'crossValidation.folds', `Between ${LEAST_FOLDS} and ${MOST_FOLDS} folds.`);
  const rng = new Rng(seed, 0xf01d);
  const parts = scheme === 'TIME' ? folds + 2 : folds;
  const partOf =
    scheme === 'KFOLD'
      ? deal([rows.slice()], parts, rng)
      : dealBy(scheme, findColumn(table, scheme, column), rows, parts, rng);
  const sizes = new Float64Array(parts);
  for (const part of partOf.values()) sizes[part]!++;
  if (sizes.some((size) => size === 0))
    throw new SpecError(
      'EMPTY_SPLIT',
      'crossValidation',
      `There are too few rows, groups or times for ${folds} folds.`,
    );
  return Array.from({ length: folds }, (_, fold) => {
    const assignment = new Uint8Array(table.rowCount).fill(NO_PART);
    for (const [row, part] of partOf)
      assignment[row] = scheme === 'TIME' ? inTime(part, fold) : inTurn(part, fold, folds);
    return assignment;
  });
}

function inTurn(part: number, fold: number, folds: number): number {
  if (part === fold) return TEST;
  return part === (fold + 1) % folds ? VALIDATION : TRAIN;
}

function inTime(part: number, fold: number): number {
  if (part <= fold) return TRAIN;
  if (part === fold + 1) return VALIDATION;
  return part === fold + 2 ? TEST : NO_PART;
}

function findColumn(table: Table, scheme: FoldScheme, name: string | null): Column {
  const column = table.columns.find((one) => one.name === name);
  if (column !== undefined) return column;
  throw new SpecError(
    'UNKNOWN_COLUMN',
    'crossValidation.column',
    name === null ? `${scheme} folds need a column.` : `There is no column "${name}".`,
  );
}

/** Part by table row. */
type PartOf = Map<number, number>;

function dealBy(scheme: FoldScheme, column: Column, rows: Uint32Array, parts: number, rng: Rng): PartOf {
  if (scheme === 'TIME') return cutByTime(column, rows, parts);
  const values = column.kind === 'category' ? column.codes : column.values;
  const groups = new Map<number, number[]>();
  for (const row of rows) {
    const group = groups.get(values[row]!);
    if (group === undefined) groups.set(values[row]!, [row]);
    else group.push(row);
  }
  const lists = [...groups.values()].map((list) => Uint32Array.from(list));
  if (scheme === 'STRATIFIED') return deal(lists, parts, rng);
  return placeGroups(lists, parts, rng);
}

/** Shuffles each stratum and deals its rows out in turn, going on where the last stratum ended. */
function deal(strata: readonly Uint32Array[], parts: number, rng: Rng): PartOf {
  const partOf: PartOf = new Map();
  let next = 0;
  for (const rows of strata) {
    rng.shuffle(rows);
    for (const row of rows) partOf.set(row, next++ % parts);
  }
  return partOf;
}

/** The largest groups first (equal ones in random order), each to the part of fewest rows. */
function placeGroups(groups: readonly Uint32Array[], parts: number, rng: Rng): PartOf {
  const order = Uint32Array.from({ length: groups.length }, (_, i) => i);
  rng.shuffle(order);
  const sizes = new Float64Array(parts);
  const partOf: PartOf = new Map();
  for (const g of Array.from(order).sort((a, b) => groups[b]!.length - groups[a]!.length)) {
    const part = sizes.indexOf(Math.min(...sizes));
    for (const row of groups[g]!) partOf.set(row, part);
    sizes[part]! += groups[g]!.length;
  }
  return partOf;
}

/** Rows by rising time in parts of nearly equal size; equal times stay together. Rows without a time are the first. */
function cutByTime(column: Column, rows: Uint32Array, parts: number): PartOf {
  if (column.kind !== 'date' && column.kind !== 'number')
    throw new SpecError(
      'WRONG_COLUMN_KIND',
      'crossValidation.column',
      `"${column.name}" holds neither dates nor numbers, so its rows have no order in time.`,
    );
  const time = (row: number): number => (Number.isNaN(column.values[row]!) ? -Infinity : column.values[row]!);
  const order = rows.slice().sort((a, b) => (time(a) < time(b) ? -1 : time(a) > time(b) ? 1 : a - b));
  const partOf: PartOf = new Map();
  let part = 0;
  order.forEach((row, i) => {
    const isFull = i >= Math.round(((part + 1) * order.length) / parts);
    if (isFull && part < parts - 1 && time(row) !== time(order[i - 1]!)) part++;
    partOf.set(row, part);
  });
  return partOf;
}

/**
 * The target column as numbers. Task AUTO: a category or boolean column is BINARY with two classes and MULTICLASS with more; a
 * number column is BINARY if it holds just two whole numbers, else REGRESSION. Class names of numbers and booleans are their
 * text: '0', '1', 'false', 'true'.
 */
import { SpecError } from './spec-error.js';
import { type CategoryColumn, type Column } from './table.js';

export interface Target {
  readonly task: 'binary' | 'multiclass' | 'regression';
  /** In score order, those of the training rows; null for regression. */
  readonly classes: readonly string[] | null;
  /** By table row: the value, or the index in `classes`; -1 is a class unknown in training, NaN is missing. */
  readonly y: Float64Array;
  readonly warnings: readonly string[];
}

export interface TargetRequest {
  readonly task: 'AUTO' | 'BINARY' | 'MULTICLASS' | 'REGRESSION';
  readonly positiveClass?: string | null | undefined;
}

/** Boosting grows one tree per class and round; above this a target is more likely a name than a class. */
export const MAX_CLASSES = 100;

const RARE_CLASS_ROWS = 5;

/**
 * @param used  the table rows that take part
 * @param train those of them that are trained on; classes are learned from these alone
 * @throws SpecError TARGET_…, TASK_DOES_NOT_FIT, SINGLE_CLASS_IN_TRAIN, TOO_MANY_CLASSES, UNKNOWN_CLASS
 */
export function readTarget(column: Column, used: Uint32Array, train: Uint32Array, request: TargetRequest): Target {
  if (column.kind === 'date')
    throw new SpecError(
      'TARGET_WRONG_KIND',
      'target',
      `"${column.name}" holds dates; a target is a number, a boolean or a category.`,
    );
  const values =
    column.kind === 'category' ? Float64Array.from(column.codes, (code) => (code < 0 ? NaN : code)) : column.values;
  const distinct = distinctValues(column.name, values, used);
  const isTwoWhole = distinct.length === 2 && distinct.every(Number.isInteger);
  const isRegression =
    request.task === 'REGRESSION' || (request.task === 'AUTO' && column.kind === 'number' && !isTwoWhole);
  if (isRegression) return readNumbers(column, values, train);
  if (column.kind === 'number' && !distinct.every(Number.isInteger)) {
    throw new SpecError(
      'TASK_DOES_NOT_FIT',
      'task',
      `"${column.name}" holds fractions, which are no classes: take REGRESSION.`,
    );
  }
  return readClasses(column, values, distinct, train, request);
}

/** In ascending order; of more than MAX_CLASSES only the first ones found. */
function distinctValues(name: string, values: Float64Array, used: Uint32Array): number[] {
  const distinct = new Set<number>();
  for (const row of used) {
    const value = values[row];
    if (value === Infinity || value === -Infinity)
      throw new SpecError('TARGET_NON_FINITE', 'target', `"${name}" holds infinite numbers.`);
    if (!Number.isNaN(value) && distinct.size <= MAX_CLASSES) distinct.add(value);
  }
  if (distinct.size === 0) throw new SpecError('TARGET_MISSING_ALL', 'target', `"${name}" has no value in any row.`);
  if (distinct.size === 1)
    throw new SpecError(
      'TARGET_CONSTANT',
      'target',
      `"${name}" has the same value in every row: there is nothing to learn.`,
    );
  return [...distinct].sort((a, b) => a - b);
}

function readNumbers(column: Column, values: Float64Array, train: Uint32Array): Target {
  if (column.kind === 'category')
    throw new SpecError(
      'TASK_DOES_NOT_FIT',
      'task',
      `"${column.name}" holds categories, which are no numbers: take BINARY or MULTICLASS.`,
    );
  const seen = new Set<number>();
  for (const row of train) {
    const value = values[row];
    if (!Number.isFinite(Math.fround(value)) && !Number.isNaN(value))
      throw new SpecError('TARGET_NON_FINITE', 'target', `"${column.name}" holds numbers beyond single precision.`);
    if (!Number.isNaN(value) && seen.size < 2) seen.add(value);
  }
  if (seen.size === 1)
    throw new SpecError('TARGET_CONSTANT', 'target', `"${column.name}" has the same value in every training row.`);
  return { task: 'regression', classes: null, y: values, warnings: [] };
}

function readClasses(
  column: Column,
  values: Float64Array,
  distinct: readonly number[],
  train: Uint32Array,
  request: TargetRequest,
): Target {
  if (distinct.length > MAX_CLASSES)
    throw new SpecError('TOO_MANY_CLASSES', 'target', `"${column.name}" has more than ${MAX_CLASSES} classes.`);
  const counts = new Map<number, number>();
  for (const row of train) if (!Number.isNaN(values[row])) counts.set(values[row], (counts.get(values[row]) ?? 0) + 1);
  if (counts.size < 2)
    throw new SpecError(
      'SINGLE_CLASS_IN_TRAIN',
      'target',
      `"${column.name}" has only one class in the training rows; stratify the split by it.`,
    );
  const isBinary = request.task === 'BINARY' || (request.task === 'AUTO' && distinct.length === 2);
  if (isBinary && distinct.length > 2)
    throw new SpecError(
      'TASK_DOES_NOT_FIT',
      'task',
      `"${column.name}" has ${distinct.length} classes, BINARY takes two.`,
    );
  const name = (value: number): string => className(column, value);
  let known = [...counts.keys()].sort((a, b) => (name(a) < name(b) ? -1 : 1));
  if (column.kind === 'number') known = known.sort((a, b) => a - b);
  if (isBinary) known = orderBinary(column, known, counts, request.positiveClass ?? null);
  const index = new Map(known.map((value, k) => [value, k]));
  const y = values.map((value) => (Number.isNaN(value) ? NaN : (index.get(value) ?? -1)));
  return {
    task: isBinary ? 'binary' : 'multiclass',
    classes: known.map(name),
    y,
    warnings: classWarnings(distinct, counts, name),
  };
}

/** [negative, positive]. The positive class is the one asked for, else 'true' or 1, else the rarer: the one worth finding. */
function orderBinary(
  column: Column,
  known: readonly number[],
  counts: ReadonlyMap<number, number>,
  wanted: string | null,
): number[] {
  const [a, b] = known;
  if (wanted !== null) {
    const positive = known.find((value) => className(column, value) === wanted);
    if (positive === undefined)
      throw new SpecError(
        'UNKNOWN_CLASS',
        'positiveClass',
        `"${column.name}" has no class of that name; it has ${known.map((value) => className(column, value)).join(' and ')}.`,
      );
    return positive === a ? [b, a] : [a, b];
  }
  if (column.kind !== 'category') return [a, b];
  return counts.get(a)! < counts.get(b)! ? [b, a] : [a, b];
}

function classWarnings(
  distinct: readonly number[],
  counts: ReadonlyMap<number, number>,
  name: (value: number) => string,
): string[] {
  const unknown = distinct.filter((value) => !counts.has(value)).length;
  const rare = [...counts].filter(([, rows]) => rows < RARE_CLASS_ROWS).map(([value]) => name(value));
  const warnings = [];
  if (unknown > 0) warnings.push(`Classes without a training row, whose other rows count as wrong: ${unknown}.`);
  if (rare.length > 0)
    warnings.push(`Classes with fewer than ${RARE_CLASS_ROWS} training rows: ${rare.sort().join(', ')}.`);
  return warnings;
}

/** The name of a class, from its value or code. */
export function className(column: Column, value: number): string {
  if (column.kind === 'category') return (column satisfies CategoryColumn).categories[value];
  return column.kind === 'boolean' ? String(value === 1) : String(value);
}

/** What a fitted model answers on rows of any table that has its columns, beside what is true there. */
import { type FittedModel } from '../core/model.js';
import { predictTable } from '../core/predict.js';
import { SpecError } from '../core/spec-error.js';
import { type Column, type Table } from '../core/table.js';

export interface Answers {
  readonly fitted: FittedModel;
  readonly table: Table;
  /** Table rows that have a target. */
  readonly rows: Uint32Array;
  /** By row: the value, or the index of its class in `fitted.classes` (-1: not among them). */
  readonly actual: Float64Array;
  /** rows x outputs. */
  readonly scores: Float64Array;
  /** Predicted class by row; null for regression. */
  readonly labels: Int32Array | null;
}

/**
 * The answers on those of `rows` that have a target. Classes are matched by name, so that the table need not be the one that the
 * model was trained on.
 * @throws SpecError UNKNOWN_COLUMN, WRONG_COLUMN_KIND, EMPTY_SPLIT, DIVERGED
 */
export function answer(fitted: FittedModel, table: Table, rows: Uint32Array): Answers {
  const byName = new Map(table.columns.map((column) => [column.name, column]));
  for (const { name, kind } of fitted.inputs) {
    const column = byName.get(name);
    if (column === undefined)
      throw new SpecError('UNKNOWN_COLUMN', 'splitId', `The data lack the column "${name}" of the model.`);
    if (column.kind !== kind)
      throw new SpecError(
        'WRONG_COLUMN_KIND',
        'splitId',
        `Column "${name}" is a ${column.kind}, the model wants a ${kind}.`,
      );
  }
  const target = byName.get(fitted.target);
  if (target === undefined)
    throw new SpecError('UNKNOWN_COLUMN', 'splitId', `The data lack the target "${fitted.target}".`);
  const all = actualOf(fitted, target, rows);
  const known = rows.filter((_, i) => !Number.isNaN(all[i]!));
  if (known.length === 0) throw new SpecError('EMPTY_SPLIT', 'part', 'No row of this part has a value of the target.');
  const { scores, labels } = predictTable(fitted, table, known);
  if (!scores.every(Number.isFinite))
    throw new SpecError('DIVERGED', 'splitId', 'The model gives answers that are no finite numbers here.');
  return { fitted, table, rows: known, actual: all.filter((value) => !Number.isNaN(value)), scores, labels };
}

function actualOf({ classes }: FittedModel, target: Column, rows: Uint32Array): Float64Array {
  if (classes === null) {
    if (target.kind === 'category')
      throw new SpecError('TARGET_WRONG_KIND', 'splitId', `"${target.name}" holds categories, no numbers.`);
    return Float64Array.from(rows, (row) => target.values[row]!);
  }
  const index = new Map(classes.map((name, k) => [name, k]));
  if (target.kind === 'category') {
    const known = target.categories.map((category) => index.get(category) ?? -1);
    return Float64Array.from(rows, (row) => (target.codes[row]! < 0 ? NaN : known[target.codes[row]!]!));
  }
  const nameOf = target.kind === 'boolean' ? (value: number) => String(value === 1) : String;
  return Float64Array.from(rows, (row) => {
    const value = target.values[row]!;
    return Number.isNaN(value) ? NaN : (index.get(nameOf(value)) ?? -1);
  });
}

/** Scores of class `c`, by row. */
export function scoresOf({ fitted, scores }: Answers, c: number): Float64Array {
  const k = fitted.classes?.length ?? 1;
  return scores.filter((_, at) => at % k === c);
}

/** 1 where the row is of class `c`, else 0. */
export function isClass({ actual }: Answers, c: number): Int32Array {
  return Int32Array.from(actual, (value) => (value === c ? 1 : 0));
}

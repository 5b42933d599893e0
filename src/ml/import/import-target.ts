/** The target as an imported model tells it: its outputs are in the order that the classes had where it was trained. */
import { SpecError } from '../core/spec-error.js';
import { type Column } from '../core/table.js';
import { className, type Target } from '../core/target.js';
import { quote, unfit } from './problem.js';
import { type SourceModel } from './source.js';

/**
 * @param used    table rows that take part; all have a target
 * @param classes in the order of the model's outputs (the positive one last of two); null: as scikit-learn's LabelEncoder orders
 *   those of the rows: numbers ascending, texts by their characters, false before true
 * @throws SpecError MODEL_DOES_NOT_FIT, TASK_DOES_NOT_FIT
 */
export function importTarget(
  source: Pick<SourceModel, 'task' | 'base'>,
  column: Column,
  used: Uint32Array,
  classes: readonly string[] | null,
): Target {
  const { task } = source;
  if (task === 'regression') {
    if (classes !== null) throw unfit('classes', 'The model tells a number: it has no classes.');
    if (column.kind !== 'number')
      throw new SpecError(
        'TASK_DOES_NOT_FIT',
        'target',
        `The model tells numbers; ${quote(column.name)} holds others.`,
      );
    return { task, classes: null, y: column.values, warnings: [] };
  }
  if (column.kind === 'date')
    throw new SpecError('TASK_DOES_NOT_FIT', 'target', `The model tells classes; ${quote(column.name)} holds dates.`);
  const count = task === 'binary' ? 2 : source.base.length;
  const values =
    column.kind === 'category' ? Float64Array.from(column.codes, (code) => (code < 0 ? NaN : code)) : column.values;
  const order = classes ?? classesOf(column, values, used, count);
  if (order.length !== count || new Set(order).size < count)
    throw unfit('classes', `The model tells ${count} classes: name each once, in the order of its outputs.`);
  const index = new Map(order.map((name, k) => [name, k]));
  const y = values.map((value) => (Number.isNaN(value) ? NaN : (index.get(className(column, value)) ?? -1)));
  const unknown = used.reduce((sum, row) => sum + (y[row] === -1 ? 1 : 0), 0);
  if (unknown === used.length && used.length > 0)
    throw unfit('classes', `None of the named classes occurs in ${quote(column.name)}.`);
  const warnings =
    unknown > 0 ? [`Rows whose class the model does not know, which count as told wrongly: ${unknown}.`] : [];
  return { task, classes: order, y, warnings };
}

function classesOf(column: Column, values: Float64Array, used: Uint32Array, count: number): string[] {
  const distinct = new Set<number>();
  for (const row of used) if (distinct.size <= count) distinct.add(values[row]!);
  if (distinct.size !== count)
    throw unfit(
      'classes',
      `The model tells ${count} classes, ${quote(column.name)} has ${distinct.size > count ? 'more' : 'fewer'}: name them in the order of its outputs.`,
    );
  const name = (value: number): string => className(column, value);
  const sorted = [...distinct].sort((a, b) => a - b);
  return (column.kind === 'category' ? sorted.sort((a, b) => (name(a) < name(b) ? -1 : 1)) : sorted).map(name);
}

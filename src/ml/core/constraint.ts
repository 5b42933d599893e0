/** What is known beforehand about how columns act, and what a model may therefore not learn. */
import { type AlgorithmSpec } from './parameter.js';
import { SpecError } from './spec-error.js';
import { type Column } from './table.js';

export const DIRECTIONS = ['INCREASING', 'DECREASING'] as const;
export type Direction = (typeof DIRECTIONS)[number];

export interface Constraints {
  /** All else equal, the prediction (two classes: the score of the positive one) never falls, or never rises, with the column. */
  readonly monotone?: readonly { readonly column: string; readonly direction: Direction }[] | null;
  /** Columns that may act together: those on a path from root to leaf are all in one group. A column in no group acts alone. */
  readonly interactions?: readonly (readonly string[])[] | null;
}

/**
 * @param columns those to learn from
 * @throws SpecError BAD_PARAMETER, UNKNOWN_COLUMN, DUPLICATE_COLUMN, WRONG_COLUMN_KIND
 */
export function checkConstraints(
  { monotone, interactions }: Constraints,
  { takesConstraints }: AlgorithmSpec,
  columns: readonly Pick<Column, 'name' | 'kind'>[],
): void {
  if (!monotone?.length && !interactions?.length) return;
  if (!takesConstraints)
    throw new SpecError(
      'BAD_PARAMETER',
      'constraints',
      'This algorithm cannot be held to constraints; gradient boosting can.',
    );
  const seen = new Set<string>();
  monotone?.forEach(({ column: name }, i) => {
    const field = `constraints.monotone.${i}.column`;
    const { kind } = find(columns, name, field);
    if (kind === 'category')
      throw new SpecError(
        'WRONG_COLUMN_KIND',
        field,
        `Column "${name}" holds categories, which have no order to rise or fall with.`,
      );
    if (seen.has(name)) throw new SpecError('DUPLICATE_COLUMN', field, `Column "${name}" is given two directions.`);
    seen.add(name);
  });
  interactions?.forEach((group, i) => {
    const field = `constraints.interactions.${i}`;
    if (group.length === 0) throw new SpecError('BAD_PARAMETER', field, 'A group needs at least one column.');
    group.forEach((name) => find(columns, name, field));
    if (new Set(group).size < group.length)
      throw new SpecError('DUPLICATE_COLUMN', field, 'A column is named twice in one group.');
  });
}

function find<C extends { readonly name: string }>(columns: readonly C[], name: string, field: string): C {
  const column = columns.find((one) => one.name === name);
  if (column === undefined)
    throw new SpecError('UNKNOWN_COLUMN', field, `"${name}" is not among the columns to learn from.`);
  return column;
}

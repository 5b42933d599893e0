/** Constraints by column (core/constraint.ts) as what growth understands: by feature. */
import { type Constraints } from '../core/constraint.js';
import { type Feature } from '../core/model.js';
import { SpecError } from '../core/spec-error.js';

/**
 * Per feature: 1 or -1 where the score is to rise or fall with it; null where there is no such feature.
 * @throws SpecError BAD_PARAMETER for a date that gives its parts as well: a month does not rise with the date.
 */
export function directionsOf(constraints: Constraints | null, features: readonly Feature[]): Int8Array | null {
  const byColumn = new Map(constraints?.monotone?.map(({ column, direction }) => [column, direction]));
  if (byColumn.size === 0) return null;
  const part = features.find(({ kind, column }) => kind === 'datePart' && byColumn.has(column));
  if (part !== undefined)
    throw new SpecError(
      'BAD_PARAMETER',
      'dateParts',
      `The prediction cannot keep to the order of "${part.column}" and learn from its month or weekday as well.`,
    );
  return Int8Array.from(features, ({ column }) => {
    const direction = byColumn.get(column);
    return direction === undefined ? 0 : direction === 'INCREASING' ? 1 : -1;
  });
}

/** Features that may act together; one that is in no group acts alone. Null: all may. */
export function groupsOf(
  constraints: Constraints | null,
  features: readonly Feature[],
): readonly ReadonlySet<number>[] | null {
  const groups = constraints?.interactions;
  if (!groups?.length) return null;
  const featuresOf = (columns: readonly string[]): Set<number> =>
    new Set(features.flatMap(({ column }, f) => (columns.includes(column) ? [f] : [])));
  const alone = new Set(
    features.map(({ column }) => column).filter((column) => !groups.some((g) => g.includes(column))),
  );
  return [...groups.map(featuresOf), ...[...alone].map((column) => featuresOf([column]))];
}

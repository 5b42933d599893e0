import type { FittedModel } from '../../src/ml/core/model.js';
import type { Table } from '../../src/ml/core/table.js';
import { requestColumns } from '../ml/tables.js';

type Rule = (label: string, scores: [string, number][]) => unknown;

/** What each rule tells of a row, said without haste: rows of which it tells the same must be told apart by nothing. */
export const RULES: [string, object, Rule][] = [
  ['LABEL_ONLY', { kind: 'LABEL_ONLY' }, (label) => label],
  ['SCORES', { kind: 'SCORES', digits: 1 }, (label, scores) => [label, scores.map(([, s]) => tenths(s))]],
  [
    'TOP_K',
    { kind: 'TOP_K', k: 1, digits: 1 },
    (label, scores) => {
      const most = Math.max(...scores.map(([, s]) => tenths(s)));
      const best = scores.filter(([, s]) => tenths(s) === most).map(([name]) => name);
      return [label, best.includes(label) ? label : best[0], most];
    },
  ],
  [
    'ABOVE',
    { kind: 'ABOVE', threshold: 0.4, digits: 1 },
    (label, scores) => {
      const told = scores.filter(([, s]) => tenths(s) >= 4).map(([name, s]) => [name, tenths(s)]);
      return [told.some(([name]) => name === label) ? label : null, told];
    },
  ],
];
const tenths = (s: number) => Math.round(s * 10);

export const rowOf = (columns: Record<string, unknown[]>, i: number) =>
  Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, [values[i]]]));

/** The rows of which the rule tells the same, by all that the model says: groups of two and more. */
export function groupsUnder(
  rule: Rule,
  full: { labels: readonly (string | null)[] | null; scores: Record<string, readonly (number | null)[]> | null },
): number[][] {
  const groups = new Map<string, number[]>();
  full.labels!.forEach((label, i) => {
    const scores = Object.entries(full.scores!).map(([name, column]): [string, number] => [name, column[i]!]);
    const name = JSON.stringify(rule(label!, scores));
    groups.set(name, [...(groups.get(name) ?? []), i]);
  });
  return [...groups.values()].filter(({ length }) => length > 1);
}

/** All rows of the table, as a request has them. */
export function columnsFor(fitted: FittedModel, table: Table): Record<string, unknown[]> {
  const columns = requestColumns(
    table,
    Uint32Array.from({ length: table.rowCount }, (_, i) => i),
  );
  return Object.fromEntries(fitted.inputs.map(({ name }) => [name, columns[name]!]));
}

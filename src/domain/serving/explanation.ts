import type { Explanation } from '../../ml/infer.js';
import type { Explanations } from '../agreements/agreement.service.js';
import type { Disclosed } from './decide.js';
import type { Answer } from './disclose.js';

/** All that leaves of an answer. */
export interface Told extends Answer {
  /** Null or left out: none was asked for. */
  readonly explanation?: ToldExplanation | null;
}

/** What leaves of an explanation: one of the two. */
export interface ToldExplanation {
  /** All contributions, of each raw score that the model sums. */
  readonly outputs: readonly ExplainedOutput[] | null;
  /** By row, the columns that speak most for or against its answer, strongest first. */
  readonly strongest: readonly (readonly Influence[])[] | null;
}

export interface ExplainedOutput {
  /** Whose raw score it is; null for regression. */
  readonly class: string | null;
  /** The mean raw score of the training rows: raw score of a row = base + the sum of its contributions. */
  readonly base: number;
  /** By column, a number for each row. */
  readonly contributions: Readonly<Record<string, readonly number[]>>;
}

export interface Influence {
  readonly column: string;
  /** Towards the label that was answered, or towards larger values; or away from it. */
  readonly direction: 'FOR' | 'AGAINST';
}

export interface Explained {
  readonly explanation: Explanation;
  readonly classes: readonly string[] | null;
  /** As they are disclosed. */
  readonly labels: readonly (string | null)[] | null;
}

/** The only way from an explanation to what is told of it: nothing, names and directions, or numbers rounded like the scores. */
export function tellExplanation(
  explained: Explained,
  allowed: Explanations,
  disclosure: Disclosed,
): ToldExplanation | null {
  if (allowed.kind === 'NONE' || disclosure.kind === 'NOISY') return null;
  if (allowed.kind === 'TOP_K') return { outputs: null, strongest: strongestOf(explained, allowed.k) };
  // FULL goes with SCORES alone (agreements/terms.ts), and with one's own endpoint.
  if (disclosure.kind === 'FULL') return { outputs: outputsOf(explained, null), strongest: null };
  if (disclosure.kind === 'SCORES') return { outputs: outputsOf(explained, 10 ** disclosure.digits), strongest: null };
  return null;
}

/** `unit` null: not rounded. */
function outputsOf({ explanation, classes }: Explained, unit: number | null): ExplainedOutput[] {
  const { columns, outputs, base, values } = explanation;
  const rowCount = values.length / (outputs * columns.length);
  const told = (x: number): number => (unit === null ? x : Math.round(x * unit) / unit) + 0;
  return Array.from({ length: outputs }, (_, k) => ({
    class: classes && (outputs === 1 ? classes[1]! : classes[k]!),
    base: told(base[k]!),
    // fromEntries makes a plain property even of a column called "__proto__".
    contributions: Object.fromEntries(
      columns.map((column, p) => {
        const contributions = new Array<number>(rowCount);
        for (let i = 0; i < rowCount; i++) contributions[i] = told(values[(i * outputs + k) * columns.length + p]!);
        return [column, contributions];
      }),
    ),
  }));
}

/** Columns that do nothing are not named; nor is any where the label is not told. */
function strongestOf({ explanation, classes, labels }: Explained, most: number): Influence[][] {
  const { columns, outputs, values } = explanation;
  const rowCount = values.length / (outputs * columns.length);
  return Array.from({ length: rowCount }, (_, i) => {
    const label = labels === null ? null : labels[i]!;
    if (classes !== null && label === null) return [];
    // With one raw score for two classes, what speaks for the second speaks against the first.
    const k = classes === null || outputs === 1 ? 0 : classes.indexOf(label!);
    const sign = classes !== null && outputs === 1 && label === classes[0] ? -1 : 1;
    const from = (i * outputs + k) * columns.length;
    const size = (p: number): number => Math.abs(values[from + p]!);
    return columns
      .map((_column, p) => p)
      .filter((p) => size(p) > 0)
      .sort((a, b) => size(b) - size(a) || a - b)
      .slice(0, most)
      .map((p) => ({ column: columns[p]!, direction: values[from + p]! * sign > 0 ? 'FOR' : 'AGAINST' }));
  });
}

/** Shapley values in brief: how far each column moves scores, and what moved the highest ones. */
import { type FittedModel, type SingleModel } from '../core/model.js';
import { type Pace } from '../core/pace.js';
import { type Table } from '../core/table.js';
import { type Answers } from './answers.js';
import { spread } from './permutation.js';
import { explain, type Explanation, type ShapMethod } from './shap.js';

export interface ShapColumn {
  readonly column: string;
  /** Mean |φ| over the rows: over all outputs, and by output. */
  readonly meanAbsolute: number;
  readonly byOutput: readonly number[];
}

export interface ShapExample {
  /** Its position in the table, from 0. */
  readonly row: number;
  /** The output that is explained: the positive or the predicted class; null for a number. */
  readonly output: string | null;
  /** The answer: the class's score, or the number. */
  readonly score: number;
  /** base + Σ contributions, in the unit of the raw score. */
  readonly raw: number;
  /** By falling |value|. */
  readonly contributions: readonly { readonly column: string; readonly value: number }[];
}

export interface ShapSummary {
  readonly method: ShapMethod;
  /** Rows that were explained, and that stood for "unknown". */
  readonly rows: number;
  readonly backgroundRows: number;
  /** What `base` and `byOutput` are of: the positive class, the classes, or the target. */
  readonly outputs: readonly string[];
  /** Mean raw score. */
  readonly base: readonly number[];
  /** Most important first. */
  readonly columns: readonly ShapColumn[];
  /** The highest scores; empty once the data were deleted. */
  readonly examples: readonly ShapExample[];
}

export interface ShapRequest {
  readonly method: ShapMethod;
  /** Rows to be explained at most; fewer where trees are deep. */
  readonly rows: number;
  /** Highest scores to be told one by one. */
  readonly examples: number;
}

/** Background rows of BACKGROUND, and rows that weigh the ways of PATH, at most. */
const BACKGROUND_ROWS = 100;
const PATH_ROWS = 50_000;
/** Steps that explaining may take (some minute), and rows that it explains in any case. */
const WORK = 2e9;
const LEAST_ROWS = 20;

/** @param background table rows to draw the background from */
export async function shapSummary(
  answers: Answers,
  background: Uint32Array,
  { method, rows: most, examples }: ShapRequest,
  pace: Pace,
): Promise<ShapSummary> {
  const { fitted, table } = answers;
  const known = Uint32Array.from(
    spread(background.length, method === 'PATH' ? PATH_ROWS : BACKGROUND_ROWS),
    (i) => background[i]!,
  );
  const affordable = Math.max(LEAST_ROWS, Math.floor(WORK / stepsPerRow(fitted, method, known.length)));
  const picked = spread(answers.rows.length, Math.min(most, affordable));
  const rows = Uint32Array.from(picked, (i) => answers.rows[i]!);
  const explanation = await explain(fitted, table, rows, known, method, pace);
  const outputs = outputNames(fitted, explanation);
  return {
    method,
    rows: rows.length,
    backgroundRows: known.length,
    outputs,
    base: [...explanation.base],
    columns: columnsOf(explanation, rows.length),
    examples: await examplesOf(answers, table, known, method, Math.min(examples, affordable), pace),
  };
}

function outputNames({ classes, target }: FittedModel, { outputs }: Explanation): string[] {
  if (classes === null) return [target];
  return outputs === 1 ? [classes[1]!] : [...classes];
}

function columnsOf({ columns, outputs, values }: Explanation, rows: number): ShapColumn[] {
  const sums = new Float64Array(outputs * columns.length);
  const cells = sums.length;
  for (let at = 0; at < values.length; at++) sums[at % cells]! += Math.abs(values[at]!) / rows;
  return columns
    .map((column, p) => {
      const byOutput = Array.from({ length: outputs }, (_, k) => sums[k * columns.length + p]!);
      return { column, byOutput, meanAbsolute: byOutput.reduce((sum, value) => sum + value, 0) / outputs };
    })
    .sort((a, b) => b.meanAbsolute - a.meanAbsolute);
}

async function examplesOf(
  { fitted, rows, scores, labels }: Answers,
  table: Table,
  background: Uint32Array,
  method: ShapMethod,
  count: number,
  pace: Pace,
): Promise<ShapExample[]> {
  const k = fitted.classes?.length ?? 1;
  const classOf = (i: number): number => (fitted.task === 'binary' ? 1 : (labels?.[i] ?? 0));
  const score = (i: number): number => scores[i * k + classOf(i)]!;
  const best = Array.from(rows.keys())
    .sort((a, b) => score(b) - score(a) || a - b)
    .slice(0, count);
  if (best.length === 0) return [];
  const own = Uint32Array.from(best, (i) => rows[i]!);
  const { columns, outputs, base, values } = await explain(fitted, table, own, background, method, pace);
  return best.map((i, e) => {
    const output = outputs === 1 ? 0 : classOf(i);
    const from = (e * outputs + output) * columns.length;
    const contributions = columns.map((column, p) => ({ column, value: values[from + p]! }));
    return {
      row: rows[i]!,
      output: fitted.classes?.[classOf(i)] ?? null,
      score: score(i),
      raw: contributions.reduce((sum, { value }) => sum + value, base[output]!),
      contributions: contributions.sort((a, b) => Math.abs(b.value) - Math.abs(a.value)),
    };
  });
}

/** Roughly: leaves x depth² for PATH, trees x background rows x leaves that a pair reaches for BACKGROUND. */
function stepsPerRow({ model }: FittedModel, method: ShapMethod, background: number): number {
  const members: readonly SingleModel[] = model.family === 'combined' ? model.members : [model];
  return members.reduce((sum, member) => {
    if (member.family === 'linear') return sum + member.features.length;
    return (
      sum +
      member.trees.reduce((all, { feature }) => {
        const depth = 2 * Math.log2(feature.length + 1);
        return all + (method === 'PATH' ? (feature.length / 2) * depth * depth : background * depth * 4);
      }, 0)
    );
  }, 1);
}

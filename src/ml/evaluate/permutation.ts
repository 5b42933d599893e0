/**
 * Permutation importance (Breiman, "Random forests", 2001; Fisher, Rudin and Dominici, 2019): how much worse the answers become
 * when a column's values are dealt out anew among the rows. Measured on rows that were not trained on, it tells what the model
 * needs, not what it has memorised.
 */
import { bootstrap, intervalOf } from '../core/bootstrap.js';
import { logLosses } from '../core/metric.js';
import { type Pace } from '../core/pace.js';
import { predictTable } from '../core/predict.js';
import { Rng } from '../core/rng.js';
import { type Column } from '../core/table.js';
import { type Answers } from './answers.js';
import { type Rate } from './rate.js';

export interface PermutationImportance {
  /** What grows: mean log loss of classes, root of the mean squared error of numbers. */
  readonly figure: 'LOG_LOSS' | 'RMSE';
  readonly rows: number;
  readonly repeats: number;
  /** Of the answers as they are. */
  readonly value: number;
  /** Most important first. */
  readonly columns: readonly {
    readonly column: string;
    /** Growth of the figure, mean over the repeats, with a bootstrap interval over the rows. */
    readonly increase: Rate;
  }[];
}

/** Rows used at most; of more, an even choice. */
export const MOST_PERMUTED_ROWS = 10_000;

export async function permutationImportance(
  answers: Answers,
  { repeats, seed, pace, onColumn }: { repeats: number; seed: number; pace: Pace; onColumn: (done: number) => void },
): Promise<PermutationImportance> {
  const { fitted, table } = answers;
  const picked = spread(answers.rows.length, MOST_PERMUTED_ROWS);
  const rows = Uint32Array.from(picked, (i) => answers.rows[i]!);
  const actual = Float64Array.from(picked, (i) => answers.actual[i]!);
  const isNumber = fitted.classes === null;
  const lossesOf = (scores: Float64Array): Float64Array =>
    isNumber
      ? actual.map((value, i) => (value - scores[i]!) ** 2)
      : logLosses(scores, fitted.classes!.length, Int32Array.from(actual));
  const before = lossesOf(predictTable(fitted, table, rows).scores);
  const figure = (mean: number): number => (isNumber ? Math.sqrt(mean) : mean);
  const columns: { column: string; increase: Rate }[] = [];
  for (const [at, { name }] of fitted.inputs.entries()) {
    onColumn(at);
    const column = table.columns.find((one) => one.name === name)!;
    const after = new Float64Array(rows.length);
    for (let r = 0; r < repeats; r++) {
      const dealt = rows.slice();
      new Rng(seed, 1 + at * repeats + r).shuffle(dealt);
      const changed = replaceColumn(answers, take(column, rows, dealt));
      const losses = lossesOf(predictTable(fitted, changed, rows).scores);
      for (let i = 0; i < losses.length; i++) after[i]! += losses[i]! / repeats;
      if (pace.isDue(rows.length * 500)) await pace.rest();
    }
    const increase = (weights: Float64Array): number => {
      const [a, b] = [weightedMean(after, weights), weightedMean(before, weights)];
      return figure(a) - figure(b);
    };
    const drawn = await bootstrap(rows.length, 4, seed, pace, increase);
    columns.push({
      column: name,
      increase: { value: increase(new Float64Array(rows.length).fill(1)), ...intervalOf(drawn) },
    });
  }
  columns.sort((a, b) => b.increase.value! - a.increase.value!);
  const value = figure(before.reduce((sum, loss) => sum + loss, 0) / before.length);
  return { figure: isNumber ? 'RMSE' : 'LOG_LOSS', rows: rows.length, repeats, value, columns };
}

/** At most `most` of the positions 0 .. count - 1, evenly spread. */
export function spread(count: number, most: number): Uint32Array {
  if (count <= most) return Uint32Array.from({ length: count }, (_, i) => i);
  return Uint32Array.from({ length: most }, (_, i) => Math.floor((i * count) / most));
}

/** The column with row rows[i] holding what from[i] held. */
function take(column: Column, rows: Uint32Array, from: Uint32Array): Column {
  if (column.kind === 'category') {
    const codes = column.codes.slice();
    rows.forEach((row, i) => (codes[row] = column.codes[from[i]!]!));
    return { ...column, codes };
  }
  const values = column.values.slice();
  rows.forEach((row, i) => (values[row] = column.values[from[i]!]!));
  return { ...column, values };
}

function replaceColumn({ table }: Answers, column: Column) {
  return { ...table, columns: table.columns.map((one) => (one.name === column.name ? column : one)) };
}

function weightedMean(values: Float64Array, weights: Float64Array): number {
  let sum = 0;
  let total = 0;
  for (let i = 0; i < values.length; i++) {
    sum += weights[i]! * values[i]!;
    total += weights[i]!;
  }
  return sum / total;
}

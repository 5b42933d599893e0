/** Figures of a model on some rows. Classes by index; an actual class of -1 was unknown in training and can only be missed. */
import { LEAST_PROBABILITY } from './loss.js';

/** A figure that comes with its uncertainty; null where the rows do not define it (such as AUC with one class). */
export interface Figure {
  readonly name: FigureName;
  readonly value: number | null;
  /** Percentile bootstrap interval of 95 %. */
  readonly low: number | null;
  readonly high: number | null;
}

export type FigureName =
  'ACCURACY' | 'BALANCED_ACCURACY' | 'PRECISION' | 'RECALL' | 'F1' | 'AUC' | 'LOG_LOSS' | 'RMSE' | 'MAE' | 'R2';

/** One against the rest. */
export interface ClassFigures {
  readonly className: string;
  /** Rows of this class. */
  readonly rows: number;
  readonly precision: number | null;
  readonly recall: number | null;
  readonly f1: number | null;
  readonly auc: number | null;
}

export interface Metrics {
  readonly rows: number;
  /** Binary: precision, recall and F1 of the positive class. Multi-class: means over the classes (macro), AUC one-against-rest. */
  readonly figures: readonly Figure[];
  /** Null for regression. */
  readonly classes: readonly ClassFigures[] | null;
  /** counts[actual][predicted]; rows whose class was unknown in training are in an extra last row. Null for regression. */
  readonly confusion: readonly (readonly number[])[] | null;
}

export type Values = Partial<Record<FigureName, number | null>>;

/** Precision tp / predicted, recall tp / actual, F1 = 2 tp / (predicted + actual); 0 where predicted is 0, null where actual is 0. */
export function classScores(
  truePositives: number,
  predicted: number,
  actual: number,
): { precision: number | null; recall: number | null; f1: number | null } {
  if (actual === 0) return { precision: predicted > 0 ? 0 : null, recall: null, f1: predicted > 0 ? 0 : null };
  return {
    precision: predicted > 0 ? truePositives / predicted : 0,
    recall: truePositives / actual,
    f1: (2 * truePositives) / (predicted + actual),
  };
}

/**
 * Figures from a confusion matrix, flat: cells[actual * k + predicted], k + 1 rows of k classes.
 * Macro means run over the classes that occur, as actual or as predicted ones; balanced accuracy is the mean recall of actual ones.
 */
export function confusionFigures(cells: Float64Array, k: number, isBinary: boolean): Values {
  const actual = new Float64Array(k);
  const predicted = new Float64Array(k);
  let total = 0;
  let hits = 0;
  for (let a = 0; a <= k; a++) {
    for (let p = 0; p < k; p++) {
      const rows = cells[a * k + p];
      if (a < k) actual[a] += rows;
      predicted[p] += rows;
      total += rows;
      if (a === p) hits += rows;
    }
  }
  const scores = Array.from(actual, (rows, c) => classScores(cells[c * k + c], predicted[c], rows));
  const macro = (pick: (s: (typeof scores)[number]) => number | null): number | null =>
    meanOf(scores.filter((_, c) => actual[c] > 0 || predicted[c] > 0).map((s) => pick(s) ?? 0));
  return {
    ACCURACY: total > 0 ? hits / total : null,
    BALANCED_ACCURACY: meanOf(scores.flatMap((s) => (s.recall === null ? [] : [s.recall]))),
    PRECISION: isBinary ? scores[1].precision : macro((s) => s.precision),
    RECALL: isBinary ? scores[1].recall : macro((s) => s.recall),
    F1: isBinary ? scores[1].f1 : macro((s) => s.f1),
  };
}

export function meanOf(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Rows in ascending order of their score, with the ends of runs of equal scores: all that AUC needs, for any weights of the rows. */
export interface Ranking {
  readonly order: Uint32Array;
  /** endsRun[i] is 1 where order[i] is the last of its score. */
  readonly endsRun: Uint8Array;
}

export function rank(scores: Float64Array): Ranking {
  const order = Uint32Array.from({ length: scores.length }, (_, i) => i).sort((a, b) => scores[a] - scores[b]);
  const endsRun = Uint8Array.from(order, (row, i) =>
    i + 1 === order.length || scores[order[i + 1]] !== scores[row] ? 1 : 0,
  );
  return { order, endsRun };
}

/**
 * Area under the ROC curve: the share of (positive, negative) pairs that the scores order rightly, ties counting half
 * (Mann and Whitney, 1947). `weights` are per row; null without both kinds.
 */
export function auc(
  { order, endsRun }: Ranking,
  actual: Int32Array,
  positive: number,
  weights: Float64Array,
): number | null {
  let pairs = 0;
  let negatives = 0;
  let positives = 0;
  let runPositives = 0;
  let runNegatives = 0;
  for (let i = 0; i < order.length; i++) {
    const row = order[i];
    if (actual[row] === positive) runPositives += weights[row];
    else runNegatives += weights[row];
    if (endsRun[i] === 0) continue;
    pairs += runPositives * (negatives + runNegatives / 2);
    positives += runPositives;
    negatives += runNegatives;
    runPositives = runNegatives = 0;
  }
  return positives > 0 && negatives > 0 ? pairs / (positives * negatives) : null;
}

/** -log of the score given to the actual class, per row. `scores` is rows x k. */
export function logLosses(scores: Float64Array, k: number, actual: Int32Array): Float64Array {
  return Float64Array.from(actual, (c, i) => -Math.log(Math.max(c < 0 ? 0 : scores[i * k + c], LEAST_PROBABILITY)));
}

/** RMSE, MAE and R² = 1 - Σ (y - f)² / Σ (y - ȳ)² under weights of the rows. */
export function regressionFigures(actual: Float64Array, predicted: Float64Array, weights: Float64Array): Values {
  let sum = 0;
  let total = 0;
  for (let i = 0; i < actual.length; i++) {
    sum += weights[i];
    total += weights[i] * actual[i];
  }
  const mean = total / sum;
  let squares = 0;
  let absolutes = 0;
  let variance = 0;
  for (let i = 0; i < actual.length; i++) {
    const error = actual[i] - predicted[i];
    squares += weights[i] * error * error;
    absolutes += weights[i] * Math.abs(error);
    variance += weights[i] * (actual[i] - mean) ** 2;
  }
  return { RMSE: Math.sqrt(squares / sum), MAE: absolutes / sum, R2: variance > 0 ? 1 - squares / variance : null };
}

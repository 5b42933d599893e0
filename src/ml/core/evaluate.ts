/**
 * Evaluation with uncertainty: every figure with its percentile bootstrap interval (Efron, "Bootstrap methods", 1979). What does
 * not depend on the resample (rankings, losses, which cell of the confusion matrix a row is in) is computed once; a resample
 * is a vector of how often each row was drawn.
 */
import { type ClassFigures, type Figure, type FigureName, type Metrics, type Ranking, type Values } from './metric.js';
import { auc, classScores, confusionFigures, logLosses, meanOf, rank, regressionFigures } from './metric.js';
import { pick } from './learned.js';
import { type FittedModel } from './model.js';
import { type Pace } from './pace.js';
import { predictTable } from './predict.js';
import { Rng } from './rng.js';
import { SpecError } from './spec-error.js';
import { type Table } from './table.js';
import { type Target } from './target.js';

/** Resamples: as many as WORK allows, within these. */
const MOST_RESAMPLES = 1000;
const LEAST_RESAMPLES = 200;
const WORK = 1e8;

/** Above this many rows x classes the AUC of more than two classes goes without an interval: it would take minutes. */
const MOST_RANKED_CELLS = 2e6;

type Statistic = (weights: Float64Array) => Values;

/**
 * The figures of a model on table rows that have a target.
 * @throws SpecError DIVERGED where some answer is no finite number
 */
export async function evaluateModel(
  fitted: FittedModel,
  table: Table,
  target: Target,
  rows: Uint32Array,
  { seed, pace }: { readonly seed: number; readonly pace: Pace },
): Promise<Metrics> {
  const { scores, labels } = predictTable(fitted, table, rows);
  if (!scores.every(Number.isFinite))
    throw new SpecError(
      'DIVERGED',
      'features',
      'The model gives answers that are no finite numbers: some column holds values too large for it.',
    );
  const actual = pick(target.y, rows);
  if (labels === null || fitted.classes === null) return evaluateNumbers(actual, scores, seed, pace);
  return evaluateClasses(fitted.classes, fitted.task === 'binary', scores, labels, Int32Array.from(actual), seed, pace);
}

/**
 * @param classes in score order
 * @param scores  rows x classes
 * @param labels  predicted class by row
 * @param actual  actual class by row, -1 unknown in training
 */
export async function evaluateClasses(
  classes: readonly string[],
  isBinary: boolean,
  scores: Float64Array,
  labels: Int32Array,
  actual: Int32Array,
  seed: number,
  pace: Pace,
): Promise<Metrics> {
  const k = classes.length;
  const losses = logLosses(scores, k, actual);
  const rankings = classes.map((_, c) =>
    isBinary && c === 0 ? null : rank(scores.filter((_score, at) => at % k === c)),
  );
  const cellOf = Int32Array.from(actual, (c, i) => (c < 0 ? k : c) * k + labels[i]);
  const withAuc = isBinary || actual.length * k <= MOST_RANKED_CELLS;
  const statistic = (weights: Float64Array, ranked = withAuc): Values => ({
    ...confusionFigures(confusion(cellOf, k, weights), k, isBinary),
    ...(ranked
      ? { AUC: meanOf(rankings.flatMap((r, c) => (r === null ? [] : (auc(r, actual, c, weights) ?? [])))) }
      : {}),
    LOG_LOSS: weightedMean(losses, weights),
  });
  const once = new Float64Array(actual.length).fill(1);
  const names: FigureName[] = ['ACCURACY', 'BALANCED_ACCURACY', 'PRECISION', 'RECALL', 'F1', 'AUC', 'LOG_LOSS'];
  const cost = isBinary || !withAuc ? 4 : 2 + 2 * k;
  const figures = await withIntervals(names, statistic(once, true), statistic, actual.length, cost, seed, pace);
  const cells = confusion(cellOf, k, once);
  return {
    rows: actual.length,
    figures,
    classes: perClass(classes, cells, rankings, actual, once),
    confusion: rowsOf(cells, k),
  };
}

export async function evaluateNumbers(
  actual: Float64Array,
  predicted: Float64Array,
  seed: number,
  pace: Pace,
): Promise<Metrics> {
  const statistic = (weights: Float64Array): Values => regressionFigures(actual, predicted, weights);
  const once = statistic(new Float64Array(actual.length).fill(1));
  const figures = await withIntervals(['RMSE', 'MAE', 'R2'], once, statistic, actual.length, 3, seed, pace);
  return { rows: actual.length, figures, classes: null, confusion: null };
}

async function withIntervals(
  names: readonly FigureName[],
  values: Values,
  statistic: Statistic,
  rows: number,
  cost: number,
  seed: number,
  pace: Pace,
): Promise<Figure[]> {
  const rng = new Rng(seed, 0xb007);
  const resamples = Math.round(Math.min(MOST_RESAMPLES, Math.max(LEAST_RESAMPLES, WORK / (rows * cost))));
  const drawn: Values[] = [];
  const weights = new Float64Array(rows);
  for (let i = 0; i < resamples; i++) {
    weights.fill(0);
    for (let j = 0; j < rows; j++) weights[rng.below(rows)]++;
    drawn.push(statistic(weights));
    if (pace.isDue(rows * cost)) await pace.rest();
  }
  return names.map((name) => {
    const sorted = Float64Array.from(drawn.flatMap((sample) => sample[name] ?? [])).sort();
    return { name, value: values[name] ?? null, low: quantile(sorted, 0.025), high: quantile(sorted, 0.975) };
  });
}

/** Linear interpolation between order statistics (Hyndman and Fan's type 7); null of nothing. */
function quantile(sorted: Float64Array, q: number): number | null {
  if (sorted.length === 0) return null;
  const at = q * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

/** Weights of the rows summed by (actual, predicted): k + 1 rows of k. */
function confusion(cellOf: Int32Array, k: number, weights: Float64Array): Float64Array {
  const cells = new Float64Array((k + 1) * k);
  for (let i = 0; i < cellOf.length; i++) cells[cellOf[i]] += weights[i];
  return cells;
}

function rowsOf(cells: Float64Array, k: number): number[][] {
  const rows = Array.from({ length: k + 1 }, (_, a) => Array.from(cells.subarray(a * k, (a + 1) * k)));
  return rows[k].some((count) => count > 0) ? rows : rows.slice(0, k);
}

function perClass(
  classes: readonly string[],
  cells: Float64Array,
  rankings: readonly (Ranking | null)[],
  actual: Int32Array,
  once: Float64Array,
): ClassFigures[] {
  const k = classes.length;
  return classes.map((className, c) => {
    let rows = 0;
    let predicted = 0;
    for (let p = 0; p < k; p++) rows += cells[c * k + p];
    for (let a = 0; a <= k; a++) predicted += cells[a * k + c];
    // Of two classes the scores sum to one, so that both have the same AUC.
    const ranking = rankings[c] ?? null;
    const area = ranking === null ? auc(rankings[1]!, actual, 1, once) : auc(ranking, actual, c, once);
    return { className, rows, ...classScores(cells[c * k + c], predicted, rows), auc: area };
  });
}

function weightedMean(values: Float64Array, weights: Float64Array): number {
  let sum = 0;
  let total = 0;
  for (let i = 0; i < values.length; i++) {
    sum += weights[i] * values[i];
    total += weights[i];
  }
  return sum / total;
}

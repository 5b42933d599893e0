/**
 * Evaluation with uncertainty: every figure with its bootstrap interval (bootstrap.ts). What does not depend on the resample
 * (rankings, losses, which cell of the confusion matrix a row is in) is computed once.
 */
import { bootstrap, intervalOf } from './bootstrap.js';
import { type ClassFigures, type Figure, type FigureName, type Metrics, type Ranking, type Values } from './metric.js';
import { auc, classScores, confusionFigures, logLosses, meanOf, rank, regressionFigures } from './metric.js';
import { pick } from './learned.js';
import { type FittedModel } from './model.js';
import { type Pace } from './pace.js';
import { predictTable } from './predict.js';
import { SpecError } from './spec-error.js';
import { type Table } from './table.js';
import { type Target } from './target.js';

/** Above this many rows x classes the AUC of more than two classes goes without an interval: it would take minutes. */
const MOST_RANKED_CELLS = 2e6;

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

/** The figures of some answers as a function of how much each row counts. */
export interface Measure {
  readonly names: readonly FigureName[];
  /** On all rows, each once. */
  readonly once: Values;
  readonly statistic: (weights: Float64Array) => Values;
  /** Steps of `statistic` per row. */
  readonly cost: number;
}

/**
 * @param k       classes
 * @param scores  rows x k
 * @param labels  predicted class by row
 * @param actual  actual class by row, -1 unknown in training
 */
export function measureClasses(
  k: number,
  isBinary: boolean,
  scores: Float64Array,
  labels: Int32Array,
  actual: Int32Array,
): Measure & { readonly rankings: readonly (Ranking | null)[]; readonly cellOf: Int32Array } {
  const losses = logLosses(scores, k, actual);
  const rankings = Array.from({ length: k }, (_, c) =>
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
  return {
    names: ['ACCURACY', 'BALANCED_ACCURACY', 'PRECISION', 'RECALL', 'F1', 'AUC', 'LOG_LOSS'],
    once: statistic(new Float64Array(actual.length).fill(1), true),
    statistic,
    cost: isBinary || !withAuc ? 4 : 2 + 2 * k,
    rankings,
    cellOf,
  };
}

export function measureNumbers(actual: Float64Array, predicted: Float64Array): Measure {
  const statistic = (weights: Float64Array): Values => regressionFigures(actual, predicted, weights);
  const once = statistic(new Float64Array(actual.length).fill(1));
  return { names: ['RMSE', 'MAE', 'R2'], once, statistic, cost: 3 };
}

/** As `measureClasses`, with intervals. */
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
  const measure = measureClasses(k, isBinary, scores, labels, actual);
  const once = new Float64Array(actual.length).fill(1);
  const cells = confusion(measure.cellOf, k, once);
  return {
    rows: actual.length,
    figures: await withIntervals(measure, actual.length, seed, pace),
    classes: perClass(classes, cells, measure.rankings, actual, once),
    confusion: rowsOf(cells, k),
  };
}

export async function evaluateNumbers(
  actual: Float64Array,
  predicted: Float64Array,
  seed: number,
  pace: Pace,
): Promise<Metrics> {
  const figures = await withIntervals(measureNumbers(actual, predicted), actual.length, seed, pace);
  return { rows: actual.length, figures, classes: null, confusion: null };
}

async function withIntervals(measure: Measure, rows: number, seed: number, pace: Pace): Promise<Figure[]> {
  const drawn = await bootstrap(rows, measure.cost, seed, pace, measure.statistic);
  return measure.names.map((name) => ({
    name,
    value: measure.once[name] ?? null,
    ...intervalOf(drawn.map((sample) => sample[name])),
  }));
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

/** Figures that can be watched from round to round, to stop where they get no better: of raw scores, with a known direction. */
import { type Loss, type RowWeights, sumOfWeights } from './loss.js';
import { auc, confusionFigures, rank } from './metric.js';
import { meanOver } from './residual-loss.js';
import { SpecError } from './spec-error.js';
import { type Target } from './target.js';

export const STOPPING_METRICS = [
  'AUTO',
  'LOG_LOSS',
  'AUC',
  'ACCURACY',
  'F1',
  'RMSE',
  'MAE',
  'MAPE',
  'QUANTILE_LOSS',
] as const;
export type StoppingMetric = (typeof STOPPING_METRICS)[number];

export interface Watch {
  /** As histories show it. */
  readonly name: string;
  readonly isHigherBetter: boolean;
  /** Whether it is the mean of the loss, which is known on training rows as well. */
  readonly isLoss: boolean;
  /** Raw scores by output, targets, weights of rows. */
  of(raw: readonly Float64Array[], y: Float64Array, weights: RowWeights): number;
}

const CLASS_METRICS: readonly StoppingMetric[] = ['LOG_LOSS', 'AUC', 'ACCURACY', 'F1'];

/**
 * @param quantile share of QUANTILE_LOSS
 * @throws SpecError TASK_DOES_NOT_FIT where the task has no such figure
 */
export function stoppingMetric(metric: StoppingMetric, loss: Loss, task: Target['task'], quantile: number): Watch {
  if (metric === 'AUTO' || metric === 'LOG_LOSS') {
    if (metric === 'LOG_LOSS' && task === 'regression') refuse(metric, task);
    return {
      name: loss.metric,
      isHigherBetter: false,
      isLoss: true,
      of: (raw, y, weights) => loss.mean(raw, y, weights),
    };
  }
  if (CLASS_METRICS.includes(metric) === (task === 'regression')) refuse(metric, task);
  const answers = ([raw]: readonly Float64Array[]): Float64Array => (loss.link === 'exp' ? raw.map(Math.exp) : raw);
  const lower = (name: string, of: Watch['of']): Watch => ({
    name,
    isHigherBetter: false,
    isLoss: name === loss.metric,
    of,
  });
  const higher = (name: string, of: Watch['of']): Watch => ({ name, isHigherBetter: true, isLoss: false, of });
  switch (metric) {
    case 'AUC':
      return higher('auc', areaUnderCurve);
    case 'ACCURACY':
      return higher('accuracy', (raw, y, weights) => labelFigures(raw, y, weights).ACCURACY!);
    case 'F1':
      return higher('f1', (raw, y, weights) => labelFigures(raw, y, weights).F1!);
    case 'RMSE':
      return lower('rmse', (raw, y, weights) => Math.sqrt(meanOver(answers(raw), y, weights, (r) => r * r)));
    case 'MAE':
      return lower('mae', (raw, y, weights) => meanOver(answers(raw), y, weights, Math.abs));
    case 'MAPE':
      return lower('mape', (raw, y, weights) => relativeError(answers(raw), y, weights));
    case 'QUANTILE_LOSS':
      return lower('quantileLoss', (raw, y, weights) =>
        meanOver(answers(raw), y, weights, (r) => (r > 0 ? (1 - quantile) * r : -quantile * r)),
      );
  }
}

function refuse(metric: StoppingMetric, task: Target['task']): never {
  throw new SpecError(
    'TASK_DOES_NOT_FIT',
    'stoppingMetric',
    `${metric} is no figure of the task ${task.toUpperCase()}; AUTO watches the loss.`,
  );
}

/** Mean of |r| / max(1, |y|), as LightGBM's: small targets do not count without limit. */
function relativeError(answers: Float64Array, y: Float64Array, weights: RowWeights): number {
  let sum = 0;
  for (let i = 0; i < y.length; i++)
    sum += ((weights?.[i] ?? 1) * Math.abs(answers[i] - y[i])) / Math.max(1, Math.abs(y[i]));
  return sum / sumOfWeights(weights, y.length);
}

/** Two classes: of the positive one; more: the mean over the classes, each against the rest, ordered by their share. */
function areaUnderCurve(raw: readonly Float64Array[], y: Float64Array, weights: RowWeights): number {
  const counts = weights ?? new Float64Array(y.length).fill(1);
  const actual = Int32Array.from(y);
  const scores = raw.length === 1 ? [null, raw[0]] : sharesOf(raw);
  const areas = scores.flatMap((of, k) => (of === null ? [] : (auc(rank(of), actual, k, counts) ?? [])));
  if (areas.length === 0 && y.length > 0) {
    throw new SpecError(
      'BAD_PARAMETER',
      'stoppingMetric',
      'AUC has no value where the validation rows hold one class only: stratify the split by the target, or watch the loss.',
    );
  }
  return areas.reduce((sum, area) => sum + area, 0) / areas.length;
}

/** Softmax: raw scores of a class cannot be compared between rows. */
function sharesOf(raw: readonly Float64Array[]): Float64Array[] {
  const shares = raw.map((scores) => new Float64Array(scores.length));
  for (let i = 0; i < raw[0].length; i++) {
    let most = -Infinity;
    for (const scores of raw) most = Math.max(most, scores[i]);
    let sum = 0;
    for (const scores of raw) sum += Math.exp(scores[i] - most);
    raw.forEach((scores, k) => (shares[k][i] = Math.exp(scores[i] - most) / sum));
  }
  return shares;
}

/** Labels: of two classes the positive one from a share of one half on, else the first of the largest scores. */
function labelFigures(raw: readonly Float64Array[], y: Float64Array, weights: RowWeights) {
  const k = Math.max(2, raw.length);
  const cells = new Float64Array((k + 1) * k);
  for (let i = 0; i < y.length; i++) {
    let label = 0;
    if (raw.length === 1) label = raw[0][i] >= 0 ? 1 : 0;
    else for (let c = 1; c < k; c++) if (raw[c][i] > raw[label][i]) label = c;
    cells[(y[i] < 0 ? k : y[i]) * k + label] += weights?.[i] ?? 1;
  }
  return confusionFigures(cells, k, raw.length === 1);
}

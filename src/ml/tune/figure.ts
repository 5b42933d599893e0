/** The one figure that decides a study, with its uncertainty, from the scores of the judged rows. */
import { evaluateClasses, evaluateNumbers } from '../core/evaluate.js';
import { type FigureName, logLosses } from '../core/metric.js';
import { type Pace } from '../core/pace.js';
import { chooseLabels } from '../core/predict.js';
import { SpecError } from '../core/spec-error.js';
import { type Target } from '../core/target.js';
import { chooseThreshold, type ThresholdRule } from '../core/threshold.js';

export interface Judged {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

const LOSSES: ReadonlySet<FigureName> = new Set<FigureName>(['LOG_LOSS', 'RMSE', 'MAE']);
const OF_NUMBERS: ReadonlySet<FigureName> = new Set<FigureName>(['RMSE', 'MAE', 'R2']);

/** The metric that decides. @throws SpecError BAD_PARAMETER where the task has no such figure */
export function metricOf(wanted: FigureName | null, task: Target['task']): FigureName {
  const isNumber = task === 'regression';
  const metric = wanted ?? (isNumber ? 'RMSE' : 'LOG_LOSS');
  if (OF_NUMBERS.has(metric) !== isNumber)
    throw new SpecError('BAD_PARAMETER', 'metric', `${metric} is no figure of ${isNumber ? 'numbers' : 'classes'}.`);
  return metric;
}

/** The value so that less is better. */
export function asLoss(metric: FigureName, value: number): number {
  return LOSSES.has(metric) ? value : -value;
}

/** 97.5 % of a normal distribution lie below so many deviations. */
const Z = 1.959964;

/**
 * @param scores  rows x outputs, as predictTable gives them
 * @param actual  value or class number (-1: unknown in training) of each row
 * @param repeats how often each row is among them: repetitions make a figure steadier, but tell nothing new of its rows
 */
export async function judgeScores(
  metric: FigureName,
  target: Target,
  scores: Float64Array,
  actual: Float64Array,
  repeats: number,
  { rule, seed, pace }: { readonly rule: ThresholdRule; readonly seed: number; readonly pace: Pace },
): Promise<Judged> {
  if (!scores.every(Number.isFinite))
    throw new SpecError('DIVERGED', 'features', 'The model gives answers that are no finite numbers.');
  const losses = rowLosses(metric, target, scores, actual);
  if (losses !== null) {
    const { mean, error } = momentsOf(losses, repeats);
    const root = metric === 'RMSE' ? Math.sqrt : (value: number): number => value;
    return { value: root(mean), low: root(Math.max(0, mean - Z * error)), high: root(mean + Z * error) };
  }
  const classes = target.classes;
  const metrics =
    classes === null
      ? await evaluateNumbers(actual, scores, seed, pace)
      : await evaluateLabels(classes, target, scores, Int32Array.from(actual), { rule, seed, pace });
  const figure = metrics.figures.find(({ name }) => name === metric);
  if (figure?.value === null || figure?.value === undefined)
    throw new SpecError('BAD_PARAMETER', 'metric', `The rows that judge do not define ${metric}.`);
  return { value: figure.value, low: figure.low ?? figure.value, high: figure.high ?? figure.value };
}

function evaluateLabels(
  classes: readonly string[],
  { task }: Target,
  scores: Float64Array,
  actual: Int32Array,
  { rule, seed, pace }: { readonly rule: ThresholdRule; readonly seed: number; readonly pace: Pace },
) {
  const positive = scores.filter((_, i) => i % 2 === 1);
  const threshold = task === 'binary' ? chooseThreshold(positive, actual, rule) : 0.5;
  const labels = chooseLabels(scores, classes.length, { task, threshold });
  return evaluateClasses(classes, task === 'binary', scores, labels, actual, seed, pace);
}

/** What each row adds to a metric that is a mean over rows (RMSE: the square of its error); null for the others. */
export function rowLosses(
  metric: FigureName,
  { classes }: Target,
  scores: Float64Array,
  actual: Float64Array,
): Float64Array | null {
  switch (metric) {
    case 'LOG_LOSS':
      return logLosses(scores, classes!.length, Int32Array.from(actual));
    case 'RMSE':
      return actual.map((y, i) => (scores[i]! - y) ** 2);
    case 'MAE':
      return actual.map((y, i) => Math.abs(scores[i]! - y));
    default:
      return null;
  }
}

/** The mean and its standard error. */
export function momentsOf(values: Float64Array, repeats: number): { mean: number; error: number } {
  const n = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, error: Math.sqrt((squares * repeats) / Math.max(1, n - 1) / n) };
}

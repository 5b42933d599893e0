/**
 * ROC and precision-recall curves, ready to be drawn: points by falling threshold, each an exact one of the curve. Rows are called
 * positive where their score is at least the threshold.
 */
import { bootstrap, intervalOf } from '../core/bootstrap.js';
import { auc, rank, type Ranking } from '../core/metric.js';
import { type Pace } from '../core/pace.js';
import { type Rate } from './rate.js';

export interface CurvePoint {
  /** Null at the start of the ROC curve, where no row is positive. */
  readonly threshold: number | null;
  readonly x: number;
  readonly y: number;
}

export interface Curves {
  /** x: false positive rate, y: true positive rate; from (0, 0) to (1, 1). */
  readonly roc: readonly CurvePoint[];
  /** x: recall, y: precision; the precision between two points is that of the later one. */
  readonly precisionRecall: readonly CurvePoint[];
  readonly auc: Rate;
  /** Σ (recall_i - recall_(i-1)) precision_i. */
  readonly averagePrecision: Rate;
  readonly positives: number;
  readonly negatives: number;
}

export const MOST_POINTS = 200;

/**
 * @param scores of the positive class
 * @param isPositive 1 or 0 by row
 * @returns null without both kinds of rows
 */
export async function curvesOf(
  scores: Float64Array,
  isPositive: Int32Array,
  { most, seed, pace }: { readonly most: number; readonly seed: number; readonly pace: Pace },
): Promise<Curves | null> {
  const ranking = rank(scores);
  const steps = stepsOf(ranking, scores, isPositive);
  const { positives, negatives } = steps;
  if (positives === 0 || negatives === 0) return null;
  const once = new Float64Array(scores.length).fill(1);
  const areas = (weights: Float64Array): [number | null, number | null] => [
    auc(ranking, isPositive, 1, weights),
    averagePrecision(ranking, isPositive, weights),
  ];
  const [area, average] = areas(once);
  const drawn = await bootstrap(scores.length, 4, seed, pace, areas);
  return {
    roc: thin(dropCollinear(rocPoints(steps)), most),
    precisionRecall: thin(precisionRecallPoints(steps), most),
    auc: { value: area, ...intervalOf(drawn.map(([value]) => value)) },
    averagePrecision: { value: average, ...intervalOf(drawn.map(([, value]) => value)) },
    positives,
    negatives,
  };
}

/** True and false positives at each distinct score, from the highest down. */
interface Steps {
  readonly thresholds: Float64Array;
  readonly found: Float64Array;
  readonly alarms: Float64Array;
  readonly positives: number;
  readonly negatives: number;
}

export function stepsOf({ order, endsRun }: Ranking, scores: Float64Array, isPositive: Int32Array): Steps {
  const runs = endsRun.reduce((sum, ends) => sum + ends, 0);
  const thresholds = new Float64Array(runs);
  const found = new Float64Array(runs);
  const alarms = new Float64Array(runs);
  let tp = 0;
  let fp = 0;
  let step = 0;
  for (let i = order.length - 1; i >= 0; i--) {
    if (isPositive[order[i]!] === 1) tp++;
    else fp++;
    // A run of equal scores is whole where the next lower row ends a run of its own.
    if (i > 0 && endsRun[i - 1] === 0) continue;
    thresholds[step] = scores[order[i]!]!;
    found[step] = tp;
    alarms[step++] = fp;
  }
  return { thresholds, found, alarms, positives: tp, negatives: fp };
}

function rocPoints({ thresholds, found, alarms, positives, negatives }: Steps): CurvePoint[] {
  const points: CurvePoint[] = [{ threshold: null, x: 0, y: 0 }];
  thresholds.forEach((threshold, i) => points.push({ threshold, x: alarms[i]! / negatives, y: found[i]! / positives }));
  return points;
}

function precisionRecallPoints({ thresholds, found, alarms, positives }: Steps): CurvePoint[] {
  return Array.from(thresholds, (threshold, i) => ({
    threshold,
    x: found[i]! / positives,
    y: found[i]! / (found[i]! + alarms[i]!),
  }));
}

/** Only the corners: points on the line between their neighbours draw nothing. */
function dropCollinear(points: readonly CurvePoint[]): CurvePoint[] {
  const kept: CurvePoint[] = [];
  points.forEach((point, i) => {
    const before = kept.at(-1);
    const after = points[i + 1];
    if (before !== undefined && after !== undefined) {
      const turn = (point.x - before.x) * (after.y - point.y) - (point.y - before.y) * (after.x - point.x);
      if (Math.abs(turn) < 1e-15) return;
    }
    kept.push(point);
  });
  return kept;
}

/** At most `most` of the points, evenly spaced along the curve (in |dx| + |dy|); the first and the last always. */
export function thin(points: readonly CurvePoint[], most: number): CurvePoint[] {
  if (points.length <= most) return [...points];
  const along = new Float64Array(points.length);
  for (let i = 1; i < points.length; i++)
    along[i] = along[i - 1]! + Math.abs(points[i]!.x - points[i - 1]!.x) + Math.abs(points[i]!.y - points[i - 1]!.y);
  const step = along[points.length - 1]! / (most - 1);
  const kept = [points[0]!];
  let next = step;
  for (let i = 1; i < points.length - 1 && kept.length < most - 1; i++) {
    if (along[i]! < next) continue;
    kept.push(points[i]!);
    next = (Math.floor(along[i]! / step) + 1) * step;
  }
  kept.push(points.at(-1)!);
  return kept;
}

/** Null without a positive row. `weights` are per row. */
export function averagePrecision(
  { order, endsRun }: Ranking,
  isPositive: Int32Array,
  weights: Float64Array,
): number | null {
  let tp = 0;
  let called = 0;
  let before = 0;
  let sum = 0;
  for (let i = order.length - 1; i >= 0; i--) {
    const row = order[i]!;
    called += weights[row]!;
    if (isPositive[row] === 1) tp += weights[row]!;
    if ((i > 0 && endsRun[i - 1] === 0) || tp === before) continue;
    sum += (tp - before) * (tp / called);
    before = tp;
  }
  return tp > 0 ? sum / tp : null;
}

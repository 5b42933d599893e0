/**
 * The threshold that serves a purpose best, chosen on some rows and measured on others: what it promises on the rows that chose
 * it is the best of many promises.
 */
import { rank } from '../core/metric.js';
import { stepsOf } from './curves.js';
import { type Rate, rateOf } from './rate.js';

/** Exactly one purpose. */
export type ThresholdPurpose =
  /** The highest recall with at least this precision. */
  | { readonly kind: 'MINIMUM_PRECISION'; readonly precision: number }
  /** The highest precision with at least this recall. */
  | { readonly kind: 'MINIMUM_RECALL'; readonly recall: number }
  /** The least cost, of a false alarm and of a missed positive. */
  | { readonly kind: 'COST'; readonly falsePositive: number; readonly falseNegative: number }
  /** The highest recall with at most this share of all rows called positive. */
  | { readonly kind: 'ALERT_SHARE'; readonly share: number };

/** What a threshold does on some rows. */
export interface ThresholdEffect {
  readonly rows: number;
  readonly precision: Rate;
  readonly recall: Rate;
  readonly falsePositiveRate: Rate;
  /** Share of rows that are called positive. */
  readonly alertShare: Rate;
  /** Per row, in the unit of the costs; null unless they were given. */
  readonly cost: number | null;
}

/**
 * A float32 threshold between two neighbouring scores; null where none serves the purpose. Of equally good ones the highest: fewest
 * alarms. A threshold above all scores (nobody is called positive) serves COST and ALERT_SHARE only.
 * @param scores of the positive class
 * @param isPositive 1 or 0 by row
 */
export function pickThreshold(scores: Float64Array, isPositive: Int32Array, purpose: ThresholdPurpose): number | null {
  const { thresholds, found, alarms, positives } = stepsOf(rank(scores), scores, isPositive);
  const nobody = { at: -1, value: valueOf(purpose, 0, 0, positives, scores.length) };
  let best = nobody.value === null ? null : nobody;
  for (let i = 0; i < thresholds.length; i++) {
    const value = valueOf(purpose, found[i]!, alarms[i]!, positives, scores.length);
    if (value !== null && (best === null || value > best.value!)) best = { at: i, value };
  }
  if (best === null) return null;
  if (best.at < 0) return above(thresholds[0]!);
  return between(thresholds[best.at + 1] ?? -Infinity, thresholds[best.at]!);
}

/** The more the better; null where the constraint does not hold. */
function valueOf(purpose: ThresholdPurpose, tp: number, fp: number, positives: number, rows: number): number | null {
  switch (purpose.kind) {
    case 'MINIMUM_PRECISION':
      return tp + fp > 0 && tp / (tp + fp) >= purpose.precision ? tp : null;
    case 'MINIMUM_RECALL':
      return tp > 0 && tp / positives >= purpose.recall ? tp / (tp + fp) : null;
    case 'COST':
      return -(purpose.falsePositive * fp + purpose.falseNegative * (positives - tp));
    case 'ALERT_SHARE':
      return (tp + fp) / rows <= purpose.share ? tp : null;
  }
}

/** A float32 t with below < t <= at, halfway where there is room, so that rounding cannot turn a label. */
function between(below: number, at: number): number {
  const middle = Math.fround(below === -Infinity ? at / 2 : (below + at) / 2);
  return middle > below && middle <= at ? middle : at;
}

function above(score: number): number {
  const middle = Math.fround((1 + score) / 2);
  return middle > score ? middle : 2;
}

export function effectOf(
  threshold: number,
  scores: Float64Array,
  isPositive: Int32Array,
  purpose: ThresholdPurpose,
): ThresholdEffect {
  let tp = 0;
  let fp = 0;
  let positives = 0;
  for (let i = 0; i < scores.length; i++) {
    const called = scores[i]! >= threshold;
    positives += isPositive[i]!;
    if (called && isPositive[i] === 1) tp++;
    else if (called) fp++;
  }
  const rows = scores.length;
  const lost = purpose.kind === 'COST' ? purpose.falsePositive * fp + purpose.falseNegative * (positives - tp) : null;
  return {
    rows,
    precision: rateOf(tp, tp + fp),
    recall: rateOf(tp, positives),
    falsePositiveRate: rateOf(fp, rows - positives),
    alertShare: rateOf(tp + fp, rows),
    cost: lost === null ? null : lost / rows,
  };
}

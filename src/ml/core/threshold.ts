/**
 * The score from which a row is called positive, chosen on the validation rows. By default it maximises F1 of the positive class:
 * with the positive class usually the rare one worth finding, 0.5 finds too few of it and accuracy rewards finding none, while
 * F1 balances what is found against what is called falsely and ignores the many true negatives.
 */
import { rank } from './metric.js';

export type ThresholdRule = 'F1' | 'BALANCED_ACCURACY' | 'ACCURACY' | 'HALF';

/**
 * @param scores of the positive class
 * @param actual class by row, 1 is positive
 * @returns a float32 halfway between two neighbouring scores, so that rounding cannot turn a label; of equally good ones
 *   the nearest to 0.5. Without both classes, or by rule HALF: 0.5.
 */
export function chooseThreshold(scores: Float64Array, actual: Int32Array, rule: ThresholdRule): number {
  const positives = actual.reduce((sum, c) => sum + (c === 1 ? 1 : 0), 0);
  const negatives = actual.length - positives;
  if (rule === 'HALF' || positives === 0 || negatives === 0) return 0.5;
  const { order, endsRun } = rank(scores);
  let missed = 0; // positives below the threshold
  let below = 0;
  let best = 0.5;
  let bestValue = -Infinity;
  for (let i = -1; i < order.length - 1; i++) {
    if (i >= 0) {
      below++;
      if (actual[order[i]] === 1) missed++;
      if (endsRun[i] === 0) continue;
    }
    const threshold =
      i < 0 ? Math.min(0.5, Math.fround(scores[order[0]] / 2)) : between(scores[order[i]], scores[order[i + 1]]);
    const found = positives - missed;
    const value = quality(rule, found, actual.length - below - found, positives, negatives);
    if (value > bestValue || (value === bestValue && Math.abs(threshold - 0.5) < Math.abs(best - 0.5))) {
      bestValue = value;
      best = threshold;
    }
  }
  return best;
}

/** The figure for `found` true positives and `alarms` false ones. */
function quality(rule: ThresholdRule, found: number, alarms: number, positives: number, negatives: number): number {
  if (rule === 'F1') return (2 * found) / (positives + found + alarms);
  if (rule === 'ACCURACY') return (found + negatives - alarms) / (positives + negatives);
  return (found / positives + 1 - alarms / negatives) / 2;
}

/** A float32 t with a < t <= b, halfway where there is room. */
function between(a: number, b: number): number {
  const middle = Math.fround((a + b) / 2);
  return middle > a ? middle : b;
}

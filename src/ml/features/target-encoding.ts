/**
 * Target encoding: a category becomes the mean of the target over its training rows, pulled towards the mean of all of them
 * (Micci-Barreca, "A preprocessing scheme for high-cardinality categorical attributes", 2001, as an m-estimate):
 *
 *   value(c) = (Σ_{i in c} w_i y_i + m ȳ) / (Σ_{i in c} w_i + m)
 *
 * A row must not meet its own target in its features: a model would trust a column of many categories far too much. So the
 * training rows get values from the other folds only (as scikit-learn's TargetEncoder), and new rows those of all training rows.
 * ȳ is that of all training rows in both: being the same for all, it tells nothing of a row.
 */
import { Rng } from '../core/rng.js';

const FOLDS = 5;

export interface TargetCodes {
  /** Of each group, from all training rows. */
  readonly values: Float64Array;
  /** Of each training row, from the other folds. */
  readonly outOfFold: Float64Array;
}

/** A fold for each of `count` rows, of equal sizes. */
export function drawFolds(count: number, seed: number, stream: number): Uint8Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  new Rng(seed, stream).shuffle(order);
  const folds = new Uint8Array(count);
  order.forEach((row, i) => (folds[row] = i % FOLDS));
  return folds;
}

/**
 * @param groups by training row, below `groupCount`
 * @param y, weights by training row; weights null: 1 each
 * @param smooth m
 */
export function encodeTarget(
  groups: Int32Array,
  groupCount: number,
  y: Float64Array,
  weights: Float64Array | null,
  folds: Uint8Array,
  smooth: number,
): TargetCodes {
  const sums = new Float64Array(groupCount * FOLDS);
  const counts = new Float64Array(groupCount * FOLDS);
  let sum = 0;
  let count = 0;
  for (let i = 0; i < y.length; i++) {
    const weight = weights?.[i] ?? 1;
    const at = groups[i]! * FOLDS + folds[i]!;
    sums[at]! += weight * y[i]!;
    counts[at]! += weight;
    sum += weight * y[i]!;
    count += weight;
  }
  const mean = sum / count;
  const estimate = (of: number, from: number): number =>
    from + smooth > 0 ? (of + smooth * mean) / (from + smooth) : mean;
  const values = new Float64Array(groupCount);
  const byFold = new Float64Array(groupCount * FOLDS);
  for (let group = 0; group < groupCount; group++) {
    let [groupSum, groupCountOf] = [0, 0];
    for (let at = group * FOLDS; at < (group + 1) * FOLDS; at++) {
      groupSum += sums[at]!;
      groupCountOf += counts[at]!;
    }
    values[group] = estimate(groupSum, groupCountOf);
    for (let at = group * FOLDS; at < (group + 1) * FOLDS; at++) {
      // Summed anew, not subtracted: what rounding left of the row's own target would tell it.
      let [otherSum, otherCount] = [0, 0];
      for (let other = group * FOLDS; other < (group + 1) * FOLDS; other++) {
        if (other === at) continue;
        otherSum += sums[other]!;
        otherCount += counts[other]!;
      }
      byFold[at] = estimate(otherSum, otherCount);
    }
  }
  return { values, outOfFold: Float64Array.from(groups, (group, i) => byFold[group * FOLDS + folds[i]!]!) };
}

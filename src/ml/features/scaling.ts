/** Where numbers are imputed, centred and scaled, learned from the training rows. */
import { type Knots } from '../core/knots.js';
import { type Scaling } from '../core/model.js';
import { normalQuantile } from './normal.js';

export type ImputationRule = 'MEAN' | 'MEDIAN' | 'MOST_FREQUENT';
export type ScalingRule = 'STANDARD' | 'ROBUST' | 'QUANTILE_UNIFORM' | 'QUANTILE_NORMAL' | 'NONE';

/** Knots of a quantile scaling at most: more change nothing that a linear model could use. */
const MOST_KNOTS = 256;

/**
 * @param values float32, NaN is missing
 * @returns null where the values present do not vary or are too large to be scaled
 *
 *   impute             mean, median, or the most frequent value (the least of them)
 *   STANDARD           (x - mean) / standard deviation
 *   ROBUST             (x - median) / (75th - 25th percentile); the deviation where these two percentiles are equal
 *   QUANTILE_UNIFORM   F(x), the share of the values below x and half of those at x, linear between knots
 *   QUANTILE_NORMAL    the standard normal's quantile of F(x), linear between the same knots
 */
export function fitScaling(values: Float32Array, scaling: ScalingRule, imputation: ImputationRule): Scaling | null {
  const present = values.filter((value) => !Number.isNaN(value));
  const { mean, deviation } = moments(present);
  if (!Number.isFinite(mean) || !(deviation > 0) || !Number.isFinite(deviation)) return null;
  const needsOrder = scaling === 'ROBUST' || scaling.startsWith('QUANTILE') || imputation !== 'MEAN';
  const sorted = needsOrder ? present.sort() : present;
  const impute = imputation === 'MEAN' ? mean : imputation === 'MEDIAN' ? quantile(sorted, 0.5) : mostFrequent(sorted);
  switch (scaling) {
    case 'STANDARD':
      return { impute, mean, scale: deviation };
    case 'ROBUST': {
      const range = Math.fround(quantile(sorted, 0.75) - quantile(sorted, 0.25));
      return { impute, mean: quantile(sorted, 0.5), scale: range > 0 ? range : deviation };
    }
    case 'NONE':
      return { impute, mean: 0, scale: 1 };
    default:
      return { impute, mean: 0, scale: 1, knots: quantileKnots(sorted, scaling === 'QUANTILE_NORMAL') };
  }
}

/** Mean and standard deviation, as float32. */
function moments(present: Float32Array): { mean: number; deviation: number } {
  let sum = 0;
  for (const value of present) sum += value;
  const mean = sum / present.length;
  let squares = 0;
  for (const value of present) squares += (value - mean) ** 2;
  return { mean: Math.fround(mean), deviation: Math.fround(Math.sqrt(squares / present.length)) };
}

/** Linear between the two values beside it, as float32. */
function quantile(sorted: Float32Array, share: number): number {
  const at = share * (sorted.length - 1);
  const below = sorted[Math.floor(at)];
  return Math.fround(below + (at - Math.floor(at)) * (sorted[Math.ceil(at)] - below));
}

function mostFrequent(sorted: Float32Array): number {
  let best = sorted[0];
  let most = 0;
  for (let from = 0, i = 1; i <= sorted.length; i++) {
    if (i < sorted.length && sorted[i] === sorted[from]) continue;
    if (i - from > most) [most, best] = [i - from, sorted[from]];
    from = i;
  }
  return best;
}

/** Knots at evenly spaced ranks, the least and the largest value among them; one for each value where there are no more. */
function quantileKnots(sorted: Float32Array, toNormal: boolean): Knots {
  const values: number[] = [];
  const shares: number[] = [];
  for (let from = 0, i = 1; i <= sorted.length; i++) {
    if (i < sorted.length && sorted[i] === sorted[from]) continue;
    values.push(sorted[from] === 0 ? 0 : sorted[from]);
    shares.push((from + i) / (2 * sorted.length));
    from = i;
  }
  const last = values.length - 1;
  const at = new Set([0, last]);
  if (values.length <= MOST_KNOTS) for (let i = 0; i <= last; i++) at.add(i);
  else {
    let i = 0;
    for (let k = 1; k < MOST_KNOTS - 1; k++) {
      const share = k / (MOST_KNOTS - 1);
      while (i < last && shares[i] < share) i++;
      at.add(i);
    }
  }
  const kept = [...at].sort((a, b) => a - b);
  return {
    x: Float64Array.from(kept, (i) => values[i]),
    y: Float64Array.from(kept, (i) => (toNormal ? normalQuantile(shares[i]) : shares[i])),
  };
}

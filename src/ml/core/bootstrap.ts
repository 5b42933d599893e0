/**
 * Percentile bootstrap (Efron, "Bootstrap methods: another look at the jackknife", 1979). A resample is a vector of how often each
 * row was drawn, so that a statistic of weighted rows can be computed on any of them without copying.
 */
import { type Pace } from './pace.js';
import { Rng } from './rng.js';

/** Resamples: as many as WORK allows, within these. */
const MOST_RESAMPLES = 1000;
const LEAST_RESAMPLES = 200;
const WORK = 1e8;

export interface Interval {
  readonly low: number | null;
  readonly high: number | null;
}

/**
 * `statistic` of each resample of `rows` rows. The same seed draws the same resamples: what is to be compared, is compared on them.
 * @param cost steps of the statistic per row
 */
export async function bootstrap<T>(
  rows: number,
  cost: number,
  seed: number,
  pace: Pace,
  statistic: (weights: Float64Array) => T,
): Promise<T[]> {
  const rng = new Rng(seed, 0xb007);
  const resamples = Math.round(Math.min(MOST_RESAMPLES, Math.max(LEAST_RESAMPLES, WORK / (rows * cost))));
  const drawn: T[] = [];
  const weights = new Float64Array(rows);
  for (let i = 0; i < resamples; i++) {
    weights.fill(0);
    for (let j = 0; j < rows; j++) weights[rng.below(rows)]++;
    drawn.push(statistic(weights));
    if (pace.isDue(rows * cost)) await pace.rest();
  }
  return drawn;
}

/** The middle 95 % of what the resamples gave; resamples that do not define the statistic (null) are left out. */
export function intervalOf(drawn: readonly (number | null | undefined)[]): Interval {
  const sorted = Float64Array.from(drawn.flatMap((value) => value ?? [])).sort();
  return { low: quantile(sorted, 0.025), high: quantile(sorted, 0.975) };
}

/** Linear interpolation between order statistics (Hyndman and Fan's type 7); null of nothing. */
export function quantile(sorted: Float64Array, q: number): number | null {
  if (sorted.length === 0) return null;
  const at = q * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

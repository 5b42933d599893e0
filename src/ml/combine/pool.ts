/**
 * Weights of least loss for a weighted mean of scores, on the simplex: w >= 0, Σ w = 1.
 *
 *   classes   least -Σ_i c_i log Σ_m w_m p[m, i]   with p the share that member m gives to the class of row i
 *             by expectation-maximisation (the weights of a mixture; Dempster, Laird & Rubin, 1977): never uphill, and the
 *             loss is convex, so it ends at the least
 *   numbers   least Σ_i c_i (y_i - Σ_m w_m s[m, i])²
 *             by projected gradients on the quadratic of the members (Duchi et al., "Efficient projections onto the l1-ball", 2008)
 */
import { LEAST_PROBABILITY } from '../core/loss.js';
import { type Pace } from '../core/pace.js';

const MOST_STEPS = 500;
/** Stops when no weight moves by more. */
const SMALLEST_STEP = 1e-6;

/**
 * @param shares members x rows: what each member gives to the class of each row
 * @param counts what each row counts
 */
export async function poolShares(
  shares: readonly Float64Array[],
  counts: Float64Array,
  pace: Pace,
): Promise<Float64Array> {
  const size = shares.length;
  let weights = new Float64Array(size).fill(1 / size);
  const total = counts.reduce((sum, count) => sum + count, 0);
  for (let step = 0; step < MOST_STEPS; step++) {
    const next = new Float64Array(size);
    for (let i = 0; i < counts.length; i++) {
      let mixed = 0;
      for (let m = 0; m < size; m++) mixed += weights[m] * shares[m][i];
      const part = counts[i] / Math.max(mixed, LEAST_PROBABILITY);
      for (let m = 0; m < size; m++) next[m] += weights[m] * shares[m][i] * part;
    }
    // A row that no member thinks possible speaks for none of them.
    const spoken = next.reduce((sum, weight) => sum + weight, 0) || total;
    for (let m = 0; m < size; m++) next[m] /= spoken;
    const moved = next.reduce((most, weight, m) => Math.max(most, Math.abs(weight - weights[m])), 0);
    weights = next;
    if (moved < SMALLEST_STEP) break;
    if (pace.isDue(2 * size * counts.length)) await pace.rest();
  }
  return weights;
}

/** @param values members x rows */
export function poolValues(values: readonly Float64Array[], y: Float64Array, counts: Float64Array): Float64Array {
  const size = values.length;
  // Errors of the members: Σ w = 1 makes y - Σ w s = Σ w (y - s), and large common values fall out.
  const gram = values.map((a) =>
    Float64Array.from(values, (b) => counts.reduce((sum, c, i) => sum + c * (y[i] - a[i]) * (y[i] - b[i]), 0)),
  );
  const steepest = gram.reduce((sum, row, m) => sum + row[m], 0);
  let weights = new Float64Array(size).fill(1 / size);
  if (!(steepest > 0)) return weights;
  for (let step = 0; step < 200 * MOST_STEPS; step++) {
    const next = projectOnSimplex(
      weights.map((weight, m) => weight - gram[m].reduce((sum, g, n) => sum + g * weights[n], 0) / steepest),
    );
    const moved = next.reduce((most, weight, m) => Math.max(most, Math.abs(weight - weights[m])), 0);
    weights = next;
    if (moved < 1e-12) break;
  }
  return weights;
}

/** The nearest point with entries of at least 0 and the sum 1. */
export function projectOnSimplex(point: Float64Array): Float64Array<ArrayBuffer> {
  const falling = point.slice().sort().reverse();
  let sum = 0;
  let shift = 0;
  falling.forEach((value, i) => {
    sum += value;
    const candidate = (sum - 1) / (i + 1);
    if (value > candidate) shift = candidate;
  });
  return Float64Array.from(point, (value) => Math.max(0, value - shift));
}

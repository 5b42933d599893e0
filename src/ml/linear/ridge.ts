/**
 * Ridge regression by its normal equations (Hoerl & Kennard, "Ridge regression", 1970), the intercept not penalised, D the
 * weights of rows:
 *
 *   (Xcᵀ D Xc + l2 I) w = Xcᵀ D (y - ȳ),   Xc = X - 1 x̄ᵀ,   b = ȳ - x̄ᵀ w
 *
 * solved by Cholesky's decomposition.
 */
import { weightedMean, sumOfWeights } from '../core/loss.js';
import { type Pace } from '../core/pace.js';
import { type Rows } from './data.js';
import { multiplyTransposed } from './design.js';
import { gramMatrix } from './gram.js';
import { roundWeights, type Weights } from './weights.js';

/** Least penalty per row: one-hot columns of a category sum to one, so that without any penalty there is no single solution. */
const LEAST_L2 = 1e-8;

/** Squared error without its rows: ½ wᵀ gram w - wᵀ moments + ½ power, about the weighted means. */
export interface NormalEquations {
  /** width x width, symmetric. */
  readonly gram: Float64Array;
  readonly moments: Float64Array;
  /** Σ d (y - ȳ)². */
  readonly power: number;
  readonly total: number;
  interceptOf(w: Float64Array): number;
}

export async function normalEquations({ design, y, weights }: Rows, pace: Pace): Promise<NormalEquations> {
  const { width, rowCount } = design;
  const all = Int32Array.from({ length: width }, (_, f) => f);
  const gram = await gramMatrix(design, weights, all, pace);
  const total = sumOfWeights(weights, rowCount);
  const means = new Float64Array(width);
  multiplyTransposed(design, weights ?? new Float64Array(rowCount).fill(1), means);
  for (let f = 0; f < width; f++) means[f] /= total;
  const yMean = weightedMean(y, weights);
  const residuals = y.map((value, i) => (value - yMean) * (weights?.[i] ?? 1));
  const moments = new Float64Array(width);
  multiplyTransposed(design, residuals, moments);
  for (let i = 0; i < width; i++) for (let j = 0; j < width; j++) gram[i * width + j] -= total * means[i] * means[j];
  return {
    gram,
    moments,
    power: residuals.reduce((sum, r, i) => sum + r * (y[i] - yMean), 0),
    total,
    interceptOf: (w) => yMean - w.reduce((sum, weight, f) => sum + weight * means[f], 0),
  };
}

export async function fitRidge(rows: Rows, l2: number, pace: Pace): Promise<Weights> {
  const { width } = rows.design;
  const { gram, moments, total, interceptOf } = await normalEquations(rows, pace);
  const penalty = Math.max(l2, LEAST_L2 * total);
  for (let i = 0; i < width; i++) gram[i * width + i] += penalty;
  await decompose(gram, width, pace);
  const w = moments.slice();
  substitute(gram, width, w);
  return roundWeights([w], Float64Array.of(interceptOf(w)), 1);
}

/** A = L Lᵀ in place of the lower triangle. A is positive definite because of the penalty. */
async function decompose(a: Float64Array, n: number, pace: Pace): Promise<void> {
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a[i * n + j];
      for (let k = 0, p = i * n, q = j * n; k < j; k++, p++, q++) sum -= a[p] * a[q];
      // Rounding can leave a dependent column with nothing: it then gets no weight worth speaking of.
      a[i * n + j] = i === j ? Math.sqrt(Math.max(sum, Number.EPSILON * a[i * n + i])) : sum / a[j * n + j];
    }
    if (pace.isDue((i * i) / 4)) await pace.rest();
  }
}

/** Solves L Lᵀ x = b in place of b. */
function substitute(l: Float64Array, n: number, b: Float64Array): void {
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) b[i] -= l[i * n + k] * b[k];
    b[i] /= l[i * n + i];
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) b[i] -= l[k * n + i] * b[k];
    b[i] /= l[i * n + i];
  }
}

/**
 * Ridge regression by its normal equations (Hoerl & Kennard, "Ridge regression", 1970), the intercept not penalised:
 *
 *   (Xcᵀ Xc + l2 I) w = Xcᵀ (y - ȳ),   Xc = X - 1 x̄ᵀ,   b = ȳ - x̄ᵀ w
 *
 * solved by Cholesky's decomposition. XᵀX is summed from the entries of a row that are not zero.
 */
import { type Pace } from '../core/pace.js';
import { type Design, multiplyTransposed } from './design.js';
import { roundWeights, type Weights } from './weights.js';

/** Least penalty per row: one-hot columns of a category sum to one, so that without any penalty there is no single solution. */
const LEAST_L2 = 1e-8;

export async function fitRidge(design: Design, y: Float64Array, l2: number, pace: Pace): Promise<Weights> {
  const { width, rowCount } = design;
  const gram = await gramMatrix(design, pace);
  const ones = new Float64Array(rowCount).fill(1);
  const means = new Float64Array(width);
  multiplyTransposed(design, ones, means);
  for (let f = 0; f < width; f++) means[f] /= rowCount;
  const yMean = y.reduce((sum, value) => sum + value, 0) / rowCount;
  const w = new Float64Array(width);
  multiplyTransposed(
    design,
    y.map((value) => value - yMean),
    w,
  );
  const penalty = Math.max(l2, LEAST_L2 * rowCount);
  for (let i = 0; i < width; i++) {
    for (let j = 0; j <= i; j++) gram[i * width + j] -= rowCount * means[i] * means[j];
    gram[i * width + i] += penalty;
  }
  await decompose(gram, width, pace);
  substitute(gram, width, w);
  const intercept = yMean - w.reduce((sum, weight, f) => sum + weight * means[f], 0);
  return roundWeights([w], Float64Array.of(intercept), 1);
}

/** The lower triangle of XᵀX, row-major, width x width. */
async function gramMatrix({ rowCount, width, numbers, oneHots }: Design, pace: Pace): Promise<Float64Array> {
  const gram = new Float64Array(width * width);
  const entries = numbers.length + oneHots.length;
  const feature = new Int32Array(entries);
  const value = new Float64Array(entries).fill(1);
  numbers.forEach((number, e) => (feature[e] = number.feature));
  for (let row = 0; row < rowCount; row++) {
    for (let e = 0; e < numbers.length; e++) value[e] = numbers[e].values[row];
    for (let e = 0; e < oneHots.length; e++) feature[numbers.length + e] = oneHots[e].hot[row];
    for (let a = 0; a < entries; a++) {
      const i = feature[a];
      for (let b = 0; b <= a; b++) {
        const j = feature[b];
        gram[i > j ? i * width + j : j * width + i] += value[a] * value[b];
      }
    }
    if (pace.isDue((entries * entries) / 2)) await pace.rest();
  }
  return gram;
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

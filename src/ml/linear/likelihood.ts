/** Log loss of classes and its derivatives by the scores, with weights of rows, one exponential a row and class. */
import { type RowWeights } from '../core/loss.js';

/**
 * Writes r[k][i] = d_i (p_ik - [y_i = k]) and returns Σ d_i L_i. One array of scores: p is the probability of class 1; else of
 * each class.
 */
export function residualsOf(
  raw: readonly Float64Array[],
  y: Float64Array,
  weights: RowWeights,
  r: readonly Float64Array[],
): number {
  return raw.length === 1 ? ofTwo(raw[0], y, weights, r[0]) : ofMany(raw, y, weights, r);
}

/** L = log(1 + e^F) - y F by e^-|F|, which cannot overflow. */
function ofTwo(raw: Float64Array, y: Float64Array, weights: RowWeights, r: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < raw.length; i++) {
    const score = raw[i];
    const d = weights === null ? 1 : weights[i];
    const e = Math.exp(score > 0 ? -score : score);
    r[i] = d * ((score > 0 ? 1 : e) / (1 + e) - y[i]);
    sum += d * (Math.log1p(e) + (score > 0 ? score : 0) - y[i] * score);
  }
  return sum;
}

function ofMany(
  raw: readonly Float64Array[],
  y: Float64Array,
  weights: RowWeights,
  r: readonly Float64Array[],
): number {
  const outputs = raw.length;
  let sum = 0;
  for (let i = 0; i < y.length; i++) {
    const d = weights === null ? 1 : weights[i];
    let max = -Infinity;
    for (let k = 0; k < outputs; k++) if (raw[k][i] > max) max = raw[k][i];
    let total = 0;
    for (let k = 0; k < outputs; k++) total += r[k][i] = Math.exp(raw[k][i] - max);
    for (let k = 0; k < outputs; k++) r[k][i] *= d / total;
    r[y[i]][i] -= d;
    sum += d * (Math.log(total) + max - raw[y[i]][i]);
  }
  return sum;
}

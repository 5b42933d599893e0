/**
 * Logistic regression, binary and multinomial, d the weights of rows, minimised by L-BFGS:
 *
 *   J(W, b) = Σ_i d_i L(X_i W + b, y_i) + l2/2 |W|²,   ∂J/∂W = Xᵀ D (p - y) + l2 W
 *
 * divided by Σ d. L is the log loss; intercepts are not penalised. The optimiser walks in weights of standardised numbers, whatever
 * scale the features have: the minimum is the same, the way to it shorter.
 */
import { type Loss, sumOfWeights } from '../core/loss.js';
import { type LinearData, type Rows } from './data.js';
import { type Design, multiply, multiplyTransposed } from './design.js';
import { type Stop } from './elastic-net.js';
import { minimise } from './lbfgs.js';
import { residualsOf } from './likelihood.js';
import { roundWeights, type Weights } from './weights.js';

export async function fitLogistic(
  { train, validation, pace, onStep }: LinearData,
  loss: Loss,
  l2: number,
  stop: Stop,
): Promise<Weights> {
  const { design, y, weights } = train;
  const { width, rowCount } = design;
  const { outputs } = loss;
  const arrays = (length: number) => Array.from({ length: outputs }, () => new Float64Array(length));
  const raw = arrays(rowCount);
  const residuals = arrays(rowCount);
  const validationRaw = arrays(validation.design.rowCount);
  const w = arrays(width);
  const b = new Float64Array(outputs);
  const column = new Float64Array(width);
  const total = sumOfWeights(weights, rowCount);
  const { centre, spread } = standardisation(design);
  // The optimiser's parameters lie output by output: width weights of (x - centre) / spread, then their intercept.
  const read = (x: Float64Array): void => {
    for (let k = 0; k < outputs; k++) {
      const from = k * (width + 1);
      b[k] = x[from + width];
      for (let f = 0; f < width; f++) {
        w[k][f] = x[from + f] / spread[f];
        b[k] -= w[k][f] * centre[f];
      }
    }
  };
  let mean = 0;
  const objective = (x: Float64Array, gradient: Float64Array): number => {
    read(x);
    for (let k = 0; k < outputs; k++) multiply(design, w[k], b[k], raw[k]);
    mean = residualsOf(raw, y, weights, residuals) / total;
    let penalty = 0;
    for (let k = 0; k < outputs; k++) {
      const from = k * (width + 1);
      multiplyTransposed(design, residuals[k], column);
      const slope = sumOf(residuals[k]);
      for (let f = 0; f < width; f++) {
        gradient[from + f] = (column[f] + l2 * w[k][f] - centre[f] * slope) / (spread[f] * total);
        penalty += w[k][f] * w[k][f];
      }
      gradient[from + width] = slope / total;
    }
    return mean + (l2 * penalty) / (2 * total);
  };
  const x = new Float64Array(outputs * (width + 1));
  loss.initial(y, weights).forEach((start, k) => (x[k * (width + 1) + width] = start));
  const rounds = await minimise(objective, x, {
    ...stop,
    onStep: async (iteration, at) => {
      read(at);
      onStep(iteration, {
        name: loss.metric,
        train: mean,
        validation: meanLoss(loss, validation, w, b, validationRaw),
      });
      await pace.rest();
    },
  });
  read(x);
  return roundWeights(w, b, rounds);
}

/** The loss of a model with weights w and intercepts b; `raw` is space for the scores. */
export function meanLoss(
  loss: Loss,
  { design, y, weights }: Rows,
  w: readonly Float64Array[],
  b: Float64Array,
  raw: readonly Float64Array[],
): number {
  raw.forEach((scores, k) => multiply(design, w[k], b[k], scores));
  return loss.mean(raw, y, weights);
}

/** Mean and deviation of numbers; 0 and 1 for indicators, which are left as they are. */
function standardisation({ width, rowCount, numbers }: Design): { centre: Float64Array; spread: Float64Array } {
  const centre = new Float64Array(width);
  const spread = new Float64Array(width).fill(1);
  for (const { feature, values } of numbers) {
    const mean = sumOf(values) / rowCount;
    let squares = 0;
    for (let i = 0; i < values.length; i++) squares += (values[i] - mean) ** 2;
    centre[feature] = mean;
    spread[feature] = squares > 0 ? Math.sqrt(squares / rowCount) : 1;
  }
  return { centre, spread };
}

export function sumOf(values: Float64Array | Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum;
}

/**
 * Logistic regression, binary and multinomial, minimised by L-BFGS:
 *
 *   J(W, b) = 1/n [ Σ_i L(X_i W + b, y_i) + l2/2 |W|² ],   ∂J/∂W = 1/n [ Xᵀ (p - y) + l2 W ]
 *
 * with the losses of core/loss.ts. Intercepts are not penalised.
 */
import { type OnRound } from '../core/learned.js';
import { type Loss } from '../core/loss.js';
import { type Pace } from '../core/pace.js';
import { type Parameters } from '../spec.js';
import { type Design, multiply, multiplyTransposed } from './design.js';
import { roundWeights, type Weights } from './weights.js';
import { minimise } from './lbfgs.js';

export async function fitLogistic(
  train: Design,
  y: Float64Array,
  validation: Design,
  validationY: Float64Array,
  loss: Loss,
  p: Parameters<'LINEAR'>,
  pace: Pace,
  onStep: OnRound,
): Promise<Weights> {
  const { width, rowCount } = train;
  const outputs = loss.outputs;
  const arrays = (length: number) => Array.from({ length: outputs }, () => new Float64Array(length));
  const raw = arrays(rowCount);
  const residuals = arrays(rowCount);
  const unused = arrays(rowCount);
  const validationRaw = arrays(validation.rowCount);
  const column = new Float64Array(width);
  // Parameters lie output by output: width weights, then the intercept.
  const weightsOf = (x: Float64Array, k: number) => x.subarray(k * (width + 1), k * (width + 1) + width);
  const interceptOf = (x: Float64Array, k: number) => x[k * (width + 1) + width];
  const score = (design: Design, x: Float64Array, out: readonly Float64Array[]) =>
    out.forEach((scores, k) => multiply(design, weightsOf(x, k), interceptOf(x, k), scores));

  const objective = (x: Float64Array, gradient: Float64Array): number => {
    score(train, x, raw);
    loss.derivatives(raw, y, residuals, unused);
    let penalty = 0;
    for (let k = 0; k < outputs; k++) {
      const w = weightsOf(x, k);
      multiplyTransposed(train, residuals[k], column);
      for (let f = 0; f < width; f++) {
        gradient[k * (width + 1) + f] = (column[f] + p.l2 * w[f]) / rowCount;
        penalty += w[f] * w[f];
      }
      gradient[k * (width + 1) + width] = residuals[k].reduce((sum, r) => sum + r, 0) / rowCount;
    }
    return loss.mean(raw, y) + (p.l2 * penalty) / (2 * rowCount);
  };

  const x = new Float64Array(outputs * (width + 1));
  loss.initial(y).forEach((start, k) => (x[k * (width + 1) + width] = start));
  const rounds = await minimise(objective, x, {
    maxIterations: p.maxIterations,
    tolerance: p.tolerance,
    onStep: async (iteration, at) => {
      score(validation, at, validationRaw);
      onStep(iteration, {
        name: loss.metric,
        train: loss.mean(raw, y),
        validation: loss.mean(validationRaw, validationY),
      });
      await pace.rest();
    },
  });
  const rows = Array.from({ length: outputs }, (_, k) => weightsOf(x, k));
  return roundWeights(
    rows,
    Float64Array.from(rows, (_, k) => interceptOf(x, k)),
    rounds,
  );
}

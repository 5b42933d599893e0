/**
 * Losses of targets that are never negative, by the deviance of Tweedie's distributions (Jørgensen, "Exponential dispersion
 * models", 1987). The answer is μ = e^F > 0. Of power p, with a = e^((1-p)F) and b = e^((2-p)F):
 *
 *   ½ L = y²⁻ᵖ / ((1-p)(2-p)) - y a / (1-p) + b / (2-p)
 *   g = b - y a,   h = (2-p) b - (1-p) y a
 *
 *   p = 1  Poisson: counts        ½ L = y log(y/μ) - y + μ
 *   p = 2  gamma: positive sizes  ½ L = log(μ/y) + y/μ - 1
 *   between: sums of a Poisson number of gamma sizes, many of them 0, as claims of insurance are
 */
import { type Loss, type LossName, type RowWeights, sumOfWeights, weightedMean } from './loss.js';

/**
 * LightGBM's poisson_max_delta_step of 0.7: the second derivative e^(F + 0.7) instead of e^F shortens steps where few counts are
 * expected, and one more than expected would throw the score far up.
 */
const POISSON_CAUTION = Math.exp(0.7);

export const poissonLoss: Loss = rateLoss(1, POISSON_CAUTION, 'poissonDeviance');
export const gammaLoss: Loss = rateLoss(2, 1, 'gammaDeviance');

/** @param power above 1, below 2 */
export function tweedieLoss(power: number): Loss {
  return rateLoss(power, 1, 'tweedieDeviance');
}

function rateLoss(power: number, caution: number, metric: LossName): Loss {
  return {
    outputs: 1,
    link: 'exp',
    metric,
    kernel: { name: 'rate', power, caution },
    renewal: null,
    initial: (y, weights = null) => Float32Array.of(Math.log(weightedMean(y, weights))),
    derivatives([raw], y, [g], [h]) {
      for (let i = 0; i < y.length; i++) {
        const a = Math.exp((1 - power) * raw[i]);
        const b = Math.exp((2 - power) * raw[i]);
        g[i] = b - y[i] * a;
        h[i] = caution * ((2 - power) * b - (1 - power) * y[i] * a);
      }
    },
    mean([raw], y, weights = null) {
      const sums = { ya: 0, b: 0, f: 0, yf: 0 };
      for (let i = 0; i < y.length; i++) {
        const w = weights === null ? 1 : weights[i];
        sums.ya += w * y[i] * Math.exp((1 - power) * raw[i]);
        sums.b += w * Math.exp((2 - power) * raw[i]);
        sums.f += w * raw[i];
        sums.yf += w * y[i] * raw[i];
      }
      return devianceOf(power, sums, saturated(power, y, weights)) / sumOfWeights(weights, y.length);
    },
  };
}

/** Σ w y a, Σ w b, Σ w F and Σ w y F: all of the deviance that depends on the scores. */
export interface RateSums {
  readonly ya: number;
  readonly b: number;
  readonly f: number;
  readonly yf: number;
}

/** Σ w L, given what `saturated` says of the targets. */
export function devianceOf(power: number, { ya, b, f, yf }: RateSums, ofTargets: number): number {
  if (power === 1) return 2 * (b - yf + ofTargets);
  if (power === 2) return 2 * (f + ya + ofTargets);
  return 2 * (b / (2 - power) - ya / (1 - power) + ofTargets);
}

/** What the deviance has of the targets alone: it makes the loss of perfect scores 0. */
export function saturated(power: number, y: Float64Array, weights: RowWeights): number {
  const of = (v: number): number => {
    if (power === 1) return v > 0 ? v * Math.log(v) - v : 0;
    if (power === 2) return -Math.log(v) - 1;
    return v ** (2 - power) / ((1 - power) * (2 - power));
  };
  let sum = 0;
  for (let i = 0; i < y.length; i++) sum += (weights === null ? 1 : weights[i]) * of(y[i]);
  return sum;
}

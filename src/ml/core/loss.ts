/**
 * Losses. For raw scores F (one array per output, one entry per row), targets y and weights w a loss gives where scores start,
 * its first and second derivatives by F, and its mean. The link that turns F into the answer is the model's.
 *
 * Names and formulas are those of XGBoost and LightGBM. Kernels compute the same for boosting (kernels/gradient.ts): what they
 * must know of a loss is its `kernel`.
 */
import { type Link } from './model.js';

/** Weights by row; null or left out: each row counts 1. */
export type RowWeights = Float64Array | null;

/** Which kernel computes a loss, and its numbers. */
export type LossKernel =
  | { readonly name: 'logistic' }
  | { readonly name: 'softmax' }
  /** g = r = F - y cut off at ±delta, h = 1; an infinite delta is the squared error. */
  | { readonly name: 'huber'; readonly delta: number }
  /** g = `over` where F > y, -`under` where F < y, h = 1. */
  | { readonly name: 'pinball'; readonly over: number; readonly under: number }
  /** Tweedie's deviance of this power, h times `caution`. */
  | { readonly name: 'rate'; readonly power: number; readonly caution: number };

/** How the value of a leaf comes from the residuals y - F of its rows, where derivatives say too little about it. */
export type Renewal =
  /** The quantile at this share. */
  | { readonly name: 'quantile'; readonly share: number }
  /** The median, and the mean of what lies beyond it, cut off at ±delta (Friedman 2001, algorithm 4). */
  | { readonly name: 'huber'; readonly delta: number };

/** Names of a loss's mean, as histories show them. */
export type LossName =
  'logLoss' | 'rmse' | 'mae' | 'huberLoss' | 'quantileLoss' | 'poissonDeviance' | 'gammaDeviance' | 'tweedieDeviance';

export interface Loss {
  /** Raw scores per row. */
  readonly outputs: number;
  readonly link: Link;
  /** Name of `mean`. */
  readonly metric: LossName;
  readonly kernel: LossKernel;
  /** Null: leaves take the Newton step -Σg / (Σh + λ). */
  readonly renewal: Renewal | null;
  /** The constant scores of least loss for `y`; float32. */
  initial(y: Float64Array, weights?: RowWeights): Float32Array;
  /** Writes dL/dF into g[k][i] and d²L/dF² into h[k][i], for rows of weight 1. */
  derivatives(
    raw: readonly Float64Array[],
    y: Float64Array,
    g: readonly Float64Array[],
    h: readonly Float64Array[],
  ): void;
  /** The loss as people read it: the mean, or for squared error its root. */
  mean(raw: readonly Float64Array[], y: Float64Array, weights?: RowWeights): number;
}

/** Least second derivative: keeps steps finite where a score is certain. */
const MIN_HESSIAN = 1e-16;

export function sumOfWeights(weights: RowWeights, rows: number): number {
  return weights === null ? rows : weights.reduce((sum, weight) => sum + weight, 0);
}

/** Σ w v / Σ w. */
export function weightedMean(values: Float64Array, weights: RowWeights): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (weights === null ? 1 : weights[i]) * values[i];
  return sum / sumOfWeights(weights, values.length);
}

/** L = log(1 + e^F) - yF, y in {0, 1}, p = 1 / (1 + e^-F):  g = p - y, h = p (1 - p). A y of -1 (unknown class) counts in `mean` only. */
export const logistic: Loss = {
  outputs: 1,
  link: 'sigmoid',
  metric: 'logLoss',
  kernel: { name: 'logistic' },
  renewal: null,
  initial(y, weights = null) {
    const share = weightedMean(y, weights);
    return Float32Array.of(Math.log(share / (1 - share)));
  },
  derivatives([raw], y, [g], [h]) {
    for (let i = 0; i < y.length; i++) {
      const p = 1 / (1 + Math.exp(-raw[i]));
      g[i] = p - y[i];
      h[i] = Math.max(p * (1 - p), MIN_HESSIAN);
    }
  },
  mean([raw], y, weights = null) {
    let sum = 0;
    for (let i = 0; i < y.length; i++) {
      const margin = y[i] === 1 ? raw[i] : -raw[i];
      // log(1 + e^-m) without overflow on either side
      const loss = margin > 0 ? Math.log1p(Math.exp(-margin)) : Math.log1p(Math.exp(margin)) - margin;
      sum += weights === null ? loss : weights[i] * loss;
    }
    return sum / sumOfWeights(weights, y.length);
  },
};

/**
 * L = log Σ e^F_j - F_y, p = softmax(F):  g_k = p_k - [y = k], h_k = K/(K-1) p_k (1 - p_k), the factor being that of LightGBM
 * (multiclass_objective.hpp), from Friedman's "Greedy function approximation", 2001, algorithm 6.
 */
export function softmax(classCount: number): Loss {
  const factor = softmaxFactor(classCount);
  return {
    outputs: classCount,
    link: 'softmax',
    metric: 'logLoss',
    kernel: { name: 'softmax' },
    renewal: null,
    initial(y, weights = null) {
      const counts = new Float64Array(classCount);
      for (let i = 0; i < y.length; i++) counts[y[i]] += weights === null ? 1 : weights[i];
      const total = sumOfWeights(weights, y.length);
      return Float32Array.from(counts, (count) => Math.log(count / total));
    },
    derivatives(raw, y, g, h) {
      const e = new Float64Array(classCount);
      for (let i = 0; i < y.length; i++) {
        const sum = exponentials(raw, i, e);
        for (let k = 0; k < classCount; k++) {
          const p = e[k] / sum;
          g[k][i] = p - (y[i] === k ? 1 : 0);
          h[k][i] = Math.max(factor * p * (1 - p), MIN_HESSIAN);
        }
      }
    },
    mean(raw, y, weights = null) {
      const e = new Float64Array(classCount);
      let sum = 0;
      for (let i = 0; i < y.length; i++) {
        const total = exponentials(raw, i, e);
        const loss = -Math.log(Math.max(y[i] < 0 ? 0 : e[y[i]] / total, LEAST_PROBABILITY));
        sum += weights === null ? loss : weights[i] * loss;
      }
      return sum / sumOfWeights(weights, y.length);
    },
  };
}

/** K / (K - 1). */
export function softmaxFactor(classCount: number): number {
  return classCount / (classCount - 1);
}

/** What an impossible class counts as in a log loss (scikit-learn's eps). */
export const LEAST_PROBABILITY = 2.220446049250313e-16;

/** e[k] = exp(raw[k][i] - max); returns their sum. */
function exponentials(raw: readonly Float64Array[], i: number, e: Float64Array): number {
  let max = -Infinity;
  for (let k = 0; k < e.length; k++) max = Math.max(max, raw[k][i]);
  let sum = 0;
  for (let k = 0; k < e.length; k++) sum += e[k] = Math.exp(raw[k][i] - max);
  return sum;
}

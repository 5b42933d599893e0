/**
 * Losses of boosting. For raw scores F (one array per output, one entry per row) and targets y a loss gives where scores
 * start, its first and second derivatives by F, and its mean. The link that turns F into the answer is the model's.
 */
import type { Link } from './model.js';

export interface Loss {
  /** Raw scores per row. */
  readonly outputs: number;
  readonly link: Link;
  /** Name of `mean`. */
  readonly metric: 'logLoss' | 'rmse';
  /** The constant scores of least loss for `y`; float32. */
  initial(y: Float64Array): Float32Array;
  /** Writes dL/dF into g[k][i] and d²L/dF² into h[k][i]. */
  derivatives(
    raw: readonly Float64Array[],
    y: Float64Array,
    g: readonly Float64Array[],
    h: readonly Float64Array[],
  ): void;
  /** The loss as people read it: mean log loss, or root of the mean squared error. */
  mean(raw: readonly Float64Array[], y: Float64Array): number;
}

/** Least second derivative: keeps steps finite where a score is certain. */
const MIN_HESSIAN = 1e-16;

/** L = ½ (F - y)²:  g = F - y, h = 1. */
export const squaredError: Loss = {
  outputs: 1,
  link: 'identity',
  metric: 'rmse',
  initial: (y) => Float32Array.of(y.reduce((sum, v) => sum + v, 0) / y.length),
  derivatives([raw], y, [g], [h]) {
    for (let i = 0; i < y.length; i++) {
      g[i] = raw[i] - y[i];
      h[i] = 1;
    }
  },
  mean([raw], y) {
    let sum = 0;
    for (let i = 0; i < y.length; i++) sum += (raw[i] - y[i]) ** 2;
    return Math.sqrt(sum / y.length);
  },
};

/** L = log(1 + e^F) - yF, y in {0, 1}, p = 1 / (1 + e^-F):  g = p - y, h = p (1 - p). A y of -1 (unknown class) counts in `mean` only. */
export const logistic: Loss = {
  outputs: 1,
  link: 'sigmoid',
  metric: 'logLoss',
  initial(y) {
    const share = y.reduce((sum, v) => sum + v, 0) / y.length;
    return Float32Array.of(Math.log(share / (1 - share)));
  },
  derivatives([raw], y, [g], [h]) {
    for (let i = 0; i < y.length; i++) {
      const p = 1 / (1 + Math.exp(-raw[i]));
      g[i] = p - y[i];
      h[i] = Math.max(p * (1 - p), MIN_HESSIAN);
    }
  },
  mean([raw], y) {
    let sum = 0;
    for (let i = 0; i < y.length; i++) {
      const margin = y[i] === 1 ? raw[i] : -raw[i];
      // log(1 + e^-m) without overflow on either side
      sum += margin > 0 ? Math.log1p(Math.exp(-margin)) : Math.log1p(Math.exp(margin)) - margin;
    }
    return sum / y.length;
  },
};

/**
 * L = log Σ e^F_j - F_y, p = softmax(F):  g_k = p_k - [y = k], h_k = K/(K-1) p_k (1 - p_k), the factor being that of LightGBM
 * (multiclass_objective.hpp), from Friedman's "Greedy function approximation", 2001, algorithm 6.
 */
export function softmax(classCount: number): Loss {
  const factor = classCount / (classCount - 1);
  return {
    outputs: classCount,
    link: 'softmax',
    metric: 'logLoss',
    initial(y) {
      const counts = new Float64Array(classCount);
      for (const k of y) counts[k]++;
      return Float32Array.from(counts, (count) => Math.log(count / y.length));
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
    mean(raw, y) {
      const e = new Float64Array(classCount);
      let sum = 0;
      for (let i = 0; i < y.length; i++) {
        const total = exponentials(raw, i, e);
        sum -= Math.log(Math.max(y[i] < 0 ? 0 : e[y[i]] / total, LEAST_PROBABILITY));
      }
      return sum / y.length;
    },
  };
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

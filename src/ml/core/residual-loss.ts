/** Losses of the residual r = F - y: squared, absolute, Huber's, quantile. The score is the answer. */
import { type Loss, type RowWeights, sumOfWeights, weightedMean } from './loss.js';

/** L = ½ r²:  g = r, h = 1. */
export const squaredError: Loss = {
  outputs: 1,
  link: 'identity',
  metric: 'rmse',
  kernel: { name: 'huber', delta: Infinity },
  renewal: null,
  initial: (y, weights = null) => Float32Array.of(weightedMean(y, weights)),
  derivatives([raw], y, [g], [h]) {
    for (let i = 0; i < y.length; i++) {
      g[i] = raw[i] - y[i];
      h[i] = 1;
    }
  },
  mean: ([raw], y, weights = null) => Math.sqrt(meanOver(raw, y, weights, (r) => r * r)),
};

/** L = |r|:  g = sign(r), h = 1. The score tends to the median of y; leaves are medians of residuals. */
export const absoluteError: Loss = pinball({
  metric: 'mae',
  kernel: { name: 'pinball', over: 1, under: 1 },
  renewal: { name: 'quantile', share: 0.5 },
});

/** L = α(-r) where r < 0, (1 - α) r where r > 0 (Koenker & Bassett, "Regression quantiles", 1978): the α-quantile of y. */
export function quantileLoss(alpha: number): Loss {
  return pinball({
    metric: 'quantileLoss',
    kernel: { name: 'pinball', over: 1 - alpha, under: alpha },
    renewal: { name: 'quantile', share: alpha },
  });
}

function pinball(of: {
  readonly metric: Loss['metric'];
  readonly kernel: Extract<Loss['kernel'], { name: 'pinball' }>;
  readonly renewal: Extract<Loss['renewal'], { name: 'quantile' }>;
}): Loss {
  const { over, under } = of.kernel;
  return {
    ...of,
    outputs: 1,
    link: 'identity',
    initial: (y, weights = null) => Float32Array.of(weightedQuantile(y, weights, of.renewal.share)),
    derivatives([raw], y, [g], [h]) {
      for (let i = 0; i < y.length; i++) {
        const r = raw[i] - y[i];
        g[i] = r > 0 ? over : r < 0 ? -under : 0;
        h[i] = 1;
      }
    },
    mean: ([raw], y, weights = null) => meanOver(raw, y, weights, (r) => (r > 0 ? over * r : -under * r)),
  };
}

/** L = ½ r² where |r| <= δ, else δ(|r| - ½δ) (Huber, "Robust estimation of a location parameter", 1964):  g = r cut off at ±δ, h = 1. */
export function huberLoss(delta: number): Loss {
  return {
    outputs: 1,
    link: 'identity',
    metric: 'huberLoss',
    kernel: { name: 'huber', delta },
    renewal: { name: 'huber', delta },
    initial: (y, weights = null) => Float32Array.of(weightedQuantile(y, weights, 0.5)),
    derivatives([raw], y, [g], [h]) {
      for (let i = 0; i < y.length; i++) {
        g[i] = Math.max(-delta, Math.min(delta, raw[i] - y[i]));
        h[i] = 1;
      }
    },
    mean: ([raw], y, weights = null) =>
      meanOver(raw, y, weights, (r) => (Math.abs(r) <= delta ? (r * r) / 2 : delta * (Math.abs(r) - delta / 2))),
  };
}

/** Mean of `loss` of the residual F - y. */
export function meanOver(raw: Float64Array, y: Float64Array, weights: RowWeights, loss: (r: number) => number): number {
  let sum = 0;
  for (let i = 0; i < y.length; i++) sum += (weights === null ? 1 : weights[i]) * loss(raw[i] - y[i]);
  return sum / sumOfWeights(weights, y.length);
}

/**
 * The least value v with Σ{w : value <= v} >= share · Σw, which minimises the quantile loss; where that holds with equality, the
 * middle between v and the next value, as it is usual for the median.
 */
export function weightedQuantile(values: Float64Array, weights: RowWeights, share: number): number {
  const order = Uint32Array.from(values.keys()).sort((a, b) => values[a] - values[b]);
  const wanted = share * sumOfWeights(weights, values.length);
  let sum = 0;
  for (let i = 0; i < order.length; i++) {
    sum += weights === null ? 1 : weights[order[i]];
    if (sum < wanted) continue;
    const value = values[order[i]];
    return sum > wanted || i + 1 === order.length ? value : (value + values[order[i + 1]]) / 2;
  }
  return values[order[order.length - 1]];
}

/** How numbers err: quantiles of residuals, over all rows and along the predicted value. */
import { quantile } from '../core/bootstrap.js';

export const RESIDUAL_QUANTILES = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99] as const;

export interface ResidualBin {
  readonly rows: number;
  readonly meanPredicted: number;
  readonly meanActual: number;
  /** Of actual - predicted: the 10 %, 50 % and 90 % quantiles. */
  readonly low: number;
  readonly median: number;
  readonly high: number;
}

export interface Residuals {
  /** Mean of actual - predicted. */
  readonly mean: number;
  /** Of actual - predicted (Hyndman and Fan's type 7). */
  readonly quantiles: readonly { readonly quantile: number; readonly value: number }[];
  /** Rows by rising prediction, in bins of equal numbers. */
  readonly bins: readonly ResidualBin[];
}

export function residualsOf(actual: Float64Array, predicted: Float64Array, bins: number): Residuals {
  const rows = actual.length;
  const sorted = actual.map((value, i) => value - predicted[i]!).sort();
  const order = Uint32Array.from({ length: rows }, (_, i) => i).sort((a, b) => predicted[a]! - predicted[b]! || a - b);
  const made: ResidualBin[] = [];
  for (let b = 0; b < bins; b++) {
    const part = order.subarray(Math.floor((b * rows) / bins), Math.floor(((b + 1) * rows) / bins));
    if (part.length === 0) continue;
    const errors = Float64Array.from(part, (i) => actual[i]! - predicted[i]!).sort();
    made.push({
      rows: part.length,
      meanPredicted: part.reduce((sum, i) => sum + predicted[i]!, 0) / part.length,
      meanActual: part.reduce((sum, i) => sum + actual[i]!, 0) / part.length,
      low: quantile(errors, 0.1)!,
      median: quantile(errors, 0.5)!,
      high: quantile(errors, 0.9)!,
    });
  }
  return {
    mean: sorted.reduce((sum, value) => sum + value, 0) / rows,
    quantiles: RESIDUAL_QUANTILES.map((q) => ({ quantile: q, value: quantile(sorted, q)! })),
    bins: made,
  };
}

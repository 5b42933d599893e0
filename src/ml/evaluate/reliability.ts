/**
 * Calibration: of the rows with a score near p, is the share p positive? Reliability diagrams after DeGroot and Fienberg (1983);
 * Brier (1950); the expected calibration error of Guo et al., "On calibration of modern neural networks", 2017.
 */
import { bootstrap, intervalOf, quantile } from '../core/bootstrap.js';
import { type Pace } from '../core/pace.js';
import { type Rate, rateOf } from './rate.js';

export interface ReliabilityBin {
  readonly rows: number;
  readonly from: number;
  readonly to: number;
  readonly meanScore: number;
  /** Share of rows that are what the score is about. */
  readonly share: Rate;
}

export interface Reliability {
  /** Bins of equal width over [0, 1]; bins without rows are left out. */
  readonly equalWidth: readonly ReliabilityBin[];
  /** Bins of (nearly) equal numbers of rows; equal scores stay together. */
  readonly equalCount: readonly ReliabilityBin[];
  /** Σ rows / all |share - meanScore|, over each kind of bins. */
  readonly errorEqualWidth: number;
  readonly errorEqualCount: number;
  /** Two classes: mean (p - y)²; more: mean Σ_k (p_k - [y = k])². */
  readonly brier: Rate;
}

/**
 * @param scores how sure each row is, 0 to 1: of the positive class, or of the predicted one
 * @param isTrue 1 where that is the row's class
 * @param losses the Brier loss of each row
 */
export async function reliabilityOf(
  scores: Float64Array,
  isTrue: Int32Array,
  losses: Float64Array,
  { bins, seed, pace }: { readonly bins: number; readonly seed: number; readonly pace: Pace },
): Promise<Reliability> {
  const widths = Float64Array.from({ length: bins + 1 }, (_, i) => i / bins);
  const sorted = scores.slice().sort();
  const counts = Float64Array.from({ length: bins + 1 }, (_, i) => quantile(sorted, i / bins)!);
  const equalWidth = binsOf(scores, isTrue, widths);
  const equalCount = binsOf(scores, isTrue, Float64Array.from(new Set(counts)));
  const mean = (weights: Float64Array): number => {
    let sum = 0;
    let total = 0;
    for (let i = 0; i < losses.length; i++) {
      sum += weights[i]! * losses[i]!;
      total += weights[i]!;
    }
    return sum / total;
  };
  const drawn = await bootstrap(losses.length, 1, seed, pace, mean);
  return {
    equalWidth,
    equalCount,
    errorEqualWidth: errorOf(equalWidth, scores.length),
    errorEqualCount: errorOf(equalCount, scores.length),
    brier: { value: mean(new Float64Array(losses.length).fill(1)), ...intervalOf(drawn) },
  };
}

/** @param edges ascending; a bin holds from < score <= to, the first one its lower edge as well */
function binsOf(scores: Float64Array, isTrue: Int32Array, edges: Float64Array): ReliabilityBin[] {
  const bins = Math.max(1, edges.length - 1);
  const rows = new Float64Array(bins);
  const sums = new Float64Array(bins);
  const hits = new Float64Array(bins);
  for (let i = 0; i < scores.length; i++) {
    let low = 0;
    for (let high = bins - 1; low < high;) {
      const middle = (low + high) >> 1;
      if (scores[i]! <= edges[middle + 1]!) high = middle;
      else low = middle + 1;
    }
    rows[low]!++;
    sums[low]! += scores[i]!;
    hits[low]! += isTrue[i]!;
  }
  return Array.from(rows, (count, b) => ({
    rows: count,
    from: edges[b]!,
    to: edges[Math.min(b + 1, edges.length - 1)]!,
    meanScore: sums[b]! / count,
    share: rateOf(hits[b]!, count),
  })).filter((bin) => bin.rows > 0);
}

function errorOf(bins: readonly ReliabilityBin[], rows: number): number {
  return bins.reduce((sum, bin) => sum + (bin.rows / rows) * Math.abs(bin.share.value! - bin.meanScore), 0);
}

/** Brier losses by row: `scores` is rows x k, `actual` the class by row (-1: none of them). */
export function brierLosses(scores: Float64Array, k: number, actual: Float64Array): Float64Array {
  return Float64Array.from(actual, (c, i) => {
    if (k === 2) return (scores[2 * i + 1]! - (c === 1 ? 1 : 0)) ** 2;
    let sum = 0;
    for (let j = 0; j < k; j++) sum += (scores[i * k + j]! - (c === j ? 1 : 0)) ** 2;
    return sum;
  });
}

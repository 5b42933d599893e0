/**
 * Binning: a float32 feature becomes one byte per row. Bin numbers grow with the value, so a split on bins is a split on
 * values; the number of bins of a feature is at most 255, and the bin after the last one holds missing values.
 */

export interface BinnedFeature {
  /** Per training row: 0 … binCount-1, or binCount for missing. */
  readonly bins: Uint8Array;
  readonly binCount: number;
  /** Bins are category codes, in no order. */
  readonly categorical: boolean;
  /** Least and largest training value in each bin; from these a split on bins takes its threshold. */
  readonly low: Float32Array;
  readonly high: Float32Array;
}

/** The training rows of a tree model: what histograms, splits and partitions work on. */
export interface BinnedTable {
  readonly rowCount: number;
  readonly features: readonly BinnedFeature[];
}

/** Edges are found on at most this many rows: more change a quantile by less than a bin's width. */
export const SAMPLE_ROWS = 200_000;

/** The first bin whose cut is not below the value: bin b holds cuts[b-1] < x <= cuts[b]. */
export function findBin(cuts: Float32Array, value: number): number {
  let from = 0;
  let to = cuts.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (value <= cuts[middle]) to = middle;
    else from = middle + 1;
  }
  return from;
}

/** A float32 t with a <= t < b, halfway where there is room: `x <= t` parts a from b exactly. */
export function cutBetween(a: number, b: number): number {
  const middle = Math.fround(a / 2 + b / 2);
  return middle >= a && middle < b ? middle : a;
}

/**
 * Ascending cuts between the bins. Greedy, as LightGBM's GreedyFindBin: values frequent enough for a bin of their own get it,
 * and the rest share what is left evenly.
 */
export function findCuts(sorted: Float32Array, maxBins: number): Float32Array {
  const runEnd = (from: number): number => {
    let end = from + 1;
    while (end < sorted.length && sorted[end] === sorted[from]) end++;
    return end;
  };
  let valuesLeft = 0;
  for (let i = 1; i < sorted.length; i++) if (sorted[i] !== sorted[i - 1]) valuesLeft++;
  const cuts: number[] = [];
  let restRows = sorted.length;
  let restBins = Math.min(maxBins, valuesLeft + 1);
  let inBin = 0;
  // A run of equal values from `begin`, and the next one from `end`.
  for (let begin = 0, end = runEnd(0); end < sorted.length; valuesLeft--) {
    inBin += end - begin;
    const next = runEnd(end);
    const share = restRows / restBins;
    const nextIsHeavy = next - end >= share && inBin >= share / 2;
    if (inBin >= share || nextIsHeavy || valuesLeft < restBins) {
      if (restBins === 1) break;
      cuts.push(cutBetween(sorted[begin], sorted[end]));
      restRows -= inBin;
      restBins--;
      inBin = 0;
    }
    begin = end;
    end = next;
  }
  return Float32Array.from(cuts);
}

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
  const values = new Float32Array(sorted.length);
  const counts = new Uint32Array(sorted.length);
  let distinct = 0;
  for (let i = 0; i < sorted.length; i++) {
    if (distinct === 0 || values[distinct - 1] !== sorted[i]) values[distinct++] = sorted[i];
    counts[distinct - 1]++;
  }
  const cuts: number[] = [];
  let restRows = sorted.length;
  let restBins = Math.min(maxBins, distinct);
  let inBin = 0;
  for (let i = 0; i < distinct - 1; i++) {
    inBin += counts[i];
    const share = restRows / restBins;
    const valuesLeft = distinct - 1 - i;
    const nextIsHeavy = counts[i + 1] >= share && inBin >= share / 2;
    if (inBin >= share || nextIsHeavy || valuesLeft < restBins) {
      if (restBins === 1) break;
      cuts.push(cutBetween(values[i], values[i + 1]));
      restRows -= inBin;
      restBins--;
      inBin = 0;
    }
  }
  return Float32Array.from(cuts);
}

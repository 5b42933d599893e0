/** Splits: the best one found for a node so far, and what a chosen one does to bins and to raw values. */
import { type BinnedFeature, cutBetween } from './bins.js';

/** The best split of a node so far; reused from node to node. A gain of 0 or less: none. */
export class Candidate {
  gain = 0;
  feature = -1;
  /** The bins that go left: a prefix of the order that was scanned. */
  readonly leftBins = new Uint8Array(256);
  leftBinCount = 0;
  /** Number features: the first bin that goes right, or -1 when only missing values do. */
  nextBin = -1;
  missingLeft = false;
  /** Rows, gradient and hessian on the left side (the last two for gradient trees only). */
  rows = 0;
  g = 0;
  h = 0;

  /** @param least the gain that a split has to exceed. */
  reset(least: number): void {
    this.gain = least;
    this.feature = -1;
  }
}

export interface ChosenSplit {
  /** Per bin 1: left. */
  readonly goesLeft: Uint8Array;
  /** Left if x <= threshold (float32). */
  readonly threshold: number;
  /** Sorted codes that go left, or null for a number feature. */
  readonly leftCodes: Int32Array | null;
  readonly missingLeft: boolean;
}

const FLOAT32_MAX = Math.fround(3.4028234663852886e38);

/**
 * The split as tables. The threshold lies halfway between the largest training value on the left and the least on the right
 * among the bins that hold rows of the node, as an exact search would put it, and parts the node's rows just as their bins do.
 */
export function chooseSplit(feature: BinnedFeature, best: Candidate): ChosenSplit {
  const goesLeft = new Uint8Array(256);
  const left = best.leftBins.subarray(0, best.leftBinCount);
  if (best.missingLeft) goesLeft[feature.binCount] = 1;
  if (feature.categorical) {
    for (const bin of left) goesLeft[bin] = 1;
    return { goesLeft, threshold: 0, leftCodes: Int32Array.from(left).sort(), missingLeft: best.missingLeft };
  }
  const last = left[left.length - 1];
  goesLeft.fill(1, 0, best.nextBin < 0 ? feature.binCount : last + 1);
  const threshold =
    best.nextBin < 0
      ? Math.max(FLOAT32_MAX, feature.high[last])
      : cutBetween(feature.high[last], feature.low[best.nextBin]);
  return { goesLeft, threshold, leftCodes: null, missingLeft: best.missingLeft };
}

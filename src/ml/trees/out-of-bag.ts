/**
 * The out-of-bag score (Breiman, "Out-of-bag estimation", 1996): every training row is answered by the trees that did not draw it,
 * so that a forest estimates its error on new rows without giving any up.
 */
import { type OutOfBag } from '../core/learned.js';

/** A share of 0 among few trees is no certainty; it counts as this. */
const LEAST_SHARE = 1e-3;

export class OutOfBagSums {
  private readonly width: number;
  private readonly sums: Float64Array;
  private readonly trees: Uint32Array;

  /** @param classCount 0 for regression. */
  constructor(
    private readonly y: Float64Array,
    private readonly classCount: number,
  ) {
    this.width = Math.max(1, classCount);
    this.sums = new Float64Array(y.length * this.width);
    this.trees = new Uint32Array(y.length);
  }

  /**
   * @param leaves of one tree: by row its leaf, or -1 for a row that the tree was grown on
   * @param values by leaf
   */
  add(leaves: Int32Array, values: Float32Array): void {
    const { sums, trees, width } = this;
    for (let row = 0; row < leaves.length; row++) {
      if (leaves[row] < 0) continue;
      trees[row]++;
      for (let k = 0; k < width; k++) sums[row * width + k] += values[leaves[row] * width + k];
    }
  }

  /** Null where no tree left a row out. */
  finish(): OutOfBag | null {
    const rows = this.trees.reduce((sum, trees) => sum + (trees > 0 ? 1 : 0), 0);
    if (rows === 0) return null;
    return this.classCount > 0 ? this.classFigures(rows) : this.numberFigures(rows);
  }

  private classFigures(rows: number): OutOfBag {
    const { sums, trees, width, y } = this;
    let loss = 0;
    let right = 0;
    for (let row = 0; row < y.length; row++) {
      if (trees[row] === 0) continue;
      const at = row * width;
      let best = 0;
      for (let k = 1; k < width; k++) if (sums[at + k] > sums[at + best]) best = k;
      if (best === y[row]) right++;
      loss -= Math.log(Math.max(sums[at + y[row]] / trees[row], LEAST_SHARE));
    }
    return { rows, logLoss: loss / rows, accuracy: right / rows };
  }

  private numberFigures(rows: number): OutOfBag {
    const { sums, trees, y } = this;
    let mean = 0;
    for (let row = 0; row < y.length; row++) if (trees[row] > 0) mean += y[row] / rows;
    let errors = 0;
    let spread = 0;
    for (let row = 0; row < y.length; row++) {
      if (trees[row] === 0) continue;
      errors += (sums[row] / trees[row] - y[row]) ** 2;
      spread += (y[row] - mean) ** 2;
    }
    return { rows, rmse: Math.sqrt(errors / rows), r2: spread > 0 ? 1 - errors / spread : null };
  }
}

/**
 * Kernel: the best split of one feature at one node by the weights of K > 2 classes.
 *
 *   gain = Σ_k L_k² / L + Σ_k R_k² / R - Σ_k N_k² / N        (rows x the decrease of Gini's impurity; Breiman et al., "CART", 1984)
 *
 * Categories are ordered by their share of one class, for each of the node's larger classes in turn: exact for two classes,
 * one-against-rest for more. Missing values are tried on both sides.
 */
import { type BinnedFeature } from './bins.js';
import { type Candidate } from './candidate.js';
import { FEW_CATEGORIES, keepHeavy, MOST_LEFT_CATEGORIES, sortByKey } from './order.js';

export interface ClassRules {
  readonly minRows: number;
  readonly catSmooth: number;
  /** Added to the weight of both sides when more than four categories are divided. */
  readonly catL2: number;
}

/** Orders of categories by a class's share that are tried at a node. */
const MOST_CLASS_ORDERS = 8;

const weight = new Float64Array(256);
const key = new Float64Array(256);

/** Offers the best split of one feature to `best`; holds the sums of the side being tried. One instance per training. */
export class ClassSplitFinder {
  private readonly left: Float64Array;
  private readonly leftAndMissing: Float64Array;

  constructor(
    private readonly classCount: number,
    private readonly rules: ClassRules,
  ) {
    this.left = new Float64Array(classCount);
    this.leftAndMissing = new Float64Array(classCount);
  }

  /**
   * @param cells class cells (K + 1 numbers) of the feature, starting at `at`
   * @param order the populated bins below binCount, ascending; reordered here for categories
   * @param node  weight of each class at the node
   */
  find(
    index: number,
    feature: BinnedFeature,
    cells: Float64Array,
    at: number,
    order: Uint8Array,
    length: number,
    node: Float64Array,
    rows: number,
    best: Candidate,
  ): void {
    const stride = this.classCount + 1;
    const missing = at + feature.binCount * stride;
    if (!feature.categorical) {
      this.scan(index, cells, at, order, length, length, missing, node, rows, 0, best, true);
      return;
    }
    const few = length <= FEW_CATEGORIES;
    const smooth = few ? 0 : this.rules.catSmooth;
    const l2 = few ? 0 : this.rules.catL2;
    for (let i = 0; i < length; i++) weight[order[i]] = cells[at + order[i] * stride + this.classCount];
    const kept = few ? length : keepHeavy(order, length, smooth, weight);
    const longest = few ? kept : Math.min(MOST_LEFT_CATEGORIES, (kept + 1) >> 1);
    for (const k of largestClasses(node)) {
      for (let i = 0; i < kept; i++) {
        const cell = at + order[i] * stride;
        let total = 0;
        for (let c = 0; c < this.classCount; c++) total += cells[cell + c];
        key[order[i]] = cells[cell + k] / (total + smooth);
      }
      sortByKey(order, kept, key);
      this.scan(index, cells, at, order, kept, longest, missing, node, rows, l2, best, false);
      if (few) continue;
      order.subarray(0, kept).reverse();
      this.scan(index, cells, at, order, kept, longest, missing, node, rows, l2, best, false);
    }
  }

  private scan(
    index: number,
    cells: Float64Array,
    at: number,
    order: Uint8Array,
    length: number,
    longest: number,
    missing: number,
    node: Float64Array,
    nodeRows: number,
    l2: number,
    best: Candidate,
    isNumber: boolean,
  ): void {
    const { classCount, left, leftAndMissing } = this;
    const stride = classCount + 1;
    const missingRows = cells[missing + classCount];
    const sides = missingRows > 0 ? 2 : 1;
    const parent = purity(node);
    let rows = 0;
    left.fill(0);
    for (let i = 0; i < longest; i++) {
      const cell = at + order[i] * stride;
      for (let k = 0; k < classCount; k++) left[k] += cells[cell + k];
      rows += cells[cell + classCount];
      for (let side = 0; side < sides; side++) {
        const leftRows = rows + side * missingRows;
        if (leftRows < this.rules.minRows || nodeRows - leftRows < this.rules.minRows) continue;
        if (side === 1) for (let k = 0; k < classCount; k++) leftAndMissing[k] = left[k] + cells[missing + k];
        const gain = purityOfSides(node, side === 1 ? leftAndMissing : left, l2) - parent;
        if (!(gain > best.gain)) continue;
        best.gain = gain;
        best.feature = index;
        best.leftBins.set(order.subarray(0, i + 1));
        best.leftBinCount = i + 1;
        best.nextBin = isNumber && i + 1 < length ? order[i + 1] : -1;
        best.rows = leftRows;
        best.missingLeft = sides === 2 ? side === 1 : leftRows > nodeRows - leftRows;
      }
    }
  }
}

/** Σ_k c_k² / Σ_k c_k. */
export function purity(counts: Float64Array): number {
  let squares = 0;
  let sum = 0;
  for (let k = 0; k < counts.length; k++) {
    squares += counts[k] * counts[k];
    sum += counts[k];
  }
  return squares / sum;
}

function purityOfSides(node: Float64Array, left: Float64Array, l2: number): number {
  let leftSquares = 0;
  let rightSquares = 0;
  let leftSum = 0;
  let rightSum = 0;
  for (let k = 0; k < node.length; k++) {
    const l = left[k];
    const r = node[k] - l;
    leftSquares += l * l;
    rightSquares += r * r;
    leftSum += l;
    rightSum += r;
  }
  return leftSquares / (leftSum + l2) + rightSquares / (rightSum + l2);
}

function largestClasses(node: Float64Array): number[] {
  const present = Array.from(node.keys()).filter((k) => node[k] > 0);
  return present.sort((a, b) => node[b] - node[a] || a - b).slice(0, MOST_CLASS_ORDERS);
}

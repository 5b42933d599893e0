/**
 * Kernel: the best split of one feature at one node by gradients and hessians.
 *
 *   gain = GL² / (HL + λ) + GR² / (HR + λ) - G² / (H + λ)        (Chen & Guestrin, "XGBoost", 2016, eq. 7, without ½ and γ)
 *
 * With g = -y and h = 1 that is the decrease of the squared error, and for y in {0, 1} half that of Gini x rows, so boosted
 * trees, regression trees and two-class trees share it. Missing values are tried on both sides.
 */
import { type BinnedFeature } from './bins.js';
import { type Candidate } from './candidate.js';
import { GRADIENT_CELL } from './histogram.js';
import { FEW_CATEGORIES, keepHeavy, MOST_LEFT_CATEGORIES, sortByKey } from './order.js';

export interface GradientRules {
  readonly minRows: number;
  readonly minHessian: number;
  readonly l2: number;
  readonly catSmooth: number;
  readonly catL2: number;
}

export interface NodeTotals {
  rows: number;
  g: number;
  h: number;
}

const weight = new Float64Array(256);
const key = new Float64Array(256);

/**
 * Offers the best split of `feature` to `best`.
 * @param cells  gradient cells of the feature, starting at `at`
 * @param order  the populated bins below binCount, ascending; reordered here for categories
 */
export function findGradientSplit(
  index: number,
  feature: BinnedFeature,
  cells: Float64Array,
  at: number,
  order: Uint8Array,
  length: number,
  node: NodeTotals,
  rules: GradientRules,
  best: Candidate,
): void {
  const missing = at + feature.binCount * GRADIENT_CELL;
  const parent = (node.g * node.g) / (node.h + rules.l2);
  if (!feature.categorical) {
    scan(index, cells, at, order, length, length, missing, node, rules, rules.l2, parent, best, true);
    return;
  }
  const few = length <= FEW_CATEGORIES;
  const smooth = few ? 0 : rules.catSmooth;
  for (let i = 0; i < length; i++) {
    const cell = at + order[i] * GRADIENT_CELL;
    weight[order[i]] = cells[cell + 2];
    key[order[i]] = cells[cell] / (cells[cell + 1] + smooth);
  }
  const kept = few ? length : keepHeavy(order, length, smooth, weight);
  sortByKey(order, kept, key);
  if (few) {
    scan(index, cells, at, order, kept, kept, missing, node, rules, rules.l2, parent, best, false);
    return;
  }
  // From both ends: categories that were left out stay together with either.
  const longest = Math.min(MOST_LEFT_CATEGORIES, (kept + 1) >> 1);
  const l2 = rules.l2 + rules.catL2;
  scan(index, cells, at, order, kept, longest, missing, node, rules, l2, parent, best, false);
  order.subarray(0, kept).reverse();
  scan(index, cells, at, order, kept, longest, missing, node, rules, l2, parent, best, false);
}

/** Tries the first 1 … `longest` bins of `order` as the left side, without and with the missing values. */
function scan(
  index: number,
  cells: Float64Array,
  at: number,
  order: Uint8Array,
  length: number,
  longest: number,
  missing: number,
  node: NodeTotals,
  rules: GradientRules,
  l2: number,
  parent: number,
  best: Candidate,
  isNumber: boolean,
): void {
  const missingG = cells[missing];
  const missingH = cells[missing + 1];
  const missingRows = cells[missing + 2];
  const sides = missingRows > 0 ? 2 : 1;
  const { minRows, minHessian } = rules;
  let g = 0;
  let h = 0;
  let rows = 0;
  for (let i = 0; i < longest; i++) {
    const cell = at + order[i] * GRADIENT_CELL;
    g += cells[cell];
    h += cells[cell + 1];
    rows += cells[cell + 2];
    for (let side = 0; side < sides; side++) {
      const leftRows = rows + side * missingRows;
      const leftH = h + side * missingH;
      const rightH = node.h - leftH;
      if (leftRows < minRows || node.rows - leftRows < minRows || leftH < minHessian || rightH < minHessian) continue;
      const leftG = g + side * missingG;
      const rightG = node.g - leftG;
      const gain = (leftG * leftG) / (leftH + l2) + (rightG * rightG) / (rightH + l2) - parent;
      if (!(gain > best.gain)) continue;
      best.gain = gain;
      best.feature = index;
      best.leftBins.set(order.subarray(0, i + 1));
      best.leftBinCount = i + 1;
      best.nextBin = isNumber && i + 1 < length ? order[i + 1] : -1;
      best.rows = leftRows;
      best.g = leftG;
      best.h = leftH;
      // A value never missing here, but missing later, goes with the majority.
      best.missingLeft = sides === 2 ? side === 1 : leftRows > node.rows - leftRows;
    }
  }
}

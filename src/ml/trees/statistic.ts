/**
 * What a forest learns from the rows of a node, one feature at a time. Two kinds, one interface: gradients (numbers, and two
 * classes) and weights of classes (more than two).
 */
import { type BinnedFeature } from './bins.js';
import { type TreeBuilder } from './builder.js';
import { type Candidate } from './candidate.js';
import { ClassSplitFinder, purity } from './find-class-split.js';
import { findGradientSplit, type GradientRules, type NodeTotals } from './find-split.js';
import { addClasses, addGradients, GRADIENT_CELL } from './histogram.js';

export interface NodeStatistic {
  /** Numbers in a cell of the histogram; the last is the count of rows. */
  readonly stride: number;
  /** Numbers in a leaf. */
  readonly width: number;
  /** Takes in the node of rows[begin … end); returns the least gain a split must have, or Infinity where nothing is left to learn. */
  load(rows: Uint32Array, begin: number, end: number): number;
  /** Adds the node's rows to the cells of a feature. */
  count(cells: Float64Array, bins: Uint8Array, rows: Uint32Array, begin: number, end: number): void;
  /** Offers the feature's best split of the node to `best`; `order` holds its populated bins, ascending. */
  find(
    index: number,
    feature: BinnedFeature,
    cells: Float64Array,
    order: Uint8Array,
    length: number,
    best: Candidate,
  ): void;
  /** Writes the node's answer into a leaf. */
  setLeaf(builder: TreeBuilder, leaf: number): void;
}

/** Relative gains below this are rounding. */
const ROUNDING = 1e-12;

/**
 * Squared error of y around its training mean m: g = -w (y - m), h = w. The leaf is m - G/H, the weighted mean of y; for two
 * classes (y = 0, 1) it is the pair of their shares.
 */
export function gradientStatistic(
  y: Float64Array,
  weights: Float64Array,
  isBinary: boolean,
  rules: GradientRules,
): NodeStatistic {
  const mean = isBinary ? 0 : y.reduce((sum, value) => sum + value, 0) / y.length;
  const g = new Float64Array(y.length);
  const h = new Float64Array(y.length);
  const node: NodeTotals = { rows: 0, g: 0, h: 0 };
  return {
    stride: GRADIENT_CELL,
    width: isBinary ? 2 : 1,
    load(rows, begin, end) {
      node.rows = end - begin;
      node.g = node.h = 0;
      let squares = 0;
      for (let i = begin, j = 0; i < end; i++, j++) {
        const w = weights[rows[i]];
        const residual = mean - y[rows[i]];
        g[j] = w * residual;
        h[j] = w;
        node.g += g[j];
        node.h += w;
        squares += g[j] * residual;
      }
      const explained = (node.g * node.g) / node.h;
      return squares - explained <= ROUNDING * squares ? Infinity : ROUNDING * explained;
    },
    count: (cells, bins, rows, begin, end) => addGradients(cells, 0, bins, rows, begin, end, g, h),
    find: (index, feature, cells, order, length, best) =>
      findGradientSplit(index, feature, cells, 0, order, length, node, rules, best),
    setLeaf(builder, leaf) {
      const value = mean - node.g / node.h;
      if (isBinary) builder.setValue(leaf, 0, 1 - value);
      builder.setValue(leaf, isBinary ? 1 : 0, value);
    },
  };
}

/** Weights of the classes y = 0 … K-1; the leaf holds their shares. */
export function classStatistic(
  y: Float64Array,
  weights: Float64Array,
  classCount: number,
  rules: GradientRules,
): NodeStatistic {
  const finder = new ClassSplitFinder(classCount, rules);
  const labels = new Uint16Array(y.length);
  const ordered = new Float64Array(y.length);
  const node = new Float64Array(classCount);
  let size = 0;
  return {
    stride: classCount + 1,
    width: classCount,
    load(rows, begin, end) {
      node.fill(0);
      size = end - begin;
      for (let i = begin, j = 0; i < end; i++, j++) {
        labels[j] = y[rows[i]];
        ordered[j] = weights[rows[i]];
        node[labels[j]] += ordered[j];
      }
      const isPure = node.reduce((classes, weight) => classes + (weight > 0 ? 1 : 0), 0) < 2;
      return isPure ? Infinity : ROUNDING * purity(node);
    },
    count: (cells, bins, rows, begin, end) => addClasses(cells, 0, classCount, bins, rows, begin, end, labels, ordered),
    find: (index, feature, cells, order, length, best) =>
      finder.find(index, feature, cells, 0, order, length, node, size, best),
    setLeaf(builder, leaf) {
      const sum = node.reduce((total, weight) => total + weight, 0);
      for (let k = 0; k < classCount; k++) builder.setValue(leaf, k, node[k] / sum);
    },
  };
}

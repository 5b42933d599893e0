/**
 * Leaf-wise growth (Shi, "Best-first decision tree learning", 2007; LightGBM): always splits the leaf whose split gains most.
 * Every leaf that may be split keeps its histogram, so that of two new leaves only the smaller is counted row by row and
 * the larger is the parent's minus it.
 */
import { type Tree } from '../core/model.js';
import { type Pace } from '../core/pace.js';
import { type BinnedTable } from './bins.js';
import { TreeBuilder } from './builder.js';
import { Candidate, chooseSplit } from './candidate.js';
import { findGradientSplit, type GradientRules, type NodeTotals } from './find-split.js';
import { addGradients, GRADIENT_CELL, subtract } from './histogram.js';
import { populatedBins } from './order.js';
import { partition } from './partition.js';

export interface LeafwiseRules extends GradientRules {
  readonly numLeaves: number;
  /** 0: no limit. */
  readonly maxDepth: number;
  readonly minSplitGain: number;
  /** Leaf values are multiplied by this. */
  readonly learningRate: number;
}

/** A leaf while its tree grows: rows[begin … end) and the best way to split it. */
interface OpenLeaf extends NodeTotals {
  readonly node: number;
  readonly begin: number;
  readonly end: number;
  readonly depth: number;
  readonly best: Candidate;
  histogram: Float64Array | null;
}

export interface GrownTree {
  readonly tree: Tree;
  /** Rows [begin, end) of the (now reordered) rows array fall into leaf `node`. */
  readonly leaves: readonly { readonly node: number; readonly begin: number; readonly end: number }[];
}

export class LeafwiseGrower {
  /** First cell number of each feature in a histogram. */
  private readonly at: Int32Array;
  private readonly pool: Float64Array[] = [];
  private readonly size: number;
  private readonly spare: Uint32Array;
  private readonly orderedG: Float64Array;
  private readonly orderedH: Float64Array;
  private readonly order = new Uint8Array(256);

  /** @param gains grows by the gain of every split, per feature. */
  constructor(
    private readonly table: BinnedTable,
    private readonly rules: LeafwiseRules,
    private readonly gains: Float64Array,
    private readonly pace: Pace,
  ) {
    this.at = new Int32Array(table.features.length);
    let size = 0;
    table.features.forEach((feature, f) => {
      this.at[f] = size;
      size += (feature.binCount + 1) * GRADIENT_CELL;
    });
    this.size = size;
    this.spare = new Uint32Array(table.rowCount);
    this.orderedG = new Float64Array(table.rowCount);
    this.orderedH = new Float64Array(table.rowCount);
  }

  /**
   * One tree on `rows` (reordered), using the features listed in `columns`.
   * @param g first and
   * @param h second derivatives of the loss, per table row
   */
  async grow(rows: Uint32Array, g: Float64Array, h: Float64Array, columns: Uint32Array): Promise<GrownTree> {
    const builder = new TreeBuilder(1);
    const leaves: OpenLeaf[] = [this.openRoot(builder, rows, g, h)];
    if (this.maySplit(leaves[0])) await this.search(leaves[0], rows, g, h, columns);
    while (leaves.length < this.rules.numLeaves) {
      const chosen = leaves.reduce(
        (best, leaf, i) => (leaf.best.feature >= 0 && (best < 0 || leaf.best.gain > leaves[best].best.gain) ? i : best),
        -1,
      );
      if (chosen < 0) break;
      const parent = leaves[chosen];
      const [left, right] = this.split(builder, parent, rows);
      leaves[chosen] = left;
      leaves.push(right);
      if (leaves.length < this.rules.numLeaves) await this.searchChildren(parent, left, right, rows, g, h, columns);
      this.release(parent);
    }
    for (const leaf of leaves) {
      builder.setValue(leaf.node, 0, (-this.rules.learningRate * leaf.g) / (leaf.h + this.rules.l2));
      this.release(leaf);
    }
    return { tree: builder.build(), leaves };
  }

  private openRoot(builder: TreeBuilder, rows: Uint32Array, g: Float64Array, h: Float64Array): OpenLeaf {
    const totals = { g: 0, h: 0 };
    for (const row of rows) {
      totals.g += g[row];
      totals.h += h[row];
    }
    return {
      node: builder.addLeaf(),
      begin: 0,
      end: rows.length,
      rows: rows.length,
      depth: 0,
      best: this.candidate(),
      histogram: null,
      ...totals,
    };
  }

  private candidate(): Candidate {
    const candidate = new Candidate();
    candidate.reset(Math.max(this.rules.minSplitGain, LEAST_GAIN));
    return candidate;
  }

  private maySplit(leaf: OpenLeaf): boolean {
    const { maxDepth, minRows } = this.rules;
    return leaf.rows >= 2 * minRows && (maxDepth === 0 || leaf.depth < maxDepth);
  }

  private split(builder: TreeBuilder, parent: OpenLeaf, rows: Uint32Array): [OpenLeaf, OpenLeaf] {
    const { best, begin, end } = parent;
    const feature = this.table.features[best.feature];
    const split = chooseSplit(feature, best);
    const middle = partition(rows, begin, end, feature.bins, split.goesLeft, this.spare);
    const node = builder.split(parent.node, best.feature, split);
    this.gains[best.feature] += best.gain;
    const depth = parent.depth + 1;
    return [
      {
        node,
        begin,
        end: middle,
        rows: best.rows,
        g: best.g,
        h: best.h,
        depth,
        best: this.candidate(),
        histogram: null,
      },
      {
        node: node + 1,
        begin: middle,
        end,
        rows: parent.rows - best.rows,
        g: parent.g - best.g,
        h: parent.h - best.h,
        depth,
        best: this.candidate(),
        histogram: null,
      },
    ];
  }

  private async searchChildren(
    parent: OpenLeaf,
    left: OpenLeaf,
    right: OpenLeaf,
    rows: Uint32Array,
    g: Float64Array,
    h: Float64Array,
    columns: Uint32Array,
  ): Promise<void> {
    const [small, large] = left.rows < right.rows ? [left, right] : [right, left];
    if (!this.maySplit(large)) return;
    await this.count(small, rows, g, h, columns);
    subtract(parent.histogram!, small.histogram!);
    large.histogram = parent.histogram;
    parent.histogram = null;
    this.find(large, columns);
    if (this.maySplit(small)) this.find(small, columns);
    else this.release(small);
    if (this.pace.isDue(2 * this.size)) await this.pace.rest();
  }

  private async search(
    leaf: OpenLeaf,
    rows: Uint32Array,
    g: Float64Array,
    h: Float64Array,
    columns: Uint32Array,
  ): Promise<void> {
    await this.count(leaf, rows, g, h, columns);
    this.find(leaf, columns);
  }

  /** Fills the leaf's histogram from its rows. */
  private async count(
    leaf: OpenLeaf,
    rows: Uint32Array,
    g: Float64Array,
    h: Float64Array,
    columns: Uint32Array,
  ): Promise<void> {
    const histogram = this.pool.pop() ?? new Float64Array(this.size);
    histogram.fill(0);
    leaf.histogram = histogram;
    for (let i = leaf.begin, j = 0; i < leaf.end; i++, j++) {
      this.orderedG[j] = g[rows[i]];
      this.orderedH[j] = h[rows[i]];
    }
    for (const f of columns) {
      addGradients(
        histogram,
        this.at[f],
        this.table.features[f].bins,
        rows,
        leaf.begin,
        leaf.end,
        this.orderedG,
        this.orderedH,
      );
      if (this.pace.isDue(leaf.rows)) await this.pace.rest();
    }
  }

  private find(leaf: OpenLeaf, columns: Uint32Array): void {
    const histogram = leaf.histogram!;
    for (const f of columns) {
      const feature = this.table.features[f];
      const length = populatedBins(histogram, this.at[f], GRADIENT_CELL, feature.binCount, this.order);
      if (length > 0)
        findGradientSplit(f, feature, histogram, this.at[f], this.order, length, leaf, this.rules, leaf.best);
    }
  }

  private release(leaf: OpenLeaf): void {
    if (leaf.histogram !== null) this.pool.push(leaf.histogram);
    leaf.histogram = null;
  }
}

/** Gains below this are rounding. */
const LEAST_GAIN = 1e-10;

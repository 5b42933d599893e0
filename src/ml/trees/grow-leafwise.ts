/**
 * Leaf-wise growth (Shi, "Best-first decision tree learning", 2007; LightGBM): always splits the leaf whose split gains most.
 * Every leaf that may be split keeps its histogram, so that of two new leaves only the smaller is counted row by row and
 * the larger is the parent's minus it. The work is the kernels'; gradients are whole numbers there (kernels/quantise.ts), and
 * become exact again in the values of the leaves.
 */
import { type Tree } from '../core/model.js';
import { type Pace } from '../core/pace.js';
import { TreeBuilder } from './builder.js';
import { Candidate, chooseSplit } from './candidate.js';
import { type Scale } from './derive.js';
import { findGradientSplit, type GradientRules } from './find-split.js';
import { GRADIENT_CELL } from './histogram.js';
import {
  type Address,
  CHUNK,
  FOUND_BYTES,
  HISTOGRAM_BYTES,
  type KernelMemory,
  NOTE_BYTES,
  PART,
  TABLE_AT,
} from './kernel-memory.js';
import { type KernelTable } from './kernel-table.js';
import { populatedBins } from './order.js';

export interface LeafwiseRules extends GradientRules {
  readonly numLeaves: number;
  /** 0: no limit. */
  readonly maxDepth: number;
  readonly minSplitGain: number;
  /** Leaf values are multiplied by this. */
  readonly learningRate: number;
}

/** A leaf while its tree grows: entries begin … end-1, their sums in whole numbers, and the best way to split it. */
interface OpenLeaf {
  readonly node: number;
  readonly begin: number;
  readonly end: number;
  readonly g: number;
  readonly h: number;
  readonly depth: number;
  readonly best: Candidate;
  /** Times the rows that a side must seem to hold: see `refuse`. */
  caution: number;
  histogram: Address | null;
}

export interface GrownTree {
  readonly tree: Tree;
  /** Entries [begin, end) fall into leaf `node`. */
  readonly leaves: readonly { readonly node: number; readonly begin: number; readonly end: number }[];
  /** Per node that was split: 1 for the bins that go left. */
  readonly tables: readonly (Uint8Array | undefined)[];
}

/** What one tree grows on. */
export interface GrowOrder {
  /** Rows drawn, ascending; null: all of them. */
  readonly rows: Uint32Array | null;
  /** Features that may be used. */
  readonly columns: Uint32Array;
  readonly scale: Scale;
  /** For the rounding of gradients. */
  readonly seed: number;
  /** Scores, f64 per row: those of the rows drawn grow by their leaf's value. */
  readonly raw: Address;
}

export class LeafwiseGrower {
  /** {g, h} of the loss per row, float32: written by whoever calls `grow`. */
  readonly pairs: Address;
  /** Room for a note per chunk of rows. */
  readonly notes: Address;
  readonly entries: Address;
  /** As large as the entries; free between two trees. */
  readonly spare: Address;
  private readonly counts: Address;
  private readonly binCounts: Int32Array;
  private readonly found: Address;
  private readonly foundFloats: Float64Array;
  private readonly foundInts: Int32Array;
  private readonly ranges: Address;
  private readonly values: Address;
  private readonly pool: Address[] = [];
  /** One for each leaf ever open in a tree, used again in the next. */
  private readonly candidates: Candidate[] = [];
  private opened = 0;
  private readonly goesLeft: Uint8Array;
  private readonly cells = new Float64Array(256 * GRADIENT_CELL);
  private readonly order = new Uint8Array(256);
  private enabled: Uint32Array = new Uint32Array(0);
  private scale: Scale = { g: 1, h: 1 };

  /** @param gains grows by the gain of every split, per feature. */
  constructor(
    private readonly memory: KernelMemory,
    private readonly table: KernelTable,
    private readonly rules: LeafwiseRules,
    private readonly gains: Float64Array,
    private readonly pace: Pace,
  ) {
    const rows = Math.ceil(table.rowCount / 4) * 4;
    const features = table.features.length;
    this.pairs = memory.allocate(rows * 8);
    this.entries = memory.allocate(rows * 8);
    this.spare = memory.allocate(rows * 8);
    this.notes = memory.allocate(Math.ceil(rows / CHUNK) * NOTE_BYTES);
    this.counts = memory.allocate(Math.ceil(rows / PART) * 4);
    this.ranges = memory.allocate(rules.numLeaves * 8);
    this.values = memory.allocate(rules.numLeaves * 4);
    this.found = memory.allocate(2 * features * FOUND_BYTES);
    this.foundFloats = memory.float64(this.found, (2 * features * FOUND_BYTES) / 8);
    this.foundInts = memory.int32(this.found, (2 * features * FOUND_BYTES) / 4);
    this.goesLeft = memory.bytes(TABLE_AT, 256);
    this.binCounts = memory.int32(memory.allocate(features * 4), features);
  }

  /** One tree on the gradients in `pairs`. */
  async grow(order: GrowOrder): Promise<GrownTree> {
    const builder = new TreeBuilder(1);
    const tables: Uint8Array[] = [];
    const leaves: OpenLeaf[] = [this.openRoot(builder, order)];
    if (this.maySplit(leaves[0])) await this.searchRoot(leaves[0]);
    while (leaves.length < this.rules.numLeaves) {
      const chosen = leaves.reduce(
        (best, leaf, i) => (leaf.best.feature >= 0 && (best < 0 || leaf.best.gain > leaves[best].best.gain) ? i : best),
        -1,
      );
      if (chosen < 0) break;
      const parent = leaves[chosen];
      const children = this.split(builder, tables, parent);
      if (children === null) {
        this.refuse(parent);
        continue;
      }
      const [left, right] = children;
      leaves[chosen] = left;
      leaves.push(right);
      if (leaves.length < this.rules.numLeaves) await this.searchChildren(parent, left, right);
      this.release(parent);
    }
    this.settleLeaves(builder, leaves, order.raw);
    return { tree: builder.build(), leaves, tables };
  }

  /** Entries of the rows, all in one leaf. */
  private openRoot(builder: TreeBuilder, { rows, columns, scale, seed }: GrowOrder): OpenLeaf {
    const { memory, table, entries, pairs, notes } = this;
    this.opened = 0;
    this.scale = scale;
    this.enabled = columns;
    this.binCounts.fill(0);
    for (const f of columns) if (!table.features[f].categorical) this.binCounts[f] = table.features[f].binCount;
    const { blocks, blockBytes, width } = table;
    const binCounts = this.binCounts.byteOffset;
    const lambda = this.rules.l2 * scale.h;
    memory.call.setTable(entries, blocks, blockBytes, width, table.features.length, binCounts, lambda, this.found);
    const count = rows?.length ?? table.rowCount;
    if (rows === null) memory.call.quantise(count, pairs, entries, notes, scale.g, scale.h, seed);
    else {
      const named = memory.uint32(entries, 2 * count);
      for (let i = 0; i < count; i++) named[2 * i] = rows[i];
      memory.call.quantiseDrawn(count, pairs, entries, notes, scale.g, scale.h, seed);
    }
    const chunks = Math.ceil(count / CHUNK);
    const sums = memory.int32(notes, (chunks * NOTE_BYTES) / 4);
    let g = 0;
    let h = 0;
    for (let at = 0; at < sums.length; at += NOTE_BYTES / 4) {
      h += sums[at] >>> 0;
      g += sums[at + 1];
    }
    return this.openLeaf({ node: builder.addLeaf(), begin: 0, end: count, g, h, depth: 0 });
  }

  private openLeaf(leaf: Pick<OpenLeaf, 'node' | 'begin' | 'end' | 'g' | 'h' | 'depth'>): OpenLeaf {
    const best = (this.candidates[this.opened++] ??= new Candidate());
    best.reset(0);
    return { ...leaf, best, caution: 1, histogram: null };
  }

  private maySplit({ begin, end, depth }: OpenLeaf): boolean {
    const { maxDepth, minRows } = this.rules;
    return end - begin >= 2 * minRows && (maxDepth === 0 || depth < maxDepth);
  }

  /** The two new leaves, or null when one of them would hold too few rows: then nothing has changed. */
  private split(builder: TreeBuilder, tables: Uint8Array[], parent: OpenLeaf): [OpenLeaf, OpenLeaf] | null {
    const { memory, table } = this;
    const { best, begin, end, depth } = parent;
    const split = chooseSplit(table.features[best.feature], best);
    this.goesLeft.set(split.goesLeft);
    const bins = table.columns + best.feature * table.stride;
    const rows = memory.call.divide(begin, end, this.entries, this.spare, bins, this.counts);
    if (Math.min(rows, end - begin - rows) < this.rules.minRows) return null;
    const middle = begin + rows;
    memory.call.settle(begin, end, middle);
    const node = builder.split(parent.node, best.feature, split);
    tables[parent.node] = split.goesLeft;
    this.gains[best.feature] += best.gain;
    const { g, h } = best;
    return [
      this.openLeaf({ node, begin, end: middle, g, h, depth: depth + 1 }),
      this.openLeaf({ node: node + 1, begin: middle, end, g: parent.g - g, h: parent.h - h, depth: depth + 1 }),
    ];
  }

  /**
   * Cells hold no row counts; those of a side are estimated from its hessian, as LightGBM does, and known once it is divided.
   * A leaf whose best split proves too small is searched again with twice the caution.
   */
  private refuse(leaf: OpenLeaf): void {
    leaf.caution *= 2;
    this.setGoal(0, leaf);
    this.memory.call.node(0, 0, leaf.histogram!, 0);
    this.read(0, leaf);
  }

  private async searchRoot(root: OpenLeaf): Promise<void> {
    root.histogram = this.histogram();
    this.setGoal(0, root);
    this.memory.call.node(root.begin, root.end, root.histogram, 0);
    this.read(0, root);
    if (this.pace.isDue(this.cost(root))) await this.pace.rest();
  }

  private async searchChildren(parent: OpenLeaf, left: OpenLeaf, right: OpenLeaf): Promise<void> {
    const [small, large] = left.end - left.begin < right.end - right.begin ? [left, right] : [right, left];
    if (!this.maySplit(large)) return;
    small.histogram = this.histogram();
    large.histogram = parent.histogram;
    parent.histogram = null;
    this.setGoal(0, small);
    this.setGoal(1, large);
    this.memory.call.node(small.begin, small.end, small.histogram, large.histogram!);
    this.read(1, large);
    if (this.maySplit(small)) this.read(0, small);
    else this.release(small);
    if (this.pace.isDue(this.cost(small))) await this.pace.rest();
  }

  /** Work of searching a leaf in units of Pace, by the speed of the kernels. */
  private cost({ begin, end }: OpenLeaf): number {
    return this.table.features.length * (60 + (end - begin) / 8);
  }

  /** Tells the kernels what they may find: in whole numbers, and nothing where the leaf may not be split. */
  private setGoal(which: 0 | 1, leaf: OpenLeaf): void {
    const { minRows, minHessian } = this.rules;
    const hessianPerRow = leaf.h / (leaf.end - leaf.begin);
    const least = Math.max(minHessian * this.scale.h, (leaf.caution * minRows - 0.5) * hessianPerRow, 1);
    const minH = this.maySplit(leaf) ? Math.min(Math.ceil(least), MOST) : MOST;
    const score = this.score(leaf);
    this.memory.call.setGoal(which, leaf.g, leaf.h, minH, score + this.leastGain(score) / this.gainScale());
  }

  private leastGain(score: number): number {
    return Math.max(this.rules.minSplitGain, LEAST_GAIN, ROUNDING * score * this.gainScale());
  }

  /** G² / (H + λ) in whole numbers; times `gainScale` as it is. */
  private score({ g, h }: OpenLeaf): number {
    return (g * g) / (h + this.rules.l2 * this.scale.h);
  }

  private gainScale(): number {
    return this.scale.h / (this.scale.g * this.scale.g);
  }

  /** Takes the best of all features over into the leaf. */
  private read(which: 0 | 1, leaf: OpenLeaf): void {
    const { best } = leaf;
    const score = this.score(leaf);
    best.reset(this.leastGain(score));
    const count = this.table.features.length;
    for (const f of this.enabled) {
      if (this.table.features[f].categorical) {
        this.searchCategories(f, leaf);
        continue;
      }
      const at = (which * count + f) * (FOUND_BYTES / 4);
      const gain = (this.foundFloats[at / 2] - score) * this.gainScale();
      if (!(gain > best.gain)) continue;
      best.gain = gain;
      best.feature = f;
      best.leftBins[0] = this.foundInts[at + 2];
      best.leftBinCount = 1;
      best.missingLeft = this.foundInts[at + 3] === 1;
      best.h = this.foundInts[at + 4] >>> 0;
      best.g = this.foundInts[at + 5];
    }
    if (best.feature >= 0 && !this.table.features[best.feature].categorical) this.completeNumber(leaf);
  }

  /** The first populated bin on the right, and where values never missing here go: to the heavier side. */
  private completeNumber({ best, h, histogram }: OpenLeaf): void {
    const { binCount } = this.table.features[best.feature];
    const cells = this.featureCells(histogram!, best.feature);
    best.nextBin = -1;
    for (let bin = best.leftBins[0] + 1; bin < binCount && best.nextBin < 0; bin++)
      if (cells[2 * bin] !== 0) best.nextBin = bin;
    if (cells[2 * binCount] === 0) best.missingLeft = 2 * best.h > h;
  }

  private searchCategories(f: number, leaf: OpenLeaf): void {
    const feature = this.table.features[f];
    const { scale, cells, order } = this;
    const whole = this.featureCells(leaf.histogram!, f);
    const rows = leaf.end - leaf.begin;
    const rowsPerHessian = rows / leaf.h;
    for (let bin = 0; bin <= feature.binCount; bin++) {
      const h = whole[2 * bin] >>> 0;
      cells[3 * bin] = whole[2 * bin + 1] / scale.g;
      cells[3 * bin + 1] = h / scale.h;
      cells[3 * bin + 2] = h * rowsPerHessian;
    }
    const length = populatedBins(cells, 0, GRADIENT_CELL, feature.binCount, order);
    if (length === 0) return;
    const { best } = leaf;
    const before = best.gain;
    const rules = { ...this.rules, minRows: leaf.caution * this.rules.minRows - 0.5 };
    const node = { rows, g: leaf.g / scale.g, h: leaf.h / scale.h };
    findGradientSplit(f, feature, cells, 0, order, length, node, rules, best);
    if (best.gain === before) return;
    // The sums of the left side as whole numbers, which are exact.
    best.g = best.h = 0;
    const missing = whole[2 * feature.binCount] !== 0 && best.missingLeft ? [feature.binCount] : [];
    for (const bin of [...best.leftBins.subarray(0, best.leftBinCount), ...missing]) {
      best.h += whole[2 * bin] >>> 0;
      best.g += whole[2 * bin + 1];
    }
  }

  /** Cells of one feature: {hessian u32, gradient i32} a bin. */
  private featureCells(histogram: Address, f: number): Int32Array {
    return this.memory.int32(histogram + f * HISTOGRAM_BYTES, HISTOGRAM_BYTES / 4);
  }

  private settleLeaves(builder: TreeBuilder, leaves: readonly OpenLeaf[], raw: Address): void {
    const { memory, rules } = this;
    const ranges = memory.int32(this.ranges, 2 * leaves.length);
    leaves.forEach(({ begin, end }, i) => ranges.set([begin, end], 2 * i));
    const { learningRate, l2 } = rules;
    memory.call.leaves(leaves.length, this.ranges, this.entries, this.pairs, raw, learningRate, l2, this.values);
    const values = memory.float32(this.values, leaves.length);
    leaves.forEach((leaf, i) => {
      builder.setValue(leaf.node, 0, values[i]);
      this.release(leaf);
    });
  }

  private histogram(): Address {
    return this.pool.pop() ?? this.memory.allocate(this.table.features.length * HISTOGRAM_BYTES);
  }

  private release(leaf: OpenLeaf): void {
    if (leaf.histogram !== null) this.pool.push(leaf.histogram);
    leaf.histogram = null;
  }
}

/** Gains below this, or below this share of a leaf's score, are rounding. */
const LEAST_GAIN = 1e-10;
const ROUNDING = 1e-12;
/** More than any leaf's hessian in whole numbers. */
const MOST = 0xffffffff;

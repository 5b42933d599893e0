/**
 * Histograms and best splits of the leaves of a growing tree. Of two new leaves only the smaller is counted row by row; the
 * larger is the parent's histogram minus it. Gradients are whole numbers here (kernels/quantise.ts), `scale` of them to 1.
 */
import { type Pace } from '../core/pace.js';
import { type Scale } from './derive.js';
import { HistogramPool } from './histogram-pool.js';
import { type Address, FOUND_BYTES, HISTOGRAM_BYTES, type KernelMemory } from './kernel-memory.js';
import { type KernelTable } from './kernel-table.js';
import { leafScore, type Penalties } from './leaf-weight.js';
import { type OpenLeaf } from './open-leaf.js';
import { type TreeColumns } from './sample-columns.js';

export interface SearchRules extends Penalties {
  /** 0: no limit. */
  readonly maxDepth: number;
  readonly minRows: number;
  readonly minHessian: number;
  readonly minSplitGain: number;
  readonly catSmooth: number;
  readonly catL2: number;
  /** Per feature: 1 or -1 where the prediction is to rise or fall with it; null: nowhere. */
  readonly directions: Int8Array | null;
}

export class GradientSearch {
  private readonly pool: HistogramPool;
  private readonly found: Address;
  private readonly foundFloats: Float64Array;
  private readonly foundInts: Int32Array;
  private readonly foundBytes: Uint8Array;
  private readonly directions: Address;
  /** Histograms of parts of a node that are counted by other threads. */
  private readonly parts: Address;
  /** For the child that is counted, then for the other. */
  private readonly binCounts: Int32Array;
  /** What `binCounts` enables now. */
  private readonly enabled: (Uint32Array | null)[] = [null, null];
  private scale: Scale = { g: 1, h: 1 };
  private columns!: TreeColumns;

  constructor(
    private readonly memory: KernelMemory,
    private readonly table: KernelTable,
    private readonly rules: SearchRules,
    private readonly pace: Pace,
    isFirst: (a: OpenLeaf, b: OpenLeaf) => boolean,
  ) {
    const features = table.features.length;
    this.pool = new HistogramPool(memory, features, isFirst);
    this.found = memory.allocate(2 * features * FOUND_BYTES);
    this.foundFloats = memory.float64(this.found, (2 * features * FOUND_BYTES) / 8);
    this.foundInts = memory.int32(this.found, (2 * features * FOUND_BYTES) / 4);
    this.foundBytes = memory.bytes(this.found, 2 * features * FOUND_BYTES);
    this.binCounts = memory.int32(memory.allocate(2 * features * 4), 2 * features);
    this.parts = memory.allocate((memory.threads - 1) * features * HISTOGRAM_BYTES);
    this.directions = rules.directions === null ? 0 : memory.allocate(features);
    if (rules.directions !== null) memory.bytes(this.directions, features).set(new Uint8Array(rules.directions));
  }

  /** Another tree begins. */
  begin(entries: Address, scale: Scale, columns: TreeColumns): void {
    const { table, rules, memory } = this;
    this.scale = scale;
    this.columns = columns;
    const { panes, paneBytes, paneWidth, rowBytes, width, features } = table;
    const binCounts = this.binCounts.byteOffset;
    memory.call.setTable(
      entries,
      panes,
      paneBytes,
      paneWidth,
      rowBytes,
      width,
      this.parts,
      features.length,
      binCounts,
      this.directions,
      this.found,
    );
    const [lambda, setLambda] = [rules.l2, rules.l2 + rules.catL2].map((l2) => l2 * scale.h);
    memory.call.setPenalties(lambda, rules.l1 * scale.g, setLambda, rules.catSmooth * scale.h);
  }

  maySplit({ begin, end, depth }: OpenLeaf): boolean {
    const { maxDepth, minRows } = this.rules;
    return end - begin >= 2 * minRows && (maxDepth === 0 || depth < maxDepth);
  }

  /** One leaf, from its entries unless it has its histogram. */
  async search(leaf: OpenLeaf): Promise<void> {
    if (!this.maySplit(leaf)) return;
    const columns = this.columns.of(leaf.depth, leaf.groups);
    const isCounted = leaf.histogram !== null;
    leaf.histogram ??= this.pool.take();
    this.setGoal(0, leaf, columns);
    this.memory.call.node(isCounted ? 0 : leaf.begin, isCounted ? 0 : leaf.end, leaf.histogram, 0);
    this.read(0, leaf, columns);
    if (this.pace.isDue(this.cost(leaf))) await this.pace.rest();
  }

  /** The two sides of a split leaf, which gives its histogram to the larger. */
  async searchChildren(parent: OpenLeaf, left: OpenLeaf, right: OpenLeaf): Promise<void> {
    const [small, large] = left.end - left.begin < right.end - right.begin ? [left, right] : [right, left];
    if (!this.maySplit(large)) return this.pool.release(parent);
    if (parent.histogram === null) {
      await this.search(small);
      return this.search(large);
    }
    const smallColumns = this.maySplit(small) ? this.columns.of(small.depth, small.groups) : NONE;
    const largeColumns = this.columns.of(large.depth, large.groups);
    small.histogram = this.pool.take();
    large.histogram = parent.histogram;
    parent.histogram = null;
    this.setGoal(0, small, smallColumns);
    this.setGoal(1, large, largeColumns);
    this.memory.call.node(small.begin, small.end, small.histogram, large.histogram);
    this.read(1, large, largeColumns);
    if (this.maySplit(small)) this.read(0, small, smallColumns);
    else this.pool.release(small);
    if (this.pace.isDue(this.cost(small))) await this.pace.rest();
  }

  /** The leaf waits for its turn. */
  lend(leaf: OpenLeaf): void {
    this.pool.lend(leaf);
  }

  /** Its turn has come. */
  withdraw(leaf: OpenLeaf): void {
    this.pool.withdraw(leaf);
  }

  /** Nobody will ask for its histogram any more. */
  release(leaf: OpenLeaf): void {
    this.pool.release(leaf);
  }

  /** Work of searching a leaf in units of Pace, by the speed of the kernels. */
  private cost({ begin, end }: OpenLeaf): number {
    return this.table.features.length * (60 + (end - begin) / 8);
  }

  /** Tells the kernels what they may find: in whole numbers, and nothing where the leaf may not be split. */
  private setGoal(which: 0 | 1, leaf: OpenLeaf, columns: Uint32Array): void {
    this.enable(which, columns);
    const { rules, scale } = this;
    const { g, h, bounds } = leaf;
    const hessianPerRow = h / (leaf.end - leaf.begin);
    const ofRows = rules.minRows > 1 ? (leaf.caution * rules.minRows - 0.5) * hessianPerRow : 1;
    const minH = Math.max(rules.minHessian * scale.h, ofRows, 1);
    const score = this.score(leaf);
    const least = score + this.leastGain(score) / this.gainScale();
    const most = this.maySplit(leaf) ? Math.min(Math.ceil(minH), MOST) : MOST;
    this.memory.call.setGoal(which, g, h, most, least, rules.catSmooth * hessianPerRow);
    const isFree = rules.l1 === 0 && bounds.low === -Infinity && bounds.high === Infinity;
    const weightScale = scale.g / scale.h;
    this.memory.call.setBounds(which, isFree ? 1 : 0, bounds.low * weightScale, bounds.high * weightScale);
  }

  /** Features that are searched: their bins, below 0 for categories. */
  private enable(which: 0 | 1, columns: Uint32Array): void {
    if (this.enabled[which] === columns) return;
    this.enabled[which] = columns;
    const { features } = this.table;
    const binCounts = this.binCounts.subarray(which * features.length, (which + 1) * features.length).fill(0);
    for (const f of columns) binCounts[f] = features[f].categorical ? -features[f].binCount : features[f].binCount;
  }

  private leastGain(score: number): number {
    return Math.max(this.rules.minSplitGain, LEAST_GAIN, ROUNDING * Math.abs(score) * this.gainScale());
  }

  /** Of the leaf as it is, in whole numbers; times `gainScale` in units of the loss. */
  private score({ g, h, bounds }: OpenLeaf): number {
    const { scale, rules } = this;
    return leafScore(g / scale.g, h / scale.h, rules, bounds) / this.gainScale();
  }

  private gainScale(): number {
    return this.scale.h / (this.scale.g * this.scale.g);
  }

  /** Takes the best of all features over into the leaf. */
  private read(which: 0 | 1, leaf: OpenLeaf, columns: Uint32Array): void {
    const { best } = leaf;
    const { features } = this.table;
    const score = this.score(leaf);
    best.reset(this.leastGain(score));
    for (const f of columns) {
      const slot = which * features.length + f;
      const gain = (this.foundFloats[slot * (FOUND_BYTES / 8)] - score) * this.gainScale();
      if (!(gain > best.gain)) continue;
      best.gain = gain;
      best.feature = f;
    }
    if (best.feature < 0) this.pool.release(leaf);
    else this.complete(leaf, which * features.length + best.feature);
  }

  /** What the best split sends left; and where values never missing here go: to the heavier side. */
  private complete({ best, h, histogram }: OpenLeaf, slot: number): void {
    const { binCount, categorical } = this.table.features[best.feature];
    const ints = this.foundInts.subarray((slot * FOUND_BYTES) / 4, ((slot + 1) * FOUND_BYTES) / 4);
    best.h = ints[4] >>> 0;
    best.g = ints[5];
    const cells = this.memory.int32(histogram! + best.feature * HISTOGRAM_BYTES, HISTOGRAM_BYTES / 4);
    best.missingLeft = cells[2 * binCount] === 0 ? 2 * best.h > h : ints[3] === 1;
    best.nextBin = -1;
    if (categorical) {
      const bits = this.foundBytes.subarray(slot * FOUND_BYTES + SET_AT, (slot + 1) * FOUND_BYTES);
      best.leftBinCount = 0;
      for (let bin = 0; bin < binCount; bin++)
        if ((bits[bin >> 3] >> (bin & 7)) & 1) best.leftBins[best.leftBinCount++] = bin;
      return;
    }
    best.leftBins[0] = ints[2];
    best.leftBinCount = 1;
    // The first bin on the right that holds rows.
    for (let bin = ints[2] + 1; bin < binCount && best.nextBin < 0; bin++) if (cells[2 * bin] !== 0) best.nextBin = bin;
  }
}

const NONE = new Uint32Array(0);
/** Gains below this, or below this share of a leaf's score, are rounding. */
const LEAST_GAIN = 1e-10;
const ROUNDING = 1e-12;
/** More than any leaf's hessian in whole numbers. */
const MOST = 0xffffffff;
/** Where in what is found the set of categories begins. */
const SET_AT = 24;

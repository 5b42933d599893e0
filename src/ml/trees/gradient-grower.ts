/**
 * Growth of a tree on gradients: leaf by leaf, always the one whose split gains most (Shi, "Best-first decision tree learning",
 * 2007; LightGBM), or level by level (XGBoost). The work is the kernels'; gradients are whole numbers there and become exact
 * again in the values of the leaves.
 */
import { type Tree } from '../core/model.js';
import { type Pace } from '../core/pace.js';
import { Rng } from '../core/rng.js';
import { TreeBuilder } from './builder.js';
import { Candidate, chooseSplit } from './candidate.js';
import { type Scale } from './derive.js';
import { GradientSearch, type SearchRules } from './gradient-search.js';
import { type Address, CHUNK, type KernelMemory, LEAF_BYTES, NOTE_BYTES, PART, TABLE_AT } from './kernel-memory.js';
import { type KernelTable } from './kernel-table.js';
import { boundsBelow, boundsWithin, leafWeight } from './leaf-weight.js';
import { comesFirst, type Growth, LeafQueue, type OpenLeaf } from './open-leaf.js';
import { type ColumnShares, TreeColumns } from './sample-columns.js';

export interface GrowthRules extends SearchRules {
  readonly growth: Growth;
  /** 0: no limit. */
  readonly numLeaves: number;
  /** Greatest |weight| of a leaf, before the learning rate; 0: no limit. */
  readonly maxDeltaStep: number;
  /** Weights are multiplied by this. */
  readonly learningRate: number;
  readonly columnShares: ColumnShares;
  /** Features that may act together; null: all. */
  readonly groups: readonly ReadonlySet<number>[] | null;
}

export interface GrownTree {
  readonly tree: Tree;
  /** Entries [begin, end) fall into leaf `node`. */
  readonly leaves: readonly { readonly node: number; readonly begin: number; readonly end: number }[];
  /** Where rows were drawn, per node that was split: 1 for the bins that go left. */
  readonly tables: readonly (Uint8Array | undefined)[];
}

/** What one tree grows on. */
export interface GrowOrder {
  /** Rows drawn, ascending; null: all of them. */
  readonly rows: Uint32Array | null;
  /** Features that may be used. */
  readonly columns: Uint32Array;
  readonly scale: Scale;
  /** For the rounding of gradients, and the columns of levels and nodes. */
  readonly seed: number;
  /** Scores, f64 per row: those of the rows drawn grow by their leaf's value. */
  readonly raw: Address;
}

export class GradientGrower {
  /** {g, h} of the loss per row, float32: written by whoever calls `grow`. */
  readonly pairs: Address;
  /** Room for a note per chunk of rows. */
  readonly notes: Address;
  readonly entries: Address;
  /** Of any tree. */
  readonly mostLeaves: number;
  /** As large as the entries; free between two trees. */
  readonly spare: Address;
  private readonly counts: Address;
  /** Leaves as kernels/leaf.ts wants them. */
  private readonly settled: Address;
  private readonly bounds: Address;
  private readonly values: Address;
  private readonly goesLeft: Uint8Array;
  private readonly search: GradientSearch;
  private readonly queue: LeafQueue;
  /** One for each leaf ever open in a tree, used again in the next. */
  private readonly candidates: Candidate[] = [];
  private opened = 0;
  private scale: Scale = { g: 1, h: 1 };

  /** @param gains grows by the gain of every split, per feature. */
  constructor(
    private readonly memory: KernelMemory,
    private readonly table: KernelTable,
    private readonly rules: GrowthRules,
    private readonly gains: Float64Array,
    pace: Pace,
  ) {
    const rows = Math.ceil(table.rowCount / 4) * 4;
    this.mostLeaves = Math.max(
      1,
      Math.min(rules.numLeaves || Infinity, 2 ** (rules.maxDepth || Infinity), table.rowCount),
    );
    this.pairs = memory.allocate(rows * 8);
    this.entries = memory.allocate(rows * 8);
    this.spare = memory.allocate(rows * 8);
    this.notes = memory.allocate(Math.ceil(rows / CHUNK) * NOTE_BYTES);
    this.counts = memory.allocate(Math.ceil(rows / PART) * 4);
    this.settled = memory.allocate(this.mostLeaves * LEAF_BYTES);
    this.bounds = memory.allocate(this.mostLeaves * 16);
    this.values = memory.allocate(this.mostLeaves * 4);
    this.goesLeft = memory.bytes(TABLE_AT, 256);
    const isFirst = comesFirst(rules.growth);
    this.queue = new LeafQueue(isFirst);
    this.search = new GradientSearch(memory, table, rules, pace, isFirst);
  }

  /** One tree on the gradients in `pairs`. */
  async grow(order: GrowOrder): Promise<GrownTree> {
    const { queue, search, mostLeaves } = this;
    const builder = new TreeBuilder(1);
    const tables: Uint8Array[] | null = order.rows === null ? null : [];
    /** Leaves that stay. */
    const leaves: OpenLeaf[] = [];
    const admit = (leaf: OpenLeaf): void => {
      if (leaf.best.feature < 0) return void leaves.push(leaf);
      queue.push(leaf);
      search.lend(leaf);
    };
    const root = this.openRoot(builder, order);
    if (mostLeaves > 1) await search.search(root);
    admit(root);
    for (let count = 1; count < mostLeaves;) {
      const parent = queue.pop();
      if (parent === undefined) break;
      search.withdraw(parent);
      const children = this.split(builder, tables, parent);
      if (children === null) {
        await this.refuse(parent);
        admit(parent);
        continue;
      }
      if (++count < mostLeaves) await search.searchChildren(parent, ...children);
      search.release(parent);
      children.forEach(admit);
    }
    for (const leaf of queue.drain()) {
      search.withdraw(leaf);
      search.release(leaf);
      leaves.push(leaf);
    }
    this.settleLeaves(builder, leaves, order.raw);
    return { tree: builder.build(), leaves, tables: tables ?? [] };
  }

  /** Entries of the rows, all in one leaf. */
  private openRoot(builder: TreeBuilder, { rows, columns, scale, seed }: GrowOrder): OpenLeaf {
    const { memory, table, entries, pairs, notes, rules } = this;
    this.opened = 0;
    this.scale = scale;
    this.search.begin(entries, scale, new TreeColumns(columns, rules.columnShares, new Rng(seed)));
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
    const bounds = boundsWithin(rules.maxDeltaStep);
    return this.openLeaf(builder.addLeaf(), 0, count, g, h, 0, bounds, rules.groups);
  }

  /** Written out field by field: objects put together from others are slow, and large. */
  private openLeaf(
    node: number,
    begin: number,
    end: number,
    g: number,
    h: number,
    depth: number,
    bounds: OpenLeaf['bounds'],
    groups: OpenLeaf['groups'],
  ): OpenLeaf {
    const best = (this.candidates[this.opened++] ??= new Candidate());
    best.reset(0);
    return { node, begin, end, g, h, depth, bounds, groups, best, caution: 1, histogram: null };
  }

  /** The two new leaves, or null when one of them would hold too few rows: then nothing has changed. */
  private split(builder: TreeBuilder, tables: Uint8Array[] | null, parent: OpenLeaf): [OpenLeaf, OpenLeaf] | null {
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
    if (tables !== null) tables[parent.node] = split.goesLeft;
    this.gains[best.feature] += best.gain;
    const { g, h } = best;
    const bounds = this.boundsOf(parent);
    const groups = parent.groups && parent.groups.filter((group) => group.has(best.feature));
    const [below, right] = [depth + 1, node + 1];
    return [
      this.openLeaf(node, begin, middle, g, h, below, bounds.left, groups),
      this.openLeaf(right, middle, end, parent.g - g, parent.h - h, below, bounds.right, groups),
    ];
  }

  private boundsOf({ best, g, h, bounds }: OpenLeaf) {
    const { rules, scale } = this;
    const direction = rules.directions?.[best.feature] ?? 0;
    const weight = (g: number, h: number): number => leafWeight(g / scale.g, h / scale.h, rules, bounds);
    return boundsBelow(direction, bounds, weight(best.g, best.h), weight(g - best.g, h - best.h));
  }

  /**
   * Cells hold no row counts; those of a side are estimated from its hessian, as LightGBM does, and known once it is divided.
   * A leaf whose best split proves too small is searched again with twice the caution.
   */
  private async refuse(leaf: OpenLeaf): Promise<void> {
    leaf.caution *= 2;
    await this.search.search(leaf);
  }

  private settleLeaves(builder: TreeBuilder, leaves: readonly OpenLeaf[], raw: Address): void {
    const { memory, entries, pairs } = this;
    const { threads } = memory;
    const { rowCount } = this.table;
    // Groups of about as many rows, by where their leaves begin.
    const settled = memory.int32(this.settled, (leaves.length * LEAF_BYTES) / 4);
    const bounds = memory.float64(this.bounds, 2 * leaves.length);
    leaves.forEach(({ begin, end, bounds: { low, high } }, i) => {
      settled.set([begin, end, 0, Math.floor((begin * threads) / rowCount)], (i * LEAF_BYTES) / 4);
      bounds.set([low, high], 2 * i);
    });
    const { learningRate, l1, l2 } = this.rules;
    const at = this.values;
    memory.call.leaves(
      threads,
      rowCount,
      leaves.length,
      this.settled,
      entries,
      pairs,
      raw,
      learningRate,
      l2,
      l1,
      this.bounds,
      at,
    );
    const values = memory.float32(at, leaves.length);
    leaves.forEach(({ node }, i) => builder.setValue(node, 0, values[i]));
  }
}

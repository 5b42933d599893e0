/**
 * Depth-first growth for forests and single trees. At every node some features are drawn and counted into one small
 * histogram, one after the other, of which only touched cells are cleared: the cost of a node is that of its rows, so that trees
 * may grow until every leaf is pure.
 */
import { type Tree } from '../core/model.js';
import { type Pace } from '../core/pace.js';
import { type Rng } from '../core/rng.js';
import { type BinnedTable } from './bins.js';
import { TreeBuilder } from './builder.js';
import { Candidate, chooseSplit } from './candidate.js';
import { populatedBins, touchedBins } from './order.js';
import { partition } from './partition.js';
import { type NodeStatistic } from './statistic.js';

export interface DeepRules {
  /** 0: no limit. */
  readonly maxDepth: number;
  readonly minSamplesLeaf: number;
  readonly minSamplesSplit: number;
  /** Features tried at a node, not counting those that are constant there. */
  readonly featuresPerNode: number;
}

export class DeepGrower {
  private readonly cells: Float64Array;
  private readonly spare: Uint32Array;
  private readonly order = new Uint8Array(256);
  private readonly touched = new Uint8Array(256);
  private readonly seen = new Uint8Array(256);
  private readonly best = new Candidate();
  private readonly features: Uint32Array;

  /** @param gains grows by the gain of every split, per feature. */
  constructor(
    private readonly table: BinnedTable,
    private readonly statistic: NodeStatistic,
    private readonly rules: DeepRules,
    private readonly gains: Float64Array,
    private readonly pace: Pace,
  ) {
    this.cells = new Float64Array(256 * statistic.stride);
    this.spare = new Uint32Array(table.rowCount);
    this.features = Uint32Array.from({ length: table.features.length }, (_, f) => f);
  }

  /** One tree on `rows` (reordered). */
  async grow(rows: Uint32Array, rng: Rng): Promise<Tree> {
    const { table, statistic, rules, best } = this;
    const builder = new TreeBuilder(statistic.width);
    // A stack of open nodes, four numbers each: node, begin, end, depth.
    const stack = [builder.addLeaf(), 0, rows.length, 0];
    while (stack.length > 0) {
      const [node, begin, end, depth] = stack.splice(-4);
      const least = statistic.load(rows, begin, end);
      const size = end - begin;
      const isLeaf =
        least === Infinity ||
        size < rules.minSamplesSplit ||
        size < 2 * rules.minSamplesLeaf ||
        (rules.maxDepth > 0 && depth >= rules.maxDepth);
      if (!isLeaf) {
        best.reset(least);
        await this.search(rows, begin, end, rng);
      }
      if (isLeaf || best.feature < 0) {
        statistic.setLeaf(builder, node);
        continue;
      }
      const feature = table.features[best.feature];
      const split = chooseSplit(feature, best);
      const middle = partition(rows, begin, end, feature.bins, split.goesLeft, this.spare);
      const left = builder.split(node, best.feature, split);
      this.gains[best.feature] += best.gain;
      stack.push(left + 1, middle, end, depth + 1, left, begin, middle, depth + 1);
    }
    return builder.build();
  }

  /** Tries features in random order until enough of them were not constant at the node; leaves the best split in `best`. */
  private async search(rows: Uint32Array, begin: number, end: number, rng: Rng): Promise<void> {
    const { features, rules } = this;
    let tried = 0;
    for (let i = 0; i < features.length && tried < rules.featuresPerNode; i++) {
      if (rules.featuresPerNode < features.length) {
        const j = i + rng.below(features.length - i);
        [features[i], features[j]] = [features[j], features[i]];
      }
      if (this.tryFeature(features[i], rows, begin, end)) tried++;
      if (this.pace.isDue(end - begin + NODE_COST)) await this.pace.rest();
    }
  }

  /** Whether the feature has more than one value at the node. */
  private tryFeature(index: number, rows: Uint32Array, begin: number, end: number): boolean {
    const { cells, order, touched, statistic } = this;
    const { stride } = statistic;
    const feature = this.table.features[index];
    const isSmall = end - begin < feature.binCount;
    const touchedCount = isSmall ? touchedBins(feature.bins, rows, begin, end, this.seen, touched) : 0;
    if (isSmall && touchedCount < 2) return false;
    statistic.count(cells, feature.bins, rows, begin, end);
    const slots = isSmall ? touchedCount : populatedBins(cells, 0, stride, feature.binCount + 1, touched);
    const hasMissing = touched[slots - 1] === feature.binCount;
    order.set(touched.subarray(0, slots));
    if (slots > 1) statistic.find(index, feature, cells, order, hasMissing ? slots - 1 : slots, this.best);
    for (let i = 0; i < slots; i++) cells.fill(0, touched[i] * stride, (touched[i] + 1) * stride);
    return slots > 1;
  }
}

/** Work of a node beside its rows, in units of Pace. */
const NODE_COST = 50;

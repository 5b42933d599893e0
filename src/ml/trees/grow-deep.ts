/**
 * Depth-first growth for forests and single trees: kernels/deep.ts with its memory. Several trees are on their way at a time, each
 * of which any thread may take further; they are handed over in their order.
 */
import { type Tree } from '../core/model.js';
import { type Pace } from '../core/pace.js';
import { Rng } from '../core/rng.js';
import { type Address, type KernelMemory } from './kernel-memory.js';
import { type KernelTable } from './kernel-table.js';

/** Numbers of kernels/deep-state.ts. */
export const CRITERION = { SQUARED: 0, GINI: 1, ENTROPY: 2, ABSOLUTE: 3 } as const;

export interface DeepRules {
  readonly criterion: keyof typeof CRITERION;
  /** Numbers in a leaf: the classes, or 1. */
  readonly width: number;
  /** What is added to a leaf's mean or median residual. */
  readonly mean: number;
  /** 0: no limit. */
  readonly maxDepth: number;
  readonly minSamplesLeaf: number;
  readonly minSamplesSplit: number;
  /** Features tried at a node, and more while all of them are constant there (as in scikit-learn). */
  readonly featuresPerNode: number;
  /** One cut drawn per feature instead of the best. */
  readonly isRandom: boolean;
  /** Rows that a tree draws, with or without replacement. */
  readonly draws: number;
  readonly bootstrap: boolean;
  readonly catSmooth: number;
  /** Added to the weight of both sides when more than four categories are divided. */
  readonly catL2: number;
  /** The weight with which `shares` count in every leaf; they are those of the classes among all rows. */
  readonly leafSmooth: number;
  readonly shares: Float64Array;
}

export interface DeepTree {
  readonly tree: Tree;
  /** Gain by feature. */
  readonly gains: Float64Array;
  /** Per training row: its leaf, if the tree did not draw it; else -1. Valid until the next tree. */
  readonly spared: Int32Array;
  /** Values by leaf; valid until the next tree. */
  readonly values: Float32Array;
}

/** A tree on its way: its state, and where its areas lie. */
interface Growing {
  readonly at: Address;
  readonly words: Int32Array;
  readonly areas: ReturnType<typeof allocateAreas>;
}

const GROWN = 2;
/** Words of the state of a tree (after 16 bytes of random state), and of its areas. */
const STATE = 4;
const [NODE_COUNT, LEAF_COUNT, SET_COUNT] = [6, 7, 8];
const AREAS = 10;
const NODE_WORDS = 4;
const SET_WORDS = 8;

/** Trees on their way for each thread: enough that none waits long for the last. */
const TREES_PER_THREAD = 4;
/** Beyond so many bytes for them there are fewer. */
const MOST_BYTES = 512e6;
/** Work of one tree in one call, in rows x features: some 10 ms. */
const WORK = 3_000_000;

export class DeepGrower {
  private readonly forest: Address;
  private readonly list: Address;
  private readonly mostLeaves: number;
  private readonly free: Growing[] = [];

  /**
   * @param stats what each row teaches, and what it counts: (weight x residual, weight), (class, weight) or (residual, weight)
   * @param order rows in the order in which they shall stand in every node; null: as they are
   */
  constructor(
    private readonly memory: KernelMemory,
    private readonly table: KernelTable,
    private readonly rules: DeepRules,
    stats: Float64Array,
    order: Uint32Array | null,
  ) {
    const { rowCount } = table;
    const byRows = Math.floor(Math.min(rowCount, rules.draws) / rules.minSamplesLeaf);
    const byDepth = rules.maxDepth > 0 && rules.maxDepth < 31 ? 2 ** rules.maxDepth : Infinity;
    this.mostLeaves = Math.max(1, Math.min(byRows, byDepth));
    this.forest = this.writeForest(stats, order);
    const before = this.memory.allocate(0);
    this.free.push(this.allocateTree());
    const bytes = this.memory.allocate(0) - before;
    const count = Math.min(memory.threads * TREES_PER_THREAD, Math.max(memory.threads, Math.floor(MOST_BYTES / bytes)));
    while (this.free.length < count) this.free.push(this.allocateTree());
    this.list = memory.allocate(4 * count);
  }

  /** Grows trees 0 … count-1 of a seed. */
  async grow(count: number, seed: number, pace: Pace, onTree: (grown: DeepTree, t: number) => void): Promise<void> {
    const open: Growing[] = [];
    for (let begun = 0, done = 0; done < count;) {
      while (begun < count && this.free.length > 0) open.push(this.begin(this.free.pop()!, new Rng(seed, ++begun)));
      const list = open.filter(({ words }) => words[STATE] !== GROWN).map(({ at }) => at);
      this.memory.uint32(this.list, list.length).set(list);
      this.memory.call.grow(list.length, this.forest, this.list, WORK);
      await pace.rest();
      while (open.length > 0 && open[0].words[STATE] === GROWN) {
        onTree(this.read(open[0]), done++);
        this.free.push(open.shift()!);
      }
    }
  }

  private writeForest(stats: Float64Array, order: Uint32Array | null): Address {
    const { memory, table, rules } = this;
    const { features, rowCount } = table;
    const at = memory.allocate(32 + 4 * 21);
    const kinds = memory.allocate(8 * features.length);
    const [lows, highs] = [0, 1].map(() => memory.allocate(1024 * features.length));
    features.forEach(({ binCount, categorical, low, high }, f) => {
      memory.int32(kinds, 2 * features.length).set([binCount, categorical ? 1 : 0], 2 * f);
      memory.float32(lows + 1024 * f, 256).set(low);
      memory.float32(highs + 1024 * f, 256).set(high);
    });
    const statsAt = memory.allocate(8 * stats.length);
    memory.float64(statsAt, stats.length).set(stats);
    const orderAt = order === null ? 0 : memory.allocate(4 * rowCount);
    if (order !== null) memory.uint32(orderAt, rowCount).set(order);
    const { desks, deskBytes } = this.allocateDesks();
    const sharesAt = memory.allocate(8 * rules.shares.length);
    memory.float64(sharesAt, rules.shares.length).set(rules.shares);
    memory.float64(at, 4).set([rules.catSmooth, rules.catL2, rules.mean, rules.leafSmooth]);
    memory
      .int32(at + 32, 21)
      .set([
        ...[CRITERION[rules.criterion], rowCount, features.length, rules.width, rules.minSamplesLeaf],
        ...[rules.minSamplesSplit, rules.maxDepth, rules.featuresPerNode, rules.isRandom ? 1 : 0],
        ...[rules.bootstrap ? 1 : 0, rules.draws, table.columns, table.stride, kinds, lows, highs],
        ...[statsAt, orderAt, desks, deskBytes, sharesAt],
      ]);
    return at;
  }

  /** A desk for each thread; its areas are named in the order of kernels/deep-state.ts. */
  private allocateDesks(): { desks: Address; deskBytes: number } {
    const { memory, rules, table } = this;
    const rows = Math.min(table.rowCount, rules.draws);
    const isMedian = rules.criterion === 'ABSOLUTE';
    const classes = 8 * rules.width;
    const bySize = [32, 256, 256, 32, 1024, Math.max(4096, 256 * classes), 2048, 2048];
    const byClass = [classes, classes, classes, classes, classes];
    const byRow = [4 * rows, 16 * rows, isMedian ? 32 * (rows + 1) : 0, isMedian ? 4 * rows : 0, 1024];
    const deskBytes = 192;
    const desks = memory.allocate(memory.threads * deskBytes);
    for (let thread = 0; thread < memory.threads; thread++) {
      // A line more for each, so that no two threads write to the same one. Cells, counts and marks start at 0.
      const areas = [...bySize, ...byClass, ...byRow].map((bytes) => memory.allocate(bytes + 64));
      bySize.forEach((bytes, i) => memory.bytes(areas[i], bytes).fill(0));
      memory.int32(desks + thread * deskBytes + 72, areas.length).set(areas);
    }
    return { desks, deskBytes };
  }

  private allocateTree(): Growing {
    const { memory, table, rules, mostLeaves } = this;
    const at = memory.allocate(128);
    const hasSets = table.features.some(({ categorical }) => categorical);
    const areas = allocateAreas(memory, {
      features: table.features.length,
      allRows: table.rowCount,
      rows: Math.min(table.rowCount, rules.draws),
      leaves: mostLeaves,
      width: rules.width,
      sets: hasSets ? mostLeaves : 0,
    });
    const words = memory.int32(at, 32);
    words.set(Object.values(areas), AREAS);
    return { at, words, areas };
  }

  private begin(growing: Growing, rng: Rng): Growing {
    const { memory, table } = this;
    const { words, areas } = growing;
    const count = table.features.length;
    words.fill(0, STATE, AREAS);
    words.set([rng.uint32(), rng.uint32(), rng.uint32(), rng.uint32() | 1]);
    memory.float64(areas.gains, count).fill(0);
    const features = memory.int32(areas.features, count);
    for (let f = 0; f < count; f++) features[f] = f;
    return growing;
  }

  private read({ words, areas }: Growing): DeepTree {
    const { memory, table } = this;
    const { width } = this.rules;
    const count = words[NODE_COUNT];
    const nodes = memory.int32(areas.nodes, NODE_WORDS * count);
    const thresholds = memory.float32(areas.nodes, NODE_WORDS * count);
    const sets = memory.uint32(areas.sets, SET_WORDS * words[SET_COUNT]);
    const values = memory.float32(areas.values, width * words[LEAF_COUNT]);
    const tree = {
      feature: new Int32Array(count),
      threshold: new Float32Array(count),
      missingLeft: new Uint8Array(count),
      leftCodes: new Array<Int32Array | null>(count).fill(null),
      left: new Int32Array(count).fill(-1),
      right: new Int32Array(count).fill(-1),
      value: new Float32Array(count * width),
    };
    for (let node = 0, at = 0; node < count; node++, at += NODE_WORDS) {
      const feature = (tree.feature[node] = nodes[at]);
      const left = nodes[at + 2];
      if (feature < 0) {
        for (let k = 0; k < width; k++) tree.value[node * width + k] = values[left * width + k];
        continue;
      }
      tree.left[node] = left;
      tree.right[node] = left + 1;
      tree.missingLeft[node] = nodes[at + 3] >> 8;
      if (table.features[feature].categorical) tree.leftCodes[node] = codesOf(sets, nodes[at + 1] * SET_WORDS);
      else tree.threshold[node] = thresholds[at + 1];
    }
    const gains = memory.float64(areas.gains, table.features.length).slice();
    return { tree, gains, spared: memory.int32(areas.spared, table.rowCount), values };
  }
}

interface Sizes {
  readonly features: number;
  readonly allRows: number;
  readonly rows: number;
  readonly leaves: number;
  readonly width: number;
  readonly sets: number;
}

/** In the order of kernels/deep-state.ts. */
function allocateAreas(memory: KernelMemory, { features, allRows, rows, leaves, width, sets }: Sizes) {
  return {
    stack: memory.allocate(16 * (leaves + 1)),
    rows: memory.allocate(4 * rows),
    stats: memory.allocate(16 * rows),
    nodes: memory.allocate(4 * NODE_WORDS * (2 * leaves - 1)),
    values: memory.allocate(4 * width * leaves),
    sets: memory.allocate(4 * SET_WORDS * sets),
    gains: memory.allocate(8 * features),
    features: memory.allocate(4 * features),
    spared: memory.allocate(4 * allRows),
  };
}

/** Codes of a set of 256 bits, ascending. */
function codesOf(sets: Uint32Array, at: number): Int32Array {
  const codes: number[] = [];
  for (let code = 0; code < 256; code++) if ((sets[at + (code >>> 5)] >>> (code & 31)) & 1) codes.push(code);
  return Int32Array.from(codes);
}

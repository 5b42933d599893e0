/** Raw scores by all trees of a model, by a kernel (kernels/answer.ts): what core/walk.ts computes, bit for bit. */
import { availableParallelism } from 'node:os';
import { type Tree, type TreeModel } from '../core/model.js';
import { type Address, KernelMemory } from './kernel-memory.js';

const NODE_BYTES = 16;
const TREE_BYTES = 16;
/** Rows in the memory at a time: their features stay near the processor. */
const BLOCK_FLOATS = 1 << 19;
const MOST_ROWS = 1 << 14;

/** Walks (rows x trees) from which the kernel's start pays, and that of a second thread. */
const WALKS_FOR_KERNEL = 100_000;
const WALKS_FOR_THREADS = 10_000_000;

/** Whether so many rows are worth the kernel's start. */
export function isWorthKernel({ trees }: TreeModel, rows: number): boolean {
  return rows * trees.length >= WALKS_FOR_KERNEL;
}

export class KernelPredictor {
  /** Features of rows to be answered, row by row. */
  readonly block: Float32Array;
  readonly blockRows: number;
  /** Sums of leaves by row and output. */
  readonly raw: Float64Array;
  private readonly memory: KernelMemory;
  private readonly trees: Address;
  private readonly leafWidth: number;

  /** @param rows to be answered in all; @param threads by default as many as pay, which makes no difference to the answers */
  constructor(
    private readonly model: TreeModel,
    rows: number,
    threads = rows * model.trees.length < WALKS_FOR_THREADS ? 1 : Math.min(2, availableParallelism()),
  ) {
    const { trees, features, base } = model;
    const width = Math.max(1, features.length);
    this.leafWidth = model.treeOutput === null ? base.length : 1;
    this.blockRows = Math.max(1, Math.min(MOST_ROWS, rows, Math.floor(BLOCK_FLOATS / width)));
    const blockBytes = this.blockRows * width * 4;
    const rawBytes = this.blockRows * base.length * 8;
    const sizes = trees.map((tree) => sizeOf(tree, this.leafWidth));
    const most = sizes.reduce((sum, size) => sum + size.nodes + size.values + size.sets + 3 * 64, 0);
    this.memory = new KernelMemory(threads, most + blockBytes + rawBytes + trees.length * TREE_BYTES + 3 * 64);
    const { memory } = this;
    this.block = memory.float32(memory.allocate(blockBytes), blockBytes / 4);
    this.raw = memory.float64(memory.allocate(rawBytes), rawBytes / 8);
    this.trees = memory.allocate(trees.length * TREE_BYTES);
    trees.forEach((tree, t) => this.store(tree, t, sizes[t]!));
  }

  /** Writes the sums of the first `rows` rows of the block into `raw`. */
  score(rows: number): void {
    const { memory, block, raw, trees, model, leafWidth } = this;
    const stride = model.features.length * 4;
    const outputs = model.base.length;
    memory.call.answer(rows, block.byteOffset, stride, trees, model.trees.length, leafWidth, raw.byteOffset, outputs);
  }

  close(): void {
    void this.memory.close();
  }

  private store(tree: Tree, t: number, size: ReturnType<typeof sizeOf>): void {
    const { memory, leafWidth } = this;
    const [nodes, values, sets] = [size.nodes, size.values, size.sets].map((bytes) => memory.allocate(bytes));
    const about = memory.int32(this.trees + t * TREE_BYTES, TREE_BYTES / 4);
    about.set([nodes!, values!, this.model.treeOutput?.[t] ?? 0, size.sets]);
    const ints = memory.int32(nodes!, size.nodes / 4);
    const floats = memory.float32(nodes!, size.nodes / 4);
    const leaves = memory.float32(values!, size.values / 4);
    const words = memory.uint32(sets!, size.sets / 4);
    // From the root down, the children of a node side by side.
    const order = new Int32Array(tree.feature.length);
    let placed = 1;
    let leafCount = 0;
    let word = 0;
    for (let place = 0; place < placed; place++) {
      const node = order[place]!;
      const at = (place * NODE_BYTES) / 4;
      if (tree.feature[node]! < 0) {
        ints[at] = 0;
        floats[at + 1] = Infinity;
        ints[at + 2] = nodes! + place * NODE_BYTES;
        ints[at + 3] = 0x80000000 | (leafCount << 1) | 1;
        for (let k = 0; k < leafWidth; k++) leaves[leafCount * leafWidth + k] = tree.value[node * leafWidth + k]!;
        leafCount++;
        continue;
      }
      const codes = tree.leftCodes[node] ?? null;
      ints[at] = tree.feature[node]! * 4;
      ints[at + 2] = nodes! + placed * NODE_BYTES;
      ints[at + 3] = tree.missingLeft[node]!;
      if (codes === null) floats[at + 1] = tree.threshold[node]!;
      else {
        const count = wordsOf(codes);
        ints[at + 1] = sets! + word * 4;
        ints[at + 3]! |= count << 1;
        for (const code of codes) words[word + (code >>> 5)]! |= 1 << (code & 31);
        word += count;
      }
      order[placed++] = tree.left[node]!;
      order[placed++] = tree.right[node]!;
    }
  }
}

function sizeOf(tree: Tree, leafWidth: number): { nodes: number; values: number; sets: number } {
  const nodes = tree.feature.length;
  const sets = tree.leftCodes.reduce((sum, codes) => sum + (codes === null ? 0 : wordsOf(codes)), 0);
  return { nodes: nodes * NODE_BYTES, values: Math.ceil(nodes / 2) * leafWidth * 4, sets: sets * 4 };
}

/** At least one, so that a set can be told from a threshold. */
function wordsOf(codes: Int32Array): number {
  return codes.length === 0 ? 1 : (codes[codes.length - 1]! >>> 5) + 1;
}

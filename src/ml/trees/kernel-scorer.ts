/** Scores of one tree after another on rows that no tree learned from: `addTree` of score.ts, by a kernel. */
import { type Tree } from '../core/model.js';
import { type Address, type KernelMemory } from './kernel-memory.js';
import { type FeatureMatrix } from './score.js';

/** Bytes of a node (kernels/walk.ts), and of a table of the categories that go left. */
const NODE_BYTES = 32;
const TABLE_BYTES = 256;

export class KernelScorer {
  private readonly rowCount: number;
  private readonly columns: Address;
  private readonly stride: number;
  private readonly nodes: Address;
  private readonly tables: Address;

  /** @param mostLeaves of any tree that is to come. */
  constructor(
    private readonly memory: KernelMemory,
    { rowCount, columns }: FeatureMatrix,
    mostLeaves: number,
  ) {
    this.rowCount = rowCount;
    this.stride = Math.ceil(rowCount / 16) * 64;
    this.columns = memory.allocate(columns.length * this.stride);
    columns.forEach((column, f) => memory.float32(this.columns + f * this.stride, rowCount).set(column));
    this.nodes = memory.allocate((2 * mostLeaves - 1) * NODE_BYTES);
    this.tables = memory.allocate((mostLeaves - 1) * TABLE_BYTES);
  }

  /** raw[row] += the leaf's value, for every row (f64). */
  add(tree: Tree, raw: Address): void {
    if (this.rowCount === 0) return;
    const { memory, nodes, tables } = this;
    const count = tree.feature.length;
    const ints = memory.int32(nodes, (count * NODE_BYTES) / 4);
    const floats = memory.float32(nodes, (count * NODE_BYTES) / 4);
    let sets = 0;
    for (let node = 0, at = 0; node < count; node++, at += NODE_BYTES / 4) {
      const isLeaf = tree.feature[node] < 0;
      const codes = tree.leftCodes[node];
      ints[at] = tree.feature[node];
      floats[at + 1] = tree.threshold[node];
      ints[at + 2] = isLeaf ? node : tree.left[node];
      ints[at + 3] = isLeaf ? node : tree.right[node];
      ints[at + 4] = tree.missingLeft[node];
      ints[at + 5] = codes === null ? 0 : tables + sets * TABLE_BYTES;
      floats[at + 6] = tree.value[node];
      if (codes === null) continue;
      const table = memory.bytes(tables + sets++ * TABLE_BYTES, TABLE_BYTES).fill(0);
      for (const code of codes) table[code] = 1;
    }
    memory.call.walk(this.rowCount, this.columns, this.stride, nodes, raw);
  }
}

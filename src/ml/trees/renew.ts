/** Leaves renewed from the residuals of their rows (kernels/renew.ts), for losses that ask for it. */
import { type Renewal } from '../core/loss.js';
import { type Derivatives } from './derive.js';
import { type GrownTree } from './gradient-grower.js';
import { type Address, type KernelMemory } from './kernel-memory.js';

/** Where the grower keeps the rows of its leaves, and has room of the same size. */
export interface GrownRows {
  readonly entries: Address;
  readonly spare: Address;
}

export class LeafRenewal {
  /** Scores for the grower to add its own leaf values to, which nobody reads. */
  readonly scratch: Address;
  private readonly ranges: Address;
  private readonly values: Address;

  constructor(
    private readonly memory: KernelMemory,
    private readonly renewal: Renewal,
    private readonly rows: GrownRows,
    private readonly derivatives: Derivatives,
    { rowCount, numLeaves }: { readonly rowCount: number; readonly numLeaves: number },
  ) {
    this.scratch = memory.allocate(rowCount * 8);
    this.ranges = memory.allocate(numLeaves * 8);
    this.values = memory.allocate(numLeaves * 4);
  }

  /** Replaces the values of the tree's leaves, and adds them to the scores of the rows that it grew on. */
  renew({ tree, leaves }: GrownTree, learningRate: number): void {
    const { memory, renewal, rows, derivatives } = this;
    const ranges = memory.int32(this.ranges, 2 * leaves.length);
    leaves.forEach(({ begin, end }, i) => ranges.set([begin, end], 2 * i));
    const call = renewal.name === 'huber' ? memory.call.renewHuber : memory.call.renewQuantile;
    call(
      leaves.length,
      this.ranges,
      rows.entries,
      rows.spare,
      derivatives.raw[0],
      derivatives.y,
      derivatives.weights,
      renewal.name === 'huber' ? renewal.delta : renewal.share,
      learningRate,
      this.values,
    );
    const values = memory.float32(this.values, leaves.length);
    leaves.forEach(({ node }, i) => (tree.value[node] = values[i]));
  }
}

/**
 * Room for the histograms of open leaves. There is room for so many; beyond that the leaf that is split last gives its own up,
 * and is counted again if its turn comes. Counts are exact, so this changes no tree.
 */
import { type Address, HISTOGRAM_BYTES, type KernelMemory } from './kernel-memory.js';
import { type OpenLeaf } from './open-leaf.js';

/** Bytes of histograms at most, and how many there are at least. */
const MOST_BYTES = 8 * 2 ** 20;
const FEWEST = 8;

export class HistogramPool {
  private readonly free: Address[] = [];
  private readonly most: number;
  private made = 0;
  /** Open leaves that can do without, for a while. */
  private readonly holders: OpenLeaf[] = [];

  constructor(
    private readonly memory: KernelMemory,
    private readonly features: number,
    private readonly isFirst: (a: OpenLeaf, b: OpenLeaf) => boolean,
  ) {
    this.most = Math.max(FEWEST, Math.floor(MOST_BYTES / (features * HISTOGRAM_BYTES)));
  }

  take(): Address {
    const free = this.free.pop();
    if (free !== undefined) return free;
    if (this.made < this.most) {
      this.made++;
      return this.memory.allocate(this.features * HISTOGRAM_BYTES);
    }
    const last = this.holders.reduce((last, leaf) => (this.isFirst(last, leaf) ? leaf : last));
    const { histogram } = last;
    this.withdraw(last);
    last.histogram = null;
    return histogram!;
  }

  /** The leaf waits for its turn: until it is withdrawn, its histogram may be taken from it. */
  lend(leaf: OpenLeaf): void {
    if (leaf.histogram !== null) this.holders.push(leaf);
  }

  withdraw(leaf: OpenLeaf): void {
    const at = this.holders.indexOf(leaf);
    if (at < 0) return;
    const last = this.holders.pop()!;
    if (at < this.holders.length) this.holders[at] = last;
  }

  release(leaf: OpenLeaf): void {
    if (leaf.histogram !== null) this.free.push(leaf.histogram);
    leaf.histogram = null;
  }
}

/** A leaf while its tree grows, and which of them is split next. */
import { type Candidate } from './candidate.js';
import { type Bounds } from './leaf-weight.js';
import { type Address } from './kernel-memory.js';

/** Entries begin … end-1, their sums in whole numbers, and the best way to split them. */
export interface OpenLeaf {
  readonly node: number;
  readonly begin: number;
  readonly end: number;
  readonly g: number;
  readonly h: number;
  readonly depth: number;
  /** Between which its weight and all weights below it lie. */
  readonly bounds: Bounds;
  /** Groups of features, one of which all features on its path are in; null: any features may act together. */
  readonly groups: readonly ReadonlySet<number>[] | null;
  readonly best: Candidate;
  /** Times the rows that a side must seem to hold: see `GradientGrower.refuse`. */
  caution: number;
  /** Null while it is not needed, or given up for want of space. */
  histogram: Address | null;
}

export const GROWTHS = ['LEAF_WISE', 'DEPTH_WISE'] as const;
export type Growth = (typeof GROWTHS)[number];

/**
 * Which of two leaves is split first. Leaf by leaf: the one that gains more. Level by level: the older one, for children are
 * younger than all leaves of their parent's level. Nodes are numbered by age.
 */
export function comesFirst(growth: Growth): (a: OpenLeaf, b: OpenLeaf) => boolean {
  return growth === 'DEPTH_WISE'
    ? (a, b) => a.node < b.node
    : (a, b) => a.best.gain > b.best.gain || (a.best.gain === b.best.gain && a.node < b.node);
}

/** Leaves that wait to be split: a binary heap. */
export class LeafQueue {
  private readonly leaves: OpenLeaf[] = [];

  constructor(private readonly isFirst: (a: OpenLeaf, b: OpenLeaf) => boolean) {}

  push(leaf: OpenLeaf): void {
    const { leaves, isFirst } = this;
    let at = leaves.length;
    for (let parent = (at - 1) >> 1; at > 0 && isFirst(leaf, leaves[parent]); parent = (at - 1) >> 1) {
      leaves[at] = leaves[parent];
      at = parent;
    }
    leaves[at] = leaf;
  }

  pop(): OpenLeaf | undefined {
    const { leaves, isFirst } = this;
    const first = leaves[0];
    const last = leaves.pop();
    if (last === undefined || leaves.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child + 1 < leaves.length && isFirst(leaves[child + 1], leaves[child])) child++;
      if (child >= leaves.length || !isFirst(leaves[child], last)) break;
      leaves[at] = leaves[child];
      at = child;
    }
    leaves[at] = last;
    return first;
  }

  /** The leaves that still wait leave the queue. */
  drain(): OpenLeaf[] {
    return this.leaves.splice(0);
  }
}

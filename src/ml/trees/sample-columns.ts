/** Which features a tree, a level of it and a node may use. */
import { type Rng } from '../core/rng.js';

/** A share of them drawn without replacement, ascending; at least one. */
export function drawColumns(columns: Uint32Array, share: number, rng: Rng): Uint32Array {
  if (share >= 1 || columns.length === 0) return columns;
  const drawn = columns.slice();
  const count = Math.max(1, Math.round(columns.length * share));
  rng.shuffle(drawn, count);
  return drawn.slice(0, count).sort();
}

export interface ColumnShares {
  readonly byLevel: number;
  readonly byNode: number;
}

/** Each level draws from the columns of the tree, each node from those of its level that may act together with its path. */
export class TreeColumns {
  private readonly levels: Uint32Array[] = [];

  constructor(
    private readonly columns: Uint32Array,
    private readonly shares: ColumnShares,
    private readonly rng: Rng,
  ) {}

  /** The same array where nothing is drawn. */
  of(depth: number, groups: readonly ReadonlySet<number>[] | null): Uint32Array {
    while (this.levels.length <= depth) this.levels.push(drawColumns(this.columns, this.shares.byLevel, this.rng));
    const level = this.levels[depth];
    const allowed = groups === null ? level : level.filter((f) => groups.some((group) => group.has(f)));
    return drawColumns(allowed, this.shares.byNode, this.rng);
  }
}

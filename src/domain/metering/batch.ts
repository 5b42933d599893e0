import { nodeOf } from '../audit/audit.service.js';
import type { Batch, BatchSignature, LogKeys } from '../audit/log-key.service.js';

/**
 * The Merkle tree of RFC 6962 over the entries of one flush. `rows[0]` has the leaves, each row above the pairs of the one below; a last
 * one without a partner goes up as it is.
 */
export class BatchTree {
  private readonly rows: Buffer[][];
  /** By row and place, base64, as far as asked for. */
  private readonly texts: string[][];

  /** At least one leaf. */
  constructor(leaves: Buffer[]) {
    this.rows = [leaves];
    for (let row = leaves; row.length > 1; this.rows.push(row)) {
      const above: Buffer[] = [];
      for (let i = 0; i + 1 < row.length; i += 2) above.push(nodeOf(row[i]!, row[i + 1]!));
      if (row.length % 2 === 1) above.push(row.at(-1)!);
      row = above;
    }
    this.texts = this.rows.map(() => []);
  }

  get root(): Buffer {
    return this.rows.at(-1)![0]!;
  }

  leaf(place: number): Buffer {
    return this.rows[0]![place]!;
  }

  /** The inclusion path of section 2.1.1, lowest first, in base64. */
  path(place: number): string[] {
    const path: string[] = [];
    for (let height = 0; height < this.rows.length; height++, place >>= 1) {
      const sibling = this.rows[height]![place ^ 1];
      if (sibling) path.push((this.texts[height]![place ^ 1] ??= sibling.toString('base64')));
    }
    return path;
  }
}

/** What signs the roots of batches. */
export type Signer = Pick<LogKeys, 'origin' | 'current' | 'signBatch'>;

/** One flush, recorded and signed. */
export interface SignedBatch extends Batch, BatchSignature {
  readonly tree: BatchTree;
}

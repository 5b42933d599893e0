import type pg from 'pg';
import { runOn } from '../domain/audit/log-key.service.js';
import { listKeys } from '../domain/audit/log-key.repo.js';
import { checkpointText, isSignedBy, keyId, ED25519, readSignatureLine } from '../domain/audit/note.js';
import { type CheckpointRow, ENTRIES, findCheckpoint, findTile } from '../domain/audit/tree.repo.js';
import { EMPTY_ROOT, HASH_BYTES, leafOf, subtree, TILE_WIDTH, type TreeHasher } from '../domain/audit/tree.js';

export interface TreeFault {
  readonly index: number;
  readonly because: string;
}

/** Holds the stored tree of the log, its tiles and its last checkpoint, to the leaves that come from the rows, one after the other. */
export class TreeCheck {
  private readonly levels: Buffer[][] = [];
  private tile: Buffer | null = null;
  private rootThere: Buffer | null = null;

  private constructor(
    private readonly client: pg.Client,
    private readonly checkpoint: CheckpointRow | null,
  ) {}

  /** In the transaction of the client. */
  static async open(client: pg.Client): Promise<TreeCheck> {
    return new TreeCheck(client, await findCheckpoint(runOn(client)));
  }

  /** What is wrong with the tree at the leaf that `tree` ends with. */
  async follow(tree: TreeHasher, leaf: Buffer): Promise<string | null> {
    const index = tree.size - 1;
    if (index >= this.signedSize) return null;
    const place = index % TILE_WIDTH;
    if (place === 0) this.tile = await findTile(runOn(this.client), ENTRIES, index / TILE_WIDTH);
    const entry = this.tile?.subarray(place * HASH_BYTES, (place + 1) * HASH_BYTES);
    if (entry?.length !== HASH_BYTES) return 'its tile does not hold it';
    if (!leafOf(entry).equals(leaf)) return 'its tile holds another entry';
    this.add(0, leaf);
    if (tree.size === this.signedSize) this.rootThere = tree.root();
    return null;
  }

  /** What is wrong above the leaves: hashes of tiles, root and signature of the checkpoint. */
  async finish(): Promise<TreeFault | null> {
    if (!this.checkpoint) return null;
    for (const [level, hashes] of this.levels.entries()) {
      for (let first = 0; level > 0 && first < hashes.length; first += TILE_WIDTH) {
        const data = await findTile(runOn(this.client), level, first / TILE_WIDTH);
        if (!data?.equals(Buffer.concat(hashes.slice(first, first + TILE_WIDTH))))
          return {
            index: first * TILE_WIDTH ** level,
            because: `the tile of level ${level} from it on has other hashes`,
          };
      }
    }
    const { origin, treeSize, rootHash, note } = this.checkpoint;
    const root = treeSize === 0 ? EMPTY_ROOT : this.rootThere;
    if (!root?.equals(rootHash)) return { index: treeSize, because: 'the checkpoint up to it has another root' };
    const text = checkpointText({ origin, treeSize, rootHash });
    const line = readSignatureLine(note.slice(text.length + 1));
    const keys = await listKeys(this.client);
    const isSigned = keys.some(
      ({ publicKey }) =>
        line !== null &&
        line.keyId === keyId(origin, ED25519, publicKey) &&
        note.startsWith(`${text}\n`) &&
        isSignedBy(publicKey, text, line.signature),
    );
    return isSigned ? null : { index: treeSize, because: 'no key of the log has signed the checkpoint up to it' };
  }

  private get signedSize(): number {
    return this.checkpoint?.treeSize ?? 0;
  }

  private add(level: number, hash: Buffer): void {
    const hashes = (this.levels[level] ??= []);
    hashes.push(hash);
    if (hashes.length % TILE_WIDTH !== 0) return;
    this.add(level + 1, subtree(Buffer.concat(hashes.slice(-TILE_WIDTH)), 0, TILE_WIDTH));
    // The leaves are compared one by one, and not needed again.
    if (level === 0) hashes.length = 0;
  }
}

import { hash } from 'node:crypto';

/*
 * The Merkle tree of RFC 6962 section 2.1 over the log's entries, in tiles of 256 hashes as C2SP tlog-tiles lays it out. A node is
 * named by its height above the leaves and its place in that row; the nodes that a growing log never changes are those over full
 * subtrees, and everything else is hashed from them.
 */

/** Hashes of a full tile, and the heights that one tile spans. */
export const TILE_WIDTH = 256;
export const TILE_HEIGHT = 8;
export const HASH_BYTES = 32;

// What is hashed is put together here: with one-shot hashes that is three times as fast as a Hash object fed piece by piece.
const leafInput = Buffer.alloc(1 + HASH_BYTES, 0);
const nodeInput = Buffer.alloc(1 + 2 * HASH_BYTES, 1);

/** The root of a tree without leaves: SHA-256 of nothing. */
export const EMPTY_ROOT = hash('sha256', '', 'buffer');

/** SHA-256 (0x00 || entry), an entry of 32 bytes. */
export function leafOf(entry: Buffer): Buffer {
  if (entry.length !== HASH_BYTES) throw new RangeError('A public entry has 32 bytes.');
  entry.copy(leafInput, 1);
  return hash('sha256', leafInput, 'buffer');
}

/** SHA-256 (0x01 || left || right). */
export function nodeOf(left: Buffer, right: Buffer): Buffer {
  left.copy(nodeInput, 1);
  right.copy(nodeInput, 1 + HASH_BYTES);
  return hash('sha256', nodeInput, 'buffer');
}

/** The tree hash, leaf by leaf, keeping one hash for each full subtree: the tree's right edge. */
export class TreeHasher {
  private readonly full: { root: Buffer; leaves: number }[] = [];
  size = 0;
  /** Over the last TILE_WIDTH leaves, when they have just become full. */
  lastTile: Buffer = EMPTY_ROOT;

  append(leafHash: Buffer): void {
    let root = leafHash;
    let leaves = 1;
    while (this.full.at(-1)?.leaves === leaves) {
      root = nodeOf(this.full.pop()!.root, root);
      leaves *= 2;
      if (leaves === TILE_WIDTH) this.lastTile = root;
    }
    this.full.push({ root, leaves });
    this.size++;
  }

  /** Goes on with a tree of `size` leaves. */
  static async resume(tree: Tree, size: number): Promise<TreeHasher> {
    const hasher = new TreeHasher();
    for (let height = Math.floor(Math.log2(Math.max(1, size))); height >= 0; height--) {
      const leaves = 2 ** height;
      if (Math.floor(size / leaves) % 2 === 0) continue;
      hasher.full.push({ root: await tree.node(height, hasher.size / leaves), leaves });
      hasher.size += leaves;
    }
    return hasher;
  }

  /** 32 bytes. */
  root(): Buffer {
    if (this.size === 0) return EMPTY_ROOT;
    return this.full.map(({ root }) => root).reduceRight((right, left) => nodeOf(left, right));
  }
}

/** The hashes of a tile, one after another, as many as there are; level 0 has the leaves. Throws where there is none. */
export type TileReader = (level: number, index: number) => Promise<Buffer>;

/** Roots and proofs of any earlier size of a tree, from its tiles. Errors of the reader pass through. */
export class Tree {
  private readonly tiles = new Map<string, Promise<Buffer>>();

  constructor(private readonly readTile: TileReader) {}

  /** The root of the first `size` leaves. */
  root(size: number): Promise<Buffer> {
    return size === 0 ? Promise.resolve(EMPTY_ROOT) : this.range(0, size);
  }

  /** PATH of RFC 6962 section 2.1.1: the hashes that lead from leaf `index` to the root of `size` leaves, lowest first. */
  async inclusion(index: number, size: number): Promise<Buffer[]> {
    const path: Buffer[] = [];
    for (let [low, high] = [0, size]; high - low > 1;) {
      const middle = low + splitOf(high - low);
      const isLeft = index < middle;
      path.push(isLeft ? await this.range(middle, high) : await this.range(low, middle));
      if (isLeft) high = middle;
      else low = middle;
    }
    return path.reverse();
  }

  /** PROOF of RFC 6962 section 2.1.2, that the tree of `to` leaves continues that of `from`; 0 < from <= to. */
  async consistency(from: number, to: number): Promise<Buffer[]> {
    const path: Buffer[] = [];
    let [low, high] = [0, to];
    while (high !== from) {
      const middle = low + splitOf(high - low);
      const isLeft = from <= middle;
      path.push(isLeft ? await this.range(middle, high) : await this.range(low, middle));
      if (isLeft) high = middle;
      else low = middle;
    }
    // The old tree itself is known to whoever asks, unless it is only the right part of a subtree of it.
    if (low > 0) path.push(await this.range(low, high));
    return path.reverse();
  }

  /** MTH of the leaves from `low` up to `high`, exclusive. `low` is a multiple of the power of two that the range fits in. */
  private async range(low: number, high: number): Promise<Buffer> {
    const size = high - low;
    const height = Math.ceil(Math.log2(size));
    if (2 ** height === size) return this.node(height, low / size);
    const middle = low + splitOf(size);
    return nodeOf(await this.range(low, middle), await this.range(middle, high));
  }

  /** The root of the full subtree of 2^height leaves, the `index`-th of them. */
  async node(height: number, index: number): Promise<Buffer> {
    const inside = height % TILE_HEIGHT;
    const first = index * 2 ** inside;
    const tile = await this.tile((height - inside) / TILE_HEIGHT, Math.floor(first / TILE_WIDTH));
    return subtree(tile, first % TILE_WIDTH, 2 ** inside);
  }

  private tile(level: number, index: number): Promise<Buffer> {
    const name = `${level}/${index}`;
    const tile = this.tiles.get(name) ?? this.readTile(level, index);
    this.tiles.set(name, tile);
    return tile;
  }
}

/** The root over `count` hashes of a tile, a power of two, from hash `first` on. */
export function subtree(tile: Buffer, first: number, count: number): Buffer {
  if ((first + count) * HASH_BYTES > tile.length) throw new RangeError('The tile does not reach so far.');
  if (count === 1) return tile.subarray(first * HASH_BYTES, (first + 1) * HASH_BYTES);
  return nodeOf(subtree(tile, first, count / 2), subtree(tile, first + count / 2, count / 2));
}

/** The hashes of level 0 for a tile of entries. */
export function leavesOf(entries: Buffer): Buffer {
  const leaves = Buffer.allocUnsafe(entries.length);
  for (let at = 0; at < entries.length; at += HASH_BYTES)
    leafOf(entries.subarray(at, at + HASH_BYTES)).copy(leaves, at);
  return leaves;
}

/** The largest power of two below `size` (> 1). */
function splitOf(size: number): number {
  let power = 1;
  while (power * 2 < size) power *= 2;
  return power;
}

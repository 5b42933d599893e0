import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { leafOf, subtree, TILE_WIDTH, Tree, TreeHasher } from '../../src/domain/audit/tree.js';

const sha256 = (...parts: Buffer[]) => createHash('sha256').update(Buffer.concat(parts)).digest();

/** The definitions of RFC 6962 section 2.1, as they stand there. */
function mth(leaves: Buffer[]): Buffer {
  if (leaves.length === 0) return sha256();
  if (leaves.length === 1) return leaves[0]!;
  const k = splitOf(leaves.length);
  return sha256(Buffer.of(1), mth(leaves.slice(0, k)), mth(leaves.slice(k)));
}
function pathOf(m: number, leaves: Buffer[]): Buffer[] {
  if (leaves.length === 1) return [];
  const k = splitOf(leaves.length);
  return m < k
    ? [...pathOf(m, leaves.slice(0, k)), mth(leaves.slice(k))]
    : [...pathOf(m - k, leaves.slice(k)), mth(leaves.slice(0, k))];
}
function proof(m: number, leaves: Buffer[], known = true): Buffer[] {
  if (m === leaves.length) return known ? [] : [mth(leaves)];
  const k = splitOf(leaves.length);
  return m <= k
    ? [...proof(m, leaves.slice(0, k), known), mth(leaves.slice(k))]
    : [...proof(m - k, leaves.slice(k), false), mth(leaves.slice(0, k))];
}
const splitOf = (n: number) => 2 ** Math.floor(Math.log2(n - 1));

/** All tiles of the leaves, as wide as they get. */
function treeOf(leaves: Buffer[]): Tree {
  const levels = [leaves];
  while (levels.at(-1)!.length >= TILE_WIDTH) {
    const below = levels.at(-1)!;
    levels.push(
      Array.from({ length: Math.floor(below.length / TILE_WIDTH) }, (_, i) =>
        subtree(Buffer.concat(below.slice(i * TILE_WIDTH, (i + 1) * TILE_WIDTH)), 0, TILE_WIDTH),
      ),
    );
  }
  return new Tree((level, index) =>
    Promise.resolve(Buffer.concat(levels[level]!.slice(index * TILE_WIDTH, (index + 1) * TILE_WIDTH))),
  );
}

/** The verifier of Sigstore's transparency log, which npm brings along for the provenance of packages. */
const path = join(process.execPath, '../../lib/node_modules/npm/node_modules/@sigstore/verify/dist/tlog/merkle.js');
const sigstore = existsSync(path) ? path : null;

describe('the tree', () => {
  const entries = Array.from({ length: 1100 }, () => randomBytes(32));
  const leaves = entries.map(leafOf);

  it.skipIf(!sigstore)('has proofs that an implementation which is not ours accepts', async () => {
    type Verify = (entry: object, checkpoint: { logSize: bigint; logHash: Buffer }) => void;
    const { verifyMerkleInclusion } = createRequire(import.meta.url)(sigstore!) as { verifyMerkleInclusion: Verify };
    const tree = treeOf(leaves);
    for (const size of [1, 2, 3, 7, 8, 255, 256, 257, 700, 1100])
      for (const index of [0, 1, 2, 6, 254, 255, 256, size - 1].filter((one) => one < size)) {
        const [hashes, logHash] = [await tree.inclusion(index, size), await tree.root(size)];
        const claim = { canonicalizedBody: entries[index]!, inclusionProof: { logIndex: String(index), hashes } };
        verifyMerkleInclusion(claim, { logSize: BigInt(size), logHash });
        const other = { ...claim, canonicalizedBody: randomBytes(32) };
        expect(() => verifyMerkleInclusion(other, { logSize: BigInt(size), logHash })).toThrow('does not match');
      }
  });

  it('has the roots and proofs that RFC 6962 defines, at every small size', async () => {
    const tree = treeOf(leaves);
    for (let size = 1; size <= 34; size++) {
      const some = leaves.slice(0, size);
      expect(await tree.root(size)).toEqual(mth(some));
      for (let m = 0; m < size; m++) expect(await tree.inclusion(m, size)).toEqual(pathOf(m, some));
      for (let m = 1; m <= size; m++) expect(await tree.consistency(m, size)).toEqual(proof(m, some));
    }
  });

  it('and across the borders of tiles', async () => {
    const tree = treeOf(leaves);
    for (const size of [255, 256, 257, 511, 512, 513, 700, 1023, 1024, 1025, 1100]) {
      const some = leaves.slice(0, size);
      expect(await tree.root(size)).toEqual(mth(some));
      for (const m of [0, 1, 254, 255, 256, 511, 512, size - 1].filter((one) => one < size))
        expect(await tree.inclusion(m, size)).toEqual(pathOf(m, some));
      for (const m of [1, 2, 255, 256, 257, 512, 700, size - 1, size].filter((one) => one <= size))
        expect(await tree.consistency(m, size)).toEqual(proof(m, some));
    }
  });

  it('goes on from any size', async () => {
    for (const size of [0, 1, 3, 255, 256, 257, 1000]) {
      const hasher = await TreeHasher.resume(treeOf(leaves), size);
      expect(hasher.size).toBe(size);
      expect(hasher.root()).toEqual(mth(leaves.slice(0, size)));
      for (const leaf of leaves.slice(size)) hasher.append(leaf);
      expect(hasher.root()).toEqual(mth(leaves));
    }
  });
});

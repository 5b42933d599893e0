import { createHash, randomBytes } from 'node:crypto';
import canonicalize from 'canonicalize';

/** What every audit entry says, before it is hashed. */
export interface LeafContent {
  readonly at: string;
  readonly kind: string;
  readonly tenantId: string;
  /** Who may read the entry as well: what decides that must not be changeable behind the hash. */
  readonly counterpartyTenantId: string | null;
  readonly actor: { readonly kind: string; readonly id: string };
  readonly subjectId: string | null;
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface Leaf {
  /** Canonical JSON (RFC 8785): one content, one byte string. */
  readonly content: string;
  /** 16 random bytes: without it, a leaf hash would tell anyone who can guess the content. */
  readonly salt: Buffer;
  readonly hash: Buffer;
}

const LEAF = Buffer.of(0);
const NODE = Buffer.of(1);

export function makeLeaf(content: LeafContent): Leaf {
  const text = canonicalize(content);
  if (text === undefined) throw new TypeError('An audit entry must be JSON.');
  const salt = randomBytes(16);
  return { content: text, salt, hash: leafHash(salt, text) };
}

/** RFC 6962 section 2.1: SHA-256 (0x00 || leaf data), where the leaf data is salt || content. 32 bytes. */
export function leafHash(salt: Buffer, content: string): Buffer {
  return createHash('sha256').update(LEAF).update(salt).update(content, 'utf8').digest();
}

/** The Merkle tree hash of RFC 6962 section 2.1, leaf by leaf, keeping one hash for each full subtree. */
export class TreeHasher {
  private readonly full: { hash: Buffer; leaves: number }[] = [];
  size = 0;

  append(leaf: Buffer): void {
    let hash = leaf;
    let leaves = 1;
    while (this.full.at(-1)?.leaves === leaves) {
      hash = nodeHash(this.full.pop()!.hash, hash);
      leaves *= 2;
    }
    this.full.push({ hash, leaves });
    this.size++;
  }

  /** 32 bytes; of an empty tree SHA-256 of nothing. */
  root(): Buffer {
    if (this.size === 0) return createHash('sha256').digest();
    return this.full.map(({ hash }) => hash).reduceRight((right, left) => nodeHash(left, right));
  }
}

function nodeHash(left: Buffer, right: Buffer): Buffer {
  return createHash('sha256').update(NODE).update(left).update(right).digest();
}

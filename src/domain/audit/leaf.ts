import { createHash, randomBytes } from 'node:crypto';
import canonicalize from 'canonicalize';

/** What every audit entry says, before it is hashed. */
export interface LeafContent {
  readonly at: string;
  readonly kind: string;
  readonly tenantId: string;
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

const LEAF = Buffer.of(0);

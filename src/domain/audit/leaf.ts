import { createHash, randomBytes } from 'node:crypto';
import canonicalize from 'canonicalize';
import { leafOf } from './tree.js';

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
  /** 16 random bytes: without it, the public entry would tell anyone who can guess the content. */
  readonly salt: Buffer;
  readonly hash: Buffer;
}

export function makeLeaf(content: LeafContent): Leaf {
  const text = canonicalize(content);
  if (text === undefined) throw new TypeError('An audit entry must be JSON.');
  const salt = randomBytes(16);
  return { content: text, salt, hash: leafHash(salt, text) };
}

/** What is public of an administrative entry, and all of it: SHA-256 (salt || content), 32 bytes. */
export function entryOf(salt: Buffer, content: string): Buffer {
  return createHash('sha256').update(salt).update(content, 'utf8').digest();
}

/** The entry's leaf in the tree of the log (RFC 6962 section 2.1): SHA-256 (0x00 || entry), 32 bytes. */
export function leafHash(salt: Buffer, content: string): Buffer {
  return leafOf(entryOf(salt, content));
}

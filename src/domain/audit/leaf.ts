import { hash, randomBytes } from 'node:crypto';
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

/** What predictions are salted with beside their id, which is in the content. */
export const NO_SALT = Buffer.alloc(0);

/** What is public of an entry, and all of it: SHA-256 (salt || content), 32 bytes. */
export function entryOf(salt: Buffer, content: string): Buffer {
  return hash('sha256', salt.length === 0 ? content : Buffer.concat([salt, Buffer.from(content)]), 'buffer');
}

/** The entry's leaf in the tree of the log (RFC 6962 section 2.1): SHA-256 (0x00 || entry), 32 bytes. */
export function leafHash(salt: Buffer, content: string): Buffer {
  return leafOf(entryOf(salt, content));
}

/** What the entry of a prediction says, without a further salt. Digests in hexadecimal; null in refusals. */
export interface PredictionContent {
  readonly at: string;
  /** ANSWERED, or why it was refused. */
  readonly code: string;
  /** SHA-256 of the canonical JSON of who asked what under which terms. */
  readonly contextDigest: string;
  readonly durationUs: number;
  readonly index: number;
  readonly inputDigest: string | null;
  readonly kind: 'prediction';
  readonly outputDigest: string | null;
  /** Its random bits salt the entry. */
  readonly predictionId: string;
  readonly rowCount: number;
}

/** Canonical JSON (RFC 8785): names in order, and no text in it that JSON would escape. Ten times faster than sorting. */
export function predictionContent(p: PredictionContent): string {
  const [input, output] = [quoted(p.inputDigest), quoted(p.outputDigest)];
  return (
    `{"at":"${p.at}","code":"${p.code}","contextDigest":"${p.contextDigest}","durationUs":${p.durationUs},"index":${p.index},` +
    `"inputDigest":${input},"kind":"prediction","outputDigest":${output},"predictionId":"${p.predictionId}","rowCount":${p.rowCount}}`
  );
}

function quoted(text: string | null): string {
  return text === null ? 'null' : `"${text}"`;
}

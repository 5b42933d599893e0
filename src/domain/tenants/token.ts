import { createHash, hash, randomBytes } from 'node:crypto';

/** What a token opens, by its first letters, so that a leaked one can be recognised for what it is. */
const TOKEN_PREFIXES = { session: 'cs', apiKey: 'ck', invitation: 'ci' } as const;
export type TokenKind = keyof typeof TOKEN_PREFIXES;

const KINDS = new Map<string, TokenKind>(
  Object.entries(TOKEN_PREFIXES).map(([kind, prefix]) => [prefix, kind as TokenKind]),
);
const TOKEN = /^(cs|ck|ci)_[A-Za-z0-9_-]{43}$/;

/** A new secret of 256 random bits: prefix, underscore, base64url. Shown once; only its hash is kept. */
export function newToken(kind: TokenKind): { token: string; hash: Buffer } {
  const token = `${TOKEN_PREFIXES[kind]}_${randomBytes(32).toString('base64url')}`;
  return { token, hash: hashToken(token) };
}

/** SHA-256, 32 bytes. The token is random enough that neither salt nor slowness would add anything. */
export function hashToken(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

/** The same in hexadecimal, quickly: for every request. */
export function hashHex(token: string): string {
  return hash('sha256', token, 'hex');
}

/** Which kind of token this has the form of, or null. */
export function tokenKind(token: string): TokenKind | null {
  return TOKEN.test(token) ? (KINDS.get(token.slice(0, 2)) ?? null) : null;
}

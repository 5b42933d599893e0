import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';

/*
 * Signed notes and what is signed in them, as C2SP has them: signed-note, tlog-checkpoint, tlog-cosignature (c2sp.org). A note is a
 * text that ends in a line feed, an empty line, and one line a signature: em dash, space, name of the key, space, base64 of the
 * key's 4-byte id and the signature.
 */

/** DER of a PKCS #8 Ed25519 private key and of a SubjectPublicKeyInfo (RFC 8410), up to the 32 raw bytes. */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');
const SPKI = Buffer.from('302a300506032b6570032100', 'hex');

/** The kinds of signature: of a log over its checkpoint, of a witness over a checkpoint and a time. */
export const ED25519 = 0x01;
export const COSIGNATURE_V1 = 0x04;

/** A name that a key may have: not empty, no space, no plus sign. */
export const KEY_NAME = /^[^\s+]{1,200}$/u;

/** First 4 bytes of SHA-256 (name || line feed || kind || public key), 8 hexadecimal digits. */
export function keyId(name: string, kind: number, publicKey: Buffer): string {
  const hash = createHash('sha256').update(`${name}\n`, 'utf8').update(Buffer.of(kind)).update(publicKey);
  return hash.digest('hex').slice(0, 8);
}

/** A public key as it is handed on: `name+id+base64 (kind || public key)`. */
export function verifierKey(name: string, kind: number, publicKey: Buffer): string {
  return `${name}+${keyId(name, kind, publicKey)}+${Buffer.concat([Buffer.of(kind), publicKey]).toString('base64')}`;
}

export function signatureLine(name: string, id: string, signature: Buffer): string {
  return `— ${name} ${Buffer.concat([Buffer.from(id, 'hex'), signature]).toString('base64')}\n`;
}

/** The text of a checkpoint: whose log, how many entries, and the root of their tree. */
export interface Checkpoint {
  readonly origin: string;
  readonly treeSize: number;
  /** 32 bytes. */
  readonly rootHash: Buffer;
}

export function checkpointText({ origin, treeSize, rootHash }: Checkpoint): string {
  return `${origin}\n${treeSize}\n${rootHash.toString('base64')}\n`;
}

/** `seed`: the 32 bytes of an Ed25519 private key (RFC 8032). */
export function privateKeyOf(seed: Buffer): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' });
}

export function publicKeyOf(privateKey: KeyObject): Buffer {
  return createPublicKey(privateKey).export({ format: 'der', type: 'spki' }).subarray(SPKI.length);
}

/** 64 bytes; Ed25519 is deterministic, so the same text has the same signature. */
export function signWith(privateKey: KeyObject, text: string | Buffer): Buffer {
  return sign(null, typeof text === 'string' ? Buffer.from(text, 'utf8') : text, privateKey);
}

/** False too where the key is no point of the curve. `publicKey`: 32 bytes. */
export function isSignedBy(publicKey: Buffer, text: string, signature: Buffer): boolean {
  try {
    const key = createPublicKey({ key: Buffer.concat([SPKI, publicKey]), format: 'der', type: 'spki' });
    return verify(null, Buffer.from(text, 'utf8'), key, signature);
  } catch {
    return false;
  }
}

/** What a witness signs: that it saw this checkpoint, and before it none that does not agree, at this time (POSIX seconds). */
export function cosignatureText(checkpoint: Checkpoint, seconds: number): string {
  return `cosignature/v1\ntime ${seconds}\n${checkpointText(checkpoint)}`;
}

export interface SignatureLine {
  readonly name: string;
  /** 8 hexadecimal digits. */
  readonly keyId: string;
  readonly signature: Buffer;
  /** As it stands in a note. */
  readonly text: string;
}

/** Null where this is no signature line of a note. */
export function readSignatureLine(line: string): SignatureLine | null {
  const [, name, encoded] = /^— ([^\s+]{1,200}) ([A-Za-z0-9+/]+={0,2})\n?$/u.exec(line) ?? [];
  if (name === undefined || encoded === undefined) return null;
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes.length < 5 || bytes.toString('base64') !== encoded) return null;
  return { name, keyId: bytes.toString('hex', 0, 4), signature: bytes.subarray(4), text: `— ${name} ${encoded}\n` };
}

import { createHash, createPublicKey, verify } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { Receipt } from '../../src/domain/metering/receipt.js';

const sha256 = (...parts: (Buffer | string)[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** What is wrong with a receipt, by the platform's public key (32 bytes) alone; null if nothing is. As docs/api.md says. */
export function faultOf({ entry, context, batch, origin }: Receipt, publicKey: Buffer): string | null {
  if (sha256(canonicalize(context)!).toString('hex') !== entry.contextDigest) return 'the context';
  let hash = sha256(Buffer.of(0), sha256(canonicalize(entry)!));
  // RFC 9162, section 2.1.3.2.
  let [fn, sn] = [entry.index - batch.firstIndex, batch.size - 1];
  if (fn < 0 || fn > sn) return 'the index';
  for (const step of batch.path.map((base64) => Buffer.from(base64, 'base64'))) {
    if (sn === 0) return 'the path';
    const isRight = fn % 2 === 1 || fn === sn;
    hash = isRight ? sha256(Buffer.of(1), step, hash) : sha256(Buffer.of(1), hash, step);
    if (isRight) while (fn % 2 === 0 && fn > 0) [fn, sn] = [fn >> 1, sn >> 1];
    [fn, sn] = [fn >> 1, sn >> 1];
  }
  if (sn !== 0) return 'the path';
  const { firstIndex, size, at, signature } = batch;
  const text = `concordat batch\n${origin}\n${firstIndex}\n${size}\n${hash.toString('base64')}\n${at}\n`;
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: publicKey.toString('base64url') };
  const key = createPublicKey({ key: jwk, format: 'jwk' });
  return verify(null, Buffer.from(text), key, Buffer.from(signature, 'base64')) ? null : 'the signature';
}

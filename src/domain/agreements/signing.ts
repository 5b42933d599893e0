import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import type { Tx } from '../../platform/db.js';
import { newId } from '../../platform/ids.js';
import type { KeyRing } from '../../platform/keys.js';
import type { Scope } from '../../platform/scope.js';
import { findSigningKey, insertSigningKey } from './agreement.repo.js';

/** DER of a PKCS #8 Ed25519 private key and of a SubjectPublicKeyInfo (RFC 8410), up to the 32 raw bytes. */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');
const SPKI = Buffer.from('302a300506032b6570032100', 'hex');

export interface Signature {
  /** Raw Ed25519 public key (RFC 8032), 32 bytes. */
  readonly publicKey: Buffer;
  /** 64 bytes. */
  readonly signature: Buffer;
}

/**
 * Signs for the scope's tenant with the key that the platform keeps for it (made on first use): a custodial signature, worth as
 * much as the platform's word. The private key is a key like a blob's: 32 random bytes, wrapped under the tenant's key.
 */
export async function signCustodially(
  tx: Tx,
  scope: Pick<Scope, 'tenantId'>,
  { keys, text, now }: { keys: KeyRing; text: string; now: Date },
): Promise<Signature> {
  let held = await findSigningKey(tx);
  if (!held) {
    const id = newId('signingKey');
    const { key, wrappedKey } = await keys.makeBlobKey(tx, scope, id);
    const publicKey = rawPublicKey(privateKeyOf(key));
    await insertSigningKey(tx, {
      tenantId: scope.tenantId,
      id,
      publicKey,
      sealedPrivateKey: wrappedKey,
      createdAt: now,
    });
    // Two first signatures at once make one key: whoever comes second reads the first one's.
    held = (await findSigningKey(tx))!;
  }
  const seed = await keys.openBlobKey(tx, scope, held.id, held.sealedPrivateKey);
  const privateKey = privateKeyOf(seed);
  return { publicKey: rawPublicKey(privateKey), signature: sign(null, Buffer.from(text, 'utf8'), privateKey) };
}

export function verifySignature(text: string, { publicKey, signature }: Signature): boolean {
  const key = createPublicKey({ key: Buffer.concat([SPKI, publicKey]), format: 'der', type: 'spki' });
  return verify(null, Buffer.from(text, 'utf8'), key, signature);
}

function privateKeyOf(seed: Buffer): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' });
}

function rawPublicKey(privateKey: KeyObject): Buffer {
  return createPublicKey(privateKey).export({ format: 'der', type: 'spki' }).subarray(SPKI.length);
}

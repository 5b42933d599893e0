import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';

/** DER of a PKCS #8 Ed25519 private key and of a SubjectPublicKeyInfo (RFC 8410), up to the 32 raw bytes. */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');
const SPKI = Buffer.from('302a300506032b6570032100', 'hex');

export interface Signature {
  /** Raw Ed25519 public key (RFC 8032), 32 bytes. */
  readonly publicKey: Buffer;
  /** 64 bytes. */
  readonly signature: Buffer;
}

/** `seed`: the private key, 32 random bytes. */
export function signText(text: string, seed: Buffer): Signature {
  const privateKey = privateKeyOf(seed);
  return { publicKey: rawPublicKey(privateKey), signature: sign(null, Buffer.from(text, 'utf8'), privateKey) };
}

export function publicKeyOf(seed: Buffer): Buffer {
  return rawPublicKey(privateKeyOf(seed));
}

/** False for everything that is not a signature over exactly the UTF-8 bytes of the text. */
export function verifySignature(text: string, { publicKey, signature }: Signature): boolean {
  if (publicKey.length !== 32 || signature.length !== 64 || isWeak(publicKey)) return false;
  try {
    const key = createPublicKey({ key: Buffer.concat([SPKI, publicKey]), format: 'der', type: 'spki' });
    return verify(null, Buffer.from(text, 'utf8'), key, signature);
  } catch {
    return false;
  }
}

/**
 * The encodings of points of small order, canonical or not, without the sign bit. Under such a key somebody without any private half
 * finds signatures that fit many texts. The list is libsodium's (ed25519_ref10.c, ge25519_has_small_order).
 */
const WEAK = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]);

export function isWeak(publicKey: Buffer): boolean {
  const unsigned = Buffer.from(publicKey);
  unsigned[31]! &= 0x7f;
  return WEAK.has(unsigned.toString('hex'));
}

function privateKeyOf(seed: Buffer): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' });
}

function rawPublicKey(privateKey: KeyObject): Buffer {
  return createPublicKey(privateKey).export({ format: 'der', type: 'spki' }).subarray(SPKI.length);
}

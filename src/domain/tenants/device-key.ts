import { calculateJwkThumbprint, importJWK, type JWK } from 'jose';
import { AppError } from '../../platform/errors.js';

/** What proofs may be signed by: ECDSA on P-256 and Ed25519. */
export const ALGORITHMS = ['ES256', 'EdDSA', 'Ed25519'] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

/** Members of a JWK in which a private or secret half would stand. */
const SECRET = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];
const MOST_TEXT = 2000;

/** Whether keys of this kind sign by the algorithm. */
export function fits({ kty, crv }: JWK, algorithm: unknown): algorithm is Algorithm {
  if (kty === 'EC' && crv === 'P-256') return algorithm === 'ES256';
  return kty === 'OKP' && crv === 'Ed25519' && (algorithm === 'EdDSA' || algorithm === 'Ed25519');
}

/** Whether it holds the half that never leaves a device. */
export function isPrivate(key: object): boolean {
  return SECRET.some((member) => Object.hasOwn(key, member));
}

/** SHA-256 of the key's required members (RFC 7638), 32 bytes. Throws for what is no key. */
export async function thumbprintOf(key: JWK): Promise<Buffer> {
  return Buffer.from(await calculateJwkThumbprint(key, 'sha256'), 'base64url');
}

/** A key to register: reduced to the members that its thumbprint names. Throws INVALID_INPUT. */
export async function parsePublicKey(text: string, field: string): Promise<{ publicKey: JWK; thumbprint: Buffer }> {
  const refuse = (message: string) =>
    new AppError('INVALID_INPUT', message, {
      field,
      remedy: 'Send the public half of an EC P-256 or Ed25519 key as a JWK (RFC 7517), in JSON.',
    });
  let key: JWK;
  try {
    key = JSON.parse(text.slice(0, MOST_TEXT)) as JWK;
  } catch {
    throw refuse('This is no JWK.');
  }
  if (typeof key !== 'object' || key === null || Array.isArray(key)) throw refuse('This is no JWK.');
  if (isPrivate(key)) throw refuse('This key has its private half: keep that on the device, and make another key now.');
  const { kty, crv, x, y } = key;
  const algorithm = ALGORITHMS.find((one) => fits(key, one));
  if (!algorithm) throw refuse('Keys are of EC P-256 or Ed25519.');
  const publicKey: JWK = kty === 'EC' ? { kty, crv, x, y } : { kty, crv, x };
  try {
    // A point that is not on the curve is found out here.
    await importJWK(publicKey, algorithm);
    return { publicKey, thumbprint: await thumbprintOf(publicKey) };
  } catch {
    throw refuse('This is no key of its kind.');
  }
}

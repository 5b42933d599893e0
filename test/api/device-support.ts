import { createHash, generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';

export interface TestDevice {
  readonly privateKey: KeyObject;
  readonly jwk: Record<string, unknown>;
  readonly alg: 'ES256' | 'EdDSA';
}

export function makeDevice(alg: TestDevice['alg'] = 'ES256'): TestDevice {
  const { privateKey, publicKey } =
    alg === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519');
  return { privateKey, jwk: publicKey.export({ format: 'jwk' }) as Record<string, unknown>, alg };
}

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** What a proof is made for. */
export interface ProvenRequest {
  /** The public address. */
  readonly url: string;
  /** The API key. */
  readonly key: string;
  /** By the device's clock. */
  readonly at: Date;
}

/** A proof (RFC 9449) made by hand, so that no library of ours judges itself. `undefined` takes a claim away. */
export function proofOf(
  { privateKey, jwk, alg }: TestDevice,
  { url, key, at }: ProvenRequest,
  claims: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
): string {
  const payload = {
    jti: randomUUID(),
    htm: 'POST',
    htu: url,
    iat: Math.floor(at.getTime() / 1000),
    ath: createHash('sha256').update(key).digest('base64url'),
    ...claims,
  };
  const text = `${encode({ typ: 'dpop+jwt', alg, jwk, ...header })}.${encode(payload)}`;
  const signature =
    alg === 'EdDSA'
      ? sign(null, Buffer.from(text), privateKey)
      : sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' });
  return `${text}.${signature.toString('base64url')}`;
}

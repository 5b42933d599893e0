/** Proofs of possession (RFC 9449), as a device makes them, and what it costs to verify the signature of one. */
import { createHash, createPrivateKey, createPublicKey, type JsonWebKey, randomUUID, sign, verify } from 'node:crypto';

export interface ProofOrder {
  /** ES256, with its private half. */
  readonly device: JsonWebKey;
  /** The API key that goes along. */
  readonly key: string;
  /** The public address that is asked. */
  readonly url: string;
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Makes proofs, each of which counts once. */
export function prover({ device, key, url }: ProofOrder): () => string {
  const { d: _, ...jwk } = device;
  const header = encode({ typ: 'dpop+jwt', alg: 'ES256', jwk });
  const ath = createHash('sha256').update(key).digest('base64url');
  const signing = { key: createPrivateKey({ key: device, format: 'jwk' }), dsaEncoding: 'ieee-p1363' } as const;
  return () => {
    const iat = Math.floor(Date.now() / 1000);
    const text = `${header}.${encode({ jti: randomUUID(), htm: 'POST', htu: url, iat, ath })}`;
    return `${text}.${sign('sha256', Buffer.from(text), signing).toString('base64url')}`;
  };
}

const TRIALS = 2000;

/** Microseconds of CPU that one verification costs, of the signature alone. */
export function verificationUs(order: ProofOrder): number {
  const { d: _, ...jwk } = order.device;
  const verifying = { key: createPublicKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363' } as const;
  const [header, claims, signature] = prover(order)().split('.') as [string, string, string];
  const [text, bytes] = [Buffer.from(`${header}.${claims}`), Buffer.from(signature, 'base64url')];
  const spent = (): number => {
    const from = process.cpuUsage();
    for (let trial = 0; trial < TRIALS; trial++)
      if (!verify('sha256', text, verifying, bytes)) throw new Error('The signature of a proof is wrong.');
    const { user, system } = process.cpuUsage(from);
    return (user + system) / TRIALS;
  };
  spent();
  return spent();
}

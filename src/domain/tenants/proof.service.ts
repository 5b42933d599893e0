import { createHash, createHmac, hkdfSync } from 'node:crypto';
import { type CryptoKey, decodeProtectedHeader, errors, importJWK, type JWTPayload, type JWK, jwtVerify } from 'jose';
import type { Clock } from '../../platform/clock.js';
import type { Db } from '../../platform/db.js';
import { AppError } from '../../platform/errors.js';
import type { Listener } from '../../platform/listen.js';
import type { Actor, ProvenDevice } from '../../platform/scope.js';
import { ALGORITHMS, fits, isPrivate, thumbprintOf } from './device-key.js';
import { findDeviceByKey } from './device.repo.js';

export { ALGORITHMS } from './device-key.js';

/** A proof is good for so long after it was made; a device's clock may be ahead by so much. */
export const PROOF_MAX_AGE_S = 60;
const CLOCK_TOLERANCE_S = 5;
const NONCE_MS = 120_000;
const MOST_PROOF = 4096;
const MOST_ID = 200;
const MOST_DEVICES = 10_000;
const PROOF = /^([\w-]+)\.[\w-]+\.[\w-]+$/;

/** What arrived, and what a proof for it must say. */
export interface Shown {
  /** The header `DPoP`. */
  readonly proof: string;
  /** The API key that came with it. */
  readonly token: string;
  readonly tenantId: string;
  readonly actor: Actor;
  readonly method: string;
  /** The public address that was asked, without query and fragment. */
  readonly url: string;
}

interface Device {
  readonly id: string;
  readonly applicationId: string;
  readonly agreementIds: ReadonlySet<string>;
  readonly thumbprint: Buffer;
  readonly algorithm: string;
  readonly key: CryptoKey;
}

export interface ProofServiceParts {
  readonly gate: Db['gate'];
  readonly clock: Clock;
  readonly listener: Listener;
  readonly masterKey: Buffer;
  /** Whether a proof must carry a nonce of ours, so that none can be made in advance. */
  readonly needsNonce: boolean;
  /** Where proofs are recorded as used; false of one that was used before. */
  readonly ledger: { spendProof(proof: Buffer): Promise<boolean> };
}

/**
 * Proofs of possession (RFC 9449): a device shows with each request that it holds the key that was registered for its application.
 * A proof counts once on all replicas: the ledger records it, with the prediction that it came with or by itself (`spend`).
 */
export class ProofService {
  /** By tenant and the first part of a proof, which names the key and is the same in all proofs of a device. */
  private readonly devices = new Map<string, Device>();
  private news = 0;
  private readonly nonceKey: Buffer;

  constructor(private readonly parts: ProofServiceParts) {
    this.nonceKey = Buffer.from(hkdfSync('sha256', parts.masterKey, '', 'concordat nonces of proofs', 32));
    parts.listener.on('concordat_device', (deviceId) => {
      this.news++;
      if (deviceId === null) this.devices.clear();
      else for (const [name, { id }] of this.devices) if (id === deviceId) this.devices.delete(name);
    });
  }

  /** What the next proof must carry; null if none is asked for. Every replica gives the same, without keeping any. */
  nonce(): string | null {
    return this.parts.needsNonce ? this.nonceOf(0) : null;
  }

  /** The device that holds the key. Throws PROOF_INVALID, PROOF_NONCE, DEVICE_UNKNOWN. */
  async prove(shown: Shown): Promise<ProvenDevice> {
    const { proof, tenantId, actor } = shown;
    const first = proof.length <= MOST_PROOF ? PROOF.exec(proof)?.[1] : undefined;
    if (first === undefined) throw invalid('The header DPoP must hold one signed JWT.');
    if (actor.kind !== 'APPLICATION') throw invalid('A proof goes with an API key; this request has none.');
    const device = await this.deviceOf(tenantId, proof, first);
    if (!device || device.applicationId !== actor.id)
      throw new AppError('DEVICE_UNKNOWN', 'No device of this application is registered with the key of the proof.');
    const claims = await this.verify(proof, device);
    this.refuseOthers(claims, shown);
    const id = createHash('sha256').update(device.thumbprint).update(claims.jti!).digest();
    let left: Buffer | null = id;
    const takeProof = () => {
      const proof = left;
      left = null;
      return proof;
    };
    return { id: device.id, agreementIds: device.agreementIds, takeProof };
  }

  /** Uses the proof up, unless the record of a prediction has done so: for every other end of a request. Throws PROOF_REPLAYED. */
  async spend(device: ProvenDevice): Promise<void> {
    const proof = device.takeProof();
    if (proof && !(await this.parts.ledger.spendProof(proof)))
      throw new AppError('PROOF_REPLAYED', 'This proof of possession was used before.');
  }

  /** Signature and time. jose's messages name claims, never their values; ours say what to do. */
  private async verify(proof: string, { key, algorithm }: Device): Promise<JWTPayload> {
    try {
      const { payload } = await jwtVerify(proof, key, {
        algorithms: [algorithm],
        typ: 'dpop+jwt',
        currentDate: this.parts.clock.now(),
        maxTokenAge: PROOF_MAX_AGE_S,
        clockTolerance: CLOCK_TOLERANCE_S,
        requiredClaims: ['jti', 'htm', 'htu', 'ath'],
      });
      return payload;
    } catch (error) {
      if (error instanceof errors.JWSSignatureVerificationFailed)
        throw invalid('The signature is not that of the key.');
      if (
        error instanceof errors.JWTExpired ||
        (error instanceof errors.JWTClaimValidationFailed && error.claim === 'iat')
      )
        throw invalid(`A proof is made for each request: iat must be within the last ${PROOF_MAX_AGE_S} seconds.`);
      if (error instanceof errors.JWTClaimValidationFailed)
        throw invalid(`The claim ${error.claim} is missing or wrong.`);
      throw invalid('This is no proof of possession.');
    }
  }

  /** RFC 9449, section 4.3: a proof for another method, address, key or moment is none for this request. */
  private refuseOthers(claims: JWTPayload, { method, url, token }: Shown): void {
    const { jti, htm, htu, ath, nonce } = claims as Record<string, unknown>;
    if (typeof jti !== 'string' || jti.length < 1 || jti.length > MOST_ID)
      throw invalid(`The claim jti must be a text of 1 to ${MOST_ID} characters.`);
    if (htm !== method) throw invalid('The claim htm is not the method of the request.');
    if (typeof htu !== 'string' || !isSameAddress(htu, url))
      throw invalid(`The claim htu is not the public address of the request: ${url}`);
    if (ath !== createHash('sha256').update(token).digest('base64url'))
      throw invalid('The claim ath is not the hash of the API key.');
    if (nonce === undefined && !this.parts.needsNonce) return;
    if (nonce !== this.nonceOf(0) && nonce !== this.nonceOf(-1))
      throw new AppError('PROOF_NONCE', 'The proof must carry the nonce of the header dpop-nonce.');
  }

  private async deviceOf(tenantId: string, proof: string, first: string): Promise<Device | null> {
    const name = `${tenantId} ${first}`;
    const known = this.parts.listener.isInTouch() ? this.devices.get(name) : undefined;
    if (known) return known;
    const { news } = this;
    const { alg, jwk } = headerOf(proof);
    const thumbprint = await thumbprintOf(jwk).catch(() => {
      throw invalid('The key in the header of the proof is none.');
    });
    const found = await findDeviceByKey(this.parts.gate, tenantId, thumbprint);
    if (!found) return null;
    const { id, applicationId, publicKey } = found;
    // The key that was registered, not the one that was sent, although the thumbprint says that they are one.
    const key = (await importJWK(publicKey, alg)) as CryptoKey;
    const agreementIds = new Set(found.agreementIds);
    const device = { id, applicationId, agreementIds, thumbprint, algorithm: alg, key };
    // Only registered keys are remembered, so that nobody can fill the memory with others.
    if (news === this.news) {
      if (this.devices.size >= MOST_DEVICES) this.devices.clear();
      this.devices.set(name, device);
    }
    return device;
  }

  /** 16 bytes that only we can make, for two minutes of time: of now, or so many before. */
  private nonceOf(offset: number): string {
    const window = Math.floor(this.parts.clock.now().getTime() / NONCE_MS) + offset;
    return createHmac('sha256', this.nonceKey).update(String(window)).digest().subarray(0, 16).toString('base64url');
  }
}

function headerOf(proof: string): { alg: string; jwk: JWK } {
  let header: ReturnType<typeof decodeProtectedHeader>;
  try {
    header = decodeProtectedHeader(proof);
  } catch {
    throw invalid('The header of the proof is no JSON.');
  }
  const { alg, jwk, typ } = header;
  if (typ !== 'dpop+jwt') throw invalid('The type of the proof must be dpop+jwt.');
  if (typeof jwk !== 'object' || jwk === null || isPrivate(jwk))
    throw invalid('The header of the proof must have the public key, and no private one, as jwk.');
  if (!fits(jwk, alg)) throw invalid(`A proof is signed by ${ALGORITHMS.join(', ')}, whichever fits the key.`);
  return { alg, jwk };
}

/** Compared as RFC 9449 says: after normalisation (RFC 3986, section 6.2), without query and fragment. */
function isSameAddress(claimed: string, url: string): boolean {
  if (claimed === url) return true;
  try {
    const [a, b] = [new URL(claimed), new URL(url)];
    return a.origin === b.origin && a.pathname === b.pathname && a.username === '' && a.password === '';
  } catch {
    return false;
  }
}

function invalid(message: string): AppError {
  return new AppError('PROOF_INVALID', message);
}

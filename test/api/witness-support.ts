import { generateKeyPairSync, sign } from 'node:crypto';
import { COSIGNATURE_V1, keyId, signatureLine, verifierKey } from '../../src/domain/audit/note.js';

/** Somebody who co-signs checkpoints (C2SP tlog-cosignature). */
export interface TestWitness {
  readonly verifierKey: string;
  /** The line of a note over the signed text of a checkpoint. */
  cosign(text: string, at: Date): string;
}

export function makeWitness(name: string): TestWitness {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
  return {
    verifierKey: verifierKey(name, COSIGNATURE_V1, raw),
    cosign: (text, at) => {
      const seconds = Math.floor(at.getTime() / 1000);
      const signature = sign(null, Buffer.from(`cosignature/v1\ntime ${seconds}\n${text}`), privateKey);
      const time = Buffer.alloc(8);
      time.writeBigUInt64BE(BigInt(seconds));
      return signatureLine(name, keyId(name, COSIGNATURE_V1, raw), Buffer.concat([time, signature]));
    },
  };
}

import type { PredictionContent } from '../audit/audit.service.js';
import type { SignedBatch } from './batch.js';

/**
 * What proves to anybody with the platform's public key that the log holds this entry: hash the entry, go up the path, check the
 * signature of the root. Digests of input and output open with the salt.
 */
export interface Receipt {
  readonly format: 'concordat-receipt/1';
  readonly origin: string;
  readonly entry: PredictionContent;
  /** Its SHA-256, as canonical JSON (RFC 8785), is `entry.contextDigest`. */
  readonly context: Readonly<Record<string, unknown>>;
  readonly saltHex: string;
  readonly batch: {
    readonly firstIndex: number;
    readonly size: number;
    readonly at: string;
    /** Base64; from the leaf to the root. */
    readonly path: readonly string[];
    readonly signature: string;
    readonly keyId: string;
  };
}

/** An entry as it was recorded, and where in which batch. */
export interface Recorded {
  readonly entry: PredictionContent;
  readonly context: Readonly<Record<string, unknown>>;
  readonly batch: SignedBatch;
}

export function receiptOf({ entry, context, batch }: Recorded, salt: Buffer): Receipt {
  return {
    format: 'concordat-receipt/1',
    origin: batch.origin,
    entry,
    context,
    saltHex: salt.toString('hex'),
    batch: {
      firstIndex: batch.firstIndex,
      size: batch.size,
      at: batch.at.toISOString(),
      path: batch.tree.path(entry.index - batch.firstIndex).map((hash) => hash.toString('base64')),
      signature: batch.signature.toString('base64'),
      keyId: batch.keyId,
    },
  };
}

/** The leaf of RFC 6962, 32 bytes. */
export function leafHashOf({ entry, batch }: Recorded): Buffer {
  return batch.tree.leaf(entry.index - batch.firstIndex);
}

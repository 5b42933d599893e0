import type { PredictionContent } from '../audit/audit.service.js';
import type { SignedBatch } from './batch.js';
import type { Context } from './context.js';

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
  /** The same as canonical JSON. */
  readonly text: string;
  readonly context: Pick<Context, 'document' | 'content'>;
  readonly batch: SignedBatch;
}

export function receiptOf({ entry, context, batch }: Recorded, salt: Buffer): Receipt {
  return {
    format: 'concordat-receipt/1',
    origin: batch.origin,
    entry,
    context: context.document,
    saltHex: salt.toString('hex'),
    batch: {
      firstIndex: batch.firstIndex,
      size: batch.size,
      at: batch.at.toISOString(),
      path: batch.tree.path(entry.index - batch.firstIndex),
      signature: batch.signature.toString('base64'),
      keyId: batch.keyId,
    },
  };
}

/** The receipt as JSON, put together from texts that are there anyway: a fifth of the cost of the object and JSON.stringify. */
export function receiptText({ entry, text, context, batch }: Recorded, salt: Buffer): string {
  const path = batch.tree.path(entry.index - batch.firstIndex).join('","');
  return (
    `{"format":"concordat-receipt/1","origin":${JSON.stringify(batch.origin)},"entry":${text},"context":${context.content},` +
    `"saltHex":"${salt.toString('hex')}","batch":{"firstIndex":${batch.firstIndex},"size":${batch.size},"at":"${entry.at}",` +
    `"path":[${path && `"${path}"`}],"signature":"${batch.signature.toString('base64')}","keyId":"${batch.keyId}"}}`
  );
}

/** The leaf of RFC 6962, 32 bytes. */
export function leafHashOf({ entry, batch }: Recorded): Buffer {
  return batch.tree.leaf(entry.index - batch.firstIndex);
}

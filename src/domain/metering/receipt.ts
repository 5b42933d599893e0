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
  readonly context: Pick<Context, 'document' | 'escaped'>;
  readonly batch: SignedBatch;
}

export function receiptOf({ entry, context, batch }: Recorded, saltHex: string): Receipt {
  return {
    format: 'concordat-receipt/1',
    origin: batch.origin,
    entry,
    context: context.document,
    saltHex,
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

/**
 * The receipt as JSON within a text of JSON, its quotes escaped, put together from what is there: writing the object out and escaping
 * that costs ten times as much.
 */
export function escapedReceipt({ entry, text, context, batch }: Recorded, saltHex: string): string {
  const path = batch.tree.path(entry.index - batch.firstIndex).join('\\",\\"');
  // There is no backslash in an entry.
  const escapedEntry = text.replaceAll('"', '\\"');
  return (
    `{\\"format\\":\\"concordat-receipt/1\\",\\"origin\\":\\"${batch.origin}\\",\\"entry\\":${escapedEntry},` +
    `\\"context\\":${context.escaped},\\"saltHex\\":\\"${saltHex}\\",\\"batch\\":{\\"firstIndex\\":${batch.firstIndex},` +
    `\\"size\\":${batch.size},\\"at\\":\\"${entry.at}\\",\\"path\\":[${path && `\\"${path}\\"`}],` +
    `\\"signature\\":\\"${batch.signature.toString('base64')}\\",\\"keyId\\":\\"${batch.keyId}\\"}}`
  );
}

/** The leaf of RFC 6962, 32 bytes. */
export function leafHashOf({ entry, batch }: Recorded): Buffer {
  return batch.tree.leaf(entry.index - batch.firstIndex);
}

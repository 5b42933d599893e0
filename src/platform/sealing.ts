import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';

/**
 * Blobs at rest: a magic number, then frames of at most 1 MiB, each `nonce (12) | AES-256-GCM ciphertext | tag (16)`. A frame is
 * bound to its tenant, its blob, its position and whether it is the last (the STREAM construction of Hoang, Reyhanitabar,
 * Rogaway and Vizár, 2015), so that no frame can be changed, cut off, moved, repeated or brought in from elsewhere.
 */
const MAGIC = Buffer.from('CCDBLOB1', 'latin1');
export const FRAME_BYTES = 2 ** 20;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const OVERHEAD = NONCE_BYTES + TAG_BYTES;

/** What a frame is bound to. */
export interface Binding {
  readonly tenantId: string;
  readonly blobId: string;
}

/** Where a sealed blob lies and how it opens: all that a child process needs, and no more. Structured-clonable. */
export interface SealedBlob extends Binding {
  readonly path: string;
  /** 32 bytes, for this blob alone. */
  readonly key: Uint8Array;
}

/** The file is not what was sealed: changed, cut off, swapped, or opened with another key. */
export class SealError extends Error {
  override readonly name = 'SealError';
}

/** Sealed bytes of a stream of plain bytes. Holds one frame in memory. */
export async function* seal(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  key: Uint8Array,
  binding: Binding,
): AsyncGenerator<Buffer, void, void> {
  yield MAGIC;
  const frame = Buffer.allocUnsafe(FRAME_BYTES);
  let used = 0;
  let index = 0;
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length;) {
      // A full frame leaves only when more follows: which frame is the last is part of what is sealed.
      if (used === FRAME_BYTES) {
        yield sealFrame(frame, key, associatedData(binding, index++, false));
        used = 0;
      }
      const size = Math.min(FRAME_BYTES - used, chunk.length - at);
      frame.set(chunk.subarray(at, at + size), used);
      used += size;
      at += size;
    }
  }
  yield sealFrame(frame.subarray(0, used), key, associatedData(binding, index, true));
}

/** The plain bytes of a sealed blob, frame by frame, each after its tag has been verified. Throws SealError. */
export async function* unseal(blob: SealedBlob): AsyncGenerator<Buffer, void, void> {
  const file = await open(blob.path, 'r');
  try {
    const frames = await layout(file);
    const sealed = Buffer.allocUnsafe(FRAME_BYTES + OVERHEAD);
    for (let index = 0; index < frames.count; index++) {
      const last = index === frames.count - 1;
      const size = last ? frames.lastBytes : FRAME_BYTES + OVERHEAD;
      await readFully(file, sealed.subarray(0, size), MAGIC.length + index * (FRAME_BYTES + OVERHEAD));
      yield openFrame(sealed.subarray(0, size), blob.key, associatedData(blob, index, last));
    }
  } finally {
    await file.close();
  }
}

/** The whole blob in one buffer of its own (8-byte aligned, so that typed arrays can view it). Throws SealError. */
export async function unsealWhole(blob: SealedBlob): Promise<ArrayBuffer> {
  const file = await open(blob.path, 'r');
  let sizeBytes: number;
  try {
    const { count, lastBytes } = await layout(file);
    sizeBytes = (count - 1) * FRAME_BYTES + lastBytes - OVERHEAD;
  } finally {
    await file.close();
  }
  const whole = new Uint8Array(sizeBytes);
  let at = 0;
  for await (const frame of unseal(blob)) {
    if (at + frame.length > sizeBytes) throw new SealError('The blob changed while it was read.');
    whole.set(frame, at);
    at += frame.length;
  }
  if (at !== sizeBytes) throw new SealError('The blob changed while it was read.');
  return whole.buffer;
}

/** AES-256-GCM of a small secret, such as a key: `nonce | ciphertext | tag`, bound to `label`. */
export function wrap(secret: Uint8Array, key: Uint8Array, label: string): Buffer {
  return sealFrame(secret, key, Buffer.from(label, 'utf8'));
}

/** Throws SealError for another key, another label or changed bytes. */
export function unwrap(wrapped: Uint8Array, key: Uint8Array, label: string): Buffer {
  return openFrame(wrapped, key, Buffer.from(label, 'utf8'));
}

function sealFrame(plain: Uint8Array, key: Uint8Array, bound: Buffer): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(bound);
  const body = cipher.update(plain);
  cipher.final();
  return Buffer.concat([nonce, body, cipher.getAuthTag()]);
}

function openFrame(sealed: Uint8Array, key: Uint8Array, bound: Buffer): Buffer {
  if (sealed.length < OVERHEAD) throw new SealError('A sealed frame is too short.');
  const end = sealed.length - TAG_BYTES;
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(bound).setAuthTag(sealed.subarray(end));
  const plain = decipher.update(sealed.subarray(NONCE_BYTES, end));
  try {
    decipher.final();
  } catch {
    throw new SealError('A sealed frame does not verify.');
  }
  return plain;
}

function associatedData({ tenantId, blobId }: Binding, index: number, last: boolean): Buffer {
  return Buffer.from(`CCDBLOB1\n${tenantId}\n${blobId}\n${index}\n${last ? 'last' : 'more'}`, 'utf8');
}

async function layout(file: FileHandle): Promise<{ count: number; lastBytes: number }> {
  const sealedBytes = (await file.stat()).size - MAGIC.length;
  const magic = Buffer.alloc(MAGIC.length);
  if (sealedBytes < OVERHEAD) throw new SealError('The blob is cut off.');
  await readFully(file, magic, 0);
  if (!magic.equals(MAGIC)) throw new SealError('This is not a sealed blob.');
  const count = Math.ceil(sealedBytes / (FRAME_BYTES + OVERHEAD));
  return { count, lastBytes: sealedBytes - (count - 1) * (FRAME_BYTES + OVERHEAD) };
}

async function readFully(file: FileHandle, into: Buffer, position: number): Promise<void> {
  for (let at = 0; at < into.length;) {
    const { bytesRead } = await file.read(into, at, into.length - at, position + at);
    if (bytesRead === 0) throw new SealError('The blob is cut off.');
    at += bytesRead;
  }
}

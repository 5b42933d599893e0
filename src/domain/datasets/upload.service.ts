import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { type BlobStore, type NewBlob, writeSealed } from '../../platform/blobs.js';
import type { Clock } from '../../platform/clock.js';
import { type Db, inTenant, type Tx } from '../../platform/db.js';
import { AppError, notFound } from '../../platform/errors.js';
import { kindOf, newId } from '../../platform/ids.js';
import type { Actor, Scope } from '../../platform/scope.js';
import type { SealedBlob } from '../../platform/sealing.js';
import { appendAudit } from '../audit/audit.service.js';
import type { UploadRow } from './dataset.entity.js';
import * as repo from './dataset.repo.js';

/** How long an address can be used. */
const LIFETIME_MS = 3_600_000;
/** How long after its receipt something can be made of a file. */
const KEPT_MS = 24 * 3_600_000;

export type UploadState = 'CREATED' | 'RECEIVED' | 'EXPIRED';

/** An upload as everybody may see it. */
export interface Upload {
  readonly id: string;
  readonly state: UploadState;
  readonly fileName: string | null;
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly receivedAt: Date | null;
}

export interface ReceiveInput {
  readonly id: string;
  /** From the address. */
  readonly token: string;
  readonly body: AsyncIterable<Uint8Array>;
  readonly contentLength: number | null;
  readonly signal: AbortSignal;
}

/** Files on their way in: announced, then sent to an address of their own, sealed before they reach the disk. */
export class UploadService {
  constructor(
    private readonly db: Pick<Db, 'app'>,
    private readonly clock: Clock,
    private readonly blobs: BlobStore,
    private readonly limits: { uploadMaxBytes: number },
  ) {}

  /** Announces a file. The address (a path) is told once. Throws INVALID_INPUT, EMPTY_FILE, DATA_TOO_LARGE. */
  async create(
    scope: Scope,
    input: { sizeBytes: number; sha256: string; fileName?: string | null },
  ): Promise<{ upload: Upload; path: string }> {
    const sha256 = input.sha256.toLowerCase();
    if (!/^[0-9a-f]{64}$/.test(sha256))
      throw new AppError('INVALID_INPUT', 'sha256 must be 64 hexadecimal digits.', { field: 'input.sha256' });
    if (input.sizeBytes <= 0)
      throw new AppError('EMPTY_FILE', 'Nothing can be made of an empty file.', { field: 'input.sizeBytes' });
    if (input.sizeBytes > this.limits.uploadMaxBytes)
      throw new AppError('DATA_TOO_LARGE', `A file may have up to ${this.limits.uploadMaxBytes} bytes.`, {
        field: 'input.sizeBytes',
      });
    // The address carries its tenant: whoever sends the file has no other credential to say it.
    const token = `${scope.tenantId}.${randomBytes(32).toString('base64url')}`;
    const createdAt = this.clock.now();
    const row: UploadRow = {
      id: newId('upload'),
      tenantId: scope.tenantId,
      fileName: input.fileName?.slice(0, 255) || null,
      sizeBytes: input.sizeBytes,
      sha256,
      tokenHash: hashOf(token),
      createdAt,
      expiresAt: new Date(createdAt.getTime() + LIFETIME_MS),
      receivedAt: null,
      blobId: null,
      takenBy: null,
    };
    await inTenant(this.db, scope, async (tx) => {
      await repo.insertUpload(tx, row);
      await appendAudit(tx, scope, {
        kind: 'upload.created',
        subjectId: row.id,
        detail: { sizeBytes: row.sizeBytes, sha256 },
        at: createdAt,
      });
    });
    return { upload: this.#shown(row), path: `/uploads/${row.id}?token=${token}` };
  }

  async find(scope: Pick<Scope, 'tenantId'>, id: string): Promise<Upload | null> {
    if (kindOf(id) !== 'upload') return null;
    const row = await inTenant(this.db, scope, (tx) => repo.findUpload(tx, id));
    return row && this.#shown(row);
  }

  /**
   * Receives the file at its address. What does not arrive whole and as announced leaves nothing behind, and can be sent again;
   * what has been received stays, and sending it again answers the same. Of two at once, one wins and both are answered.
   *
   * Throws NOT_FOUND (id, token), UPLOAD_EXPIRED, SIZE_MISMATCH, DIGEST_MISMATCH, UPLOAD_INTERRUPTED.
   */
  async receive(input: ReceiveInput): Promise<Upload> {
    const tenantId = input.token.split('.', 1)[0]!;
    if (kindOf(input.id) !== 'upload' || kindOf(tenantId) !== 'tenant') throw notFound('upload');
    const scope = { tenantId, actor: { kind: 'SYSTEM', id: input.id } satisfies Actor };
    const begun = await inTenant(this.db, scope, async (tx) => {
      const upload = await repo.findUpload(tx, input.id);
      if (!upload || !timingSafeEqual(upload.tokenHash, hashOf(input.token))) throw notFound('upload');
      return upload.receivedAt ? { upload } : { upload, blob: await this.blobs.prepare(tx, scope) };
    });
    if (!begun.blob) return this.#shown(begun.upload);
    if (begun.upload.expiresAt <= this.clock.now())
      throw new AppError('UPLOAD_EXPIRED', 'The address of this upload has expired.');
    if (input.contentLength !== null && input.contentLength !== begun.upload.sizeBytes)
      throw sizeMismatch(begun.upload);
    const { upload, blob } = begun;
    try {
      await this.#write(input, upload, blob);
      return await this.#accept(scope, upload, blob);
    } catch (error) {
      await this.blobs.removeFile(scope, blob.blobId);
      if (error instanceof AppError && error.code !== 'UPLOAD_INTERRUPTED')
        await inTenant(this.db, scope, (tx) =>
          appendAudit(tx, scope, { kind: 'upload.refused', subjectId: upload.id, detail: { code: error.code } }),
        );
      throw error;
    }
  }

  async #write(input: ReceiveInput, upload: UploadRow, blob: NewBlob): Promise<void> {
    const hash = createHash('sha256');
    let received = 0;
    async function* checked(): AsyncGenerator<Uint8Array, void, void> {
      for await (const chunk of input.body) {
        received += chunk.length;
        if (received > upload.sizeBytes) throw sizeMismatch(upload);
        hash.update(chunk);
        yield chunk;
      }
      if (received < upload.sizeBytes) throw sizeMismatch(upload);
      if (hash.digest('hex') !== upload.sha256)
        throw new AppError('DIGEST_MISMATCH', 'The bytes that arrived do not have the SHA-256 that was announced.');
    }
    try {
      await writeSealed(blob, checked(), input.signal);
    } catch (error) {
      if (error instanceof AppError || isOurs(error)) throw error;
      throw new AppError('UPLOAD_INTERRUPTED', 'The connection ended before the file was complete.', { cause: error });
    }
  }

  #accept(scope: { tenantId: string; actor: Actor }, announced: UploadRow, blob: NewBlob): Promise<Upload> {
    return inTenant(this.db, scope, async (tx) => {
      const upload = await repo.lockUpload(tx, announced.id);
      if (!upload) throw notFound('upload');
      if (upload.receivedAt) {
        await this.blobs.removeFile(scope, blob.blobId);
        return this.#shown(upload);
      }
      const at = this.clock.now();
      await this.blobs.insert(tx, blob, 'upload');
      await repo.markReceived(tx, upload.id, blob.blobId, at);
      const detail = { sizeBytes: upload.sizeBytes, sha256: upload.sha256 };
      await appendAudit(tx, scope, { kind: 'upload.received', subjectId: upload.id, detail, at });
      return this.#shown({ ...upload, receivedAt: at });
    });
  }

  #shown(row: UploadRow): Upload {
    const { id, fileName, sizeBytes, sha256, createdAt, expiresAt, receivedAt } = row;
    const state = receivedAt ? 'RECEIVED' : expiresAt <= this.clock.now() ? 'EXPIRED' : 'CREATED';
    return { id, state, fileName, sizeBytes, sha256, createdAt, expiresAt, receivedAt };
  }
}

/** Locked, so that nothing else is made of it at the same time: whoever is done with it shreds its bytes. Throws NOT_FOUND. */
export async function lockUpload(tx: Tx, id: string): Promise<UploadRow> {
  const upload = kindOf(id) === 'upload' ? await repo.lockUpload(tx, id) : null;
  if (!upload) throw notFound('upload');
  return upload;
}

/** Makes a locked upload the file of `by`, until its job has failed. Throws NOT_READY, CONFLICT, UPLOAD_EXPIRED. */
export async function takeUpload(tx: Tx, upload: UploadRow, { by, at }: { by: string; at: Date }): Promise<void> {
  const field = 'input.uploadId';
  if (!upload.receivedAt)
    throw new AppError('NOT_READY', 'The file has not been received yet.', {
      field,
      remedy: 'PUT the file to the address of the upload first.',
    });
  if (await repo.isUploadUsed(tx, upload.id))
    throw new AppError('CONFLICT', 'Something was made of this upload already.', {
      field,
      remedy: 'Use what was made of it, or upload the file again.',
    });
  if (upload.receivedAt.getTime() < at.getTime() - KEPT_MS)
    throw new AppError('UPLOAD_EXPIRED', 'The file was received more than a day ago and is not kept longer.', {
      field,
    });
  await repo.markTaken(tx, upload.id, by);
}

/** The received file. Throws NOT_FOUND if it is no longer kept. */
export async function openUpload(
  tx: Tx,
  scope: Pick<Scope, 'tenantId'>,
  blobs: BlobStore,
  id: string,
): Promise<SealedBlob> {
  const upload = await repo.findUpload(tx, id);
  if (!upload?.blobId) throw notFound('upload');
  return blobs.open(tx, scope, upload.blobId);
}

function sizeMismatch(upload: UploadRow): AppError {
  return new AppError(
    'SIZE_MISMATCH',
    `The file was announced with ${upload.sizeBytes} bytes; another number arrived.`,
  );
}

/** The disk's fault, not the sender's. */
function isOurs(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EIO', 'ENOENT', 'EMFILE'].includes(
    (error as NodeJS.ErrnoException).code ?? '',
  );
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token, 'utf8').digest();
}

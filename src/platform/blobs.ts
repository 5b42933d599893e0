import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { type Db, inTenant, type Tx } from './db.js';
import { AppError } from './errors.js';
import { newId } from './ids.js';
import type { KeyRing } from './keys.js';
import type { Scope } from './scope.js';
import { seal, type SealedBlob } from './sealing.js';

export type BlobKind = 'upload' | 'table' | 'model' | 'answer';

/** A blob that is not in the database yet: write the file first, then insert the row; what is left of a crash is swept. */
export interface NewBlob extends SealedBlob {
  readonly wrappedKey: Buffer;
}

/** No file younger than this is swept: its row may be about to be inserted. Longer than any job. */
const ORPHAN_AGE_MS = 24 * 3_600_000;
/** What was sent and never read into a table is not kept. Twice as long as it may be used: a job may be at work on it. */
const UPLOAD_AGE_MS = 48 * 3_600_000;
/** How long the answers of batch predictions are kept for whoever asked. */
const ANSWER_AGE_MS = 30 * 24 * 3_600_000;

/**
 * Sealed files on the local disk, `<home>/blobs/<tenant>/<blob>`, and their rows, which hold the wrapped keys. A row is
 * inserted in the transaction that refers to it, after the file is whole and synced.
 */
export class BlobStore {
  readonly #root: string;

  constructor(
    home: string,
    readonly keys: KeyRing,
  ) {
    this.#root = join(home, 'blobs');
  }

  /** An id, a key and a place for a new blob. Needs no row: a key that is never inserted is lost with its process. */
  async prepare(tx: Tx, scope: Pick<Scope, 'tenantId'>): Promise<NewBlob> {
    const blobId = newId('blob');
    const path = this.#path(scope.tenantId, blobId);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    return { tenantId: scope.tenantId, blobId, path, ...(await this.keys.makeBlobKey(tx, scope, blobId)) };
  }

  /** Records a written blob. `sizeBytes`: of the sealed file. */
  async insert(tx: Tx, blob: NewBlob, kind: BlobKind): Promise<void> {
    const { size } = await stat(blob.path);
    await tx.query(`insert into blob (tenant_id, id, kind, size_bytes, wrapped_key) values ($1, $2, $3, $4, $5)`, [
      blob.tenantId,
      blob.blobId,
      kind,
      size,
      blob.wrappedKey,
    ]);
  }

  /** Where the blob lies and its key. Throws NOT_FOUND if it was deleted. */
  async open(tx: Tx, scope: Pick<Scope, 'tenantId'>, blobId: string): Promise<SealedBlob> {
    const [row] = await tx.query<{ wrapped: Buffer | null }[]>(
      `select wrapped_key as wrapped from blob where tenant_id = $1 and id = $2`,
      [scope.tenantId, blobId],
    );
    if (!row?.wrapped) throw new AppError('NOT_FOUND', 'The data behind this was deleted.');
    const key = await this.keys.openBlobKey(tx, scope, blobId, row.wrapped);
    return { tenantId: scope.tenantId, blobId, path: this.#path(scope.tenantId, blobId), key };
  }

  /**
   * Shreds the key: from the commit on, nobody can read the blob. Call `removeFile` after the commit; if that never
   * happens, the sweep does it.
   */
  async shred(tx: Tx, scope: Pick<Scope, 'tenantId'>, blobId: string): Promise<void> {
    await tx.query(
      `update blob set wrapped_key = null, deleted_at = coalesce(deleted_at, now()) where tenant_id = $1 and id = $2`,
      [scope.tenantId, blobId],
    );
  }

  async removeFile(scope: Pick<Scope, 'tenantId'>, blobId: string): Promise<void> {
    await rm(this.#path(scope.tenantId, blobId), { force: true });
  }

  /**
   * Shreds uploads that nobody used and answers that are old, and removes files that no row with a key stands for: unfinished writes and shredded
   * blobs. Returns how many. Looks at one tenant at a time, through row-level security like everybody else.
   */
  async sweep(db: Pick<Db, 'app'>, now: Date, orphanAgeMs = ORPHAN_AGE_MS): Promise<number> {
    let removed = 0;
    for (const tenantId of await readdir(this.#root).catch(() => [] as string[])) {
      const files = await readdir(join(this.#root, tenantId));
      const known = await inTenant(db, { tenantId }, async (tx) => {
        await tx.query(
          `update blob set wrapped_key = null, deleted_at = $1
           where tenant_id = $3 and wrapped_key is not null and (kind = 'upload' and created_at < $2 or kind = 'answer' and created_at < $4)`,
          [now, new Date(now.getTime() - UPLOAD_AGE_MS), tenantId, new Date(now.getTime() - ANSWER_AGE_MS)],
        );
        return tx.query<{ id: string; live: boolean }[]>(
          `select id, wrapped_key is not null as live from blob where tenant_id = $1 and id = any($2)`,
          [tenantId, files],
        );
      });
      const live = new Map(known.map((row) => [row.id, row.live]));
      for (const file of files) {
        const path = join(this.#root, tenantId, file);
        const state = live.get(file);
        if (state === true) continue;
        const age = now.getTime() - (await stat(path).catch(() => ({ mtimeMs: now.getTime() }))).mtimeMs;
        if (state === undefined && age < orphanAgeMs) continue;
        await rm(path, { force: true });
        removed++;
      }
    }
    return removed;
  }

  #path(tenantId: string, blobId: string): string {
    return join(this.#root, tenantId, blobId);
  }
}

/**
 * Seals a stream into the blob's file: written beside it, synced, then renamed, so that a file under its own name is whole.
 * On any failure nothing stays behind. Needs no database: child processes call it too.
 */
export async function writeSealed(
  blob: SealedBlob,
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<void> {
  const part = `${blob.path}.part`;
  // Opened and closed here, so that nothing writes any more when the file is removed.
  const file = await open(part, 'w', 0o600);
  try {
    const frames = Readable.from(seal(source, blob.key, blob), { signal, objectMode: true, highWaterMark: 1 });
    for await (const frame of frames) await file.appendFile(frame as Buffer);
    await file.sync();
    await file.close();
    await rename(part, blob.path);
    const directory = await open(dirname(blob.path), 'r');
    await directory.sync().finally(() => directory.close());
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(part, { force: true });
    throw error;
  }
}

import type { BlobStore, NewBlob } from '../../platform/blobs.js';
import type { Clock } from '../../platform/clock.js';
import { type Db, inTenant, type Tx } from '../../platform/db.js';
import { AppError, notFound } from '../../platform/errors.js';
import { kindOf, newId } from '../../platform/ids.js';
import { cancelJob, enqueueJob, findJobs, type Job } from '../../platform/jobs.js';
import { type Page, type PageRequest, readPage } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import type { SealedBlob } from '../../platform/sealing.js';
import { appendAudit } from '../audit/audit.service.js';
import type { DatasetRow, DatasetVersionRow } from './dataset.entity.js';
import * as repo from './dataset.repo.js';
import type { IngestResult } from './ingest.service.js';
import { lockUpload, openUpload, takeUpload } from './upload.service.js';

export type { DatasetRow, DatasetVersionRow } from './dataset.entity.js';
export type { ColumnProfile, ColumnRole, ColumnSchema, ColumnType } from './schema.js';

/** Datasets and their immutable versions. Nothing here returns a row of data. */
export class DatasetService {
  constructor(
    private readonly db: Pick<Db, 'app'>,
    private readonly clock: Clock,
    private readonly blobs: BlobStore,
  ) {}

  /** A dataset with its first version, which the job `ingest` fills. Throws INVALID_INPUT, NOT_FOUND, CONFLICT (see `#addVersion`). */
  async create(
    scope: Scope,
    input: { name: string; uploadId: string; description?: string | null },
  ): Promise<{ dataset: DatasetRow; version: DatasetVersionRow }> {
    const dataset: DatasetRow = {
      id: newId('dataset'),
      tenantId: scope.tenantId,
      name: checkedText(input.name, { field: 'input.name', least: 1, most: 200 })!,
      description: checkedText(input.description, { field: 'input.description', least: 0, most: 10_000 }),
      createdAt: this.clock.now(),
      deletedAt: null,
    };
    return inTenant(this.db, scope, async (tx) => {
      await repo.insertDataset(tx, dataset);
      return { dataset, version: await this.#addVersion(tx, scope, { dataset, uploadId: input.uploadId }) };
    });
  }

  /** The next version of a dataset, from another file. */
  createVersion(scope: Scope, input: { datasetId: string; uploadId: string }): Promise<DatasetVersionRow> {
    return inTenant(this.db, scope, async (tx) => {
      if (kindOf(input.datasetId) !== 'dataset') throw notFound('dataset');
      const dataset = await repo.lockDataset(tx, input.datasetId);
      return this.#addVersion(tx, scope, { dataset, uploadId: input.uploadId });
    });
  }

  async #addVersion(
    tx: Tx,
    scope: Scope,
    { dataset, uploadId }: { dataset: DatasetRow; uploadId: string },
  ): Promise<DatasetVersionRow> {
    const upload = await lockUpload(tx, uploadId);
    const id = newId('datasetVersion');
    const createdAt = this.clock.now();
    await takeUpload(tx, upload, { by: id, at: createdAt });
    const jobId = await enqueueJob(tx, scope, { name: 'ingest', subjectId: id });
    const version = { id, tenantId: scope.tenantId, datasetId: dataset.id, uploadId, jobId, createdAt };
    await repo.insertVersion(tx, version);
    const detail = { datasetId: dataset.id, uploadId, sha256: upload.sha256 };
    await appendAudit(tx, scope, { kind: 'dataset.created', subjectId: id, detail, at: createdAt });
    return repo.getVersion(tx, id);
  }

  async find(scope: Pick<Scope, 'tenantId'>, id: string): Promise<DatasetRow | null> {
    if (kindOf(id) !== 'dataset') return null;
    return inTenant(this.db, scope, (tx) => repo.findDataset(tx, id));
  }

  async findVersion(scope: Pick<Scope, 'tenantId'>, id: string): Promise<DatasetVersionRow | null> {
    if (kindOf(id) !== 'datasetVersion') return null;
    return inTenant(this.db, scope, (tx) => repo.findVersion(tx, id));
  }

  /** The jobs of versions or splits. */
  readonly findJobs = (scope: Scope, ids: readonly string[]): Promise<(Job | null)[]> =>
    inTenant(this.db, scope, (tx) => findJobs(tx, scope, ids));

  /** For other domains, within their transaction: a version whose data can be used. Throws NOT_FOUND, NOT_READY. */
  async getReadyVersion(tx: Tx, id: string): Promise<DatasetVersionRow> {
    const version = kindOf(id) === 'datasetVersion' ? await repo.findVersion(tx, id) : null;
    if (!version || version.state === 'DELETED') throw notFound('dataset version');
    if (version.state === 'REFUSED')
      throw new AppError('NOT_READY', 'The file of this dataset version was refused.', {
        remedy: 'Upload another file.',
      });
    if (version.state !== 'READY') throw new AppError('NOT_READY', 'This dataset version is still being read.');
    return version;
  }

  /** Newest first, without deleted ones. */
  list(scope: Scope, request: PageRequest): Promise<Page<DatasetRow>> {
    return inTenant(this.db, scope, (tx) =>
      readPage(
        request,
        (row) => row.id,
        (after, limit) => repo.listDatasets(tx, after, limit),
      ),
    );
  }

  /** Newest first. */
  listVersions(scope: Scope, datasetId: string, request: PageRequest): Promise<Page<DatasetVersionRow>> {
    return inTenant(this.db, scope, (tx) =>
      readPage(
        request,
        (row) => row.id,
        (after, limit) => repo.listVersions(tx, datasetId, { after, limit }),
      ),
    );
  }

  /**
   * Deletes the data for good: keys are shredded in this transaction, files removed after it. What was told about values goes
   * as well; ids, digests and times stay, because models name them in their lineage. Running jobs are cancelled.
   */
  async delete(scope: Scope, id: string): Promise<DatasetRow> {
    const { dataset, blobIds } = await inTenant(this.db, scope, async (tx) => {
      if (kindOf(id) !== 'dataset') throw notFound('dataset');
      const locked = await repo.lockDataset(tx, id);
      const at = this.clock.now();
      const blobIds = await repo.markDeleted(tx, id, at);
      for (const blobId of blobIds) await this.blobs.shred(tx, scope, blobId);
      for (const jobId of await repo.listOpenJobs(tx, id)) await cancelJob(tx, scope, jobId);
      await appendAudit(tx, scope, { kind: 'dataset.deleted', subjectId: id, detail: { blobs: blobIds.length }, at });
      return { dataset: { ...locked, deletedAt: at }, blobIds };
    });
    // The keys are gone already; a file that outlives a crash here is swept.
    for (const blobId of blobIds) await this.blobs.removeFile(scope, blobId);
    return dataset;
  }

  /** What an ingest works on: the sealed upload, and where its table goes. Throws NOT_FOUND if either is gone. */
  prepareIngest(scope: Scope, versionId: string): Promise<{ upload: SealedBlob; table: NewBlob }> {
    return inTenant(this.db, scope, async (tx) => {
      const version = await repo.getVersion(tx, versionId);
      if (version.state === 'DELETED') throw notFound('upload');
      const upload = await openUpload(tx, scope, this.blobs, version.uploadId);
      return { upload, table: await this.blobs.prepare(tx, scope) };
    });
  }

  /** Makes the version ready and shreds the upload: its rows live in the table from now on. Within the job's last transaction. */
  async finishIngest(
    tx: Tx,
    scope: Scope,
    { versionId, table, result }: { versionId: string; table: NewBlob; result: IngestResult },
  ): Promise<void> {
    const version = await repo.lockVersion(tx, versionId);
    if (!version) throw notFound('dataset version');
    const at = this.clock.now();
    await this.blobs.insert(tx, table, 'table');
    await repo.markIngested(tx, versionId, { result, blobId: table.blobId, at });
    const upload = await repo.findUpload(tx, version.uploadId);
    if (upload?.blobId) await this.blobs.shred(tx, scope, upload.blobId);
    const { format, rowCount, rejectedCount, digest } = result;
    const detail = { format, rowCount, rejectedCount, digest };
    await appendAudit(tx, scope, { kind: 'dataset.ingested', subjectId: versionId, detail, at });
  }

  /** Records why an ingest came to nothing. Within the job's last transaction. */
  async refuseIngest(tx: Tx, scope: Scope, { versionId, code }: { versionId: string; code: string }): Promise<void> {
    await appendAudit(tx, scope, {
      kind: 'dataset.refused',
      subjectId: versionId,
      detail: { code },
      at: this.clock.now(),
    });
  }
}

function checkedText(
  text: string | null | undefined,
  { field, least, most }: { field: string; least: number; most: number },
): string | null {
  const trimmed = text?.trim() ?? '';
  const { length } = [...trimmed];
  if (length < least || length > most || trimmed.includes('\0'))
    throw new AppError('INVALID_INPUT', `This must have ${least} to ${most} characters.`, { field });
  return trimmed || null;
}

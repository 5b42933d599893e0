import { IsNull } from 'typeorm';
import { own, type Tx } from '../../platform/db.js';
import { notFound } from '../../platform/errors.js';
import { DatasetRow, type DatasetVersionRow, type SplitRow, UploadRow } from './dataset.entity.js';
import type { IngestResult } from './ingest.service.js';

const VERSION = `select v.id, v.tenant_id as "tenantId", v.dataset_id as "datasetId", v.number, v.upload_id as "uploadId",
  v.job_id as "jobId", v.created_at as "createdAt", v.ready_at as "readyAt", v.deleted_at as "deletedAt", v.format,
  v.row_count as "rowCount", v.rejected_count as "rejectedCount", v.rejects, v.digest, v.columns, v.profile, v.blob_id as "blobId",
  case when v.deleted_at is not null then 'DELETED' when v.ready_at is not null then 'READY'
    when j.state in ('FAILED', 'CANCELLED') then 'REFUSED' else 'INGESTING' end as state,
  j.error_code as "errorCode", j.error_message as "errorMessage"
  from dataset_version v join job j on j.tenant_id = v.tenant_id and j.id = v.job_id`;

const SPLIT = `select s.id, s.tenant_id as "tenantId", s.dataset_version_id as "datasetVersionId", s.method, s.column_name as "columnName",
  s.train, s.validation, s.test, s.seed, s.job_id as "jobId", s.created_at as "createdAt", s.ready_at as "readyAt",
  s.train_rows as "trainRows", s.validation_rows as "validationRows", s.test_rows as "testRows", s.digest,
  case when s.ready_at is not null then 'READY' when j.state in ('FAILED', 'CANCELLED') then 'REFUSED' else 'COMPUTING' end as state,
  j.error_code as "errorCode", j.error_message as "errorMessage"
  from split s join job j on j.tenant_id = s.tenant_id and j.id = s.job_id`;

export async function insertUpload(tx: Tx, row: UploadRow): Promise<void> {
  await tx.insert(UploadRow, row);
}

export function findUpload(tx: Tx, id: string): Promise<UploadRow | null> {
  return tx.findOneBy(UploadRow, { ...own(tx), id });
}

export function lockUpload(tx: Tx, id: string): Promise<UploadRow | null> {
  return tx.findOne(UploadRow, { where: { ...own(tx), id }, lock: { mode: 'pessimistic_write' } });
}

export async function markReceived(tx: Tx, id: string, blobId: string, at: Date): Promise<void> {
  await tx.update(UploadRow, { ...own(tx), id }, { blobId, receivedAt: at });
}

/** Whether something was made of the upload, or is being made: a job that has neither failed nor been cancelled. */
export async function isUploadUsed(tx: Tx, uploadId: string): Promise<boolean> {
  const rows = await tx.query<unknown[]>(
    `select 1 from upload u join job j on j.tenant_id = u.tenant_id and j.subject_id = u.taken_by
     where u.tenant_id = $1 and u.id = $2 and j.state not in ('FAILED', 'CANCELLED') limit 1`,
    [tx.tenantId, uploadId],
  );
  return rows.length > 0;
}

export async function markTaken(tx: Tx, id: string, by: string): Promise<void> {
  await tx.update(UploadRow, { ...own(tx), id }, { takenBy: by });
}

export async function insertDataset(tx: Tx, row: DatasetRow): Promise<void> {
  await tx.insert(DatasetRow, row);
}

export function findDataset(tx: Tx, id: string): Promise<DatasetRow | null> {
  return tx.findOneBy(DatasetRow, { ...own(tx), id });
}

/** Locked, so that versions are numbered one after the other. */
export async function lockDataset(tx: Tx, id: string): Promise<DatasetRow> {
  const where = { ...own(tx), id, deletedAt: IsNull() };
  const row = await tx.findOne(DatasetRow, { where, lock: { mode: 'pessimistic_write' } });
  if (!row) throw notFound('dataset');
  return row;
}

export function listDatasets(tx: Tx, after: string | null, limit: number): Promise<DatasetRow[]> {
  return tx.query(
    `select id, tenant_id as "tenantId", name, description, created_at as "createdAt", deleted_at as "deletedAt" from dataset
     where tenant_id = $1 and deleted_at is null and ($2::text is null or id < $2) order by id desc limit $3`,
    [tx.tenantId, after, limit],
  );
}

export async function insertVersion(
  tx: Tx,
  row: Pick<DatasetVersionRow, 'id' | 'tenantId' | 'datasetId' | 'uploadId' | 'jobId' | 'createdAt'>,
): Promise<void> {
  await tx.query(
    `insert into dataset_version (id, tenant_id, dataset_id, upload_id, job_id, created_at, number)
     select $1, $2, $3, $4, $5, $6, coalesce(max(number), 0) + 1 from dataset_version where tenant_id = $2 and dataset_id = $3`,
    [row.id, row.tenantId, row.datasetId, row.uploadId, row.jobId, row.createdAt],
  );
}

export async function findVersion(tx: Tx, id: string): Promise<DatasetVersionRow | null> {
  const [row] = await tx.query<DatasetVersionRow[]>(`${VERSION} where v.tenant_id = $1 and v.id = $2`, [
    tx.tenantId,
    id,
  ]);
  return row ?? null;
}

export async function getVersion(tx: Tx, id: string): Promise<DatasetVersionRow> {
  const row = await findVersion(tx, id);
  if (!row) throw notFound('dataset version');
  return row;
}

/** Takes the version's row against its deletion. Null if it is deleted. */
export async function lockVersion(tx: Tx, id: string): Promise<DatasetVersionRow | null> {
  const locked = await tx.query<unknown[]>(
    `select 1 from dataset_version where tenant_id = $1 and id = $2 and deleted_at is null for update`,
    [tx.tenantId, id],
  );
  return locked.length > 0 ? findVersion(tx, id) : null;
}

export function listVersions(
  tx: Tx,
  datasetId: string,
  { after, limit }: { after: string | null; limit: number },
): Promise<DatasetVersionRow[]> {
  return tx.query(
    `${VERSION} where v.tenant_id = $1 and v.dataset_id = $2 and ($3::text is null or v.id < $3) order by v.id desc limit $4`,
    [tx.tenantId, datasetId, after, limit],
  );
}

export async function markIngested(
  tx: Tx,
  id: string,
  { result, blobId, at }: { result: IngestResult; blobId: string; at: Date },
): Promise<void> {
  await tx.query(
    `update dataset_version set format = $2, row_count = $3, rejected_count = $4, rejects = $5, digest = $6, columns = $7,
       profile = $8, blob_id = $9, ready_at = $10 where id = $1 and tenant_id = $11`,
    [
      id,
      result.format,
      result.rowCount,
      result.rejectedCount,
      JSON.stringify(result.rejects),
      result.digest,
      JSON.stringify(result.columns),
      JSON.stringify(result.profile),
      blobId,
      at,
      tx.tenantId,
    ],
  );
}

/** The jobs of a dataset that are not over: its ingests and splits. */
export async function listOpenJobs(tx: Tx, datasetId: string): Promise<string[]> {
  const rows = await tx.query<{ id: string }[]>(
    `select id from job where tenant_id = $1 and state in ('QUEUED', 'RUNNING') and (
       id in (select job_id from dataset_version where tenant_id = $1 and dataset_id = $2) or
       id in (select s.job_id from split s join dataset_version v on v.tenant_id = s.tenant_id and v.id = s.dataset_version_id
              where v.tenant_id = $1 and v.dataset_id = $2)) order by id`,
    [tx.tenantId, datasetId],
  );
  return rows.map((row) => row.id);
}

/** Marks the dataset and its versions deleted, and forgets what they tell about values. Returns the blobs behind them. */
export async function markDeleted(tx: Tx, datasetId: string, at: Date): Promise<string[]> {
  await tx.update(DatasetRow, { ...own(tx), id: datasetId }, { deletedAt: at });
  await tx.query(
    `update dataset_version set deleted_at = $3, columns = null, profile = null, rejects = null
     where tenant_id = $1 and dataset_id = $2`,
    [tx.tenantId, datasetId, at],
  );
  const rows = await tx.query<{ id: string }[]>(
    `select blob_id as id from dataset_version where tenant_id = $1 and dataset_id = $2 and blob_id is not null
     union select u.blob_id from upload u join dataset_version v on v.tenant_id = u.tenant_id and v.upload_id = u.id
     where v.tenant_id = $1 and v.dataset_id = $2 and u.blob_id is not null`,
    [tx.tenantId, datasetId],
  );
  return rows.map((row) => row.id);
}

export async function insertSplit(
  tx: Tx,
  row: Omit<
    SplitRow,
    'state' | 'readyAt' | 'trainRows' | 'validationRows' | 'testRows' | 'digest' | 'errorCode' | 'errorMessage'
  >,
): Promise<void> {
  await tx.query(
    `insert into split (id, tenant_id, dataset_version_id, method, column_name, train, validation, test, seed, job_id, created_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
    [
      row.id,
      row.tenantId,
      row.datasetVersionId,
      row.method,
      row.columnName,
      row.train,
      row.validation,
      row.test,
      row.seed,
      row.jobId,
      row.createdAt,
    ],
  );
}

export async function findSplit(tx: Tx, id: string): Promise<SplitRow | null> {
  const [row] = await tx.query<SplitRow[]>(`${SPLIT} where s.tenant_id = $1 and s.id = $2`, [tx.tenantId, id]);
  return row ?? null;
}

export function listSplits(
  tx: Tx,
  versionId: string,
  { after, limit }: { after: string | null; limit: number },
): Promise<SplitRow[]> {
  return tx.query(
    `${SPLIT} where s.tenant_id = $1 and s.dataset_version_id = $2 and ($3::text is null or s.id < $3) order by s.id desc limit $4`,
    [tx.tenantId, versionId, after, limit],
  );
}

export async function markSplit(
  tx: Tx,
  id: string,
  done: { train: number; validation: number; test: number; digest: string; at: Date },
): Promise<void> {
  await tx.query(
    `update split set train_rows = $2, validation_rows = $3, test_rows = $4, digest = $5, ready_at = $6
     where id = $1 and tenant_id = $7`,
    [id, done.train, done.validation, done.test, done.digest, done.at, tx.tenantId],
  );
}

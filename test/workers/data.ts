import { createHash } from 'node:crypto';
import type { App } from '../../src/app.js';
import { assignSplit, countSplit } from '../../src/ml/split.js';
import { writeSealed } from '../../src/platform/blobs.js';
import { inTenant } from '../../src/platform/db.js';
import { newId } from '../../src/platform/ids.js';
import { encodeTable, type StoredColumn } from '../../src/platform/table-file.js';
import type { Tenant } from './support.js';

export interface Data {
  readonly datasetId: string;
  readonly datasetVersionId: string;
  readonly splitId: string;
}

/** Numbers that any seed makes again (mulberry32). */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A table with numbers, a category, missing values, and targets of every task. */
export function table(rows: number, seed = 1): StoredColumn[] {
  const next = random(seed);
  const numbers = (value: (row: number) => number) => Float64Array.from({ length: rows }, (_, row) => value(row));
  const age = numbers(() => 18 + Math.floor(60 * next()));
  const income = numbers(() => (next() < 0.1 ? NaN : 1000 + 5000 * next()));
  const city = Int32Array.from({ length: rows }, () => Math.floor(4 * next()) - 1);
  const score = (row: number) =>
    (age[row]! - 48) / 20 + (Number.isNaN(income[row]!) ? 0 : (income[row]! - 3500) / 2000) + (city[row] === 1 ? 1 : 0);
  return [
    { name: 'age', kind: 'number', values: age },
    { name: 'income', kind: 'number', values: income },
    { name: 'city', kind: 'category', codes: city, categories: ['Lyon', 'Oslo', 'Porto'] },
    {
      name: 'bought',
      kind: 'category',
      codes: Int32Array.from(age, (_, row) => (score(row) + next() - 0.5 > 0 ? 1 : 0)),
      categories: ['no', 'yes'],
    },
    { name: 'spent', kind: 'number', values: numbers((row) => 100 + 50 * score(row) + 10 * next()) },
    { name: 'same', kind: 'number', values: numbers(() => 7) },
  ];
}

/** A dataset version and a stratified split as ingest and split leave them behind, without running those jobs. `next`: of a dataset that there is. */
export async function makeData(
  app: App,
  tenant: Tenant,
  rows = 600,
  next?: { readonly datasetId: string; readonly number: number },
): Promise<Data> {
  const columns = table(rows);
  const stored = { rowCount: rows, columns };
  const [uploadId, datasetId, datasetVersionId, splitId] = [
    newId('upload'),
    next?.datasetId ?? newId('dataset'),
    newId('datasetVersion'),
    newId('split'),
  ];
  const blob = await inTenant(app.db, tenant, (tx) => app.blobs.prepare(tx, tenant));
  await writeSealed(blob, encodeTable(stored));
  const spec = {
    method: 'STRATIFIED',
    column: 'bought',
    shares: { train: 0.6, validation: 0.2, test: 0.2 },
    seed: 1,
  } as const;
  const assignment = assignSplit(stored, spec);
  const counts = countSplit(assignment);
  const digest = createHash('sha256').update(assignment).digest('hex');
  const schema = columns.map(({ name, kind }) => ({
    name,
    type: kind.toUpperCase(),
    role: 'FEATURE',
    whole: false,
    categories: [],
  }));
  const job = async (name: string, subject: string) => {
    const id = newId('job');
    await inTenant(app.db, tenant, (tx) =>
      tx.query(
        `insert into job (id, tenant_id, name, subject_id, max_attempts, state, finished_at) values ($1, $2, $3, $4, 3, 'SUCCEEDED', now())`,
        [id, tenant.tenantId, name, subject],
      ),
    );
    return id;
  };
  const [ingestJob, splitJob] = [await job('ingest', datasetVersionId), await job('split', splitId)];
  await inTenant(app.db, tenant, async (tx) => {
    const t = tenant.tenantId;
    await app.blobs.insert(tx, blob, 'table');
    await tx.query(
      `insert into upload (id, tenant_id, size_bytes, sha256, token_hash, created_at, expires_at) values ($1, $2, 0, $3, $4, now(), now())`,
      [uploadId, t, '0'.repeat(64), Buffer.alloc(32)],
    );
    if (!next)
      await tx.query(`insert into dataset (id, tenant_id, name, created_at) values ($1, $2, 'People', now())`, [
        datasetId,
        t,
      ]);
    await tx.query(
      `insert into dataset_version (id, tenant_id, dataset_id, number, upload_id, job_id, created_at, ready_at, format, row_count, rejected_count, rejects, digest, columns, profile, blob_id)
       values ($1, $2, $3, $10, $4, $5, now(), now(), 'CSV', $6, 0, '[]', $7, $8, '[]', $9)`,
      [
        datasetVersionId,
        t,
        datasetId,
        uploadId,
        ingestJob,
        rows,
        'a'.repeat(64),
        JSON.stringify(schema),
        blob.blobId,
        next?.number ?? 1,
      ],
    );
    await tx.query(
      `insert into split (id, tenant_id, dataset_version_id, method, column_name, train, validation, test, seed, job_id, created_at, ready_at, train_rows, validation_rows, test_rows, digest)
       values ($1, $2, $3, 'STRATIFIED', 'bought', 0.6, 0.2, 0.2, 1, $4, now(), now(), $5, $6, $7, $8)`,
      [splitId, t, datasetVersionId, splitJob, counts.train, counts.validation, counts.test, digest],
    );
  });
  return { datasetId, datasetVersionId, splitId };
}

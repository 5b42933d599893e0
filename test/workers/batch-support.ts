import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import type { App } from '../../src/app.js';
import { writeSealed } from '../../src/platform/blobs.js';
import { inTenant } from '../../src/platform/db.js';
import { newId } from '../../src/platform/ids.js';
import { encodeTable, type StoredColumn } from '../../src/platform/table-file.js';
import type { Receipt } from '../../src/domain/metering/receipt.js';
import { PASSWORD, type TestApi, type TestTenant } from '../support/app.js';
import type { Client } from '../support/client.js';

const CITIES = ['Lyon', 'Oslo', 'Paris'];

/** Rows for the classifier of serving-support, as GraphQL takes them; with missing values. */
export function rowsOf(count: number, from = 0): { x: (number | null)[]; city: (string | null)[] } {
  const rows = Array.from({ length: count }, (_, i) => i + from);
  return {
    x: rows.map((i) => (i % 17 === 3 ? null : Math.round(Math.sin(i * 12.9898) * 4000) / 1000)),
    city: rows.map((i) => (i % 13 === 5 ? null : CITIES[(i * 7) % 3]!)),
  };
}

/** The same rows as a dataset version keeps them, with a column that no model takes. */
export function storedOf({ x, city }: ReturnType<typeof rowsOf>): StoredColumn[] {
  return [
    { name: 'id', kind: 'number', values: Float64Array.from(x.keys()) },
    {
      name: 'city',
      kind: 'category',
      codes: Int32Array.from(city, (name) => (name === null ? -1 : CITIES.indexOf(name))),
      categories: CITIES,
    },
    { name: 'x', kind: 'number', values: Float64Array.from(x, (value) => value ?? NaN) },
  ];
}

/** A dataset version as ingest leaves it behind. */
export async function makeVersion(
  app: App,
  tenantId: string,
  columns: readonly StoredColumn[],
): Promise<{ datasetId: string; datasetVersionId: string }> {
  const [first] = columns;
  const rows = first!.kind === 'category' ? first!.codes.length : first!.values.length;
  const [uploadId, datasetId, datasetVersionId] = [newId('upload'), newId('dataset'), newId('datasetVersion')];
  const tenant = { tenantId };
  const blob = await inTenant(app.db, tenant, (tx) => app.blobs.prepare(tx, tenant));
  await writeSealed(blob, encodeTable({ rowCount: rows, columns }));
  const schema = columns.map(({ name, kind }) => ({
    name,
    type: kind.toUpperCase(),
    role: 'FEATURE',
    whole: false,
    categories: [],
  }));
  await inTenant(app.db, tenant, async (tx) => {
    const jobId = newId('job');
    await tx.query(
      `insert into job (id, tenant_id, name, subject_id, max_attempts, state, finished_at) values ($1, $2, 'ingest', $3, 3, 'SUCCEEDED', now())`,
      [jobId, tenantId, datasetVersionId],
    );
    await app.blobs.insert(tx, blob, 'table');
    await tx.query(
      `insert into upload (id, tenant_id, size_bytes, sha256, token_hash, created_at, expires_at) values ($1, $2, 0, $3, $4, now(), now())`,
      [uploadId, tenantId, '0'.repeat(64), Buffer.alloc(32)],
    );
    await tx.query(`insert into dataset (id, tenant_id, name, created_at) values ($1, $2, 'Rows', now())`, [
      datasetId,
      tenantId,
    ]);
    await tx.query(
      `insert into dataset_version (id, tenant_id, dataset_id, number, upload_id, job_id, created_at, ready_at, format, row_count, rejected_count, rejects, digest, columns, profile, blob_id)
       values ($1, $2, $3, 1, $4, $5, now(), now(), 'CSV', $6, 0, '[]', $7, $8, '[]', $9)`,
      [
        datasetVersionId,
        tenantId,
        datasetId,
        uploadId,
        jobId,
        rows,
        'a'.repeat(64),
        JSON.stringify(schema),
        blob.blobId,
      ],
    );
  });
  return { datasetId, datasetVersionId };
}

/** An agreement in force. */
export async function agree(
  [provider, consumer]: readonly [TestTenant, TestTenant],
  endpointId: string,
  terms: Record<string, unknown> = {},
): Promise<string> {
  const now = Date.now();
  const period = { from: new Date(now - 60_000).toISOString(), until: new Date(now + 86_400_000).toISOString() };
  const { agreement } = await provider.owner.mutate<{ agreement: { id: string } }>(
    'offerAgreement',
    {
      endpointId,
      consumerTenantId: consumer.id,
      terms: { purposes: ['CREDIT'], period, disclosure: { kind: 'SCORES', digits: 2 }, ...terms },
    },
    'agreement { id }',
  );
  const input = { agreementId: agreement.id, password: PASSWORD };
  await provider.owner.mutate('signAgreement', input, 'agreement { state }');
  await consumer.owner.mutate('signAgreement', input, 'agreement { state }');
  return agreement.id;
}

export interface Batch {
  readonly id: string;
  readonly rowCount: number;
  readonly rowsAnswered: number;
  readonly modelVersionId: string;
  readonly agreementId: string | null;
  readonly job: {
    id: string;
    state: string;
    attempt: number;
    errorCode: string | null;
    progress: { rows: number | null } | null;
  };
  readonly downloads: { csvUrl: string; jsonLinesUrl: string; manifestUrl: string } | null;
}
export const BATCH = `id rowCount rowsAnswered modelVersionId agreementId job { id state attempt errorCode progress { rows } }
  downloads { csvUrl jsonLinesUrl manifestUrl }`;

export const start = (client: Client, input: Record<string, unknown>): Promise<Batch> =>
  client
    .mutate<{ batchPrediction: Batch }>('predictBatch', { purpose: 'CREDIT', ...input }, `batchPrediction { ${BATCH} }`)
    .then((payload) => payload.batchPrediction);

export const read = (client: Client, id: string): Promise<Batch> =>
  client
    .query<{ batchPrediction: Batch }>(`query ($id: ID!) { batchPrediction(id: $id) { ${BATCH} } }`, { id })
    .then((data) => data.batchPrediction);

/** Polls until the batch is as wanted. */
export async function until(
  client: Client,
  id: string,
  wanted: (batch: Batch) => boolean = ({ downloads }) => downloads !== null,
  timeoutMs = 50_000,
): Promise<Batch> {
  let last: Batch | undefined;
  for (const from = Date.now(); Date.now() - from < timeoutMs; await delay(30)) {
    last = await read(client, id);
    if (wanted(last)) return last;
  }
  throw new Error(`The batch did not become as wanted: ${JSON.stringify(last)}`);
}

export async function fetchAs(client: Client, url: string): Promise<{ status: number; text: string }> {
  const response = await fetch(url, { headers: client.token ? { authorization: `Bearer ${client.token}` } : {} });
  return { status: response.status, text: await response.text() };
}

export interface Line {
  readonly firstRow: number;
  readonly rowCount: number;
  readonly answer: {
    labels: string[] | null;
    scores: Record<string, (number | null)[]> | null;
    values: number[] | null;
  };
  readonly receipt: Receipt;
}

export async function linesOf(client: Client, batch: Batch): Promise<Line[]> {
  const { text } = await fetchAs(client, batch.downloads!.jsonLinesUrl);
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
}

export interface Meter {
  readonly total: number;
  readonly reserved: number;
  readonly today: number;
  readonly month: number;
  readonly budget: number;
  /** Rows of answered entries. */
  readonly recorded: number;
}

/** What the ledger has counted under an agreement, and what the log has. */
export async function meterOf(api: TestApi, tenantId: string, agreementId: string): Promise<Meter> {
  const [row] = await inTenant(api.app.db, { tenantId }, (tx) =>
    tx.query<Meter[]>(
      `select m.rows_total as total, m.rows_reserved as reserved, m.rows_today as today, m.rows_this_month as month, m.budget_used_milli as budget,
         (select coalesce(sum(e.row_count), 0)::bigint from prediction_entry e join prediction_context c on c.id = e.context_id
          where c.agreement_id = m.agreement_id and e.code = 0 and $2 in (c.tenant_id, c.counterparty_tenant_id)) as recorded
       from agreement_meter m where m.agreement_id = $1 and $2 in (m.provider_tenant_id, m.consumer_tenant_id)`,
      [agreementId, tenantId],
    ),
  );
  return row!;
}

/** As anybody does who has the files and the platform's key; and not when something was changed. */
export async function verifies(api: TestApi, manifest: Record<string, unknown>, lines: readonly Line[]): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'concordat-test-'));
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const keys = file('keys.json', (await fetchAs(api.client, `${api.url}/log/keys`)).text);
  const verify = (what: object, answers: readonly object[]) =>
    spawnSync(process.execPath, [
      ...['src/cli/concordat.mjs', 'verify', file('manifest.json', JSON.stringify(what)), '--keys', keys],
      ...['--answers', file('answers.jsonl', answers.map((line) => JSON.stringify(line)).join('\n'))],
    ]);
  const proved = verify(manifest, lines);
  expect([proved.status, String(proved.stdout)]).toEqual([
    0,
    expect.stringContaining('The answers are the recorded ones.'),
  ]);
  const chunks = manifest['chunks'] as object[];
  const forged = [
    { ...manifest, purpose: 'INSURANCE' },
    {
      ...manifest,
      rowsAnswered: 2 * lines[0]!.rowCount + lines[2]!.rowCount,
      chunks: [chunks[0], chunks[0], chunks[2]],
    },
    { ...manifest, chunks: chunks.slice(1) },
    { ...manifest, disclosure: { kind: 'FULL' } },
  ];
  for (const one of forged) expect(verify(one, lines).status).toBe(1);
  expect(verify(manifest, [lines[1]!, lines[0]!, lines[2]!]).status).toBe(1);
  rmSync(folder, { recursive: true });
}

import { existsSync, readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Job } from '../../src/platform/jobs.js';
import { startTestApi, type TestApi, type TestTenant } from '../support/app.js';
import { announce, runJob, scopeOf } from './dataset-support.js';

let api: TestApi;
let tenant: TestTenant;
let stranger: TestTenant;
beforeAll(async () => {
  api = await startTestApi();
  tenant = await api.tenant();
  stranger = await api.tenant();
});

const CSV =
  'age,town,born\n' +
  Array.from({ length: 60 }, (_, i) => `${20 + (i % 12)},${i % 2 ? 'Lyon' : 'Bern'},1990-01-${10 + (i % 9)}`).join(
    '\n',
  ) +
  '\n1,2\n';

interface MadeUpload {
  upload: { id: string };
  url: string;
  method: string;
}

async function createUpload(bytes: string): Promise<{ id: string; path: string }> {
  const made = await tenant.owner.mutate<MadeUpload>('createUpload', announce(bytes), 'upload { id } url method');
  expect(made.method).toBe('PUT');
  const url = new URL(made.url);
  return { id: made.upload.id, path: url.pathname + url.search };
}

const put = (path: string, body: string) => fetch(api.url + path, { method: 'PUT', body });
const state = async (id: string) =>
  (await tenant.owner.query<{ upload: { state: string } }>(`query ($id: ID!) { upload(id: $id) { state } }`, { id }))
    .upload.state;

function blobs(): string[] {
  const directory = join(api.app.config.home, 'blobs', tenant.id);
  return existsSync(directory) ? readdirSync(directory) : [];
}

const work = (id: string, jobId: string): Promise<Job> => runJob(api.app, scopeOf(id), jobId);

describe('data over HTTP', () => {
  it('goes from a file to a split, and no answer holds a rare value', async () => {
    const { id, path } = await createUpload(CSV);
    const received = await put(path, CSV);
    expect([received.status, ((await received.json()) as { state: string }).state]).toEqual([200, 'RECEIVED']);
    const made = await tenant.owner.mutate<{ dataset: { id: string }; version: { id: string; job: { id: string } } }>(
      'createDataset',
      { name: 'Towns', uploadId: id, description: 'Who lives where' },
      'dataset { id name } version { id number state job { id state name } }',
    );
    expect((await work(tenant.id, made.version.job.id)).state).toBe('SUCCEEDED');
    const query = `query ($id: ID!) { dataset(id: $id) { name description createdAt deletedAt versions(first: 1) { nodes {
      id state format rowCount rejectedCount digest errorCode rejects { line reason } columns { name type role whole categories }
      profile { name missing nonFinite distinct mean standardDeviation otherCount quantiles { share value } histogram { edges counts } frequent { value count } }
      job { state } splits { nodes { id } } } } } }`;
    const { dataset } = await tenant.owner.query<{ dataset: { versions: { nodes: object[] } } }>(query, {
      id: made.dataset.id,
    });
    expect(dataset.versions.nodes[0]).toMatchObject({
      state: 'READY',
      format: 'CSV',
      rowCount: 60,
      rejectedCount: 1,
      rejects: [{ line: 62, reason: 'TOO_FEW_FIELDS' }],
      columns: [{ type: 'NUMBER' }, { type: 'CATEGORY', categories: ['Bern', 'Lyon'] }, { type: 'DATE' }],
      job: { state: 'SUCCEEDED' },
    });
    const { split } = await tenant.owner.mutate<{ split: { id: string; job: { id: string } } }>(
      'createSplit',
      { datasetVersionId: made.version.id, method: 'STRATIFIED', column: 'town' },
      'split { id state job { id } }',
    );
    await work(tenant.id, split.job.id);
    const found = await tenant.owner.query(
      `query ($id: ID!) { split(id: $id) { state method columnName train validation test seed trainRows validationRows testRows digest } }`,
      { id: split.id },
    );
    expect(found).toMatchObject({ split: { state: 'READY', trainRows: 36, validationRows: 12, testRows: 12 } });
    for (const field of ['dataset', 'datasetVersion', 'split', 'upload', 'node']) {
      const ids = {
        dataset: made.dataset.id,
        datasetVersion: made.version.id,
        split: split.id,
        upload: id,
        node: made.version.id,
      };
      const answer = await stranger.owner.send(`query ($id: ID!) { ${field}(id: $id) { id } }`, {
        id: ids[field as 'node'],
      });
      expect(answer.errors[0]?.extensions.code, field).toBe('NOT_FOUND');
    }
    expect(await stranger.owner.refusal('deleteDataset', { datasetId: made.dataset.id })).toBe('NOT_FOUND');
    await tenant.owner.mutate('deleteDataset', { datasetId: made.dataset.id }, 'dataset { deletedAt }');
    const gone = await tenant.owner.query<{ datasetVersion: object }>(
      `query ($id: ID!) { datasetVersion(id: $id) { state deletedAt columns { name } profile { name } } }`,
      { id: made.version.id },
    );
    expect(gone.datasetVersion).toMatchObject({ state: 'DELETED', columns: null, profile: null });
  });

  it('of a dropped connection leaves nothing, and is sent again', async () => {
    const large = CSV + '20,Lyon,1990-01-10\n'.repeat(200_000);
    const { id, path } = await createUpload(large);
    const before = blobs().length;
    const { hostname, port } = new URL(api.url);
    const socket = connect(Number(port), hostname);
    socket.on('error', () => undefined);
    socket.write(
      `PUT ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: ${large.length}\r\n\r\n${large.slice(0, 2_000_000)}`,
    );
    await delay(400);
    socket.destroy();
    for (let i = 0; i < 50 && blobs().length > before; i++) await delay(50);
    expect(blobs().length).toBe(before);
    expect(await state(id)).toBe('CREATED');
    expect((await put(path, large)).status).toBe(200);
    expect((await put(path, large)).status).toBe(200);
    expect(await state(id)).toBe('RECEIVED');
    expect(blobs().length).toBe(before + 1);
  });

  it('that is altered, truncated or not announced is refused with a code', async () => {
    const { path } = await createUpload(CSV);
    const codeOf = async (response: Response) => [
      response.status,
      JSON.stringify(await response.json()).match(/[A-Z]+_[A-Z_]+/)?.[0],
    ];
    expect(await codeOf(await put(path, CSV.replace('Lyon', 'Paris')))).toEqual([400, 'SIZE_MISMATCH']);
    expect(await codeOf(await put(path, CSV.replace('Lyon', 'Rome')))).toEqual([400, 'DIGEST_MISMATCH']);
    expect(await codeOf(await put(path.replace(/token=.*/, 'token=guess'), CSV))).toEqual([404, 'NOT_FOUND']);
    expect((await put(path, CSV)).status).toBe(200);
    expect(await tenant.owner.refusal('createUpload', { ...announce(''), fileName: 'x' })).toBe('EMPTY_FILE');
  });
});

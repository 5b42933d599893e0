import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { App } from '../../src/app.js';
import { inTenant } from '../../src/platform/db.js';
import { newId } from '../../src/platform/ids.js';
import type { Scope } from '../../src/platform/scope.js';
import { loadTrainingInput } from '../../src/domain/datasets/training-input.service.js';
import { makeTenant, openPlatform, type Platform } from '../workers/support.js';
import { announce, pieces, runJob, scopeOf, sent, upload } from './dataset-support.js';

let platform: Platform;
let app: App;
let scope: Scope;
let stranger: Scope;
beforeAll(async () => {
  platform = await openPlatform();
  app = platform.app;
  scope = scopeOf((await makeTenant(app)).tenantId);
  stranger = scopeOf((await makeTenant(app, 'A stranger')).tenantId);
});
afterAll(() => platform.close());

const CSV =
  'x,y,group,day,class\n' +
  Array.from(
    { length: 100 },
    (_, i) => `${i},${i % 7},g${i % 30},2024-01-${String((i % 28) + 1).padStart(2, '0')},${i % 3 ? 'good' : 'bad'}`,
  ).join('\n') +
  '\n';

function files(of = scope): string[] {
  const directory = join(app.config.home, 'blobs', of.tenantId);
  return existsSync(directory) ? readdirSync(directory) : [];
}

async function kinds(subjectId: string): Promise<string[]> {
  const rows = await inTenant(app.db, scope, (tx) =>
    tx.query<{ kind: string }[]>(`select kind from audit_entry where subject_id = $1 order by log_index`, [subjectId]),
  );
  return rows.map((row) => row.kind);
}

async function makeDataset(bytes: string = CSV) {
  const made = await app.datasets.create(scope, { name: 'Rows', uploadId: await upload(app, scope, bytes) });
  const job = await runJob(app, scope, made.version.jobId);
  return { ...made, job, version: (await app.datasets.findVersion(scope, made.version.id))! };
}

describe('an upload', () => {
  it('arrives sealed, once, and answers a repetition the same', async () => {
    const { upload: made, path } = await app.uploads.create(scope, { ...announce(CSV), fileName: 'rows.csv' });
    expect(made.state).toBe('CREATED');
    expect(path).toMatch(/^\/uploads\/upl_[0-9a-f]{32}\?token=/);
    const before = files().length;
    const received = await app.uploads.receive({ id: made.id, ...sent(path, CSV) });
    expect(received.state).toBe('RECEIVED');
    expect(files().length).toBe(before + 1);
    for (const file of files())
      expect(readFileSync(join(app.config.home, 'blobs', scope.tenantId, file)).includes('good')).toBe(false);
    expect(await app.uploads.receive({ id: made.id, ...sent(path, 'anything') })).toEqual(received);
    expect(files().length).toBe(before + 1);
    expect(await kinds(made.id)).toEqual(['upload.created', 'upload.received']);
  });

  it('leaves nothing behind when it is altered, cut off, too long or interrupted, and can be sent again', async () => {
    const before = files();
    const { upload: made, path } = await app.uploads.create(scope, announce(CSV));
    const send = (bytes: string, more = {}) => app.uploads.receive({ id: made.id, ...sent(path, bytes), ...more });
    await expect(send(CSV.replace('good', 'evil'))).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    await expect(send(CSV.slice(0, -5))).rejects.toMatchObject({ code: 'SIZE_MISMATCH' });
    await expect(send(CSV + 'more')).rejects.toMatchObject({ code: 'SIZE_MISMATCH' });
    await expect(send(CSV, { contentLength: 3 })).rejects.toMatchObject({ code: 'SIZE_MISMATCH' });
    async function* dropped() {
      yield* pieces(CSV.slice(0, 100));
      throw Object.assign(new Error('aborted'), { code: 'ECONNRESET' });
    }
    await expect(send(CSV, { body: dropped() })).rejects.toMatchObject({ code: 'UPLOAD_INTERRUPTED' });
    const gone = new AbortController();
    async function* hanging() {
      yield Buffer.from('x');
      gone.abort();
      await new Promise((resolve) => setTimeout(resolve, 100));
      yield Buffer.from('y');
    }
    await expect(send(CSV, { body: hanging(), signal: gone.signal })).rejects.toMatchObject({
      code: 'UPLOAD_INTERRUPTED',
    });
    expect(files()).toEqual(before);
    expect((await app.uploads.find(scope, made.id))!.state).toBe('CREATED');
    expect((await send(CSV)).state).toBe('RECEIVED');
  });

  it('may be sent twice at once', async () => {
    const before = files().length;
    const { upload: made, path } = await app.uploads.create(scope, announce(CSV));
    const both = await Promise.all([1, 2, 3].map(() => app.uploads.receive({ id: made.id, ...sent(path, CSV) })));
    expect(new Set(both.map((one) => one.state))).toEqual(new Set(['RECEIVED']));
    expect(files().length).toBe(before + 1);
  });

  it('is refused to whoever does not hold its address', async () => {
    const { upload: made, path } = await app.uploads.create(scope, announce(CSV));
    const good = sent(path, CSV);
    for (const token of ['', 'x', `${scope.tenantId}.wrong`, good.token.replace(scope.tenantId, stranger.tenantId)])
      await expect(app.uploads.receive({ id: made.id, ...good, token })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(app.uploads.receive({ id: newId('upload'), ...good })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('is limited, and expires', async () => {
    await expect(app.uploads.create(scope, { ...announce(CSV), sizeBytes: 2 ** 40 })).rejects.toMatchObject({
      code: 'DATA_TOO_LARGE',
    });
    await expect(app.uploads.create(scope, announce(''))).rejects.toMatchObject({ code: 'EMPTY_FILE' });
    await expect(app.uploads.create(scope, { sizeBytes: 1, sha256: 'x' })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
    });
    const { upload: made, path } = await app.uploads.create(scope, announce(CSV));
    await inTenant(app.db, scope, (tx) =>
      tx.query(`update upload set expires_at = now() - interval '1 s' where id = $1`, [made.id]),
    );
    await expect(app.uploads.receive({ id: made.id, ...sent(path, CSV) })).rejects.toMatchObject({
      code: 'UPLOAD_EXPIRED',
    });
  });
});

describe('a dataset', () => {
  it('becomes ready with schema, profile and digest; its upload is shredded', async () => {
    const { dataset, version, job } = await makeDataset();
    expect(job).toMatchObject({ state: 'SUCCEEDED' });
    expect(version).toMatchObject({ state: 'READY', number: 1, format: 'CSV', rowCount: 100, rejectedCount: 0 });
    expect(version.columns!.map(({ type }) => type)).toEqual(['NUMBER', 'NUMBER', 'CATEGORY', 'DATE', 'CATEGORY']);
    expect(version.digest).toMatch(/^[0-9a-f]{64}$/);
    expect(await kinds(version.id)).toEqual(['dataset.created', 'dataset.ingested']);
    await expect(
      app.datasets.createVersion(scope, { datasetId: dataset.id, uploadId: version.uploadId }),
    ).rejects.toMatchObject({ code: 'CONFLICT' });
    const next = await app.datasets.createVersion(scope, {
      datasetId: dataset.id,
      uploadId: await upload(app, scope, CSV),
    });
    expect(next).toMatchObject({ number: 2, state: 'INGESTING' });
    await runJob(app, scope, next.jobId);
    expect((await app.datasets.findVersion(scope, next.id))!.digest).toBe(version.digest);
    const page = await app.datasets.listVersions(scope, dataset.id, { first: 1 });
    expect(page.nodes.map((node) => node.id)).toEqual([next.id]);
    expect(page.pageInfo.hasNextPage).toBe(true);
  });

  it('is refused with the code of what is wrong, and its upload may be tried again', async () => {
    const { version, job } = await makeDataset('a,b\n"1,2\n3,4\n5,6\n7,8\n9,10\n');
    expect(job.state).toBe('FAILED');
    expect(version).toMatchObject({ state: 'REFUSED', errorCode: 'RAGGED_ROWS' });
    expect(await kinds(version.id)).toEqual(['dataset.created', 'dataset.refused']);
    const again = await app.datasets.create(scope, { name: 'Again', uploadId: version.uploadId });
    expect(again.version.state).toBe('INGESTING');
  });

  it('needs a file that was received', async () => {
    const { upload: made } = await app.uploads.create(scope, announce(CSV));
    await expect(app.datasets.create(scope, { name: 'x', uploadId: made.id })).rejects.toMatchObject({
      code: 'NOT_READY',
    });
    await expect(app.datasets.create(scope, { name: 'x', uploadId: newId('upload') })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    await expect(app.datasets.create(scope, { name: ' ', uploadId: made.id })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
    });
  });

  it('is nobody else’s', async () => {
    const { dataset, version } = await makeDataset();
    const split = await app.splits.create(scope, { datasetVersionId: version.id, method: 'RANDOM' });
    expect(await app.datasets.find(stranger, dataset.id)).toBeNull();
    expect(await app.datasets.findVersion(stranger, version.id)).toBeNull();
    expect(await app.uploads.find(stranger, version.uploadId)).toBeNull();
    expect(await app.splits.find(stranger, split.id)).toBeNull();
    expect((await app.datasets.list(stranger, {})).nodes).toEqual([]);
    expect((await app.datasets.listVersions(stranger, dataset.id, {})).nodes).toEqual([]);
    const uploadId = await upload(app, scope, CSV);
    for (const attempt of [
      () => app.datasets.delete(stranger, dataset.id),
      () => app.datasets.create(stranger, { name: 'x', uploadId }),
      () => app.datasets.createVersion(stranger, { datasetId: dataset.id, uploadId }),
      () => app.splits.create(stranger, { datasetVersionId: version.id, method: 'RANDOM' }),
    ])
      await expect(attempt()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('is deleted for good: keys, files, what was told of its values', async () => {
    const { dataset, version } = await makeDataset();
    const file = join(app.config.home, 'blobs', scope.tenantId, version.blobId!);
    expect(existsSync(file)).toBe(true);
    const deleted = await app.datasets.delete(scope, dataset.id);
    expect(deleted.deletedAt).toBeInstanceOf(Date);
    expect(existsSync(file)).toBe(false);
    const keys = await inTenant(app.db, scope, (tx) =>
      tx.query<{ key: Buffer | null }[]>(`select wrapped_key as key from blob where id = $1`, [version.blobId]),
    );
    expect(keys).toEqual([{ key: null }]);
    expect(await app.datasets.findVersion(scope, version.id)).toMatchObject({
      state: 'DELETED',
      columns: null,
      profile: null,
      digest: version.digest,
    });
    await expect(app.splits.create(scope, { datasetVersionId: version.id, method: 'RANDOM' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    await expect(app.datasets.delete(scope, dataset.id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect((await app.datasets.list(scope, { first: 100 })).nodes.some((node) => node.id === dataset.id)).toBe(false);
  });

  it('that is deleted while it is read never becomes ready', async () => {
    const { dataset, version } = await app.datasets.create(scope, {
      name: 'x',
      uploadId: await upload(app, scope, CSV),
    });
    await app.datasets.delete(scope, dataset.id);
    await expect(runJob(app, scope, version.jobId)).rejects.toThrow('cannot be claimed');
    expect(await app.datasets.findVersion(scope, version.id)).toMatchObject({ state: 'DELETED' });
  });
});

describe('a split', () => {
  it('is computed once, the same for the same seed, and loads with its table', async () => {
    const { version } = await makeDataset();
    const create = (input: object) =>
      app.splits.create(scope, { datasetVersionId: version.id, method: 'RANDOM', ...input });
    const digests: (string | null)[] = [];
    for (const input of [
      {},
      {},
      { seed: 2 },
      { method: 'STRATIFIED', column: 'class' },
      { method: 'GROUPED', column: 'group' },
      { method: 'TIME', column: 'day' },
    ]) {
      const split = await create(input);
      expect((await runJob(app, scope, split.jobId)).state).toBe('SUCCEEDED');
      const ready = (await app.splits.find(scope, split.id))!;
      expect(ready.state).toBe('READY');
      expect(ready.trainRows! + ready.validationRows! + ready.testRows!).toBe(100);
      digests.push(ready.digest);
      const data = await inTenant(app.db, scope, (tx) =>
        app.splits.trainingInput(tx, scope, { datasetVersionId: version.id, splitId: split.id }),
      );
      const { table, assignment } = await loadTrainingInput(data);
      expect(table.rowCount).toBe(100);
      expect(assignment.filter((part) => part === 0).length).toBe(ready.trainRows);
      if (split.method === 'GROUPED') {
        // Groups of three or four rows: their names are forgotten, their identity is not.
        const parts = new Map<string, Set<number>>();
        assignment.forEach((part, row) =>
          (parts.get(`g${row % 30}`) ?? parts.set(`g${row % 30}`, new Set()).get(`g${row % 30}`)!).add(part),
        );
        expect([...parts.values()].every((set) => set.size === 1)).toBe(true);
      }
    }
    expect(digests[0]).toBe(digests[1]);
    expect(new Set(digests).size).toBe(5);
  });

  it('is refused where it makes no sense', async () => {
    const { version } = await makeDataset();
    const create = (input: object) =>
      app.splits.create(scope, { datasetVersionId: version.id, method: 'RANDOM', ...input });
    for (const input of [
      { column: 'class' },
      { method: 'STRATIFIED' },
      { method: 'GROUPED', column: 'nothing' },
      { method: 'TIME', column: 'class' },
      { train: 0.5 },
      { train: 0.5, validation: 0.5, test: 0.5 },
      { train: 1, validation: 0, test: 0 },
      { seed: -1 },
      { seed: 1.5 },
    ])
      await expect(create(input)).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    const lopsided = await makeDataset('g,x\n' + 'one,1\n'.repeat(50));
    const split = await app.splits.create(scope, {
      datasetVersionId: lopsided.version.id,
      method: 'GROUPED',
      column: 'g',
    });
    expect(await runJob(app, scope, split.jobId)).toMatchObject({ state: 'FAILED', errorCode: 'INVALID_INPUT' });
    expect(await app.splits.find(scope, split.id)).toMatchObject({ state: 'REFUSED' });
  });
});

describe('the sweep of blobs', () => {
  it('removes orphans and shredded files, and nothing else', async () => {
    const { version } = await makeDataset();
    const { writeFileSync } = await import('node:fs');
    const orphan = join(app.config.home, 'blobs', scope.tenantId, newId('blob'));
    writeFileSync(orphan, 'x');
    await app.blobs.sweep(app.db, new Date(), 3_600_000);
    expect(existsSync(orphan)).toBe(true);
    await app.blobs.sweep(app.db, new Date(Date.now() + 7_200_000), 3_600_000);
    expect(existsSync(orphan)).toBe(false);
    expect(files()).toContain(version.blobId);
    const unused = await upload(app, scope, CSV);
    const blobOf = async () =>
      (
        await inTenant(app.db, scope, (tx) =>
          tx.query<{ b: string }[]>(`select blob_id as b from upload where id = $1`, [unused]),
        )
      )[0]!.b;
    expect(files()).toContain(await blobOf());
    await app.blobs.sweep(app.db, new Date(Date.now() + 3 * 86_400_000), 30 * 86_400_000);
    expect(files()).not.toContain(await blobOf());
    const live = await inTenant(app.db, scope, (tx) =>
      tx.query<{ n: number }[]>(`select count(*)::int as n from blob where wrapped_key is not null`),
    );
    expect(files().length).toBe(live[0]!.n);
  });
});

import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import canonicalize from 'canonicalize';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inTenant } from '../../src/platform/db.js';
import type { StoredCodes, StoredColumn } from '../../src/platform/table-file.js';
import { startWorkers, type Workers } from '../../workers/main.js';
import { ENDINGS, PROCESSORS } from '../../workers/processors.js';
import { forgetLineage } from '../domain/agreement-support.js';
import { faultOf } from '../domain/receipt-check.js';
import { classifier, registerModel, regressor } from '../domain/serving-support.js';
import { canonicalAnswer } from '../../src/domain/serving/commitment.js';
import { PASSWORD, startTestApi, type TestApi, type TestTenant } from '../support/app.js';
import type { Client } from '../support/client.js';
import {
  agree,
  fetchAs,
  linesOf,
  makeVersion,
  meterOf,
  read,
  rowsOf,
  start,
  storedOf,
  until,
  verifies,
} from './batch-support.js';

let api: TestApi;
let provider: TestTenant;
let consumer: TestTenant;
let parties: readonly [TestTenant, TestTenant];
let stranger: TestTenant;
let caller: Client;
let endpointId: string;
let workers: Workers;
/** 25,000 rows: three chunks. */
let rows: ReturnType<typeof rowsOf>;
let version: { datasetVersionId: string };
let publicKey: Buffer;

const ROWS = 25_000;
/** Chunks of 2,000 rows, two in a second. */
const SLOW = { rowsPerSecond: 4000 };

beforeAll(async () => {
  api = await startTestApi({ workerConcurrency: 2 });
  await forgetLineage(api.database.databaseUrl);
  [provider, consumer, stranger] = [await api.tenant('Provider'), await api.tenant('Consumer'), await api.tenant()];
  parties = [provider, consumer];
  endpointId = await createEndpoint('Credit', await registerModel(api.app, provider.id, classifier()));
  caller = (await consumer.application(['PREDICTION_CREATE', 'DATASET_READ', 'USAGE_READ'])).client;
  rows = rowsOf(ROWS);
  const { datasetVersionId } = await makeVersion(api.app, consumer.id, storedOf(rows));
  version = { datasetVersionId };
  workers = startWorkers(api.app, PROCESSORS, ENDINGS);
  publicKey = Buffer.from(api.app.logKeys.current().publicKey);
});
afterAll(async () => {
  await workers?.close();
});

async function createEndpoint(name: string, modelVersionId: string): Promise<string> {
  const made = await provider.owner.mutate<{ endpoint: { id: string } }>(
    'createEndpoint',
    { name, modelVersionId },
    'endpoint { id }',
  );
  return made.endpoint.id;
}

const end = (agreementId: string) =>
  provider.owner.mutate('terminateAgreement', { agreementId }, 'agreement { state }');

const cancel = (batchPredictionId: string) =>
  caller.mutate('cancelBatchPrediction', { batchPredictionId }, 'batchPrediction { id }');
const refusal = (client: Client, input: Record<string, unknown>, columns: object) =>
  client.refusal('predict', { endpointId, purpose: 'CREDIT', columns, ...input });
/** The code of a refusal; null: it was answered. */
const predict = async (client: Client, input: Record<string, unknown>, columns: object): Promise<string | null> => {
  const { data } = await client.send<{ result: { code?: string } }>(
    'mutation ($input: PredictInput!) { result: predict(input: $input) { ... on Refusal { code } } }',
    { input: { endpointId, purpose: 'CREDIT', columns, ...input } },
  );
  return data!.result.code ?? null;
};

function csvRow({ labels, scores }: Online, at: number, row = at): string {
  return [row, labels![at] ?? '', ...['no', 'yes'].map((name) => scores![name]?.[at] ?? '')].join(',');
}

interface Online {
  labels: string[] | null;
  scores: Record<string, (number | null)[]> | null;
  values: number[] | null;
}
/** What GraphQL answers, 10,000 rows at a time. */
async function online(
  client: Client,
  input: Record<string, unknown>,
  columns: Record<string, unknown[]>,
): Promise<Online[]> {
  const count = Object.values(columns)[0]!.length;
  const answers: Online[] = [];
  for (let from = 0; from < count; from += 10_000) {
    const part = Object.fromEntries(
      Object.entries(columns).map(([name, all]) => [name, all.slice(from, from + 10_000)]),
    );
    const { prediction } = await client.mutate<{ prediction: Online }>(
      'predict',
      { endpointId, purpose: 'CREDIT', columns: part, ...input },
      'prediction { labels scores values }',
    );
    answers.push(prediction);
  }
  return answers;
}

describe('a batch', () => {
  it.each([
    ['SCORES', { kind: 'SCORES', digits: 2 }],
    ['LABEL_ONLY', { kind: 'LABEL_ONLY' }],
    ['TOP_K', { kind: 'TOP_K', k: 1, digits: 3 }],
    ['ABOVE', { kind: 'ABOVE', threshold: 0.7, digits: 2 }],
  ])('under %s tells what GraphQL tells of the same rows', async (_kind, disclosure) => {
    const agreementId = await agree(parties, endpointId, { disclosure });
    const batch = await start(caller, { ...version, endpointId, agreementId });
    expect(batch).toMatchObject({ agreementId, rowCount: ROWS, downloads: null });
    const done = await until(caller, batch.id);
    expect(done).toMatchObject({ rowsAnswered: ROWS, job: { state: 'SUCCEEDED', attempt: 1, errorCode: null } });
    const lines = await linesOf(caller, done);
    expect(lines.map(({ firstRow, rowCount }) => [firstRow, rowCount])).toEqual([
      [0, 10_000],
      [10_000, 10_000],
      [20_000, 5000],
    ]);
    expect(lines.map(({ answer }) => answer)).toEqual(await online(caller, { agreementId }, rows));
    expect(await meterOf(api, provider.id, agreementId)).toEqual({
      ...{ total: 2 * ROWS, reserved: 0, today: 2 * ROWS, month: 2 * ROWS, budget: 0, recorded: 2 * ROWS },
    });
    await end(agreementId);
  });

  it('of a regression, and of one’s own endpoint, as well', async () => {
    const priced = await createEndpoint('Price', await registerModel(api.app, provider.id, regressor()));
    const agreementId = await agree(parties, priced, { disclosure: { kind: 'SCORES', digits: 1 } });
    const done = await until(caller, (await start(caller, { ...version, endpointId: priced })).id);
    const x = { x: rows.x };
    expect((await linesOf(caller, done)).map(({ answer }) => answer)).toEqual(
      await online(caller, { endpointId: priced }, x),
    );
    await end(agreementId);
    const mine = await makeVersion(api.app, provider.id, storedOf(rowsOf(300)));
    const own = await start(provider.owner, { endpointId, datasetVersionId: mine.datasetVersionId, purpose: null });
    const [line] = await linesOf(provider.owner, await until(provider.owner, own.id));
    expect([line!.answer]).toEqual(await online(provider.owner, { purpose: null }, rowsOf(300)));
    expect(line!.receipt.context).toMatchObject({ agreementId: null, door: 'BATCH', disclosure: { kind: 'FULL' } });
  });

  it('has a receipt for every chunk, an entry that both parties read, and files for the consumer alone', async () => {
    const agreementId = await agree(parties, endpointId, { disclosure: { kind: 'ABOVE', threshold: 0.6, digits: 2 } });
    const batch = await start(caller, { ...version, endpointId, agreementId });
    const done = await until(caller, batch.id);
    const lines = await linesOf(caller, done);
    for (const { receipt, answer } of lines) {
      expect(faultOf(receipt, publicKey)).toBeNull();
      expect(receipt.context).toMatchObject({ agreementId, door: 'BATCH', purpose: 'CREDIT', endpointId });
      const { labels, scores, values } = answer;
      const said = createHash('sha256')
        .update(Buffer.from(receipt.saltHex, 'hex'))
        .update(`output:${canonicalize({ labels, scores, values })}`);
      expect(said.digest('hex')).toBe(receipt.entry.outputDigest);
    }
    expect(new Set(lines.map(({ receipt }) => receipt.entry.predictionId)).size).toBe(3);
    const { csvUrl, manifestUrl, jsonLinesUrl } = done.downloads!;
    const csv = (await fetchAs(caller, csvUrl)).text.split('\r\n');
    expect(csv.slice(0, 2)).toEqual(['row,label,score:no,score:yes', csvRow(lines[0]!.answer, 0)]);
    expect(csv).toHaveLength(ROWS + 2);
    expect(csv[10_001 + 77]).toBe(csvRow(lines[1]!.answer, 77, 10_077));
    const manifest = JSON.parse((await fetchAs(caller, manifestUrl)).text) as Record<string, unknown>;
    expect(manifest).toMatchObject({
      format: 'concordat-batch/1',
      rowCount: ROWS,
      rowsAnswered: ROWS,
      state: 'SUCCEEDED',
    });
    expect(manifest['chunks']).toEqual(lines.map(({ answer: _, ...chunk }) => chunk));
    await verifies(api, manifest, lines);
    for (const url of [csvUrl, manifestUrl, jsonLinesUrl])
      expect([
        (await fetchAs(provider.owner, url)).status,
        (await fetchAs(stranger.owner, url)).status,
        (await fetchAs(await consumer.member('AUDITOR'), url)).status,
        (await fetchAs(api.client, url)).status,
      ]).toEqual([404, 404, 403, 401]);
    const usage = 'query ($id: ID!) { usage(agreementId: $id) { requests rows allowance { rowsTotal rowsReserved } } }';
    const seen = await provider.owner.query(usage, { id: agreementId });
    expect(seen).toEqual({ usage: { requests: 3, rows: ROWS, allowance: { rowsTotal: ROWS, rowsReserved: 0 } } });
    expect(await caller.query(usage, { id: agreementId })).toEqual(seen);
    expect(
      JSON.stringify(await provider.owner.query('{ auditEntries(first: 20) { nodes { kind content } } }')),
    ).not.toContain(batch.id);
    const list = 'query ($id: ID!) { batchPredictions(endpointId: $id) { nodes { id } } }';
    expect(JSON.stringify(await caller.query(list, { id: endpointId }))).toContain(batch.id);
    expect(JSON.stringify(await provider.owner.query(list, { id: endpointId }))).not.toContain(batch.id);
    await caller.mutate('deleteBatchPrediction', { batchPredictionId: batch.id }, 'batchPrediction { deletedAt }');
    expect((await fetchAs(caller, csvUrl)).status).toBe(404);
    expect(await read(caller, batch.id)).toMatchObject({ downloads: null, rowsAnswered: ROWS });
    await end(agreementId);
  });
});

describe('the limits of an agreement', () => {
  it('are held for a batch before it runs, and what is left is free again at its end', async () => {
    const agreementId = await agree(parties, endpointId, { ...SLOW, rowsInTotal: ROWS + 10, rowsPerDay: ROWS + 5 });
    const batch = await start(caller, { ...version, endpointId, agreementId });
    expect(await meterOf(api, consumer.id, agreementId)).toMatchObject({ total: ROWS, today: ROWS, month: ROWS });
    expect(await refusal(caller, { agreementId }, rowsOf(6))).toBe('QUOTA_DAY_EXCEEDED');
    expect(await caller.refusal('predictBatch', { ...version, endpointId, purpose: 'CREDIT' })).toBe(
      'QUOTA_TOTAL_EXCEEDED',
    );
    await online(caller, { agreementId }, rowsOf(5));
    await until(caller, batch.id, ({ rowsAnswered }) => rowsAnswered > 0);
    await cancel(batch.id);
    const done = await until(caller, batch.id);
    expect(done).toMatchObject({ job: { state: 'CANCELLED' } });
    expect(done.rowsAnswered).toBeLessThan(ROWS);
    const used = done.rowsAnswered + 5;
    expect(await meterOf(api, provider.id, agreementId)).toEqual({
      ...{ total: used, reserved: 0, today: used, month: used, budget: 0, recorded: used },
    });
    // What was answered is paid for, and is there.
    const lines = await linesOf(caller, done);
    expect(lines.reduce((sum, { rowCount }) => sum + rowCount, 0)).toBe(done.rowsAnswered);
    await delay(1000);
    const again = await online(caller, { agreementId }, rowsOf(2000));
    expect(JSON.stringify(lines[0]!.answer) === canonicalAnswer(again[0]!)).toBe(true);
    await end(agreementId);
  });

  it('are not passed by a row when callers and batches ask at once', async () => {
    const limit = 3000;
    const agreementId = await agree(parties, endpointId, { rowsInTotal: limit });
    const small = await makeVersion(api.app, consumer.id, storedOf(rowsOf(700)));
    const calls = Array.from({ length: 150 }, () => predict(caller, { agreementId }, rowsOf(10)));
    const asked = Array.from({ length: 6 }, () =>
      start(caller, { endpointId, agreementId, datasetVersionId: small.datasetVersionId }).catch(() => null),
    );
    const begun = (await Promise.all(asked)).flatMap((batch) => batch ?? []);
    const answered = (await Promise.all(calls)).filter((code) => code === null).length;
    for (const { id } of begun) expect(await until(caller, id)).toMatchObject({ job: { state: 'SUCCEEDED' } });
    const used = 10 * answered + 700 * begun.length;
    expect(used).toBeGreaterThan(limit - 700);
    expect(used).toBeLessThanOrEqual(limit);
    expect(await meterOf(api, provider.id, agreementId)).toMatchObject({
      total: used,
      reserved: 0,
      today: used,
      recorded: used,
    });
    await end(agreementId);
  });

  it('pace a batch by the second, together with whoever else asks', async () => {
    const agreementId = await agree(parties, endpointId, { rowsPerSecond: 400 });
    const small = await makeVersion(api.app, consumer.id, storedOf(rowsOf(1500)));
    const batch = await start(caller, { endpointId, datasetVersionId: small.datasetVersionId, agreementId });
    for (let i = 0; i < 20; i++) await predict(caller, { agreementId }, rowsOf(50));
    expect(await until(caller, batch.id)).toMatchObject({ rowsAnswered: 1500, job: { state: 'SUCCEEDED' } });
    const seconds = await inTenant(api.app.db, { tenantId: provider.id }, (tx) =>
      tx.query<{ rows: number }[]>(
        `select sum(e.row_count)::int as rows from prediction_entry e join prediction_context c on c.id = e.context_id
         where c.counterparty_tenant_id = $2 and c.agreement_id = $1 and e.code = 0 group by date_trunc('second', e.at)`,
        [agreementId, provider.id],
      ),
    );
    expect(Math.max(...seconds.map((one) => one.rows))).toBeLessThanOrEqual(400);
    await end(agreementId);
  });

  it('count noise as well, and no two chunks share theirs', async () => {
    const disclosure = { kind: 'NOISY', epsilonMilliPerRow: 1000, digits: 0, budgetMilli: 1000 * (ROWS + 3) };
    const agreementId = await agree(parties, endpointId, { disclosure });
    const same = { x: new Array<number>(ROWS).fill(0), city: new Array<string>(ROWS).fill('Lyon') };
    const alike = await makeVersion(api.app, consumer.id, storedOf(same));
    const batch = await start(caller, { endpointId, datasetVersionId: alike.datasetVersionId, agreementId });
    expect(await refusal(caller, { agreementId }, rowsOf(4))).toBe('PRIVACY_BUDGET_SPENT');
    const lines = await linesOf(caller, await until(caller, batch.id));
    expect(lines[0]!.answer.scores).toBeNull();
    const flips = lines.map(({ answer }) => answer.labels!.slice(0, 5000).join(''));
    expect(new Set(flips).size).toBe(3);
    // e / (e + 1) of the labels are true.
    const truths = lines.flatMap(({ answer }) => answer.labels!).filter((label) => label === 'yes').length;
    expect(Math.abs(truths / ROWS - Math.E / (Math.E + 1))).toBeLessThan(0.02);
    expect(await meterOf(api, provider.id, agreementId)).toMatchObject({
      budget: 1000 * ROWS,
      total: ROWS,
      reserved: 0,
    });
    await end(agreementId);
  });
});

describe('a batch ends when the right to it ends', () => {
  const begin = async (terms: Record<string, unknown> = {}, client = caller) => {
    const agreementId = await agree(parties, endpointId, { ...SLOW, ...terms });
    const batch = await start(client, { ...version, endpointId, agreementId });
    await until(caller, batch.id, ({ rowsAnswered }) => rowsAnswered > 0);
    return { agreementId, batch };
  };
  const over = async (agreementId: string, id: string, errorCode: string) => {
    const done = await until(caller, id);
    expect(done).toMatchObject({ job: { state: 'FAILED', errorCode } });
    const { rowsAnswered } = done;
    expect(rowsAnswered).toBeLessThan(ROWS);
    expect(await meterOf(api, provider.id, agreementId)).toMatchObject({
      ...{ total: rowsAnswered, today: rowsAnswered, reserved: 0, recorded: rowsAnswered },
    });
    return done;
  };

  it('by a suspension, and goes on behind what it has when it is asked again', async () => {
    const { agreementId, batch } = await begin();
    await provider.owner.mutate('suspendAgreement', { agreementId }, 'agreement { state }');
    const { rowsAnswered } = await over(agreementId, batch.id, 'AGREEMENT_NOT_IN_FORCE');
    expect(await caller.refusal('retryBatchPrediction', { batchPredictionId: batch.id })).toBe(
      'AGREEMENT_NOT_IN_FORCE',
    );
    await provider.owner.mutate('resumeAgreement', { agreementId }, 'agreement { state }');
    await caller.mutate('retryBatchPrediction', { batchPredictionId: batch.id }, 'batchPrediction { id }');
    expect(await meterOf(api, provider.id, agreementId)).toMatchObject({ total: ROWS });
    await until(caller, batch.id, (one) => one.rowsAnswered > rowsAnswered);
    await end(agreementId);
    await over(agreementId, batch.id, 'AGREEMENT_NOT_IN_FORCE');
  });

  it('by the end of the period', async () => {
    const now = Date.now();
    const period = { from: new Date(now - 60_000).toISOString(), until: new Date(now + 5000).toISOString() };
    const { agreementId, batch } = await begin({ period });
    await over(agreementId, batch.id, 'AGREEMENT_NOT_IN_FORCE');
  });

  it('by other terms', async () => {
    const { agreementId, batch } = await begin();
    const { agreement } = await provider.owner.query<{ agreement: { validUntil: string } }>(
      'query ($id: ID!) { agreement(id: $id) { validUntil } }',
      { id: agreementId },
    );
    const period = { from: new Date(Date.now() - 60_000).toISOString(), until: agreement.validUntil };
    const terms = { purposes: ['CREDIT'], period, disclosure: { kind: 'LABEL_ONLY' } };
    await provider.owner.mutate('amendAgreement', { agreementId, terms }, 'agreement { id }');
    for (const one of parties)
      await one.owner.mutate('signAgreement', { agreementId, version: 2, password: PASSWORD }, 'agreement { id }');
    await over(agreementId, batch.id, 'AGREEMENT_NOT_IN_FORCE');
    await end(agreementId);
  });

  it('by a revoked key', async () => {
    const application = await consumer.application();
    const { agreementId, batch } = await begin({}, application.client);
    await consumer.owner.mutate('revokeApiKey', { apiKeyId: application.keyId }, 'apiKey { id }');
    await over(agreementId, batch.id, 'UNAUTHENTICATED');
    await end(agreementId);
  });

  it('by the end of its data, whose answers go as well', async () => {
    const agreementId = await agree(parties, endpointId, SLOW);
    const lost = await makeVersion(api.app, consumer.id, storedOf(rows));
    const batch = await start(caller, { endpointId, datasetVersionId: lost.datasetVersionId, agreementId });
    await until(caller, batch.id, ({ rowsAnswered }) => rowsAnswered > 0);
    await consumer.owner.mutate('deleteDataset', { datasetId: lost.datasetId }, 'dataset { id }');
    const gone = await until(caller, batch.id, ({ job }) => job.state === 'CANCELLED');
    expect(gone.downloads).toBeNull();
    const { total, reserved, recorded } = await meterOf(api, provider.id, agreementId);
    expect([total, reserved]).toEqual([recorded, 0]);
    await end(agreementId);
  });
});

describe('a batch is refused', () => {
  it('for what any door refuses, with a record', async () => {
    const ask = (input: Record<string, unknown> = {}, client = caller) =>
      client.refusal('predictBatch', { ...version, endpointId, purpose: 'CREDIT', ...input });
    const theirs = await makeVersion(api.app, stranger.id, storedOf(rowsOf(20)));
    expect(await ask({ datasetVersionId: theirs.datasetVersionId }, stranger.owner)).toBe('NOT_FOUND');
    const agreementId = await agree(parties, endpointId, { regions: ['local'], rowsPerSecond: 2 });
    expect(await ask({ purpose: 'MARKETING' })).toBe('PURPOSE_NOT_ALLOWED');
    expect(await ask({ datasetVersionId: theirs.datasetVersionId })).toBe('NOT_FOUND');
    expect(await ask({ declaredRegion: 'Ü' })).toBe('INVALID_INPUT');
    // 25,000 rows one at a time are more chunks than a batch may have.
    expect(await ask()).toBe('TOO_MANY_ROWS');
    const [, , x] = storedOf(rowsOf(20));
    const lacking = await makeVersion(api.app, consumer.id, [x!]);
    expect(await ask({ datasetVersionId: lacking.datasetVersionId })).toBe('INPUT_INVALID');
    const usage = 'query ($id: ID!) { usage(agreementId: $id) { requests refusals { code requests } } }';
    expect(await provider.owner.query(usage, { id: agreementId })).toEqual({
      usage: {
        requests: 0,
        refusals: [
          { code: 'INPUT_INVALID', requests: 1 },
          { code: 'PURPOSE_NOT_ALLOWED', requests: 1 },
          { code: 'TOO_MANY_ROWS', requests: 1 },
        ],
      },
    });
    await end(agreementId);
  });

  it('for a value that the dataset did not keep, before anything is charged', async () => {
    const agreementId = await agree(parties, endpointId);
    const [id, city, x] = storedOf(rowsOf(50)) as [StoredColumn, StoredCodes, StoredColumn];
    const codes = city.codes.map((code, row) => (row === 31 ? city.categories.length : code));
    const rare = await makeVersion(api.app, consumer.id, [id, { ...city, codes }, x]);
    const batch = await start(caller, { endpointId, datasetVersionId: rare.datasetVersionId, agreementId });
    expect(await until(caller, batch.id)).toMatchObject({ rowsAnswered: 0, job: { errorCode: 'INPUT_INVALID' } });
    expect(await meterOf(api, provider.id, agreementId)).toMatchObject({
      total: 0,
      reserved: 0,
      today: 0,
      recorded: 0,
    });
    await end(agreementId);
  });
});

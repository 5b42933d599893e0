import type { ChildProcess } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { roleUrl } from '../../src/platform/db.js';
import { forgetLineage } from '../domain/agreement-support.js';
import { faultOf } from '../domain/receipt-check.js';
import { classifier, registerModel } from '../domain/serving-support.js';
import { isAlive } from '../support/process.js';
import { startTestApi, type TestApi, type TestTenant } from '../support/app.js';
import { agree, linesOf, makeVersion, meterOf, rowsOf, start, storedOf, until } from './batch-support.js';
import { childrenOf, kill, spawnWorker } from './support.js';

let api: TestApi;
let provider: TestTenant;
let consumer: TestTenant;
let endpointId: string;
let env: Record<string, string>;
let worker: ChildProcess;

beforeAll(async () => {
  api = await startTestApi();
  await forgetLineage(api.database.databaseUrl);
  [provider, consumer] = [await api.tenant('Provider'), await api.tenant('Consumer')];
  const modelVersionId = await registerModel(api.app, provider.id, classifier());
  const { endpoint } = await provider.owner.mutate<{ endpoint: { id: string } }>(
    'createEndpoint',
    { name: 'Credit', modelVersionId },
    'endpoint { id }',
  );
  endpointId = endpoint.id;
  env = {
    DATABASE_URL: api.database.databaseUrl,
    CONCORDAT_MASTER_KEY: api.database.masterKey.toString('hex'),
    CONCORDAT_HOME: api.app.config.home,
    LOG_LEVEL: 'silent',
  };
  worker = await spawnWorker(env);
});
afterAll(async () => {
  if (worker?.exitCode === null && isAlive(worker.pid!)) await kill(worker, 'SIGTERM');
});

const ROWS = 40_000;

it('answers, charges and records every row once, whatever is killed on the way', { timeout: 180_000 }, async () => {
  // 2,000 rows at a time, two in a second: twenty chunks.
  const agreementId = await agree([provider, consumer], endpointId, { rowsPerSecond: 4000, rowsInTotal: ROWS });
  const rows = rowsOf(ROWS);
  const { datasetVersionId } = await makeVersion(api.app, consumer.id, storedOf(rows));
  const { id } = await start(consumer.owner, { endpointId, agreementId, datasetVersionId });
  const running = (least: number) => until(consumer.owner, id, ({ rowsAnswered }) => rowsAnswered >= least);
  await running(4000);
  const [child] = childrenOf(worker.pid!, 'predict-child');
  process.kill(child!, 'SIGKILL');
  await running(12_000);
  // Nobody else's rows may be where those are that are held.
  expect(await meterOf(api, provider.id, agreementId)).toMatchObject({ total: ROWS, today: ROWS });
  const children = childrenOf(worker.pid!, 'predict-child');
  expect(children).toHaveLength(1);
  await kill(worker, 'SIGKILL');
  const stopped = await meterOf(api, provider.id, agreementId);
  expect(stopped.total - stopped.reserved).toBe(stopped.recorded);
  worker = await spawnWorker(env);
  expect(children.filter(isAlive)).toEqual([]);
  const done = await until(consumer.owner, id, undefined, 100_000);
  expect(done).toMatchObject({ rowsAnswered: ROWS, job: { state: 'SUCCEEDED', attempt: 3 } });
  const lines = await linesOf(consumer.owner, done);
  expect(lines.map(({ firstRow }) => firstRow)).toEqual(Array.from({ length: 20 }, (_, i) => i * 2000));
  expect(new Set(lines.map(({ receipt }) => receipt.entry.predictionId)).size).toBe(20);
  const publicKey = Buffer.from(api.app.logKeys.current().publicKey);
  for (const { receipt } of lines) expect(faultOf(receipt, publicKey)).toBeNull();
  expect(lines.flatMap(({ answer }) => answer.labels)).toEqual(labelsOf(rows));
  expect(await meterOf(api, provider.id, agreementId)).toMatchObject({
    ...{ total: ROWS, today: ROWS, month: ROWS, reserved: 0, recorded: ROWS },
  });
});

it('holds nothing for ever, although nobody was there when it was cancelled', { timeout: 120_000 }, async () => {
  const agreementId = await agree([provider, consumer], endpointId, { rowsPerSecond: 4000 });
  const { datasetVersionId } = await makeVersion(api.app, consumer.id, storedOf(rowsOf(ROWS)));
  const { id } = await start(consumer.owner, { endpointId, agreementId, datasetVersionId });
  // Every connection of the app’s role breaks off, in the API and in the worker, whatever it is doing.
  const { databaseUrl, masterKey } = api.database;
  for (let turn = 1; turn <= 3; turn++) {
    await until(consumer.owner, id, ({ rowsAnswered }) => rowsAnswered >= turn * 4000);
    const killer = new pg.Client(roleUrl(databaseUrl, masterKey, 'concordat_app'));
    await killer.connect();
    await killer.query(`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and application_name = 'concordat_app'`);
    await killer.end();
    await delay(200);
  }
  await kill(worker, 'SIGKILL');
  await consumer.owner.mutate('cancelBatchPrediction', { batchPredictionId: id }, 'batchPrediction { id }');
  worker = await spawnWorker(env);
  const { rowsAnswered, job } = await until(consumer.owner, id, undefined, 60_000);
  expect(job.state).toBe('CANCELLED');
  expect(rowsAnswered).toBeLessThan(ROWS);
  expect(await meterOf(api, provider.id, agreementId)).toMatchObject({
    ...{ total: rowsAnswered, today: rowsAnswered, month: rowsAnswered, reserved: 0, recorded: rowsAnswered },
  });
});

/** By the model's formula: p(yes) = sigmoid (x + 2 [city = Lyon]), what is missing is 0. */
function labelsOf({ x, city }: ReturnType<typeof rowsOf>): string[] {
  return x.map((value, i) => (Math.fround(value ?? 0) + (city[i] === 'Lyon' ? 2 : 0) >= 0 ? 'yes' : 'no'));
}

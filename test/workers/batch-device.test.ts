import { afterAll, beforeAll, expect, it } from 'vitest';
import { startWorkers, type Workers } from '../../workers/main.js';
import { ENDINGS, PROCESSORS } from '../../workers/processors.js';
import { makeDevice, proofOf, type TestDevice } from '../api/device-support.js';
import { makeOipWorld, type OipWorld } from '../api/open-inference-world.js';
import { inTenant } from '../../src/platform/db.js';
import { BATCH, type Batch, makeVersion, meterOf, rowsOf, storedOf, until } from './batch-support.js';

let world: OipWorld;
let workers: Workers;
let phone: TestDevice;
let deviceId: string;
let datasetVersionId: string;

beforeAll(async () => {
  world = await makeOipWorld();
  workers = startWorkers(world.api.app, PROCESSORS, ENDINGS);
  phone = makeDevice();
  const { device } = await world.consumer.owner.mutate<{ device: { id: string } }>(
    'registerDevice',
    { applicationId: world.callerApplicationId, name: 'Phone', publicKey: JSON.stringify(phone.jwk) },
    'device { id }',
  );
  deviceId = device.id;
  ({ datasetVersionId } = await makeVersion(world.api.app, world.consumer.id, storedOf(rowsOf(20_000))));
});
afterAll(async () => {
  await workers?.close();
});

/** The code of the refusal, or the batch. */
async function ask(agreementId: string, proof?: string): Promise<string | Batch> {
  const query = `mutation ($input: PredictBatchInput!) { result: predictBatch(input: $input) {
    ... on Refusal { code } ... on PredictBatchPayload { batchPrediction { ${BATCH} } } } }`;
  const input = { endpointId: world.credit, agreementId, datasetVersionId, purpose: 'CREDIT' };
  const response = await fetch(`${world.api.url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${world.caller.token!}`,
      ...(proof !== undefined && { dpop: proof }),
    },
    body: JSON.stringify({ query, variables: { input } }),
  });
  const { data, errors } = (await response.json()) as {
    data: { result: { code?: string; batchPrediction?: Batch } } | null;
    errors?: { extensions: { code: string } }[];
  };
  return errors?.[0]?.extensions.code ?? data?.result.code ?? data!.result.batchPrediction!;
}

const prove = () => {
  const url = `http://localhost:${new URL(world.api.url).port}/graphql`;
  return proofOf(phone, { url, key: world.caller.token!, at: world.api.clock.now() });
};

it('a proof opens one batch, and the device stays answerable for it', { timeout: 90_000 }, async () => {
  const limits = { rowsPerDay: null, rowsInTotal: 30_000, rowsPerSecond: 2000 };
  const agreementId = await world.agree(world.credit, { ...limits, devices: { proof: 'REQUIRED', most: 1 } });
  const caller = world.callerGraphQL;
  expect(await ask(agreementId)).toBe('PROOF_REQUIRED');
  expect(await ask(agreementId, prove())).toBe('DEVICE_NOT_ADMITTED');
  await world.consumer.owner.mutate('admitDevice', { agreementId, deviceId }, 'agreementDevice { deviceId }');
  const proof = prove();
  const batch = (await ask(agreementId, proof)) as Batch;
  expect(batch).toMatchObject({ rowCount: 20_000 });
  // Once for the batch, and nothing comes of it a second time.
  expect(await ask(agreementId, proof)).toBe('PROOF_REPLAYED');
  // Nor when the ledger refused what it came with.
  const other = prove();
  expect(await ask(agreementId, other)).toBe('QUOTA_TOTAL_EXCEEDED');
  expect(await ask(agreementId, other)).toBe('PROOF_REPLAYED');
  const { n } = (
    await inTenant(world.api.app.db, { tenantId: world.consumer.id }, (tx) =>
      tx.query<[{ n: number }]>(`select count(*)::int as n from batch_prediction where tenant_id = $1`, [
        world.consumer.id,
      ]),
    )
  )[0];
  expect(n).toBe(1);
  await until(caller, batch.id, ({ rowsAnswered }) => rowsAnswered > 0);
  await world.consumer.owner.mutate('dismissDevice', { agreementId, deviceId }, '__typename');
  const done = await until(caller, batch.id);
  expect(done).toMatchObject({ job: { state: 'FAILED', errorCode: 'DEVICE_NOT_ADMITTED' } });
  const { total, reserved, recorded } = await meterOf(world.api, world.provider.id, agreementId);
  expect([total, reserved, recorded]).toEqual([done.rowsAnswered, 0, done.rowsAnswered]);
});

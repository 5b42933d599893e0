import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Api, startApi } from '../../src/api/server.js';
import { type App, openApp } from '../../src/app.js';
import { forgetLineage } from '../domain/agreement-support.js';
import { classifier, registerModel } from '../domain/serving-support.js';
import { PASSWORD, startTestApi, type TestApi, type TestTenant } from '../support/app.js';
import { type Client, makeClient } from '../support/client.js';
import { inDatabase } from '../support/database.js';

/*
 * Two replicas on one database: what one of them is told, the other must not act against. Nothing here waits for the news to
 * arrive before it asks: what was decided on older news is for the ledger to catch.
 */
let api: TestApi;
let other: { readonly app: App; readonly api: Api };
let provider: TestTenant;
let consumer: TestTenant;
let endpointId: string;
const opened: (() => Promise<void>)[] = [];

beforeAll(async () => {
  api = await startTestApi({ region: 'here' });
  await forgetLineage(api.database.databaseUrl);
  const app = await openApp({ ...api.app.config, region: 'there' }, 'other', api.clock);
  other = { app, api: await startApi(app) };
  [provider, consumer] = [await api.tenant('Provider'), await api.tenant('Consumer')];
  const modelVersionId = await registerModel(api.app, provider.id, classifier());
  const made = await provider.owner.mutate<{ endpoint: { id: string } }>(
    'createEndpoint',
    { name: 'Credit', modelVersionId },
    'endpoint { id }',
  );
  endpointId = made.endpoint.id;
});

afterAll(async () => {
  for (const close of opened) await close();
  await other.api.close();
  await other.app.close();
});

async function agree(change: Record<string, unknown> = {}): Promise<string> {
  const now = Date.now();
  const terms = {
    purposes: ['CREDIT'],
    period: { from: new Date(now - 60_000).toISOString(), until: new Date(now + 86_400_000).toISOString() },
    disclosure: { kind: 'SCORES', digits: 2 },
    ...change,
  };
  const { agreement } = await provider.owner.mutate<{ agreement: { id: string } }>(
    'offerAgreement',
    { endpointId, consumerTenantId: consumer.id, terms },
    'agreement { id }',
  );
  const input = { agreementId: agreement.id, password: PASSWORD };
  for (const { owner } of [provider, consumer]) await owner.mutate('signAgreement', input, 'agreement { state }');
  return agreement.id;
}

const elsewhere = (client: Client) => makeClient(other.api.url, client.token);

/** ANSWERED, or the code of the refusal. */
async function ask(client: Client, agreementId: string, columns: object = { x: [1], city: ['Lyon'] }): Promise<string> {
  const { data, errors } = await client.send<{ predict: { code?: string } }>(
    `mutation ($input: PredictInput!) { predict(input: $input) { ... on Refusal { code } ... on PredictPayload { prediction { labels } } } }`,
    { input: { endpointId, agreementId, purpose: 'CREDIT', columns } },
  );
  return (errors[0]?.extensions['code'] as string | undefined) ?? data?.predict.code ?? 'ANSWERED';
}

/** Asks again until the code is as wanted; whatever else comes in between must be among `meanwhile`. */
async function becomes(code: string, meanwhile: string[], again: () => Promise<string>): Promise<void> {
  for (const from = Date.now(); ; await delay(20)) {
    const seen = await again();
    if (seen === code) return;
    expect(meanwhile).toContain(seen);
    if (Date.now() - from > 30_000) throw new Error(`It stays ${seen}.`);
  }
}

async function connect(databaseUrl: string): Promise<pg.Client> {
  const client = new pg.Client(databaseUrl);
  await client.connect();
  opened.push(() => client.end());
  return client;
}

describe('two replicas', () => {
  it('refuse a key from the moment of its revocation, which either was told', async () => {
    const agreementId = await agree();
    const { client, keyId } = await consumer.application();
    expect([await ask(client, agreementId), await ask(elsewhere(client), agreementId)]).toEqual([
      'ANSWERED',
      'ANSWERED',
    ]);
    await consumer.owner.mutate('revokeApiKey', { apiKeyId: keyId }, 'apiKey { id }');
    expect(await ask(elsewhere(client), agreementId)).toBe('UNAUTHENTICATED');
    expect(await ask(client, agreementId)).toBe('UNAUTHENTICATED');
  });

  it('refuse a suspended agreement, and answer a resumed one', async () => {
    const agreementId = await agree();
    const { client } = await consumer.application();
    expect(await ask(elsewhere(client), agreementId)).toBe('ANSWERED');
    await provider.owner.mutate('suspendAgreement', { agreementId }, 'agreement { state }');
    expect(await ask(elsewhere(client), agreementId)).toBe('AGREEMENT_NOT_IN_FORCE');
    await provider.owner.mutate('resumeAgreement', { agreementId }, 'agreement { state }');
    expect(await ask(elsewhere(client), agreementId)).toBe('ANSWERED');
  });

  it('answer only where they stand as agreed', async () => {
    const agreementId = await agree({ regions: ['there', 'elsewhere'] });
    const { client } = await consumer.application();
    expect(await ask(client, agreementId)).toBe('REGION_NOT_ALLOWED');
    expect(await ask(elsewhere(client), agreementId)).toBe('ANSWERED');
  });
});

describe('who may ask', () => {
  it('is the applications that the agreement names, and then no person', async () => {
    const [named, another] = [await consumer.application(), await consumer.application()];
    const agreementId = await agree({ applications: [named.id] });
    expect(await ask(named.client, agreementId)).toBe('ANSWERED');
    expect(await ask(another.client, agreementId)).toBe('APPLICATION_NOT_ALLOWED');
    expect(await ask(consumer.owner, agreementId)).toBe('APPLICATION_NOT_ALLOWED');
  });

  it('is nobody without a proof where devices are required', async () => {
    const agreementId = await agree({ devices: { proof: 'REQUIRED', most: null } });
    expect(await ask((await consumer.application()).client, agreementId)).toBe('PROOF_REQUIRED');
  });

  it('is no more at a time than agreed, and the next when one is over, however it ended', async () => {
    const agreementId = await agree({ concurrentRequests: 2 });
    const { client } = await consumer.application();
    const codes = await Promise.all(Array.from({ length: 40 }, () => ask(client, agreementId)));
    expect(new Set(codes)).toEqual(new Set(['ANSWERED', 'CONCURRENCY_EXCEEDED']));
    for (let i = 0; i < 3; i++)
      expect(await ask(client, agreementId, { x: ['no number'], city: ['Lyon'] })).toBe('INPUT_INVALID');
    expect(await ask(client, agreementId)).toBe('ANSWERED');
  });
});

describe('a request under way', () => {
  /** Holds the flush that comes next for the agreement until `release`. */
  async function hold(agreementId: string): Promise<{ release(): Promise<void>; waiting(): Promise<void> }> {
    const owner = await connect(api.database.databaseUrl);
    await owner.query('begin');
    await owner.query('select 1 from agreement_meter where agreement_id = $1 for update', [agreementId]);
    const watcher = await connect(api.database.databaseUrl);
    const waiting = async () => {
      for (;;) {
        const { rows } = await watcher.query(
          `select 1 from pg_stat_activity where usename = 'concordat_ledger' and datname = current_database() and wait_event_type = 'Lock'`,
        );
        if (rows.length > 0) return;
        await delay(10);
      }
    };
    return { release: () => owner.query('commit').then(() => undefined), waiting };
  }

  it('is refused when its key is revoked before it is recorded', async () => {
    const agreementId = await agree();
    const { client, keyId } = await consumer.application();
    expect(await ask(client, agreementId)).toBe('ANSWERED');
    const held = await hold(agreementId);
    const asked = ask(elsewhere(client), agreementId);
    await held.waiting();
    await consumer.owner.mutate('revokeApiKey', { apiKeyId: keyId }, 'apiKey { id }');
    await held.release();
    expect(await asked).toBe('UNAUTHENTICATED');
  });

  it('is refused when the period ends before it is recorded, by the clock of the database', async () => {
    const now = Date.now();
    const period = { from: new Date(now - 3_600_000).toISOString(), until: new Date(now + 15_000).toISOString() };
    const agreementId = await agree({ period });
    const { client } = await consumer.application();
    expect(await ask(client, agreementId)).toBe('ANSWERED');
    // The replicas believe that it is ten minutes earlier, and decide so.
    api.clock.forward(-600_000);
    await delay(Math.max(0, now + 12_000 - Date.now()));
    try {
      const held = await hold(agreementId);
      const asked = ask(client, agreementId);
      await held.waiting();
      await delay(Math.max(0, now + 15_100 - Date.now()));
      await held.release();
      expect(await asked).toBe('AGREEMENT_NOT_IN_FORCE');
    } finally {
      api.clock.forward(600_000);
    }
  });
});

it('a remembered key expires by the clock, and stands again when the clock is set back', async () => {
  const agreementId = await agree({ period: { from: '2020-01-01T00:00:00Z', until: '2200-01-01T00:00:00Z' } });
  const { client } = await consumer.application();
  expect(await ask(client, agreementId)).toBe('ANSWERED');
  const twoYears = 2 * 366 * 86_400_000;
  api.clock.forward(twoYears);
  expect(await ask(client, agreementId)).toBe('UNAUTHENTICATED');
  api.clock.forward(-twoYears);
  expect(await ask(client, agreementId)).toBe('ANSWERED');
});

it('a replica that hears no news refuses predictions until it hears again, and knows then what it missed', async () => {
  const agreementId = await agree();
  const { client } = await consumer.application();
  expect(await ask(client, agreementId)).toBe('ANSWERED');
  const server = await connect(inDatabase(api.database.databaseUrl, 'postgres'));
  const name = new URL(api.database.databaseUrl).pathname.slice(1);
  await server.query(`alter database ${name} with allow_connections false`);
  try {
    await api.app.db.app.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and application_name = 'concordat_listen'`,
      [name],
    );
    await becomes('UNAVAILABLE', ['ANSWERED'], () => ask(client, agreementId));
    expect(await ask(client, agreementId)).toBe('UNAVAILABLE');
    await provider.owner.mutate('suspendAgreement', { agreementId }, 'agreement { state }');
  } finally {
    await server.query(`alter database ${name} with allow_connections true`);
  }
  await becomes('AGREEMENT_NOT_IN_FORCE', ['UNAVAILABLE'], () => ask(client, agreementId));
});

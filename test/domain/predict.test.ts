import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Client } from '../support/client.js';
import { PASSWORD, startTestApi, type TestApi, type TestTenant } from '../support/app.js';
import { contentTextOf, PREDICTION_COLUMNS, type PredictionRow } from '../../src/domain/audit/prediction.js';
import type { Receipt } from '../../src/domain/metering/receipt.js';
import { inTenant } from '../../src/platform/db.js';
import { codeOf, forgetLineage, scopeOf } from './agreement-support.js';
import { classifier, registerModel, regressor } from './serving-support.js';

let api: TestApi;
let provider: TestTenant;
let consumer: TestTenant;
let stranger: TestTenant;
let endpointId: string;
let versionId: string;
/** The consumer's application. */
let caller: Client;

interface Predicted {
  readonly prediction: {
    id: string;
    labels: string[] | null;
    scores: Record<string, number[]> | null;
    values: number[] | null;
    rowCount: number;
    logIndex: number;
    leafHashHex: string;
    saltHex: string;
    modelVersionId: string;
    agreementId: string | null;
    isRepetition: boolean;
    receipt: Receipt;
  };
}
const ALL =
  'prediction { id labels scores values rowCount logIndex leafHashHex saltHex modelVersionId agreementId isRepetition receipt at latencyMs }';
const TWO_ROWS = { x: [-1.2345, 0.5], city: ['Paris', 'Lyon'] };

beforeAll(async () => {
  api = await startTestApi();
  await forgetLineage(api.database.databaseUrl);
  [provider, consumer, stranger] = [
    await api.tenant('Provider'),
    await api.tenant('Consumer'),
    await api.tenant('Stranger'),
  ];
  versionId = await registerModel(api.app, provider.id, classifier());
  endpointId = await createEndpoint('Credit', versionId);
  caller = (await consumer.application()).client;
});

async function createEndpoint(name: string, modelVersionId: string): Promise<string> {
  const made = await provider.owner.mutate<{ endpoint: { id: string } }>(
    'createEndpoint',
    { name, modelVersionId },
    'endpoint { id }',
  );
  return made.endpoint.id;
}

function terms(change: Record<string, unknown> = {}) {
  const now = Date.now();
  return {
    purposes: ['CREDIT'],
    period: { from: new Date(now - 60_000).toISOString(), until: new Date(now + 86_400_000).toISOString() },
    rowsPerDay: 1000,
    rowsInTotal: 5000,
    disclosure: { kind: 'SCORES', digits: 2 },
    ...change,
  };
}

async function agree(change: Record<string, unknown> = {}, endpoint = endpointId): Promise<string> {
  const offered = await provider.owner.mutate<{ agreement: { id: string } }>(
    'offerAgreement',
    { endpointId: endpoint, consumerTenantId: consumer.id, terms: terms(change) },
    'agreement { id }',
  );
  const input = { agreementId: offered.agreement.id, password: PASSWORD };
  await provider.owner.mutate('signAgreement', input, 'agreement { state }');
  await consumer.owner.mutate('signAgreement', input, 'agreement { state }');
  return input.agreementId;
}

const end = (agreementId: string) =>
  provider.owner.mutate('terminateAgreement', { agreementId }, 'agreement { state }');
const predict = (input: Record<string, unknown> = {}, client = caller) =>
  client
    .mutate<Predicted>('predict', { endpointId, purpose: 'CREDIT', columns: TWO_ROWS, ...input }, ALL)
    .then((p) => p.prediction);
const refusal = (input: Record<string, unknown> = {}, client = caller) =>
  client.refusal('predict', { endpointId, purpose: 'CREDIT', columns: TWO_ROWS, ...input });

describe('predict', () => {
  it('answers the owner in full, and charges nobody', async () => {
    const answer = await predict({ purpose: null }, provider.owner);
    const sigmoid = (s: number) => 1 / (1 + Math.exp(-s));
    expect(answer.labels).toEqual(['no', 'yes']);
    expect(answer.scores!['yes']![0]).toBeCloseTo(sigmoid(-1.2345), 6);
    expect(answer.scores!['yes']![1]).toBeCloseTo(sigmoid(2.5), 6);
    expect(answer).toMatchObject({ rowCount: 2, agreementId: null, modelVersionId: versionId, values: null });
  });

  it('tells a consumer what was agreed, and nothing to one with whom nothing was', async () => {
    expect(await refusal()).toBe('NOT_FOUND');
    expect(await refusal({ endpointId: `end_${'0'.repeat(32)}` })).toBe('NOT_FOUND');
    const scored = await agree();
    const answer = await predict({ agreementId: scored });
    expect(answer).toMatchObject({
      labels: ['no', 'yes'],
      scores: { no: [0.77, 0.08], yes: [0.23, 0.92] },
      agreementId: scored,
    });
    await end(scored);
    expect(await refusal()).toBe('AGREEMENT_NOT_IN_FORCE');
    const labelled = await agree({ disclosure: { kind: 'LABEL_ONLY' } });
    expect(await predict({ agreementId: labelled })).toMatchObject({
      labels: ['no', 'yes'],
      scores: null,
      values: null,
    });
    expect(await refusal({}, stranger.owner)).toBe('NOT_FOUND');
    await end(labelled);
  });

  it('rounds the values of a regression', async () => {
    const endpoint = await createEndpoint('Price', await registerModel(api.app, provider.id, regressor()));
    const id = await agree({ disclosure: { kind: 'SCORES', digits: 1 } }, endpoint);
    const answer = await predict({ endpointId: endpoint, columns: { x: [0.1234, -0.001, 7] } });
    expect(answer).toMatchObject({ labels: null, scores: null, values: [1.2, 0, 70] });
    await end(id);
  });

  it('commits to what was asked and answered, and only the caller can open it', async () => {
    const id = await agree();
    const answer = await predict();
    const entry = await contentOf(provider.id, answer.logIndex);
    expect(await contentOf(consumer.id, answer.logIndex)).toBe(entry);
    expect(await contentOf(stranger.id, answer.logIndex)).toBeUndefined();
    expect(entry).not.toContain(answer.saltHex);
    const said = JSON.parse(entry!) as Record<string, unknown>;
    expect(said).toEqual(answer.receipt.entry);
    const digest = (name: string, ...parts: (string | Float32Array)[]) => {
      const hash = createHash('sha256').update(Buffer.from(answer.saltHex, 'hex')).update(`${name}:`);
      for (const part of parts) hash.update(part);
      return hash.digest('hex');
    };
    const header = JSON.stringify([2, ['city', 'category'], ['x', 'number']]);
    const { labels, scores, values } = answer;
    expect(answer.receipt).toMatchObject({ saltHex: answer.saltHex, batch: { size: 1, path: [] } });
    expect(answer.receipt.context).toMatchObject({
      agreementId: id,
      agreementVersion: 1,
      consumerTenantId: consumer.id,
      providerTenantId: provider.id,
      endpointId,
      modelVersionId: versionId,
      purpose: 'CREDIT',
      disclosure: { kind: 'SCORES', digits: 2 },
      door: 'GRAPHQL',
    });
    expect(answer.receipt.context['modelDigest']).toMatch(/^[0-9a-f]{64}$/);
    expect(answer.receipt.context['agreementDigest']).toMatch(/^[0-9a-f]{64}$/);
    expect(said).toMatchObject({
      code: 'ANSWERED',
      predictionId: answer.id,
      index: answer.logIndex,
      rowCount: 2,
      contextDigest: createHash('sha256').update(canonicalize(answer.receipt.context)!).digest('hex'),
      inputDigest: digest('input', header, JSON.stringify(TWO_ROWS.city), Float32Array.from(TWO_ROWS.x)),
      outputDigest: digest('output', canonicalize({ labels, scores, values })!),
    });
    await end(id);
  });

  it('holds purposes', async () => {
    const id = await agree({ purposes: ['RESEARCH', 'FRAUD_PREVENTION'] });
    expect(await refusal({ purpose: null })).toBe('PURPOSE_NOT_ALLOWED');
    expect(await refusal({ purpose: 'CREDIT' })).toBe('PURPOSE_NOT_ALLOWED');
    expect(await predict({ purpose: 'ACADEMIC_RESEARCH' })).toMatchObject({ agreementId: id });
    await end(id);
  });

  it('holds quotas under 200 concurrent callers: no row too many, none refused wrongly', async () => {
    const id = await agree({ rowsPerDay: 100 });
    const answers = await Promise.all(
      Array.from({ length: 200 }, () =>
        caller.send<{ predict: { __typename: string; code?: string; retryAfterMs?: number } }>(
          `mutation ($input: PredictInput!) { predict(input: $input) { __typename ... on Refusal { code retryAfterMs } } }`,
          { input: { endpointId, purpose: 'CREDIT', columns: { x: [1], city: ['Lyon'] } } },
        ),
      ),
    );
    const results = answers.map((answer) => answer.data!.predict);
    expect(results.filter((r) => r.__typename === 'PredictPayload')).toHaveLength(100);
    const refused = results.filter((r) => r.code === 'QUOTA_DAY_EXCEEDED');
    expect(refused).toHaveLength(100);
    for (const r of refused) expect(r.retryAfterMs).toBeGreaterThan(0);
    const figures = `usage(agreementId: "${id}") { requests rows refusals { code requests } days { rows } allowance { rowsLeftToday rowsTotal } }`;
    const [ours, theirs] = [await provider.owner.query(`{ ${figures} }`), await consumer.owner.query(`{ ${figures} }`)];
    expect(ours).toEqual(theirs);
    expect(ours).toMatchObject({
      usage: {
        requests: 100,
        rows: 100,
        refusals: [{ code: 'QUOTA_DAY_EXCEEDED', requests: 100 }],
        allowance: { rowsLeftToday: 0, rowsTotal: 100 },
      },
    });
    const stated = `statement(agreementId: "${id}", month: "${new Date().toISOString().slice(0, 7)}") { requests rows isFinal csv json digestHex
      days { rows refusals { code } } latency { p50Us p95Us p99Us } logIndex { first last } amounts { dueMinorUnits }
      versions { version rows isLatencyKept availabilityBasisPoints delivery { p95LatencyMs } price { currency } minorUnits } }`;
    const [mine, yours] = [await provider.owner.query(`{ ${stated} }`), await consumer.owner.query(`{ ${stated} }`)];
    expect(mine).toEqual(yours);
    expect(mine).toMatchObject({
      statement: {
        requests: 100,
        rows: 100,
        isFinal: false,
        versions: [{ rows: 100, availabilityBasisPoints: 10_000 }],
      },
    });
    await end(id);
  });

  it('refuses a suspended agreement at once, and one of another endpoint', async () => {
    const id = await agree();
    await predict();
    await provider.owner.mutate('suspendAgreement', { agreementId: id }, 'agreement { state }');
    expect(await refusal()).toBe('AGREEMENT_NOT_IN_FORCE');
    await provider.owner.mutate('resumeAgreement', { agreementId: id }, 'agreement { state }');
    await predict();
    const other = await createEndpoint('Other', versionId);
    const otherId = await agree({}, other);
    expect(await refusal({ agreementId: otherId })).toBe('NO_AGREEMENT');
    expect(await refusal({ agreementId: 'nonsense' })).toBe('NO_AGREEMENT');
    await end(otherId);
    await end(id);
  });

  it('keeps the caller’s text out of the ledger, so that no request can spoil the flush of others', async () => {
    const id = await agree();
    const scope = scopeOf(consumer.id);
    const bad = { endpointId, columns: TWO_ROWS, purpose: 'a\u0000b', agreementId: 'c\u0000d' };
    const asked = [bad, { ...bad, agreementId: null }, { ...bad, agreementId: id }].map((r) =>
      api.app.predictions.predict(scope, r),
    );
    const good = api.app.predictions.predict(scope, { endpointId, columns: TWO_ROWS, purpose: 'CREDIT' });
    expect(await Promise.all(asked.map(codeOf))).toEqual([
      'NO_AGREEMENT',
      'PURPOSE_NOT_ALLOWED',
      'PURPOSE_NOT_ALLOWED',
    ]);
    expect((await good).labels).toHaveLength(2);
    await end(id);
  });

  it('takes a step of an agreement to count from its answer on, however late its news', async () => {
    const id = await agree();
    for (let round = 0; round < 10; round++) {
      await provider.owner.mutate('suspendAgreement', { agreementId: id }, 'agreement { state }');
      expect(await refusal()).toBe('AGREEMENT_NOT_IN_FORCE');
      await provider.owner.mutate('resumeAgreement', { agreementId: id }, 'agreement { state }');
      await predict();
    }
    await end(id);
  });

  it('lets an agreement expire by the clock', async () => {
    const id = await agree();
    api.clock.forward(2 * 86_400_000);
    expect(await refusal()).toBe('AGREEMENT_NOT_IN_FORCE');
    api.clock.forward(-2 * 86_400_000);
    await predict();
    await end(id);
  });

  it.each([
    ['a missing column', { x: [1] }],
    ['an unknown column', { x: [1], city: ['Lyon'], z: [1] }],
    ['columns of different length', { x: [1, 2], city: ['Lyon'] }],
    ['text for a number', { x: ['one'], city: ['Lyon'] }],
    ['a number for text', { x: [1], city: [1] }],
    ['an object for a cell', { x: [{}], city: ['Lyon'] }],
    ['a number beyond float32', { x: [1e300], city: ['Lyon'] }],
    ['no rows', { x: [], city: [] }],
    ['no columns', {}],
  ])('refuses %s, naming no value, and charges nothing', async (_, columns) => {
    const id = await agree();
    expect(await refusal({ columns })).toBe('INPUT_INVALID');
    const { usage } = await consumer.owner.query<{ usage: unknown }>(
      `{ usage(agreementId: "${id}") { rows refusals { code requests } } }`,
    );
    expect(usage).toEqual({ rows: 0, refusals: [{ code: 'INPUT_INVALID', requests: 1 }] });
    await end(id);
  });

  it('takes missing values and unseen categories', async () => {
    const answer = await predict({ columns: { x: [null, 1], city: [null, 'Atlantis'] } }, provider.owner);
    expect(answer.labels).toHaveLength(2);
  });

  it('answers 10,000 rows, and not one more', async () => {
    const rows = (n: number) => ({
      x: Array.from({ length: n }, (_, i) => i / n - 0.5),
      city: new Array(n).fill('Paris'),
    });
    const id = await agree({ rowsPerDay: null, rowsInTotal: null });
    const started = performance.now();
    const answer = await predict({ columns: rows(10_000) });
    expect(performance.now() - started).toBeLessThan(5000);
    expect(answer.labels).toHaveLength(10_000);
    expect(answer.scores!['yes']).toHaveLength(10_000);
    expect(await refusal({ columns: rows(10_001) })).toBe('TOO_MANY_ROWS');
    await end(id);
  });

  it('needs the permission, and a key that still stands', async () => {
    const reader = (await consumer.application(['ENDPOINT_READ'])).client;
    expect(await refusal({}, reader)).toBe('FORBIDDEN');
    expect(await refusal({}, api.client)).toBe('UNAUTHENTICATED');
    const id = await agree();
    const revoked = await consumer.application();
    await predict({}, revoked.client);
    await consumer.owner.mutate('revokeApiKey', { apiKeyId: revoked.keyId }, 'apiKey { id }');
    expect(await refusal({}, revoked.client)).toBe('UNAUTHENTICATED');
    await end(id);
  });
});

describe('an endpoint', () => {
  it('is seen by its owner, and by whom it is offered to, as long as that stands', async () => {
    const see = (client: Client) =>
      client.send(`{ endpoint(id: "${endpointId}") { name task classes inputs { name kind categories } } }`);
    expect((await see(provider.owner)).data).toMatchObject({
      endpoint: { name: 'Credit', task: 'BINARY', classes: ['no', 'yes'] },
    });
    expect((await see(consumer.owner)).errors[0]?.extensions.code).toBe('NOT_FOUND');
    const id = await agree();
    expect((await see(consumer.owner)).data).toMatchObject({
      endpoint: { inputs: [{ name: 'x', kind: 'NUMBER' }, { name: 'city' }] },
    });
    expect((await see(stranger.owner)).errors[0]?.extensions.code).toBe('NOT_FOUND');
    await end(id);
    expect((await see(consumer.owner)).errors[0]?.extensions.code).toBe('NOT_FOUND');
  });

  it('routes to another version of the same signature only, from the next request on', async () => {
    const id = await createEndpoint('Routed', versionId);
    const next = await registerModel(api.app, provider.id, classifier(100));
    const ask = () => predict({ endpointId: id, purpose: null }, provider.owner);
    expect((await ask()).labels).toEqual(['no', 'yes']);
    await provider.owner.mutate(
      'routeEndpoint',
      { endpointId: id, modelVersionId: next },
      'endpoint { modelVersionId }',
    );
    expect(await ask()).toMatchObject({ labels: ['yes', 'yes'], modelVersionId: next });
    const other = await registerModel(api.app, provider.id, regressor());
    expect(await provider.owner.refusal('routeEndpoint', { endpointId: id, modelVersionId: other })).toBe('CONFLICT');
    expect(await stranger.owner.refusal('routeEndpoint', { endpointId: id, modelVersionId: next })).toBe('NOT_FOUND');
    expect(await stranger.owner.refusal('createEndpoint', { name: 'Mine', modelVersionId: next })).toBe('NOT_FOUND');
  });

  it('is deleted when nothing stands on it, and then answers nobody', async () => {
    const id = await createEndpoint('Gone', versionId);
    expect(await provider.owner.refusal('createEndpoint', { name: 'Gone', modelVersionId: versionId })).toBe(
      'CONFLICT',
    );
    const agreementId = await agree({}, id);
    expect(await provider.owner.refusal('deleteEndpoint', { endpointId: id })).toBe('CONFLICT');
    await end(agreementId);
    await provider.owner.mutate('deleteEndpoint', { endpointId: id }, 'endpointId');
    expect(await refusal({ endpointId: id }, provider.owner)).toBe('NOT_FOUND');
    expect(await refusal({ endpointId: id })).toBe('AGREEMENT_NOT_IN_FORCE');
  });
});

/** The entry as the tenant may read it. */
async function contentOf(tenantId: string, logIndex: number): Promise<string | undefined> {
  const rows = await inTenant(api.app.db, { tenantId }, (tx) =>
    tx.query<PredictionRow[]>(
      `select ${PREDICTION_COLUMNS} from prediction_entry e join prediction_context c on c.id = e.context_id
       where $1 in (c.tenant_id, c.counterparty_tenant_id) and e.log_index = $2`,
      [tenantId, logIndex],
    ),
  );
  return rows[0] && contentTextOf(rows[0]);
}

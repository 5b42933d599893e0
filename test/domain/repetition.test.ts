import { randomUUID } from 'node:crypto';
import canonicalize from 'canonicalize';
import pg from 'pg';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Receipt } from '../../src/domain/metering/receipt.js';
import { PASSWORD, startTestApi, type TestApi, type TestTenant } from '../support/app.js';
import type { Client } from '../support/client.js';
import { forgetLineage } from './agreement-support.js';
import { classifier, registerModel } from './serving-support.js';

let api: TestApi;
let provider: TestTenant;
let consumer: TestTenant;
let stranger: TestTenant;
let endpointId: string;
let versionId: string;
let caller: Client;

interface Predicted {
  readonly id: string;
  readonly labels: string[];
  readonly scores: Record<string, number[]>;
  readonly modelVersionId: string;
  readonly logIndex: number;
  readonly leafHashHex: string;
  readonly receipt: Receipt;
  readonly isRepetition: boolean;
}
const ALL =
  'prediction { id labels scores modelVersionId logIndex leafHashHex saltHex receipt isRepetition at latencyMs }';
const TWO_ROWS = { x: [-1.2345, 0.5], city: ['Paris', 'Lyon'] };

beforeAll(async () => {
  api = await startTestApi();
  await forgetLineage(api.database.databaseUrl);
  provider = await api.tenant('Provider');
  consumer = await api.tenant('Consumer');
  stranger = await api.tenant('Stranger');
  versionId = await registerModel(api.app, provider.id, classifier());
  endpointId = await createEndpoint('Credit');
  caller = (await consumer.application()).client;
});

async function createEndpoint(name: string): Promise<string> {
  const input = { name, modelVersionId: versionId };
  const made = await provider.owner.mutate<{ endpoint: { id: string } }>('createEndpoint', input, 'endpoint { id }');
  return made.endpoint.id;
}

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
  await provider.owner.mutate('signAgreement', input, 'agreement { state }');
  await consumer.owner.mutate('signAgreement', input, 'agreement { state }');
  return agreement.id;
}

const end = (agreementId: string) =>
  provider.owner.mutate('terminateAgreement', { agreementId }, 'agreement { state }');
const asked = { purpose: 'CREDIT', columns: TWO_ROWS };
const predict = async (input: Record<string, unknown> = {}, client = caller) =>
  (await client.mutate<{ prediction: Predicted }>('predict', { endpointId, ...asked, ...input }, ALL)).prediction;
const refusal = (input: Record<string, unknown> = {}, client = caller) =>
  client.refusal('predict', { endpointId, ...asked, ...input });

describe('a prediction', () => {
  it('answers a repeated request again, with the receipt of then, and charges it once', async () => {
    const id = await agree({ rowsInTotal: 2 });
    const idempotencyKey = randomUUID();
    const first = await predict({ idempotencyKey });
    const again = await predict({ idempotencyKey });
    expect(first.isRepetition).toBe(false);
    expect({ ...again, latencyMs: 0 }).toEqual({ ...first, isRepetition: true, latencyMs: 0 });
    expect(await refusal({ idempotencyKey, columns: { ...TWO_ROWS, x: [0, 0] } })).toBe('IDEMPOTENCY_CONFLICT');
    expect(await refusal({ idempotencyKey: randomUUID() })).toBe('QUOTA_TOTAL_EXCEEDED');
    expect(await refusal({ idempotencyKey: 'mine' })).toBe('INVALID_INPUT');
    const { usage } = await provider.owner.query<{ usage: unknown }>(
      `{ usage(agreementId: "${id}") { requests rows refusals { code requests } allowance { rowsLeftInTotal } } }`,
    );
    expect(usage).toEqual({
      requests: 1,
      rows: 2,
      refusals: [
        { code: 'IDEMPOTENCY_CONFLICT', requests: 1 },
        { code: 'QUOTA_TOTAL_EXCEEDED', requests: 1 },
      ],
      allowance: { rowsLeftInTotal: 0 },
    });
    await end(id);
    expect(await refusal({ idempotencyKey })).toBe('AGREEMENT_NOT_IN_FORCE');
    // The same key of another tenant is another request.
    expect((await predict({ idempotencyKey, purpose: null }, provider.owner)).isRepetition).toBe(false);
  });

  it('repeats on the version of then, and not at all what can no longer be told', async () => {
    const routed = await createEndpoint('Repeated');
    const next = await registerModel(api.app, provider.id, classifier(100));
    const ask = (more = {}) => predict({ endpointId: routed, purpose: null, ...more }, provider.owner);
    const idempotencyKey = randomUUID();
    const first = await ask({ idempotencyKey });
    await provider.owner.mutate('routeEndpoint', { endpointId: routed, modelVersionId: next }, 'endpoint { id }');
    expect((await ask()).labels).toEqual(['yes', 'yes']);
    expect(await ask({ idempotencyKey })).toMatchObject({
      labels: first.labels,
      scores: first.scores,
      modelVersionId: versionId,
      receipt: first.receipt,
      isRepetition: true,
    });
    const owner = new pg.Client(api.database.databaseUrl);
    await owner.connect();
    await owner.query(`update prediction_entry set output_digest = sha256('x') where log_index = $1`, [first.logIndex]);
    await owner.end();
    expect(await refusal({ endpointId: routed, purpose: null, idempotencyKey }, provider.owner)).toBe(
      'REPETITION_IMPOSSIBLE',
    );
  });

  it('charges one of many concurrent requests with the same key', async () => {
    const id = await agree({ rowsInTotal: 2 });
    const idempotencyKey = randomUUID();
    const answers = await Promise.all(Array.from({ length: 30 }, () => predict({ idempotencyKey })));
    expect(answers.filter((answer) => !answer.isRepetition)).toHaveLength(1);
    expect(new Set(answers.map((answer) => JSON.stringify(answer.receipt))).size).toBe(1);
    await end(id);
  });

  it('lists predictions in the audit log for both parties, and for nobody else', async () => {
    const id = await agree();
    const answer = await predict();
    await refusal({ purpose: 'ADVERTISING' });
    const list = async (client: Client, filter: string) =>
      (
        await client.query<{ auditEntries: { nodes: Record<string, unknown>[] } }>(
          `{ auditEntries(${filter}) { nodes { kind subjectId logIndex content context saltHex leafHashHex } } }`,
        )
      ).auditEntries.nodes;
    const [mine] = await list(consumer.owner, `subjectId: "${answer.id}"`);
    expect(mine).toMatchObject({ kind: 'prediction.answered', logIndex: answer.logIndex, saltHex: '' });
    expect(mine).toMatchObject({ leafHashHex: answer.leafHashHex, context: canonicalize(answer.receipt.context) });
    expect(JSON.parse(mine!['content'] as string)).toEqual(answer.receipt.entry);
    expect(await list(provider.owner, `subjectId: "${answer.id}"`)).toEqual([mine]);
    expect(await list(stranger.owner, `subjectId: "${answer.id}"`)).toEqual([]);
    const [refused] = await list(provider.owner, `kind: "prediction.refused", first: 1`);
    expect(JSON.parse(refused!['content'] as string)).toMatchObject({ code: 'PURPOSE_NOT_ALLOWED', rowCount: 2 });
    // Mixed with decisions, in the order of the log.
    const all = await list(provider.owner, 'first: 100');
    const indices = all.map((entry) => entry['logIndex'] as number);
    expect(indices).toEqual([...indices].sort((a, b) => b - a));
    expect(new Set(all.map((entry) => (entry['kind'] as string).split('.')[0]))).toContain('agreement');
    await end(id);
  });
});

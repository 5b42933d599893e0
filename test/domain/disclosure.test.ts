import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { beforeAll, describe, expect, it } from 'vitest';
import type { FittedModel } from '../../src/ml/core/model.js';
import { Pace } from '../../src/ml/core/pace.js';
import { withReference } from '../../src/ml/evaluate/reference.js';
import { PASSWORD, startTestApi, type TestApi, type TestTenant } from '../support/app.js';
import { rawRequest } from '../support/client.js';
import { randomModel } from '../ml/onnx-models.js';
import { freshSeed } from '../ml/tables.js';
import { forgetLineage } from './agreement-support.js';
import { columnsFor, groupsUnder, rowOf, RULES } from './disclosure-support.js';
import { classifier, registerModel } from './serving-support.js';

let api: TestApi;
let provider: TestTenant;
let consumer: TestTenant;
/** Of the consumer's application. */
let key: string;
const seed = freshSeed();
const ROWS = 240;
const pace = new Pace(new AbortController().signal);
const all = Uint32Array.from({ length: ROWS }, (_, i) => i);

interface Explained {
  readonly outputs: { class: string | null; base: number; contributions: Record<string, number[]> }[] | null;
  readonly strongest: { column: string; direction: string }[][] | null;
}
interface Predicted {
  readonly labels: (string | null)[] | null;
  readonly scores: Record<string, (number | null)[]> | null;
  readonly values: (number | null)[] | null;
  readonly explanation: Explained | null;
  readonly receipt: { readonly entry: { readonly outputDigest: string }; readonly context: object };
  readonly saltHex: string;
}

beforeAll(async () => {
  api = await startTestApi();
  await forgetLineage(api.database.databaseUrl);
  provider = await api.tenant('Provider');
  consumer = await api.tenant('Consumer');
  key = (await consumer.application()).key;
});

async function serve(name: string, fitted: FittedModel): Promise<string> {
  const modelVersionId = await registerModel(api.app, provider.id, fitted);
  const made = await provider.owner.mutate<{ endpoint: { id: string } }>(
    'createEndpoint',
    { name, modelVersionId },
    'endpoint { id }',
  );
  return made.endpoint.id;
}

function offerInput(endpointId: string, change: object) {
  const now = Date.now();
  return {
    endpointId,
    consumerTenantId: consumer.id,
    terms: {
      purposes: ['CREDIT'],
      period: { from: new Date(now - 60_000).toISOString(), until: new Date(now + 86_400_000).toISOString() },
      ...change,
    },
  };
}

async function agree(endpointId: string, change: object): Promise<string> {
  const offer = offerInput(endpointId, change);
  const { agreement } = await provider.owner.mutate<{ agreement: { id: string } }>(
    'offerAgreement',
    offer,
    'agreement { id }',
  );
  const input = { agreementId: agreement.id, password: PASSWORD };
  await provider.owner.mutate('signAgreement', input, 'agreement { state }');
  await consumer.owner.mutate('signAgreement', input, 'agreement { state }');
  return agreement.id;
}

const TOLD = 'labels scores values explanation { outputs { class base contributions } strongest { column direction } }';
const predict = (input: object, client = consumer.owner) =>
  client
    .mutate<{ prediction: Predicted }>(
      'predict',
      { purpose: 'CREDIT', ...input },
      `prediction { ${TOLD} saltHex receipt }`,
    )
    .then(({ prediction }) => prediction);

/** Beside the receipt object, what differs from answer to answer whatever was asked: what the receipt says too, and how long it took. */
const RECEIPT = ['id', 'logIndex', 'leafHashHex', 'saltHex', 'at', 'latencyMs'];
const HEADERS = ['date', 'x-request-id', 'content-length'];

/** The whole response, byte by byte, but for what RECEIPT and HEADERS name. */
async function bytesOf(input: object): Promise<string> {
  const query = `mutation ($input: PredictInput!) { predict(input: $input) { __typename ... on Refusal { code message remedy field }
    ... on PredictPayload { prediction { rowCount modelVersionId agreementId isRepetition ${TOLD} ${RECEIPT.join(' ')} receipt } } } }`;
  const { status, headers, text } = await rawRequest(`${api.url}/graphql`, {
    headers: { 'content-type': 'application/json', accept: 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ query, variables: { input: { purpose: 'CREDIT', ...input } } }),
  });
  const masked = RECEIPT.reduce((body, name) => {
    const value = new RegExp(`"${name}":("[^"]*"|[0-9.]+)`);
    expect(body).toMatch(value);
    return body.replace(value, `"${name}":…`);
  }, text);
  // The receipt comes last: from there on to the braces that close it and those around it.
  const receipt = /"receipt":\{.*\}(?=\}\}\}\}\s*$)/;
  expect(masked).toMatch(receipt);
  const kept = Object.entries(headers).filter(([name]) => !HEADERS.includes(name));
  return JSON.stringify([status, kept, masked.replace(receipt, '…')]);
}

describe('an answer', () => {
  let endpointId: string;
  let columns: Record<string, unknown[]>;
  let full: Predicted;

  beforeAll(async () => {
    const made = randomModel(
      seed,
      { family: 'boosting', task: 'multiclass', classes: 4, columns: 6, trees: 12, depth: 4, scale: 1 },
      ROWS,
    );
    const classes = ['__proto__', 'constructor', 'c', 'd'];
    endpointId = await serve('Shares', { ...made.fitted, classes });
    columns = columnsFor(made.fitted, made.table);
    full = await predict({ endpointId, columns, purpose: null }, provider.owner);
  });

  it.each(RULES)('under %s is the same to the byte for rows that the rule makes equal', async (_, disclosure, rule) => {
    const agreementId = await agree(endpointId, { disclosure });
    const alike = groupsUnder(rule, full).slice(0, 12);
    expect(alike.length, `seed ${seed}`).toBeGreaterThan(0);
    const seen = new Set<string>();
    for (const [first, ...others] of alike) {
      const expected = await bytesOf({ endpointId, agreementId, columns: rowOf(columns, first!) });
      for (const other of others.slice(0, 3))
        expect(
          await bytesOf({ endpointId, agreementId, columns: rowOf(columns, other) }),
          `seed ${seed}, rows ${first}, ${other}`,
        ).toBe(expected);
      seen.add(expected);
    }
    // And what the rule tells apart is told.
    expect(seen.size).toBe(alike.length);
    await provider.owner.mutate('terminateAgreement', { agreementId }, 'agreement { state }');
  });

  it('tells the names of classes whatever they are called', async () => {
    const agreementId = await agree(endpointId, { disclosure: { kind: 'TOP_K', k: 4, digits: 2 } });
    const { scores } = await predict({ endpointId, agreementId, columns: rowOf(columns, 0) });
    expect(Object.keys(scores!)).toEqual(['__proto__', 'constructor', 'c', 'd']);
    await provider.owner.mutate('terminateAgreement', { agreementId }, 'agreement { state }');
  });

  it('of a rule that the model cannot keep, or that cannot be kept with explanations, is never agreed', async () => {
    const refused = (change: object) => provider.owner.refusal('offerAgreement', offerInput(endpointId, change));
    const noisy = { kind: 'NOISY', epsilonMilliPerRow: 1000, digits: 2, budgetMilli: 1_000_000 };
    for (const terms of [
      { disclosure: { ...noisy, lower: 0, upper: 1 } },
      { disclosure: { ...noisy, lower: 0, upper: 1e9 } },
      { disclosure: noisy, explanations: { kind: 'TOP_K', k: 1 } },
      { disclosure: noisy, explanations: { kind: 'FULL' } },
      { disclosure: { kind: 'LABEL_ONLY' }, explanations: { kind: 'FULL' } },
      { disclosure: { kind: 'TOP_K', k: 1, digits: 1 }, explanations: { kind: 'FULL' } },
      { disclosure: { kind: 'ABOVE', threshold: 0.5, digits: 1 }, explanations: { kind: 'FULL' } },
    ])
      expect(await refused(terms), JSON.stringify(terms)).toBe('INVALID_INPUT');
  });
});

describe('an explanation', () => {
  let endpointId: string;
  let columns: Record<string, unknown[]>;
  const some = (count: number) =>
    Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values.slice(0, count)]));

  beforeAll(async () => {
    const made = randomModel(
      seed + 1,
      { family: 'boosting', task: 'binary', columns: 5, trees: 10, depth: 4, scale: 1 },
      ROWS,
    );
    endpointId = await serve('Reasons', await withReference(made.fitted, made.table, all, pace));
    columns = columnsFor(made.fitted, made.table);
  });

  it('adds up to the score for the owner', async () => {
    const { scores, explanation } = await predict(
      { endpointId, columns: some(20), purpose: null, explain: true },
      provider.owner,
    );
    const [output, ...more] = explanation!.outputs!;
    expect(more).toEqual([]);
    const positive = scores![output!.class!]!;
    positive.forEach((p, i) => {
      const raw = Object.values(output!.contributions).reduce((sum, column) => sum + column[i]!, output!.base);
      expect(1 / (1 + Math.exp(-raw))).toBeCloseTo(p!, 5);
    });
    expect((await predict({ endpointId, columns: some(1), purpose: null }, provider.owner)).explanation).toBeNull();
  });

  it('is rounded like the scores under FULL, and is part of what the log commits to', async () => {
    const agreementId = await agree(endpointId, {
      disclosure: { kind: 'SCORES', digits: 1 },
      explanations: { kind: 'FULL' },
    });
    const answer = await predict({ endpointId, agreementId, columns: some(5), explain: true });
    const { labels, scores, values, explanation, saltHex, receipt } = answer;
    const numbers = explanation!.outputs!.flatMap(({ base, contributions }) => [
      base,
      ...Object.values(contributions).flat(),
    ]);
    for (const x of numbers) expect(Math.round(x * 10) / 10).toBe(x);
    const told = canonicalize({ explanation, labels, scores, values })!;
    const digest = createHash('sha256').update(Buffer.from(saltHex, 'hex')).update(`output:${told}`).digest('hex');
    expect(receipt.entry.outputDigest).toBe(digest);
    expect(receipt.context).toMatchObject({
      disclosure: { kind: 'SCORES', digits: 1, explanations: { kind: 'FULL' } },
    });
    await provider.owner.mutate('terminateAgreement', { agreementId }, 'agreement { state }');
  });

  it('names the strongest columns and their directions under TOP_K, and no number', async () => {
    const agreementId = await agree(endpointId, {
      disclosure: { kind: 'LABEL_ONLY' },
      explanations: { kind: 'TOP_K', k: 2 },
    });
    const own = await predict({ endpointId, columns: some(30), purpose: null, explain: true }, provider.owner);
    const { labels, scores, explanation } = await predict({
      endpointId,
      agreementId,
      columns: some(30),
      explain: true,
    });
    expect([scores, explanation!.outputs]).toEqual([null, null]);
    const [output] = own.explanation!.outputs!;
    labels!.forEach((label, i) => {
      const parts = Object.entries(output!.contributions).map(([column, values]) => ({ column, value: values[i]! }));
      const towards = label === output!.class ? 1 : -1;
      const expected = parts
        .filter(({ value }) => value !== 0)
        .sort((a, b) => Math.abs(b.value) - Math.abs(a.value))
        .slice(0, 2)
        .map(({ column, value }) => ({ column, direction: value * towards > 0 ? 'FOR' : 'AGAINST' }));
      expect(explanation!.strongest![i], `seed ${seed}, row ${i}`).toEqual(expected);
    });
    await provider.owner.mutate('terminateAgreement', { agreementId }, 'agreement { state }');
  });

  it('names no column of a row whose label is not told', async () => {
    const disclosure = { kind: 'ABOVE', threshold: 0.8, digits: 2 };
    const agreementId = await agree(endpointId, { disclosure, explanations: { kind: 'TOP_K', k: 3 } });
    const { labels, explanation } = await predict({ endpointId, agreementId, columns: some(100), explain: true });
    labels!.forEach((label, i) => {
      if (label === null) expect(explanation!.strongest![i]).toEqual([]);
    });
    await provider.owner.mutate('terminateAgreement', { agreementId }, 'agreement { state }');
  });

  it('is refused where it is not agreed, of too many rows, and of models that have none', async () => {
    const asked = (input: object, client = consumer.owner) =>
      client.refusal('predict', { endpointId, purpose: 'CREDIT', columns: some(1), explain: true, ...input });
    const agreementId = await agree(endpointId, { disclosure: { kind: 'LABEL_ONLY' } });
    expect(await asked({ agreementId })).toBe('EXPLANATION_NOT_ALLOWED');
    await provider.owner.mutate('terminateAgreement', { agreementId }, 'agreement { state }');
    expect(await asked({ columns: some(101) }, provider.owner)).toBe('TOO_MANY_ROWS');
    const bare = await serve('Bare', classifier());
    const row = { endpointId: bare, columns: { x: [1], city: ['Lyon'] } };
    for (let again = 0; again < 2; again++) expect(await asked(row, provider.owner)).toBe('EXPLANATION_UNAVAILABLE');
  });
});

describe('noise', () => {
  const rule = { kind: 'NOISY', epsilonMilliPerRow: 500, digits: 2, budgetMilli: 10_000 };
  const rows = (count: number) => ({ x: new Array(count).fill(0.2), city: new Array(count).fill('Paris') });
  let endpointId: string;

  beforeAll(async () => {
    endpointId = await serve('Noise', classifier());
  });

  it('is the same for the same request again, charged once, and another for another request', async () => {
    const agreementId = await agree(endpointId, { disclosure: rule });
    const ask = (idempotencyKey: string) => predict({ endpointId, agreementId, columns: rows(5), idempotencyKey });
    const [first, again, other] = [await ask(UUIDS[0]), await ask(UUIDS[0]), await ask(UUIDS[1])];
    const told = ({ labels, scores }: Predicted) => JSON.stringify([labels, scores]);
    expect(told(again)).toBe(told(first));
    expect(told(other)).not.toBe(told(first));
    const { usage } = await consumer.owner.query<{ usage: { allowance: object } }>(
      `{ usage(agreementId: "${agreementId}") { allowance { privacyBudgetLeftMilli } } }`,
    );
    expect(usage.allowance).toEqual({ privacyBudgetLeftMilli: 5000 });
    await provider.owner.mutate('terminateAgreement', { agreementId }, 'agreement { state }');
  });

  it('ends with the budget: of many callers at once, not one row too many', async () => {
    const agreementId = await agree(endpointId, { disclosure: rule });
    const { client } = await consumer.application();
    const query = `mutation ($input: PredictInput!) { predict(input: $input) { ... on Refusal { code } ... on PredictPayload { prediction { labels } } } }`;
    const answers = await Promise.all(
      Array.from({ length: 60 }, () =>
        client.send<{ predict: { code?: string; prediction?: object } }>(query, {
          input: { endpointId, agreementId, purpose: 'CREDIT', columns: rows(1) },
        }),
      ),
    );
    expect(answers.filter(({ data }) => data!.predict.prediction)).toHaveLength(20);
    expect(answers.filter(({ data }) => data!.predict.code === 'PRIVACY_BUDGET_SPENT')).toHaveLength(40);
    await provider.owner.mutate('terminateAgreement', { agreementId }, 'agreement { state }');
  });

  it('is all that differs between rows: errors of rows come before it, and name no value', async () => {
    const agreementId = await agree(endpointId, { disclosure: rule });
    const wrong = { endpointId, agreementId, purpose: 'CREDIT', columns: { x: ['one'], city: ['Paris'] } };
    expect(await consumer.owner.refusal('predict', wrong)).toBe('INPUT_INVALID');
    const explained = { ...wrong, columns: rows(1), explain: true };
    expect(await consumer.owner.refusal('predict', explained)).toBe('EXPLANATION_NOT_ALLOWED');
    await provider.owner.mutate('terminateAgreement', { agreementId }, 'agreement { state }');
  });
});

const UUIDS = ['018f3c1e-7a2b-7c3d-8e4f-0123456789ab', '018f3c1e-7a2b-7c3d-8e4f-0123456789ac'] as const;

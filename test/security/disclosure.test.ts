import { beforeAll, describe, expect, it, vi } from 'vitest';
import { LedgerService } from '../../src/domain/metering/ledger.service.js';
import { Batcher } from '../../src/ml/infer.js';
import { makeOipWorld, type OipWorld } from '../api/open-inference-world.js';
import { columnsFor, groupsUnder, rowOf, RULES } from '../domain/disclosure-support.js';
import { randomModel } from '../ml/onnx-models.js';
import { freshSeed } from '../ml/tables.js';
import { rawRequest } from '../support/client.js';

const seed = freshSeed();
const ROWS = 240;

let world: OipWorld;
let endpointId: string;
let columns: Record<string, unknown[]>;
let full: { labels: string[]; scores: Record<string, number[]> };
let datatypes: Map<string, string>;

beforeAll(async () => {
  world = await makeOipWorld();
  const shape = {
    family: 'boosting',
    task: 'multiclass',
    classes: 4,
    columns: 6,
    trees: 12,
    depth: 4,
    scale: 1,
  } as const;
  const made = randomModel(seed, shape, ROWS);
  // Two names that every object inherits.
  const fitted = { ...made.fitted, classes: ['__proto__', 'constructor', 'c', 'd'] };
  endpointId = await world.createEndpoint('Shares', fitted);
  columns = columnsFor(fitted, made.table);
  const { prediction } = await world.provider.owner.mutate<{ prediction: typeof full }>(
    'predict',
    { endpointId, columns },
    'prediction { labels scores }',
  );
  full = prediction;
  const { body } = await world.owner.get(`/v2/models/${endpointId}`);
  datatypes = new Map((body['inputs'] as { name: string; datatype: string }[]).map((one) => [one.name, one.datatype]));
});

/** Beside the receipt, what differs from answer to answer whatever was asked: what the receipt says too, and how long it took. */
const TOLD_BY_RECEIPT = ['prediction_id', 'log_index', 'leaf_hash', 'salt', 'at', 'latency_ms', 'receipt'];
const HEADERS = ['date', 'x-request-id', 'content-length', 'inference-header-content-length'];
const headersKept = (headers: object) => Object.entries(headers).filter(([name]) => !HEADERS.includes(name));

interface Asked {
  readonly row: Record<string, unknown[]>;
  readonly parameters: object;
  readonly binary?: boolean;
  readonly endpoint?: string;
}

function sendTensors({ row, parameters, binary = false, endpoint = endpointId }: Asked) {
  const inputs = Object.entries(row).map(([name, data]) => {
    return { name, datatype: datatypes.get(name) ?? 'FP64', shape: [data.length], data };
  });
  return rawRequest(`${world.api.url}/v2/models/${endpoint}/infer`, {
    headers: { 'content-type': 'application/json', authorization: `Bearer ${world.caller.token!}` },
    body: JSON.stringify({ inputs, parameters: { purpose: 'CREDIT', ...parameters, binary_data_output: binary } }),
  });
}

/** The whole answer through the second door, but for what TOLD_BY_RECEIPT and HEADERS name; raw tensors in hexadecimal. */
async function tensorsTold(asked: Asked): Promise<string> {
  const { status, headers, bytes } = await sendTensors(asked);
  const length = Number(headers['inference-header-content-length'] ?? bytes.length);
  expect(length < bytes.length, 'tensors follow the JSON').toBe(asked.binary === true);
  let json = bytes.subarray(0, length).toString('utf8');
  for (const name of TOLD_BY_RECEIPT) {
    const value = new RegExp(`"${name}":("(?:[^"\\\\]|\\\\.)*"|[0-9.]+)`);
    expect(json).toMatch(value);
    json = json.replace(value, `"${name}":…`);
  }
  return JSON.stringify([status, headersKept(headers), json, bytes.subarray(length).toString('hex')]);
}

const terminate = (agreementId: string) =>
  world.provider.owner.mutate('terminateAgreement', { agreementId }, 'agreement { state }');

describe.each([
  ['JSON', false],
  ['bytes', true],
])('an answer in %s through the second door', (_, binary) => {
  it.each(RULES)(
    'under %s is the same to the byte for rows that the rule makes equal',
    async (__, disclosure, rule) => {
      const agreement = await world.agree(endpointId, { disclosure });
      const alike = groupsUnder(rule, full).slice(0, 12);
      expect(alike.length, `seed ${seed}`).toBeGreaterThan(0);
      const seen = new Set<string>();
      for (const [first, ...others] of alike) {
        const told = (i: number) => tensorsTold({ row: rowOf(columns, i), parameters: { agreement }, binary });
        const expected = await told(first!);
        for (const other of others.slice(0, 3))
          expect(await told(other), `seed ${seed}, rows ${first}, ${other}`).toBe(expected);
        seen.add(expected);
      }
      // And what the rule tells apart is told.
      expect(seen.size).toBe(alike.length);
      await terminate(agreement);
    },
  );
});

/** A refusal's whole response, but for the request's own id and how long there is to wait. */
async function refusalTold(answer: Promise<Awaited<ReturnType<typeof rawRequest>>>): Promise<string> {
  const { status, headers, text } = await answer;
  expect(text).toMatch(/"code":"[A-Z_]+"/);
  const masked = text.replace(/"requestId":"[^"]*"/, '…').replace(/"retryAfterMs":[0-9]+/, '…');
  return JSON.stringify([status, headersKept(headers), masked]);
}

function sendGraphQL(input: object) {
  const query = `mutation ($input: PredictInput!) { predict(input: $input) { __typename
    ... on Refusal { code message remedy field retryAfterMs } ... on PredictPayload { prediction { labels } } } }`;
  return rawRequest(`${world.api.url}/graphql`, {
    headers: {
      'content-type': 'application/json',
      accept: 'application/json',
      authorization: `Bearer ${world.caller.token!}`,
    },
    body: JSON.stringify({ query, variables: { input } }),
  });
}

describe('a refusal', () => {
  /** Rows of different labels and scores, through either door. */
  const rows = [0, 1, 2, 50, 100, 239].map((i) => ({ at: i }));
  const bothDoors = (change: object, row: Record<string, unknown[]>) => {
    const { agreementId, ...parameters } = { agreementId: undefined, ...change } as Record<string, unknown>;
    const agreement = agreementId === undefined ? {} : { agreement: agreementId };
    return [
      refusalTold(sendGraphQL({ endpointId, columns: row, purpose: 'CREDIT', ...change })),
      refusalTold(sendTensors({ row, parameters: { ...agreement, ...parameters } })),
    ];
  };

  it('says the same whatever the rows are, and whatever the model would have said of them', async () => {
    const disclosure = { kind: 'LABEL_ONLY' };
    const spent = await world.agree(endpointId, { disclosure, rowsInTotal: 1 });
    await tensorsTold({ row: rowOf(columns, 0), parameters: { agreement: spent } });
    const suspended = await world.agree(endpointId, { disclosure });
    await world.provider.owner.mutate('suspendAgreement', { agreementId: suspended }, 'agreement { state }');
    const open = await world.agree(endpointId, { disclosure });
    const cases: [string, object][] = [
      ['QUOTA_TOTAL_EXCEEDED', { agreementId: spent }],
      ['AGREEMENT_NOT_IN_FORCE', { agreementId: suspended }],
      ['PURPOSE_NOT_ALLOWED', { agreementId: open, purpose: 'RESEARCH' }],
      ['NO_AGREEMENT', { agreementId: `agr_${'0'.repeat(32)}` }],
    ];
    for (const [code, change] of cases) {
      const seen = [new Set<string>(), new Set<string>()];
      for (const { at } of rows) {
        const told = await Promise.all(bothDoors(change, rowOf(columns, at)));
        told.forEach((one, door) => seen[door]!.add(one));
      }
      for (const one of seen) {
        expect([...one][0]).toContain(code);
        expect(one.size, `${code}: ${[...one].join('\n')}`).toBe(1);
      }
    }
    for (const agreementId of [spent, suspended, open]) await terminate(agreementId);
  });

  it('for a wrong row names the place, and nothing that stands there', async () => {
    const agreement = await world.agree(world.credit, { disclosure: { kind: 'LABEL_ONLY' } });
    const seen = [new Set<string>(), new Set<string>()];
    for (const wrong of ['secret-73', 'another-9', '1.25', '']) {
      const row = { x: [wrong], city: ['Lyon'] };
      const asked = { endpointId: world.credit, columns: row, purpose: 'CREDIT', agreementId: agreement };
      const doors = [
        refusalTold(sendGraphQL(asked)),
        refusalTold(sendTensors({ row, parameters: { agreement }, endpoint: world.credit })),
      ];
      (await Promise.all(doors)).forEach((one, door) => {
        expect(one).toContain('INPUT_INVALID');
        seen[door]!.add(one);
      });
    }
    expect(seen.map(({ size }) => size)).toEqual([1, 1]);
    await terminate(agreement);
  });
});

describe('the way to an answer', () => {
  it('is gone to the end each time: no answer is kept for rows that were asked before, or that the rule makes equal', async () => {
    const [, disclosure, rule] = RULES[0]!;
    const agreement = await world.agree(endpointId, { disclosure });
    const [first, second] = groupsUnder(rule, full)[0]!;
    const infer = vi.spyOn(Batcher.prototype, 'infer');
    const record = vi.spyOn(LedgerService.prototype, 'record');
    const idempotency_key = '018f3c1e-7a2b-7c3d-8e4f-0123456789ab';
    const steps = async (i: number, parameters: object = {}) => {
      infer.mockClear();
      record.mockClear();
      await tensorsTold({ row: rowOf(columns, i), parameters: { agreement, ...parameters } });
      return [infer.mock.calls.length, record.mock.calls.length];
    };
    for (const i of [first!, first!, second!, first!]) expect(await steps(i)).toEqual([1, 1]);
    // Nor of a request that is repeated under its own key.
    for (const _ of [1, 2, 3]) expect(await steps(first!, { idempotency_key })).toEqual([1, 1]);
    // A refusal costs the same whatever the rows: the model is not asked.
    for (const i of [first!, second!]) {
      infer.mockClear();
      await refusalTold(sendTensors({ row: rowOf(columns, i), parameters: { agreement, purpose: 'RESEARCH' } }));
      expect(infer).not.toHaveBeenCalled();
    }
    vi.restoreAllMocks();
    await terminate(agreement);
  });
});

import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { beforeAll, expect, it } from 'vitest';
import {
  legalSteps,
  type Party,
  PARTIES,
  type Rules,
  type Situation,
  type Step,
  STEPS,
  takeStep,
} from '../../src/domain/agreements/step.js';
import { PASSWORD, startTestApi, type TestApi, type TestTenant } from '../support/app.js';
import { forgetLineage } from './agreement-support.js';
import { classifier, registerModel } from './serving-support.js';

/** Two parties take steps at random through the API; the state machine, which has a twin of its own, says what must come of them. */
const SEQUENCES = 500;
const LONGEST = 10;
const AT_ONCE = 8;
const FIELDS =
  'agreement { id state version steps proposal { version documentBase64 } settlement { documentDigestHex } }';

interface View {
  readonly id: string;
  readonly state: string;
  readonly version: number;
  readonly steps: readonly string[];
  readonly proposal: { readonly version: number; readonly documentBase64: string } | null;
  readonly settlement: object | null;
}
interface Hand {
  readonly signingKeyId: string;
  readonly privateKey: KeyObject;
}

let api: TestApi;
let sides: Record<Party, TestTenant>;
let hands: Record<Party, Hand>;
let endpointId: string;

beforeAll(async () => {
  api = await startTestApi();
  await forgetLineage(api.database.databaseUrl);
  sides = { PROVIDER: await api.tenant(), CONSUMER: await api.tenant() };
  const modelVersionId = await registerModel(api.app, sides.PROVIDER.id, classifier());
  const made = await sides.PROVIDER.owner.mutate<{ endpoint: { id: string } }>(
    'createEndpoint',
    { name: 'E', modelVersionId },
    'endpoint { id }',
  );
  endpointId = made.endpoint.id;
  hands = { PROVIDER: await register(sides.PROVIDER), CONSUMER: await register(sides.CONSUMER) };
});

/** A key of the tenant's own: custodial signatures would spend most of the time on passwords. */
async function register({ owner }: TestTenant): Promise<Hand> {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const publicKeyHex = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('hex');
  const { signingKey } = await owner.mutate<{ signingKey: { id: string; challenge: string } }>(
    'createSigningKey',
    { name: 'Key', publicKeyHex },
    'signingKey { id challenge }',
  );
  const signatureBase64 = sign(null, Buffer.from(signingKey.challenge), privateKey).toString('base64');
  expect(
    await owner.refusal('confirmSigningKey', { signingKeyId: signingKey.id, signatureBase64, password: 'wrong' }),
  ).toBe('BAD_CREDENTIALS');
  await owner.mutate(
    'confirmSigningKey',
    { signingKeyId: signingKey.id, signatureBase64, password: PASSWORD },
    'signingKey { confirmedAt }',
  );
  return { signingKeyId: signingKey.id, privateKey };
}

/** Mulberry32: a seed gives the same sequence each time. */
function random(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function draw(next: () => number): { rules: Rules; terms: Record<string, unknown> } {
  const rules = { needsNotice: next() < 0.5, renews: next() < 0.5 };
  const terms = {
    purposes: ['CREDIT'],
    period: { from: '2020-01-01T00:00:00Z', until: '2090-01-01T00:00:00Z' },
    disclosure: { kind: 'LABEL_ONLY' },
    rowsPerDay: 1 + Math.floor(next() * 1000),
    noticeDays: rules.needsNotice ? 30 : 0,
    renewal: rules.renews ? { months: 12 } : null,
  };
  return { rules, terms };
}

const nameOf = (step: Step) => step.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
const inputOf = (step: Step, { id, proposal }: View, by: Party, terms: object) => {
  if (step === 'counter' || step === 'amend') return { agreementId: id, terms };
  if (step !== 'sign') return { agreementId: id };
  const { signingKeyId, privateKey } = hands[by];
  const bytes = Buffer.from(proposal?.documentBase64 ?? '', 'base64');
  return {
    agreementId: id,
    version: proposal?.version,
    signingKeyId,
    signatureBase64: sign(null, bytes, privateKey).toString('base64'),
  };
};

async function play(seed: number): Promise<string> {
  const next = random(seed);
  const first = draw(next);
  const offer = { endpointId, consumerTenantId: sides.CONSUMER.id, terms: first.terms };
  let { agreement: view } = await sides.PROVIDER.owner.mutate<{ agreement: View }>('offerAgreement', offer, FIELDS);
  const open = { by: 'PROVIDER', signedBy: [], rules: first.rules } as const;
  let now: Situation = { state: 'OFFERED', open, rules: null, suspendedBy: [], breachBy: null, noticeBy: null };
  const told = [`seed ${seed}`];
  for (let i = 0; i < LONGEST; i++) {
    const by = PARTIES[Math.floor(next() * 2)]!;
    const legal = legalSteps(now, by);
    const among = legal.length > 0 && next() < 0.8 ? legal : (Object.keys(STEPS) as Step[]);
    const step = among[Math.floor(next() * among.length)]!;
    const { rules, terms } = draw(next);
    told.push(`${by} ${step}`);
    const input = inputOf(step, view, by, terms);
    const { mutation } = STEPS[step];
    if (!legal.includes(step)) {
      expect(await sides[by].owner.refusal(mutation, input), told.join(', ')).toBe('ILLEGAL_STEP');
      continue;
    }
    now = takeStep(step, now, by, rules);
    view = (await sides[by].owner.mutate<{ agreement: View }>(mutation, input, FIELDS)).agreement;
    expect(view.state, told.join(', ')).toBe(now.state);
    expect([...view.steps].sort(), told.join(', ')).toEqual(legalSteps(now, by).map(nameOf).sort());
    expect(view.proposal !== null, told.join(', ')).toBe(now.open !== null);
    expect(view.settlement !== null).toBe(now.state === 'SETTLED');
  }
  return now.state;
}

it(`${SEQUENCES} random sequences of steps by two parties end where the state machine says`, async () => {
  const ends: Record<string, number> = {};
  let seed = 0;
  const player = async () => {
    while (seed < SEQUENCES) {
      const end = await play(++seed);
      ends[end] = (ends[end] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, player));
  expect(Object.keys(ends).sort()).toEqual(
    expect.arrayContaining(['ACTIVE', 'SETTLED', 'SUSPENDED', 'TERMINATED', 'TERMINATING', 'WITHDRAWN']),
  );
  // What one of them says in ODRL is offered again as it is.
  const policies = await sides.PROVIDER.owner.query<{ agreements: { nodes: { odrl: string; summary: string }[] } }>(
    '{ agreements(first: 1) { nodes { odrl summary } } }',
  );
  const { odrl: document, summary } = policies.agreements.nodes[0]!;
  const again = await sides.PROVIDER.owner.mutate<{ agreement: { summary: string; state: string } }>(
    'importAgreement',
    { document },
    'agreement { summary state }',
  );
  expect(again.agreement).toEqual({ summary, state: 'OFFERED' });
  expect(await sides.CONSUMER.owner.refusal('importAgreement', { document })).toBe('INVALID_INPUT');
  const entries = await sides.PROVIDER.owner.query<{ auditEntries: { nodes: { kind: string }[] } }>(
    '{ auditEntries(first: 100) { nodes { kind } } }',
  );
  expect(entries.auditEntries.nodes.length).toBe(100);
}, 600_000);

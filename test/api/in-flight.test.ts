import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Api, startApi } from '../../src/api/server.js';
import { type App, openApp } from '../../src/app.js';
import { classifier } from '../domain/serving-support.js';
import { random } from '../ml/onnx-models.js';
import { rawRequest } from '../support/client.js';
import { PUBLIC_URL, until } from './cluster.js';
import { makeDevice, proofOf, type TestDevice } from './device-support.js';
import { CITY, makeOipWorld, type OipWorld, X } from './open-inference-world.js';

/*
 * Two replicas and both doors: what ends the right to an answer while the answer is being made, proofs of possession in any order at
 * either replica, and clocks that jump.
 */
let world: OipWorld;
let other: { readonly app: App; readonly api: Api };
let owner: pg.Client;
/** Of both replicas. */
let urls: readonly [string, string];
const DOORS = ['GRAPHQL', 'OPEN_INFERENCE'] as const;
type Door = (typeof DOORS)[number];

async function startTwo(settings: Parameters<typeof makeOipWorld>[0] = {}) {
  const made = await makeOipWorld({ publicUrl: PUBLIC_URL, ...settings });
  const app = await openApp({ ...made.api.app.config, port: 0 }, 'other', made.api.clock);
  return { made, second: { app, api: await startApi(app) } };
}

beforeAll(async () => {
  const { made, second } = await startTwo();
  [world, other] = [made, second];
  urls = [world.api.url, other.api.url];
  owner = new pg.Client(world.api.database.databaseUrl);
  await owner.connect();
});
afterAll(async () => {
  await owner.end();
  await other.api.close();
  await other.app.close();
});

const pathOf = (door: Door, endpointId = world.credit) =>
  door === 'GRAPHQL' ? '/graphql' : `/v2/models/${endpointId}/infer`;

interface Asked {
  readonly url: string;
  readonly door: Door;
  readonly key: string;
  readonly agreementId: string | null;
  readonly proof?: string;
  /** Otherwise the world's. */
  readonly endpointId?: string;
}

/** ANSWERED, or the code of the refusal. */
async function ask({ url, door, key, agreementId, proof, endpointId = world.credit }: Asked): Promise<string> {
  const query = `mutation ($input: PredictInput!) { predict(input: $input) { ... on Refusal { code } ... on PredictPayload { prediction { labels } } } }`;
  const columns = { x: X.data, city: CITY.data };
  const body =
    door === 'GRAPHQL'
      ? { query, variables: { input: { endpointId, agreementId, purpose: 'CREDIT', columns } } }
      : { parameters: { purpose: 'CREDIT', ...(agreementId && { agreement: agreementId }) }, inputs: [X, CITY] };
  const headers = {
    'content-type': 'application/json',
    authorization: `Bearer ${key}`,
    ...(proof !== undefined && { dpop: proof }),
  };
  const { text } = await rawRequest(url + pathOf(door, endpointId), { headers, body: JSON.stringify(body) });
  return /"code":"([A-Z_]+)"/.exec(text)?.[1] ?? 'ANSWERED';
}

/** The same at both replicas, through both doors. */
const everywhere = (make: (door: Door) => Omit<Asked, 'url' | 'door'>) =>
  Promise.all(urls.flatMap((url) => DOORS.map((door) => ask({ url, door, ...make(door) }))));

const prove = (device: TestDevice, key: string, door: Door, claims: Record<string, unknown> = {}) =>
  proofOf(device, { url: PUBLIC_URL + pathOf(door), key, at: world.api.clock.now() }, claims);

/** A device of the application, admitted under the agreement. */
async function admitted(applicationId: string, agreementId: string): Promise<{ id: string; device: TestDevice }> {
  const device = makeDevice();
  const { device: made } = await world.consumer.owner.mutate<{ device: { id: string } }>(
    'registerDevice',
    { applicationId, name: 'Phone', publicKey: JSON.stringify(device.jwk) },
    'device { id }',
  );
  const input = { agreementId, deviceId: made.id };
  await world.consumer.owner.mutate('admitDevice', input, 'agreementDevice { deviceId }');
  return { id: made.id, device };
}

/**
 * Lets the work be done while both replicas have decided and inferred the requests, and before any of them is recorded: a flush is
 * under way that waits for the meter of another agreement. Returns the codes of the requests.
 */
async function underWay(requests: () => Promise<string[]>, work: () => Promise<unknown>): Promise<string[]> {
  const blocker = await world.agree(world.credit);
  const { key } = await world.consumer.application();
  const holder = new pg.Client(world.api.database.databaseUrl);
  await holder.connect();
  try {
    await holder.query('begin');
    await holder.query('select 1 from agreement_meter where agreement_id = $1 for update', [blocker]);
    const blocked = urls.map((url) => ask({ url, door: 'GRAPHQL', key, agreementId: blocker }));
    await expect
      .poll(async () => {
        const { rows } = await owner.query<{ count: number }>(
          `select count(*) from pg_stat_activity where usename = 'concordat_ledger' and datname = current_database() and wait_event_type = 'Lock'`,
        );
        return rows[0]!.count;
      })
      .toBe(2);
    const asked = requests();
    // They are refused in any case; so late a step as this finds them where it is meant to.
    await delay(400);
    await work();
    await holder.query('commit');
    expect(await Promise.all(blocked)).toEqual(['ANSWERED', 'ANSWERED']);
    return await asked;
  } finally {
    await holder.end();
    await world.provider.owner.mutate('terminateAgreement', { agreementId: blocker }, 'agreement { state }');
  }
}

const step = (name: string, agreementId: string, by = world.provider) =>
  by.owner.mutate(name, { agreementId }, 'agreement { state }');
const FOUR = (code: string) => [code, code, code, code];

describe('a request under way is refused at either replica, through either door,', () => {
  it('when its device is revoked, and so is every later one', async () => {
    const agreementId = await world.agree(world.credit, { devices: { proof: 'REQUIRED', most: null } });
    const { id: applicationId, key } = await world.consumer.application();
    const { id, device } = await admitted(applicationId, agreementId);
    const request = (door: Door) => ({ key, agreementId, proof: prove(device, key, door) });
    await expect.poll(() => everywhere(request)).toEqual(FOUR('ANSWERED'));
    const codes = await underWay(
      () => everywhere(request),
      () => world.consumer.owner.mutate('revokeDevice', { deviceId: id }, 'device { id }'),
    );
    expect(codes).toEqual(FOUR('UNAUTHENTICATED'));
    // By the memory of the replica, or where the news are late by the ledger.
    for (const code of await everywhere(request)) expect(['DEVICE_UNKNOWN', 'UNAUTHENTICATED']).toContain(code);
  });

  it('when its key is revoked, and so is every later one', async () => {
    const agreementId = await world.agree(world.credit);
    const { keyId, key } = await world.consumer.application();
    const request = () => ({ key, agreementId });
    expect(await everywhere(request)).toEqual(FOUR('ANSWERED'));
    const codes = await underWay(
      () => everywhere(request),
      () => world.consumer.owner.mutate('revokeApiKey', { apiKeyId: keyId }, 'apiKey { id }'),
    );
    expect(codes).toEqual(FOUR('UNAUTHENTICATED'));
    expect(await everywhere(request)).toEqual(FOUR('UNAUTHENTICATED'));
  });

  it.each([
    ['suspended by the provider', () => world.provider, 'suspendAgreement'],
    ['suspended by the consumer', () => world.consumer, 'suspendAgreement'],
    ['terminated', () => world.provider, 'terminateAgreement'],
  ] as const)('when its agreement is %s', async (_, by, mutation) => {
    const agreementId = await world.agree(world.credit);
    const { key } = await world.consumer.application();
    const request = () => ({ key, agreementId });
    expect(await everywhere(request)).toEqual(FOUR('ANSWERED'));
    const codes = await underWay(
      () => everywhere(request),
      () => step(mutation, agreementId, by()),
    );
    expect(codes).toEqual(FOUR('AGREEMENT_NOT_IN_FORCE'));
    expect(await everywhere(request)).toEqual(FOUR('AGREEMENT_NOT_IN_FORCE'));
    if (mutation === 'terminateAgreement') return;
    await step('resumeAgreement', agreementId, by());
    expect(await everywhere(request)).toEqual(FOUR('ANSWERED'));
  });

  it('when its agreement expires, by the clock of the database', async () => {
    const now = Date.now();
    const period = { from: new Date(now - 60_000).toISOString(), until: new Date(now + 3_600_000).toISOString() };
    const agreementId = await world.agree(world.credit, { period });
    const { key } = await world.consumer.application();
    try {
      const codes = await underWay(
        () => everywhere(() => ({ key, agreementId })),
        () => setLedgerClock(`clock_timestamp() + interval '61 minutes'`),
      );
      expect(codes).toEqual(FOUR('AGREEMENT_NOT_IN_FORCE'));
    } finally {
      await setLedgerClock('clock_timestamp()');
    }
    expect(await everywhere(() => ({ key, agreementId }))).toEqual(FOUR('ANSWERED'));
  });
});

async function setLedgerClock(now: string): Promise<void> {
  await owner.query(`create or replace function ledger_now() returns timestamptz language sql volatile return ${now}`);
}

describe('a request that names no agreement', () => {
  it('is answered under the next one, where the end of the first is not known yet', async () => {
    const { key } = await world.consumer.application();
    const endpointId = await world.createEndpoint('Alone', classifier());
    const [first, second] = [await world.agree(endpointId), await world.agree(endpointId)];
    const request = () => ({ key, endpointId, agreementId: null });
    const listeners = async () => {
      const { rows } = await owner.query<{ pid: number }>(
        `select pid from pg_stat_activity where datname = current_database() and application_name = 'concordat_listen'`,
      );
      return rows.map(({ pid }) => pid);
    };
    expect(await everywhere(request)).toEqual(FOUR('ANSWERED'));
    // The servers of their connections are held up: the news of the end are late, by less than what makes a replica refuse.
    const held = await listeners();
    for (const pid of held) process.kill(pid, 'SIGSTOP');
    try {
      await step('terminateAgreement', first);
      // A machine that is busy may take so long that the replicas are out of touch.
      for (const code of await everywhere(request)) expect(['ANSWERED', 'UNAVAILABLE']).toContain(code);
    } finally {
      for (const pid of held) process.kill(pid, 'SIGCONT');
    }
    await until(async () => !(await everywhere(request)).includes('UNAVAILABLE'), 'the replicas are in touch again');
    expect(await everywhere(request)).toEqual(FOUR('ANSWERED'));
    await step('terminateAgreement', second);
    expect(await everywhere(request)).toEqual(FOUR('AGREEMENT_NOT_IN_FORCE'));
  });
});

describe('proofs of possession', () => {
  let key: string;
  let agreementId: string;
  let device: TestDevice;
  beforeAll(async () => {
    const [yesterday, tomorrow] = [-1, 1].map((days) => new Date(Date.now() + days * 86_400_000).toISOString());
    const period = { from: yesterday, until: tomorrow };
    agreementId = await world.agree(world.credit, { period, devices: { proof: 'REQUIRED', most: null } });
    const application = await world.consumer.application();
    key = application.key;
    ({ device } = await admitted(application.id, agreementId));
    const request = (door: Door) => ({ key, agreementId, proof: prove(device, key, door) });
    await until(async () => (await everywhere(request)).every((code) => code === 'ANSWERED'), 'the device is known');
  });
  const send = (at: number, door: Door, proof: string) => ask({ url: urls[at % 2]!, door, key, agreementId, proof });
  const now = () => Math.floor(world.api.clock.now().getTime() / 1000);

  it.each(DOORS)('are answered by exactly one of two replicas that get the same (%s)', async (door) => {
    for (let round = 0; round < 15; round++) {
      const proof = prove(device, key, door);
      const codes = await Promise.all([0, 1].map((at) => send(at + round, door, proof)));
      expect(codes.sort()).toEqual(['ANSWERED', 'PROOF_REPLAYED']);
    }
  });

  it('may come in any order within their minute, each once, at whichever replica', async () => {
    const next = random(5);
    // Of the device's clock: a little ahead of ours is as good as a minute behind.
    const ages = [-4, 0, 1, 7, 20, 33, 48, 55];
    const made = ages.flatMap((age) =>
      DOORS.map((door) => ({ door, proof: prove(device, key, door, { iat: now() - age }) })),
    );
    const shuffled = made.map((one) => ({ one, place: next() })).sort((a, b) => a.place - b.place);
    const codes = await Promise.all(shuffled.map(({ one }, at) => send(at, one.door, one.proof)));
    expect(codes).toEqual(made.map(() => 'ANSWERED'));
    for (const [at, { one }] of shuffled.entries())
      for (const replica of [at, at + 1]) expect(await send(replica, one.door, one.proof)).toBe('PROOF_REPLAYED');
    for (const age of [-30, 90])
      expect(await send(age, 'GRAPHQL', prove(device, key, 'GRAPHQL', { iat: now() - age }))).toBe('PROOF_INVALID');
  });

  it('stay used when clocks jump, of the replicas or of the database', async () => {
    const proof = prove(device, key, 'OPEN_INFERENCE');
    expect(await send(0, 'OPEN_INFERENCE', proof)).toBe('ANSWERED');
    for (const minutes of [30, -30]) {
      world.api.clock.forward(minutes * 60_000);
      // What was made by the right time is too old, or to come.
      expect(await send(1, 'OPEN_INFERENCE', proof)).toBe('PROOF_INVALID');
      const old = prove(device, key, 'OPEN_INFERENCE', { iat: Math.floor(Date.now() / 1000) });
      expect(await send(0, 'OPEN_INFERENCE', old)).toBe('PROOF_INVALID');
      world.api.clock.forward(-minutes * 60_000);
      expect(await send(1, 'OPEN_INFERENCE', proof)).toBe('PROOF_REPLAYED');
    }
    try {
      for (const minutes of [30, -30]) {
        await setLedgerClock(`clock_timestamp() + interval '${minutes} minutes'`);
        for (const at of [0, 1]) expect(await send(at, 'OPEN_INFERENCE', proof)).toBe('PROOF_REPLAYED');
      }
    } finally {
      await setLedgerClock('clock_timestamp()');
    }
    expect(await send(0, 'OPEN_INFERENCE', prove(device, key, 'OPEN_INFERENCE'))).toBe('ANSWERED');
  });
});

it('a nonce of one replica is good at the other, the one before for a while, an older one nowhere', async () => {
  const { made, second } = await startTwo({ dpopNonce: true });
  const before = { world, urls };
  try {
    world = made;
    urls = [made.api.url, second.api.url];
    // From the beginning of a nonce's time on, which the test does not outlast.
    made.api.clock.forward(120_000 - (made.api.clock.now().getTime() % 120_000));
    const key = made.caller.token!;
    const agreementId = await made.agree(made.credit, { devices: { proof: 'REQUIRED', most: null } });
    const { device } = await admitted(made.callerApplicationId, agreementId);
    const nonceOf = async (url: string) => {
      const headers = { authorization: `Bearer ${key}`, dpop: prove(device, key, 'OPEN_INFERENCE') };
      const answer = await rawRequest(url + pathOf('OPEN_INFERENCE'), { headers, body: '{}' });
      return answer.headers['dpop-nonce'] as string;
    };
    const send = (url: string, nonce: string) =>
      ask({ url, door: 'GRAPHQL', key, agreementId, proof: prove(device, key, 'GRAPHQL', { nonce }) });
    const both = (nonce: string) => Promise.all(urls.map((url) => send(url, nonce)));
    const first = await nonceOf(urls[0]);
    expect(await nonceOf(urls[1])).toBe(first);
    await expect.poll(() => both(first)).toEqual(['ANSWERED', 'ANSWERED']);
    made.api.clock.forward(120_000);
    const next = await nonceOf(urls[1]);
    expect(next).not.toBe(first);
    // In any order.
    expect(await both(next)).toEqual(['ANSWERED', 'ANSWERED']);
    expect(await both(first)).toEqual(['ANSWERED', 'ANSWERED']);
    made.api.clock.forward(120_000);
    expect(await both(first)).toEqual(['PROOF_NONCE', 'PROOF_NONCE']);
    expect(await both(next)).toEqual(['ANSWERED', 'ANSWERED']);
    // A clock that is set back does not make a nonce of the future out of the next.
    made.api.clock.forward(-240_000);
    expect(await both(next)).toEqual(['PROOF_NONCE', 'PROOF_NONCE']);
    expect(await both(first)).toEqual(['ANSWERED', 'ANSWERED']);
  } finally {
    ({ world, urls } = before);
    await second.api.close();
    await second.app.close();
  }
});

describe('a clock that jumps', () => {
  it('opens no period that is over, and closes none that lasts by the clock of the database', async () => {
    const now = Date.now();
    const period = { from: new Date(now - 60_000).toISOString(), until: new Date(now + 3_600_000).toISOString() };
    const agreementId = await world.agree(world.credit, { period, rowsPerDay: 1000 });
    const { key } = await world.consumer.application();
    const request = () => ({ key, agreementId });
    expect(await everywhere(request)).toEqual(FOUR('ANSWERED'));
    // Of the replicas: ahead of the end, and before the beginning.
    for (const jump of [7_200_000, -7_200_000]) {
      world.api.clock.forward(jump);
      expect(await everywhere(request)).toEqual(FOUR('AGREEMENT_NOT_IN_FORCE'));
      world.api.clock.forward(-jump);
      expect(await everywhere(request)).toEqual(FOUR('ANSWERED'));
    }
    try {
      for (const jump of [`+ interval '2 hours'`, `- interval '2 hours'`]) {
        await setLedgerClock(`clock_timestamp() ${jump}`);
        expect(await everywhere(request)).toEqual(FOUR('AGREEMENT_NOT_IN_FORCE'));
      }
    } finally {
      await setLedgerClock('clock_timestamp()');
    }
    expect(await everywhere(request)).toEqual(FOUR('ANSWERED'));
  });
});

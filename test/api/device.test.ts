import { createHash, generateKeyPairSync, randomUUID } from 'node:crypto';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { startApi } from '../../src/api/server.js';
import { openApp } from '../../src/app.js';
import { rawRequest } from '../support/client.js';
import { makeDevice, proofOf, type TestDevice } from './device-support.js';
import { CITY, makeOipWorld, type OipWorld, X } from './open-inference-world.js';

let world: OipWorld;
let key: string;
let applicationId: string;
let agreementId: string;
/** Registered and admitted. */
let phone: TestDevice;
/** Registered, not admitted. */
let tablet: TestDevice;

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const seconds = () => Math.floor(world.api.clock.now().getTime() / 1000);
/** The public address, by which proofs are made; the server listens at 127.0.0.1. */
const publicUrl = () => `http://localhost:${new URL(world.api.url).port}`;
const inferPath = () => `/v2/models/${world.credit}/infer`;
const inferUrl = () => publicUrl() + inferPath();

const prove = (device: TestDevice, claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}) =>
  proofOf(device, { url: inferUrl(), key, at: world.api.clock.now() }, claims, header);

interface Asked {
  readonly proof?: string | string[];
  readonly agreement?: string;
  readonly path?: string;
  readonly authorization?: string;
}

async function infer({
  proof,
  agreement = agreementId,
  path = inferPath(),
  authorization = `Bearer ${key}`,
}: Asked = {}) {
  const body = JSON.stringify({ parameters: { purpose: 'CREDIT', agreement }, inputs: [X, CITY] });
  const headers = { authorization, ...(proof !== undefined && { dpop: proof }) };
  const { status, headers: answered, text } = await rawRequest(world.api.url + path, { headers, body });
  const { code = 'answered', error } = JSON.parse(text) as { code?: string; error?: string };
  return { status, code, error, headers: answered };
}

const register = (device: TestDevice, name = 'A device') =>
  world.consumer.owner
    .mutate<{
      device: { id: string; thumbprint: string };
    }>('registerDevice', { applicationId, name, publicKey: JSON.stringify(device.jwk) }, 'device { id thumbprint }')
    .then((made) => made.device);
const admit = (deviceId: string, agreement = agreementId) =>
  world.consumer.owner.mutate(
    'admitDevice',
    { agreementId: agreement, deviceId },
    'agreementDevice { deviceId thumbprint }',
  );

let phoneId: string;
beforeAll(async () => {
  world = await makeOipWorld();
  ({ callerApplicationId: applicationId } = world);
  key = world.caller.token!;
  agreementId = await world.agree(world.credit, { devices: { proof: 'REQUIRED', most: 2 } });
  phone = makeDevice();
  tablet = makeDevice('EdDSA');
  phoneId = (await register(phone, 'Phone')).id;
  await register(tablet, 'Tablet');
  await admit(phoneId);
});

describe('a proof of possession', () => {
  it('opens an agreement that asks for it, and nothing else does', async () => {
    expect(await infer({ proof: prove(phone) })).toMatchObject({ status: 200, code: 'answered' });
    expect(await infer({ proof: prove(phone), authorization: `DPoP ${key}` })).toMatchObject({ status: 200 });
    const without = await infer();
    expect(without).toMatchObject({ status: 401, code: 'PROOF_REQUIRED' });
    expect(without.headers['www-authenticate']).toMatch(/^DPoP algs="ES256/);
    expect(await infer({ proof: prove(tablet) })).toMatchObject({ status: 403, code: 'DEVICE_NOT_ADMITTED' });
    expect(await infer({ proof: prove(makeDevice()) })).toMatchObject({ status: 401, code: 'DEVICE_UNKNOWN' });
    expect(await infer({ authorization: `DPoP ${key}` })).toMatchObject({ status: 401, code: 'PROOF_INVALID' });
  });

  it('counts at the other door as well', async () => {
    const graphql = async (proof?: string) => {
      const response = await fetch(`${world.api.url}/graphql`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          authorization: `Bearer ${key}`,
          ...(proof !== undefined && { dpop: proof }),
        },
        body: JSON.stringify({
          query: `mutation ($input: PredictInput!) { predict(input: $input) {
            ... on Refusal { code } ... on PredictPayload { prediction { labels } } } }`,
          variables: {
            input: {
              endpointId: world.credit,
              agreementId,
              purpose: 'CREDIT',
              columns: { x: X.data, city: CITY.data },
            },
          },
        }),
      });
      const { data, errors } = (await response.json()) as {
        data?: { predict: { code?: string } };
        errors?: { extensions: { code: string } }[];
      };
      return errors?.[0]?.extensions.code ?? data?.predict.code ?? 'answered';
    };
    const htu = `${publicUrl()}/graphql`;
    expect(await graphql(prove(phone, { htu }))).toBe('answered');
    expect(await graphql(prove(phone))).toBe('PROOF_INVALID');
    expect(await graphql()).toBe('PROOF_REQUIRED');
    const twice = prove(phone, { htu });
    expect([await graphql(twice), await graphql(twice)]).toEqual(['answered', 'PROOF_REPLAYED']);
  });

  it('counts once, whatever the order', async () => {
    const proofs = Array.from({ length: 8 }, (_, i) => prove(phone, { iat: seconds() - i }));
    for (const proof of proofs.reverse()) expect(await infer({ proof })).toMatchObject({ code: 'answered' });
    for (const proof of proofs) expect(await infer({ proof })).toMatchObject({ status: 401, code: 'PROOF_REPLAYED' });
    // The same at once: one of them.
    const proof = prove(phone);
    const codes = (await Promise.all(Array.from({ length: 12 }, () => infer({ proof })))).map(({ code }) => code);
    expect(codes.filter((code) => code === 'answered')).toHaveLength(1);
    expect(codes.filter((code) => code === 'PROOF_REPLAYED')).toHaveLength(11);
  });

  it('counts once for whatever it comes with, on every replica', async () => {
    const config = { ...world.api.app.config, publicUrl: publicUrl(), port: 0 };
    const app = await openApp(config, 'other', world.api.clock);
    const other = await startApi(app);
    const urls = [world.api.url, other.url];
    const graphql = `${publicUrl()}/graphql`;
    const send = async (at: number, path: string, { proof, body }: { proof: string; body?: object }) => {
      const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json', dpop: proof };
      const method = body ? 'POST' : 'GET';
      const answer = await rawRequest(urls[at]! + path, {
        method,
        headers,
        ...(body && { body: JSON.stringify(body) }),
      });
      if (answer.status === 401) expect(answer.headers['www-authenticate']).toMatch(/^DPoP error="invalid_dpop_proof"/);
      return /"code":"([A-Z_]+)"/.exec(answer.text)?.[1] ?? 'answered';
    };
    const read = { query: '{ __typename }' };
    const query = `mutation ($input: PredictInput!) { predict(input: $input) {
      ... on Refusal { code } ... on PredictPayload { prediction { labels } } } }`;
    const predict = (endpointId = world.credit) => {
      const input = { endpointId, agreementId, purpose: 'CREDIT', columns: { x: X.data, city: CITY.data } };
      return { query, variables: { input } };
    };
    const missing = `end_${'0'.repeat(32)}`;
    const ofGraphQL = () => prove(phone, { htu: graphql });
    const asking: [what: string, path: string, make: () => string, body: object | undefined, says: string][] = [
      [
        'metadata',
        `/v2/models/${world.credit}`,
        () => prove(phone, { htm: 'GET', htu: `${publicUrl()}/v2/models/${world.credit}` }),
        undefined,
        'answered',
      ],
      ['a query', '/graphql', ofGraphQL, read, 'answered'],
      ['a prediction', '/graphql', ofGraphQL, predict(), 'answered'],
      ['a prediction of a known form', '/graphql', ofGraphQL, predict(), 'answered'],
      ['a prediction of nothing', '/graphql', ofGraphQL, predict(missing), 'NOT_FOUND'],
      ['what is no request', '/graphql', ofGraphQL, [1], 'MALFORMED_REQUEST'],
      [
        'tensors for nothing',
        `/v2/models/${missing}/infer`,
        () => prove(phone, { htu: `${publicUrl()}/v2/models/${missing}/infer` }),
        { inputs: [X, CITY] },
        'NOT_FOUND',
      ],
      ['tensors that are none', inferPath(), () => prove(phone), {}, 'MALFORMED_REQUEST'],
    ];
    try {
      for (const [what, path, make, body, says] of asking)
        for (const first of [0, 1]) {
          const asked = { proof: make(), ...(body && { body }) };
          expect(await send(first, path, asked), what).toBe(says);
          // To the same address, whatever else is asked.
          const again = path === '/graphql' ? [predict(), read] : [body];
          for (const other of again)
            for (const at of [1 - first, first])
              expect(await send(at, path, { proof: asked.proof, ...(other && { body: other }) }), what).toBe(
                'PROOF_REPLAYED',
              );
        }
      const proof = ofGraphQL();
      const all = Array.from({ length: 12 }, (_, i) =>
        send(i % 2, '/graphql', { proof, body: i % 3 ? read : predict() }),
      );
      const codes = await Promise.all(all);
      expect(codes.filter((code) => code === 'answered')).toHaveLength(1);
      expect(codes.filter((code) => code === 'PROOF_REPLAYED')).toHaveLength(11);
    } finally {
      await other.close();
      await app.close();
    }
  });

  it('does not use up the proofs of other devices', async () => {
    const other = makeDevice();
    const { id } = await register(other);
    await admit(id);
    const jti = randomUUID();
    expect(await infer({ proof: prove(phone, { jti }) })).toMatchObject({ code: 'answered' });
    expect(await infer({ proof: prove(other, { jti }) })).toMatchObject({ code: 'answered' });
    await world.consumer.owner.mutate('revokeDevice', { deviceId: id }, 'device { id }');
  });

  type Bad = () => string | string[];
  const part = (proof: string, at: number, change: (part: string) => string) =>
    proof
      .split('.')
      .map((one, i) => (i === at ? change(one) : one))
      .join('.');
  it.each<[what: string, Bad]>([
    ['another method', () => prove(phone, { htm: 'GET' })],
    ['another address', () => prove(phone, { htu: `${publicUrl()}/v2/models/${world.price}/infer` })],
    ['another host', () => prove(phone, { htu: inferUrl().replace('localhost', 'elsewhere.test') })],
    ['an address with a name in it', () => prove(phone, { htu: inferUrl().replace('//', '//user@') })],
    ['an address that is none', () => prove(phone, { htu: 'infer' })],
    ['another key of the API', () => prove(phone, { ath: createHash('sha256').update('ck_').digest('base64url') })],
    ['no hash of the key', () => prove(phone, { ath: undefined })],
    ['no id', () => prove(phone, { jti: undefined })],
    ['an id that is none', () => prove(phone, { jti: 7 })],
    ['an endless id', () => prove(phone, { jti: 'x'.repeat(201) })],
    ['no time', () => prove(phone, { iat: undefined })],
    ['a time that is none', () => prove(phone, { iat: 'now' })],
    ['a time long ago', () => prove(phone, { iat: seconds() - 66 })],
    ['a time to come', () => prove(phone, { iat: seconds() + 30 })],
    ['an end that has passed', () => prove(phone, { exp: seconds() - 30 })],
    ['another type', () => prove(phone, {}, { typ: 'JWT' })],
    ['no algorithm', () => part(prove(phone, {}, { alg: 'none' }), 2, () => '')],
    ['the algorithm none, signed', () => prove(phone, {}, { alg: 'none' })],
    ['an algorithm with a secret', () => prove(phone, {}, { alg: 'HS256' })],
    ['an algorithm of other keys', () => prove(phone, {}, { alg: 'EdDSA' })],
    ['no key', () => prove(phone, {}, { jwk: undefined })],
    ['a key that is none', () => prove(phone, {}, { jwk: { kty: 'EC', crv: 'P-256' } })],
    ['a private key', () => prove(phone, {}, { jwk: phone.privateKey.export({ format: 'jwk' }) })],
    ['a secret key', () => prove(phone, {}, { jwk: { kty: 'oct', k: 'c2VjcmV0' }, alg: 'HS256' })],
    ['an extension that nobody knows', () => prove(phone, {}, { crit: ['x'], x: 1 })],
    ['the signature of another', () => prove({ ...phone, privateKey: makeDevice().privateKey })],
    ['a signature that was cut', () => part(prove(phone), 2, (one) => one.slice(0, -4))],
    ['claims that were changed', () => part(prove(phone), 1, () => encode({ jti: '1' }))],
    ['claims that are no JSON', () => part(prove(phone), 1, () => 'AAAA')],
    ['two proofs', () => [prove(phone), prove(phone)]],
    ['no proof', () => 'proof'],
    ['an endless proof', () => prove(phone, { pad: 'x'.repeat(5000) })],
  ])('with %s is none', async (_what, make) => {
    const answer = await infer({ proof: make() });
    expect(answer).toMatchObject({ status: 401, code: 'PROOF_INVALID' });
    expect(answer.headers['www-authenticate']).toMatch(/^DPoP error="invalid_dpop_proof"/);
  });

  it('names the address as others write it', async () => {
    const { port } = new URL(world.api.url);
    const htu = `HTTP://LocalHost:${port}/v2/models/${world.credit}/infer?a=1#b`;
    expect(await infer({ proof: prove(phone, { htu }) })).toMatchObject({ code: 'answered' });
    expect(await infer({ proof: prove(phone), path: `${inferPath()}?trace=1` })).toMatchObject({ code: 'answered' });
  });

  it('goes with a key of the device’s own application', async () => {
    const other = await world.consumer.application();
    const ath = createHash('sha256').update(other.key).digest('base64url');
    const authorization = `Bearer ${other.key}`;
    expect(await infer({ proof: prove(phone, { ath }), authorization })).toMatchObject({ code: 'DEVICE_UNKNOWN' });
    const session = world.consumer.owner.token!;
    expect(await infer({ proof: prove(phone), authorization: `Bearer ${session}` })).toMatchObject({
      code: 'PROOF_INVALID',
    });
  });

  it('is asked for only by some agreements', async () => {
    const optional = await world.agree(world.credit, { devices: { proof: 'OPTIONAL', most: null } });
    const none = await world.agree(world.credit);
    expect(await infer({ agreement: optional })).toMatchObject({ code: 'answered' });
    expect(await infer({ agreement: optional, proof: prove(phone) })).toMatchObject({ code: 'DEVICE_NOT_ADMITTED' });
    await admit(phoneId, optional);
    const admitted = async () => (await infer({ agreement: optional, proof: prove(phone) })).code;
    await expect.poll(admitted).toBe('answered');
    expect(await infer({ agreement: none })).toMatchObject({ code: 'answered' });
    expect(await infer({ agreement: none, proof: prove(tablet) })).toMatchObject({ code: 'answered' });
    expect(await infer({ agreement: none, proof: prove(makeDevice()) })).toMatchObject({ code: 'DEVICE_UNKNOWN' });
  });
});

describe('a device', () => {
  it('works until it is dismissed or revoked', async () => {
    const device = makeDevice('EdDSA');
    const { id } = await register(device);
    await admit(id);
    expect(await infer({ proof: prove(device) })).toMatchObject({ code: 'answered' });
    const input = { agreementId, deviceId: id };
    await world.consumer.owner.mutate('dismissDevice', input, 'deviceId');
    await expect.poll(async () => (await infer({ proof: prove(device) })).code).toBe('DEVICE_NOT_ADMITTED');
    expect(await world.consumer.owner.refusal('dismissDevice', input)).toBe('NOT_FOUND');
    await admit(id);
    await expect.poll(async () => (await infer({ proof: prove(device) })).code).toBe('answered');
    await world.consumer.owner.mutate('revokeDevice', { deviceId: id }, 'device { revokedAt }');
    await expect.poll(async () => (await infer({ proof: prove(device) })).code).toBe('DEVICE_UNKNOWN');
    expect(await world.consumer.owner.refusal('admitDevice', input)).toBe('CONFLICT');
    const again = { applicationId, name: 'Again', publicKey: JSON.stringify(device.jwk) };
    expect(await world.consumer.owner.refusal('registerDevice', again)).toBe('CONFLICT');
  });

  it('is one of as many as the agreement admits, and a revoked one makes room', async () => {
    const made = await Promise.all([register(makeDevice()), register(makeDevice()), register(makeDevice())]);
    const outcomes = await Promise.allSettled(made.map(({ id }) => admit(id)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const input = { agreementId, deviceId: made[outcomes.findIndex(({ status }) => status === 'rejected')]!.id };
    expect(await world.consumer.owner.refusal('admitDevice', input)).toBe('LIMIT_REACHED');
    const taken = made[outcomes.findIndex(({ status }) => status === 'fulfilled')]!;
    await world.consumer.owner.mutate('revokeDevice', { deviceId: taken.id }, 'device { id }');
    await admit(input.deviceId);
    // Twice is once.
    await admit(input.deviceId);
  });

  it('is known to the provider by its thumbprint and by how many there are', async () => {
    const query = `query ($id: ID!) { agreementDeviceCount(agreementId: $id)
      agreementDevices(agreementId: $id) { edges { cursor } nodes { deviceId thumbprint } } }`;
    interface Devices {
      agreementDeviceCount: number;
      agreementDevices: { edges: { cursor: string }[]; nodes: { deviceId: string | null; thumbprint: string }[] };
    }
    const theirs = await world.provider.owner.query<Devices>(query, { id: agreementId });
    const ours = await world.consumer.owner.query<Devices>(query, { id: agreementId });
    expect(theirs.agreementDeviceCount).toBe(2);
    expect(JSON.stringify(theirs)).not.toContain('dev_');
    expect(theirs.agreementDevices.nodes.map((one) => one.thumbprint)).toEqual(
      ours.agreementDevices.nodes.map((one) => one.thumbprint),
    );
    for (const { cursor } of theirs.agreementDevices.edges)
      expect(Buffer.from(cursor, 'base64url').toString()).not.toContain('dev_');
    expect(ours.agreementDevices.nodes.map((one) => one.deviceId)).toContain(phoneId);
    const { errors } = await world.provider.owner.send(`query ($id: ID!) { device(id: $id) { name } }`, {
      id: phoneId,
    });
    expect(errors[0]!.extensions['code']).toBe('NOT_FOUND');
    expect(await world.provider.owner.refusal('admitDevice', { agreementId, deviceId: phoneId })).toBe('NOT_FOUND');
    const stranger = await world.api.tenant();
    const strange = await stranger.owner.send(query, { id: agreementId });
    expect(strange.errors[0]!.extensions['code']).toBe('NOT_FOUND');
  });

  it('is registered with a public key, and with nothing else', async () => {
    const refusal = (publicKey: string) =>
      world.consumer.owner.refusal('registerDevice', { applicationId, name: 'A device', publicKey });
    const { privateKey, jwk } = makeDevice();
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' });
    for (const bad of ['', '{', 'null', '[]', '"key"', JSON.stringify(rsa), JSON.stringify({ kty: 'oct', k: 'AAAA' })])
      expect(await refusal(bad), bad).toBe('INVALID_INPUT');
    expect(await refusal(JSON.stringify(privateKey.export({ format: 'jwk' })))).toBe('INVALID_INPUT');
    expect(await refusal(JSON.stringify({ ...jwk, x: jwk['y'] }))).toBe('INVALID_INPUT');
    expect(await refusal(JSON.stringify(phone.jwk))).toBe('CONFLICT');
    // A public key belongs to whoever shows it: another tenant may register the same, and learns nothing.
    const stranger = await world.api.tenant();
    const { id } = await stranger.application();
    const input = { applicationId: id, name: 'Copy', publicKey: JSON.stringify(phone.jwk) };
    await stranger.owner.mutate('registerDevice', input, 'device { id }');
    expect(await infer({ proof: prove(phone) })).toMatchObject({ code: 'answered' });
  });
});

describe('where a nonce is asked for', () => {
  it('a proof must carry the one that was given, for as long as it is fresh', async () => {
    const before = { world, key, applicationId, agreementId };
    try {
      world = await makeOipWorld({ dpopNonce: true });
      key = world.caller.token!;
      applicationId = world.callerApplicationId;
      agreementId = await world.agree(world.credit, { devices: { proof: 'REQUIRED', most: 1 } });
      const device = makeDevice();
      await admit((await register(device)).id);
      const refused = await infer({ proof: prove(device) });
      expect(refused).toMatchObject({ status: 401, code: 'PROOF_NONCE' });
      expect(refused.headers['www-authenticate']).toMatch(/^DPoP error="use_dpop_nonce"/);
      const nonce = refused.headers['dpop-nonce'];
      expect(await infer({ proof: prove(device, { nonce }) })).toMatchObject({ code: 'answered' });
      expect(await infer({ proof: prove(device, { nonce: 'made up' }) })).toMatchObject({ code: 'PROOF_NONCE' });
      expect(await infer({ proof: prove(device, { nonce: [nonce] }) })).toMatchObject({ code: 'PROOF_NONCE' });
      world.api.clock.forward(120_000);
      expect(await infer({ proof: prove(device, { nonce }) })).toMatchObject({ code: 'answered' });
      world.api.clock.forward(120_000);
      expect(await infer({ proof: prove(device, { nonce }) })).toMatchObject({ code: 'PROOF_NONCE' });
    } finally {
      ({ world, key, applicationId, agreementId } = before);
    }
  });
});

describe('the example', () => {
  it('asks as it says', async () => {
    const agreement = await world.agree(world.price, { devices: { proof: 'REQUIRED', most: null } });
    const home = `${process.env['TMPDIR'] ?? '/tmp'}/concordat-device-${randomUUID()}.json`;
    const env = { ...process.env, CONCORDAT_URL: publicUrl(), CONCORDAT_KEY: key, DEVICE_KEY: home };
    const run = (...args: string[]) =>
      promisify(execFile)(process.execPath, ['examples/devices/infer.mjs', ...args], { env, timeout: 20_000 });
    const { stdout } = await run();
    const input = { applicationId, name: 'Example', publicKey: stdout.trim() };
    const { device } = await world.consumer.owner.mutate<{ device: { id: string } }>(
      'registerDevice',
      input,
      'device { id }',
    );
    await admit(device.id, agreement);
    expect((await run(world.price, 'CREDIT', '1,2,1')).stdout).toContain('1210');
  });
});

import { beforeAll, describe, expect, it } from 'vitest';
import { regressor } from '../domain/serving-support.js';
import {
  DESCRIBED,
  expectSchema,
  oipClient,
  type OipAnswer,
  type OipClient,
  readTexts,
  writeTexts,
} from './open-inference-support.js';
import { CITY, CREDIT, makeOipWorld, NAME, type OipWorld, wide, X } from './open-inference-world.js';

let world: OipWorld;
let credit: string;
let version: string;
let owner: OipClient;
let caller: OipClient;
let agreementId: string;

beforeAll(async () => {
  world = await makeOipWorld();
  ({ credit, version, owner, caller } = world);
  agreementId = await world.agree(credit);
});

const output = (answer: OipAnswer, name: string) => answer.body.outputs.find((one) => one.name === name);

describe('the published description', () => {
  it('holds for every path that it has', async () => {
    expect(DESCRIBED).toHaveLength(6);
    for (const { path, method, schema } of DESCRIBED) {
      const address = path.replace('${MODEL_NAME}', credit).replace('${MODEL_VERSION}', version);
      const inputs = JSON.stringify({ inputs: [X, CITY] });
      const answer = method === 'get' ? await owner.get(address) : await owner.send(address, inputs);
      expect(answer.status, path).toBe(200);
      if (schema) expectSchema(schema, answer.body);
    }
    expect((await owner.get('/v2')).body).toEqual((await owner.get('/v2/')).body);
  });

  it('holds for models without a version, and for errors', async () => {
    for (const [model, name] of [
      [credit, credit],
      [encodeURIComponent(NAME), NAME],
      [`${credit}/versions/${version}`, credit],
    ]) {
      const metadata = await owner.get(`/v2/models/${model}`);
      expectSchema('metadata_model_response', metadata.body);
      expect(metadata.body).toMatchObject({
        name,
        versions: [version],
        platform: 'onnx_onnxv1',
        inputs: [
          { name: 'x', datatype: 'FP32', shape: [-1, 1] },
          { name: 'city', datatype: 'BYTES', shape: [-1, 1] },
        ],
        outputs: [
          { name: 'label', datatype: 'BYTES', shape: [-1] },
          { name: 'scores', datatype: 'FP64', shape: [-1, 2] },
        ],
        properties: { task: 'binary', classes: '["no","yes"]' },
      });
      expect((await owner.get(`/v2/models/${model}/ready`)).body).toEqual({ name, ready: true });
    }
    for (const path of ['/v2/models/nothing', `/v2/models/end_${'0'.repeat(32)}`, '/v2/nowhere', '/v2/models/a/b']) {
      const answer = await owner.get(path);
      expect(answer.status).toBe(404);
      expectSchema('metadata_model_error_response', answer.body);
      expect(answer.body.error).toMatch(/^NOT_FOUND: /);
    }
    expect((await owner.get(`/v2/models/${credit}/infer`)).status).toBe(405);
    const refused = await caller.infer(credit, { inputs: [X, CITY] });
    expectSchema('inference_error_response', refused.body);
    expect(refused).toMatchObject({
      status: 403,
      body: {
        error: expect.stringMatching(/^PURPOSE_NOT_ALLOWED: .*CREDIT.*Declare/) as string,
        code: 'PURPOSE_NOT_ALLOWED',
        field: 'parameters.purpose',
        requestId: expect.stringMatching(/^req_/) as string,
      },
    });
  });
});

describe('an inference', () => {
  it('answers the owner in full, by id and by name, with the id of the request', async () => {
    for (const model of [credit, NAME]) {
      const answer = await owner.infer(model, { id: '42"', inputs: [CITY, X] });
      expect(answer.status).toBe(200);
      expectSchema('inference_response', answer.body);
      expect(answer.headers['content-type']).toBe('application/json');
      expect(answer.body).toMatchObject({ model_name: model, model_version: version, id: '42"' });
      expect(output(answer, 'label')).toEqual({ name: 'label', datatype: 'BYTES', shape: [2], data: ['no', 'yes'] });
      const scores = output(answer, 'scores')!;
      expect(scores).toMatchObject({ datatype: 'FP64', shape: [2, 2] });
      expect(scores.data![3]).toBeCloseTo(1 / (1 + Math.exp(-2.5)), 6);
      expect(output(answer, 'value')).toBeUndefined();
    }
  });

  it('tells a consumer what was agreed, with what proves it', async () => {
    const answer = await caller.infer(credit, { ...CREDIT, inputs: [X, CITY] });
    expect(output(answer, 'scores')!.data).toEqual([0.77, 0.23, 0.08, 0.92]);
    expect(answer.body.parameters).toMatchObject({ agreement: agreementId });
    expect(answer.body.parameters['prediction_id']).toMatch(/^prd_/);
    for (const value of Object.values(answer.body.parameters)) expect(['string', 'number']).toContain(typeof value);
    const named = { parameters: { purpose: 'CREDIT', agreement: agreementId }, inputs: [X, CITY] };
    expect((await caller.infer(credit, named)).status).toBe(200);
  });

  it('takes and gives bytes', async () => {
    const inputs = [
      { name: 'x', datatype: 'FP32', shape: [2, 1], parameters: { binary_data_size: 8 } },
      { ...CITY, data: undefined, parameters: { binary_data_size: 17 } },
    ];
    const tail = Buffer.concat([Buffer.from(Float32Array.of(-1.5, NaN).buffer), writeTexts(['Paris', 'Lyon'])]);
    const asJson = await owner.infer(credit, { inputs }, tail);
    expect(asJson.status, asJson.body.error).toBe(200);
    const all = await owner.infer(credit, { inputs, parameters: { binary_data_output: true } }, tail);
    expect(all.headers['content-type']).toBe('application/octet-stream');
    const [label, scores] = all.body.outputs;
    expect([label!.data, scores!.data]).toEqual([undefined, undefined]);
    expect(scores!.parameters).toEqual({ binary_data_size: 32 });
    const split = Number(label!.parameters!['binary_data_size']);
    expect(readTexts(all.bytes.subarray(0, split))).toEqual(output(asJson, 'label')!.data);
    const numbers = new Float64Array(new Uint8Array(all.bytes.subarray(split)).buffer);
    expect([...numbers]).toEqual(output(asJson, 'scores')!.data);
    const outputs = [{ name: 'scores', parameters: { binary_data: true } }];
    const some = await owner.infer(credit, { inputs, outputs }, tail);
    expect(some.body.outputs.map(({ name }) => name)).toEqual(['scores']);
    expect(some.bytes.equals(all.bytes.subarray(split))).toBe(true);
  });

  it('takes one matrix for a model of numbers', async () => {
    const metadata = await owner.get('/v2/models/price');
    expect(metadata.body['properties']).toEqual({
      task: 'regression',
      matrix_input: 'input',
      matrix_shape: '[-1,3]',
    });
    const matrix = { name: 'input', datatype: 'FP32', shape: [2, 3] };
    const cells = [1, 2, 1, 3, 4, 0];
    const expected = { name: 'value', datatype: 'FP64', shape: [2], data: [1210, 430] };
    const flat = await owner.infer('price', { inputs: [{ ...matrix, data: cells }] });
    expect(flat.body.outputs).toEqual([expected]);
    const tail = Buffer.from(Float32Array.from(cells).buffer);
    const sized = { ...matrix, parameters: { binary_data_size: tail.length } };
    expect((await owner.infer('price', { inputs: [sized] }, tail)).body.outputs).toEqual([expected]);
    const columns = ['a', 'b', 'flag'].map((name, k) => ({
      name,
      datatype: name === 'flag' ? 'BOOL' : 'INT64',
      shape: [2],
      data: [cells[k], cells[k + 3]].map((cell) => (name === 'flag' ? cell === 1 : cell)),
    }));
    expect((await owner.infer('price', { inputs: columns })).body.outputs).toEqual([expected]);
  });

  it('answers the version that is asked for, or not at all', async () => {
    const body = JSON.stringify({ inputs: [X, CITY] });
    expect((await owner.send(`/v2/models/${credit}/versions/${version}/infer`, body)).status).toBe(200);
    const other = await owner.send(`/v2/models/${credit}/versions/mdv_${'0'.repeat(32)}/infer`, body);
    expect(other).toMatchObject({ status: 404, body: { code: 'NOT_FOUND' } });
    expect((await owner.get(`/v2/models/${credit}/versions/1`)).status).toBe(404);
  });

  it('forgets the name of an endpoint that is deleted', async () => {
    const first = await world.createEndpoint('passing', regressor());
    const inputs = [{ ...X, name: 'x' }];
    expect((await owner.infer('passing', { inputs })).status).toBe(200);
    await world.provider.owner.mutate('deleteEndpoint', { endpointId: first }, 'endpointId');
    await expect.poll(async () => (await owner.infer('passing', { inputs })).status).toBe(404);
    await world.createEndpoint('passing', wide());
    const again = await owner.infer('passing', { inputs: [{ ...X, name: 'input', shape: [1, 3], data: [1, 1, 1] }] });
    expect(output(again, 'value')!.data).toEqual([1110]);
  });
});

describe('refused', () => {
  it('strangers, consumers by the provider’s name, and those without a key that may', async () => {
    const inputs = [X, CITY];
    const stranger = await world.api.tenant('Stranger');
    const strange = oipClient(world.api.url, (await stranger.application()).key);
    const missing = { status: 404, body: { code: 'NOT_FOUND' } };
    expect(await strange.infer(credit, { ...CREDIT, inputs })).toMatchObject(missing);
    expect(await strange.get(`/v2/models/${credit}`)).toMatchObject(missing);
    expect(await caller.infer(NAME, { ...CREDIT, inputs })).toMatchObject(missing);
    const nobody = await caller.as(null).infer(credit, { inputs });
    expect(nobody).toMatchObject({ status: 401, body: { code: 'UNAUTHENTICATED' } });
    expect(nobody.headers['www-authenticate']).toBe('Bearer');
    expect(await caller.as(null).get(`/v2/models/${credit}`)).toMatchObject({ status: 401 });
    expect(await caller.as(`ck_${'A'.repeat(43)}`).infer(credit, { inputs })).toMatchObject({ status: 401 });
    const reader = oipClient(world.api.url, (await world.consumer.application(['ENDPOINT_READ'])).key);
    expect(await reader.infer(credit, { inputs })).toMatchObject({ status: 403, body: { code: 'FORBIDDEN' } });
    expect(await reader.get(`/v2/models/${credit}/ready`)).toMatchObject({ status: 403 });
  });

  it('a key that has been revoked', async () => {
    const { key, keyId } = await world.consumer.application();
    const client = caller.as(key);
    expect((await client.infer(credit, { ...CREDIT, inputs: [X, CITY] })).status).toBe(200);
    await world.consumer.owner.mutate('revokeApiKey', { apiKeyId: keyId }, 'apiKey { id }');
    expect((await client.infer(credit, { ...CREDIT, inputs: [X, CITY] })).status).toBe(401);
  });

  const json = (change: Record<string, unknown>) => JSON.stringify({ inputs: [X, CITY], ...change });
  const binary = (size: unknown) => ({
    name: 'x',
    datatype: 'FP32',
    shape: [2],
    parameters: { binary_data_size: size },
  });
  const LENGTH = 'inference-header-content-length';
  type Body = readonly [body: string | Buffer, status: number, code: string, headers?: Record<string, string>];
  it.each<[what: string, ...Body]>([
    ['nothing', '', 400, 'MALFORMED_REQUEST'],
    ['no JSON', '{"inputs": [', 400, 'MALFORMED_REQUEST'],
    [
      'NaN, which is no JSON',
      '{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[NaN]}]}',
      400,
      'MALFORMED_REQUEST',
    ],
    ['no UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), 400, 'MALFORMED_REQUEST'],
    ['a list', '[]', 400, 'MALFORMED_REQUEST'],
    ['no inputs', '{}', 400, 'MALFORMED_REQUEST'],
    ['empty inputs', json({ inputs: [] }), 400, 'MALFORMED_REQUEST'],
    ['inputs that are null', json({ inputs: [null] }), 400, 'MALFORMED_REQUEST'],
    ['a shape that is none', json({ inputs: [{ ...X, shape: [-1] }] }), 400, 'MALFORMED_REQUEST'],
    ['a shape of fractions', json({ inputs: [{ ...X, shape: [1.5] }] }), 400, 'MALFORMED_REQUEST'],
    ['a huge shape', json({ inputs: [{ ...X, shape: [2 ** 31 - 1] }] }), 413, 'TOO_MANY_ROWS'],
    ['a shape beyond all', json({ inputs: [{ ...X, shape: [2 ** 31] }] }), 400, 'MALFORMED_REQUEST'],
    ['a huge width', json({ inputs: [{ ...X, name: 'input', shape: [1, 2 ** 31 - 1] }] }), 400, 'INPUT_INVALID'],
    ['no rows', json({ inputs: [{ ...X, shape: [0], data: [] }] }), 400, 'INPUT_INVALID'],
    ['a scalar', json({ inputs: [{ ...X, shape: [], data: [1] }] }), 400, 'MALFORMED_REQUEST'],
    ['an unknown datatype', json({ inputs: [{ ...X, datatype: 'FP8' }, CITY] }), 400, 'INPUT_INVALID'],
    ['a missing column', json({ inputs: [X] }), 400, 'INPUT_INVALID'],
    ['another column', json({ inputs: [X, CITY, { ...X, name: 'y' }] }), 400, 'INPUT_INVALID'],
    ['too little data', json({ inputs: [{ ...X, data: [1] }, CITY] }), 400, 'INPUT_INVALID'],
    ['a parameter that nothing heeds', json({ parameters: { agrement: 'agr_1' } }), 400, 'INVALID_INPUT'],
    ['an agreement that is none', json({ parameters: { agreement: 7 } }), 400, 'INVALID_INPUT'],
    ['an output that is none', json({ outputs: [{ name: 'secrets' }] }), 400, 'INVALID_INPUT'],
    ['an id that is none', json({ id: 42 }), 400, 'MALFORMED_REQUEST'],
    ['compression', json({}), 415, 'UNSUPPORTED_MEDIA_TYPE', { 'content-encoding': 'gzip' }],
    [
      'shared memory',
      json({ inputs: [{ ...X, parameters: { shared_memory_region: 'a' } }] }),
      400,
      'MALFORMED_REQUEST',
    ],
    ['data and bytes', json({ inputs: [{ ...X, parameters: { binary_data_size: 0 } }] }), 400, 'MALFORMED_REQUEST'],
    ['bytes that are not there', json({ inputs: [binary(8), CITY] }), 400, 'MALFORMED_REQUEST'],
    ['a negative size', json({ inputs: [binary(-8), CITY] }), 400, 'MALFORMED_REQUEST'],
    ['a huge size', json({ inputs: [binary(2 ** 53 - 1), CITY] }), 400, 'MALFORMED_REQUEST'],
    ['a size beyond all', json({ inputs: [binary(1e300), CITY] }), 400, 'MALFORMED_REQUEST'],
    ['a size that is text', json({ inputs: [binary('8'), CITY] }), 400, 'MALFORMED_REQUEST'],
    ['a header longer than the body', json({}), 400, 'MALFORMED_REQUEST', { [LENGTH]: '100000' }],
    ['a header that is no length', json({}), 400, 'MALFORMED_REQUEST', { [LENGTH]: '-1' }],
    ['a header of hexadecimal', json({}), 400, 'MALFORMED_REQUEST', { [LENGTH]: '0x10' }],
    ['a header that cuts the JSON', json({}), 400, 'MALFORMED_REQUEST', { [LENGTH]: '10' }],
    ['a header of nothing', json({}), 400, 'MALFORMED_REQUEST', { [LENGTH]: '0' }],
    ['bytes that belong to nothing', json({}) + 'xy', 400, 'MALFORMED_REQUEST', { [LENGTH]: String(json({}).length) }],
    ['too large', Buffer.alloc(9 * 2 ** 20, 0x20), 413, 'BODY_TOO_LARGE'],
  ])('%s', async (_what, ...[body, status, code, headers]) => {
    const answer = await owner.send(`/v2/models/${credit}/infer`, body, headers);
    expect({ status: answer.status, code: answer.body.code }).toEqual({ status, code });
    expectSchema('inference_error_response', answer.body);
    expect(answer.body.error).toMatch(new RegExp(`^${code}: `));
    expect(answer.body.remedy).not.toBe('');
  });

  it('names the tensor and the row at fault, not the value', async () => {
    const answer = await owner.infer(credit, { inputs: [{ ...X, data: [1, '4711.0815'] }, CITY] });
    expect(answer.body).toMatchObject({ code: 'INPUT_INVALID', field: 'inputs.x[1]' });
    expect(JSON.stringify(answer.body)).not.toContain('4711');
  });
});

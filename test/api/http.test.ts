import { serverAudits } from 'graphql-http';
import { connect } from 'node:net';
import { beforeAll, describe, expect, it } from 'vitest';
import { PASSWORD, startTestApi, type TestApi, type TestTenant } from '../support/app.js';
import { rawRequest } from '../support/client.js';

let api: TestApi;
let tenant: TestTenant;
beforeAll(async () => {
  api = await startTestApi();
  tenant = await api.tenant();
});

const JSON_TYPE = { 'content-type': 'application/json' };
const codeOf = (text: string) =>
  (JSON.parse(text) as { errors: { extensions: { code: string } }[] }).errors[0]!.extensions.code;
const post = (body: string | Buffer, headers: Record<string, string> = JSON_TYPE) =>
  rawRequest(`${api.url}/graphql`, { headers, body });
const postQuery = (query: string, headers: Record<string, string> = {}) =>
  post(JSON.stringify({ query }), { ...JSON_TYPE, ...headers });

describe('GraphQL over HTTP', () => {
  it('passes every MUST of the public audit suite', async () => {
    const audits = serverAudits({ url: () => `${api.url}/graphql` });
    const failed: string[] = [];
    for (const audit of audits) {
      const result = await audit.fn();
      if (result.status === 'error') failed.push(`${result.name}: ${result.reason}`);
      else if (result.status !== 'ok' && audit.name.startsWith('MUST')) failed.push(`${result.name}: ${result.reason}`);
    }
    expect(audits.length).toBeGreaterThan(60);
    expect(failed).toEqual([]);
  });

  it('sets the headers that browsers protect themselves by', async () => {
    const { headers } = await postQuery('{ viewer { tenantId } }');
    expect(headers).toMatchObject({
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
    });
    expect(headers['x-request-id']).toMatch(/^req_/);
  });
});

describe('requests that are refused', () => {
  type Refused = [body: string | Buffer, headers: Record<string, string>, status: number, code: string, path?: string];
  it.each<[what: string, ...Refused]>([
    ['no JSON', '{"query": "{ viewer', JSON_TYPE, 400, 'MALFORMED_REQUEST'],
    ['no UTF-8', Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), JSON_TYPE, 400, 'MALFORMED_REQUEST'],
    ['a batch', '[{"query":"{__typename}"},{"query":"{__typename}"}]', JSON_TYPE, 400, 'MALFORMED_REQUEST'],
    ['a number', '42', JSON_TYPE, 400, 'MALFORMED_REQUEST'],
    ['null', 'null', JSON_TYPE, 400, 'MALFORMED_REQUEST'],
    ['nothing', '', JSON_TYPE, 400, 'MALFORMED_REQUEST'],
    ['no content type', '{}', {}, 415, 'UNSUPPORTED_MEDIA_TYPE'],
    [
      'a form',
      'query={__typename}',
      { 'content-type': 'application/x-www-form-urlencoded' },
      415,
      'UNSUPPORTED_MEDIA_TYPE',
    ],
    ['plain text', '{"query":"{__typename}"}', { 'content-type': 'text/plain' }, 415, 'UNSUPPORTED_MEDIA_TYPE'],
    [
      'another charset',
      '{"query":"{__typename}"}',
      { 'content-type': 'application/json; charset=utf-16' },
      415,
      'UNSUPPORTED_MEDIA_TYPE',
    ],
    ['compression', 'x', { ...JSON_TYPE, 'content-encoding': 'gzip' }, 415, 'UNSUPPORTED_MEDIA_TYPE'],
    ['no such page', '', JSON_TYPE, 404, 'NOT_FOUND', '/nowhere'],
    ['a wrong method', '', JSON_TYPE, 405, 'METHOD_NOT_ALLOWED', '/health/live'],
    ['a bad escape', '', JSON_TYPE, 404, 'NOT_FOUND', '/assets/%E0%A4%A'],
  ])('%s', async (_what, ...[body, headers, status, code, path = '/graphql']) => {
    const answer = await rawRequest(api.url + path, { headers, body });
    expect({ status: answer.status, code: codeOf(answer.text) }).toEqual({ status, code });
  });

  it('a body that is too large, by its header or by its bytes', async () => {
    const declared = await post('', { ...JSON_TYPE, 'content-length': String(10 ** 9) }).catch(
      (error: unknown) => error,
    );
    if (!(declared instanceof Error)) expect(codeOf((declared as { text: string }).text)).toBe('BODY_TOO_LARGE');
    const sent = await post(`{"query":"${'#'.repeat(9 * 2 ** 20)}"}`);
    expect([sent.status, codeOf(sent.text)]).toEqual([413, 'BODY_TOO_LARGE']);
  });

  it('a body that is too large, so that one who reads only after the last byte hears so', async () => {
    const socket = connect(Number(new URL(api.url).port), '127.0.0.1').pause();
    const failed: Error[] = [];
    socket.on('error', (error) => failed.push(error));
    const head = 'Host: x\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n';
    socket.write(`POST /graphql HTTP/1.1\r\n${head}\r\n`);
    for (let i = 0; i < 10; i++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      socket.write(Buffer.alloc(100_000, 0x20));
    }
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    expect(failed).toEqual([]);
    expect(text).toMatch(/^HTTP\/1.1 413 [\s\S]*BODY_TOO_LARGE/);
  });

  it('a body without end, which is not read for ever', async () => {
    const socket = connect(Number(new URL(api.url).port), '127.0.0.1');
    const closed = new Promise((resolve) => socket.on('error', () => undefined).on('close', resolve));
    socket
      .resume()
      .write(
        'POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 900000000\r\n\r\n',
      );
    const more = setInterval(() => socket.write('x'), 20);
    await closed;
    clearInterval(more);
  });

  it('two lengths, or a length and chunks: what proxies disagree about', async () => {
    for (const framing of [
      'Content-Length: 5\r\nContent-Length: 50',
      'Content-Length: 5\r\nTransfer-Encoding: chunked',
    ])
      expect(await rawBytes(`POST /graphql HTTP/1.1\r\nHost: x\r\n${framing}\r\n\r\n{"a":`)).toMatch(/^HTTP\/1.1 400/);
    expect(await rawBytes('GET /graphql HTTP/1.1\r\nHost: x\r\nX-Bad: a\0b\r\n\r\n')).toMatch(/^HTTP\/1.1 400/);
    expect(await rawBytes(`GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${'a'.repeat(20_000)}\r\n\r\n`)).toMatch(
      /^HTTP\/1.1 431/,
    );
  });

  it.each([
    ['depth', `{ __type(name: "Query") { ${'ofType { '.repeat(17)} name ${'}'.repeat(17)} } }`],
    ['aliases', `{ ${Array.from({ length: 41 }, (_, i) => `viewer { a${i}: tenantId }`).join(' ')} }`],
    ['root fields', `{ ${Array.from({ length: 21 }, (_, i) => `a${i}: __typename`).join(' ')} }`],
    [
      'cost',
      '{ members(first: 100) { nodes { id email name role createdAt } edges { node { id email name role } } } '.concat(
        Array.from(
          { length: 19 },
          (_, i) =>
            `m${i}: members(first: 100) { nodes { id email name role createdAt } edges { cursor node { id email name role createdAt } } }`,
        ).join(' '),
        ' }',
      ),
    ],
    [
      'sign-ins',
      'mutation { a: signIn(input: {email: "a@b.c", password: "x"}) { __typename } b: signIn(input: {email: "a@b.c", password: "y"}) { __typename } }',
    ],
  ])('too much: %s', async (_what, query) => {
    const answer = await postQuery(query, { authorization: `Bearer ${tenant.owner.token}` });
    expect(answer.status).toBe(400);
    expect(codeOf(answer.text)).toBe('TOO_COMPLEX');
  });

  it('too many tokens, fragments in circles, fragments within fragments', async () => {
    const tokens = await postQuery(`{ ${'viewer { tenantId } '.repeat(2000)} }`);
    expect([tokens.status, codeOf(tokens.text)]).toEqual([400, 'GRAPHQL_PARSE_FAILED']);
    const circle = await postQuery('{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }');
    expect([circle.status, codeOf(circle.text)]).toEqual([400, 'GRAPHQL_VALIDATION_FAILED']);
    const bomb = Array.from({ length: 40 }, (_, i) => `fragment f${i} on Viewer { ...f${i + 1} ...f${i + 1} }`).join(
      ' ',
    );
    const started = Date.now();
    const nested = await postQuery(`{ viewer { ...f0 } } ${bomb} fragment f40 on Viewer { tenantId }`);
    expect([nested.status, codeOf(nested.text)]).toEqual([400, 'TOO_COMPLEX']);
    expect(Date.now() - started).toBeLessThan(3000);
  });

  it('wrong types, unknown fields, wrong enum values, without an echo of secrets', async () => {
    const wrong = await tenant.owner.send('query ($n: Int!) { members(first: $n) { nodes { id } } }', { n: 'many' });
    expect([wrong.status, wrong.errors[0]!.extensions.code]).toEqual([400, 'BAD_USER_INPUT']);
    const huge = await tenant.owner.send('{ members(first: 1000) { nodes { id } } }');
    expect(huge.errors[0]!.extensions).toMatchObject({ code: 'INVALID_INPUT', field: 'first' });
    const cursor = await tenant.owner.send('{ members(after: "zzz") { nodes { id } } }');
    expect(cursor.errors[0]!.extensions.code).toBe('INVALID_CURSOR');
    const unknown = await tenant.owner.send('{ nothing }');
    expect([unknown.status, unknown.errors[0]!.extensions.code]).toEqual([400, 'GRAPHQL_VALIDATION_FAILED']);
  });
});

describe('credentials', () => {
  it.each([
    ['a forged token', 'Bearer cs_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'],
    ['an unknown scheme', 'Basic b3BlcmF0b3I6eA=='],
    ['no token', 'Bearer'],
    ['two tokens', 'Bearer a, Bearer b'],
    ['a huge one', `Bearer ${'a'.repeat(5000)}`],
    ['an injection', "Bearer cs_' or 1=1 --"],
  ])('%s is UNAUTHENTICATED', async (_what, authorization) => {
    const answer = await postQuery('{ viewer { tenantId } }', { authorization });
    expect([answer.status, codeOf(answer.text)]).toEqual([401, 'UNAUTHENTICATED']);
    expect(answer.headers['www-authenticate']).toBe('Bearer');
  });

  it('nobody sees nothing', async () => {
    const { errors } = await api.client.send('{ members { nodes { id } } }');
    expect(errors[0]!.extensions.code).toBe('UNAUTHENTICATED');
    expect(await api.client.query('{ viewer { tenantId } }')).toEqual({ viewer: null });
  });

  it('a tenant that one is no member of is as good as none', async () => {
    const other = await api.tenant();
    const stranger = api.client.as(tenant.owner.token, other.id);
    expect((await stranger.send('{ members { nodes { id } } }')).errors[0]!.extensions.code).toBe('TENANT_REQUIRED');
    const { key } = await tenant.application(['MODEL_READ']);
    const app = api.client.as(key, other.id);
    expect((await app.send('{ tenant { id } }')).errors[0]!.extensions.code).toBe('UNAUTHENTICATED');
  });

  it('operators see the list of tenants, and nothing in them', async () => {
    const { tenants } = await api.operator.query<{ tenants: { nodes: { id: string }[] } }>(
      '{ tenants(first: 100) { nodes { id name } } }',
    );
    expect(tenants.nodes.map((one) => one.id)).toContain(tenant.id);
    for (const field of ['members', 'applications', 'invitations'])
      expect((await api.operator.send(`{ ${field} { nodes { id } } }`)).errors[0]!.extensions.code).toBe('FORBIDDEN');
    expect(
      (await api.operator.as(api.operator.token, tenant.id).send('{ tenant { id } }')).errors[0]!.extensions.code,
    ).toBe('TENANT_REQUIRED');
    expect((await tenant.owner.send('{ tenants { nodes { id } } }')).errors[0]!.extensions.code).toBe('FORBIDDEN');
  });
});

describe('the session cookie', () => {
  const SIGN_IN = 'mutation ($input: SignInInput!) { signIn(input: $input) { ... on SignInPayload { expiresAt } } }';
  const signInForCookie = async () => {
    const variables = { input: { email: tenant.ownerEmail, password: PASSWORD } };
    const { headers } = await post(JSON.stringify({ query: SIGN_IN, variables }));
    return String(headers['set-cookie']);
  };

  it('is HttpOnly and SameSite=Strict, and works from pages of ours only', async () => {
    const set = await signInForCookie();
    expect(set).toMatch(/^concordat=cs_[\w-]+; Path=\/; HttpOnly; SameSite=Strict; Expires=/);
    const cookie = set.split(';')[0]!;
    const ask = async (headers: Record<string, string>) =>
      (
        JSON.parse((await postQuery('{ viewer { tenantId } }', { cookie, ...headers })).text) as {
          data: { viewer: unknown };
        }
      ).data.viewer;
    const port = new URL(api.url).port;
    expect(await ask({ origin: `http://localhost:${port}` })).toEqual({ tenantId: tenant.id });
    expect(await ask({ 'sec-fetch-site': 'same-origin' })).toEqual({ tenantId: tenant.id });
    expect(await ask({ origin: 'https://evil.example' })).toBeNull();
    expect(await ask({ origin: 'null' })).toBeNull();
    expect(await ask({})).toBeNull();
    expect(await ask({ origin: 'https://evil.example', 'sec-fetch-site': 'same-origin' })).toBeNull();
    const twice = { origin: `http://localhost:${port}`, cookie: `${cookie}; ${cookie}` };
    expect(await ask(twice)).toBeNull();
  });
});

describe('health', () => {
  it('is live and ready', async () => {
    for (const path of ['live', 'ready']) expect((await fetch(`${api.url}/health/${path}`)).status).toBe(200);
  });
});

function rawBytes(bytes: string): Promise<string> {
  const { hostname, port } = new URL(api.url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString();
      socket.end();
    });
    socket.on('close', () => resolve(text));
    socket.on('error', reject);
  });
}

import { once } from 'node:events';
import { createClient } from 'graphql-ws';
import { beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { LIMITS } from '../../src/api/limits.js';
import { inTenant } from '../../src/platform/db.js';
import { newId } from '../../src/platform/ids.js';
import { PASSWORD, signIn, startTestApi, type TestApi, type TestTenant } from '../support/app.js';
import { rawRequest } from '../support/client.js';

let api: TestApi;
let tenant: TestTenant;
beforeAll(async () => {
  api = await startTestApi();
  tenant = await api.tenant();
});

const SUBSCRIPTION = 'subscription { trainingProgress(id: "trn_x") { id } }';

/** A socket that has said hello; `closed` is the code with which the server closes it. */
async function open(parameters: object | undefined, headers: Record<string, string> = {}) {
  const socket = new WebSocket(`${api.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', { headers });
  const closed = new Promise<number>((resolve) => socket.on('close', (code) => resolve(code)));
  socket.on('error', () => undefined);
  await once(socket, 'open');
  const messages: { type: string; payload?: unknown }[] = [];
  socket.on('message', (data: Buffer) => messages.push(JSON.parse(data.toString()) as { type: string }));
  socket.send(JSON.stringify({ type: 'connection_init', payload: parameters }));
  await Promise.race([once(socket, 'message'), closed]);
  return { socket, closed, messages };
}
const withToken = (token: string | null) => open({ authorization: `Bearer ${token}` });

describe('a socket', () => {
  it('is closed without a credential, with a forged one, and without a first message that is one', async () => {
    expect(await (await open(undefined)).closed).toBe(4401);
    expect(await (await withToken(`cs_${'A'.repeat(43)}`)).closed).toBe(4401);
    expect(await (await open({ authorization: 7 })).closed).toBe(4401);
  });

  it('takes the cookie from pages of ours only', async () => {
    const query = 'mutation ($i: SignInInput!) { signIn(input: $i) { __typename } }';
    const body = JSON.stringify({ query, variables: { i: { email: tenant.ownerEmail, password: PASSWORD } } });
    const { headers } = await rawRequest(`${api.url}/graphql`, {
      headers: { 'content-type': 'application/json' },
      body,
    });
    const cookie = String(headers['set-cookie']).split(';')[0]!;
    const good = await open({}, { cookie, origin: `http://localhost:${new URL(api.url).port}` });
    expect(good.messages[0]!.type).toBe('connection_ack');
    good.socket.close();
    expect(await (await open({}, { cookie, origin: 'https://evil.example' })).closed).toBe(4401);
    expect(await (await open({}, { cookie })).closed).toBe(4401);
  });

  it('carries subscriptions only, within the limits of every operation', async () => {
    const client = createClient({
      url: `${api.url.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${tenant.owner.token}` },
    });
    const codeOf = async (query: string) => {
      for await (const { errors } of client.iterate({ query })) return errors?.[0]?.extensions?.code;
      return undefined;
    };
    const thrown = async (query: string) => JSON.stringify(await codeOf(query).catch((error: unknown) => error));
    expect(await thrown('{ viewer { tenantId } }')).toContain('send everything else by POST');
    expect(await thrown('subscription { nothing }')).toContain('GRAPHQL_VALIDATION_FAILED');
    expect(await thrown('subscription {')).toContain('Syntax Error');
    expect(await codeOf(SUBSCRIPTION)).toBe('NOT_FOUND');
    await client.dispose();
  });

  it('needs the permission of the subscription', async () => {
    const { key } = await tenant.application(['PREDICTION_CREATE']);
    const { socket, messages } = await withToken(key);
    socket.send(JSON.stringify({ type: 'subscribe', id: '1', payload: { query: SUBSCRIPTION } }));
    await once(socket, 'message');
    expect(JSON.stringify(messages[1])).toContain('FORBIDDEN');
    socket.close();
  });

  it.each([
    [
      'its key is revoked',
      async () => {
        const { key, keyId } = await tenant.application(['TRAINING_READ']);
        const end = () => tenant.owner.mutate('revokeApiKey', { apiKeyId: keyId }, 'apiKey { id }');
        return { token: key, end, code: 4401 };
      },
    ],
    [
      'its session signs out',
      async () => {
        const client = await signIn(api.client, tenant.ownerEmail);
        return { token: client.token, end: () => client.query('mutation { signOut { __typename } }'), code: 4401 };
      },
    ],
    [
      'its member is given less',
      async () => {
        const member = await tenant.member('AUDITOR');
        const { members } = await tenant.owner.query<{ members: { nodes: { id: string; role: string }[] } }>(
          '{ members { nodes { id role } } }',
        );
        const memberId = members.nodes.find((one) => one.role === 'AUDITOR')!.id;
        return {
          token: member.token,
          end: () => tenant.owner.mutate('changeMemberRole', { memberId, role: 'VIEWER' }, 'member { id }'),
          code: 4403,
        };
      },
    ],
  ])('ends when %s', async (_what, prepare) => {
    const { token, end, code } = await prepare();
    const { closed, messages } = await withToken(token);
    expect(messages[0]!.type).toBe('connection_ack');
    const started = Date.now();
    await end();
    expect(await closed).toBe(code);
    expect(Date.now() - started).toBeLessThan(3000);
  });

  it('ends when its key expires', async () => {
    const { id } = await tenant.application();
    const expiresAt = new Date(api.clock.now().getTime() + 1500).toISOString();
    const made = await tenant.owner.mutate<{ token: string }>(
      'createApiKey',
      { applicationId: id, name: 'Brief', permissions: ['TRAINING_READ'], expiresAt },
      'token',
    );
    expect(await (await withToken(made.token)).closed).toBe(4401);
  });

  it('is one of so many', async () => {
    const { key } = await tenant.application(['TRAINING_READ']);
    const opened = [];
    for (let i = 0; i < LIMITS.socketsPerCredential; i++) opened.push(await withToken(key));
    expect(await (await withToken(key)).closed).toBe(4429);
    for (const { socket } of opened) socket.close();
  });

  it('is not opened elsewhere', async () => {
    const socket = new WebSocket(`${api.url.replace('http', 'ws')}/elsewhere`, 'graphql-transport-ws');
    const [error] = (await once(socket, 'error')) as [Error];
    expect(error.message).toContain('404');
  });
});

describe('news', () => {
  it('begin with the present, follow each change, and become one when nobody reads them', async () => {
    const jobId = newId('job');
    const scope = { tenantId: tenant.id };
    const run = (sql: string) => inTenant(api.app.db, scope, (tx) => tx.query(sql, [jobId, tenant.id]));
    const news = api.app.events.subscribe('concordat_job', `${tenant.id} ${jobId}`);
    expect(await news.next()).toMatchObject({ done: false });
    await run(`insert into job (id, tenant_id, name, subject_id, max_attempts) values ($1, $2, 'train', 'x', 1)`);
    expect(await news.next()).toMatchObject({ done: false });
    for (let i = 0; i < 5; i++)
      await run(`update job set cancel_requested = not cancel_requested where id = $1 and tenant_id = $2`);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await news.next()).toMatchObject({ done: false });
    const waiting = news.next();
    await news.return!();
    expect(await waiting).toEqual({ done: true, value: undefined });
  });

  it('come again after the connection was lost', async () => {
    const news = api.app.events.subscribe('concordat_job', 'nothing');
    await news.next();
    const again = news.next();
    await api.app.db.app.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'concordat_listen' and datname = current_database()`,
    );
    expect(await again).toMatchObject({ done: false });
    await news.return!();
  });

  it('end with the signal', async () => {
    const ended = new AbortController();
    const news = api.app.events.subscribe('concordat_job', 'nothing', ended.signal);
    await news.next();
    const waiting = news.next();
    ended.abort();
    expect((await waiting).done).toBe(true);
  });
});

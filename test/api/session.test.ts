import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Api, startApi } from '../../src/api/server.js';
import { type App, openApp } from '../../src/app.js';
import { PASSWORD, signIn, startTestApi, type TestApi, type TestTenant } from '../support/app.js';
import { type Client, makeClient } from '../support/client.js';
import { inDatabase } from '../support/database.js';

/*
 * Sessions are remembered by every replica. What ends one, or takes a right from it, counts at once where it was done, and elsewhere
 * with the news of it.
 */
let api: TestApi;
let other: { readonly app: App; readonly api: Api };
let tenant: TestTenant;
let owner: pg.Client;

beforeAll(async () => {
  api = await startTestApi();
  const app = await openApp(api.app.config, 'other', api.clock);
  other = { app, api: await startApi(app) };
  tenant = await api.tenant();
  owner = new pg.Client(api.database.databaseUrl);
  await owner.connect();
  await owner.query('alter table account no force row level security; alter table session no force row level security');
});
afterAll(async () => {
  await owner.end();
  await other.api.close();
  await other.app.close();
});

const elsewhere = (client: Client, tenantId?: string) => makeClient(other.api.url, client.token, tenantId);

interface Seen {
  readonly code: string;
  readonly tenantId: string | null;
  readonly may: boolean;
}

/** Who the session is taken for. */
async function seen(client: Client): Promise<Seen> {
  const { data, errors } = await client.send<{ viewer: { tenantId: string | null; permissions: string[] } | null }>(
    '{ viewer { tenantId permissions } }',
  );
  const { tenantId = null, permissions = [] } = data?.viewer ?? {};
  return {
    code: (errors[0]?.extensions['code'] as string | undefined) ?? 'OK',
    tenantId,
    may: permissions.includes('TENANT_MANAGE'),
  };
}

/** Until it is so; whatever else is seen meanwhile must be as it was before. */
async function becomes(wanted: Partial<Seen>, client: Client, before: Partial<Seen>): Promise<void> {
  for (const from = Date.now(); ; await delay(5)) {
    const now = await seen(client);
    if (Object.entries(wanted).every(([name, value]) => now[name as keyof Seen] === value)) return;
    expect(now).toMatchObject(before);
    if (Date.now() - from > 30_000) throw new Error(`It stays ${JSON.stringify(now)}.`);
  }
}

/** A member of the tenant, whom both replicas know. */
async function known(): Promise<{ client: Client; email: string; id: string }> {
  const client = await tenant.member('ADMIN');
  for (const one of [client, elsewhere(client, tenant.id)])
    expect(await seen(one)).toMatchObject({ code: 'OK', tenantId: tenant.id });
  const { members } = await tenant.owner.query<{ members: { nodes: { id: string; email: string }[] } }>(
    '{ members(first: 100) { nodes { id email } } }',
  );
  // Ids begin with the time.
  const { id, email } = members.nodes.sort((a, b) => (a.id < b.id ? -1 : 1)).at(-1)!;
  return { client, email, id };
}
const GONE = { code: 'UNAUTHENTICATED' };

describe('a session', () => {
  it('is read once, and then not asked for until something changes', async () => {
    const { client } = await known();
    const reads = vi.spyOn(api.app.db.gate, 'query');
    for (let i = 0; i < 5; i++) expect(await seen(client)).toMatchObject({ code: 'OK', may: true });
    expect(reads).not.toHaveBeenCalled();
    await client.mutate('changePassword', { currentPassword: PASSWORD, newPassword: `${PASSWORD}!` }, 'accountId');
    expect(await seen(client)).toMatchObject({ code: 'OK', may: true });
    expect(reads).toHaveBeenCalled();
    reads.mockRestore();
  });

  it('ends where it is signed out at once, and everywhere with the news', async () => {
    const { client } = await known();
    await client.query('mutation { signOut { __typename } }');
    expect(await seen(client)).toMatchObject(GONE);
    await becomes(GONE, elsewhere(client, tenant.id), { code: 'OK' });
  });

  it('ends with a change of the password, but for the one that changed it', async () => {
    const { client, email } = await known();
    const second = await signIn(api.client, email, PASSWORD, tenant.id);
    for (const one of [second, elsewhere(second, tenant.id)]) expect(await seen(one)).toMatchObject({ code: 'OK' });
    await client.mutate('changePassword', { currentPassword: PASSWORD, newPassword: `${PASSWORD}?` }, 'accountId');
    expect(await seen(second)).toMatchObject(GONE);
    await becomes(GONE, elsewhere(second, tenant.id), { code: 'OK' });
    expect(await seen(client)).toMatchObject({ code: 'OK' });
  });

  it('loses the tenant with the membership, and a role with its change', async () => {
    const { client, id } = await known();
    const input = { memberId: id, role: 'VIEWER' };
    await tenant.owner.mutate('changeMemberRole', input, 'member { id }');
    expect(await seen(client)).toMatchObject({ may: false });
    await becomes({ may: false }, elsewhere(client, tenant.id), { may: true });
    await tenant.owner.mutate('removeMember', { memberId: id }, 'memberId');
    expect(await seen(client)).toMatchObject({ tenantId: null });
    await becomes({ tenantId: null }, elsewhere(client, tenant.id), { tenantId: tenant.id });
  });

  it('works in no other tenant than the one it switched to last, on whichever replica', async () => {
    const { client, email } = await known();
    const second = await api.tenant();
    const invited = await second.owner.mutate<{ invitationToken: string }>(
      'inviteMember',
      { email, role: 'ADMIN' },
      'invitationToken',
    );
    const bare = makeClient(api.url, client.token);
    await bare.mutate('acceptInvitation', { token: invited.invitationToken }, 'tenantId');
    const there = makeClient(other.api.url, client.token);
    for (let i = 0; i < 10; i++) {
      const tenantId = i % 2 ? tenant.id : second.id;
      await (i % 3 ? bare : there).mutate('switchTenant', { tenantId }, 'tenant { id }');
      // No waiting for news: at once.
      expect((await seen(there)).tenantId).toBe(tenantId);
      expect((await seen(bare)).tenantId).toBe(tenantId);
    }
  });

  it('ends by the clock', async () => {
    const { client } = await known();
    api.clock.forward(13 * 3_600_000);
    expect(await seen(client)).toMatchObject(GONE);
    api.clock.forward(-13 * 3_600_000);
    expect(await seen(client)).toMatchObject({ code: 'OK' });
  });

  it.each([
    [
      'of the session, when it is deleted',
      `delete from session where account_id = (select id from account where email = $1)`,
    ],
    ['of the account, when it is no operator any more', `update account set operator = false where email = $1`],
  ])('follows what is done in the database: news %s', async (what, statement) => {
    const isOperator = what.includes('operator');
    const { client, email } = await known();
    if (isOperator) {
      await owner.query(`update account set operator = true where email = $1`, [email]);
      const platform = makeClient(other.api.url, client.token, 'platform');
      await becomes({ tenantId: 'platform' }, platform, { tenantId: null });
      await owner.query(statement, [email]);
      return becomes({ tenantId: null }, platform, { tenantId: 'platform' });
    }
    await owner.query(statement, [email]);
    await becomes(GONE, elsewhere(client, tenant.id), { code: 'OK' });
    await becomes(GONE, client, { code: 'OK' });
  });

  it('is asked for each time where no news are heard', async () => {
    const { client } = await known();
    const server = new pg.Client(inDatabase(api.database.databaseUrl, 'postgres'));
    await server.connect();
    const name = new URL(api.database.databaseUrl).pathname.slice(1);
    await server.query(`alter database ${name} with allow_connections false`);
    try {
      await api.app.db.app.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and application_name = 'concordat_listen'`,
        [name],
      );
      await expect.poll(() => api.app.listener.isInTouch()).toBe(false);
      const reads = vi.spyOn(api.app.db.gate, 'query');
      for (let i = 0; i < 3; i++) expect(await seen(client)).toMatchObject({ code: 'OK' });
      expect(reads.mock.calls.length).toBeGreaterThanOrEqual(3);
      reads.mockRestore();
      await owner.query(
        `delete from session where account_id = (select account_id from session order by created_at desc limit 1)`,
      );
      expect(await seen(client)).toMatchObject(GONE);
    } finally {
      await server.query(`alter database ${name} with allow_connections true`);
      await server.end();
    }
  });
});

import { beforeAll, describe, expect, it } from 'vitest';
import { ensureOperator } from '../../src/domain/tenants/account.service.js';
import { PASSWORD, signIn, startTestApi, type TestApi } from '../support/app.js';
import type { Client } from '../support/client.js';

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});

const MINUTE_MS = 60_000;
const invite = (by: Client, email: string, role: string) =>
  by.mutate<{ invitationToken: string; invitationLink: string }>(
    'inviteMember',
    { email, role },
    'invitation { id } invitationToken invitationLink',
  );
const membersOf = async (client: Client) =>
  (
    await client.query<{ members: { nodes: { id: string; email: string; role: string }[] } }>(
      '{ members { nodes { id email role } } }',
    )
  ).members.nodes;

describe('tenants', () => {
  it('come into being by an operator and an invitation', async () => {
    const tenant = await api.tenant('Acme');
    const { viewer } = await tenant.owner.query<{ viewer: { tenantId: string; memberships: unknown[] } }>(
      '{ viewer { tenantId memberships { tenantName role } account { email operator } permissions } }',
    );
    expect(viewer.tenantId).toBe(tenant.id);
    expect(viewer.memberships).toEqual([{ tenantName: 'Acme', role: 'OWNER' }]);
  });

  it.each(['', ' '.repeat(5), 'a\nb', 'x'.repeat(201), '\u0000'])('are not called %j', async (name) => {
    expect(await api.operator.refusal('createTenant', { name, ownerEmail: 'a@example.com' })).toBe('INVALID_INPUT');
  });

  it('have one first operator, made once', async () => {
    expect(await ensureOperator(api.app.db, 'another@example.com')).toBeNull();
  });
});

describe('invitations', () => {
  it('work once, for whom they are meant, and not for ever', async () => {
    const tenant = await api.tenant();
    const { invitationToken: token, invitationLink } = await invite(tenant.owner, 'Ann@Example.com ', 'VIEWER');
    expect(invitationLink).toBe(`http://localhost:${new URL(api.url).port}/#invitation=${token}`);
    const nobody = api.client;
    expect(await nobody.refusal('acceptInvitation', { token })).toBe('INVALID_INPUT');
    expect(await nobody.refusal('acceptInvitation', { token, name: 'Ann', password: 'short' })).toBe('INVALID_INPUT');
    const answers = await Promise.allSettled(
      [1, 2, 3].map(() => nobody.mutate('acceptInvitation', { token, name: 'Ann', password: PASSWORD }, 'tenantId')),
    );
    expect(answers.filter((one) => one.status === 'fulfilled')).toHaveLength(1);
    expect(await nobody.refusal('acceptInvitation', { token, name: 'Ann', password: PASSWORD })).toBe('NOT_FOUND');
    expect(await nobody.refusal('acceptInvitation', { token: 'ci_forged', name: 'Ann', password: PASSWORD })).toBe(
      'NOT_FOUND',
    );
    const ann = await signIn(nobody, 'ann@example.com');
    expect((await membersOf(ann)).map((one) => one.role).sort()).toEqual(['OWNER', 'VIEWER']);

    const late = await invite(tenant.owner, 'late@example.com', 'VIEWER');
    api.clock.forward(8 * 24 * 60 * MINUTE_MS);
    const refused = await nobody.refusal('acceptInvitation', {
      token: late.invitationToken,
      name: 'L',
      password: PASSWORD,
    });
    expect(refused).toBe('NOT_FOUND');
    api.clock.forward(-8 * 24 * 60 * MINUTE_MS);
  });

  it('take a person into a second tenant only when signed in as that person', async () => {
    const [first, second] = [await api.tenant(), await api.tenant()];
    const { invitationToken: token } = await invite(second.owner, first.ownerEmail, 'AUDITOR');
    expect(await api.client.refusal('acceptInvitation', { token, name: 'X', password: PASSWORD })).toBe('CONFLICT');
    expect(await api.operator.refusal('acceptInvitation', { token })).toBe('CONFLICT');
    await first.owner.mutate('acceptInvitation', { token }, 'tenantId');
    const both = await signIn(api.client, first.ownerEmail);
    expect((await both.send('{ tenant { id } }')).errors[0]!.extensions.code).toBe('TENANT_REQUIRED');
    await both.mutate('switchTenant', { tenantId: second.id }, 'tenant { id }');
    expect(await both.query('{ tenant { id } }')).toEqual({ tenant: { id: second.id } });
    expect(await api.client.as(both.token, first.id).query('{ tenant { id } }')).toEqual({ tenant: { id: first.id } });
    expect(await invite(second.owner, first.ownerEmail, 'VIEWER').catch(String)).toContain('CONFLICT');
  });
});

describe('members', () => {
  it('keep a last owner, whatever is tried at once', async () => {
    const tenant = await api.tenant();
    const [owner] = await membersOf(tenant.owner);
    expect(await tenant.owner.refusal('removeMember', { memberId: owner!.id })).toBe('CONFLICT');
    expect(await tenant.owner.refusal('changeMemberRole', { memberId: owner!.id, role: 'VIEWER' })).toBe('CONFLICT');
    const second = await tenant.member('OWNER');
    const owners = await membersOf(second);
    await Promise.allSettled(
      owners.map((one, i) => [tenant.owner, second][i]!.mutate('removeMember', { memberId: one.id }, 'memberId')),
    );
    const rows = await api.app.db.gate.query(`select role from membership where tenant_id = $1`, [tenant.id]);
    expect(rows.rows).toEqual([{ role: 'OWNER' }]);
  });

  it('give nobody a role that may do more than they may', async () => {
    const tenant = await api.tenant();
    const admin = await tenant.member('ADMIN');
    for (const role of ['OWNER', 'STEWARD'])
      expect(await admin.refusal('inviteMember', { email: 'x@example.com', role })).toBe('FORBIDDEN');
    const members = await membersOf(admin);
    const of = (role: string) => members.find((one) => one.role === role)!.id;
    expect(await admin.refusal('changeMemberRole', { memberId: of('ADMIN'), role: 'OWNER' })).toBe('FORBIDDEN');
    expect(await admin.refusal('removeMember', { memberId: of('OWNER') })).toBe('FORBIDDEN');
    await admin.mutate('inviteMember', { email: 'x@example.com', role: 'VIEWER' }, 'invitation { id }');
  });

  it('lose their rights with the next request', async () => {
    const tenant = await api.tenant();
    const scientist = await tenant.member('DATA_SCIENTIST');
    const memberId = (await membersOf(tenant.owner)).find((one) => one.role === 'DATA_SCIENTIST')!.id;
    await scientist.query('{ tenant { id } }');
    expect(await scientist.refusal('createApplication', { name: 'No' })).toBe('FORBIDDEN');
    await tenant.owner.mutate('removeMember', { memberId }, 'memberId');
    expect((await scientist.send('{ tenant { id } }')).errors[0]!.extensions.code).toBe('TENANT_REQUIRED');
  });
});

describe('sessions', () => {
  it('end by signing out, by time, and by another password', async () => {
    const tenant = await api.tenant();
    const [a, b] = [await signIn(api.client, tenant.ownerEmail), await signIn(api.client, tenant.ownerEmail)];
    await a.query('mutation { signOut { __typename } }');
    expect((await a.send('{ viewer { tenantId } }')).status).toBe(401);
    const newPassword = 'another long password';
    expect(await b.refusal('changePassword', { currentPassword: 'wrong wrong wrong', newPassword })).toBe(
      'BAD_CREDENTIALS',
    );
    expect(await b.refusal('changePassword', { currentPassword: PASSWORD, newPassword: 'short' })).toBe(
      'INVALID_INPUT',
    );
    const c = await signIn(api.client, tenant.ownerEmail);
    await b.mutate('changePassword', { currentPassword: PASSWORD, newPassword }, 'accountId');
    expect((await c.send('{ viewer { tenantId } }')).status).toBe(401);
    expect(await api.client.refusal('signIn', { email: tenant.ownerEmail, password: PASSWORD })).toBe(
      'BAD_CREDENTIALS',
    );
    await signIn(api.client, tenant.ownerEmail, newPassword);
    api.clock.forward(13 * 60 * MINUTE_MS);
    expect((await b.send('{ viewer { tenantId } }')).status).toBe(401);
    api.clock.forward(-13 * 60 * MINUTE_MS);
  });

  it('are refused alike, and in like time, with a wrong password and without an account', async () => {
    const tenant = await api.tenant();
    const attempt = async (email: string) => {
      const started = performance.now();
      const { data } = await api.client.send<{ signIn: object }>(
        'mutation ($i: SignInInput!) { signIn(input: $i) { __typename ... on Refusal { code message remedy } } }',
        { i: { email, password: 'not the password' } },
      );
      return { ms: performance.now() - started, answer: data!.signIn };
    };
    await attempt('warm@example.com');
    const known: number[] = [];
    const unknown: number[] = [];
    for (let i = 0; i < 4; i++) {
      const [a, b] = [await attempt(tenant.ownerEmail), await attempt(`nobody-${i}@example.com`)];
      expect(a.answer).toEqual(b.answer);
      known.push(a.ms);
      unknown.push(b.ms);
    }
    // Without a hash to compare with it would be ten times as fast.
    expect(Math.min(...unknown)).toBeGreaterThan(Math.min(...known) / 3);
  });

  it('cannot be guessed: ten attempts at an account, known or not, in a quarter of an hour', async () => {
    const tenant = await api.tenant();
    for (const email of [tenant.ownerEmail, 'unknown@example.com']) {
      const codes = await Promise.all(
        Array.from({ length: 14 }, () => api.client.refusal('signIn', { email, password: 'a wrong password' })),
      );
      expect(codes.filter((code) => code === 'BAD_CREDENTIALS')).toHaveLength(10);
      expect(codes.filter((code) => code === 'TOO_MANY_ATTEMPTS')).toHaveLength(4);
    }
    expect(await api.client.refusal('signIn', { email: tenant.ownerEmail.toUpperCase(), password: PASSWORD })).toBe(
      'TOO_MANY_ATTEMPTS',
    );
    api.clock.forward(16 * MINUTE_MS);
    await signIn(api.client, tenant.ownerEmail);
    api.clock.forward(-16 * MINUTE_MS);
  });
});

describe('applications and their keys', () => {
  it('work until they are revoked or expire', async () => {
    const tenant = await api.tenant();
    const { client, keyId, id } = await tenant.application();
    const { viewer } = await client.query<{ viewer: object }>(
      '{ viewer { tenantId applicationId permissions account { id } } }',
    );
    expect(viewer).toEqual({
      tenantId: tenant.id,
      applicationId: id,
      permissions: ['PREDICTION_CREATE'],
      account: null,
    });
    expect((await client.send('{ members { nodes { id } } }')).errors[0]!.extensions.code).toBe('FORBIDDEN');
    expect((await client.send('mutation { signOut { __typename } }')).errors[0]!.extensions.code).toBe(
      'UNAUTHENTICATED',
    );
    await tenant.owner.mutate('revokeApiKey', { apiKeyId: keyId }, 'apiKey { revokedAt }');
    const { status, errors } = await client.send('{ viewer { tenantId } }');
    expect([status, errors[0]!.extensions.code]).toEqual([401, 'UNAUTHENTICATED']);
    await tenant.owner.mutate('revokeApiKey', { apiKeyId: keyId }, 'apiKey { revokedAt }');

    const expiresAt = new Date(api.clock.now().getTime() + MINUTE_MS).toISOString();
    const made = await tenant.owner.mutate<{ token: string }>(
      'createApiKey',
      { applicationId: id, name: 'Short', permissions: ['MODEL_READ'], expiresAt },
      'token',
    );
    const brief = api.client.as(made.token);
    await brief.query('{ viewer { tenantId } }');
    api.clock.forward(2 * MINUTE_MS);
    expect((await brief.send('{ viewer { tenantId } }')).status).toBe(401);
    api.clock.forward(-2 * MINUTE_MS);
  });

  it('get only what applications do, what their maker may, and a time to end', async () => {
    const tenant = await api.tenant();
    const { id } = await tenant.application();
    const make = (more: object) =>
      tenant.owner.refusal('createApiKey', { applicationId: id, name: 'K', permissions: ['MODEL_READ'], ...more });
    expect(await make({ permissions: ['TENANT_MANAGE'] })).toBe('INVALID_INPUT');
    expect(await make({ permissions: [] })).toBe('INVALID_INPUT');
    expect(await make({ expiresAt: '2020-01-01T00:00:00Z' })).toBe('INVALID_INPUT');
    expect(await make({ expiresAt: '2999-01-01T00:00:00Z' })).toBe('INVALID_INPUT');
  });

  it('have names of their own', async () => {
    const tenant = await api.tenant();
    await tenant.owner.mutate('createApplication', { name: 'Shop' }, 'application { id }');
    expect(await tenant.owner.refusal('createApplication', { name: 'Shop' })).toBe('CONFLICT');
    await (await api.tenant()).owner.mutate('createApplication', { name: 'Shop' }, 'application { id }');
  });

  it('are kept as hashes: no secret is in the database', async () => {
    const tenant = await api.tenant();
    const { key } = await tenant.application();
    const secret = key.slice(3);
    const { rows } = await api.app.db.gate.query<{ text: string }>(
      `select encode(token_hash, 'escape') as text from api_key`,
    );
    expect(rows.length).toBeGreaterThan(0);
    expect(JSON.stringify(rows)).not.toContain(secret);
  });
});

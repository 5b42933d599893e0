import { beforeAll, expect, it } from 'vitest';
import { PASSWORD, startTestApi, type TestApi, type TestTenant } from '../support/app.js';

let api: TestApi;
let tenant: TestTenant;
beforeAll(async () => {
  api = await startTestApi();
  tenant = await api.tenant();
});

/** An administrator's own id as a member, and the token of an invitation that the administrator wrote and kept. */
async function inviting(email: string): Promise<{ memberId: string; token: string }> {
  const admin = await tenant.member('ADMIN');
  const { viewer } = await admin.query<{ viewer: { account: { email: string } } }>('{ viewer { account { email } } }');
  const { members } = await tenant.owner.query<{ members: { nodes: { id: string; email: string }[] } }>(
    '{ members(first: 100) { nodes { id email } } }',
  );
  const { invitationToken } = await admin.mutate<{ invitationToken: string }>(
    'inviteMember',
    { email, role: 'ADMIN' },
    'invitationToken',
  );
  return { memberId: members.nodes.find((one) => one.email === viewer.account.email)!.id, token: invitationToken };
}

const join = (token: string) => ({ token, name: 'Accomplice', password: PASSWORD });

it('lets nobody in on the invitation of a member who was removed', async () => {
  const { memberId, token } = await inviting('accomplice-1@example.com');
  await tenant.owner.mutate('removeMember', { memberId }, 'memberId');
  expect(await api.client.refusal('acceptInvitation', join(token))).toBe('NOT_FOUND');
});

it('lets nobody in with more than the one who invited may do by then', async () => {
  const { memberId, token } = await inviting('accomplice-2@example.com');
  await tenant.owner.mutate('changeMemberRole', { memberId, role: 'VIEWER' }, 'member { id }');
  expect(await api.client.refusal('acceptInvitation', join(token))).toBe('NOT_FOUND');
  await tenant.owner.mutate('changeMemberRole', { memberId, role: 'ADMIN' }, 'member { id }');
  await api.client.mutate('acceptInvitation', join(token), 'tenantId');
});

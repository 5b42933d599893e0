import { beforeAll, expect, it } from 'vitest';
import { startTestApi, type TestApi, type TestTenant } from '../support/app.js';

let api: TestApi;
let tenant: TestTenant;
beforeAll(async () => {
  api = await startTestApi();
  tenant = await api.tenant();
});

const ZERO = 'a\u0000b';

it.each([
  ['an address', 'inviteMember', { email: `${ZERO}@example.com`, role: 'VIEWER' }],
  ['a description', 'createModel', { name: 'Model', description: ZERO }],
  ['an id', 'revokeApiKey', { apiKeyId: ZERO }],
])('refuses the character U+0000 in %s as the mistake of the caller', async (_, mutation, input) => {
  expect(await tenant.owner.refusal(mutation, input)).toBe('INVALID_INPUT');
});

it('refuses it from nobody as well', async () => {
  const input = { email: `${ZERO}@example.com`, password: ZERO };
  expect(await api.client.refusal('signIn', input)).toBe('INVALID_INPUT');
});

import { beforeAll, describe, expect, it } from 'vitest';
import { startTestApi, type TestApi } from '../support/app.js';

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});

describe('tenants', () => {
  it('come into being by an operator and an invitation', async () => {
    const tenant = await api.tenant('Acme');
    const { viewer } = await tenant.owner.query<{ viewer: { tenantId: string; memberships: unknown[] } }>(
      '{ viewer { tenantId memberships { tenantName role } account { email operator } permissions } }',
    );
    expect(viewer.tenantId).toBe(tenant.id);
    expect(viewer.memberships).toEqual([{ tenantName: 'Acme', role: 'OWNER' }]);
  });

  it('have applications whose keys work until they are revoked', async () => {
    const tenant = await api.tenant();
    const { client, keyId } = await tenant.application();
    const { viewer } = await client.query<{ viewer: object }>('{ viewer { tenantId permissions account { id } } }');
    expect(viewer).toEqual({ tenantId: tenant.id, permissions: ['PREDICTION_CREATE'], account: null });
    await tenant.owner.mutate('revokeApiKey', { apiKeyId: keyId }, 'apiKey { revokedAt }');
    const { status, errors } = await client.send('{ viewer { tenantId } }');
    expect(status).toBe(401);
    expect(errors[0]!.extensions.code).toBe('UNAUTHENTICATED');
  });
});

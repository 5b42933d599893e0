import { spawnSync } from 'node:child_process';
import { beforeAll, describe, expect, it } from 'vitest';
import { inPlatform } from '../../src/platform/db.js';
import { signIn, startTestApi, type TestApi, type TestTenant } from '../support/app.js';

let api: TestApi;
let tenant: TestTenant;
beforeAll(async () => {
  api = await startTestApi();
  tenant = await api.tenant();
});

function run(...args: string[]) {
  const { app, database } = api;
  return spawnSync(process.execPath, ['--import', 'tsx', 'src/cli/operator.ts', ...args], {
    encoding: 'utf8',
    env: {
      PATH: process.env.PATH,
      DATABASE_URL: database.databaseUrl,
      CONCORDAT_HOME: app.config.home,
      CONCORDAT_MASTER_KEY: database.masterKey.toString('hex'),
    },
  });
}
const passwordIn = (text: string) => /password {2}(\S+)$/m.exec(text)![1]!;
const VIEWER = '{ viewer { account { email operator } } }';
const auditKinds = () =>
  inPlatform(api.app.db, (tx) =>
    tx.query<{ kind: string }[]>(
      `select kind from audit_entry where tenant_id = $1 and content like '%"id":"operator"%' order by log_index`,
      [tx.tenantId],
    ),
  ).then((rows) => rows.map((row) => row.kind));

describe('the command for operators', () => {
  it('gives one a new password, ends the sessions, and forgets what was tried before', async () => {
    for (let i = 0; i < 10; i++)
      await api.client.refusal('signIn', { email: 'operator@example.com', password: 'I do not remember' });
    expect(await api.client.refusal('signIn', { email: 'operator@example.com', password: 'nor now' })).toBe(
      'TOO_MANY_ATTEMPTS',
    );
    const { status, stdout } = run('Operator@example.com');
    expect(status).toBe(0);
    expect((await api.operator.send(VIEWER)).errors[0]!.extensions.code).toBe('UNAUTHENTICATED');
    const again = await signIn(api.client, 'operator@example.com', passwordIn(stdout));
    expect(await again.query(VIEWER)).toEqual({
      viewer: { account: { email: 'operator@example.com', operator: true } },
    });
    expect(await auditKinds()).toEqual(['password.changed']);
  });

  it('makes another one', async () => {
    const { status, stdout } = run('second@example.com');
    expect(status).toBe(0);
    const second = await signIn(api.client, 'second@example.com', passwordIn(stdout));
    expect(await second.query(VIEWER)).toMatchObject({ viewer: { account: { operator: true } } });
    expect(await auditKinds()).toEqual(['password.changed', 'operator.created']);
  });

  it('makes no operator of somebody else, and needs an address', async () => {
    const refused = run(tenant.ownerEmail);
    expect([refused.status, refused.stdout]).toEqual([64, '']);
    expect(refused.stderr).toContain('is no operator');
    expect(await tenant.owner.query(VIEWER)).toMatchObject({ viewer: { account: { operator: false } } });
    expect(run().stderr).toContain('npm run operator -- EMAIL');
    expect(run('nobody').stderr).toContain('no email address');
  });
});

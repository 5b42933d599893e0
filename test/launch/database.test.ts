import pg from 'pg';
import { expect, it } from 'vitest';
import { roleUrl } from '../../src/platform/db.js';
import { createTestDatabase } from '../support/database.js';

it('gives every test a migrated database of its own', async () => {
  const [one, two] = await Promise.all([createTestDatabase(), createTestDatabase()]);
  try {
    const owner = new pg.Client(one.databaseUrl);
    await owner.connect();
    await owner.query('create table mine ()');
    await owner.end();
    const app = new pg.Client(roleUrl(two.databaseUrl, two.masterKey, 'concordat_app'));
    await app.connect();
    const { rows } = await app.query(
      `select current_user as role, to_regclass('mine') as mine, to_regclass('tenant') as tenant`,
    );
    await app.end();
    expect(rows).toEqual([{ role: 'concordat_app', mine: null, tenant: 'tenant' }]);
  } finally {
    await Promise.all([one.drop(), two.drop()]);
  }
});

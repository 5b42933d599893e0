import { appendFileSync, mkdtempSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { expect, it } from 'vitest';
import { openHome } from '../../src/launch/home.mjs';
import { removeHome } from '../../src/launch/postgres-files.mjs';
import { startPostgres } from '../../src/launch/postgres.mjs';
import { migrate } from '../../src/migrate.js';
import { openDb, UnfitDatabaseError } from '../../src/platform/db.js';
import { createTestDatabase } from '../support/database.js';

it.each(['concordat_ledger', 'concordat_app'])('refuses synchronous_commit = off for %s', async (role) => {
  const database = await createTestDatabase();
  const owner = new pg.Client(database.databaseUrl);
  await owner.connect();
  try {
    const { rows } = await owner.query<{ name: string }>('select current_database() as name');
    await owner.query(`alter role ${role} in database ${rows[0]!.name} set synchronous_commit = off`);
    const opened = openDb({ ...database, entities: [] });
    await expect(opened).rejects.toThrow('synchronous_commit = off: a crash would lose what it has confirmed');
    await expect(opened).rejects.toBeInstanceOf(UnfitDatabaseError);
  } finally {
    await owner.end();
    await database.drop();
  }
});

it('refuses a server that does not flush, or writes torn pages, before it changes anything there', async () => {
  const { path: home } = await openHome(mkdtempSync(join(realpathSync(tmpdir()), 'concordat-test-')));
  try {
    await (await startPostgres({ home })).stop();
    for (const setting of ['fsync', 'full_page_writes']) {
      // The last of several lines counts.
      appendFileSync(join(home, 'pg', 'postgresql.conf'), `\nfsync = on\nfull_page_writes = on\n${setting} = off\n`);
      const server = await startPostgres({ home });
      try {
        await expect(migrate(server.url, Buffer.alloc(32, 7))).rejects.toThrow(`The database has ${setting} = off`);
        const client = new pg.Client(server.url);
        await client.connect();
        const { rows } = await client.query(`select from pg_class where relname = 'migration'`);
        await client.end();
        expect(rows).toEqual([]);
      } finally {
        await server.stop();
      }
    }
  } finally {
    removeHome(home);
  }
});

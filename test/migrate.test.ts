import { randomBytes } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';
import { migrate } from '../src/migrate.js';
import { createTestDatabase, type TestDatabase } from './support/database.js';

let database: TestDatabase;
afterEach(() => database.drop());

test('changes nothing when there is nothing to do', async () => {
  database = await createTestDatabase();
  expect(await migrate(database.databaseUrl, database.masterKey)).toEqual({ applied: [] });
});

test('refuses another master key than the database was made with, and leaves the roles as they were', async () => {
  database = await createTestDatabase();
  await expect(migrate(database.databaseUrl, randomBytes(32))).rejects.toThrow(/another master key.*Restore/);
  expect(await migrate(database.databaseUrl, database.masterKey)).toEqual({ applied: [] });
});

import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';

export const TEMPLATE = 'concordat_template';

/** The login roles belong to the whole server and their passwords derive from it: the same in every test. */
export const TEST_MASTER_KEY = Buffer.alloc(32, 7);

export interface TestDatabase {
  /** The owner's address, as DATABASE_URL has it; `roleUrl` makes those of the other roles from it. */
  readonly databaseUrl: string;
  readonly masterKey: Buffer;
  /** Also throws out whoever is still connected. */
  drop(): Promise<void>;
}

/** A database of its own, migrated and empty: a clone of the template, some 50 ms. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const serverUrl = inject('serverUrl');
  const name = `test_${randomBytes(8).toString('hex')}`;
  await onServer(serverUrl, `create database ${name} template ${TEMPLATE}`);
  return {
    databaseUrl: inDatabase(serverUrl, name),
    masterKey: TEST_MASTER_KEY,
    drop: () => onServer(serverUrl, `drop database if exists ${name} with (force)`),
  };
}

/** The same server and role, another database. */
export function inDatabase(url: string, name: string): string {
  const other = new URL(url);
  other.pathname = `/${name}`;
  return other.toString();
}

async function onServer(url: string, statement: string): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { openHome } from '../../src/launch/home.mjs';
import { removeHome } from '../../src/launch/postgres-files.mjs';
import { startPostgres } from '../../src/launch/postgres.mjs';
import { migrate } from '../../src/migrate.js';
import { inDatabase, TEMPLATE, TEST_MASTER_KEY } from './database.js';
import { placeForData } from './place.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** Address of the test server's owner: may create databases, owns the template. */
    serverUrl: string;
  }
}

let stop: (() => Promise<void>) | undefined;

/**
 * One PostgreSQL for the whole run, with a migrated template database that tests clone. `TEST_DATABASE_URL` names another
 * server, whose role may create databases and roles; whatever is called TEMPLATE there is made anew.
 */
export async function setup(project: TestProject): Promise<void> {
  const serverUrl = process.env['TEST_DATABASE_URL'] ?? (await embedded());
  try {
    const client = new pg.Client(serverUrl);
    await client.connect();
    await client.query(`drop database if exists ${TEMPLATE} with (force)`);
    await client.query(`create database ${TEMPLATE}`);
    await client.end();
    await migrate(inDatabase(serverUrl, TEMPLATE), TEST_MASTER_KEY);
    project.provide('serverUrl', serverUrl);
  } catch (error) {
    await stop?.();
    throw error;
  }
}

export async function teardown(): Promise<void> {
  await stop?.();
}

async function embedded(): Promise<string> {
  const { path: home } = await openHome(mkdtempSync(join(placeForData(), 'concordat-test-')));
  const server = await startPostgres({ home });
  stop = async () => {
    await server.stop();
    removeHome(home);
  };
  return server.url;
}

import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { afterEach, expect, it } from 'vitest';
import { newId } from '../../src/platform/ids.js';
import type { JobPayload } from '../../src/platform/jobs.js';
import { openListener } from '../../src/platform/listen.js';
import { makeLog } from '../../src/platform/log.js';
import {
  consume,
  type Consumer,
  openQueues,
  type QueueConfig,
  type Queues,
  type Ring,
} from '../../src/platform/queue.js';
import { createTestDatabase, inDatabase, type TestDatabase } from '../support/database.js';

const log = makeLog('silent', 'test');
const closers: (() => Promise<unknown>)[] = [];
const open = <T extends Consumer | Queues>(made: T): T => {
  closers.push(() => made.close());
  return made;
};
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function database(): Promise<TestDatabase> {
  const made = await createTestDatabase();
  closers.push(() => made.drop());
  return made;
}

const configOf = ({ databaseUrl, masterKey }: Pick<TestDatabase, 'databaseUrl' | 'masterKey'>): QueueConfig => ({
  databaseUrl,
  masterKey,
  redisUrl: null,
});
const ring = (priority = 1): Ring => ({
  payload: { jobId: newId('job'), tenantId: newId('tenant') },
  attempt: 0,
  priority,
});
const until = async (what: () => boolean, timeoutMs = 10_000) => {
  for (const start = Date.now(); !what(); await delay(20))
    if (Date.now() - start > timeoutMs) throw new Error('It did not happen.');
};

function listen(config: QueueConfig, concurrency = 1) {
  const heard: JobPayload[] = [];
  const run = (payload: JobPayload) => Promise.resolve(void heard.push(payload));
  return { heard, consumer: open(consume({ config, queue: 'training', concurrency, run, log })) };
}

it('rings once for the same attempt, in the order of priority', async () => {
  const config = configOf(await database());
  const queues = open(openQueues(config, log));
  const [late, soon] = [ring(2), ring(1)];
  await queues.add('training', [late, late]);
  await queues.add('training', [soon, late]);
  const { heard } = listen(config);
  await until(() => heard.length === 2);
  await delay(300);
  expect(heard).toEqual([soon.payload, late.payload]);
});

it('may be started before its database is there, and does not freeze meanwhile', async () => {
  const there = await database();
  const name = `test_later_${Date.now().toString(36)}`;
  const config = configOf({ ...there, databaseUrl: inDatabase(there.databaseUrl, name) });
  const server = new pg.Client(inDatabase(there.databaseUrl, 'postgres'));
  await server.connect();
  closers.push(async () => {
    await server.query(`drop database if exists ${name}`);
    await server.end();
  });
  const { heard } = listen(config);
  const from = Date.now();
  await delay(1500);
  expect(Date.now() - from).toBeLessThan(2500);
  await server.query(`create database ${name} template concordat_template`);
  const queues = open(openQueues(config, log));
  await queues.add('training', [ring()]);
  await until(() => heard.length === 1);
});

it('comes back after all its connections are cut', async () => {
  const there = await database();
  const config = configOf(there);
  const queues = open(openQueues(config, log));
  const { heard } = listen(config);
  await queues.add('training', [ring()]);
  await until(() => heard.length === 1);
  await cutAll(there);
  await until(() => heard.length === 1);
  const again = ring();
  await queues.add('training', [again]).catch(() => queues.add('training', [again]));
  await until(() => heard.length === 2, 20_000);
});

it('a listener says when news may have been missed', async () => {
  const there = await database();
  const listener = openListener(there.databaseUrl);
  closers.push(() => listener.close());
  const heard: (string | null)[] = [];
  listener.on('concordat_test', (payload) => heard.push(payload));
  await until(() => heard.includes(null));
  expect(listener.isInTouch()).toBe(true);
  await tell(there, 'one');
  await until(() => heard.includes('one'));
  heard.length = 0;
  await cutAll(there);
  await until(() => heard.includes(null));
  await tell(there, 'two');
  await until(() => heard.includes('two'));
});

async function tell({ databaseUrl }: TestDatabase, payload: string): Promise<void> {
  const client = new pg.Client(databaseUrl);
  await client.connect();
  await client.query(`select pg_notify('concordat_test', $1)`, [payload]);
  await client.end();
}

async function cutAll({ databaseUrl }: TestDatabase): Promise<void> {
  const client = new pg.Client(databaseUrl);
  await client.connect();
  await client.query(`grant concordat_relay, concordat_app to current_user`).catch(() => undefined);
  await client.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
  );
  await client.end();
}

import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { expect, it } from 'vitest';
import { openListener } from '../../src/platform/listen.js';
import { createTestDatabase } from '../support/database.js';

async function until(holds: () => boolean): Promise<void> {
  for (const from = Date.now(); !holds(); await delay(10))
    if (Date.now() - from > 30_000) throw new Error('It does not become so.');
}

it('notices a connection that is open and silent, and comes back by another', async () => {
  const database = await createTestDatabase();
  const url = new URL(database.databaseUrl);
  const target = join(url.searchParams.get('host')!, '.s.PGSQL.5432');
  const folder = mkdtempSync(join(tmpdir(), 'concordat-listen-'));
  const pairs: [Socket, Socket][] = [];
  const sockets: Socket[] = [];
  const proxy = createServer((near) => {
    const far = connect(target);
    near.pipe(far).pipe(near);
    for (const socket of [near, far]) socket.on('error', () => undefined);
    pairs.push([near, far]);
    sockets.push(near, far);
  });
  await new Promise<void>((resolve) => proxy.listen(join(folder, '.s.PGSQL.5432'), resolve));
  url.searchParams.set('host', folder);
  const listener = openListener(url.toString());
  let news = 0;
  listener.on('concordat_test', (payload) => (news += payload === null ? 1 : 0));
  try {
    await until(() => listener.isInTouch() && news === 1);
    // From now on nothing passes, and nobody says so.
    for (const [near, far] of pairs.splice(0)) {
      near.unpipe(far).pause();
      far.unpipe(near).pause();
    }
    await until(() => !listener.isInTouch());
    await until(() => news === 2 && listener.isInTouch());
    expect(await listener.regainTouch()).toBe(true);
    proxy.close();
    for (const socket of sockets) socket.destroy();
    await until(() => !listener.isInTouch());
    expect(await listener.regainTouch()).toBe(false);
  } finally {
    await listener.close();
    for (const socket of sockets) socket.destroy();
    proxy.close();
    rmSync(folder, { recursive: true, force: true });
    await database.drop();
  }
});

it('asks one thing at a time, whoever begins to listen meanwhile', async () => {
  const database = await createTestDatabase();
  const listener = openListener(database.databaseUrl);
  const warnings: Error[] = [];
  const warn = (warning: Error) => warnings.push(warning);
  process.on('warning', warn);
  const heard = new Map<string, (string | null)[]>();
  try {
    listener.on('concordat_first', () => undefined);
    await until(() => listener.isInTouch());
    for (const channel of ['concordat_a', 'concordat_b', 'concordat_c']) {
      heard.set(channel, []);
      listener.on(channel, (payload) => heard.get(channel)!.push(payload));
    }
    await until(() => [...heard.values()].every((news) => news.length === 1));
    const other = new pg.Client(database.databaseUrl);
    await other.connect();
    await other.query(`select pg_notify('concordat_b', 'news')`);
    await other.end();
    await until(() => heard.get('concordat_b')!.length === 2);
    expect(Object.fromEntries(heard)).toEqual({
      concordat_a: [null],
      concordat_b: [null, 'news'],
      concordat_c: [null],
    });
    expect(warnings.map(String)).toEqual([]);
  } finally {
    process.off('warning', warn);
    await listener.close();
    await database.drop();
  }
});

import { cpSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Integrator } from '../../src/domain/audit/integrator.js';
import { batchText, endorsementText, LogKeys } from '../../src/domain/audit/log-key.service.js';
import { RecentEntries } from '../../src/domain/audit/recent-entries.js';
import { isSignedBy, keyId, verifierKey } from '../../src/domain/audit/note.js';
import { systemClock } from '../../src/platform/clock.js';
import { roleUrl, UnfitDatabaseError } from '../../src/platform/db.js';
import { openListener } from '../../src/platform/listen.js';
import { makeLog } from '../../src/platform/log.js';
import { createTestDatabase, inDatabase, type TestDatabase } from '../support/database.js';

let database: TestDatabase;
let home: string;
let closing: (() => Promise<void> | void)[] = [];
const origins: string[] = [];

beforeEach(async () => {
  database = await createTestDatabase();
  home = mkdtempSync(join(tmpdir(), 'concordat-test-'));
});
afterEach(async () => {
  for (const close of closing.reverse()) await close();
  closing = [];
  await database.drop();
  rmSync(home, { recursive: true });
});

async function openKeys(settings: { home?: string; databaseUrl?: string; listens?: boolean } = {}): Promise<LogKeys> {
  const url = roleUrl(settings.databaseUrl ?? database.databaseUrl, database.masterKey, 'concordat_ledger');
  const pool = new pg.Pool({ connectionString: url, max: 2 });
  const listener = settings.listens
    ? openListener(roleUrl(database.databaseUrl, database.masterKey, 'concordat_app'))
    : null;
  closing.push(
    () => pool.end(),
    () => listener?.close(),
  );
  const keys = await LogKeys.open({
    pool,
    masterKey: database.masterKey,
    home: settings.home ?? home,
    publicUrl: 'https://concordat.example',
    port: 4000,
    clock: systemClock,
    log: makeLog('silent', 'test'),
    listener,
  });
  closing.push(() => keys.close());
  origins.push(keys.origin);
  return keys;
}

async function asOwner<T extends pg.QueryResultRow>(text: string, url = database.databaseUrl): Promise<T[]> {
  const owner = new pg.Client(url);
  await owner.connect();
  try {
    return (await owner.query<T>(text)).rows;
  } finally {
    await owner.end();
  }
}

const batch = (firstIndex: number, size = 1) => ({
  firstIndex,
  size,
  root: Buffer.alloc(32, firstIndex),
  at: new Date(0),
});

describe('the keys of the log', () => {
  it('are made once, named as C2SP names keys, and lie sealed', async () => {
    const keys = await openKeys();
    expect(keys.origin).toMatch(/^concordat\.example\/[0-9a-f]{16}$/);
    const { id, publicKey } = keys.current();
    expect(id).toBe(keyId(keys.origin, 1, publicKey));
    const again = await openKeys();
    expect([again.origin, again.current().id]).toEqual([keys.origin, id]);
    const [row] = await asOwner<{ sealed: Buffer }>('select sealed_private_key as sealed from log_key');
    // nonce, 32 bytes, tag
    expect(row!.sealed).toHaveLength(60);
    // The example of c2sp.org/signed-note.
    const example = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k';
    const named = Buffer.from(example.split('+')[2]!, 'base64').subarray(1);
    expect(verifierKey('example.com/foo', 1, named)).toBe(example);
    const signature = Buffer.from(
      'Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=',
      'base64',
    );
    expect(isSignedBy(named, 'This is an example message.\n', signature.subarray(4))).toBe(true);
  });

  it('sign a batch, each index once', async () => {
    const keys = await openKeys();
    const signed = keys.signBatch(batch(0, 3));
    expect(isSignedBy(keys.current().publicKey, batchText(keys.origin, batch(0, 3)), signed.signature)).toBe(true);
    expect(signed.keyId).toBe(keys.current().id);
    keys.signBatch(batch(3));
    for (const first of [0, 2, 3]) expect(() => keys.signBatch(batch(first))).toThrow(/counts an index again/);
    keys.signBatch(batch(4));
  });

  it('are rotated in every process at once, the new one endorsed by the one before', async () => {
    const keys = await openKeys({ listens: true });
    const before = keys.current();
    const id = await (await openKeys()).rotate();
    await expect.poll(() => keys.current().id).toBe(id);
    expect(id).not.toBe(before.id);
    const rows = keys.list().keys;
    expect(rows.map((row) => [row.id, row.retiredAt === null, row.endorsedBy])).toEqual([
      [before.id, false, null],
      [id, true, before.id],
    ]);
    const text = endorsementText(keys.origin, keys.current().publicKey);
    expect(isSignedBy(before.publicKey, text, rows[1]!.endorsement!)).toBe(true);
    expect((await openKeys()).current().id).toBe(id);
  });
});

describe('the name of the log changes', () => {
  it('where the database is behind what was signed', async () => {
    const keys = await openKeys();
    keys.signBatch(batch(0, 3));
    const before = keys.current();
    // Nothing was recorded in this database: it was put back to before those three.
    const after = await openKeys();
    expect(after.origin).not.toBe(keys.origin);
    expect(after.began.because).toBe('RESTORED');
    const [, key] = after.list().keys;
    expect(isSignedBy(before.publicKey, endorsementText(after.origin, key!.publicKey), key!.endorsement!)).toBe(true);
    // A process that slept meanwhile finds out when it is given an index again.
    expect(() => keys.signBatch(batch(1))).toThrow(/counts an index again/);
    await expect.poll(() => keys.origin).toBe(after.origin);
    await asOwner('update audit_log set next_index = 2');
    keys.signBatch(batch(1));
    expect((await openKeys()).origin).toBe(after.origin);
  });

  it('where another log is remembered than the one that is there', async () => {
    const keys = await openKeys();
    await asOwner('update audit_log set next_index = 9');
    keys.remember({ origin: keys.origin, treeSize: 2, rootHash: 'ab'.repeat(32), note: null });
    expect((await openKeys()).began.because).toBe('RESTORED');
    keys.remember({ origin: 'unheard.of/0', treeSize: 2, rootHash: 'ab'.repeat(32), note: null });
    expect((await openKeys()).began.because).toBe('RESTORED');
  });

  it('where nothing is remembered, as in a home from a backup', async () => {
    const keys = await openKeys();
    rmSync(join(home, 'log-memory'), { recursive: true });
    const after = await openKeys();
    expect(after.origin).not.toBe(keys.origin);
    expect(after.began.because).toBe('NOTHING_REMEMBERED');
  });

  it('where what is remembered is a copy: of the home it was taken from, nothing is known any more', async () => {
    const keys = await openKeys({ listens: true });
    keys.signBatch(batch(0, 3));
    await asOwner('update audit_log set next_index = 3');
    const copy = mkdtempSync(join(tmpdir(), 'concordat-test-'));
    cpSync(home, copy, { recursive: true, preserveTimestamps: true });
    const after = await openKeys({ home: copy });
    expect(after.origin).not.toBe(keys.origin);
    expect(after.began.because).toBe('NOTHING_REMEMBERED');
    after.signBatch(batch(3));
    // Whoever had the name before signs nothing under the new one, of which it knows nothing.
    await expect.poll(() => keys.origin).toBe(after.origin);
    expect(() => keys.signBatch(batch(4))).toThrow('The log is kept by a process with another home.');
    // The folder in another place is the same one still.
    await asOwner('update audit_log set next_index = 4');
    renameSync(copy, `${copy}-moved`);
    expect((await openKeys({ home: `${copy}-moved` })).origin).toBe(after.origin);
    rmSync(`${copy}-moved`, { recursive: true });
  });

  it('not because a process with another home wants to begin beside one that runs: that one is refused', async () => {
    const keys = await openKeys();
    const url = roleUrl(database.databaseUrl, database.masterKey, 'concordat_ledger');
    const log = makeLog('silent', 'test');
    const integrator = new Integrator(url, { keys, recent: new RecentEntries(), clock: systemClock, log });
    integrator.start();
    closing.push(() => integrator.close());
    await expect
      .poll(() =>
        asOwner(
          `select from pg_stat_activity where application_name like 'concordat_integrator %' and datname = current_database()`,
        ),
      )
      .toHaveLength(1);
    const other = mkdtempSync(join(tmpdir(), 'concordat-test-'));
    const refused = openKeys({ home: other });
    await expect(refused).rejects.toBeInstanceOf(UnfitDatabaseError);
    await expect(refused).rejects.toThrow('another CONCORDAT_HOME');
    const beside = await openKeys();
    expect([beside.origin, keys.origin]).toEqual([keys.origin, keys.origin]);
    rmSync(other, { recursive: true });
  });

  it('where the database is an older copy of the one that it was', async () => {
    const closeAll = async () => {
      for (const close of closing.reverse()) await close();
      closing = [];
    };
    await openKeys();
    await closeAll();
    const name = new URL(database.databaseUrl).pathname.slice(1);
    const server = inDatabase(database.databaseUrl, 'postgres');
    await asOwner(`create database ${name}_copy template ${name}`, server);
    // Goes on after the backup, and is lost.
    const keys = await openKeys();
    await asOwner('update audit_log set next_index = 5');
    keys.signBatch(batch(0, 5));
    await closeAll();
    await asOwner(`drop database ${name}`, server);
    await asOwner(`alter database ${name}_copy rename to ${name}`, server);
    const after = await openKeys();
    expect(after.origin).not.toBe(keys.origin);
    expect(after.began.because).toBe('RESTORED');
    // The same indices, under the other name; the entry that tells of it is the first.
    after.signBatch(batch(1, 4));
    expect((await asOwner<{ kind: string }>('select kind from audit_entry')).map(({ kind }) => kind)).toEqual([
      'log.began',
    ]);
  });
});

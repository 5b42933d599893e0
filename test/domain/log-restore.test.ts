import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import type pg from 'pg';
import { expect, it, vi } from 'vitest';
import { openApp } from '../../src/app.js';
import { loadConfig } from '../../src/config.js';
import { findCheckpoint } from '../../src/domain/audit/tree.repo.js';
import { runOn } from '../../src/domain/audit/log-key.service.js';
import { openHome } from '../../src/launch/home.mjs';
import { removeHome } from '../../src/launch/postgres-files.mjs';
import { startPostgres } from '../../src/launch/postgres.mjs';
import { migrate } from '../../src/migrate.js';
import type { Scope } from '../../src/platform/scope.js';
import { forgetLineage, makeTenant } from './agreement-support.js';
import { classifier, registerModel } from './serving-support.js';

vi.setConfig({ testTimeout: 180_000 });

const MASTER_KEY = Buffer.alloc(32, 7);

/** What was signed while one process ran: of each index, under which name, and what. */
interface Signed {
  readonly origin: string;
  readonly because: string;
  readonly entries: ReadonlyMap<number, string>;
  /** Size and root of the last checkpoint. */
  readonly checkpoint: { readonly treeSize: number; readonly root: string; readonly origin: string };
}

let asking: { scope: Scope; endpointId: string } | null = null;

/** Starts database and platform over the home, answers some predictions, and stops both in order. */
async function run(home: string, count: number): Promise<Signed> {
  const server = await startPostgres({ home });
  try {
    await migrate(server.url, MASTER_KEY);
    const env = { DATABASE_URL: server.url, CONCORDAT_MASTER_KEY: MASTER_KEY.toString('hex'), CONCORDAT_HOME: home };
    const app = await openApp(loadConfig({ ...env, LOG_LEVEL: 'silent' }), 'test');
    app.integrator.start();
    try {
      if (!asking) {
        await forgetLineage(server.url);
        const scope = await makeTenant(app.db, 'Acme');
        const modelVersionId = await registerModel(app, scope.tenantId, classifier());
        asking = { scope, endpointId: (await app.endpoints.create(scope, { name: 'Credit', modelVersionId })).id };
      }
      const { scope, endpointId } = asking;
      const entries = new Map<number, string>();
      let origin = '';
      for (let i = 0; i < count; i++) {
        const { receipt } = await app.predictions.predict(scope, { endpointId, columns: { x: [i], city: ['Lyon'] } });
        ({ origin } = receipt);
        entries.set(receipt.entry.index, `${receipt.entry.predictionId} ${receipt.batch.signature}`);
      }
      const last = Math.max(...entries.keys());
      const read = () => findCheckpoint(runOn(app.db.ledger as unknown as pg.PoolClient));
      await expect.poll(async () => (await read())?.treeSize ?? 0).toBeGreaterThan(last);
      const { treeSize, rootHash, origin: named } = (await read())!;
      const checkpoint = { treeSize, root: rootHash.toString('hex'), origin: named };
      return { origin, because: app.logKeys.began.because, entries, checkpoint };
    } finally {
      await app.integrator.close();
      await app.close();
    }
  } finally {
    await server.stop();
  }
}

it.each([
  ['whole, as it stood', []],
  ['without log-memory, as the handbook says', ['--exclude=./log-memory']],
])('a home that is restored %s goes on under a new name: no index is signed twice under one', async (_, args) => {
  asking = null;
  const { path: home } = await openHome(mkdtempSync(join(realpathSync(tmpdir()), 'concordat-test-')));
  const backup = `${home}.tar`;
  const tar = (...rest: string[]) => expect(spawnSync('tar', rest).status).toBe(0);
  try {
    const before = await run(home, 3);
    tar('-C', home, ...args, '-cpf', backup, '.');
    // Goes on as what it was, and is lost.
    const lost = await run(home, 5);
    expect(lost.origin).toBe(before.origin);
    removeHome(home);
    mkdirSync(home);
    tar('-C', home, '-xpf', backup);
    const after = await run(home, 4);
    expect(after.because).toBe('NOTHING_REMEMBERED');
    expect(after.origin).not.toBe(before.origin);
    expect(after.checkpoint.origin).toBe(after.origin);
    // Indices are given again, which nobody could prevent; under the old name each was signed for one entry.
    const again = [...after.entries.keys()].filter((index) => lost.entries.has(index));
    expect(again.length).toBeGreaterThan(0);
    for (const index of again) expect(after.entries.get(index)).not.toBe(lost.entries.get(index));
    const signed = new Map<string, string>();
    for (const { origin, entries } of [before, lost, after])
      for (const [index, what] of entries) {
        expect(signed.get(`${origin} ${index}`) ?? what).toBe(what);
        signed.set(`${origin} ${index}`, what);
      }
    expect(signed.size).toBe(3 + 5 + 4);
    // Once more without a restore: the name stays.
    const later = await run(home, 1);
    expect(later.origin).toBe(after.origin);
  } finally {
    removeHome(home);
    rmSync(backup, { force: true });
  }
});

it('a home that is copied beside the one that goes on has a name of its own', async () => {
  asking = null;
  const { path: home } = await openHome(mkdtempSync(join(realpathSync(tmpdir()), 'concordat-test-')));
  const copy = `${home}-copy`;
  try {
    const before = await run(home, 2);
    expect(spawnSync('cp', ['-a', home, copy]).status).toBe(0);
    const ours = await run(home, 3);
    const theirs = await run(copy, 3);
    expect(ours.origin).toBe(before.origin);
    expect(theirs.origin).not.toBe(before.origin);
  } finally {
    removeHome(home);
    removeHome(copy);
  }
});

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inTenant } from '../../src/platform/db.js';
import { cancelJob } from '../../src/platform/jobs.js';
import { startWorkers, type Workers } from '../../workers/main.js';
import type { Processor } from '../../workers/processor.js';
import { enqueue, isOver, makeTenant, openPlatform, type Platform, readJob, type Tenant, untilJob } from './support.js';

const isInstalled = spawnSync('redis-server', ['--version']).status === 0;

/** The same code on Redis; where no redis-server is installed there is nothing to test it on. */
describe.skipIf(!isInstalled)('jobs on Redis', () => {
  let redis: ChildProcess;
  let home: string;
  let platform: Platform;
  let tenant: Tenant;
  let workers: Workers;
  let runs = 0;
  const work: Processor = async (_app, job, { signal }) => {
    runs++;
    if (job.subjectId === 'slow') await delay(60_000, undefined, { signal });
    if (job.subjectId === 'broken' && job.attempt < 2) throw new Error('broken');
    return () => Promise.resolve();
  };

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'concordat-redis-'));
    const port = await freePort();
    redis = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', home], {
      stdio: 'ignore',
    });
    platform = await openPlatform({ REDIS_URL: `redis://127.0.0.1:${port}`, CONCORDAT_WORKERS: '2' });
    tenant = await makeTenant(platform.app);
    workers = startWorkers(
      platform.app,
      { ingest: work, split: work, train: work, import: work, tune: work, evaluate: work, predict: work },
      {},
    );
  });

  afterAll(async () => {
    await workers?.close();
    await platform?.close();
    if (redis) await new Promise((resolve) => redis.once('exit', resolve) && redis.kill('SIGTERM'));
    rmSync(home, { recursive: true, force: true });
  });

  it('run, are tried again, and are cancelled within a second', async () => {
    const simple = await enqueue(platform.app, tenant, 'train', 'simple');
    expect(await untilJob(platform.app, tenant, simple, isOver)).toMatchObject({ state: 'SUCCEEDED', attempt: 1 });
    const broken = await enqueue(platform.app, tenant, 'split', 'broken');
    expect(await untilJob(platform.app, tenant, broken, isOver)).toMatchObject({ state: 'SUCCEEDED', attempt: 2 });
    const slow = await enqueue(platform.app, tenant, 'ingest', 'slow');
    await untilJob(platform.app, tenant, slow, (job) => job.state === 'RUNNING');
    const from = Date.now();
    await inTenant(platform.app.db, tenant, (tx) => cancelJob(tx, tenant, slow));
    await untilJob(platform.app, tenant, slow, isOver);
    expect(Date.now() - from).toBeLessThan(1000);
    expect(runs).toBe(4);
  });

  it('leave nothing of BullMQ in the database', async () => {
    const { rows } = await platform.app.db.relay.query<{ n: number }>(`select count(*)::int as n from bullmq.job`);
    expect(rows[0]!.n).toBe(0);
  });

  it('go on after the worker was closed and opened', async () => {
    const slow = await enqueue(platform.app, tenant, 'train', 'slow');
    await untilJob(platform.app, tenant, slow, (job) => job.state === 'RUNNING');
    await workers.close();
    expect(await readJob(platform.app, tenant, slow)).toMatchObject({ state: 'QUEUED', attempt: 1 });
    workers = startWorkers(
      platform.app,
      { ingest: work, split: work, train: work, import: work, tune: work, evaluate: work, predict: work },
      {},
    );
    await untilJob(platform.app, tenant, slow, (job) => job.state === 'RUNNING' && job.attempt === 2);
    await inTenant(platform.app.db, tenant, (tx) => cancelJob(tx, tenant, slow));
    await untilJob(platform.app, tenant, slow, isOver);
  });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

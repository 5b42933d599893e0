import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { inTenant } from '../../src/platform/db.js';
import { startWorkers, type Workers } from '../../workers/main.js';
import type { Processor } from '../../workers/processor.js';
import { enqueue, isOver, makeTenant, openPlatform, type Platform, type Tenant, untilJob } from './support.js';

const JOB_MS = 300;
/** Which tenants’ jobs were run, in order. */
const order: string[] = [];
let running = 0;
let mostOf = 0;
const work: Processor = async (_app, job, { signal }) => {
  order.push(job.tenantId);
  if (job.tenantId === greedy.tenantId) mostOf = Math.max(mostOf, ++running);
  await delay(JOB_MS, undefined, { signal });
  if (job.tenantId === greedy.tenantId) running--;
  return () => Promise.resolve();
};

let platform: Platform;
let greedy: Tenant;
let workers: Workers;

beforeAll(async () => {
  platform = await openPlatform({ CONCORDAT_WORKERS: '1', CONCORDAT_JOBS_PER_TENANT: '2' });
  greedy = await makeTenant(platform.app, 'Greedy');
});

afterAll(async () => {
  await workers?.close();
  await platform?.close();
});

it('a thousand jobs of one tenant delay the first job of another by the running one only', async () => {
  await inTenant(platform.app.db, greedy, (tx) =>
    tx.query(
      `with made as (
         insert into job (id, tenant_id, name, subject_id, max_attempts)
         select 'job_' || lpad(to_hex(n), 32, '0'), $1, 'train', 'subject', 3 from generate_series(1, 1000) n returning id)
       insert into outbox (tenant_id, job_id, queue) select $1, id, 'training' from made`,
      [greedy.tenantId],
    ),
  );
  workers = startWorkers(
    platform.app,
    { ingest: work, split: work, train: work, import: work, tune: work, evaluate: work, predict: work },
    {},
  );
  while (order.length < 3) await delay(20);
  for (const name of ['Modest', 'Later']) {
    const other = await makeTenant(platform.app, name);
    const before = order.length;
    const from = Date.now();
    const id = await enqueue(platform.app, other, 'train');
    await untilJob(platform.app, other, id, isOver);
    // What ran already may end, and one more may have been taken while this one was on its way to the queue.
    expect(order.indexOf(other.tenantId) - before).toBeLessThanOrEqual(1);
    expect(Date.now() - from).toBeLessThan(4 * JOB_MS + 500);
  }
  const released = await inTenant(platform.app.db, greedy, (tx) =>
    tx.query<{ n: number }[]>(
      `select count(*)::int as n from job where state in ('QUEUED', 'RUNNING') and released_at is not null`,
    ),
  );
  expect(released[0]!.n).toBeLessThanOrEqual(2);
  expect(mostOf).toBe(1);
});

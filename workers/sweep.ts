import { inTenant } from '../src/platform/db.js';
import { newId } from '../src/platform/ids.js';
import {
  type ClaimedJob,
  getJob,
  type JobName,
  lockStale,
  QUEUES,
  type QueueName,
  requeueJob,
} from '../src/platform/jobs.js';
import type { Queues } from '../src/platform/queue.js';
import { endWith, type Host, systemScope } from './processor.js';
import { namesOf } from './relay.js';
import { every, type Repeating } from './repeat.js';

/** Longer than a worker without a database goes on (processor.ts), so that no two run the same job for long. */
export const STALE_MS = 10_000;
/** A released job that nobody has taken for so long is rung for again: its message may be lost. The same ring twice is one. */
const LOST_MS = 30_000;
const SWEEP_MS = 3000;
/** How often the disk is looked through for files that nothing refers to. */
const BLOB_SWEEP_MS = 600_000;
/** How often the ends of agreements are recorded; they are held without it. */
const EXPIRY_SWEEP_MS = 60_000;

/** Heals what crashes leave behind. Every worker process sweeps; doing it twice changes nothing. */
export function startSweep(host: Host, queues: Queues): Repeating {
  const { app } = host;
  const jobs = every(SWEEP_MS, app.log, async () => {
    await reviveStale(host, STALE_MS);
    for (const queue of QUEUES) await ringAgain(host, queues, queue);
  });
  const blobs = every(BLOB_SWEEP_MS, app.log, async () => {
    const removed = await app.blobs.sweep(app.db, app.clock.now());
    if (removed > 0) app.log.info({ removed }, 'files that nothing refers to');
  });
  const agreements = every(EXPIRY_SWEEP_MS, app.log, async () => {
    const scopeOf = (tenantId: string) => systemScope({ id: 'sweep', tenantId }, newId('request'), host.stop);
    await app.agreements.recordExpired(scopeOf);
  });
  return {
    now: jobs.now,
    close: async () => {
      await Promise.all([jobs.close(), blobs.close(), agreements.close()]);
    },
  };
}

/** Jobs whose worker has given no sign of life go back to the queue, or end if that has happened too often. */
export async function reviveStale(host: Host, staleMs: number): Promise<void> {
  const { app } = host;
  const { rows } = await app.db.relay.query<{ id: string; tenantId: string; attempt: number }>(
    `select id, tenant_id as "tenantId", attempt from job
     where state = 'RUNNING' and heartbeat_at < now() - $1 * interval '1 ms' order by heartbeat_at limit 100`,
    [staleMs],
  );
  for (const row of rows) {
    const job = await inTenant(app.db, row, async (tx) => {
      if (!(await lockStale(tx, row, staleMs))) return null;
      const stale = (await getJob(tx, row, row.id)) as ClaimedJob;
      if (stale.cancelRequested || stale.attempt >= stale.maxAttempts) return stale;
      await requeueJob(tx, stale, { delayMs: 0, forgiven: false });
      app.log.warn(
        { job: stale.name, jobId: stale.id, tenantId: stale.tenantId, attempt: stale.attempt },
        'job taken back from a silent worker',
      );
      return null;
    });
    if (!job) continue;
    const message = `Its worker ended without a word, ${job.attempt} times.`;
    const end = job.cancelRequested
      ? ({ state: 'CANCELLED', code: null, message: null } as const)
      : ({ state: 'FAILED', code: 'INTERNAL', message } as const);
    await endWith(app, host.endings, { job, scope: systemScope(job, newId('request'), host.stop), end });
  }
}

async function ringAgain({ app }: Host, queues: Queues, queue: QueueName): Promise<void> {
  const names: JobName[] = namesOf(queue);
  const { rows } = await app.db.relay.query<{ jobId: string; tenantId: string; attempt: number }>(
    `select id as "jobId", tenant_id as "tenantId", attempt from job
     where state = 'QUEUED' and name = any($1) and released_at < now() - $2 * interval '1 ms' order by released_at limit 100`,
    [names, LOST_MS],
  );
  await queues.add(
    queue,
    rows.map(({ jobId, tenantId, attempt }) => ({ payload: { jobId, tenantId }, attempt, priority: 1 })),
  );
}

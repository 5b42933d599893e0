import type { App } from '../src/app.js';
import { JOBS, type JobName, QUEUES, type QueueName } from '../src/platform/jobs.js';
import type { Listener } from '../src/platform/listen.js';
import type { Queues, Ring } from '../src/platform/queue.js';
import { every, type Repeating } from './repeat.js';

/** Any number that no other lock of ours has. Two relays at once would release more than a tenant's share. */
const RELAY_LOCK = 4711_0816;
const POLL_MS = 1000;

/**
 * Hands waiting jobs to the queue: at most `jobsPerTenant` of a tenant at a time, turn by turn. The first unfinished job of a
 * tenant goes before the second of any other, so that nobody's thousand jobs delay another's first one by more than those that run.
 */
export function startRelay(app: App, queues: Queues, listener: Listener): Repeating {
  const repeating = every(POLL_MS, app.log, async () => {
    for (const queue of QUEUES) await release(app, queues, queue);
  });
  // A new job; and the end of one, which makes room for the next.
  const stops = [listener.on('concordat_outbox', repeating.now), listener.on('concordat_job', repeating.now)];
  return {
    now: repeating.now,
    close: async () => {
      for (const stop of stops) stop();
      await repeating.close();
    },
  };
}

interface Waiting {
  readonly outboxId: number;
  readonly tenantId: string;
  readonly jobId: string;
  readonly attempt: number;
  readonly state: string;
  readonly turn: number;
}

const NEXT = `
  select o.id as "outboxId", o.tenant_id as "tenantId", o.job_id as "jobId", j.attempt, j.state, busy.jobs + o.turn as turn
  from (select distinct tenant_id from outbox where queue = $1 and available_at <= now()) waiting
  cross join lateral (
    select count(*)::int as jobs from job
    where tenant_id = waiting.tenant_id and name = any($2) and state in ('QUEUED', 'RUNNING') and released_at is not null
  ) busy
  cross join lateral (
    select id, tenant_id, job_id, (row_number() over (order by id))::int as turn from outbox
    where queue = $1 and tenant_id = waiting.tenant_id and available_at <= now()
    order by id limit greatest($3 - busy.jobs, 0)
  ) o
  join job j on j.tenant_id = o.tenant_id and j.id = o.job_id
  order by turn, o.id limit 500`;

/** One transaction: if it fails after the queue has the messages, they are sent again and ring for nothing. */
async function release(app: App, queues: Queues, queue: QueueName): Promise<void> {
  const client = await app.db.relay.connect();
  try {
    await client.query('begin');
    const lock = await client.query<{ mine: boolean }>(`select pg_try_advisory_xact_lock($1) as mine`, [RELAY_LOCK]);
    if (lock.rows[0]?.mine) {
      const { rows } = await client.query<Waiting>(NEXT, [queue, namesOf(queue), app.config.jobsPerTenant]);
      if (rows.length > 0) {
        await queues.add(queue, rows.filter((row) => row.state === 'QUEUED').map(ringOf));
        await client.query(`update job set released_at = now() where id = any($1)`, [rows.map((row) => row.jobId)]);
        await client.query(`delete from outbox where id = any($1)`, [rows.map((row) => row.outboxId)]);
      }
    }
    await client.query('commit');
    client.release();
  } catch (error) {
    // The connection may be in the midst of anything.
    client.release(true);
    throw error;
  }
}

function ringOf({ tenantId, jobId, attempt, turn }: Waiting): Ring {
  return { payload: { tenantId, jobId }, attempt, priority: turn };
}

export function namesOf(queue: QueueName): JobName[] {
  return (Object.keys(JOBS) as JobName[]).filter((name) => JOBS[name].queue === queue);
}

import type { Tx } from './db.js';
import { AppError, notFound } from './errors.js';
import { kindOf, newId } from './ids.js';
import type { Scope } from './scope.js';

/**
 * The whole contract of background work. `queue`: the BullMQ queue, one Worker each. `attempts`: how often a run may start;
 * a job that ends in an AppError of the tenant's own making is never tried again. `memoryShare`: of the child's memory limit.
 * The subject names what is worked on; queue payloads are ids only.
 */
export const JOBS = {
  ingest: { queue: 'data', attempts: 3, subject: 'datasetVersion', memoryShare: 0.5 },
  split: { queue: 'data', attempts: 3, subject: 'split', memoryShare: 0.5 },
  train: { queue: 'training', attempts: 3, subject: 'training', memoryShare: 1 },
  import: { queue: 'training', attempts: 3, subject: 'modelImport', memoryShare: 1 },
  tune: { queue: 'training', attempts: 3, subject: 'study', memoryShare: 1 },
  evaluate: { queue: 'training', attempts: 3, subject: 'evaluation', memoryShare: 1 },
  predict: { queue: 'prediction', attempts: 3, subject: 'batchPrediction', memoryShare: 0.5 },
} as const;

export const JOB_STATES = ['QUEUED', 'RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLED'] as const;

/** Whether nothing more happens to the job, unless somebody retries it. */
export function isFinal(state: JobState): boolean {
  return state !== 'QUEUED' && state !== 'RUNNING';
}

export type JobName = keyof typeof JOBS;
export type JobState = (typeof JOB_STATES)[number];
export type QueueName = (typeof JOBS)[JobName]['queue'];

export const QUEUES: readonly QueueName[] = [...new Set(Object.values(JOBS).map((job) => job.queue))];

/** What the queue carries. The row in `job` is the truth. */
export interface JobPayload {
  readonly jobId: string;
  readonly tenantId: string;
}

/** How far a job is: `phase` is a word of the job's own (`reading`, `training`); the rest is JSON for whoever watches. */
export interface JobProgress {
  readonly phase: string;
  /** 0 to 1, or absent where nobody can know. */
  readonly fraction?: number | null;
  readonly [detail: string]: unknown;
}

export interface Job {
  readonly id: string;
  readonly tenantId: string;
  readonly name: JobName;
  readonly subjectId: string;
  readonly state: JobState;
  /** The fence: only the run that holds the current number may finish the job. */
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly cancelRequested: boolean;
  readonly progress: JobProgress | null;
  readonly errorCode: string | null;
  readonly errorMessage: string | null;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
}

/** A job in the hands of a worker. */
export type ClaimedJob = Job & { readonly state: 'RUNNING' };

const COLUMNS = `id, tenant_id as "tenantId", name, subject_id as "subjectId", state, attempt, max_attempts as "maxAttempts",
  cancel_requested as "cancelRequested", progress, error_code as "errorCode", error_message as "errorMessage",
  created_at as "createdAt", started_at as "startedAt", finished_at as "finishedAt"`;

/** The condition under which a run may still write: it holds the current attempt. $1 tenant, $2 job, $3 attempt. */
const MINE = `tenant_id = $1 and id = $2 and attempt = $3 and state = 'RUNNING'`;

type Mine = Pick<Job, 'tenantId' | 'id' | 'attempt'>;

/** Inserts the job and its outbox row in the caller's transaction: asked for together with what it is for, or not at all. */
export async function enqueueJob(
  tx: Tx,
  scope: Pick<Scope, 'tenantId'>,
  job: { name: JobName; subjectId: string },
): Promise<string> {
  const id = newId('job');
  await tx.query(`insert into job (id, tenant_id, name, subject_id, max_attempts) values ($1, $2, $3, $4, $5)`, [
    id,
    scope.tenantId,
    job.name,
    job.subjectId,
    JOBS[job.name].attempts,
  ]);
  await ring(tx, { id, tenantId: scope.tenantId, name: job.name }, 0);
  return id;
}

/** Asks the relay to tell the queue, `delayMs` from now. */
async function ring(tx: Tx, job: Pick<Job, 'id' | 'tenantId' | 'name'>, delayMs: number): Promise<void> {
  await tx.query(
    `insert into outbox (tenant_id, job_id, queue, available_at) values ($1, $2, $3, now() + $4 * interval '1 ms')`,
    [job.tenantId, job.id, JOBS[job.name].queue, delayMs],
  );
}

/** Takes a queued job. Null: somebody else has it, or it is over; then there is nothing to do. */
export async function claimJob(tx: Tx, payload: JobPayload): Promise<ClaimedJob | null> {
  const [row] = await update<ClaimedJob>(
    tx,
    `set state = 'RUNNING', attempt = attempt + 1, started_at = coalesce(started_at, now()), heartbeat_at = now(), progress = null
     where tenant_id = $1 and id = $2 and state = 'QUEUED'`,
    [payload.tenantId, payload.jobId],
  );
  return row ?? null;
}

/** A sign of life, with the progress if there is news of it. `LOST`: another run has the job, or it is over. */
export async function beatJob(tx: Tx, mine: Mine, progress: JobProgress | null): Promise<'GO_ON' | 'CANCEL' | 'LOST'> {
  const [row] = await update<Job>(
    tx,
    `set heartbeat_at = now(), progress = coalesce($4::jsonb, progress) where ${MINE}`,
    [mine.tenantId, mine.id, mine.attempt, progress && JSON.stringify(progress)],
  );
  if (!row) return 'LOST';
  return row.cancelRequested ? 'CANCEL' : 'GO_ON';
}

/** Whether this run still holds the job; if so, nobody takes it before the transaction ends. */
export async function holdJob(tx: Tx, mine: Mine): Promise<boolean> {
  const rows = await tx.query<unknown[]>(`select from job where ${MINE} for share`, [
    mine.tenantId,
    mine.id,
    mine.attempt,
  ]);
  return rows.length === 1;
}

/** Marks success, if this run still holds the job and nobody has cancelled it; the row stays locked until the commit. */
export async function succeedJob(tx: Tx, mine: Mine): Promise<boolean> {
  const rows = await update<Job>(
    tx,
    `set state = 'SUCCEEDED', finished_at = now(), error_code = null, error_message = null where ${MINE} and not cancel_requested`,
    [mine.tenantId, mine.id, mine.attempt],
  );
  return rows.length === 1;
}

/** Ends the job without success, if this run still holds it. */
export async function endJob(
  tx: Tx,
  mine: Mine,
  end: { state: 'FAILED' | 'CANCELLED'; code: string | null; message: string | null },
): Promise<boolean> {
  const rows = await update<Job>(
    tx,
    `set state = $4, error_code = $5, error_message = $6, finished_at = now() where ${MINE}`,
    [mine.tenantId, mine.id, mine.attempt, end.state, end.code, end.message],
  );
  return rows.length === 1;
}

/**
 * Gives the job back to the queue, if this run still holds it. `forgiven`: the run ended through no fault of the job (its worker
 * was stopped), and does not count against its attempts.
 */
export async function requeueJob(
  tx: Tx,
  mine: Mine & Pick<Job, 'name'>,
  { delayMs, forgiven }: { delayMs: number; forgiven: boolean },
): Promise<boolean> {
  const rows = await update<Job>(
    tx,
    `set state = 'QUEUED', released_at = null, heartbeat_at = null, progress = null, max_attempts = max_attempts + $4 where ${MINE}`,
    [mine.tenantId, mine.id, mine.attempt, forgiven ? 1 : 0],
  );
  if (rows.length === 1) await ring(tx, mine, delayMs);
  return rows.length === 1;
}

/** Locks the row of a run that has not beaten for `staleMs`. False: it has, or it is no longer the current one. */
export async function lockStale(tx: Tx, mine: Mine, staleMs: number): Promise<boolean> {
  const rows = await tx.query<unknown[]>(
    `select from job where ${MINE} and heartbeat_at < now() - $4 * interval '1 ms' for update`,
    [mine.tenantId, mine.id, mine.attempt, staleMs],
  );
  return rows.length === 1;
}

/**
 * Asks for the end of a job. One that still waits ends here and now; a running one ends within a second, through its worker,
 * which looks at the flag. Throws CONFLICT if it is over already.
 */
export async function cancelJob(tx: Tx, scope: Pick<Scope, 'tenantId'>, id: string): Promise<Job> {
  const [row] = await update<Job>(
    tx,
    `set cancel_requested = true,
       finished_at = case when state = 'QUEUED' then now() end,
       state = case when state = 'QUEUED' then 'CANCELLED' else state end
     where tenant_id = $1 and id = $2 and state in ('QUEUED', 'RUNNING')`,
    [scope.tenantId, id],
  );
  if (row) return row;
  const job = await getJob(tx, scope, id);
  throw new AppError('CONFLICT', `This job is over: it is ${job.state}.`);
}

/** Queues a failed or cancelled job again, with as many attempts as at first. Throws CONFLICT for any other. */
export async function retryJob(tx: Tx, scope: Pick<Scope, 'tenantId'>, id: string): Promise<Job> {
  const job = await getJob(tx, scope, id);
  const [row] = await update<Job>(
    tx,
    `set state = 'QUEUED', cancel_requested = false, max_attempts = attempt + $3, error_code = null, error_message = null,
       progress = null, released_at = null, heartbeat_at = null, finished_at = null
     where tenant_id = $1 and id = $2 and state in ('FAILED', 'CANCELLED')`,
    [scope.tenantId, id, JOBS[job.name].attempts],
  );
  if (!row) throw new AppError('CONFLICT', `Only a failed or cancelled job can be retried; this one is ${job.state}.`);
  await ring(tx, row, 0);
  return row;
}

export async function findJob(tx: Tx, scope: Pick<Scope, 'tenantId'>, id: string): Promise<Job | null> {
  if (kindOf(id) !== 'job') return null;
  const [row] = await tx.query<Job[]>(`select ${COLUMNS} from job where tenant_id = $1 and id = $2`, [
    scope.tenantId,
    id,
  ]);
  return row ?? null;
}

export async function getJob(tx: Tx, scope: Pick<Scope, 'tenantId'>, id: string): Promise<Job> {
  const job = await findJob(tx, scope, id);
  if (!job) throw notFound('job');
  return job;
}

/** Jobs by id, in the order asked for; for DataLoaders. */
export async function findJobs(
  tx: Tx,
  scope: Pick<Scope, 'tenantId'>,
  ids: readonly string[],
): Promise<(Job | null)[]> {
  const rows = await tx.query<Job[]>(`select ${COLUMNS} from job where tenant_id = $1 and id = any($2)`, [
    scope.tenantId,
    ids,
  ]);
  const byId = new Map(rows.map((row) => [row.id, row]));
  return ids.map((id) => byId.get(id) ?? null);
}

/** The latest job of a subject. */
export async function findJobOf(tx: Tx, scope: Pick<Scope, 'tenantId'>, subjectId: string): Promise<Job | null> {
  const [row] = await tx.query<Job[]>(
    `select ${COLUMNS} from job where tenant_id = $1 and subject_id = $2 order by id desc limit 1`,
    [scope.tenantId, subjectId],
  );
  return row ?? null;
}

async function update<Row>(tx: Tx, statement: string, parameters: unknown[]): Promise<Row[]> {
  // TypeORM answers an update with [rows, count].
  const [rows] = await tx.query<[Row[], number]>(`update job ${statement} returning ${COLUMNS}`, parameters);
  return rows;
}

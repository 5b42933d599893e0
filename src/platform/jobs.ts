import type { Tx } from './db.js';
import { newId } from './ids.js';
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
} as const;

export type JobName = keyof typeof JOBS;
export type JobState = 'QUEUED' | 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'CANCELLED';

/** What the queue carries. The row in `job` is the truth. */
export interface JobPayload {
  readonly jobId: string;
  readonly tenantId: string;
}

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
  await tx.query(`insert into outbox (tenant_id, job_id) values ($1, $2)`, [scope.tenantId, id]);
  return id;
}

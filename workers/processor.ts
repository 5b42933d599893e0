import type { App } from '../src/app.js';
import type { Tx } from '../src/platform/db.js';
import type { ClaimedJob, JobName, JobProgress } from '../src/platform/jobs.js';
import type { Scope } from '../src/platform/scope.js';

export interface JobContext {
  /** Of the job's tenant; the actor is the platform itself (SYSTEM, the job's id). */
  readonly scope: Scope;
  /** Aborted when the job is cancelled, has been given to another worker, or this worker stops. Pass it to `runChild`. */
  readonly signal: AbortSignal;
  /** Shown to whoever watches the job. Call it as often as you like: it is written at most a few times a second. */
  progress(progress: JobProgress): Promise<void>;
}

/** Run in the transaction that marks the job SUCCEEDED, and only if this run still holds the job: exactly once. Audit last. */
export type Finish = (tx: Tx, scope: Scope) => Promise<void>;

/**
 * Does the work outside of any transaction, may be run twice or be killed at any moment, and returns what is to be stored. An
 * AppError is the job's final failure, told as it is; any other error is tried again, then told without its message.
 */
export type Processor = (app: App, job: ClaimedJob, context: JobContext) => Promise<Finish>;

/** One for each name of `platform/jobs.ts`: a job without a processor does not compile. */
export type Processors = { readonly [K in JobName]: Processor };

export interface JobEnd {
  readonly state: 'FAILED' | 'CANCELLED';
  readonly code: string | null;
  readonly message: string | null;
}

/** What else is to be stored, in the same transaction, when a job ends without success: the state of its subject, the audit entry. */
export type Endings = {
  readonly [K in JobName]?: (app: App, tx: Tx, end: { job: ClaimedJob; scope: Scope; end: JobEnd }) => Promise<void>;
};

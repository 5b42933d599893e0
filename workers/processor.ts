import type { App } from '../src/app.js';
import { inTenant, type Tx } from '../src/platform/db.js';
import { AppError } from '../src/platform/errors.js';
import { newId } from '../src/platform/ids.js';
import {
  beatJob,
  claimJob,
  type ClaimedJob,
  endJob,
  type Job,
  type JobName,
  type JobPayload,
  type JobProgress,
  requeueJob,
  succeedJob,
} from '../src/platform/jobs.js';
import { withLogFields } from '../src/platform/log.js';
import { makeScope, type Scope } from '../src/platform/scope.js';

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

/** Everything that running a job needs. `stop`: aborted when this worker is to end; its jobs then go back to the queue. */
export interface Host {
  readonly app: App;
  readonly processors: Processors;
  readonly endings: Endings;
  readonly stop: AbortSignal;
}

/** How often a running job shows that it lives, writes its progress and looks for its cancellation. */
const BEAT_MS = 400;
/** A worker that cannot reach the database for so long lets go: another one may have its jobs already (see sweep.ts). */
const OUT_OF_TOUCH_MS = 8000;
/** Before the second run, the third, ... */
const BACK_OFF_MS = [1000, 5000, 25_000];

/** Why a run was broken off, as the reason of its signal. */
class Stopped extends Error {
  constructor(readonly why: 'CANCELLED' | 'LOST' | 'SHUTDOWN') {
    super(`Stopped: ${why}.`);
  }
}

/** From the ring of the queue to the last word in the row. Never throws: the queue is only a doorbell. */
export async function runJob(host: Host, payload: JobPayload): Promise<void> {
  const { app } = host;
  try {
    const job = await inTenant(app.db, payload, (tx) => claimJob(tx, payload));
    if (!job) return;
    const requestId = newId('request');
    await withLogFields({ jobId: job.id, tenantId: job.tenantId, requestId }, () => runClaimed(host, job, requestId));
  } catch (error) {
    // The row stays as it is, and the sweep finds it.
    app.log.error({ jobId: payload.jobId, error: (error as Error).message }, 'job left to the sweep');
  }
}

async function runClaimed(host: Host, job: ClaimedJob, requestId: string): Promise<void> {
  const { app } = host;
  const startedMs = performance.now();
  const run = new AbortController();
  const scope = systemScope(job, requestId, run.signal);
  const shutDown = () => run.abort(new Stopped('SHUTDOWN'));
  host.stop.addEventListener('abort', shutDown, { once: true });
  if (host.stop.aborted) shutDown();
  if (job.cancelRequested) run.abort(new Stopped('CANCELLED'));
  const heart = startHeart(app, job, run);
  let failure: unknown = null;
  try {
    run.signal.throwIfAborted();
    const finish = await host.processors[job.name](app, job, { scope, signal: run.signal, progress: heart.progress });
    run.signal.throwIfAborted();
    await inTenant(app.db, job, async (tx) => {
      if (!(await succeedJob(tx, job))) throw new Stopped(await whyNot(tx, job));
      await finish(tx, scope);
    });
  } catch (error) {
    failure = run.signal.aborted ? (run.signal.reason as Error) : error;
  } finally {
    host.stop.removeEventListener('abort', shutDown);
    await heart.stop();
  }
  const outcome = failure === null ? 'SUCCEEDED' : await settle(host, { job, scope, failure });
  app.log.info(
    { job: job.name, attempt: job.attempt, outcome, elapsedMs: Math.round(performance.now() - startedMs) },
    'job run',
  );
}

/** Jobs act for the platform, inside one tenant. Services check tenants, not permissions: those are checked at the edge. */
export function systemScope(job: Pick<Job, 'id' | 'tenantId'>, requestId: string, signal: AbortSignal): Scope {
  return makeScope({
    tenantId: job.tenantId,
    actor: { kind: 'SYSTEM', id: job.id },
    permissions: new Set(),
    requestId,
    signal,
  });
}

async function whyNot(tx: Tx, job: ClaimedJob): Promise<'CANCELLED' | 'LOST'> {
  return (await beatJob(tx, job, null)) === 'CANCEL' ? 'CANCELLED' : 'LOST';
}

/** What becomes of a job whose run did not succeed. */
async function settle(
  { app, endings }: Host,
  run: { job: ClaimedJob; scope: Scope; failure: unknown },
): Promise<string> {
  const { job, scope, failure } = run;
  if (failure instanceof Stopped && failure.why === 'LOST') return 'LOST';
  if (failure instanceof Stopped && failure.why === 'SHUTDOWN') {
    await inTenant(app.db, job, (tx) => requeueJob(tx, job, { delayMs: 0, forgiven: true }));
    return 'REQUEUED';
  }
  const isFinal = failure instanceof AppError && failure.code !== 'UNAVAILABLE' && failure.code !== 'INTERNAL';
  if (!(failure instanceof Stopped) && !isFinal) {
    const { name, stack } = failure instanceof Error ? failure : new Error(String(failure));
    // The frames alone: the message of an unknown error may hold rows.
    const frames = stack?.split('\n').filter((line) => /^\s+at /.test(line));
    app.log.error({ job: job.name, attempt: job.attempt, error: name, frames }, 'job run failed');
    if (job.attempt < job.maxAttempts) {
      const delayMs = BACK_OFF_MS[Math.min(job.attempt, BACK_OFF_MS.length) - 1]!;
      await inTenant(app.db, job, (tx) => requeueJob(tx, job, { delayMs, forgiven: false }));
      return 'REQUEUED';
    }
  }
  const end = endOf(job, failure);
  await endWith(app, endings, { job, scope, end });
  return end.state;
}

function endOf(job: Job, failure: unknown): JobEnd {
  if (failure instanceof Stopped) return { state: 'CANCELLED', code: null, message: null };
  if (failure instanceof AppError) return { state: 'FAILED', code: failure.code, message: failure.message };
  const tries = job.attempt === 1 ? 'once' : `${job.attempt} times`;
  return { state: 'FAILED', code: 'INTERNAL', message: `The work was tried ${tries} and failed inside the platform.` };
}

/** Ends the job without success, with whatever its domain stores at such an end, if the attempt is still the current one. */
export async function endWith(
  app: App,
  endings: Endings,
  run: { job: ClaimedJob; scope: Scope; end: JobEnd },
): Promise<boolean> {
  return inTenant(app.db, run.job, async (tx) => {
    if (!(await endJob(tx, run.job, run.end))) return false;
    await endings[run.job.name]?.(app, tx, run);
    return true;
  });
}

interface Heart {
  readonly progress: (progress: JobProgress) => Promise<void>;
  stop(): Promise<void>;
}

/** Beats until stopped; aborts the run when it is cancelled, lost, or out of touch with the database. */
function startHeart(app: App, job: ClaimedJob, run: AbortController): Heart {
  let news: JobProgress | null = null;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let inTouchAt = performance.now();
  const beat = async () => {
    const telling = news;
    news = null;
    try {
      const answer = await inTenant(app.db, job, (tx) => beatJob(tx, job, telling));
      inTouchAt = performance.now();
      if (answer === 'CANCEL') run.abort(new Stopped('CANCELLED'));
      if (answer === 'LOST') run.abort(new Stopped('LOST'));
    } catch (error) {
      news ??= telling;
      app.log.warn({ error: (error as Error).message }, 'heartbeat failed');
      if (performance.now() - inTouchAt > OUT_OF_TOUCH_MS) run.abort(new Stopped('LOST'));
    }
  };
  let beating = Promise.resolve();
  const next = () => {
    timer = setTimeout(() => {
      beating = beat().then(() => {
        if (!stopped) next();
      });
    }, BEAT_MS);
  };
  next();
  return {
    progress: (progress) => {
      news = progress;
      return Promise.resolve();
    },
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await beating;
    },
  };
}

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inTenant } from '../../src/platform/db.js';
import { runChild } from '../../src/platform/child.js';
import { AppError } from '../../src/platform/errors.js';
import { newId } from '../../src/platform/ids.js';
import { cancelJob, retryJob } from '../../src/platform/jobs.js';
import { startWorkers, type Workers } from '../../workers/main.js';
import type { Endings, Processor } from '../../workers/processor.js';
import { reviveStale } from '../../workers/sweep.js';
import { enqueue, isOver, makeTenant, openPlatform, type Platform, readJob, type Tenant, untilJob } from './support.js';

const program = new URL('../platform/child-program.js', import.meta.url);

/** What the processor under test does next, by the subject of the job. */
const work = new Map<string, Processor>();
const doIt: Processor = (app, job, context) => work.get(job.subjectId)!(app, job, context);
const finished: string[] = [];
const ended: string[] = [];
const endings: Endings = {
  train: (_app, _tx, { job, end }) => {
    ended.push(`${job.subjectId} ${end.state} ${end.code}`);
    return Promise.resolve();
  },
};
const processors = { ingest: doIt, split: doIt, train: doIt, import: doIt, tune: doIt, evaluate: doIt, predict: doIt };
const nothing: Processor = (_app, job) =>
  Promise.resolve(() => {
    finished.push(job.subjectId);
    return Promise.resolve();
  });
const sleep: Processor = async (_app, job, { signal, progress }) => {
  await runChild({
    program,
    input: { do: 'sleep' },
    memoryLimitMb: 256,
    signal,
    onProgress: () => void progress({ phase: 'sleeping', fraction: 0.5 }),
  });
  return nothing(_app, job, { signal } as never);
};

let platform: Platform;
let tenant: Tenant;
let workers: Workers;

const start = async (processor: Processor, subject: string) => {
  work.set(subject, processor);
  return enqueue(platform.app, tenant, 'train', subject);
};

beforeAll(async () => {
  platform = await openPlatform({ CONCORDAT_WORKERS: '4', CONCORDAT_JOBS_PER_TENANT: '4' });
  tenant = await makeTenant(platform.app);
  workers = startWorkers(platform.app, processors, endings);
});

afterAll(async () => {
  await workers?.close();
  await platform?.close();
});

describe('a job', () => {
  it('goes from the outbox through the queue to its end, and its finish runs once', async () => {
    const id = await start(nothing, 'simple');
    expect(await untilJob(platform.app, tenant, id, isOver)).toMatchObject({
      state: 'SUCCEEDED',
      attempt: 1,
      errorCode: null,
    });
    expect(finished.filter((subject) => subject === 'simple')).toHaveLength(1);
  });

  it('starts within half a second on an idle platform', async () => {
    const from = Date.now();
    const id = await start(nothing, 'quick');
    await untilJob(platform.app, tenant, id, isOver);
    expect(Date.now() - from).toBeLessThan(500);
  });

  it('shows its progress, and ends within a second when cancelled', async () => {
    const id = await start(sleep, 'cancelled');
    const running = await untilJob(platform.app, tenant, id, (job) => job.progress !== null);
    expect(running).toMatchObject({ state: 'RUNNING', progress: { phase: 'sleeping', fraction: 0.5 } });
    const from = Date.now();
    await inTenant(platform.app.db, tenant, (tx) => cancelJob(tx, tenant, id));
    expect(await untilJob(platform.app, tenant, id, isOver)).toMatchObject({ state: 'CANCELLED', errorCode: null });
    expect(Date.now() - from).toBeLessThan(1000);
    expect(ended).toContain('cancelled CANCELLED null');
    expect(finished).not.toContain('cancelled');
  });

  it('can be retried after it was cancelled, and keeps counting its attempts', async () => {
    const id = await start(sleep, 'retried');
    await untilJob(platform.app, tenant, id, (job) => job.state === 'RUNNING');
    await inTenant(platform.app.db, tenant, (tx) => cancelJob(tx, tenant, id));
    await untilJob(platform.app, tenant, id, isOver);
    work.set('retried', nothing);
    await inTenant(platform.app.db, tenant, (tx) => retryJob(tx, tenant, id));
    expect(await untilJob(platform.app, tenant, id, (job) => job.state === 'SUCCEEDED')).toMatchObject({ attempt: 2 });
    await expect(inTenant(platform.app.db, tenant, (tx) => retryJob(tx, tenant, id))).rejects.toMatchObject({
      code: 'CONFLICT',
    });
    await expect(inTenant(platform.app.db, tenant, (tx) => cancelJob(tx, tenant, id))).rejects.toMatchObject({
      code: 'CONFLICT',
    });
  });

  it('fails at once, with code and sentence, for a reason of the tenant’s own', async () => {
    const id = await start(
      () => Promise.reject(new AppError('INVALID_INPUT', 'The target has one value only.')),
      'refused',
    );
    const job = await untilJob(platform.app, tenant, id, isOver);
    expect(job).toMatchObject({
      state: 'FAILED',
      attempt: 1,
      errorCode: 'INVALID_INPUT',
      errorMessage: 'The target has one value only.',
    });
    expect(ended).toContain('refused FAILED INVALID_INPUT');
  });

  it('is tried again after any other error, and says nothing of it', async () => {
    let runs = 0;
    const id = await start(() => {
      runs++;
      return Promise.reject(new Error('row 17: Jane Doe'));
    }, 'broken');
    const job = await untilJob(platform.app, tenant, id, isOver);
    expect(job).toMatchObject({ state: 'FAILED', attempt: 3, errorCode: 'INTERNAL' });
    expect(job.errorMessage).not.toContain('Jane');
    expect(runs).toBe(3);
  });

  it('survives the death of its child', async () => {
    let runs = 0;
    const id = await start(async (app, job, context) => {
      const input = { do: ++runs === 1 ? 'die' : 'double', values: Float64Array.of(1) };
      await runChild({ program, input, memoryLimitMb: 256, signal: context.signal });
      return nothing(app, job, context);
    }, 'child died');
    expect(await untilJob(platform.app, tenant, id, isOver)).toMatchObject({ state: 'SUCCEEDED', attempt: 2 });
    expect(finished.filter((subject) => subject === 'child died')).toHaveLength(1);
  });

  it('cannot be finished by a run that has lost it', async () => {
    let release: () => void = () => undefined;
    const id = await start(async (app, job, context) => {
      if (job.attempt === 1) await new Promise<void>((resolve) => (release = resolve));
      return nothing(app, job, context);
    }, 'lost');
    await untilJob(platform.app, tenant, id, (job) => job.state === 'RUNNING');
    // As if its worker had been silent: beats are 400 ms apart.
    await inTenant(platform.app.db, tenant, (tx) =>
      tx.query(`update job set heartbeat_at = now() - interval '1 hour' where tenant_id = $1 and id = $2`, [
        tenant.tenantId,
        id,
      ]),
    );
    const host = { app: platform.app, processors, endings, stop: new AbortController().signal };
    await reviveStale(host, 3000);
    const done = await untilJob(platform.app, tenant, id, isOver);
    expect(done).toMatchObject({ state: 'SUCCEEDED', attempt: 2 });
    release();
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(await readJob(platform.app, tenant, id)).toEqual(done);
    expect(finished.filter((subject) => subject === 'lost')).toHaveLength(1);
  });

  it('is rung for again when its message was lost', async () => {
    work.set('unheard', nothing);
    const id = newId('job');
    await inTenant(platform.app.db, tenant, (tx) =>
      tx.query(
        `insert into job (id, tenant_id, name, subject_id, max_attempts, released_at) values ($1, $2, 'train', 'unheard', 3, now() - interval '1 minute')`,
        [id, tenant.tenantId],
      ),
    );
    expect(await untilJob(platform.app, tenant, id, isOver)).toMatchObject({ state: 'SUCCEEDED', attempt: 1 });
  });

  it('that was cancelled before anybody took it ends without having run', async () => {
    const id = await start(nothing, 'never');
    await inTenant(platform.app.db, tenant, (tx) => cancelJob(tx, tenant, id)).catch(() => undefined);
    const job = await untilJob(platform.app, tenant, id, isOver);
    expect(finished.includes('never')).toBe(job.state === 'SUCCEEDED');
  });

  it('goes back to the queue when its worker is stopped, and costs no attempt', async () => {
    const id = await start(sleep, 'stopped');
    await untilJob(platform.app, tenant, id, (job) => job.state === 'RUNNING');
    await workers.close();
    expect(await readJob(platform.app, tenant, id)).toMatchObject({ state: 'QUEUED', attempt: 1, maxAttempts: 4 });
    work.set('stopped', nothing);
    workers = startWorkers(platform.app, processors, endings);
    expect(await untilJob(platform.app, tenant, id, isOver)).toMatchObject({ state: 'SUCCEEDED', attempt: 2 });
  });
});

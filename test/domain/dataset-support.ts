import { createHash } from 'node:crypto';
import type { App } from '../../src/app.js';
import { inTenant } from '../../src/platform/db.js';
import { newId } from '../../src/platform/ids.js';
import { claimJob, endJob, getJob, type Job, succeedJob } from '../../src/platform/jobs.js';
import { ROLE_PERMISSIONS } from '../../src/platform/permissions.js';
import { makeScope, type Scope } from '../../src/platform/scope.js';
import { AppError } from '../../src/platform/errors.js';
import { ENDINGS, PROCESSORS } from '../../workers/processors.js';

export function scopeOf(tenantId: string): Scope {
  return makeScope({
    tenantId,
    actor: { kind: 'MEMBER', id: newId('account') },
    permissions: new Set(ROLE_PERMISSIONS.OWNER),
    requestId: newId('request'),
    signal: new AbortController().signal,
  });
}

export function announce(bytes: Buffer | string): { sizeBytes: number; sha256: string } {
  const buffer = Buffer.from(bytes as string);
  return { sizeBytes: buffer.length, sha256: createHash('sha256').update(buffer).digest('hex') };
}

export async function* pieces(bytes: Buffer | string): AsyncGenerator<Buffer> {
  const buffer = Buffer.from(bytes as string);
  for (let at = 0; at < buffer.length; at += 65_536) {
    await Promise.resolve();
    yield buffer.subarray(at, at + 65_536);
  }
}

/** Announces and sends a file. Returns the upload's id. */
export async function upload(app: App, scope: Scope, bytes: Buffer | string): Promise<string> {
  const { upload: made, path } = await app.uploads.create(scope, announce(bytes));
  await app.uploads.receive({ id: made.id, ...sent(path, bytes) });
  return made.id;
}

export function sent(path: string, bytes: Buffer | string) {
  const token = new URL(path, 'http://x').searchParams.get('token')!;
  return { token, body: pieces(bytes), contentLength: null, signal: new AbortController().signal };
}

/** Runs a queued job to its end in this process, as a worker would: its child is a real one. */
export async function runJob(
  app: App,
  scope: Scope,
  jobId: string,
  signal = new AbortController().signal,
): Promise<Job> {
  const job = await inTenant(app.db, scope, (tx) => claimJob(tx, { jobId, tenantId: scope.tenantId }));
  if (!job) throw new Error('The job cannot be claimed.');
  try {
    const finish = await PROCESSORS[job.name](app, job, { scope, signal, progress: () => Promise.resolve() });
    await inTenant(app.db, scope, async (tx) => {
      if (await succeedJob(tx, job)) await finish(tx, scope);
    });
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const end = { state: 'FAILED', code: error.code, message: error.message } as const;
    await inTenant(app.db, scope, async (tx) => {
      if (await endJob(tx, job, end)) await ENDINGS[job.name]?.(app, tx, { job, scope, end });
    });
  }
  return inTenant(app.db, scope, (tx) => getJob(tx, scope, jobId));
}

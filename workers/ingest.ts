import type { IngestResult } from '../src/domain/datasets/ingest.service.js';
import { ChildError, runChild } from '../src/platform/child.js';
import { AppError } from '../src/platform/errors.js';
import { type JobProgress, JOBS } from '../src/platform/jobs.js';
import type { Endings, Processor } from './processor.js';

/** A native crash is the file's doing (the readers are not proof against every one); a kill is somebody else's. */
const CRASHED = /\bSIG(?:SEGV|ABRT|BUS|ILL|FPE|TRAP)\b/;

/** Upload -> table of a dataset version. */
export const ingest: Processor = async (app, job, { scope, signal, progress }) => {
  const { upload, table } = await app.datasets.prepareIngest(scope, job.subjectId);
  const memoryLimitMb = Math.floor(app.config.childMemoryMb * JOBS.ingest.memoryShare);
  // The child gets the key, not how it is kept.
  const { tenantId, blobId, path, key } = table;
  try {
    const result = await runChild<IngestResult, JobProgress>({
      program: new URL('./ingest-child.js', import.meta.url),
      input: { upload, table: { tenantId, blobId, path, key }, memoryLimitMb },
      memoryLimitMb,
      signal,
      onProgress: (news) => void progress(news),
    });
    return (tx, own) => app.datasets.finishIngest(tx, own, { versionId: job.subjectId, table, result });
  } catch (error) {
    await app.blobs.removeFile(scope, table.blobId);
    throw ofTheFile(error);
  }
};

export const ingestEnding: NonNullable<Endings['ingest']> = (app, tx, { job, scope, end }) =>
  app.datasets.refuseIngest(tx, scope, { versionId: job.subjectId, code: end.code ?? end.state });

function ofTheFile(error: unknown): unknown {
  if (error instanceof AppError && error.code === 'OUT_OF_MEMORY')
    return new AppError('DATA_TOO_LARGE', 'Reading the file needs more memory than one job may use.');
  if (error instanceof ChildError && CRASHED.test(error.message))
    return new AppError('DATA_UNREADABLE', 'The file is built so that its reader breaks down.');
  return error;
}

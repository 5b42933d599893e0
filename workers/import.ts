import { specFailure } from '../src/domain/training/training.service.js';
import type { ImportResult } from '../src/domain/models/import.service.js';
import { parityFailed } from '../src/domain/models/model.service.js';
import { ChildError, runChild } from '../src/platform/child.js';
import { inTenant } from '../src/platform/db.js';
import { AppError } from '../src/platform/errors.js';
import { JOBS, type JobProgress } from '../src/platform/jobs.js';
import type { ImportInput } from './import-child.js';
import type { Endings, Processor } from './processor.js';
import { withoutRow } from './train.js';

const program = new URL('./import-child.js', import.meta.url);

/** A native crash is the file's doing: the runtime that proves the parity was given a graph made of it. */
const CRASHED = /\bSIG(?:SEGV|ABRT|BUS|ILL|FPE|TRAP)\b/;

/** Reads the uploaded model in a child process, which also seals what it becomes; registers the version when the job is won. */
export const importModel: Processor = async (app, job, { scope, signal, progress }) => {
  const plan = await app.imports.plan(scope, job.subjectId);
  const [onnx, fitted] = await inTenant(app.db, scope, async (tx) => [
    await app.blobs.prepare(tx, scope),
    await app.blobs.prepare(tx, scope),
  ]);
  const { data, spec, file } = plan;
  const input: ImportInput = { data, spec, file, onnx: withoutRow(onnx), fitted: withoutRow(fitted) };
  try {
    const imported = await runChild<ImportResult, JobProgress>({
      program,
      input,
      memoryLimitMb: Math.floor(app.config.childMemoryMb * JOBS.import.memoryShare),
      signal,
      onProgress: (news) => void progress(news),
    });
    if (!imported.parity.passed) throw parityFailed();
    return async (tx) => void (await app.imports.finish(tx, scope, plan, { imported, onnx, fitted }));
  } catch (error) {
    for (const { blobId } of [onnx, fitted]) await app.blobs.removeFile(scope, blobId);
    throw ofTheFile(error);
  }
};

export const importEnding: NonNullable<Endings['import']> = (app, tx, { job, scope, end }) =>
  app.imports.recordEnd(tx, scope, job.subjectId, end);

function ofTheFile(error: unknown): unknown {
  if (!(error instanceof ChildError)) return error;
  if (error.childName === 'SpecError' && error.code) return specFailure(error.code, error.field, error.message);
  if (CRASHED.test(error.message))
    return new AppError('MODEL_UNREADABLE', 'The model file is built so that its reader breaks down.');
  return error;
}

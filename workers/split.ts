import type { SplitResult } from '../src/domain/datasets/training-input.service.js';
import { ChildError, runChild } from '../src/platform/child.js';
import { AppError } from '../src/platform/errors.js';
import { JOBS } from '../src/platform/jobs.js';
import type { Processor } from './processor.js';

/** Rule and seed -> counts and digest of a split. */
export const split: Processor = async (app, job, { scope, signal }) => {
  const input = await app.splits.prepare(scope, job.subjectId);
  const memoryLimitMb = Math.floor(app.config.childMemoryMb * JOBS.split.memoryShare);
  const program = new URL('./split-child.js', import.meta.url);
  const result = await runChild<SplitResult>({ program, input, memoryLimitMb, signal }).catch((error: unknown) => {
    // What the rows forbid, such as too few groups, is told as it is.
    if (error instanceof ChildError && error.childName === 'SpecError')
      throw new AppError('INVALID_INPUT', error.message, { field: `input.${error.field}` });
    throw error;
  });
  return (tx) => app.splits.finish(tx, job.subjectId, result);
};

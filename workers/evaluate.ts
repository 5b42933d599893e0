import { specFailure } from '../src/domain/training/training.service.js';
import type { EvaluationResult } from '../src/ml/evaluate.js';
import { ChildError, runChild } from '../src/platform/child.js';
import { JOBS, type JobProgress } from '../src/platform/jobs.js';
import type { Endings, Processor } from './processor.js';

/** Evaluates in a child process, which unseals model and data; stores the result when the job is won. */
export const evaluate: Processor = async (app, job, { scope, signal, progress }) => {
  try {
    const result = await runChild<EvaluationResult, JobProgress>({
      program: new URL('./evaluate-child.js', import.meta.url),
      input: await app.evaluations.plan(scope, job.subjectId),
      memoryLimitMb: Math.floor(app.config.childMemoryMb * JOBS.evaluate.memoryShare),
      signal,
      onProgress: (news) => void progress(news),
    });
    return (tx) => app.evaluations.finish(tx, scope, job.subjectId, result);
  } catch (error) {
    if (error instanceof ChildError && error.childName === 'SpecError' && error.code)
      throw specFailure(error.code, error.field, error.message);
    throw error;
  }
};

export const evaluateEnding: NonNullable<Endings['evaluate']> = (app, tx, { job, scope, end }) =>
  app.evaluations.recordEnd(tx, scope, job.subjectId, end);

import { runChild } from '../src/platform/child.js';
import { JOBS } from '../src/platform/jobs.js';
import type { Endings, Processor } from './processor.js';

/**
 * Predictions of a batch: a child process infers, with the keys of the table and of the model alone; here is decided, disclosed, recorded
 * and stored, chunk by chunk. A run that is killed loses the chunk under way; the next one goes on behind those that are stored.
 */
export const predict: Processor = async (app, job, { scope, signal, progress }) => {
  const run = await app.batchRuns.begin(scope, job);
  try {
    if (run.input.chunks.length > 0)
      await runChild<null>({
        program: new URL('./predict-child.js', import.meta.url),
        input: run.input,
        memoryLimitMb: Math.floor(app.config.childMemoryMb * JOBS.predict.memoryShare),
        signal,
        onQuestion: async (chunk: Parameters<typeof run.answer>[0]) => {
          const rows = await run.answer(chunk);
          void progress({ phase: 'predicting', fraction: rows / run.rowCount, rows });
        },
      });
    return (tx) => app.batchRuns.finish(tx, scope, job.subjectId);
  } finally {
    run.end();
  }
};

export const predictEnding: NonNullable<Endings['predict']> = (app, tx, { job, scope, end }) =>
  app.batches.recordEnd(tx, scope, job.subjectId, end);

import { availableParallelism } from 'node:os';
import { specFailure } from '../src/domain/training/training.service.js';
import { nothingFound, type Searched } from '../src/domain/tuning/study.service.js';
import { ChildError, runChild } from '../src/platform/child.js';
import { JOBS } from '../src/platform/jobs.js';
import type { Endings, Processor } from './processor.js';
import type { TuneInput, TuneNews } from './tune-child.js';

const program = new URL('./tune-child.js', import.meta.url);

/**
 * Searches in a child process. Each trial is stored when it ends, so that a run that is killed loses only the trials under way:
 * the next run is given those that are stored, and goes on behind them.
 */
export const tune: Processor = async (app, job, { scope, signal, progress }) => {
  const { study, ...plan } = await app.studies.plan(scope, job.subjectId);
  // Workers run beside each other: each takes its share of the cores.
  const parallelism = Math.max(1, Math.floor(availableParallelism() / app.config.workerConcurrency));
  const input: TuneInput = { ...plan, parallelism };
  const broken = new AbortController();
  let stored: Promise<void> = Promise.resolve();
  const store = async (news: Extract<TuneNews, { trial: object }>): Promise<void> => {
    if (broken.signal.aborted) return;
    try {
      const isMine = await app.studies.storeTrial(scope, job, news.trial, news.elapsedMs);
      if (!isMine) broken.abort(new Error('Another run has the study.'));
    } catch (error) {
      broken.abort(error);
    }
  };
  try {
    const searched = await runChild<Searched, TuneNews>({
      program,
      input,
      memoryLimitMb: Math.floor(app.config.childMemoryMb * JOBS.tune.memoryShare),
      signal: AbortSignal.any([signal, broken.signal]),
      onProgress: (news) => {
        if ('trial' in news) stored = stored.then(() => store(news));
        else void progress(news.progress);
      },
    });
    if (searched.fit === null) throw nothingFound(searched.end);
    await stored;
    broken.signal.throwIfAborted();
    return (tx) => app.studies.finish(tx, scope, study, searched);
  } catch (error) {
    await stored;
    if (error instanceof ChildError && error.childName === 'SpecError' && error.code)
      throw specFailure(error.code, error.field, error.message);
    throw error;
  }
};

export const tuneEnding: NonNullable<Endings['tune']> = (app, tx, { job, scope, end }) =>
  app.studies.recordEnd(tx, scope, job.subjectId, end);

import { loadTrainingInput, type TrainingInput } from '../src/domain/datasets/training-input.service.js';
import type { Searched } from '../src/domain/tuning/study.service.js';
import { runStudy, type StudySpec, type Trial } from '../src/ml/tune.js';
import { serveChild } from '../src/platform/child.js';
import type { JobProgress } from '../src/platform/jobs.js';

export interface TuneInput {
  readonly data: TrainingInput;
  readonly spec: StudySpec;
  readonly history: readonly Trial[];
  readonly elapsedMsBefore: number;
  readonly parallelism: number;
}

/** A trial that has ended, to be stored at once; or how far the study is. */
export type TuneNews = { readonly trial: Trial; readonly elapsedMs: number } | { readonly progress: JobProgress };

serveChild<TuneInput, Searched, TuneNews>(async (input, { progress: tell, signal }) => {
  const { data, spec, history, elapsedMsBefore, parallelism } = input;
  const startedMs = performance.now();
  const elapsedMs = (): number => Math.round(elapsedMsBefore + performance.now() - startedMs);
  tell({ progress: { phase: 'loading', fraction: 0, trials: history.length } });
  const { table, assignment } = await loadTrainingInput(data);
  const { trials, seconds } = spec.limits;
  const result = await runStudy(spec, table, {
    assignment,
    exchangeable: data.split.method === 'RANDOM' || data.split.method === 'STRATIFIED',
    signal,
    history,
    parallelism,
    elapsedMsBefore,
    now: () => performance.now(),
    onTrial: (trial) => tell({ trial, elapsedMs: elapsedMs() }),
    onProgress: (done) => {
      const shares = [
        trials === null ? 0 : done.trials / trials,
        seconds === null ? 0 : done.elapsedMs / seconds / 1000,
      ];
      const fraction = Math.min(1, Math.max(...shares));
      const best = done.best?.value ?? null;
      tell({ progress: { phase: 'tuning', fraction, trials: done.trials, best } });
    },
  });
  return { end: result.end, fit: result.fit, bestNumber: result.best?.number ?? null, elapsedMs: elapsedMs() };
});

import { specFailure, type Trained, type TrainingPlan } from '../src/domain/training/training.service.js';
import { parityFailed } from '../src/domain/models/model.service.js';
import type { NewBlob } from '../src/platform/blobs.js';
import { ChildError, runChild } from '../src/platform/child.js';
import { inTenant } from '../src/platform/db.js';
import { JOBS, type JobProgress } from '../src/platform/jobs.js';
import type { SealedBlob } from '../src/platform/sealing.js';
import type { App } from '../src/app.js';
import { AppError } from '../src/platform/errors.js';
import type { Scope } from '../src/platform/scope.js';
import type { Endings, Processor } from './processor.js';
import { every } from './repeat.js';
import type { TrainInput } from './train-child.js';

const program = new URL('./train-child.js', import.meta.url);

/** Trains in a child process, which also seals the ONNX file and the fitted model; registers the version when the job is won. */
export const train: Processor = async (app, job, { scope, signal: stopped, progress }) => {
  const plan = await app.trainings.plan(scope, job.subjectId);
  const [onnx, fitted] = await inTenant(app.db, scope, async (tx) => [
    await app.blobs.prepare(tx, scope),
    await app.blobs.prepare(tx, scope),
  ]);
  const { data, spec, warmStart } = plan;
  const watch = watchAgreement(app, scope, plan.training);
  const signal = AbortSignal.any([stopped, watch.ended]);
  const input: TrainInput = { data, spec, warmStart, onnx: withoutRow(onnx), fitted: withoutRow(fitted) };
  try {
    const trained = await runChild<Trained, JobProgress>({
      program,
      input,
      memoryLimitMb: Math.floor(app.config.childMemoryMb * JOBS.train.memoryShare),
      signal,
      onProgress: (news) => void progress(news),
    });
    if (!trained.parity.passed) throw parityFailed();
    return async (tx) => void (await app.trainings.finish(tx, scope, plan, { trained, onnx, fitted }));
  } catch (error) {
    for (const { blobId } of [onnx, fitted]) await app.blobs.removeFile(scope, blobId);
    if (watch.ended.aborted) throw watch.ended.reason;
    if (error instanceof ChildError && error.childName === 'SpecError' && error.code)
      throw specFailure(error.code, error.field, error.message);
    throw error;
  } finally {
    await watch.close();
  }
};

/** How often a running training on another tenant's data looks whether its agreement still allows it. */
const LOOK_MS = 500;

/** Ends a training as soon as the agreement does under which it learns from another tenant's data; `finish` looks once more. */
function watchAgreement(app: App, scope: Scope, training: TrainingPlan['training']) {
  const over = new AbortController();
  if (training.agreementId === null) return { ended: over.signal, close: () => Promise.resolve() };
  const looking = every(LOOK_MS, app.log, () =>
    app.dataUses.check(scope, training).catch((error: unknown) => {
      if (!(error instanceof AppError)) throw error;
      over.abort(error);
    }),
  );
  return { ended: over.signal, close: () => looking.close() };
}

/** What the child needs to write a blob: not how its key is kept. */
export function withoutRow({ wrappedKey: _, ...sealed }: NewBlob): SealedBlob {
  return sealed;
}

export const trainEnding: NonNullable<Endings['train']> = (app, tx, { job, scope, end }) =>
  app.trainings.recordEnd(tx, scope, job.subjectId, end);

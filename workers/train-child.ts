import { loadTrainingInput, type TrainingInput } from '../src/domain/datasets/training-input.service.js';
import { loadFitted } from '../src/domain/models/fitted-model.service.js';
import type { Trained } from '../src/domain/training/training.service.js';
import { train, type TrainSpec } from '../src/ml/train.js';
import { serveChild } from '../src/platform/child.js';
import type { JobProgress } from '../src/platform/jobs.js';
import type { SealedBlob } from '../src/platform/sealing.js';
import { sealArtifact } from './artifact.js';

export interface TrainInput {
  readonly data: TrainingInput;
  readonly spec: TrainSpec;
  /** Where the ONNX file and the packed fitted model go, each sealed under its own key. */
  readonly onnx: SealedBlob;
  readonly fitted: SealedBlob;
  /** The fitted model to go on from. */
  readonly warmStart: SealedBlob | null;
}

serveChild<TrainInput, Trained, JobProgress>(async (input, { progress, signal }) => {
  const startedMs = performance.now();
  progress({ phase: 'loading', fraction: 0 });
  const { table, assignment } = await loadTrainingInput(input.data);
  let done: Partial<JobProgress> = {};
  const artifact = await train(input.spec, table, {
    assignment,
    signal,
    warmStart: input.warmStart && (await loadFitted(input.warmStart)),
    onRound: ({ round, rounds, metric }) => {
      done = { round, rounds, metric };
      progress({ ...done, phase: 'training', fraction: round / rounds });
    },
  });
  progress({ ...done, phase: 'sealing', fraction: 1 });
  return sealArtifact(artifact, { ...input, startedMs, signal });
});

import { loadTrainingInput, type TrainingInput } from '../src/domain/datasets/training-input.service.js';
import type { ImportResult } from '../src/domain/models/import.service.js';
import { importModel, type ImportSpec } from '../src/ml/import.js';
import { serveChild } from '../src/platform/child.js';
import type { JobProgress } from '../src/platform/jobs.js';
import { type SealedBlob, unsealWhole } from '../src/platform/sealing.js';
import { sealArtifact } from './artifact.js';

export interface ImportInput {
  readonly data: TrainingInput;
  readonly spec: ImportSpec;
  /** The uploaded model. */
  readonly file: SealedBlob;
  /** Where the ONNX file and the packed fitted model go, each sealed under its own key. */
  readonly onnx: SealedBlob;
  readonly fitted: SealedBlob;
}

serveChild<ImportInput, ImportResult, JobProgress>(async (input, { progress, signal }) => {
  const startedMs = performance.now();
  progress({ phase: 'loading', fraction: 0 });
  const { table, assignment } = await loadTrainingInput(input.data);
  const bytes = new Uint8Array(await unsealWhole(input.file));
  progress({ phase: 'reading', fraction: 0.1 });
  const imported = await importModel(input.spec, bytes, table, {
    assignment,
    signal,
    onPhase: (phase) => progress({ phase, fraction: phase === 'evaluating' ? 0.3 : 0.7 }),
  });
  progress({ phase: 'sealing', fraction: 1 });
  return sealArtifact(imported, { ...input, startedMs, signal });
});

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { loadTrainingInput, type TrainingInput } from '../src/domain/datasets/training-input.service.js';
import type { Trained } from '../src/domain/training/training.service.js';
import { readSignature } from '../src/ml/infer.js';
import { packModel, train, type TrainSpec } from '../src/ml/train.js';
import { writeSealed } from '../src/platform/blobs.js';
import { serveChild } from '../src/platform/child.js';
import type { JobProgress } from '../src/platform/jobs.js';
import type { SealedBlob } from '../src/platform/sealing.js';

export interface TrainInput {
  readonly data: TrainingInput;
  readonly spec: TrainSpec;
  /** Where the ONNX file and the packed fitted model go, each sealed under its own key. */
  readonly onnx: SealedBlob;
  readonly fitted: SealedBlob;
}

serveChild<TrainInput, Trained, JobProgress>(async (input, { progress, signal }) => {
  const startedMs = performance.now();
  progress({ phase: 'loading', fraction: 0 });
  const { table, assignment } = await loadTrainingInput(input.data);
  let done: Partial<JobProgress> = {};
  const artifact = await train(input.spec, table, {
    assignment,
    signal,
    onRound: ({ round, rounds, metric }) => {
      done = { round, rounds, metric };
      progress({ ...done, phase: 'training', fraction: round / rounds });
    },
  });
  progress({ ...done, phase: 'sealing', fraction: 1 });
  const { fitted, onnx, ...rest } = artifact;
  await writeSealed(input.onnx, [onnx], signal);
  await writeSealed(input.fitted, [packModel(fitted)], signal);
  return {
    ...rest,
    digest: createHash('sha256').update(onnx).digest('hex'),
    sizeBytes: onnx.length,
    signature: readSignature(onnx),
    codeVersion: codeVersion(),
    elapsedMs: Math.round(performance.now() - startedMs),
    peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
  };
});

/** The version of the package and a digest of the learning core as it runs here: the same words, the same bytes of code. */
function codeVersion(): string {
  const root = new URL('../src/ml/', import.meta.url);
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.[jt]s$/.test(name))
    .sort();
  const hash = createHash('sha256');
  for (const name of files)
    hash
      .update(name)
      .update('\0')
      .update(readFileSync(new URL(name, root)));
  return `${packageVersion()}+${hash.digest('hex').slice(0, 16)}`;
}

/** package.json lies above workers/ in the sources, above dist/workers/ in the build. */
function packageVersion(): string {
  for (const path of ['../package.json', '../../package.json']) {
    try {
      const file = fileURLToPath(new URL(path, import.meta.url));
      return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
    } catch {
      // The next place.
    }
  }
  return '0';
}

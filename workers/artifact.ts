import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readSignature } from '../src/ml/infer.js';
import { type Artifact, packModel } from '../src/ml/train.js';
import { writeSealed } from '../src/platform/blobs.js';
import type { SealedBlob } from '../src/platform/sealing.js';

interface Places {
  /** Where the ONNX file and the packed fitted model go, each sealed under its own key. */
  readonly onnx: SealedBlob;
  readonly fitted: SealedBlob;
  readonly startedMs: number;
  readonly signal: AbortSignal;
}

/** For a child process that made an artifact: seals its files, and says what is to be registered of it. */
export async function sealArtifact<A extends Artifact>(
  artifact: A,
  { onnx: file, fitted: kept, startedMs, signal }: Places,
) {
  const { fitted, onnx, ...rest } = artifact;
  await writeSealed(file, [onnx], signal);
  await writeSealed(kept, [packModel(fitted)], signal);
  return {
    ...rest,
    digest: createHash('sha256').update(onnx).digest('hex'),
    sizeBytes: onnx.length,
    signature: readSignature(onnx),
    codeVersion: codeVersion(),
    elapsedMs: Math.round(performance.now() - startedMs),
    peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
  };
}

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

/**
 * A loaded model and its run. ONNX Runtime's run() blocks the event loop for the whole call, so big batches go in chunks: the
 * binding starts each run in a setImmediate of its own, which lets other callbacks in between.
 */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { type FeedColumn, type Feeds } from './encode.js';
import { tensorName } from './graph.js';
import { readSignature, type Signature } from './signature.js';

export interface LoadedModel {
  readonly session: InferenceSession;
  readonly signature: Signature;
  /** What it holds in memory, roughly. */
  readonly sizeBytes: number;
  /** Rows of one run, so that none blocks the event loop for much longer than a tenth of a second. */
  readonly chunkRows: number;
}

/** Labels and scores (rows x classes, row-major) of a classifier, or the values of a regression; the others are null. */
export interface Inference {
  readonly labels: string[] | null;
  readonly scores: Float32Array | null;
  readonly classes: readonly string[] | null;
  readonly values: Float32Array | null;
}

/** A session's tables and arena against its file: measured 4 to 8 for trees. */
const MEMORY_PER_FILE_BYTE = 8;
const SESSION_BYTES = 1 << 20;

const CHUNK_ROWS = 4096;
/** Cells in a chunk, for models of many columns; rows times bytes of the file, for models of many trees. */
const CHUNK_CELLS = 2 ** 18;
const CHUNK_WORK = 2 ** 31;

function chunkRowsOf(columns: number, fileBytes: number): number {
  return Math.max(64, Math.min(CHUNK_ROWS, Math.floor(CHUNK_CELLS / columns), Math.floor(CHUNK_WORK / fileBytes)));
}

/** One thread, one operator after the other: more threads made single rows up to thirty times slower. Only for models of ours. */
export async function loadModel(onnx: Uint8Array): Promise<LoadedModel> {
  const signature = readSignature(onnx);
  const session = await InferenceSession.create(onnx, {
    executionMode: 'sequential',
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  });
  return {
    session,
    signature,
    sizeBytes: SESSION_BYTES + MEMORY_PER_FILE_BYTE * onnx.byteLength,
    chunkRows: chunkRowsOf(signature.inputs.length, onnx.byteLength),
  };
}

/** Answers all rows of `feeds`, which encodeInputs made for this model's signature. */
export async function infer(model: LoadedModel, feeds: Feeds): Promise<Inference> {
  const { classes } = model.signature;
  const { rowCount, from: first } = feeds;
  const chunk = model.chunkRows;
  if (rowCount > 0 && rowCount <= chunk) return runChunk(model, feeds, first, first + rowCount);
  const labels: string[] = [];
  const numbers = new Float32Array(rowCount * (classes?.length ?? 1));
  for (let from = 0; from < rowCount; from += chunk) {
    const part = await runChunk(model, feeds, first + from, first + Math.min(rowCount, from + chunk));
    for (const label of part.labels ?? []) labels.push(label);
    numbers.set((part.scores ?? part.values)!, from * (classes?.length ?? 1));
  }
  return classes === null
    ? { labels: null, scores: null, classes, values: numbers }
    : { labels, scores: numbers, classes, values: null };
}

async function runChunk(
  { session, signature }: LoadedModel,
  feeds: Feeds,
  from: number,
  to: number,
): Promise<Inference> {
  const { inputs, classes } = signature;
  // Without a prototype: a column may be called "__proto__".
  const tensors = Object.create(null) as Record<string, Tensor>;
  feeds.columns.forEach((column, at) => (tensors[tensorName(inputs[at]!.name)] = toTensor(column, from, to)));
  const answer = await session.run(tensors, classes === null ? ['value'] : ['label', 'scores']);
  if (classes === null) return { labels: null, scores: null, classes, values: answer['value']!.data as Float32Array };
  return {
    labels: answer['label']!.data as string[],
    scores: answer['scores']!.data as Float32Array,
    classes,
    values: null,
  };
}

function toTensor(column: FeedColumn, from: number, to: number): Tensor {
  const dims = [to - from, 1];
  if (column instanceof Float32Array) return new Tensor('float32', column.subarray(from, to), dims);
  if (column instanceof BigInt64Array) return new Tensor('int64', column.subarray(from, to), dims);
  return new Tensor('string', from === 0 && to === column.length ? column : column.slice(from, to), dims);
}

import {
  encodeInputs,
  type Feeds,
  infer,
  type Inference,
  InputError,
  loadModel,
  type RawValue,
  type Signature,
} from '../../ml/infer.js';
import { AppError } from '../../platform/errors.js';
import { type SealedBlob, unsealWhole } from '../../platform/sealing.js';
import { decodeTable, type StoredColumn, type StoredTable } from '../../platform/table-file.js';
import { commitToInput } from './commitment.js';

/** What a child process gets to infer with: no database, the keys of two files. */
export interface BatchInput {
  readonly table: SealedBlob;
  readonly onnx: SealedBlob;
  readonly chunks: readonly ChunkAsked[];
}

export interface ChunkAsked {
  readonly place: number;
  readonly firstRow: number;
  readonly rowCount: number;
  /** 16 bytes. */
  readonly salt: Uint8Array;
}

/** What the model says of a chunk: not disclosed yet, and for the parent process alone. */
export interface ChunkInferred {
  readonly place: number;
  /** 32 bytes. */
  readonly inputDigest: Uint8Array;
  readonly inference: Inference;
  readonly elapsedMs: number;
}

/**
 * For a child process: infers the chunks one after the other, one ahead of what `tell` has settled, so that no more than two are in
 * memory. All rows are checked before the first is told. Throws INPUT_INVALID, and whatever `tell` throws.
 */
export async function inferBatch(
  { table: sealed, onnx, chunks }: BatchInput,
  { tell, signal }: { readonly tell: (chunk: ChunkInferred) => Promise<void>; readonly signal: AbortSignal },
): Promise<void> {
  const model = await loadModel(new Uint8Array(await unsealWhole(onnx)));
  const { inputs } = model.signature;
  const table = decodeTable(
    await unsealWhole(sealed),
    inputs.map(({ name }) => name),
  );
  for (const chunk of chunks) {
    feedsOf(inputs, table, chunk);
    signal.throwIfAborted();
    await new Promise((resolve) => setImmediate(resolve));
  }
  let told: Promise<void> = Promise.resolve();
  for (const { place, salt, ...rows } of chunks) {
    const startedAt = performance.now();
    const feeds = feedsOf(inputs, table, rows);
    const inference = await infer(model, feeds);
    const inputDigest = commitToInput(Buffer.from(salt), inputs, feeds);
    const elapsedMs = performance.now() - startedAt;
    await told;
    signal.throwIfAborted();
    told = tell({ place, inputDigest, inference, elapsedMs });
    // Whoever awaits it is the next turn.
    told.catch(() => undefined);
  }
  await told;
  await model.session.release();
}

/**
 * Rows of a table by the same way as those of a request, so that equal values are equal inputs. Throws INPUT_INVALID with column and
 * row, also for a value that the table knows only to be rare: its text was not kept, and to take it for missing would change the answer unseen.
 */
export function feedsOf(
  inputs: Signature['inputs'],
  table: StoredTable,
  { firstRow, rowCount }: { readonly firstRow: number; readonly rowCount: number },
): Feeds {
  const columns = Object.fromEntries(
    inputs.map(({ name, kind }, at) => [name, valuesOf(table.columns[at]!, kind, firstRow, firstRow + rowCount)]),
  );
  try {
    return encodeInputs(inputs, columns, rowCount);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw invalid(error.column ?? '', firstRow + (error.row ?? 0), error.message);
  }
}

function valuesOf(
  column: StoredColumn,
  kind: Signature['inputs'][number]['kind'],
  from: number,
  to: number,
): RawValue[] {
  const out = new Array<RawValue>(to - from).fill(null);
  if (column.kind !== 'category') {
    const { values } = column;
    for (let row = from; row < to; row++) {
      const value = values[row]!;
      if (Number.isNaN(value)) continue;
      if (column.kind !== kind) throw wrongKind(column, kind, row);
      out[row - from] = kind === 'boolean' ? value === 1 : value;
    }
    return out;
  }
  const { codes, categories, texts } = column;
  const words = texts ?? categories;
  for (let row = from; row < to; row++) {
    const code = codes[row]!;
    if (code < 0) continue;
    if (kind !== 'category') throw wrongKind(column, kind, row);
    if (code >= words.length)
      throw invalid(column.name, row, 'fewer than five rows of the dataset have this value, so that it was not kept.');
    out[row - from] = words[code]!;
  }
  return out;
}

function wrongKind(column: StoredColumn, kind: string, row: number): AppError {
  return invalid(column.name, row, `the model takes a ${kind}, and this is a ${column.kind}.`);
}

function invalid(column: string, row: number, message: string): AppError {
  return new AppError('INPUT_INVALID', `Column ${column}, row ${row}: ${message}`, {
    field: 'input.datasetVersionId',
    remedy: 'Make another dataset version, with the columns of the endpoint’s signature.',
  });
}

import { closeSync, constants, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { writeSealed } from '../../platform/blobs.js';
import { AppError } from '../../platform/errors.js';
import { type SealedBlob, unseal } from '../../platform/sealing.js';
import { encodeTable } from '../../platform/table-file.js';
import { finishTable } from './columns.js';
import { readCsv, readCsvHead } from './csv.js';
import { type DuckDb, openLocked } from './duckdb.js';
import { BOM, detectFormat, TextScan } from './format.js';
import { JsonLines } from './json-lines.js';
import { inspectParquet, readParquet } from './parquet.js';
import { type ColumnProfile, type ColumnSchema, type Format, LIMITS, type RawTable, type Reject } from './schema.js';

export interface IngestInput {
  readonly upload: SealedBlob;
  /** Written here, sealed under its own key. */
  readonly table: SealedBlob;
  readonly memoryLimitMb: number;
}

export interface IngestResult {
  readonly format: Format;
  readonly rowCount: number;
  readonly rejectedCount: number;
  readonly rejects: readonly Reject[];
  readonly digest: string;
  readonly columns: readonly ColumnSchema[];
  readonly profile: readonly ColumnProfile[];
}

export type IngestProgress = (progress: { phase: 'reading' | 'profiling' | 'sealing'; fraction: number }) => void;

/**
 * Reads a sealed upload and writes the sealed table of a dataset version. For a child process of its own with a memory limit:
 * hostile files crash readers. No database, no name of anything: a path and a key in, schema and profile out.
 * Plain bytes are in memory and in an unlinked file in /dev/shm, never on the disk.
 *
 * Throws AppError with the code that says what is wrong with the file; no message repeats its content.
 */
export async function ingestUpload(input: IngestInput, progress: IngestProgress): Promise<IngestResult> {
  const { format, table: raw } = await readUpload(input, (fraction) => progress({ phase: 'reading', fraction }));
  progress({ phase: 'profiling', fraction: 0 });
  const { columns, digest } = finishTable(raw);
  progress({ phase: 'sealing', fraction: 0 });
  await writeSealed(input.table, encodeTable({ rowCount: raw.rowCount, columns: columns.map(({ stored }) => stored) }));
  return {
    format,
    digest,
    rowCount: raw.rowCount,
    rejectedCount: raw.rejectedCount,
    rejects: raw.rejects,
    columns: columns.map(({ schema }) => schema),
    profile: columns.map(({ profile }) => profile),
  };
}

interface Read {
  readonly format: Format;
  readonly table: RawTable;
}

async function readUpload(input: IngestInput, progress: (fraction: number) => void): Promise<Read> {
  const frames = unseal(input.upload);
  try {
    return await readFrames(frames, input.memoryLimitMb, progress);
  } finally {
    await frames.return();
  }
}

async function readFrames(
  frames: AsyncGenerator<Buffer, void, void>,
  memoryLimitMb: number,
  progress: (fraction: number) => void,
): Promise<Read> {
  const first = (await frames.next()).value ?? Buffer.alloc(0);
  const format = detectFormat(first);
  const text = first.subarray(0, 3).equals(BOM) ? first.subarray(3) : first;
  if (format === 'JSON_LINES') {
    const scan = new TextScan();
    const lines = new JsonLines();
    for await (const frame of withFirst(text, frames)) {
      scan.add(frame);
      lines.add(frame);
    }
    scan.end();
    return { format, table: lines.end() };
  }
  const file = openUnlinked();
  try {
    if (format === 'PARQUET') {
      const sizeBytes = await copyTo(file.fd, withFirst(first, frames));
      const footer = inspectParquet(file.fd, sizeBytes);
      refuseTooLarge(footer.rowCount, footer.names.length, memoryLimitMb);
      const table = await inDuckDb(file.path, memoryLimitMb, (db) => readParquet(db, file.path, { footer, progress }));
      return { format, table };
    }
    const scan = new TextScan();
    const sizeBytes = await copyTo(file.fd, withFirst(text, frames), scan);
    const head = readCsvHead(startOf(file.fd, sizeBytes), sizeBytes <= LIMITS.lineBytes);
    refuseTooLarge(scan.lines, head.names.length, memoryLimitMb);
    const table = await inDuckDb(file.path, memoryLimitMb, (db) => readCsv(db, file.path, { head, scan, progress }));
    return { format, table };
  } finally {
    closeSync(file.fd);
  }
}

async function* withFirst(first: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  yield first;
  yield* rest;
}

/** A file in memory that has no name any more: nobody else can open it, and it is gone with this process. */
function openUnlinked(): { fd: number; path: string } {
  const path = `/dev/shm/concordat-${randomUUID()}`;
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
  unlinkSync(path);
  return { fd, path: `/proc/self/fd/${fd}` };
}

async function copyTo(fd: number, frames: AsyncIterable<Buffer>, scan?: TextScan): Promise<number> {
  let sizeBytes = 0;
  try {
    for await (const frame of frames) {
      scan?.add(frame);
      for (let at = 0; at < frame.length;) at += writeSync(fd, frame, at, frame.length - at);
      sizeBytes += frame.length;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC')
      throw new AppError('DATA_TOO_LARGE', 'The file does not fit into the memory that this server has for ingest.');
    throw error;
  }
  scan?.end();
  return sizeBytes;
}

function startOf(fd: number, sizeBytes: number): string {
  const bytes = Buffer.alloc(Math.min(sizeBytes, LIMITS.lineBytes));
  const read = readSync(fd, bytes, 0, bytes.length, 0);
  return bytes.toString('utf8', 0, read);
}

/** A small file can announce a large table: what cannot fit is refused before anything is allocated. */
function refuseTooLarge(rows: number, columns: number, memoryLimitMb: number): void {
  if (rows * columns * 8 > memoryLimitMb * 2 ** 20 * 0.6)
    throw new AppError(
      'DATA_TOO_LARGE',
      `${rows.toLocaleString('en')} rows of ${columns.toLocaleString('en')} columns need more memory than one job may use.`,
    );
}

async function inDuckDb<T>(path: string, memoryLimitMb: number, read: (db: DuckDb) => Promise<T>): Promise<T> {
  const db = await openLocked(path, Math.floor(memoryLimitMb / 3));
  try {
    return await read(db);
  } catch (error) {
    if (error instanceof AppError) throw error;
    // DuckDB quotes rows in its messages: only the kind of the error may leave.
    const kind = /^([A-Z][A-Za-z ]*?)(?: Error)?:/.exec((error as Error).message)?.[1] ?? 'Unknown';
    if (kind === 'Out of Memory')
      throw new AppError('DATA_TOO_LARGE', 'Reading the file needs more memory than one job may use.');
    throw new AppError('DATA_UNREADABLE', `The file could not be read (${kind.toLowerCase()} error).`);
  } finally {
    db.close();
  }
}

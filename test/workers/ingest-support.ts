import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { ingestUpload, type IngestResult } from '../../src/domain/datasets/ingest.service.js';
import { writeSealed } from '../../src/platform/blobs.js';
import { AppError } from '../../src/platform/errors.js';
import type { SealedBlob } from '../../src/platform/sealing.js';
import { loadTable, type StoredTable } from '../../src/platform/table-file.js';

export interface Bench {
  readonly home: string;
  /** Seals the bytes, ingests them in this process. */
  ingest(bytes: Buffer | string): Promise<IngestResult & { table: StoredTable; blob: SealedBlob }>;
  /** The error that the bytes are refused with. */
  refusal(bytes: Buffer | string): Promise<AppError>;
  /** A Parquet file of a DuckDB query. */
  parquet(sql: string, options?: string): Promise<Buffer>;
  seal(bytes: Buffer | string): Promise<{ upload: SealedBlob; table: SealedBlob }>;
  close(): void;
}

export const MEMORY_MB = 1024;

export function openBench(): Bench {
  const home = mkdtempSync(join(tmpdir(), 'concordat-ingest-'));
  let count = 0;
  const blob = (kind: string): SealedBlob => {
    const blobId = `${kind}-${++count}`;
    return { tenantId: 'ten_a', blobId, path: join(home, blobId), key: randomBytes(32) };
  };
  const bench: Bench = {
    home,
    async seal(bytes) {
      const upload = blob('upload');
      await writeSealed(upload, [Buffer.from(bytes as string)]);
      return { upload, table: blob('table') };
    },
    async ingest(bytes) {
      const { upload, table } = await bench.seal(bytes);
      const result = await ingestUpload({ upload, table, memoryLimitMb: MEMORY_MB }, () => undefined);
      return { ...result, table: await loadTable(table), blob: table };
    },
    async refusal(bytes) {
      try {
        await bench.ingest(bytes);
      } catch (error) {
        if (error instanceof AppError) return error;
        throw error;
      }
      throw new Error('This should have been refused.');
    },
    async parquet(sql, options = '') {
      const { readFile } = await import('node:fs/promises');
      const path = join(home, `made-${++count}.parquet`);
      const instance = await DuckDBInstance.create(':memory:');
      const connection = await instance.connect();
      await connection.run(`copy (${sql}) to '${path}' (format parquet ${options})`);
      connection.closeSync();
      instance.closeSync();
      return readFile(path);
    },
    close: () => rmSync(home, { recursive: true, force: true }),
  };
  return bench;
}

/** A column's values for people: null is missing. */
export function valuesOf(table: StoredTable, name: string): (number | string | null)[] {
  const column = table.columns.find((c) => c.name === name)!;
  if (column.kind === 'category')
    return Array.from(column.codes, (code) => (code < 0 ? null : column.categories[code]!));
  return Array.from(column.values, (value) => (Number.isNaN(value) ? null : value));
}

export function repeat(line: string, times: number): string {
  return `${line}\n`.repeat(times);
}

import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import type { RawColumn } from './schema.js';

export interface DuckDb {
  readonly connection: DuckDBConnection;
  close(): void;
}

/**
 * DuckDB for one file and nothing else: no other path, no network, no extension, no spill to disk (it would be plain text),
 * no cache, and no way to change that. The memory limit is its own; the process's is what really binds.
 */
export async function openLocked(path: string, memoryLimitMb: number): Promise<DuckDb> {
  const instance = await DuckDBInstance.create(':memory:', {
    autoload_known_extensions: 'false',
    autoinstall_known_extensions: 'false',
    enable_external_file_cache: 'false',
    temp_directory: '',
    memory_limit: `${memoryLimitMb}MB`,
    threads: '2',
  });
  const connection = await instance.connect();
  await connection.run(`set TimeZone = 'UTC'`);
  await connection.run(`set allowed_paths = [${literal(path)}]`);
  await connection.run(`set enable_external_access = false`);
  await connection.run(`set lock_configuration = true`);
  return {
    connection,
    close: () => {
      connection.closeSync();
      instance.closeSync();
    },
  };
}

export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** Rows of a small answer, as arrays of JSON values. */
export async function ask(db: DuckDb, sql: string): Promise<unknown[][]> {
  return (await db.connection.runAndReadAll(sql)).getRowsJson();
}

/** One column of a chunk, as its vector lays it out. */
export type ColumnSink = (vector: Vector, size: number) => void;

interface Vector {
  readonly items?: unknown;
  readonly validity: { itemValid(index: number): boolean; readonly data: BigUint64Array | null };
  getItem(index: number): unknown;
}

/** Streams a query, chunk by chunk, each column into its sink. Returns the number of rows. */
export async function streamInto(db: DuckDb, sql: string, sinks: readonly ColumnSink[]): Promise<number> {
  const result = await db.connection.stream(sql);
  let rows = 0;
  for (;;) {
    const chunk = await result.fetchChunk();
    if (!chunk || chunk.rowCount === 0) return rows;
    for (let k = 0; k < sinks.length; k++) sinks[k]!(chunk.getColumnVector(k) as unknown as Vector, chunk.rowCount);
    rows += chunk.rowCount;
  }
}

/** Collects DOUBLE vectors; null becomes NaN; NaN and infinities become NaN and are counted. */
export class NumberSink {
  #nonFinite = 0;
  #values: Float64Array;
  #size = 0;

  constructor(expectedRows: number) {
    this.#values = new Float64Array(expectedRows);
  }

  readonly add: ColumnSink = (vector, size) => {
    if (this.#size + size > this.#values.length) this.#values = grown(this.#values, this.#size + size);
    const items = vector.items as Float64Array;
    const { validity } = vector;
    const all = validity.data === null;
    for (let i = 0; i < size; i++) {
      let value = NaN;
      if (all || validity.itemValid(i)) {
        value = items[i]!;
        if (!Number.isFinite(value)) {
          this.#nonFinite++;
          value = NaN;
        }
      }
      this.#values[this.#size++] = value;
    }
  };

  column(name: string, type: 'NUMBER' | 'BOOLEAN' | 'DATE' = 'NUMBER'): RawColumn {
    return { name, type, values: this.#values.slice(0, this.#size), nonFinite: this.#nonFinite };
  }
}

/** Collects VARCHAR vectors as codes into a dictionary in order of first sight; null and the empty string become -1. */
export class TextSink {
  readonly #dictionary: string[] = [];
  readonly #codeOf = new Map<string, number>();
  #codes: Int32Array;
  #size = 0;

  constructor(expectedRows: number) {
    this.#codes = new Int32Array(expectedRows);
  }

  readonly add: ColumnSink = (vector, size) => {
    if (this.#size + size > this.#codes.length) this.#codes = grown(this.#codes, this.#size + size);
    for (let i = 0; i < size; i++) this.#codes[this.#size++] = this.#code(vector.getItem(i) as string | null);
  };

  #code(value: string | null): number {
    if (value === null || value === '') return -1;
    let code = this.#codeOf.get(value);
    if (code === undefined) {
      code = this.#dictionary.push(value) - 1;
      this.#codeOf.set(value, code);
    }
    return code;
  }

  column(name: string): RawColumn {
    return { name, type: 'CATEGORY', codes: this.#codes.slice(0, this.#size), dictionary: this.#dictionary };
  }
}

function grown<A extends Float64Array | Int32Array>(array: A, atLeast: number): A {
  const larger = new (array.constructor as new (length: number) => A)(Math.max(atLeast, array.length * 2));
  larger.set(array as never);
  return larger;
}

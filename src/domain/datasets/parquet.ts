import { readSync } from 'node:fs';
import { AppError } from '../../platform/errors.js';
import { ask, type ColumnSink, type DuckDb, literal, NumberSink, streamInto, TextSink } from './duckdb.js';
import { checkColumnNames } from './format.js';
import { footerPlace, type ParquetFooter, readParquetFooter } from './parquet-footer.js';
import type { RawColumn, RawTable } from './schema.js';

/** What must be known before DuckDB may see the file. Throws NESTED_DATA, TOO_MANY_COLUMNS, BAD_COLUMN_NAMES, EMPTY_FILE, DATA_UNREADABLE. */
export function inspectParquet(fd: number, sizeBytes: number): ParquetFooter {
  const tail = Buffer.alloc(Math.min(8, sizeBytes));
  readSync(fd, tail, 0, tail.length, sizeBytes - tail.length);
  const { at, size } = footerPlace(tail, sizeBytes);
  const bytes = Buffer.alloc(size);
  readSync(fd, bytes, 0, size, at);
  const footer = readParquetFooter(bytes);
  if (footer.names.length === 0 || footer.rowCount === 0) throw new AppError('EMPTY_FILE', 'The file holds no row.');
  checkColumnNames(footer.names);
  return footer;
}

const NUMBERS = /^(U?TINYINT|U?SMALLINT|U?INTEGER|FLOAT|DOUBLE|DECIMAL)/;
const WIDE_INTEGERS = /^(U?BIGINT|U?HUGEINT)/;
const DATES = /^(DATE|TIMESTAMP)/;
const WORDS = /^(VARCHAR|ENUM|UUID|TIME$|TIME |INTERVAL)/;

/** Reads a flat Parquet file through DuckDB. */
export async function readParquet(
  db: DuckDb,
  path: string,
  { footer, progress }: { footer: ParquetFooter; progress: (fraction: number) => void },
): Promise<RawTable> {
  const { names, rowCount } = footer;
  const source = `read_parquet(${literal(path)}) as t(${names.map((_, i) => `c${i}`).join(', ')})`;
  const types = (await ask(db, `describe select * from ${source}`)).map((row) => String(row[1]));
  if (types.length !== names.length) throw new AppError('DATA_UNREADABLE', 'The Parquet schema contradicts itself.');
  const tooWide = await tooWideForNumbers(db, source, types);
  progress(0.2);
  const columns = types.map((type, i) =>
    plan(type, { c: `c${i}`, position: i + 1, tooWide: tooWide.has(i), rowCount }),
  );
  const rows = await streamInto(
    db,
    `select ${columns.map((column) => column.sql).join(', ')} from ${source}`,
    columns.map((column) => column.add),
  );
  if (rows !== rowCount) throw new AppError('DATA_UNREADABLE', 'The Parquet file announces other rows than it holds.');
  progress(1);
  return {
    rowCount,
    rejectedCount: 0,
    rejects: [],
    columns: columns.map((column, i) => column.finish(names[i]!)),
  };
}

/** Integers that a double cannot tell apart are codes, not numbers. */
async function tooWideForNumbers(db: DuckDb, source: string, types: readonly string[]): Promise<Set<number>> {
  const wide = types.flatMap((type, i) => (WIDE_INTEGERS.test(type) ? [i] : []));
  if (wide.length === 0) return new Set();
  const checks = wide.map((i) => `bool_or(c${i} > 9007199254740991 or c${i} < -9007199254740991)`);
  const [row] = await ask(db, `select ${checks.join(', ')} from ${source}`);
  return new Set(wide.filter((_, k) => row![k] === true));
}

interface Plan {
  readonly sql: string;
  readonly add: ColumnSink;
  readonly finish: (name: string) => RawColumn;
}

function plan(
  type: string,
  { c, position, tooWide, rowCount }: { c: string; position: number; tooWide: boolean; rowCount: number },
): Plan {
  if (/\[|^(STRUCT|MAP|UNION|LIST)/.test(type))
    throw new AppError('NESTED_DATA', `Column ${position} holds lists or structures.`);
  if (WORDS.test(type) || tooWide) {
    const sink = new TextSink(rowCount);
    return { sql: `${c}::varchar`, add: sink.add, finish: (name) => sink.column(name) };
  }
  const numbers = (sql: string, as: 'NUMBER' | 'BOOLEAN' | 'DATE'): Plan => {
    const sink = new NumberSink(rowCount);
    return { sql, add: sink.add, finish: (name) => sink.column(name, as) };
  };
  if (NUMBERS.test(type) || WIDE_INTEGERS.test(type)) return numbers(`${c}::double`, 'NUMBER');
  if (type === 'BOOLEAN') return numbers(`${c}::int::double`, 'BOOLEAN');
  if (DATES.test(type)) {
    const time = `${c}::${type.includes('ZONE') ? 'timestamptz' : 'timestamp'}`;
    return numbers(`case when isinf(${time}) then 'infinity'::double else epoch_ms(${time})::double end`, 'DATE');
  }
  throw new AppError(
    'DATA_UNREADABLE',
    `Column ${position} is of a type that cannot be used (binary data, for example).`,
    {
      remedy: 'Leave the column out, or turn it into numbers, text, booleans or dates.',
    },
  );
}

/** The tables with a tabular target that benchmarks of accuracy run over, below a folder of data such as `examples`. */
import { DuckDBInstance } from '@duckdb/node-api';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Column, type Table } from '../src/ml/train.js';
import { assignSplit } from '../src/ml/split.js';
import { readCsv } from '../test/ml/csv.js';

export interface DataSet {
  readonly name: string;
  readonly path: string;
  readonly target: string;
  readonly task: 'BINARY' | 'MULTICLASS' | 'REGRESSION';
  /** Every so manyth row only. */
  readonly every: number;
  /** Left out on both sides, as no library makes anything of it. */
  readonly without?: readonly string[];
}

const set = (path: string, target: string, task: DataSet['task'], more: Partial<DataSet> = {}): DataSet => ({
  name: path.split('/')[0]!,
  path,
  target,
  task,
  every: 1,
  ...more,
});

export const DATA_SETS: readonly DataSet[] = [
  set('iris/iris.csv', 'species', 'MULTICLASS'),
  set('penguins/penguins.csv', 'species', 'MULTICLASS'),
  set('breast_cancer/breast_cancer.csv', 'diagnosis', 'BINARY'),
  set('german_credit/german_credit.csv', 'class', 'BINARY'),
  set('mortgage_hmda/hmda.csv', 'deny', 'BINARY'),
  set('credit_scoring/credit_data.csv', 'Status', 'BINARY'),
  set('spam_features/spam.csv', 'type', 'BINARY'),
  set('ames_housing/ames.csv', 'Sale_Price', 'REGRESSION'),
  set('chicago_ridership/chicago.csv', 'ridership', 'REGRESSION', { without: ['date'] }),
  set('diamonds/diamonds.csv', 'price', 'REGRESSION', { every: 5 }),
  set('lecturer_ratings/insteval.csv', 'y', 'REGRESSION', { every: 4 }),
  set('shuttle/shuttle.csv', 'Class', 'MULTICLASS', { every: 2 }),
  set('flights/flights.parquet', 'delay', 'REGRESSION', { every: 30, without: ['date'] }),
];

export interface LoadedSet {
  readonly table: Table;
  /** A CSV file of the same rows, and more: `rows` are those that take part. */
  readonly csv: string;
  readonly rows: readonly number[];
  close(): void;
}

/** Null: the file is not there. */
export async function loadSet(directory: string, one: DataSet): Promise<LoadedSet | null> {
  const path = join(directory, one.path);
  if (!existsSync(path)) return null;
  const folder = mkdtempSync(join(tmpdir(), 'concordat-bench-'));
  const csv = path.endsWith('.parquet') ? await toCsv(path, join(folder, 'table.csv')) : path;
  const whole = readCsv(csv);
  const rows = Array.from({ length: whole.rowCount }, (_, row) => row).filter((row) => row % one.every === 0);
  return { table: take(whole, rows, one.without ?? []), csv, rows, close: () => rmSync(folder, { recursive: true }) };
}

async function toCsv(parquet: string, csv: string): Promise<string> {
  const connection = await (await DuckDBInstance.create()).connect();
  await connection.run(`copy (select * from '${parquet}') to '${csv}' (header true)`);
  connection.closeSync();
  return csv;
}

function take(table: Table, rows: readonly number[], without: readonly string[]): Table {
  const columns = table.columns
    .filter(({ name }) => !without.includes(name))
    .map((column): Column => {
      if (column.kind === 'category') return { ...column, codes: Int32Array.from(rows, (row) => column.codes[row]!) };
      return { ...column, values: Float64Array.from(rows, (row) => column.values[row]!) };
    });
  return { rowCount: rows.length, columns };
}

/** 60 : 20 : 20, every class in the same shares. */
export function splitOf(table: Table, { task, target }: DataSet, seed: number): Uint8Array {
  const method = task === 'REGRESSION' ? 'RANDOM' : 'STRATIFIED';
  const shares = { train: 0.6, validation: 0.2, test: 0.2 };
  return assignSplit(table, { method, column: target, shares, seed });
}

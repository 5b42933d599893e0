/** What bench/train.ts trains on: tables as columns of float32, categories as codes, and a label of 0 or 1. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { readCsv } from '../test/ml/csv.js';
import { higgsLike, type MadeData } from './higgs-like.js';

export interface Case {
  readonly name: string;
  readonly leaves: number;
  /** Of XGBoost's time, at most. */
  readonly target: number;
  /** Trainings in one process, whose median counts; above 1 the table is too small for its log loss and memory to tell anything. */
  readonly repeats: number;
  readonly isLong?: boolean;
  /** XGBoost's threads, where two only cost it time. */
  readonly referenceThreads?: 1;
  /** Whether prediction of the training rows is timed too, and of XGBoost's time at most how much it may take. */
  readonly predictTarget?: number;
  /** Training and test rows, others for each seed; null where their source is not here. */
  make(seed: number): Promise<readonly [BenchData, BenchData] | null>;
}

export interface BenchData extends MadeData {
  /** Columns that hold codes of categories. */
  readonly categorical: readonly number[];
}

/** The real tables beside the project, or wherever DATA says. */
const DATA = process.env['DATA'] ?? 'examples';

/** So many that the log loss of two models that are equally good differs by about 0.0002. */
const TEST_ROWS = 200_000;

function made(rows: number, columns: number, leaves: number, target: number): Case {
  return {
    name: `${rows.toLocaleString('en')} x ${columns}, ${leaves} leaves`,
    leaves,
    target,
    repeats: 1,
    make: (seed) =>
      Promise.resolve([
        { ...higgsLike(rows, columns, 2 * seed - 1), categorical: [] },
        { ...higgsLike(TEST_ROWS, columns, 2 * seed), categorical: [] },
      ]),
  };
}

export const CASES: readonly Case[] = [
  { name: 'breast_cancer, 31 leaves', leaves: 31, target: 1.5, repeats: 15, referenceThreads: 1, make: breastCancer },
  made(100_000, 28, 31, 0.6),
  made(100_000, 28, 255, 0.6),
  made(100_000, 112, 31, 0.6),
  { name: 'flights, 900,000 rows, 31 leaves', leaves: 31, target: 0.6, repeats: 1, isLong: true, make: flights },
  { ...made(1_000_000, 28, 31, 0.45), isLong: true, predictTarget: 1 },
  { ...made(1_000_000, 28, 255, 0.45), isLong: true },
];

/** All 569 rows, for training and test. */
async function breastCancer(): Promise<readonly [BenchData, BenchData]> {
  const table = await readCsv('examples/breast_cancer/breast_cancer.csv');
  const columns = table.columns.flatMap((column) =>
    column.kind === 'number' ? [Float32Array.from(column.values)] : [],
  );
  const diagnosis = table.columns.find(({ name }) => name === 'diagnosis');
  if (diagnosis?.kind !== 'category') throw new Error('The diagnosis is a category.');
  const data = { columns, y: Float32Array.from(diagnosis.codes), categorical: [] };
  return [data, data];
}

/** Whether a flight is more than 15 minutes late, by its time, weekday, distance, origin and destination; a tenth of the rows is for the test. */
async function flights(seed: number): Promise<readonly [BenchData, BenchData] | null> {
  const path = join(DATA, 'flights/flights.parquet');
  if (!existsSync(path)) return null;
  const connection = await (await DuckDBInstance.create()).connect();
  const reader = await connection.runAndReadAll(`
    select hour(date) + minute(date) / 60, dayofyear(date), isodow(date), distance,
      dense_rank() over (order by origin) - 1, dense_rank() over (order by destination) - 1, (delay > 15)::int
    from read_parquet('${path}') where delay is not null`);
  const all = reader.getColumns().map((column) => Float32Array.from(column, Number));
  const part = (isTest: boolean): BenchData => {
    const [y, ...columns] = all
      .map((column) => column.filter((_, row) => (row % 10 === seed % 10) === isTest))
      .reverse();
    return { columns: columns.reverse(), y: y!, categorical: [4, 5] };
  };
  return [part(false), part(true)];
}

/**
 * The parity proof: the exported file, run by ONNX Runtime, against the trainer's own predictor (core/predict.ts).
 *
 *   difference = |onnx - trainer| / max(1, |trainer|), at most PARITY_TOLERANCE for every score of every row
 *
 * Rows of real data rarely lie on the edge of a split, and there a comparison of the wrong precision shows. So rows are made that
 * do (onnx/edges.ts). Labels must agree too, except where scores within the tolerance of the threshold, or of each other, could
 * fall either way.
 */
import { isMatchable } from '../core/feature-matrix.js';
import { type FittedModel, type InputColumn } from '../core/model.js';
import { predictTable } from '../core/predict.js';
import { type Column, type Table } from '../core/table.js';
import { edgeTable } from './edges.js';
import { type FeedColumn, type Feeds, writeDate } from './encode.js';
import { infer, loadModel, type LoadedModel } from './session.js';

export const PARITY_TOLERANCE = 1e-5;
/** Rows of the table that are compared at most, taken evenly from those given. */
export const PARITY_ROWS = 20_000;

export interface ParityProof {
  /** Rows of the table that were compared, and rows made at the edges of splits, dates and categories. */
  readonly rows: number;
  readonly edgeRows: number;
  /** The largest |onnx - trainer| / max(1, |trainer|); Infinity where only one of the two is a number. */
  readonly maxDifference: number;
  /** Labels that differ although the scores are clear. */
  readonly labelMismatches: number;
  readonly passed: boolean;
}

/** Compares on `rows` of `table`, which has all inputs of the model, and on edge rows that `seed` decides. */
export async function proveParity(
  fitted: FittedModel,
  onnx: Uint8Array,
  table: Table,
  rows: Uint32Array,
  { seed }: { readonly seed: number },
): Promise<ParityProof> {
  const model = await loadModel(onnx);
  try {
    const sample = everyNth(rows, PARITY_ROWS);
    const edges = edgeTable(fitted, table, sample, seed);
    const real = await compare(fitted, model, table, sample);
    const made = await compare(
      fitted,
      model,
      edges,
      Uint32Array.from({ length: edges.rowCount }, (_, i) => i),
    );
    const maxDifference = Math.max(real.maxDifference, made.maxDifference);
    const labelMismatches = real.labelMismatches + made.labelMismatches;
    const passed = maxDifference <= PARITY_TOLERANCE && labelMismatches === 0;
    return { rows: sample.length, edgeRows: edges.rowCount, maxDifference, labelMismatches, passed };
  } finally {
    await model.session.release();
  }
}

function everyNth(rows: Uint32Array, limit: number): Uint32Array {
  if (rows.length <= limit) return rows;
  return Uint32Array.from({ length: limit }, (_, i) => rows[Math.floor((i * rows.length) / limit)]!);
}

type Comparison = Pick<ParityProof, 'maxDifference' | 'labelMismatches'>;

async function compare(fitted: FittedModel, model: LoadedModel, table: Table, rows: Uint32Array): Promise<Comparison> {
  if (rows.length === 0) return { maxDifference: 0, labelMismatches: 0 };
  const expected = predictTable(fitted, table, rows);
  const answer = await infer(model, encodeTable(fitted.inputs, table, rows));
  const numbers = (answer.scores ?? answer.values)!;
  let maxDifference = numbers.length === expected.scores.length ? 0 : Infinity;
  for (let i = 0; i < expected.scores.length; i++)
    maxDifference = Math.max(maxDifference, differenceOf(numbers[i]!, expected.scores[i]!));
  let labelMismatches = 0;
  expected.labels?.forEach((label, i) => {
    if (answer.labels![i] !== fitted.classes![label] && isClear(fitted, expected.scores, i)) labelMismatches++;
  });
  return { maxDifference, labelMismatches };
}

/** Equal infinities, and NaN on both sides, are no difference. */
function differenceOf(onnx: number, trainer: number): number {
  if (Object.is(onnx, trainer)) return 0;
  const difference = Math.abs(onnx - trainer) / Math.max(1, Math.abs(trainer));
  return difference < Infinity ? difference : Infinity;
}

/** Whether the scores of row i lie further from the threshold, or the best from the second, than two tolerances. */
function isClear({ task, classes, threshold }: FittedModel, scores: Float64Array, i: number): boolean {
  const row = scores.subarray(i * classes!.length, (i + 1) * classes!.length);
  if (task === 'binary') return Math.abs(row[1]! - threshold) > PARITY_TOLERANCE;
  const [best, second] = [...row].sort((a, b) => b - a);
  return second === undefined || best! - second > 2 * PARITY_TOLERANCE;
}

/** Rows of a table as the graph takes them; the table may have further columns. */
export function encodeTable(inputs: readonly InputColumn[], table: Table, rows: Uint32Array): Feeds {
  const byName = new Map(table.columns.map((column) => [column.name, column]));
  const columns = inputs.map(({ name, kind }) => {
    const column = byName.get(name);
    if (column?.kind !== kind) throw new Error(`The table has no ${kind} column "${name}".`);
    return encodeColumn(column, rows);
  });
  return { rowCount: rows.length, from: 0, columns };
}

function encodeColumn(column: Column, rows: Uint32Array): FeedColumn {
  if (column.kind === 'category') {
    const texts = column.categories.map((category) => (isMatchable(category) ? category : ''));
    return Array.from(rows, (row) => texts[column.codes[row]!] ?? '');
  }
  const { values } = column;
  if (column.kind !== 'date') return Float32Array.from(rows, (row) => values[row]!);
  const out = new BigInt64Array(rows.length);
  const words = new Int32Array(out.buffer);
  rows.forEach((row, i) => writeDate(words, i, Number.isNaN(values[row]!) ? null : values[row]!));
  return out;
}

/**
 * Tensors of a request, as the Open Inference Protocol has them, -> what the graph takes. Straight from JSON or from raw bytes into one
 * typed array per column: no object is made per row or cell. https://github.com/kserve/open-inference-protocol
 */
import { isAscii, isUtf8 } from 'node:buffer';
import { isMatchable } from '../core/feature-matrix.js';
import { type InputColumn } from '../core/model.js';
import {
  type FeedColumn,
  type Feeds,
  InputError,
  makeColumns,
  MAX_DATE_MS,
  MAX_FLOAT,
  MAX_TEXT,
  parseDate,
  wordsOf,
  writeDate,
} from './encode.js';

export interface InputTensor {
  readonly name: string;
  readonly datatype: string;
  /** Rows first. Whole numbers from 0 on. */
  readonly shape: readonly number[];
  /** Row-major: values of JSON, flat or nested as the shape says, or raw bytes (little-endian). */
  readonly data: readonly unknown[] | Uint8Array;
}

/** The name of the one tensor [rows, columns] that stands for all columns of a model that takes numbers and booleans only. */
export const MATRIX = 'input';

interface Datatype {
  readonly sizeBytes: number;
  /** Null: any number. */
  readonly range: readonly [low: number, high: number] | null;
  view(buffer: ArrayBuffer): ArrayLike<number | bigint>;
}

/** Whole numbers of so many bits. The ends of 64 bits are rounded up to floats; no column holds numbers as exact as that. */
const whole = (bits: number, signed: boolean): Datatype['range'] =>
  signed ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1];

const NUMBERS: Readonly<Record<string, Datatype>> = {
  BOOL: { sizeBytes: 1, range: whole(1, false), view: (buffer) => new Uint8Array(buffer) },
  INT8: { sizeBytes: 1, range: whole(8, true), view: (buffer) => new Int8Array(buffer) },
  INT16: { sizeBytes: 2, range: whole(16, true), view: (buffer) => new Int16Array(buffer) },
  INT32: { sizeBytes: 4, range: whole(32, true), view: (buffer) => new Int32Array(buffer) },
  INT64: { sizeBytes: 8, range: whole(64, true), view: (buffer) => new BigInt64Array(buffer) },
  UINT8: { sizeBytes: 1, range: whole(8, false), view: (buffer) => new Uint8Array(buffer) },
  UINT16: { sizeBytes: 2, range: whole(16, false), view: (buffer) => new Uint16Array(buffer) },
  UINT32: { sizeBytes: 4, range: whole(32, false), view: (buffer) => new Uint32Array(buffer) },
  UINT64: { sizeBytes: 8, range: whole(64, false), view: (buffer) => new BigUint64Array(buffer) },
  FP32: { sizeBytes: 4, range: null, view: (buffer) => new Float32Array(buffer) },
  FP64: { sizeBytes: 8, range: null, view: (buffer) => new Float64Array(buffer) },
};

export const DATATYPES: readonly string[] = [...Object.keys(NUMBERS), 'BYTES'];

const NUMERIC: ReadonlySet<string> = new Set(Object.keys(NUMBERS).filter((name) => name !== 'BOOL'));
/** What a column takes; the first is the one that is published. */
export const DATATYPES_OF: Readonly<Record<InputColumn['kind'], ReadonlySet<string>>> = {
  number: new Set(['FP32', ...NUMERIC]),
  // BOOL has no missing value; a number has.
  boolean: new Set(['BOOL', ...NUMERIC]),
  // Milliseconds do not fit into fewer bits.
  date: new Set(['INT64', 'UINT64', 'FP64', 'BYTES']),
  category: new Set(['BYTES']),
};

/** `writeTensors` into columns of their own. */
export function encodeTensors(
  inputs: readonly InputColumn[],
  published: readonly Pick<InputColumn, 'name'>[],
  tensors: readonly InputTensor[],
  rowCount: number,
): Feeds {
  // Nothing is allocated before what came is long enough for it.
  const room = tensors.every(({ data }) => data.length >= rowCount) ? rowCount : 0;
  const feeds = { rowCount, from: 0, columns: makeColumns(inputs, room) };
  writeTensors(inputs, published, tensors, feeds);
  return feeds;
}

/**
 * Checks and encodes into the rows of `feeds`: one tensor [rows] or [rows, 1] for each input, whatever their order, or one tensor MATRIX [rows,
 * columns] in the order of `published`. Missing: null in JSON; in bytes NaN, the smallest INT64 (dates) and the empty text. Whatever
 * encodeInputs refuses is refused here. Throws InputError.
 */
export function writeTensors(
  inputs: readonly InputColumn[],
  published: readonly Pick<InputColumn, 'name'>[],
  tensors: readonly InputTensor[],
  feeds: Feeds,
): void {
  const { rowCount, columns } = feeds;
  const [only] = tensors;
  if (tensors.length === 1 && isMatrix(only!, inputs)) {
    if (only!.shape[0] !== rowCount || !inputs.every(({ kind }) => kind === 'number' || kind === 'boolean'))
      throw new InputError(null, null, 'Not all columns are numbers: send one tensor for each.');
    return writeMatrix(inputs, published, only!, feeds);
  }
  const named = new Map<string, InputTensor>();
  for (const tensor of tensors) {
    if (named.has(tensor.name)) throw new InputError(tensor.name.slice(0, 100), null, 'The column is there twice.');
    named.set(tensor.name, tensor);
  }
  for (let at = 0; at < inputs.length; at++) {
    const { name, kind } = inputs[at]!;
    const tensor = named.get(name);
    if (tensor === undefined) throw new InputError(name, null, 'The column is missing.');
    const [rows, width = 1] = tensor.shape;
    if (tensor.shape.length > 2 || width !== 1)
      throw new InputError(name, null, 'A column has the shape [rows] or [rows, 1].');
    if (rows !== rowCount) throw new InputError(name, null, `The column has ${rows} values for ${rowCount} rows.`);
    write(name, kind, valuesOf(name, kind, tensor), new Stride(feeds, 0, 1), columns[at]!);
  }
  if (named.size > inputs.length) {
    const known = new Set(inputs.map(({ name }) => name));
    const unknown = [...named.keys()].find((name) => !known.has(name))!;
    throw new InputError(unknown.slice(0, 100), null, 'The model has no such column.');
  }
}

/** A model may have a column of the same name: then its shape tells. */
function isMatrix({ name, shape }: InputTensor, inputs: readonly InputColumn[]): boolean {
  return name === MATRIX && shape.length === 2 && (shape[1] !== 1 || !inputs.some((input) => input.name === MATRIX));
}

function writeMatrix(
  inputs: readonly InputColumn[],
  published: readonly Pick<InputColumn, 'name'>[],
  tensor: InputTensor,
  feeds: Feeds,
): void {
  const width = tensor.shape[1]!;
  if (width !== inputs.length || published.length !== inputs.length)
    throw new InputError(null, null, `The tensor has ${width} columns, the model ${inputs.length}.`);
  if (!NUMERIC.has(tensor.datatype))
    throw new InputError(null, null, 'The datatype of all columns must be a number’s.');
  const values = valuesOf(null, 'number', tensor);
  for (let at = 0; at < inputs.length; at++) {
    const { name, kind } = inputs[at]!;
    // Versions of one endpoint may have their columns in another order than it published.
    const from = published[at]!.name === name ? at : published.findIndex((column) => column.name === name);
    if (from < 0) throw new InputError(name, null, 'The column is missing.');
    write(name, kind, values, new Stride(feeds, from, width), feeds.columns[at]!);
  }
}

const FLOATS: readonly [number, number] = [-MAX_FLOAT, MAX_FLOAT];

interface Values {
  /** Numbers, texts, booleans, nulls: what they are is checked when they are read. */
  readonly list: ArrayLike<unknown>;
  readonly range: Datatype['range'];
}

/** Which of the values belong to a column, and to which of its rows. */
class Stride {
  readonly rowCount: number;
  /** The first row. */
  readonly to: number;

  constructor(
    feeds: Feeds,
    readonly from: number,
    readonly step: number,
  ) {
    this.rowCount = feeds.rowCount;
    this.to = feeds.from;
  }
}

/** As many values as the shape says, or InputError. Nothing is allocated before what came is long enough for it. */
function valuesOf(name: string | null, kind: InputColumn['kind'], { datatype, shape, data }: InputTensor): Values {
  const count = shape.reduce((product, size) => product * size, 1);
  if (!DATATYPES.includes(datatype))
    throw new InputError(name, null, `The datatype is none of ${DATATYPES.join(', ')}.`);
  if (!DATATYPES_OF[kind].has(datatype))
    throw new InputError(name, null, `The datatype must be one of ${[...DATATYPES_OF[kind]].join(', ')}.`);
  const range = NUMBERS[datatype]?.range ?? null;
  if (!(data instanceof Uint8Array)) return { list: flat(name, data, shape, count), range };
  if (datatype === 'BYTES') return { list: texts(name, data, count), range };
  const { sizeBytes, view } = NUMBERS[datatype]!;
  if (data.byteLength !== count * sizeBytes)
    throw new InputError(name, null, `The shape needs ${count * sizeBytes} bytes, the tensor has ${data.byteLength}.`);
  // A copy: the bytes of a body begin anywhere, and a view must begin at a multiple of its size.
  return { list: view(new Uint8Array(data).buffer), range };
}

function flat(
  name: string | null,
  data: readonly unknown[],
  shape: readonly number[],
  count: number,
): readonly unknown[] {
  if (data.length > 0 && Array.isArray(data[0]) && shape.length === 2) {
    const [rows, width] = shape;
    const isWhole = data.length === rows && data.every((row) => Array.isArray(row) && row.length === width);
    if (isWhole) return data.flat(1);
    throw new InputError(name, null, `The data is not ${rows} lists of ${width} values, as the shape says.`);
  }
  if (data.length !== count)
    throw new InputError(name, null, `The shape needs ${count} values, the data has ${data.length}.`);
  return data;
}

/** BYTES: every element is its length (4 bytes) and its bytes, which must be UTF-8. */
function texts(name: string | null, bytes: Uint8Array, count: number): string[] {
  if (count * 4 > bytes.byteLength)
    throw new InputError(name, null, `The shape needs ${count} texts, the tensor is too short for them.`);
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const out = new Array<string>(count);
  let at = 0;
  for (let i = 0; i < count; i++) {
    const size = at + 4 <= buffer.length ? buffer.readUInt32LE(at) : Infinity;
    at += 4;
    if (at + size > buffer.length) throw new InputError(name, i, 'The text is longer than what was sent.');
    const part = buffer.subarray(at, at + size);
    if (size > 3 * MAX_TEXT) throw new InputError(name, i, `The text is longer than ${MAX_TEXT} characters.`);
    if (isAscii(part)) out[i] = part.toString('latin1');
    else if (isUtf8(part)) out[i] = part.toString('utf8');
    else throw new InputError(name, i, 'The text is not UTF-8.');
    at += size;
  }
  if (at !== buffer.length) throw new InputError(name, null, `${buffer.length - at} bytes follow the last text.`);
  return out;
}

function write(column: string, kind: InputColumn['kind'], values: Values, stride: Stride, into: FeedColumn): void {
  if (kind === 'category') writeCategories(column, values.list, stride, into as string[]);
  else if (kind === 'date') writeDates(column, values.list, stride, into as BigInt64Array);
  else if (kind === 'number') writeNumbers(column, values, stride, into as Float32Array);
  else writeBooleans(column, values.list, stride, into as Float32Array);
}

function writeNumbers(column: string, { list, range }: Values, stride: Stride, out: Float32Array): void {
  const { from, step, rowCount, to } = stride;
  const [low, high] = range ?? FLOATS;
  for (let i = 0, at = from; i < rowCount; i++, at += step) {
    const cell = list[at];
    const value = typeof cell === 'bigint' ? Number(cell) : cell;
    if (value === null) out[to + i] = NaN;
    else if (typeof value !== 'number') throw new InputError(column, i, 'Expected a number or null.');
    else if (value !== value) out[to + i] = NaN;
    else if (range !== null && !(Number.isInteger(value) && value >= low && value <= high))
      throw new InputError(column, i, 'The number is none of its datatype.');
    else if (value >= low && value <= high) out[to + i] = value;
    else throw new InputError(column, i, 'The number is not finite, or too large for a 32-bit float.');
  }
}

function writeBooleans(column: string, list: ArrayLike<unknown>, stride: Stride, out: Float32Array): void {
  const { from, step, rowCount, to } = stride;
  for (let i = 0, at = from; i < rowCount; i++, at += step) {
    const cell = list[at];
    const value = typeof cell === 'bigint' ? Number(cell) : cell;
    if (value === null || Number.isNaN(value)) out[to + i] = NaN;
    else if (value === true || value === 1) out[to + i] = 1;
    else if (value === false || value === 0) out[to + i] = 0;
    else throw new InputError(column, i, 'Expected true (1), false (0) or null.');
  }
}

const NO_DATE = -(2n ** 63n);

function writeDates(column: string, list: ArrayLike<unknown>, { rowCount, to }: Stride, out: BigInt64Array): void {
  const words = wordsOf(out);
  for (let i = 0; i < rowCount; i++) {
    const value = list[i];
    if (value === null || value === '' || value === NO_DATE || Number.isNaN(value)) {
      writeDate(words, to + i, null);
      continue;
    }
    const ms = typeof value === 'bigint' ? Number(value) : typeof value === 'string' ? parseDate(value) : value;
    if (typeof ms !== 'number')
      throw new InputError(column, i, 'Expected an ISO 8601 date, epoch milliseconds, or null.');
    if (!(Number.isInteger(ms) && Math.abs(ms) <= MAX_DATE_MS))
      throw new InputError(column, i, 'The date is no date of the calendar, or not in whole milliseconds.');
    writeDate(words, to + i, ms);
  }
}

function writeCategories(column: string, list: ArrayLike<unknown>, { rowCount, to }: Stride, out: string[]): void {
  for (let i = 0; i < rowCount; i++) {
    const value = list[i];
    if (value === null) out[to + i] = '';
    else if (typeof value !== 'string') throw new InputError(column, i, 'Expected a string or null.');
    else if (value.length > MAX_TEXT)
      throw new InputError(column, i, `The text is longer than ${MAX_TEXT} characters.`);
    else out[to + i] = isMatchable(value) ? value : '';
  }
}

/**
 * Rows of a request, column by column, -> what the graph takes: one typed array (or list of strings) per input, checked against
 * the model's signature. No object is made per row or cell, and requests of the same moment are written into the same arrays.
 */
import { isMatchable } from '../core/feature-matrix.js';
import { type InputColumn } from '../core/model.js';
import { type Column, type Table } from '../core/table.js';

export type RawValue = number | string | boolean | null;

/** Values of the inputs in the order of the signature: those of `rowCount` rows, from the place `from` of each column on. */
export interface Feeds {
  readonly rowCount: number;
  readonly from: number;
  readonly columns: readonly FeedColumn[];
}

/** Numbers and booleans: NaN is missing. Dates: -2^63. Categories: the empty string. */
export type FeedColumn = Float32Array | BigInt64Array | string[];

/** A request that does not fit the signature. Names the column and the row (from 0), never the value. */
export class InputError extends Error {
  override readonly name = 'InputError';
  constructor(
    readonly column: string | null,
    readonly row: number | null,
    message: string,
  ) {
    super(message);
  }
}

/** UTF-16 units a category value may have: longer ones are no category, and would be copied for nothing. */
export const MAX_TEXT = 10_000;

export const MAX_FLOAT = 3.4028234663852886e38;
/** Days around 1970 that ECMAScript's calendar covers, in milliseconds. */
export const MAX_DATE_MS = 8.64e15;

/** Columns with room for so many rows. */
export function makeColumns(inputs: readonly InputColumn[], capacity: number): FeedColumn[] {
  return inputs.map(({ kind }) => {
    if (kind === 'category') return new Array<string>(capacity);
    return kind === 'date' ? new BigInt64Array(capacity) : new Float32Array(capacity);
  });
}

/** `writeInputs` into columns of their own. */
export function encodeInputs(
  inputs: readonly InputColumn[],
  columns: Readonly<Record<string, readonly RawValue[]>>,
  rowCount: number,
): Feeds {
  if (!Number.isSafeInteger(rowCount) || rowCount < 0)
    throw new InputError(null, null, 'The number of rows is not a whole number.');
  const feeds = { rowCount, from: 0, columns: makeColumns(inputs, rowCount) };
  writeInputs(inputs, columns, feeds);
  return feeds;
}

/**
 * Checks and encodes into the rows of `feeds`. Every input must be there, no other column may be, and all must have `rowCount` entries.
 * number: finite, within float32 · boolean: true or false · date: ISO 8601 (UTC where no zone is given) or whole epoch
 * milliseconds · category: a string. null is missing everywhere. Throws InputError, and the rows are then to be written again.
 */
export function writeInputs(
  inputs: readonly InputColumn[],
  columns: Readonly<Record<string, readonly RawValue[]>>,
  { rowCount, from, columns: into }: Feeds,
): void {
  for (let at = 0; at < inputs.length; at++) {
    const { name, kind } = inputs[at]!;
    const values = Object.hasOwn(columns, name) ? columns[name] : undefined;
    if (values === undefined) throw new InputError(name, null, 'The column is missing.');
    if (!Array.isArray(values)) throw new InputError(name, null, 'The column is not a list of values.');
    if (values.length !== rowCount)
      throw new InputError(name, null, `The column has ${values.length} values for ${rowCount} rows.`);
    WRITERS[kind](name, values as readonly RawValue[], into[at]!, from);
  }
  const names = Object.keys(columns);
  if (names.length > inputs.length) {
    const known = new Set(inputs.map(({ name }) => name));
    const unknown = names.find((name) => !known.has(name))!;
    throw new InputError(unknown.slice(0, 100), null, 'The model has no such column.');
  }
}

/** The rows of `feeds` as a table: what the model takes, for whoever looks at them beside it. */
export function decodeFeeds(inputs: readonly InputColumn[], { rowCount, from, columns }: Feeds): Table {
  const part = <T extends FeedColumn>(column: T): T => column.slice(from, from + rowCount) as T;
  return { rowCount, columns: columns.map((column, at) => decodeColumn(inputs[at]!, part(column))) };
}

function decodeColumn({ name, kind }: InputColumn, column: FeedColumn): Column {
  if (column instanceof Float32Array)
    return { name, kind: kind as 'number' | 'boolean', values: Float64Array.from(column) };
  if (column instanceof BigInt64Array) {
    const values = Float64Array.from(column, (ms) => (ms === NO_DATE ? NaN : Number(ms)));
    return { name, kind: 'date', values };
  }
  const codeOf = new Map<string, number>();
  const codes = new Int32Array(column.length);
  for (let i = 0; i < codes.length; i++) {
    const value = column[i]!;
    let code = value === '' ? -1 : codeOf.get(value);
    if (code === undefined) codeOf.set(value, (code = codeOf.size));
    codes[i] = code;
  }
  return { name, kind: 'category', codes, categories: [...codeOf.keys()] };
}

const NO_DATE = -(2n ** 63n);

type Writer = (column: string, values: readonly RawValue[], into: FeedColumn, from: number) => void;

const WRITERS: Readonly<Record<InputColumn['kind'], Writer>> = {
  number(column, values, into, from) {
    const out = into as Float32Array;
    for (let i = 0; i < values.length; i++) {
      const value = values[i];
      if (value === null) out[from + i] = NaN;
      else if (typeof value !== 'number') throw new InputError(column, i, 'Expected a number or null.');
      else if (value >= -MAX_FLOAT && value <= MAX_FLOAT) out[from + i] = value;
      else throw new InputError(column, i, 'The number is not finite, or too large for a 32-bit float.');
    }
  },
  boolean(column, values, into, from) {
    const out = into as Float32Array;
    for (let i = 0; i < values.length; i++) {
      const value = values[i];
      if (value === null) out[from + i] = NaN;
      else if (typeof value === 'boolean') out[from + i] = value ? 1 : 0;
      else throw new InputError(column, i, 'Expected true, false or null.');
    }
  },
  date(column, values, into, from) {
    const words = wordsOf(into as BigInt64Array);
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      if (value !== null && typeof value !== 'number' && typeof value !== 'string') {
        throw new InputError(column, i, 'Expected an ISO 8601 date, epoch milliseconds, or null.');
      }
      const ms = typeof value === 'string' ? parseDate(value) : value;
      if (ms !== null && !(Number.isInteger(ms) && Math.abs(ms) <= MAX_DATE_MS)) {
        throw new InputError(column, i, 'The date is no date of the calendar, or not in whole milliseconds.');
      }
      writeDate(words, from + i, ms);
    }
  },
  category(column, values, into, from) {
    const out = into as string[];
    for (let i = 0; i < values.length; i++) {
      const value = values[i];
      if (value === null) out[from + i] = '';
      else if (typeof value !== 'string') throw new InputError(column, i, 'Expected a string or null.');
      else if (value.length > MAX_TEXT)
        throw new InputError(column, i, `The text is longer than ${MAX_TEXT} characters.`);
      else out[from + i] = isMatchable(value) ? value : '';
    }
  },
};

/** A column of dates as the halves that `writeDate` writes. */
export function wordsOf(dates: BigInt64Array): Int32Array {
  return new Int32Array(dates.buffer, dates.byteOffset, 2 * dates.length);
}

/**
 * Writes whole milliseconds (null: missing, -2^63) as the two 32-bit halves of entry `index`, little-endian: ten times faster than
 * making a BigInt. `| 0` keeps the lower 32 bits of any whole number below 2^53.
 */
export function writeDate(words: Int32Array, index: number, ms: number | null): void {
  words[2 * index] = ms === null ? 0 : ms | 0;
  words[2 * index + 1] = ms === null ? -(2 ** 31) : Math.floor(ms / 2 ** 32);
}

const ISO = /^([+-]\d{6}|\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(Z|[+-]\d\d:?\d\d)?)?$/;

/**
 * Milliseconds of an ISO 8601 date or date-time, NaN where it is none. Date.parse would take local time, turn 30 February into
 * 1 March, and read much that is no ISO 8601. Digits below a millisecond are cut.
 */
export function parseDate(text: string): number {
  const match = text.length <= 40 ? ISO.exec(text) : null;
  if (match === null) return NaN;
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '', zone = 'Z'] = match;
  const date = new Date(0);
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  if (date.getUTCMonth() !== Number(month) - 1 || date.getUTCDate() !== Number(day)) return NaN;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return NaN;
  const ms = Number(fraction.slice(0, 3).padEnd(3, '0'));
  const time = ((Number(hour) * 60 + Number(minute)) * 60 + Number(second)) * 1000 + ms;
  return date.getTime() + time - zoneMinutes(zone) * 60_000;
}

function zoneMinutes(zone: string): number {
  if (zone === 'Z') return 0;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(-2));
  return hours > 23 || minutes > 59 ? NaN : (zone.startsWith('-') ? -1 : 1) * (60 * hours + minutes);
}

import { createHash } from 'node:crypto';
import type { StoredColumn } from '../../platform/table-file.js';
import { profileCategories, profileNumbers } from './profile.js';
import {
  type ColumnProfile,
  type ColumnRole,
  type ColumnSchema,
  FEWEST_ROWS,
  isPresentable,
  LIMITS,
  type RawColumn,
  type RawTable,
} from './schema.js';

export interface FinishedColumn {
  readonly stored: StoredColumn;
  readonly schema: ColumnSchema;
  readonly profile: ColumnProfile;
  /** SHA-256 over name, type and canonical values. */
  readonly hash: Buffer;
}

/** Columns as read -> stored arrays, schema, profile, digest (SHA-256, hex: the same for the same table in any format). */
export function finishTable(raw: RawTable): { columns: FinishedColumn[]; digest: string } {
  const most = Math.min(LIMITS.categories, Math.ceil(LIMITS.categoriesInAll / raw.columns.length));
  const columns = raw.columns.map((column) => finishColumn(typed(column), most));
  const digest = createHash('sha256').update(`concordat table 1\n${raw.rowCount}\n${columns.length}\n`);
  for (const { hash } of columns) digest.update(hash);
  return { columns, digest: digest.digest('hex') };
}

function finishColumn(raw: RawColumn, mostCategories: number): FinishedColumn {
  return raw.type === 'CATEGORY' ? finishCategories(raw, mostCategories) : finishNumbers(raw);
}

function finishNumbers({ name, type, values, nonFinite }: Exclude<RawColumn, { type: 'CATEGORY' }>): FinishedColumn {
  let missing = 0;
  let beyond = 0;
  let whole = true;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    // One bit pattern for zero and one for missing, so that the digest depends on the values alone.
    if (value === 0) values[i] = 0;
    else if (value !== value) {
      values[i] = NaN;
      missing++;
    } else if (type === 'DATE' && Math.abs(value) > LAST_DATE_MS) {
      values[i] = NaN;
      missing++;
      beyond++;
    } else if (!Number.isInteger(value)) whole = false;
  }
  const unit = type === 'DATE' ? 'date' : type === 'BOOLEAN' ? 'boolean' : whole ? 'whole' : 'real';
  const told = profileNumbers(values, unit, TEXT_OF[type]);
  const held = values.length - missing;
  return {
    stored: { name, kind: KINDS[type], values },
    schema: {
      name,
      type,
      role: numberRole(name, type, { held, whole, distinct: told.distinct }),
      whole,
      categories: [],
    },
    profile: { name, missing, nonFinite: nonFinite + beyond, ...told },
    hash: createHash('sha256')
      .update(JSON.stringify([name, type]))
      .update(bytesOf(values))
      .digest(),
  };
}

/** ECMAScript's range of time; databases mean infinity by what lies beyond. */
const LAST_DATE_MS = 8.64e15;

const KINDS = { NUMBER: 'number', BOOLEAN: 'boolean', DATE: 'date' } as const;
const TEXT_OF = {
  NUMBER: String,
  BOOLEAN: (value: number) => String(value === 1),
  DATE: (value: number) => new Date(value).toISOString(),
};

function numberRole(
  name: string,
  type: string,
  { held, whole, distinct }: { held: number; whole: boolean; distinct: number },
): ColumnRole {
  if (held === 0) return 'EMPTY';
  if (distinct === 1) return 'CONSTANT';
  const called = /(^|[^a-z])(id|uuid|key|index|row ?number)$/i.test(name) || /[a-z]I[dD]$/.test(name);
  return type === 'NUMBER' && whole && called && distinct === held ? 'IDENTIFIER' : 'FEATURE';
}

function finishCategories(
  { name, codes, dictionary }: Extract<RawColumn, { type: 'CATEGORY' }>,
  most: number,
): FinishedColumn {
  const counts = new Float64Array(dictionary.length);
  let missing = 0;
  for (let i = 0; i < codes.length; i++) {
    if (codes[i]! < 0) missing++;
    else counts[codes[i]!]!++;
  }
  const role = textRole(dictionary, codes.length - missing);
  const common = dictionary.flatMap((_, code) =>
    counts[code]! >= FEWEST_ROWS && isPresentable(dictionary[code]!) ? [code] : [],
  );
  common.sort((a, b) => counts[b]! - counts[a]! || (dictionary[a]! < dictionary[b]! ? -1 : 1));
  const isFeature = role === 'FEATURE' || role === 'CONSTANT';
  const shown = new Set(isFeature ? common.slice(0, most) : []);
  const byText = (a: number, b: number) => (dictionary[a]! < dictionary[b]! ? -1 : 1);
  const others = dictionary.map((_, code) => code).filter((code) => !shown.has(code));
  const order = [...[...shown].sort(byText), ...others.sort(byText)];
  const rank = new Int32Array(dictionary.length);
  order.forEach((code, at) => (rank[code] = at));
  const ranked = codes.map((code) => (code < 0 ? -1 : rank[code]!));
  const categories = order.slice(0, shown.size).map((code) => dictionary[code]!);
  const texts = role === 'TEXT' ? { texts: order.map((code) => dictionary[code]!) } : {};
  const hash = createHash('sha256').update(JSON.stringify([name, 'CATEGORY']));
  for (const code of order) hash.update(JSON.stringify(dictionary[code])).update('\n');
  return {
    stored: { name, kind: 'category', codes: ranked, categories, ...texts },
    schema: { name, type: 'CATEGORY', role, whole: false, categories },
    profile: { name, missing, nonFinite: 0, ...profileCategories(dictionary, counts) },
    hash: hash.update(bytesOf(ranked)).digest(),
  };
}

/** Long or wordy and mostly different values are text; short ones, different in almost every row, identify. */
function textRole(dictionary: readonly string[], held: number): ColumnRole {
  if (held === 0) return 'EMPTY';
  if (dictionary.length === 1) return 'CONSTANT';
  let characters = 0;
  let spaces = 0;
  for (const value of dictionary) {
    characters += value.length;
    spaces += value.split(' ', 20).length - 1;
  }
  const { length } = dictionary;
  const wordy = characters / length >= 50 || spaces / length >= 3;
  if (wordy && length > 100 && length > held / 2) return 'TEXT';
  return held >= 20 && length > 0.95 * held ? 'IDENTIFIER' : 'FEATURE';
}

const ISO_DATE =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?(?: ?(Z|[+-]\d\d(?::?\d\d)?))?$/;

/** Epoch milliseconds of an ISO 8601 date or time (UTC unless it says otherwise), or null. */
export function isoDate(text: string): number | null {
  const match = ISO_DATE.exec(text);
  if (!match) return null;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0)) as number[];
  const ms = Math.floor(Number(`0.${match[7] ?? 0}`) * 1000 + 1e-6);
  const utc = Date.UTC(year!, month! - 1, day!, hour!, minute!, second!, ms);
  const date = new Date(utc);
  if (date.getUTCMonth() + 1 !== month || date.getUTCDate() !== day || hour! > 23 || minute! > 59 || second! > 59)
    return null;
  const zone = /([+-])(\d\d):?(\d\d)?/.exec(match[8] ?? '');
  const offset = zone ? Number(zone[2]) * 60 + Number(zone[3] ?? 0) : 0;
  return utc - (zone?.[1] === '-' ? -offset : offset) * 60_000;
}

/** Text that is nothing but dates is a column of dates, nothing but true and false one of booleans: by its dictionary, not row by row. */
function typed(raw: RawColumn): RawColumn {
  if (raw.type !== 'CATEGORY' || raw.dictionary.length === 0) return raw;
  for (const [type, parse] of [
    ['BOOLEAN', booleanOf],
    ['DATE', isoDate],
  ] as const) {
    const values: number[] = [];
    for (const text of raw.dictionary) {
      const value = parse(text);
      if (value === null) break;
      values.push(value);
    }
    if (values.length === raw.dictionary.length) {
      const column = Float64Array.from(raw.codes, (code) => (code < 0 ? NaN : values[code]!));
      return { name: raw.name, type, values: column, nonFinite: 0 };
    }
  }
  return raw;
}

function booleanOf(text: string): number | null {
  const word = text.length <= 5 ? text.toLowerCase() : '';
  return word === 'true' ? 1 : word === 'false' ? 0 : null;
}

function bytesOf(array: Float64Array | Int32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

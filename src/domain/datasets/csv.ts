import { AppError } from '../../platform/errors.js';
import { ask, type DuckDb, literal, NumberSink, streamInto, TextSink } from './duckdb.js';
import { checkColumnNames, refuseTooMany, type TextScan } from './format.js';
import { LIMITS, type RawColumn, type RawTable, type Reject, type RejectReason } from './schema.js';

const DELIMITERS = [',', ';', '\t', '|'] as const;
const HEAD_RECORDS = 50;
/** Columns of one query, as every node of every expression takes 32 KiB a thread; the file is read again for the next ones. */
const COLUMNS_AT_ONCE = 128;

const MISSING = ['', 'NA', 'N/A', 'n/a', '#N/A', '<NA>', 'NULL', 'null', 'NaN', 'nan'];

export interface CsvHead {
  readonly delimiter: string;
  readonly names: readonly string[];
  /** Lines before the header. */
  readonly skip: number;
}

/**
 * Delimiter and column names from the beginning of the file. `whole`: `text` is all of it. Throws EMPTY_FILE, NO_HEADER,
 * BAD_COLUMN_NAMES, TOO_MANY_COLUMNS, DATA_UNREADABLE. No message repeats a field.
 */
export function readCsvHead(text: string, whole: boolean): CsvHead {
  const blank = /^(?:[ \t]*\r?\n)*/.exec(text)![0];
  const body = text.slice(blank.length);
  if (body.trim() === '') throw new AppError('EMPTY_FILE', 'The file holds nothing but blank lines.');
  const end = body.search(/[\r\n]/);
  if (end < 0 && !whole) {
    refuseTooMany(Math.max(...DELIMITERS.map((delimiter) => body.split(delimiter).length)));
    throw new AppError('DATA_UNREADABLE', `The first line is longer than ${LIMITS.lineBytes / 2 ** 20} MiB.`);
  }
  if (/\r(?!\n)/.test(body.slice(0, 4096)) && !body.includes('\n'))
    throw new AppError('DATA_UNREADABLE', 'The lines end in carriage returns alone.', {
      remedy: "Convert the line ends, for example with: tr '\\r' '\\n'.",
    });
  const firstLine = end < 0 ? body : body.slice(0, end);
  const delimiter = sniffDelimiter(body, firstLine, whole);
  const records = parseRecords(body, delimiter, HEAD_RECORDS, whole);
  const names = (records[0] ?? []).map((name) => name.trim());
  refuseTooMany(names.length);
  refuseValuesAsNames(names);
  checkColumnNames(names);
  if (whole && records.length < 2) throw new AppError('EMPTY_FILE', 'The file holds column names, but no row.');
  return { delimiter, names, skip: blank.split('\n').length - 1 };
}

/** The delimiter under which most of the first records have as many fields as the first. */
function sniffDelimiter(body: string, firstLine: string, whole: boolean): string {
  let best = { delimiter: ',', share: -1, fields: 1 };
  for (const delimiter of DELIMITERS) {
    if (!firstLine.includes(delimiter)) continue;
    const records = parseRecords(body, delimiter, HEAD_RECORDS, whole);
    const fields = records[0]?.length ?? 1;
    if (fields < 2) continue;
    const share = records.filter((record) => record.length === fields).length / records.length;
    if (share > best.share || (share === best.share && fields > best.fields)) best = { delimiter, share, fields };
  }
  return best.delimiter;
}

/** RFC 4180 records; the last one only if it is complete. */
function parseRecords(text: string, delimiter: string, most: number, whole: boolean): string[][] {
  const records: string[][] = [];
  const cell = new RegExp(
    `(?:"((?:[^"]|"")*)"|([^${delimiter}\\r\\n]*))(${delimiter === '|' ? '\\|' : delimiter}|\\r?\\n|\\r|$)`,
    'y',
  );
  let record: string[] = [];
  while (records.length < most && cell.lastIndex < text.length) {
    const match = cell.exec(text);
    // Quotes in disorder: leave it to the reader proper, which names the line.
    if (!match) break;
    const ends = match[3] !== delimiter;
    if (ends && match[3] === '' && !whole) break;
    record.push(match[1] === undefined ? match[2]! : match[1].replaceAll('""', '"'));
    if (!ends) {
      if (cell.lastIndex === text.length && whole) record.push('');
      else continue;
    }
    if (record.length > 1 || record[0] !== '') records.push(record);
    record = [];
  }
  return records;
}

const LOOKS_LIKE_VALUE =
  /^(?:[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?|\d{4}-\d\d-\d\d(?:[T ].*)?|true|false|NA|NaN|NULL|null)$/;

function refuseValuesAsNames(names: readonly string[]): void {
  const at = names.findIndex((name) => LOOKS_LIKE_VALUE.test(name));
  if (at >= 0)
    throw new AppError('NO_HEADER', `The first line holds values, not column names: field ${at + 1} is a value.`, {
      remedy: 'Put a line with the names of the columns first. A name may hold a number, but not be one.',
    });
}

/** What a column of text holds, as bits. */
const KIND = { number: 1, code: 2, word: 4, marker: 8 } as const;

interface Source {
  readonly db: DuckDb;
  readonly path: string;
  readonly head: CsvHead;
}

/** Reads a CSV file through DuckDB in two passes: what each column holds, then its values. */
export async function readCsv(
  db: DuckDb,
  path: string,
  { head, scan, progress }: { head: CsvHead; scan: TextScan; progress: (fraction: number) => void },
): Promise<RawTable> {
  const source: Source = { db, path, head };
  const { rowCount, rejects, rejectedCount } = await countRows(source, scan);
  progress(0.1);
  const groups = Math.ceil(head.names.length / COLUMNS_AT_ONCE);
  const columns: RawColumn[] = [];
  for (let group = 0; group < groups; group++) {
    const from = group * COLUMNS_AT_ONCE;
    const to = Math.min(from + COLUMNS_AT_ONCE, head.names.length);
    const kinds = await kindsOf(source, from, to);
    progress(0.1 + (0.9 * (group + 0.4)) / groups);
    columns.push(...(await readColumns(source, { kinds, from, rowCount })));
    progress(0.1 + (0.9 * (group + 1)) / groups);
  }
  refuseNamesAmongValues(columns);
  return { rowCount, columns, rejects, rejectedCount };
}

function scanSql({ path, head }: Source, more: string): string {
  const columns = head.names.map((_, i) => `c${i}: 'VARCHAR'`).join(', ');
  return `read_csv(${literal(path)}, auto_detect = false, columns = {${columns}}, header = true, skip = ${head.skip},
    delim = ${literal(head.delimiter)}, quote = '"', escape = '"', strict_mode = true, null_padding = false,
    max_line_size = ${LIMITS.lineBytes}, ${more})`;
}

const REASONS: Readonly<Record<string, RejectReason>> = {
  'MISSING COLUMNS': 'TOO_FEW_FIELDS',
  'TOO MANY COLUMNS': 'TOO_MANY_FIELDS',
  'UNQUOTED VALUE': 'BAD_QUOTES',
  'INVALID STATE': 'BAD_QUOTES',
  'LINE SIZE OVER MAXIMUM': 'LINE_TOO_LONG',
};

async function countRows(
  source: Source,
  scan: TextScan,
): Promise<Pick<RawTable, 'rowCount' | 'rejects' | 'rejectedCount'>> {
  const { db } = source;
  const counted = scanSql(
    source,
    `store_rejects = true, rejects_limit = 0, rejects_table = 'reject', rejects_scan = 'scan'`,
  );
  const rowCount = Number((await ask(db, `select count(*) from ${counted}`))[0]![0]);
  const named = await ask(
    db,
    `select line, min(error_type::varchar) from reject group by line order by line limit ${LIMITS.rejectsNamed}`,
  );
  const rejects = named.map(([line, type]): Reject => ({
    line: Number(line),
    reason: REASONS[String(type)] ?? 'UNREADABLE',
  }));
  const [total] = await ask(
    db,
    `select count(distinct line), max(line), arg_max(error_type::varchar, line) from reject`,
  );
  let rejectedCount = Number(total![0]);
  // A quote that is never closed swallows the rest of the file: those lines are lost as well.
  if (!scan.balanced && total![2] === 'UNQUOTED VALUE') rejectedCount += Math.max(0, scan.lines - Number(total![1]));
  if (rowCount + rejectedCount === 0) throw new AppError('EMPTY_FILE', 'The file holds column names, but no row.');
  if (rejectedCount > LIMITS.rejectedShare * (rowCount + rejectedCount)) {
    const lines = rejects.slice(0, 3).map(({ line, reason }) => `line ${line}: ${SENTENCES[reason] ?? reason}`);
    throw new AppError(
      'RAGGED_ROWS',
      `${rejectedCount.toLocaleString('en')} of ${(rowCount + rejectedCount).toLocaleString('en')} lines do not fit the ${source.head.names.length} columns of the first (${lines.join('; ')}).`,
    );
  }
  return { rowCount, rejects, rejectedCount };
}

const SENTENCES: Partial<Record<RejectReason, string>> = {
  TOO_FEW_FIELDS: 'too few fields',
  TOO_MANY_FIELDS: 'too many fields',
  BAD_QUOTES: 'quotes in disorder',
  LINE_TOO_LONG: 'too long',
};

/** Missing in a column of numbers, a word elsewhere. */
const NUMBER_MARKERS = ['?', '-', '.', 'None', 'none'];

/** Not `in`: DuckDB makes a join of a long list, one for each column. */
function isAny(c: string, words: readonly string[]): string {
  return `(length(${c}) <= 4 and (${words.map((word) => `${c} = ${literal(word)}`).join(' or ')}))`;
}

/** Bits of KIND of each column: one aggregate each, one pass for all. */
async function kindsOf(source: Source, from: number, to: number): Promise<number[]> {
  const kinds = Array.from({ length: to - from }, (_, i) => {
    const c = `c${from + i}`;
    // Digits behind a leading zero, or more of them than a double holds, are a code (a postal code, an account), not a number.
    return `bit_or(case
      when ${isAny(c, MISSING)} then 0
      when try_cast(${c} as double) is null then case when ${isAny(c, NUMBER_MARKERS)} then ${KIND.marker} else ${KIND.word} end
      when (${c} >= '00' and ${c} < '0:') or (length(${c}) > 15 and regexp_full_match(${c}, '[+-]?[0-9]{16,}')) then ${KIND.code}
      else ${KIND.number} end) filter (${c} is not null)`;
  });
  const [row] = await ask(source.db, `select ${kinds.join(', ')} from ${scanSql(source, 'ignore_errors = true')}`);
  return row!.map((bits) => Number(bits ?? 0));
}

/** A column where all is missing is one of numbers, like one where all but one number is. */
function isNumeric(bits: number): boolean {
  return bits === 0 || bits === KIND.number || bits === (KIND.number | KIND.marker);
}

async function readColumns(
  source: Source,
  { kinds, from, rowCount }: { kinds: readonly number[]; from: number; rowCount: number },
): Promise<RawColumn[]> {
  const sinks = kinds.map((bits) => (isNumeric(bits) ? new NumberSink(rowCount) : new TextSink(rowCount)));
  const values = sinks.map((sink, i) => {
    const c = `c${from + i}`;
    return `case when ${isAny(c, MISSING)} then null else ${sink instanceof NumberSink ? `try_cast(${c} as double)` : c} end`;
  });
  const sql = `select ${values.join(', ')} from ${scanSql(source, 'ignore_errors = true')}`;
  const rows = await streamInto(
    source.db,
    sql,
    sinks.map((sink) => sink.add),
  );
  if (rows !== rowCount) throw new Error('Two passes over one file saw different rows.');
  return sinks.map((sink, i) => sink.column(source.head.names[from + i]!));
}

/** A name that is also a value of its own column is no name: the header is missing, or repeated among the rows. */
function refuseNamesAmongValues(columns: readonly RawColumn[]): void {
  const at = columns.findIndex((column) => column.type === 'CATEGORY' && column.dictionary.includes(column.name));
  if (at >= 0)
    throw new AppError(
      'NO_HEADER',
      `The first line seems to be a row: what stands there for column ${at + 1} is also one of its values.`,
      { remedy: 'Put a line with the names of the columns first, and only there.' },
    );
}

import { isUtf8 } from 'node:buffer';
import { AppError } from '../../platform/errors.js';
import { type Format, LIMITS } from './schema.js';

/** Files that people send and that are something else, by their first bytes. */
const OTHERS: readonly (readonly [start: string, name: string])[] = [
  ['504b0304', 'a zip archive (or an Excel workbook)'],
  ['504b0506', 'an empty zip archive'],
  ['1f8b', 'a gzip file'],
  ['28b52ffd', 'a zstd file'],
  ['425a68', 'a bzip2 file'],
  ['fd377a585a', 'an xz file'],
  ['377abcaf', 'a 7z archive'],
  ['52617221', 'a RAR archive'],
  ['25504446', 'a PDF document'],
  ['d0cf11e0', 'an old Excel or Word document'],
  ['4152524f57', 'an Arrow file'],
  ['4f5243', 'an ORC file'],
  ['4f626a01', 'an Avro file'],
  ['53514c69', 'an SQLite database'],
  ['89504e47', 'an image'],
  ['ffd8ff', 'an image'],
  ['47494638', 'an image'],
  ['52494646', 'a sound or image file'],
  ['7b5c727466', 'an RTF document'],
  ['fffe', 'text in UTF-16'],
  ['feff', 'text in UTF-16'],
  ['0000feff', 'text in UTF-32'],
];

const PARQUET = Buffer.from('PAR1', 'latin1');
export const BOM = Buffer.of(0xef, 0xbb, 0xbf);

/** The format of a file by its first bytes (all of it, or at least a kilobyte). Throws EMPTY_FILE, NOT_UTF8, UNKNOWN_FORMAT. */
export function detectFormat(start: Buffer): Format {
  if (start.subarray(0, 4).equals(PARQUET)) return 'PARQUET';
  const hex = start.toString('hex', 0, 8);
  const other = OTHERS.find(([magic]) => hex.startsWith(magic))?.[1];
  if (other?.startsWith('text in'))
    throw new AppError('NOT_UTF8', `The file is ${other}.`, { remedy: 'Save the file as UTF-8.' });
  if (other) throw new AppError('UNKNOWN_FORMAT', `The file is ${other}.`);
  const text = (start.subarray(0, 3).equals(BOM) ? start.subarray(3) : start).toString('latin1', 0, 4096).trimStart();
  if (text === '' && start.length <= 4096) throw new AppError('EMPTY_FILE', 'The file is empty.');
  if (/^<(!doctype|html|\?xml|svg|table)/i.test(text))
    throw new AppError('UNKNOWN_FORMAT', 'The file is a web page or an XML document.');
  if (/^\[\s*[[{\]]/.test(text))
    throw new AppError('UNKNOWN_FORMAT', 'The file is one JSON array.', {
      remedy: "Send one JSON object a line, for example with: jq -c '.[]'.",
    });
  return /^\{\s*("|\}|$)/.test(text) ? 'JSON_LINES' : 'CSV';
}

/** Follows a stream of text: refuses what is not UTF-8, counts lines and quotes. Throws NOT_UTF8, UNKNOWN_FORMAT. */
export class TextScan {
  lines = 0;
  /** Whether the number of quotes so far is even: whether none is open. */
  balanced = true;
  #open = Buffer.alloc(0);
  #endsInLine = false;

  add(chunk: Buffer): void {
    this.#checkUtf8(chunk);
    if (chunk.includes(0))
      throw new AppError('UNKNOWN_FORMAT', 'The file holds NUL bytes: it is neither CSV nor JSON lines in UTF-8.');
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) this.lines++;
    for (let at = chunk.indexOf(34); at >= 0; at = chunk.indexOf(34, at + 1)) this.balanced = !this.balanced;
    if (chunk.length > 0) this.#endsInLine = chunk.at(-1) !== 10;
  }

  end(): void {
    if (this.#open.length > 0) this.#refuse();
    if (this.#endsInLine) this.lines++;
  }

  #checkUtf8(chunk: Buffer): void {
    const bytes = this.#open.length > 0 ? Buffer.concat([this.#open, chunk]) : chunk;
    const cut = bytes.length - incompleteTail(bytes);
    if (!isUtf8(bytes.subarray(0, cut))) this.#refuse();
    this.#open = Buffer.from(bytes.subarray(cut));
  }

  #refuse(): never {
    throw new AppError('NOT_UTF8', `The file is not UTF-8: a byte after line ${this.lines} is not part of it.`);
  }
}

/** How many bytes at the end begin a character that is not complete: 0 to 3. */
function incompleteTail(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!;
    if (byte >= 0xc0) return back < (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2) ? back : 0;
    if (byte < 0x80) return 0;
  }
  return 0;
}

/**
 * Refuses names that cannot work: none, too long, control characters, twice the same. Messages give the position, not the
 * name: where the header is missing, names are somebody's values. Throws BAD_COLUMN_NAMES, TOO_MANY_COLUMNS.
 */
export function checkColumnNames(names: readonly string[]): void {
  refuseTooMany(names.length);
  const seen = new Map<string, number>();
  names.forEach((name, i) => {
    const bad = (why: string) => new AppError('BAD_COLUMN_NAMES', `Column ${i + 1} ${why}.`);
    if (name.trim() === '') throw bad('has no name');
    if (name.length > LIMITS.columnNameLength)
      throw bad(`has a name of more than ${LIMITS.columnNameLength} characters`);
    if (/[\p{Cc}\p{Cs}\u2028\u2029]/u.test(name)) throw bad('has a name with control characters or line breaks');
    if (name === '__proto__') throw bad('has a name that programs cannot use');
    const first = seen.get(name);
    if (first !== undefined) throw bad(`has the same name as column ${first + 1}`);
    seen.set(name, i);
  });
}

export function refuseTooMany(columns: number): void {
  if (columns > LIMITS.columns)
    throw new AppError(
      'TOO_MANY_COLUMNS',
      `The file has ${columns.toLocaleString('en')} columns or more; ${LIMITS.columns.toLocaleString('en')} are possible.`,
    );
}

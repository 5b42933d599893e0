import { type SealedBlob, unsealWhole } from './sealing.js';

/**
 * A table as one file of typed arrays: magic number, length of the header (uint32), header (JSON), then each column's array,
 * little-endian, aligned to 8 bytes, so that it opens as views of one buffer. The shape is that of `ml/core/table.ts`.
 */
export interface StoredTable {
  readonly rowCount: number;
  readonly columns: readonly StoredColumn[];
}

export type StoredColumn = StoredNumbers | StoredCodes;

/** NaN is missing. Booleans are 0 and 1, dates epoch milliseconds. */
export interface StoredNumbers {
  readonly name: string;
  readonly kind: 'number' | 'boolean' | 'date';
  readonly values: Float64Array;
}

/**
 * Codes into `categories`; -1 is missing. In the file, codes from `categories.length` on stand for values that fewer than
 * five rows hold: they can be told apart (a grouped split needs that) but their text is not kept, so that no model can learn it.
 */
export interface StoredCodes {
  readonly name: string;
  readonly kind: 'category';
  readonly codes: Int32Array;
  readonly categories: readonly string[];
  /** Free text in code order, for columns of role TEXT only. */
  readonly texts?: readonly string[];
}

interface HeaderColumn {
  readonly name: string;
  readonly kind: StoredColumn['kind'];
  readonly at: number;
  readonly categories?: readonly string[];
  readonly texts?: { readonly at: number; readonly lengths: number; readonly count: number; readonly bytes: number };
}

interface Header {
  readonly rowCount: number;
  readonly columns: readonly HeaderColumn[];
}

const MAGIC = Buffer.from('CCDTBL01', 'latin1');

/** The file's bytes, in pieces that share memory with the table. */
export function encodeTable(table: StoredTable): Uint8Array[] {
  const sections: Uint8Array[] = [];
  let at = 0;
  const add = (bytes: Uint8Array): number => {
    const start = at;
    sections.push(bytes, new Uint8Array(-bytes.length & 7));
    at += (bytes.length + 7) & ~7;
    return start;
  };
  const columns = table.columns.map((column): HeaderColumn => {
    const { name, kind } = column;
    if (column.kind !== 'category') return { name, kind, at: add(bytesOf(column.values)) };
    const header = { name, kind, at: add(bytesOf(column.codes)), categories: column.categories };
    return column.texts ? { ...header, texts: addTexts(column.texts, add) } : header;
  });
  const header = Buffer.from(JSON.stringify({ rowCount: table.rowCount, columns } satisfies Header), 'utf8');
  const prefix = Buffer.alloc((MAGIC.length + 4 + header.length + 7) & ~7);
  MAGIC.copy(prefix);
  prefix.writeUInt32LE(header.length, MAGIC.length);
  header.copy(prefix, MAGIC.length + 4);
  return [prefix, ...sections];
}

function addTexts(texts: readonly string[], add: (bytes: Uint8Array) => number): HeaderColumn['texts'] {
  const encoded = texts.map((text) => Buffer.from(text, 'utf8'));
  const lengths = Uint32Array.from(encoded, (bytes) => bytes.length);
  const all = Buffer.concat(encoded);
  return { lengths: add(bytesOf(lengths)), at: add(all), count: texts.length, bytes: all.length };
}

function bytesOf(array: Float64Array | Int32Array | Uint32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** Views into `file`: nothing is copied. `names`: these columns only, in this order. */
export function decodeTable(file: ArrayBuffer, names?: readonly string[]): StoredTable {
  const start = Buffer.from(file, 0, Math.min(file.byteLength, MAGIC.length + 4));
  if (start.length < MAGIC.length + 4 || !start.subarray(0, MAGIC.length).equals(MAGIC))
    throw new Error('This blob does not hold a table.');
  const headerEnd = MAGIC.length + 4 + start.readUInt32LE(MAGIC.length);
  const header = JSON.parse(
    Buffer.from(file, MAGIC.length + 4, headerEnd - MAGIC.length - 4).toString('utf8'),
  ) as Header;
  const base = (headerEnd + 7) & ~7;
  const byName = new Map(header.columns.map((column) => [column.name, column]));
  const wanted = names
    ? names.map((name) => {
        const column = byName.get(name);
        if (!column) throw new Error('The table has no such column.');
        return column;
      })
    : header.columns;
  const columns = wanted.map((column): StoredColumn => {
    const { name, kind } = column;
    if (kind !== 'category') return { name, kind, values: new Float64Array(file, base + column.at, header.rowCount) };
    const codes = new Int32Array(file, base + column.at, header.rowCount);
    const stored = { name, kind, codes, categories: column.categories ?? [] };
    return column.texts ? { ...stored, texts: decodeTexts(file, base, column.texts) } : stored;
  });
  return { rowCount: header.rowCount, columns };
}

function decodeTexts(file: ArrayBuffer, base: number, texts: NonNullable<HeaderColumn['texts']>): string[] {
  const lengths = new Uint32Array(file, base + texts.lengths, texts.count);
  const bytes = Buffer.from(file, base + texts.at, texts.bytes);
  let at = 0;
  return Array.from(lengths, (length) => bytes.toString('utf8', at, (at += length)));
}

/**
 * The table of a dataset version as training sees it: a value that fewer than five rows hold is coded -1, like a missing or an
 * unseen one. Throws SealError if the blob is not what was sealed.
 */
export async function loadTable(blob: SealedBlob, names?: readonly string[]): Promise<StoredTable> {
  const table = decodeTable(await unsealWhole(blob), names);
  maskRare(table);
  return table;
}

/** Codes every rare value as missing, in place. Before that, only a split may see the table: it tells rare values apart. */
export function maskRare(table: StoredTable): void {
  for (const column of table.columns) {
    if (column.kind !== 'category') continue;
    const { codes, categories } = column;
    for (let row = 0; row < codes.length; row++) if (codes[row]! >= categories.length) codes[row] = -1;
  }
}

import { AppError } from '../../platform/errors.js';
import { refuseTooMany } from './format.js';
import { LIMITS } from './schema.js';

export interface ParquetFooter {
  readonly names: readonly string[];
  readonly rowCount: number;
}

const REPEATED = 2;

/**
 * Column names and row count from a Parquet file's footer (Thrift's compact protocol, parquet.thrift's FileMetaData), read here
 * because a hostile schema crashes the library that reads the rest: nesting is refused before it gets there.
 * Throws NESTED_DATA, TOO_MANY_COLUMNS, DATA_UNREADABLE.
 */
export function readParquetFooter(footer: Buffer): ParquetFooter {
  try {
    return new FooterReader(footer).fileMetaData();
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError('DATA_UNREADABLE', 'The Parquet file ends in a footer that cannot be read.');
  }
}

interface Element {
  name: string;
  children: number;
  repetition: number;
}

class FooterReader {
  #at = 0;

  constructor(private readonly bytes: Buffer) {}

  fileMetaData(): ParquetFooter {
    let elements: Element[] = [];
    let rowCount = -1;
    this.#fields((id, type) => {
      if (id === 2 && type === 9) elements = this.#schema();
      else if (id === 3 && type === 6) rowCount = this.#zigzag();
      else this.#skip(type, 0);
    });
    const [root, ...columns] = elements;
    if (!root || rowCount < 0) throw new RangeError('incomplete');
    if (columns.some((column) => column.children > 0 || column.repetition === REPEATED))
      throw new AppError('NESTED_DATA', 'The Parquet file holds lists, maps or structures.');
    if (columns.length !== root.children) throw new RangeError('inconsistent');
    return { names: columns.map((column) => column.name), rowCount };
  }

  #schema(): Element[] {
    const { size } = this.#listHeader();
    // A nested schema has more elements than columns; what is beyond any reason is not worth reading.
    refuseTooMany(Math.floor((size - 1) / 4));
    const elements = Array.from({ length: size }, () => this.#element());
    if (elements.slice(1).every(({ children }) => children === 0)) refuseTooMany(size - 1);
    return elements;
  }

  #element(): Element {
    const element = { name: '', children: 0, repetition: 0 };
    this.#fields((id, type) => {
      if (id === 4 && type === 8) element.name = this.#bytes().toString('utf8');
      else if (id === 5 && type === 5) element.children = this.#zigzag();
      else if (id === 3 && type === 5) element.repetition = this.#zigzag();
      else this.#skip(type, 0);
    });
    return element;
  }

  #fields(read: (id: number, type: number) => void): void {
    for (let id = 0; ;) {
      const head = this.#byte();
      if (head === 0) return;
      const delta = head >> 4;
      id = delta === 0 ? this.#zigzag() : id + delta;
      read(id, head & 15);
    }
  }

  #skip(type: number, depth: number): void {
    if (depth > 16) throw new RangeError('too deep');
    switch (type) {
      case 1:
      case 2:
        return;
      case 3:
        this.#byte();
        return;
      case 4:
      case 5:
      case 6:
        this.#varint();
        return;
      case 7:
        this.#at += 8;
        return;
      case 8:
        this.#bytes();
        return;
      case 9:
      case 10: {
        const { size, type: of } = this.#listHeader();
        // Booleans take a byte each in lists, and none as fields.
        for (let i = 0; i < size; i++) this.#skip(of <= 2 ? 3 : of, depth + 1);
        return;
      }
      case 12:
        this.#fields((_id, of) => this.#skip(of, depth + 1));
        return;
      default:
        throw new RangeError('unknown type');
    }
  }

  #listHeader(): { size: number; type: number } {
    const head = this.#byte();
    const size = head >> 4 === 15 ? this.#varint() : head >> 4;
    if (size > this.bytes.length) throw new RangeError('list too long');
    return { size, type: head & 15 };
  }

  #bytes(): Buffer {
    const size = this.#varint();
    if (size > this.bytes.length - this.#at) throw new RangeError('cut off');
    return this.bytes.subarray(this.#at, (this.#at += size));
  }

  #zigzag(): number {
    const value = this.#varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  #varint(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.#byte();
      value += (byte & 127) * factor;
      if (byte < 128) return value;
      if (factor > 2 ** 56) throw new RangeError('number too long');
    }
  }

  #byte(): number {
    if (this.#at >= this.bytes.length) throw new RangeError('cut off');
    return this.bytes[this.#at++]!;
  }
}

/** Where the footer lies, from the last eight bytes of the file. Throws DATA_UNREADABLE. */
export function footerPlace(tail: Buffer, fileBytes: number): { at: number; size: number } {
  const magic = tail.toString('latin1', tail.length - 4);
  if (tail.length < 8 || (magic !== 'PAR1' && magic !== 'PARE'))
    throw new AppError('DATA_UNREADABLE', 'The Parquet file is cut off: its footer is missing.');
  if (magic === 'PARE') throw new AppError('UNKNOWN_FORMAT', 'The Parquet file is encrypted.');
  const size = tail.readUInt32LE(tail.length - 8);
  if (size > fileBytes - 12) throw new AppError('DATA_UNREADABLE', 'The Parquet file has an impossible footer.');
  if (size > LIMITS.footerBytes) throw new AppError('DATA_TOO_LARGE', 'The footer of the Parquet file is too large.');
  return { at: fileBytes - 8 - size, size };
}

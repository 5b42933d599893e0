/**
 * Fitted models as bytes, for whoever goes on with them: evaluation, warm start, combinations. (Whoever only predicts takes the
 * ONNX file.) The format knows plain data and typed arrays, not models, so that a new kind of feature or model needs no change here:
 *
 *   file    "CCDFIT01" | CRC-32 of the value, 4 bytes | value
 *   value   a tag byte, then what the tag says; lengths and small whole numbers as varints (LEB128), all else little-endian
 *
 * Every text is written once and then referred to by its number; a run of nulls, as in a tree's list of category sets, is one tag.
 * The same model gives the same bytes. (Typed arrays are copied as they lie in memory, which is little-endian wherever Node runs.)
 */
import { crc32 } from 'node:zlib';
import { type FittedModel } from './model.js';

const MAGIC = 'CCDFIT01';
const PREFIX_BYTES = 12;
/** Deeper than any model; a limit, so that damage cannot exhaust the stack. */
const MAX_DEPTH = 64;

const TAG = {
  undefined: 0,
  false: 1,
  true: 2,
  /** How many nulls. */
  nulls: 3,
  /** A whole number from 0 to 2^31 - 1. */
  natural: 4,
  /** 8 bytes. */
  double: 5,
  /** Length in bytes, UTF-8. */
  newText: 6,
  /** Its number. */
  knownText: 7,
  /** Length; values. */
  list: 8,
  /** Number of entries; for each a text and a value. */
  record: 9,
  /** The kind's position in ARRAYS follows, then the length, then the elements. */
  array: 10,
} as const;

const ARRAYS = [
  Int8Array,
  Uint8Array,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
] as const;
type Numbers = InstanceType<(typeof ARRAYS)[number]>;

/** The bytes are not what `packModel` wrote. */
export class PackError extends Error {
  override readonly name = 'PackError';
}

/** @throws PackError for what is neither plain data nor a typed array, such as a Map */
export function packModel(fitted: FittedModel): Uint8Array {
  return pack(fitted);
}

/**
 * The model, sharing no memory with `bytes`.
 * @throws PackError where they are damaged, cut off, or of another format
 */
export function unpackModel(bytes: Uint8Array): FittedModel {
  const value = unpack(bytes) as Partial<FittedModel> | null;
  if (typeof value !== 'object' || typeof value?.model !== 'object' || !Array.isArray(value.inputs))
    throw new PackError('The bytes hold no fitted model.');
  return value as FittedModel;
}

/** Any plain data: null, undefined, booleans, numbers, strings, typed arrays, and lists and records of these. */
export function pack(value: unknown): Uint8Array {
  const writer = new Writer();
  writer.value(value, 0);
  const bytes = writer.bytes();
  new DataView(bytes.buffer).setUint32(MAGIC.length, crc32(bytes.subarray(PREFIX_BYTES)), true);
  return bytes;
}

export function unpack(bytes: Uint8Array): unknown {
  const prefix = String.fromCharCode(...bytes.subarray(0, MAGIC.length));
  if (prefix !== MAGIC)
    throw new PackError(
      prefix.startsWith(MAGIC.slice(0, 6)) ? 'Packed by another version.' : 'This is no packed model.',
    );
  if (bytes.length <= PREFIX_BYTES) throw new PackError('The packed model is cut off.');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(MAGIC.length, true) !== crc32(bytes.subarray(PREFIX_BYTES)))
    throw new PackError('The packed model is damaged.');
  const reader = new Reader(bytes, view);
  const value = reader.value(0);
  reader.end();
  return value;
}

class Writer {
  private buffer = new Uint8Array(1 << 16);
  private view = new DataView(this.buffer.buffer);
  private at = PREFIX_BYTES;
  private readonly texts = new Map<string, number>();
  private readonly encoder = new TextEncoder();

  constructor() {
    this.buffer.set(this.encoder.encode(MAGIC));
  }

  value(value: unknown, depth: number): void {
    if (depth > MAX_DEPTH) throw new PackError('The data are nested too deeply.');
    if (value === null) this.tagged(TAG.nulls, 1);
    else if (value === undefined) this.byte(TAG.undefined);
    else if (typeof value === 'boolean') this.byte(value ? TAG.true : TAG.false);
    else if (typeof value === 'number') this.number(value);
    else if (typeof value === 'string') this.text(value);
    else if (Array.isArray(value)) this.list(value, depth);
    else if (ArrayBuffer.isView(value)) this.array(value);
    else if (typeof value === 'object' && isPlain(value)) this.record(value as Record<string, unknown>, depth);
    else throw new PackError('Only plain data and typed arrays can be packed.');
  }

  bytes(): Uint8Array {
    return this.buffer.slice(0, this.at);
  }

  private number(value: number): void {
    if (Number.isInteger(value) && value >= 0 && value < 2 ** 31 && !Object.is(value, -0)) {
      this.tagged(TAG.natural, value);
      return;
    }
    this.byte(TAG.double);
    this.room(8);
    this.view.setFloat64(this.at, value, true);
    this.at += 8;
  }

  private text(text: string): void {
    const known = this.texts.get(text);
    if (known !== undefined) {
      this.tagged(TAG.knownText, known);
      return;
    }
    this.texts.set(text, this.texts.size);
    const bytes = this.encoder.encode(text);
    this.tagged(TAG.newText, bytes.length);
    this.raw(bytes);
  }

  private list(values: readonly unknown[], depth: number): void {
    this.tagged(TAG.list, values.length);
    for (let i = 0; i < values.length;) {
      let end = i;
      while (end < values.length && values[end] === null) end++;
      if (end > i) this.tagged(TAG.nulls, end - i);
      else this.value(values[end++], depth + 1);
      i = end;
    }
  }

  private record(value: Readonly<Record<string, unknown>>, depth: number): void {
    const entries = Object.entries(value);
    this.tagged(TAG.record, entries.length);
    for (const [key, entry] of entries) {
      this.text(key);
      this.value(entry, depth + 1);
    }
  }

  private array(array: ArrayBufferView): void {
    const kind = ARRAYS.findIndex((made) => array instanceof made);
    if (kind < 0) throw new PackError('Only plain data and typed arrays can be packed.');
    this.byte(TAG.array);
    this.byte(kind);
    this.varint((array as Numbers).length);
    this.raw(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
  }

  private tagged(tag: number, count: number): void {
    this.byte(tag);
    this.varint(count);
  }

  private varint(value: number): void {
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.byte((rest % 128) | 128);
    this.byte(rest);
  }

  private byte(value: number): void {
    this.room(1);
    this.buffer[this.at++] = value;
  }

  private raw(bytes: Uint8Array): void {
    this.room(bytes.length);
    this.buffer.set(bytes, this.at);
    this.at += bytes.length;
  }

  private room(more: number): void {
    if (this.at + more <= this.buffer.length) return;
    const larger = new Uint8Array(Math.max(2 * this.buffer.length, this.at + more));
    larger.set(this.buffer.subarray(0, this.at));
    this.buffer = larger;
    this.view = new DataView(larger.buffer);
  }
}

class Reader {
  private at = PREFIX_BYTES;
  private readonly texts: string[] = [];
  private readonly decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

  constructor(
    private readonly bytes: Uint8Array,
    private readonly view: DataView,
  ) {}

  value(depth: number): unknown {
    if (depth > MAX_DEPTH) throw damaged();
    const tag = this.byte();
    switch (tag) {
      case TAG.undefined:
        return undefined;
      case TAG.false:
        return false;
      case TAG.true:
        return true;
      case TAG.nulls:
        if (this.varint() !== 1) throw damaged();
        return null;
      case TAG.natural:
        return this.varint();
      case TAG.double:
        return this.view.getFloat64(this.take(8), true);
      case TAG.newText:
      case TAG.knownText:
        return this.text(tag);
      case TAG.list:
        return this.list(depth);
      case TAG.record:
        return this.record(depth);
      case TAG.array:
        return this.array();
      default:
        throw damaged();
    }
  }

  end(): void {
    if (this.at !== this.bytes.length) throw damaged();
  }

  private text(tag: number): string {
    const number = this.varint();
    if (tag === TAG.knownText) {
      const known = this.texts[number];
      if (known === undefined) throw damaged();
      return known;
    }
    if (tag !== TAG.newText) throw damaged();
    const from = this.take(number);
    let text: string;
    try {
      text = this.decoder.decode(this.bytes.subarray(from, this.at));
    } catch {
      throw damaged();
    }
    this.texts.push(text);
    return text;
  }

  private list(depth: number): unknown[] {
    const length = this.varint();
    const values: unknown[] = [];
    while (values.length < length) {
      if (this.bytes[this.at] !== TAG.nulls) {
        values.push(this.value(depth + 1));
        continue;
      }
      this.at++;
      const run = this.varint();
      if (run === 0 || values.length + run > length) throw damaged();
      for (let i = 0; i < run; i++) values.push(null);
    }
    return values;
  }

  private record(depth: number): Record<string, unknown> {
    const count = this.varint();
    const entries: [string, unknown][] = [];
    for (let i = 0; i < count; i++) {
      const key = this.text(this.byte());
      entries.push([key, this.value(depth + 1)]);
    }
    return Object.fromEntries(entries);
  }

  private array(): Numbers {
    const made = ARRAYS[this.byte()];
    if (made === undefined) throw damaged();
    const length = this.varint();
    const from = this.take(length * made.BYTES_PER_ELEMENT);
    // A copy of its own: aligned, and free of the packed bytes.
    return new made(this.bytes.slice(from, this.at).buffer);
  }

  private varint(): number {
    let value = 0;
    for (let factor = 1; factor < 2 ** 49; factor *= 128) {
      const byte = this.byte();
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
    throw damaged();
  }

  private byte(): number {
    return this.bytes[this.take(1)]!;
  }

  /** Where the next `count` bytes begin. */
  private take(count: number): number {
    const from = this.at;
    if (count > this.bytes.length - from) throw damaged();
    this.at += count;
    return from;
  }
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function damaged(): PackError {
  return new PackError('The packed model is damaged.');
}

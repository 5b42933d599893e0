/**
 * Universal Binary JSON, as XGBoost writes it: strict, because the bytes come from anybody. Every length is checked against the
 * bytes that are left before anything is allocated, and nesting is bounded.
 * Source: https://ubjson.org (draft 12). Optimised objects, high-precision numbers and no-ops are not used by XGBoost and are refused.
 */
import { unreadable } from './problem.js';

export type NumberArray =
  Int8Array | Uint8Array | Int16Array | Int32Array | Float32Array | Float64Array | readonly number[];
export type Value = null | boolean | number | string | readonly Value[] | NumberArray | ObjectValue;
export interface ObjectValue {
  readonly [key: string]: Value | undefined;
}

const MAX_DEPTH = 64;

/** @throws SpecError MODEL_UNREADABLE */
export function decodeUbjson(bytes: Uint8Array): Value {
  const decoder = new Decoder(bytes);
  const value = decoder.value(0);
  if (!decoder.isAtEnd()) throw unreadable('something follows after its end');
  return value;
}

class Decoder {
  readonly #view: DataView;
  readonly #text = new TextDecoder('utf-8', { fatal: true });
  #at = 0;

  constructor(private readonly bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  isAtEnd(): boolean {
    return this.#at === this.bytes.length;
  }

  value(depth: number): Value {
    const marker = this.#marker();
    switch (marker) {
      case 'Z':
        return null;
      case 'T':
        return true;
      case 'F':
        return false;
      case 'S':
        return this.#string();
      case 'C':
        return String.fromCharCode(this.#number('U'));
      case '[':
        return this.#array(depth + 1);
      case '{':
        return this.#object(depth + 1);
      default:
        return this.#number(marker);
    }
  }

  #array(depth: number): Value {
    this.#enter(depth);
    if (this.#skip('$')) {
      const type = this.#marker();
      if (!this.#skip('#')) throw unreadable('an array has a type but no length');
      return this.#typedArray(type, this.#length());
    }
    const values: Value[] = [];
    if (this.#skip('#')) {
      for (let left = this.#length(); left > 0; left--) values.push(this.value(depth));
    } else {
      while (!this.#skip(']')) values.push(this.value(depth));
    }
    return values;
  }

  #object(depth: number): ObjectValue {
    this.#enter(depth);
    const entries: [string, Value][] = [];
    while (!this.#skip('}')) entries.push([this.#string(), this.value(depth)]);
    return Object.fromEntries(entries);
  }

  #typedArray(type: string, length: number): NumberArray {
    const size = SIZES[type];
    if (size === undefined) throw unreadable('an array has an unknown type');
    this.#need(length * size);
    const values = type === 'd' ? new Float32Array(length) : new Float64Array(length);
    for (let i = 0; i < length; i++) values[i] = this.#number(type);
    return values;
  }

  #string(): string {
    const length = this.#length();
    this.#need(length);
    try {
      return this.#text.decode(this.bytes.subarray(this.#at, (this.#at += length)));
    } catch {
      throw unreadable('a text is not UTF-8');
    }
  }

  /** A count of things that take at least a byte each. */
  #length(): number {
    const length = this.#number(this.#marker());
    if (!Number.isInteger(length) || length < 0) throw unreadable('a length is no whole number');
    this.#need(length);
    return length;
  }

  #number(type: string): number {
    const size = SIZES[type];
    if (size === undefined) throw unreadable('a value has an unknown type');
    this.#need(size);
    const at = this.#at;
    this.#at += size;
    const view = this.#view;
    switch (type) {
      case 'i':
        return view.getInt8(at);
      case 'U':
        return view.getUint8(at);
      case 'I':
        return view.getInt16(at);
      case 'l':
        return view.getInt32(at);
      case 'L':
        return Number(view.getBigInt64(at));
      case 'd':
        return view.getFloat32(at);
      default:
        return view.getFloat64(at);
    }
  }

  #marker(): string {
    this.#need(1);
    return String.fromCharCode(this.bytes[this.#at++]!);
  }

  #skip(marker: string): boolean {
    this.#need(1);
    if (this.bytes[this.#at] !== marker.charCodeAt(0)) return false;
    this.#at++;
    return true;
  }

  #enter(depth: number): void {
    if (depth > MAX_DEPTH) throw unreadable('it is nested too deeply');
  }

  #need(bytes: number): void {
    if (bytes > this.bytes.length - this.#at) throw unreadable('it ends too early');
  }
}

const SIZES: Readonly<Record<string, number | undefined>> = { i: 1, U: 1, I: 2, l: 4, L: 8, d: 4, D: 8 };

/**
 * Protocol Buffers wire format, as much of it as an ONNX file needs.
 * Source: https://protobuf.dev/programming-guides/encoding
 *
 *   field  = varint(number << 3 | wire) payload
 *   wire 0 = varint: 7 bits a byte, lowest first, the high bit says that more follow
 *   wire 2 = varint(length) bytes: strings, nested messages, packed lists
 *   wire 5 = 4 bytes, little-endian: float
 */
export class ProtoWriter {
  private bytes = new Uint8Array(256);
  private length = 0;

  /** Whole numbers from 0 to 2^53 - 1: nothing in our files is negative. */
  integer(field: number, value: number): this {
    return this.tag(field, 0).varint(value);
  }

  float(field: number, value: number): this {
    this.tag(field, 5).reserve(4);
    new DataView(this.bytes.buffer).setFloat32(this.length, value, true);
    this.length += 4;
    return this;
  }

  string(field: number, text: string): this {
    return this.raw(field, encoder.encode(text));
  }

  raw(field: number, bytes: Uint8Array): this {
    this.tag(field, 2).varint(bytes.length).reserve(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
    return this;
  }

  message(field: number, write: (inner: ProtoWriter) => void): this {
    const inner = new ProtoWriter();
    write(inner);
    return this.raw(field, inner.finish());
  }

  packed(field: number, values: ArrayLike<number>): this {
    return this.message(field, (inner) => {
      for (let i = 0; i < values.length; i++) inner.varint(values[i]!);
    });
  }

  /** The fields of another message behind this one's own. */
  append(other: ProtoWriter): this {
    this.reserve(other.length);
    this.bytes.set(other.finish(), this.length);
    this.length += other.length;
    return this;
  }

  finish(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  private tag(field: number, wire: number): this {
    return this.varint(field * 8 + wire);
  }

  private varint(value: number): this {
    if (!Number.isSafeInteger(value) || value < 0)
      throw new RangeError(`A varint of ours is a whole number, not ${value}.`);
    this.reserve(8);
    let rest = value;
    for (; rest >= 0x8000_0000; rest = Math.floor(rest / 128)) this.bytes[this.length++] = (rest % 128) | 128;
    for (; rest >= 128; rest >>>= 7) this.bytes[this.length++] = (rest & 127) | 128;
    this.bytes[this.length++] = rest;
    return this;
  }

  private reserve(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(this.length + more, 2 * this.bytes.length));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/** Calls `visit` for every length-delimited field of one message; others are stepped over. Throws RangeError on a malformed one. */
export function readFields(bytes: Uint8Array, visit: (field: number, payload: Uint8Array) => void): void {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; at < bytes.length && scale < 2 ** 70; scale *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw new RangeError('A varint does not end.');
  };
  while (at < bytes.length) {
    const tag = varint();
    const wire = tag % 8;
    if (wire === 0) {
      varint();
      continue;
    }
    const size = wire === 2 ? varint() : wire === 5 ? 4 : wire === 1 ? 8 : NaN;
    if (!(at + size <= bytes.length)) throw new RangeError('A field reaches beyond its message.');
    if (wire === 2) visit(Math.floor(tag / 8), bytes.subarray(at, at + size));
    at += size;
  }
}

export function readString(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

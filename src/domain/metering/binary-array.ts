/*
 * One-dimensional arrays in PostgreSQL's binary form (array_recv): a Buffer as a parameter is sent as it is, whereas the driver would
 * write numbers and buffers as text, and the server would parse them again.
 */

const OID = { int2: 21, int4: 23, uuid: 2950, bytea: 17 } as const;
const HEADER_BYTES = 20;

export function int2Array(values: ArrayLike<number>): Buffer {
  const out = begin(OID.int2, values.length, values.length * 6, false);
  for (let i = 0, at = HEADER_BYTES; i < values.length; i++, at += 6) {
    out.writeInt32BE(2, at);
    out.writeInt16BE(values[i]!, at + 4);
  }
  return out;
}

export function int4Array(values: ArrayLike<number>): Buffer {
  const out = begin(OID.int4, values.length, values.length * 8, false);
  for (let i = 0, at = HEADER_BYTES; i < values.length; i++, at += 8) {
    out.writeInt32BE(4, at);
    out.writeInt32BE(values[i]!, at + 4);
  }
  return out;
}

/** Each of 16 bytes. */
export function uuidArray(values: readonly (Buffer | null)[]): Buffer {
  return bytesArray(OID.uuid, values);
}

export function byteaArray(values: readonly (Buffer | null)[]): Buffer {
  return bytesArray(OID.bytea, values);
}

function bytesArray(oid: number, values: readonly (Buffer | null)[]): Buffer {
  let bytes = 0;
  let hasNull = false;
  for (const value of values) {
    bytes += 4 + (value?.length ?? 0);
    hasNull ||= value === null;
  }
  const out = begin(oid, values.length, bytes, hasNull);
  let at = HEADER_BYTES;
  for (const value of values) {
    at = out.writeInt32BE(value?.length ?? -1, at);
    if (value) at += value.copy(out, at);
  }
  return out;
}

/** Dimensions, whether there are nulls, type, length, lower bound. `length` > 0. */
function begin(oid: number, length: number, bytes: number, hasNull: boolean): Buffer {
  const out = Buffer.allocUnsafe(HEADER_BYTES + bytes);
  out.writeInt32BE(1, 0);
  out.writeInt32BE(hasNull ? 1 : 0, 4);
  out.writeInt32BE(oid, 8);
  out.writeInt32BE(length, 12);
  out.writeInt32BE(1, 16);
  return out;
}

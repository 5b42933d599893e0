/** Binning: sorting the sample that cuts are found on, the bin of every value, and the row-major copy of the bins. */
import { CHUNK } from './control';

/** Sorts `count` float32 (no NaN) ascending: radix sort, 11 bits a pass. `spare` holds count + 2048 words. */
export function sortFloats(values: usize, count: i32, spare: usize): void {
  const counts = spare + ((<usize>count) << 2);
  const end = values + ((<usize>count) << 2);
  for (let at = values; at < end; at += 4) store<u32>(at, ascending(load<u32>(at)));
  let from = values;
  let to = spare;
  for (let shift: u32 = 0; shift < 33; shift += 11) {
    memory.fill(counts, 0, 8192);
    const last = from + ((<usize>count) << 2);
    for (let at = from; at < last; at += 4) {
      const slot = counts + ((<usize>((load<u32>(at) >> shift) & 2047)) << 2);
      store<u32>(slot, load<u32>(slot) + 1);
    }
    let sum: u32 = 0;
    for (let slot = counts; slot < counts + 8192; slot += 4) {
      const size = load<u32>(slot);
      store<u32>(slot, sum);
      sum += size;
    }
    for (let at = from; at < last; at += 4) {
      const key = load<u32>(at);
      const slot = counts + ((<usize>((key >> shift) & 2047)) << 2);
      const place = load<u32>(slot);
      store<u32>(slot, place + 1);
      store<u32>(to + ((<usize>place) << 2), key);
    }
    const swap = from;
    from = to;
    to = swap;
  }
  // Three passes: the keys lie in the spare array.
  for (let at: usize = 0; at < (<usize>count) << 2; at += 4) store<u32>(values + at, original(load<u32>(spare + at)));
}

/** Bits whose order as whole numbers is that of the floats. */
function ascending(bits: u32): u32 {
  return bits ^ ((<u32>((<i32>bits) >> 31)) | 0x80000000);
}
function original(key: u32): u32 {
  return key ^ ((<u32>((<i32>~key) >> 31)) | 0x80000000);
}

/** The number of cuts below `value`, of 255 ascending ones (the unused are +∞). */
function search(cuts: usize, value: f32): usize {
  let at = cuts;
  at += (<usize>(load<f32>(at, 508) < value)) << 9;
  at += (<usize>(load<f32>(at, 252) < value)) << 8;
  at += (<usize>(load<f32>(at, 124) < value)) << 7;
  at += (<usize>(load<f32>(at, 60) < value)) << 6;
  at += (<usize>(load<f32>(at, 28) < value)) << 5;
  at += (<usize>(load<f32>(at, 12) < value)) << 4;
  at += (<usize>(load<f32>(at, 4) < value)) << 3;
  at += (<usize>(load<f32>(at) < value)) << 2;
  return (at - cuts) >> 2;
}

/**
 * bins[row] = the first bin whose cut is not below the value, `binCount` for NaN; low and high (f32 per bin) take in the values.
 */
export function binChunk(
  task: i32,
  rows: i32,
  values: usize,
  bins: usize,
  cuts: usize,
  binCount: i32,
  low: usize,
  high: usize,
): void {
  const begin = task * CHUNK;
  const end = min(begin + CHUNK, rows);
  let i = begin;
  for (; i + 4 <= end; i += 4) {
    const at = values + ((<usize>i) << 2);
    const a = load<f32>(at);
    const b = load<f32>(at, 4);
    const c = load<f32>(at, 8);
    const d = load<f32>(at, 12);
    const binA = search(cuts, a);
    const binB = search(cuts, b);
    const binC = search(cuts, c);
    const binD = search(cuts, d);
    const to = bins + <usize>i;
    keep(to, a, binA, binCount, low, high);
    keep(to + 1, b, binB, binCount, low, high);
    keep(to + 2, c, binC, binCount, low, high);
    keep(to + 3, d, binD, binCount, low, high);
  }
  for (; i < end; i++) {
    const value = load<f32>(values + ((<usize>i) << 2));
    keep(bins + <usize>i, value, search(cuts, value), binCount, low, high);
  }
}

function keep(to: usize, value: f32, bin: usize, binCount: i32, low: usize, high: usize): void {
  if (value != value) {
    store<u8>(to, <u8>binCount);
    return;
  }
  store<u8>(to, <u8>bin);
  const at = bin << 2;
  store<f32>(low + at, min(load<f32>(low + at), value));
  store<f32>(high + at, max(load<f32>(high + at), value));
}

/** Writes `width` columns of bins into rows of a pane, for one chunk of rows. */
export function interleaveChunk(
  task: i32,
  rows: i32,
  columns: usize,
  stride: usize,
  width: i32,
  pane: usize,
  rowBytes: usize,
): void {
  const begin = <usize>(task * CHUNK);
  const end = <usize>min(task * CHUNK + CHUNK, rows);
  for (let k = 0; k < width; k++) {
    const column = columns + <usize>k * stride;
    let to = pane + begin * rowBytes + <usize>k;
    for (let i = begin; i < end; i++, to += rowBytes) store<u8>(to, load<u8>(column + i));
  }
}

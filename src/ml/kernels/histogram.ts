/**
 * Histograms. A cell is one i64, the sum of gradients in its high half and of hessians in its low half: one addition for both,
 * exact, and so is subtraction.
 *
 *   pane      up to 56 features: a row of bytes per row, byte k the bin of the pane's feature k. One miss brings a row's bins
 *   block     up to 16 features of a pane whose cells stay in the nearest cache while a batch of rows is added up
 *   entries   {row u32, h u16, g i16}, rows ascending
 *   cells     256 per feature, feature after feature
 */
import { CELLS } from './control';

/** Entries that are gathered before they are added up: their bins are at most 32 KB, their values 4 KB. */
const BATCH: i32 = 512;

/**
 * cells[k][bin of k] += entry, for all entries begin … end-1 and all features of a pane, `width` of them at a time.
 * `scratch` and `values` hold a batch.
 */
export function addPane(
  cells: usize,
  features: i32,
  width: i32,
  pane: usize,
  rowBytes: usize,
  entries: usize,
  begin: i32,
  end: i32,
  scratch: usize,
  values: usize,
): void {
  const vectors = <usize>((features + 15) >> 4);
  for (let i = begin; i < end; i += BATCH) {
    const count = min(BATCH, end - i);
    const batch = entries + ((<usize>i) << 3);
    const first = load<u32>(batch);
    const isDense = load<u32>(batch + ((<usize>(count - 1)) << 3)) - first == <u32>(count - 1);
    unpack(values, batch, count);
    // The first vector of each row brings the others along.
    if (!isDense)
      for (let v: usize = 0; v < vectors; v++)
        gather(scratch + (v << 4), vectors << 4, pane + (v << 4), rowBytes, batch, count);
    const bins = isDense ? pane + <usize>first * rowBytes : scratch;
    const stride = isDense ? rowBytes : vectors << 4;
    for (let f = 0; f < features; f += width)
      addBatch(cells + <usize>f * CELLS, min(width, features - f), bins + <usize>f, stride, values, count);
  }
}

/** Entries as what they add to a cell: g in the high half, h in the low half. */
function unpack(to: usize, entries: usize, count: i32): void {
  const low = i32x4(0xffff, 0, 0xffff, 0);
  for (const end = to + ((<usize>count) << 3); to < end; to += 16, entries += 16) {
    const pair = v128.load(entries);
    const both = v128.shuffle<i32>(pair, pair, 1, 1, 3, 3);
    v128.store(to, v128.bitselect(v128.and(both, low), i32x4.shr_s(both, 16), i32x4(-1, 0, -1, 0)));
  }
}

/** Copies a vector of each entry's row. Alone in its loop, so that many cache misses are under way at once. */
function gather(to: usize, stride: usize, rows: usize, rowBytes: usize, entries: usize, count: i32): void {
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    const at = entries + ((<usize>i) << 3);
    const a = v128.load(rows + <usize>load<u32>(at) * rowBytes);
    const b = v128.load(rows + <usize>load<u32>(at, 8) * rowBytes);
    const c = v128.load(rows + <usize>load<u32>(at, 16) * rowBytes);
    const d = v128.load(rows + <usize>load<u32>(at, 24) * rowBytes);
    v128.store(to, a);
    v128.store(to + stride, b);
    v128.store(to + 2 * stride, c);
    v128.store(to + 3 * stride, d);
    to += 4 * stride;
  }
  for (; i < count; i++, to += stride)
    v128.store(to, v128.load(rows + <usize>load<u32>(entries + ((<usize>i) << 3)) * rowBytes));
}

// The width of a block as a type: the compiler makes one loop without branches for each.
class W1 {
  a: u8 = 0;
}
class W2 extends W1 {
  b: u8 = 0;
}
class W3 extends W2 {
  c: u8 = 0;
}
class W4 extends W3 {
  d: u8 = 0;
}
class W5 extends W4 {
  e: u8 = 0;
}
class W6 extends W5 {
  f: u8 = 0;
}
class W7 extends W6 {
  g: u8 = 0;
}
class W8 extends W7 {
  h: u8 = 0;
}
class W9 extends W8 {
  i: u8 = 0;
}
class W10 extends W9 {
  j: u8 = 0;
}
class W11 extends W10 {
  k: u8 = 0;
}
class W12 extends W11 {
  l: u8 = 0;
}
class W13 extends W12 {
  m: u8 = 0;
}
class W14 extends W13 {
  n: u8 = 0;
}
class W15 extends W14 {
  o: u8 = 0;
}
class W16 extends W15 {
  p: u8 = 0;
}

function addBatch(cells: usize, width: i32, bins: usize, stride: usize, values: usize, count: i32): void {
  switch (width) {
    case 1:
      return add<W1>(cells, bins, stride, values, count);
    case 2:
      return add<W2>(cells, bins, stride, values, count);
    case 3:
      return add<W3>(cells, bins, stride, values, count);
    case 4:
      return add<W4>(cells, bins, stride, values, count);
    case 5:
      return add<W5>(cells, bins, stride, values, count);
    case 6:
      return add<W6>(cells, bins, stride, values, count);
    case 7:
      return add<W7>(cells, bins, stride, values, count);
    case 8:
      return add<W8>(cells, bins, stride, values, count);
    case 9:
      return add<W9>(cells, bins, stride, values, count);
    case 10:
      return add<W10>(cells, bins, stride, values, count);
    case 11:
      return add<W11>(cells, bins, stride, values, count);
    case 12:
      return add<W12>(cells, bins, stride, values, count);
    case 13:
      return add<W13>(cells, bins, stride, values, count);
    case 14:
      return add<W14>(cells, bins, stride, values, count);
    case 15:
      return add<W15>(cells, bins, stride, values, count);
    default:
      return add<W16>(cells, bins, stride, values, count);
  }
}

function add<W>(cells: usize, bins: usize, stride: usize, values: usize, count: i32): void {
  const end = values + ((<usize>count) << 3);
  for (; values < end; values += 8, bins += stride) {
    const value = load<i64>(values);
    bump<W1>(cells, bins, value);
    if (offsetof<W>() >= 2) bump<W2>(cells, bins, value);
    if (offsetof<W>() >= 3) bump<W3>(cells, bins, value);
    if (offsetof<W>() >= 4) bump<W4>(cells, bins, value);
    if (offsetof<W>() >= 5) bump<W5>(cells, bins, value);
    if (offsetof<W>() >= 6) bump<W6>(cells, bins, value);
    if (offsetof<W>() >= 7) bump<W7>(cells, bins, value);
    if (offsetof<W>() >= 8) bump<W8>(cells, bins, value);
    if (offsetof<W>() >= 9) bump<W9>(cells, bins, value);
    if (offsetof<W>() >= 10) bump<W10>(cells, bins, value);
    if (offsetof<W>() >= 11) bump<W11>(cells, bins, value);
    if (offsetof<W>() >= 12) bump<W12>(cells, bins, value);
    if (offsetof<W>() >= 13) bump<W13>(cells, bins, value);
    if (offsetof<W>() >= 14) bump<W14>(cells, bins, value);
    if (offsetof<W>() >= 15) bump<W15>(cells, bins, value);
    if (offsetof<W>() >= 16) bump<W16>(cells, bins, value);
  }
}

/** Adds to the cell of the last feature of a block as wide as W. */
function bump<W>(cells: usize, bins: usize, value: i64): void {
  const cell = cells + ((<usize>load<u8>(bins, offsetof<W>() - 1)) << 3);
  store<i64>(cell, load<i64>(cell, (offsetof<W>() - 1) * CELLS) + value, (offsetof<W>() - 1) * CELLS);
}

/** sum += part, for `size` bytes of cells. */
export function addCells(sum: usize, part: usize, size: usize): void {
  for (let at: usize = 0; at < size; at += 16)
    v128.store(sum + at, i64x2.add(v128.load(sum + at), v128.load(part + at)));
}

/** parent -= child, for one feature. */
export function subtractCells(parent: usize, child: usize): void {
  for (let at: usize = 0; at < CELLS; at += 32) {
    v128.store(parent + at, i64x2.sub(v128.load(parent + at), v128.load(child + at)));
    v128.store(parent + at, i64x2.sub(v128.load(parent + at, 16), v128.load(child + at, 16)), 16);
  }
}

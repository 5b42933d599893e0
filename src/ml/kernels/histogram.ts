/**
 * Histograms of a block of up to 16 features. A cell is one i64, the sum of gradients in its high half and of hessians in its
 * low half: one addition for both, exact, and so is subtraction.
 *
 *   block     16 bytes per row, byte k the bin of the block's feature k
 *   entries   {row u32, h u16, g i16}, rows ascending
 *   cells     256 per feature, feature after feature
 */
import { CELLS } from './control';
import { packed } from './quantise';

/** Entries that are gathered before they are added up: their bins are 4 KB. */
const BATCH: i32 = 256;

/** cells[k][bin of k] += entry, for all entries begin … end-1 and all features of the block. `scratch` holds 4 KB. */
export function addBlock(
  cells: usize,
  width: i32,
  block: usize,
  entries: usize,
  begin: i32,
  end: i32,
  scratch: usize,
): void {
  for (let i = begin; i < end; i += BATCH) {
    const count = min(BATCH, end - i);
    const batch = entries + ((<usize>i) << 3);
    const first = load<u32>(batch);
    const last = load<u32>(batch + ((<usize>(count - 1)) << 3));
    if (last - first == <u32>(count - 1)) {
      addBatch(cells, width, block + ((<usize>first) << 4), batch, count);
    } else {
      gather(scratch, block, batch, count);
      addBatch(cells, width, scratch, batch, count);
    }
  }
}

/** Copies the block rows of the entries side by side. Alone in its loop, so that many cache misses are under way at once. */
function gather(to: usize, block: usize, entries: usize, count: i32): void {
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    const at = entries + ((<usize>i) << 3);
    const a = v128.load(block + ((<usize>load<u32>(at)) << 4));
    const b = v128.load(block + ((<usize>load<u32>(at, 8)) << 4));
    const c = v128.load(block + ((<usize>load<u32>(at, 16)) << 4));
    const d = v128.load(block + ((<usize>load<u32>(at, 24)) << 4));
    const out = to + ((<usize>i) << 4);
    v128.store(out, a);
    v128.store(out, b, 16);
    v128.store(out, c, 32);
    v128.store(out, d, 48);
  }
  for (; i < count; i++) {
    const row = load<u32>(entries + ((<usize>i) << 3));
    v128.store(to + ((<usize>i) << 4), v128.load(block + ((<usize>row) << 4)));
  }
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

function addBatch(cells: usize, width: i32, bins: usize, entries: usize, count: i32): void {
  switch (width) {
    case 1:
      return add<W1>(cells, bins, entries, count);
    case 2:
      return add<W2>(cells, bins, entries, count);
    case 3:
      return add<W3>(cells, bins, entries, count);
    case 4:
      return add<W4>(cells, bins, entries, count);
    case 5:
      return add<W5>(cells, bins, entries, count);
    case 6:
      return add<W6>(cells, bins, entries, count);
    case 7:
      return add<W7>(cells, bins, entries, count);
    case 8:
      return add<W8>(cells, bins, entries, count);
    case 9:
      return add<W9>(cells, bins, entries, count);
    case 10:
      return add<W10>(cells, bins, entries, count);
    case 11:
      return add<W11>(cells, bins, entries, count);
    case 12:
      return add<W12>(cells, bins, entries, count);
    case 13:
      return add<W13>(cells, bins, entries, count);
    case 14:
      return add<W14>(cells, bins, entries, count);
    case 15:
      return add<W15>(cells, bins, entries, count);
    default:
      return add<W16>(cells, bins, entries, count);
  }
}

function add<W>(cells: usize, bins: usize, entries: usize, count: i32): void {
  const end = entries + ((<usize>count) << 3);
  for (; entries < end; entries += 8, bins += 16) {
    const value = packed(load<i64>(entries));
    const low = load<u64>(bins);
    bump(cells + (((<usize>low) & 255) << 3), value);
    if (offsetof<W>() > 1) bump(cells + CELLS + (((<usize>(low >> 8)) & 255) << 3), value);
    if (offsetof<W>() > 2) bump(cells + 2 * CELLS + (((<usize>(low >> 16)) & 255) << 3), value);
    if (offsetof<W>() > 3) bump(cells + 3 * CELLS + (((<usize>(low >> 24)) & 255) << 3), value);
    if (offsetof<W>() > 4) bump(cells + 4 * CELLS + (((<usize>(low >> 32)) & 255) << 3), value);
    if (offsetof<W>() > 5) bump(cells + 5 * CELLS + (((<usize>(low >> 40)) & 255) << 3), value);
    if (offsetof<W>() > 6) bump(cells + 6 * CELLS + (((<usize>(low >> 48)) & 255) << 3), value);
    if (offsetof<W>() > 7) bump(cells + 7 * CELLS + ((<usize>(low >> 56)) << 3), value);
    if (offsetof<W>() > 8) {
      const high = load<u64>(bins, 8);
      bump(cells + 8 * CELLS + (((<usize>high) & 255) << 3), value);
      if (offsetof<W>() > 9) bump(cells + 9 * CELLS + (((<usize>(high >> 8)) & 255) << 3), value);
      if (offsetof<W>() > 10) bump(cells + 10 * CELLS + (((<usize>(high >> 16)) & 255) << 3), value);
      if (offsetof<W>() > 11) bump(cells + 11 * CELLS + (((<usize>(high >> 24)) & 255) << 3), value);
      if (offsetof<W>() > 12) bump(cells + 12 * CELLS + (((<usize>(high >> 32)) & 255) << 3), value);
      if (offsetof<W>() > 13) bump(cells + 13 * CELLS + (((<usize>(high >> 40)) & 255) << 3), value);
      if (offsetof<W>() > 14) bump(cells + 14 * CELLS + (((<usize>(high >> 48)) & 255) << 3), value);
      if (offsetof<W>() > 15) bump(cells + 15 * CELLS + ((<usize>(high >> 56)) << 3), value);
    }
  }
}

function bump(cell: usize, value: i64): void {
  store<i64>(cell, load<i64>(cell) + value);
}

/** parent -= child, for one feature. */
export function subtractCells(parent: usize, child: usize): void {
  for (let at: usize = 0; at < CELLS; at += 32) {
    v128.store(parent + at, i64x2.sub(v128.load(parent + at), v128.load(child + at)));
    v128.store(parent + at, i64x2.sub(v128.load(parent + at, 16), v128.load(child + at, 16)), 16);
  }
}

/**
 * Derivatives become whole numbers, so that sums of them are exact and come out the same in any order:
 *
 *   entry = {row u32, h u16, g i16}     g = ⌊g·scaleG + r⌋,  h = max(1, ⌊h·scaleH + r'⌋)
 *
 * r and r' in [0, 1) are a hash of (row, seed): rounding is right on average where derivatives take few values only, and does
 * not depend on who does it. A cell of a histogram is 0 just where no row fell, because no h is 0.
 */
import { CHUNK, NOTE } from './control';

function mix(x: v128): v128 {
  let z = v128.xor(x, i32x4.shr_u(x, 16));
  z = i32x4.mul(z, i32x4.splat(0x85ebca6b));
  z = v128.xor(z, i32x4.shr_u(z, 13));
  z = i32x4.mul(z, i32x4.splat(0xc2b2ae35));
  return v128.xor(z, i32x4.shr_u(z, 16));
}

function floorSum(x: v128, scale: f32, random: v128): v128 {
  const r = f32x4.mul(f32x4.convert_i32x4_u(random), f32x4.splat(1.0 / 65536));
  return i32x4.trunc_sat_f32x4_s(f32x4.floor(f32x4.add(f32x4.mul(x, f32x4.splat(scale)), r)));
}

/** {h u16, g i16} of four rows. */
function quantised(rows: v128, g: v128, h: v128, scaleG: f32, scaleH: f32, seed: i32): v128 {
  const random = mix(i32x4.add(i32x4.mul(rows, i32x4.splat(0x9e3779b1)), i32x4.splat(seed)));
  const qg = floorSum(g, scaleG, v128.and(random, i32x4.splat(0xffff)));
  const qh = i32x4.max_s(floorSum(h, scaleH, i32x4.shr_u(random, 16)), i32x4.splat(1));
  return v128.or(i32x4.shl(qg, 16), v128.and(qh, i32x4.splat(0xffff)));
}

/** Rows 0, 1, 2 … of one chunk; note = Σ of the entries as packed cells. Both arrays are padded to a multiple of 4 rows. */
export function quantiseChunk(
  task: i32,
  rows: i32,
  pairs: usize,
  entries: usize,
  notes: usize,
  scaleG: f32,
  scaleH: f32,
  seed: i32,
): void {
  const begin = task * CHUNK;
  const end = min(begin + CHUNK, rows);
  let row = i32x4.add(i32x4.splat(begin), i32x4(0, 1, 2, 3));
  for (let i = begin; i < end; i += 4) {
    const at = (<usize>i) << 3;
    const a = v128.load(pairs + at);
    const b = v128.load(pairs + at, 16);
    const g = v128.shuffle<f32>(a, b, 0, 2, 4, 6);
    const h = v128.shuffle<f32>(a, b, 1, 3, 5, 7);
    const q = quantised(row, g, h, scaleG, scaleH, seed);
    v128.store(entries + at, v128.shuffle<i32>(row, q, 0, 4, 1, 5));
    v128.store(entries + at, v128.shuffle<i32>(row, q, 2, 6, 3, 7), 16);
    row = i32x4.add(row, i32x4.splat(4));
  }
  note(task, begin, end, entries, notes);
}

/** The same for rows that the entries name already. */
export function quantiseDrawnChunk(
  task: i32,
  rows: i32,
  pairs: usize,
  entries: usize,
  notes: usize,
  scaleG: f32,
  scaleH: f32,
  seed: i32,
): void {
  const begin = task * CHUNK;
  const end = min(begin + CHUNK, rows);
  for (let i = begin; i < end; i++) {
    const at = entries + ((<usize>i) << 3);
    const row = load<i32>(at);
    const pair = v128.load64_zero(pairs + ((<usize>(<u32>row)) << 3));
    const g = v128.shuffle<f32>(pair, pair, 0, 0, 0, 0);
    const h = v128.shuffle<f32>(pair, pair, 1, 1, 1, 1);
    store<i32>(at, i32x4.extract_lane(quantised(i32x4.splat(row), g, h, scaleG, scaleH, seed), 0), 4);
  }
  note(task, begin, end, entries, notes);
}

function note(task: i32, begin: i32, end: i32, entries: usize, notes: usize): void {
  let sum: i64 = 0;
  for (let i = begin; i < end; i++) sum += packed(load<i64>(entries + ((<usize>i) << 3)));
  store<i64>(notes + <usize>task * NOTE, sum);
}

/** An entry as what it adds to a cell: g in the high half, h in the low half. */
export function packed(entry: i64): i64 {
  return ((entry >> 16) & ~0xffffffff) + ((entry >>> 32) & 0xffff);
}

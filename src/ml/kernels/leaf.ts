/**
 * The values of leaves from the exact derivatives of their rows, and the scores of these rows with them:
 *
 *   T = sign(Σg) max(|Σg| - α, 0)        w = -T / (Σh + λ), within {low f64, high f64} at `bounds`
 *   value = rate · w, rounded to float32        raw[row] += value
 *
 *   leaf   48 bytes: begin i32, end i32, cursor i32, group i32, at 16 and 32 {Σg, Σh} of its entries of even and of odd place
 *
 * Rows of a leaf ascend but are far apart. All leaves of a group take their part of a block of rows before the next block has
 * its turn, so that each line of derivatives and scores comes from far away once. The order of each sum is that of the entries.
 */
const LEAF_BYTES: usize = 48;

/** Rows whose derivatives stay in the second cache; more where a leaf would find but few rows in a block. */
const BLOCK: i32 = 16384;
const LEAST_OF_LEAF: i32 = 64;

/** All leaves of one group. */
export function settleLeaves(
  group: i32,
  rows: i32,
  count: i32,
  leaves: usize,
  entries: usize,
  pairs: usize,
  raw: usize,
  rate: f64,
  lambda: f64,
  values: usize,
  alpha: f64,
  bounds: usize,
): void {
  const block = max(BLOCK, count * LEAST_OF_LEAF);
  const end = leaves + <usize>count * LEAF_BYTES;
  for (let leaf = leaves; leaf < end; leaf += LEAF_BYTES)
    if (load<i32>(leaf, 12) == group) {
      store<i32>(leaf, load<i32>(leaf), 8);
      memory.fill(leaf + 16, 0, 32);
    }
  for (let from = 0; from < rows; from += block)
    for (let leaf = leaves; leaf < end; leaf += LEAF_BYTES)
      if (load<i32>(leaf, 12) == group) sum(leaf, <u32>(from + block), entries, pairs);
  for (let leaf = leaves; leaf < end; leaf += LEAF_BYTES, bounds += 16, values += 4)
    if (load<i32>(leaf, 12) == group) {
      store<f32>(values, valueOf(leaf, rate, lambda, alpha, bounds));
      store<i32>(leaf, load<i32>(leaf), 8);
      store<f64>(leaf, <f64>load<f32>(values), 16);
    }
  for (let from = 0; from < rows; from += block)
    for (let leaf = leaves; leaf < end; leaf += LEAF_BYTES)
      if (load<i32>(leaf, 12) == group) raise(leaf, <u32>(from + block), entries, raw);
}

/** Adds the derivatives of the leaf's next entries, those of rows below `limit`. */
function sum(leaf: usize, limit: u32, entries: usize, pairs: usize): void {
  const begin = entries + ((<usize>load<i32>(leaf)) << 3);
  const end = entries + ((<usize>load<i32>(leaf, 4)) << 3);
  let at = entries + ((<usize>load<i32>(leaf, 8)) << 3);
  let even = v128.load(leaf, 16);
  let odd = v128.load(leaf, 32);
  if (((at - begin) & 8) != 0 && at < end && load<u32>(at) < limit) {
    odd = f64x2.add(odd, pairOf(pairs, at));
    at += 8;
  }
  for (; at + 8 < end && load<u32>(at, 8) < limit; at += 16) {
    even = f64x2.add(even, pairOf(pairs, at));
    odd = f64x2.add(odd, pairOf(pairs, at + 8));
  }
  if (((at - begin) & 8) == 0 && at < end && load<u32>(at) < limit) {
    even = f64x2.add(even, pairOf(pairs, at));
    at += 8;
  }
  v128.store(leaf, even, 16);
  v128.store(leaf, odd, 32);
  store<i32>(leaf, <i32>((at - entries) >> 3), 8);
}

function pairOf(pairs: usize, entry: usize): v128 {
  return f64x2.promote_low_f32x4(v128.load64_zero(pairs + ((<usize>load<u32>(entry)) << 3)));
}

function valueOf(leaf: usize, rate: f64, lambda: f64, alpha: f64, bounds: usize): f32 {
  const sum = f64x2.add(v128.load(leaf, 16), v128.load(leaf, 32));
  const g = f64x2.extract_lane(sum, 0);
  const h = f64x2.extract_lane(sum, 1) + lambda;
  const size = max(abs(g) - alpha, 0);
  const free = h > 0 ? copysign(size, -g) / h : 0;
  return <f32>(rate * min(max(free, load<f64>(bounds)), load<f64>(bounds, 8)));
}

/** Adds the leaf's value, which lies at 16 now, to the scores of its next entries. */
function raise(leaf: usize, limit: u32, entries: usize, raw: usize): void {
  const value = load<f64>(leaf, 16);
  const end = entries + ((<usize>load<i32>(leaf, 4)) << 3);
  let at = entries + ((<usize>load<i32>(leaf, 8)) << 3);
  for (; at < end && load<u32>(at) < limit; at += 8) {
    const score = raw + ((<usize>load<u32>(at)) << 3);
    store<f64>(score, load<f64>(score) + value);
  }
  store<i32>(leaf, <i32>((at - entries) >> 3), 8);
}

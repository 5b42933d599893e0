/**
 * The best split of one category feature at one node: categories in the order of g / (h + smoothing), for then the best
 * division into two sets is a prefix of the order (Fisher, "On grouping for maximum homogeneity", 1958), as in LightGBM.
 * Few categories are divided as they are. Of more, those of too little weight stay on the other side, the order is scanned
 * from both ends, and the divided sides bear a penalty.
 */
import { SEARCH } from './control';
import { keep } from './find';
import { scoreBounded } from './score';

/** Up to so many categories are divided without smoothing and penalty: few enough to be trusted. */
const FEW: i32 = 4;

/**
 * Writes the best split to `found` (see FOUND), or -∞ where no score exceeds the goal's.
 * @param scratch  2,560 bytes: keys (f64 by bin), then the order (bytes)
 */
export function findSet(cells: usize, binCount: i32, goal: usize, found: usize, scratch: usize): void {
  store<f64>(found, -Infinity);
  if (<u64>load<u32>(goal) < 2 * <u64>load<u32>(goal, 8)) return;
  const order = scratch + 2048;
  let count = 0;
  for (let bin = 0; bin < binCount; bin++)
    if (load<i64>(cells + ((<usize>bin) << 3)) != 0) store<u8>(order + count++, <u8>bin);
  const isFew = count <= FEW;
  const lambda = load<f64>(SEARCH + (isFew ? 64 : 80));
  count = sort(cells, order, count, isFew ? 0 : load<f64>(SEARCH, 88), isFew ? 0 : load<f64>(goal, 40), scratch);
  // From both ends, half of them are all.
  const longest = isFew ? count : (count + 1) >> 1;
  let best = load<f64>(goal, 16);
  best = scan(cells, binCount, order, 1, longest, goal, lambda, best, found);
  if (!isFew) scan(cells, binCount, order + <usize>(count - 1), -1, longest, goal, lambda, best, found);
}

/** Leaves out the bins lighter than `heavy` and sorts the others by key, ties by bin: binary insertion. Returns how many. */
function sort(cells: usize, order: usize, count: i32, smooth: f64, heavy: f64, keys: usize): i32 {
  let kept = 0;
  for (let i = 0; i < count; i++) {
    const bin = load<u8>(order + i);
    const cell = cells + ((<usize>bin) << 3);
    const h = <f64>load<u32>(cell);
    if (h < heavy) continue;
    const key = <f64>load<i32>(cell, 4) / (h + smooth);
    store<f64>(keys + ((<usize>bin) << 3), key);
    let from = 0;
    let to = kept;
    while (from < to) {
      const middle = (from + to) >> 1;
      if (load<f64>(keys + ((<usize>load<u8>(order + middle)) << 3)) <= key) from = middle + 1;
      else to = middle;
    }
    memory.copy(order + from + 1, order + from, kept - from);
    store<u8>(order + from, bin);
    kept++;
  }
  return kept;
}

/** Tries the first 1 … `longest` bins of the order, upwards or downwards, as the left side, without and with the missing values. */
function scan(
  cells: usize,
  binCount: i32,
  order: usize,
  step: i32,
  longest: i32,
  goal: usize,
  lambda: f64,
  best: f64,
  found: usize,
): f64 {
  const total = load<i64>(goal);
  const minH = load<u32>(goal, 8);
  const alpha = load<f64>(SEARCH, 72);
  const missing = load<i64>(cells + ((<usize>binCount) << 3));
  const sides = missing != 0 ? 2 : 1;
  let sum: i64 = 0;
  let chosen = 0;
  for (let i = 0; i < longest; i++) {
    sum += load<i64>(cells + ((<usize>load<u8>(order + i * step)) << 3));
    let left = sum;
    for (let side = 0; side < sides; side++, left += missing) {
      const right = total - left;
      if (<u32>left < minH || <u32>right < minH) continue;
      const score = scoreBounded(left, right, lambda, alpha, goal, 0);
      if (!(score > best)) continue;
      best = score;
      chosen = i + 1;
      keep(found, score, -1, side, left);
    }
  }
  if (chosen > 0) {
    memory.fill(found + 24, 0, 32);
    for (let i = 0; i < chosen; i++) {
      const bin = load<u8>(order + i * step);
      const byte = found + 24 + ((<usize>bin) >> 3);
      store<u8>(byte, load<u8>(byte) | (1 << (bin & 7)));
    }
  }
  return best;
}

/**
 * The best split of one number feature at one node, in whole-number units (the caller scales penalties, limits and gain).
 * Missing values (cell `binCount`) are tried on both sides. The sums are exact: that of the left side is carried along as a
 * packed cell, and the right side is the total less it.
 */
import { SEARCH } from './control';
import { scoreBounded } from './score';

/**
 * Writes the best split to `found` (see FOUND): the last bin that goes left, or -∞ where no score exceeds the goal's.
 * @param direction  of the prediction with this feature: 1, -1, or 0 where either will do
 */
export function findSplit(cells: usize, binCount: i32, direction: i32, goal: usize, found: usize): void {
  store<f64>(found, -Infinity);
  const total = load<i64>(goal);
  if (<u64>(<u32>total) < 2 * <u64>load<u32>(goal, 8)) return;
  const missing = load<i64>(cells + ((<usize>binCount) << 3));
  const least = load<f64>(goal, 16);
  if (load<i32>(goal, 12) != 0 && direction == 0) {
    const best = scanFree(cells, binCount, 0, goal, least, found, 0);
    if (missing != 0) scanFree(cells, binCount, missing, goal, best, found, 1);
  } else {
    const best = scanBounded(cells, binCount, 0, goal, direction, least, found, 0);
    if (missing != 0) scanBounded(cells, binCount, missing, goal, direction, best, found, 1);
  }
}

/**
 * Two bins at a time, and without division: GL²/(HL+λ) + GR²/(HR+λ) > best just where
 * GL² (HR+λ) + GR² (HL+λ) > best (HL+λ) (HR+λ). `left` is where the left side starts: nothing, or the missing values.
 * Returns the best score so far.
 */
function scanFree(cells: usize, binCount: i32, left: i64, goal: usize, best: f64, found: usize, missingLeft: i32): f64 {
  const minH = load<u32>(goal, 8);
  const most = load<u32>(goal) - minH;
  const lambda = v128.load64_splat(SEARCH, 64);
  const gradient = f64x2.splat(<f64>load<i32>(goal, 4));
  const hessian = f64x2.add(f64x2.splat(<f64>load<u32>(goal)), lambda);
  const end = cells + ((<usize>binCount) << 3);
  let at = cells;
  // As long as the left side is too light even with the next bin.
  for (; at < end; at += 8) {
    const next = left + load<i64>(at);
    if (<u32>next >= minH) break;
    left = next;
  }
  let chosen: usize = 0;
  let chosenLeft: i64 = 0;
  let sums = i64x2.splat(left);
  for (; at < end; at += 16) {
    // The cell after the last one is that of the missing values: its lane counts for nothing.
    const pair = v128.load(at);
    sums = i64x2.add(sums, i64x2.add(pair, v128.shuffle<i64>(i64x2.splat(0), pair, 0, 2)));
    if (<u32>i64x2.extract_lane(sums, 0) > most) break;
    const gl = f64x2.convert_low_i32x4_s(v128.shuffle<i32>(sums, sums, 1, 3, 1, 3));
    const hl = f64x2.convert_low_i32x4_u(v128.shuffle<i32>(sums, sums, 0, 2, 0, 2));
    const gr = f64x2.sub(gradient, gl);
    const a = f64x2.add(hl, lambda);
    const b = f64x2.sub(hessian, hl);
    const product = f64x2.add(f64x2.mul(f64x2.mul(gl, gl), b), f64x2.mul(f64x2.mul(gr, gr), a));
    const divisor = f64x2.mul(a, b);
    // An empty cell gives the same split once more.
    const better = v128.and(f64x2.gt(product, f64x2.mul(f64x2.splat(best), divisor)), i64x2.ne(pair, i64x2.splat(0)));
    if (v128.any_true(better)) {
      if (i64x2.extract_lane(better, 0) != 0) {
        best = f64x2.extract_lane(product, 0) / f64x2.extract_lane(divisor, 0);
        chosen = at;
        chosenLeft = i64x2.extract_lane(sums, 0);
      }
      const last = i64x2.extract_lane(sums, 1);
      if (
        i64x2.extract_lane(better, 1) != 0 &&
        at + 8 < end &&
        <u32>last <= most &&
        f64x2.extract_lane(product, 1) > best * f64x2.extract_lane(divisor, 1)
      ) {
        best = f64x2.extract_lane(product, 1) / f64x2.extract_lane(divisor, 1);
        chosen = at + 8;
        chosenLeft = last;
      }
    }
    sums = v128.shuffle<i64>(sums, sums, 1, 1);
  }
  if (chosen != 0) keep(found, best, <i32>((chosen - cells) >> 3), missingLeft, chosenLeft);
  return best;
}

/** The same with penalties, bounds and a direction; see score.ts. */
function scanBounded(
  cells: usize,
  binCount: i32,
  left: i64,
  goal: usize,
  direction: i32,
  best: f64,
  found: usize,
  missingLeft: i32,
): f64 {
  const total = load<i64>(goal);
  const minH = load<u32>(goal, 8);
  const lambda = load<f64>(SEARCH, 64);
  const alpha = load<f64>(SEARCH, 72);
  for (let bin = 0; bin < binCount; bin++) {
    const cell = load<i64>(cells + ((<usize>bin) << 3));
    if (cell == 0) continue;
    left += cell;
    if (<u32>left < minH) continue;
    const right = total - left;
    if (<u32>right < minH) break;
    const score = scoreBounded(left, right, lambda, alpha, goal, direction);
    if (score > best) {
      best = score;
      keep(found, best, bin, missingLeft, left);
    }
  }
  return best;
}

export function keep(found: usize, score: f64, bin: i32, missingLeft: i32, left: i64): void {
  store<f64>(found, score);
  store<i32>(found, bin, 8);
  store<i32>(found, missingLeft, 12);
  store<i64>(found, left, 16);
}

/**
 * The best split of one number feature at one node, in whole-number units (the caller scales λ, limits and gain):
 *
 *   GL² / (HL + λ) + GR² / (HR + λ)        (Chen & Guestrin, "XGBoost", 2016, eq. 7)
 *
 * Both sides are one f64x2, so that there is one division. Missing values (cell `binCount`) are tried on both sides. The sums
 * are exact: the sum of the left side is carried along as a packed cell, and the right side is the total less it.
 */

/**
 * Writes the best split to `found` (see FOUND): the last bin that goes left, or gain -1 where no gain exceeds `least`.
 * @param total    packed sum of all cells
 * @param minH     least hessian of either side
 */
export function findSplit(
  cells: usize,
  binCount: i32,
  total: i64,
  lambda: f64,
  minH: u32,
  least: f64,
  found: usize,
): void {
  store<f64>(found, -1);
  if (<u64>(<u32>total) < 2 * <u64>minH) return;
  const missing = load<i64>(cells + ((<usize>binCount) << 3));
  const best = scan(cells, binCount, total, 0, lambda, minH, least, found, 0);
  if (missing != 0) scan(cells, binCount, total, missing, lambda, minH, best, found, 1);
}

/** Returns the best score so far. `left` is where the left side starts: nothing, or the missing values. */
function scan(
  cells: usize,
  binCount: i32,
  total: i64,
  left: i64,
  lambda: f64,
  minH: u32,
  best: f64,
  found: usize,
  missingLeft: i32,
): f64 {
  const penalty = f64x2.splat(lambda);
  for (let bin = 0; bin < binCount; bin++) {
    const cell = load<i64>(cells + ((<usize>bin) << 3));
    if (cell == 0) continue;
    left += cell;
    if (<u32>left < minH) continue;
    const right = total - left;
    if (<u32>right < minH) break;
    const sides = i64x2.replace_lane(i64x2.splat(left), 1, right);
    const g = f64x2.convert_low_i32x4_s(v128.shuffle<i32>(sides, sides, 1, 3, 1, 3));
    const h = f64x2.convert_low_i32x4_u(v128.shuffle<i32>(sides, sides, 0, 2, 0, 2));
    const terms = f64x2.div(f64x2.mul(g, g), f64x2.add(h, penalty));
    const score = f64x2.extract_lane(terms, 0) + f64x2.extract_lane(terms, 1);
    if (score > best) {
      best = score;
      store<f64>(found, score);
      store<i32>(found, bin, 8);
      store<i32>(found, missingLeft, 12);
      store<i64>(found, left, 16);
    }
  }
  return best;
}

/**
 * What a split is worth, both sides at once as one f64x2:
 *
 *   T = sign(G) max(|G| - α, 0)      w = -T / (H + λ), within its bounds      score = -(2 T w + (H + λ) w²)
 *
 * Without bounds that is T² / (H + λ) (Chen & Guestrin, "XGBoost", 2016, eq. 7, without ½ and γ).
 */

/** {left, right}, each of gradients or of hessians. */
export function gradients(left: i64, right: i64): v128 {
  const sides = i64x2.replace_lane(i64x2.splat(left), 1, right);
  return f64x2.convert_low_i32x4_s(v128.shuffle<i32>(sides, sides, 1, 3, 1, 3));
}
export function hessians(left: i64, right: i64): v128 {
  const sides = i64x2.replace_lane(i64x2.splat(left), 1, right);
  return f64x2.convert_low_i32x4_u(v128.shuffle<i32>(sides, sides, 0, 2, 0, 2));
}

/**
 * @param goal       of the node (control.ts)
 * @param direction  above 0: the right weight may not be less than the left one; below 0: not greater
 * @returns -∞ for a split against the direction
 */
export function scoreBounded(left: i64, right: i64, lambda: f64, alpha: f64, goal: usize, direction: i32): f64 {
  const g = gradients(left, right);
  const h = f64x2.add(hessians(left, right), f64x2.splat(lambda));
  const size = f64x2.pmax(f64x2.splat(0), f64x2.sub(f64x2.abs(g), f64x2.splat(alpha)));
  const t = v128.bitselect(g, size, i64x2.splat(i64.MIN_VALUE));
  let w = f64x2.div(f64x2.neg(t), h);
  w = f64x2.pmin(v128.load64_splat(goal, 32), f64x2.pmax(v128.load64_splat(goal, 24), w));
  const difference = f64x2.extract_lane(w, 1) - f64x2.extract_lane(w, 0);
  if (<f64>direction * difference < 0) return -Infinity;
  const terms = f64x2.mul(w, f64x2.add(f64x2.add(t, t), f64x2.mul(h, w)));
  return -(f64x2.extract_lane(terms, 0) + f64x2.extract_lane(terms, 1));
}

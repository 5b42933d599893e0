/**
 * The value of one leaf from the exact derivatives of its rows, and the scores of these rows with it:
 *
 *   T = sign(Σg) max(|Σg| - α, 0)        w = -T / (Σh + λ), within {low f64, high f64} at `bounds`
 *   value = rate · w, rounded to float32        raw[row] += value
 */
export function settleLeaf(
  begin: i32,
  end: i32,
  entries: usize,
  pairs: usize,
  raw: usize,
  rate: f64,
  lambda: f64,
  alpha: f64,
  bounds: usize,
): f32 {
  const from = entries + ((<usize>begin) << 3);
  const to = entries + ((<usize>end) << 3);
  let sum = f64x2.splat(0);
  let sumToo = f64x2.splat(0);
  let at = from;
  for (; at + 8 < to; at += 16) {
    sum = f64x2.add(sum, pairOf(pairs, at));
    sumToo = f64x2.add(sumToo, pairOf(pairs, at + 8));
  }
  if (at < to) sum = f64x2.add(sum, pairOf(pairs, at));
  sum = f64x2.add(sum, sumToo);
  const g = f64x2.extract_lane(sum, 0);
  const h = f64x2.extract_lane(sum, 1) + lambda;
  const size = max(abs(g) - alpha, 0);
  const free = h > 0 ? copysign(size, -g) / h : 0;
  const value = <f32>(rate * min(max(free, load<f64>(bounds)), load<f64>(bounds, 8)));
  for (at = from; at < to; at += 8) {
    const score = raw + ((<usize>load<u32>(at)) << 3);
    store<f64>(score, load<f64>(score) + <f64>value);
  }
  return value;
}

function pairOf(pairs: usize, entry: usize): v128 {
  return f64x2.promote_low_f32x4(v128.load64_zero(pairs + ((<usize>load<u32>(entry)) << 3)));
}

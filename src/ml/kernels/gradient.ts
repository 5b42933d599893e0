/**
 * Derivatives of the losses, for one chunk of rows.
 *
 *   raw, y   f64 per row, padded to a multiple of 4 rows
 *   pairs    {g, h} as two f32 per row
 *   note     of the chunk: what the mean loss is made of, and at 40 and 44 the largest |g| and h (f32)
 */
import { CHUNK, NOTE } from './control';

/** 2^f for f in [-½, ½]: Taylor's polynomial of degree 7, below the rounding of float32. */
function exp2(f: v128): v128 {
  let p = f32x4.splat(1.52527338e-5);
  p = f32x4.add(f32x4.mul(p, f), f32x4.splat(1.54035304e-4));
  p = f32x4.add(f32x4.mul(p, f), f32x4.splat(1.33335581e-3));
  p = f32x4.add(f32x4.mul(p, f), f32x4.splat(9.61812911e-3));
  p = f32x4.add(f32x4.mul(p, f), f32x4.splat(5.55041087e-2));
  p = f32x4.add(f32x4.mul(p, f), f32x4.splat(2.40226507e-1));
  p = f32x4.add(f32x4.mul(p, f), f32x4.splat(6.93147181e-1));
  return f32x4.add(f32x4.mul(p, f), f32x4.splat(1));
}

/** e^-a for a >= 0; e^-87 for all beyond. */
function expOfMinus(a: v128): v128 {
  const t = f32x4.mul(f32x4.pmin(a, f32x4.splat(87)), f32x4.splat(-1.44269504));
  const whole = f32x4.nearest(t);
  const power = i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(whole), i32x4.splat(127)), 23);
  return f32x4.mul(exp2(f32x4.sub(t, whole)), power);
}

function fourFloats(at: usize): v128 {
  const low = f32x4.demote_f64x2_zero(v128.load(at));
  const high = f32x4.demote_f64x2_zero(v128.load(at, 16));
  return v128.shuffle<f32>(low, high, 0, 1, 4, 5);
}

function storePairs(at: usize, g: v128, h: v128): void {
  v128.store(at, v128.shuffle<f32>(g, h, 0, 4, 1, 5));
  v128.store(at, v128.shuffle<f32>(g, h, 2, 6, 3, 7), 16);
}

function largestOf(v: v128): f32 {
  return max(
    max(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1)),
    max(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)),
  );
}

/**
 * Log loss. With s = -1 where y = 1, else 1, z = s F and e = e^-|z|:
 *   g = s σ(z),  h = e / (1 + e)²,  loss = max(z, 0) + log(1 + e)
 * Nothing cancels. The logarithms are taken of products of 512 factors in [1, 2], by the caller: note = four products, Σ max(z, 0).
 */
export function logisticChunk(task: i32, rows: i32, raw: usize, y: usize, pairs: usize, notes: usize): void {
  const begin = task * CHUNK;
  const end = min(begin + CHUNK, (rows + 3) & ~3);
  const one = f32x4.splat(1);
  const zero = f32x4.splat(0);
  let products = f64x2.splat(1);
  let productsToo = f64x2.splat(1);
  let sum = f64x2.splat(0);
  let maxG = zero;
  let maxH = zero;
  for (let i = begin; i < end; i += 4) {
    const f = fourFloats(raw + ((<usize>i) << 3));
    const target = fourFloats(y + ((<usize>i) << 3));
    const s = f32x4.sub(one, f32x4.mul(target, f32x4.splat(2)));
    const z = f32x4.mul(f, s);
    const e = expOfMinus(f32x4.abs(z));
    const whole = f32x4.add(one, e);
    const share = f32x4.div(one, whole);
    const sigma = f32x4.mul(v128.bitselect(e, one, f32x4.lt(z, zero)), share);
    const g = f32x4.mul(s, sigma);
    const h = f32x4.mul(f32x4.mul(e, share), share);
    storePairs(pairs + ((<usize>i) << 3), g, h);
    maxG = f32x4.pmax(maxG, f32x4.abs(g));
    maxH = f32x4.pmax(maxH, h);
    products = f64x2.mul(products, f64x2.promote_low_f32x4(whole));
    productsToo = f64x2.mul(productsToo, f64x2.promote_low_f32x4(v128.shuffle<f32>(whole, whole, 2, 3, 2, 3)));
    const above = f32x4.pmax(z, zero);
    sum = f64x2.add(sum, f64x2.promote_low_f32x4(above));
    sum = f64x2.add(sum, f64x2.promote_low_f32x4(v128.shuffle<f32>(above, above, 2, 3, 2, 3)));
  }
  const note = notes + <usize>task * NOTE;
  v128.store(note, products);
  v128.store(note, productsToo, 16);
  store<f64>(note, f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1), 32);
  store<f32>(note, largestOf(maxG), 40);
  store<f32>(note, largestOf(maxH), 44);
}

/** Squared error: g = F - y, h = 1; note = Σ (F - y)². */
export function squaredChunk(task: i32, rows: i32, raw: usize, y: usize, pairs: usize, notes: usize): void {
  const begin = task * CHUNK;
  const end = min(begin + CHUNK, rows);
  let sum: f64 = 0;
  let maxG: f32 = 0;
  for (let i = begin; i < end; i++) {
    const at = (<usize>i) << 3;
    const residual = load<f64>(raw + at) - load<f64>(y + at);
    const g = <f32>residual;
    store<f32>(pairs + at, g);
    store<f32>(pairs + at, 1, 4);
    maxG = max(maxG, abs(g));
    sum += residual * residual;
  }
  const note = notes + <usize>task * NOTE;
  store<f64>(note, sum);
  store<f32>(note, maxG, 40);
  store<f32>(note, 1, 44);
}

/**
 * Derivatives of the losses (core/loss.ts), for one chunk of rows.
 *
 *   raw, y   f64 per row, padded to a multiple of 4 rows
 *   weights  f32 per row, padded likewise; 0: all weigh 1
 *   pairs    {w g, w h} as two f32 per row
 *   note     of the chunk: sums that the mean loss is made of (f64), and at 40 and 44 the largest |w g| and w h (f32)
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

/** e^x for |x| <= 87; beyond, that of ±87. */
export function exp(x: v128): v128 {
  const near = f32x4.pmax(f32x4.pmin(x, f32x4.splat(87)), f32x4.splat(-87));
  const t = f32x4.mul(near, f32x4.splat(1.44269504));
  const whole = f32x4.nearest(t);
  const power = i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(whole), i32x4.splat(127)), 23);
  return f32x4.mul(exp2(f32x4.sub(t, whole)), power);
}

/** log(1 + e) for e in [0, 1]: 2 (s + s³/3 + s⁵/5 + …) with s = e / (2 + e). */
function log1p(e: v128): v128 {
  const s = f32x4.div(e, f32x4.add(e, f32x4.splat(2)));
  const t = f32x4.mul(s, s);
  let p = f32x4.splat(0.153846154);
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(0.181818182));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(0.222222222));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(0.285714286));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(0.4));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(0.666666667));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(2));
  return f32x4.mul(p, s);
}

export function fourFloats(at: usize): v128 {
  const low = f32x4.demote_f64x2_zero(v128.load(at));
  const high = f32x4.demote_f64x2_zero(v128.load(at, 16));
  return v128.shuffle<f32>(low, high, 0, 1, 4, 5);
}

/** Weights of four rows from i on; 0 for the padding. */
export function weightsOf(weights: usize, i: i32, rows: i32): v128 {
  const four = weights == 0 ? f32x4.splat(1) : v128.load(weights + ((<usize>i) << 2));
  if (i + 4 <= rows) return four;
  return v128.and(four, i32x4.lt_s(i32x4.add(i32x4.splat(i), i32x4(0, 1, 2, 3)), i32x4.splat(rows)));
}

export function weightOf(weights: usize, i: i32): f64 {
  return weights == 0 ? 1 : <f64>load<f32>(weights + ((<usize>i) << 2));
}

export function storePairs(at: usize, g: v128, h: v128): void {
  v128.store(at, v128.shuffle<f32>(g, h, 0, 4, 1, 5));
  v128.store(at, v128.shuffle<f32>(g, h, 2, 6, 3, 7), 16);
}

function storePair(at: usize, g: f64, h: f64): void {
  store<f32>(at, <f32>g);
  store<f32>(at, <f32>h, 4);
}

/** sum + the four floats, two by two. */
function addFloats(sum: v128, four: v128): v128 {
  const low = f64x2.add(sum, f64x2.promote_low_f32x4(four));
  return f64x2.add(low, f64x2.promote_low_f32x4(v128.shuffle<f32>(four, four, 2, 3, 2, 3)));
}

function storeSum(at: usize, sum: v128): void {
  store<f64>(at, f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1));
}

export function largestOf(v: v128): f32 {
  return max(
    max(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1)),
    max(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)),
  );
}

export function storeLargest(note: usize, g: f32, h: f32): void {
  store<f32>(note, g, 40);
  store<f32>(note, h, 44);
}

/**
 * Log loss. With s = -1 where y = 1, else 1, z = s F and e = e^-|z|:
 *   g = s σ(z),  h = e / (1 + e)²,  loss = max(z, 0) + log(1 + e)
 * Nothing cancels. Note: Σ w loss.
 */
export function logisticChunk(
  task: i32,
  rows: i32,
  raw: usize,
  y: usize,
  weights: usize,
  pairs: usize,
  notes: usize,
): void {
  const begin = task * CHUNK;
  const end = min(begin + CHUNK, rows);
  const one = f32x4.splat(1);
  const zero = f32x4.splat(0);
  let sum = f64x2.splat(0);
  let maxG = zero;
  let maxH = zero;
  for (let i = begin; i < end; i += 4) {
    const w = weightsOf(weights, i, rows);
    const target = fourFloats(y + ((<usize>i) << 3));
    const s = f32x4.sub(one, f32x4.mul(target, f32x4.splat(2)));
    const z = f32x4.mul(fourFloats(raw + ((<usize>i) << 3)), s);
    const e = exp(f32x4.neg(f32x4.abs(z)));
    const share = f32x4.div(one, f32x4.add(one, e));
    const sigma = f32x4.mul(v128.bitselect(e, one, f32x4.lt(z, zero)), share);
    const g = f32x4.mul(f32x4.mul(s, sigma), w);
    const h = f32x4.mul(f32x4.mul(f32x4.mul(e, share), share), w);
    storePairs(pairs + ((<usize>i) << 3), g, h);
    maxG = f32x4.pmax(maxG, f32x4.abs(g));
    maxH = f32x4.pmax(maxH, h);
    sum = addFloats(sum, f32x4.mul(f32x4.add(f32x4.pmax(z, zero), log1p(e)), w));
  }
  const note = notes + <usize>task * NOTE;
  storeSum(note, sum);
  storeLargest(note, largestOf(maxG), largestOf(maxH));
}

/** Huber's loss of r = F - y: g = r cut off at ±δ, h = 1; note: Σ w loss, for an infinite δ half the squared error. */
export function huberChunk(
  task: i32,
  rows: i32,
  raw: usize,
  y: usize,
  weights: usize,
  pairs: usize,
  notes: usize,
  delta: f64,
): void {
  const begin = task * CHUNK;
  const end = min(begin + CHUNK, rows);
  let sum: f64 = 0;
  let maxG: f64 = 0;
  let maxH: f64 = 0;
  for (let i = begin; i < end; i++) {
    const at = (<usize>i) << 3;
    const w = weightOf(weights, i);
    const r = load<f64>(raw + at) - load<f64>(y + at);
    const cut = max(-delta, min(delta, r));
    // Both branches of the loss: ½ r² is ½ c² + |c| (|r| - |c|) where r is not cut off.
    sum += w * (0.5 * cut * cut + abs(cut) * (abs(r) - abs(cut)));
    storePair(pairs + at, w * cut, w);
    maxG = max(maxG, w * abs(cut));
    maxH = max(maxH, w);
  }
  const note = notes + <usize>task * NOTE;
  store<f64>(note, sum);
  storeLargest(note, <f32>maxG, <f32>maxH);
}

/** Quantile loss of r = F - y: g = over where r > 0, -under where r < 0, h = 1; note: Σ w loss. */
export function pinballChunk(
  task: i32,
  rows: i32,
  raw: usize,
  y: usize,
  weights: usize,
  pairs: usize,
  notes: usize,
  over: f64,
  under: f64,
): void {
  const begin = task * CHUNK;
  const end = min(begin + CHUNK, rows);
  let sum: f64 = 0;
  let maxG: f64 = 0;
  let maxH: f64 = 0;
  for (let i = begin; i < end; i++) {
    const at = (<usize>i) << 3;
    const w = weightOf(weights, i);
    const r = load<f64>(raw + at) - load<f64>(y + at);
    const g = w * (r > 0 ? over : r < 0 ? -under : 0);
    sum += g * r;
    storePair(pairs + at, g, w);
    maxG = max(maxG, abs(g));
    maxH = max(maxH, w);
  }
  const note = notes + <usize>task * NOTE;
  store<f64>(note, sum);
  storeLargest(note, <f32>maxG, <f32>maxH);
}

/**
 * Tweedie's deviance of power p in [1, 2], with a = e^((1-p)F) and b = e^((2-p)F):
 *   g = b - y a,  h = caution ((2-p) b + (p-1) y a)
 * Note: Σ w y a, Σ w b, Σ w F, Σ w y F.
 */
export function rateChunk(
  task: i32,
  rows: i32,
  raw: usize,
  y: usize,
  weights: usize,
  pairs: usize,
  notes: usize,
  power: f32,
  caution: f32,
): void {
  const begin = task * CHUNK;
  const end = min(begin + CHUNK, rows);
  const ofA = f32x4.splat(1 - power);
  const ofB = f32x4.splat(2 - power);
  let sumA = f64x2.splat(0);
  let sumB = f64x2.splat(0);
  let sumF = f64x2.splat(0);
  let sumY = f64x2.splat(0);
  let maxG = f32x4.splat(0);
  let maxH = f32x4.splat(0);
  for (let i = begin; i < end; i += 4) {
    const w = weightsOf(weights, i, rows);
    const score = fourFloats(raw + ((<usize>i) << 3));
    const f = f32x4.mul(score, w);
    const target = fourFloats(y + ((<usize>i) << 3));
    const ya = f32x4.mul(f32x4.mul(target, exp(f32x4.mul(score, ofA))), w);
    const b = f32x4.mul(exp(f32x4.mul(score, ofB)), w);
    const g = f32x4.sub(b, ya);
    const h = f32x4.mul(f32x4.sub(f32x4.mul(ofB, b), f32x4.mul(ofA, ya)), f32x4.splat(caution));
    storePairs(pairs + ((<usize>i) << 3), g, h);
    maxG = f32x4.pmax(maxG, f32x4.abs(g));
    maxH = f32x4.pmax(maxH, h);
    sumA = addFloats(sumA, ya);
    sumB = addFloats(sumB, b);
    sumF = addFloats(sumF, f);
    sumY = addFloats(sumY, f32x4.mul(target, f));
  }
  const note = notes + <usize>task * NOTE;
  storeSum(note, sumA);
  storeSum(note + 8, sumB);
  storeSum(note + 16, sumF);
  storeSum(note + 24, sumY);
  storeLargest(note, largestOf(maxG), largestOf(maxH));
}

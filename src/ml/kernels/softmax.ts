/**
 * Softmax over `outputs` raw scores, for one chunk of rows. First the probabilities of all outputs at once, then, output by
 * output, the derivatives that a tree of it grows on.
 *
 *   raw            f64 by output, `rawStride` bytes apart, padded to a multiple of 4 rows
 *   y              class number f64 per row
 *   weights        f32 per row; 0: all weigh 1
 *   probabilities  f32 by output, `stride` bytes apart, padded likewise
 */
import { CHUNK, NOTE } from './control';
import { exp, fourFloats, largestOf, storeLargest, storePairs, weightOf, weightsOf } from './gradient';

/** What an impossible class counts as (core/loss.ts), and the least second derivative. */
const LEAST: f32 = 2.220446049250313e-16;
const LEAST_H: f32 = 1e-16;

/** p_k = e^(F_k - max F) / Σ; note: Σ -w log p_y. */
export function softmaxChunk(
  task: i32,
  rows: i32,
  outputs: i32,
  raw: usize,
  rawStride: usize,
  y: usize,
  weights: usize,
  probabilities: usize,
  stride: usize,
  notes: usize,
): void {
  const begin = task * CHUNK;
  const end = min(begin + CHUNK, rows);
  let loss: f64 = 0;
  for (let i = begin; i < end; i += 4) {
    const from = raw + ((<usize>i) << 3);
    const to = probabilities + ((<usize>i) << 2);
    let most = fourFloats(from);
    for (let k = 1; k < outputs; k++) most = f32x4.pmax(most, fourFloats(from + <usize>k * rawStride));
    let sum = f32x4.splat(0);
    for (let k = 0; k < outputs; k++) {
      const e = exp(f32x4.sub(fourFloats(from + <usize>k * rawStride), most));
      sum = f32x4.add(sum, e);
      v128.store(to + <usize>k * stride, e);
    }
    const share = f32x4.div(f32x4.splat(1), sum);
    for (let k = 0; k < outputs; k++) {
      const at = to + <usize>k * stride;
      v128.store(at, f32x4.mul(v128.load(at), share));
    }
    for (let row = i; row < min(i + 4, end); row++) {
      const k = <usize>load<f64>(y + ((<usize>row) << 3));
      const p = load<f32>(probabilities + k * stride + ((<usize>row) << 2));
      loss -= weightOf(weights, row) * Math.log(<f64>max(p, LEAST));
    }
  }
  store<f64>(notes + <usize>task * NOTE, loss);
}

/** Of output k: g = w (p - [y = k]), h = w factor p (1 - p). Note: largest |g| and h. */
export function classChunk(
  task: i32,
  rows: i32,
  k: i32,
  y: usize,
  weights: usize,
  probabilities: usize,
  pairs: usize,
  notes: usize,
  factor: f32,
): void {
  const begin = task * CHUNK;
  const end = min(begin + CHUNK, rows);
  const one = f32x4.splat(1);
  const wanted = f32x4.splat(<f32>k);
  let maxG = f32x4.splat(0);
  let maxH = f32x4.splat(0);
  for (let i = begin; i < end; i += 4) {
    const w = weightsOf(weights, i, rows);
    const p = v128.load(probabilities + ((<usize>i) << 2));
    const isClass = f32x4.eq(fourFloats(y + ((<usize>i) << 3)), wanted);
    const g = f32x4.mul(f32x4.sub(p, v128.and(one, isClass)), w);
    const curve = f32x4.mul(f32x4.mul(p, f32x4.sub(one, p)), f32x4.splat(factor));
    const h = f32x4.mul(f32x4.pmax(curve, f32x4.splat(LEAST_H)), w);
    storePairs(pairs + ((<usize>i) << 3), g, h);
    maxG = f32x4.pmax(maxG, f32x4.abs(g));
    maxH = f32x4.pmax(maxH, h);
  }
  storeLargest(notes + <usize>task * NOTE, largestOf(maxG), largestOf(maxH));
}

import type { NoiseStream } from './noise-stream.js';

/*
 * Differentially private answers by whole numbers alone. Noise made of floating-point numbers gives away what it should hide
 * by the bits that it can and cannot reach (Mironov, "On significance of the least significant bits for differential privacy",
 * 2012). Here nothing is a fraction before the last division by the grid, and every draw has exactly its probability:
 * Canonne, Kamath and Steinke, "The discrete Gaussian for differential privacy", 2020, algorithms 1 and 2.
 */

/** True with probability exp(-a / b), exactly; a >= 0, b > 0, whole. */
export function bernoulliExp(stream: NoiseStream, a: number, b: number): boolean {
  let rest = a;
  for (; rest > b; rest -= b) if (!bernoulliExpOfShare(stream, b, b)) return false;
  return bernoulliExpOfShare(stream, rest, b);
}

/** a <= b. The series of exp by the parity of the first failure among trials of a / (b k). */
function bernoulliExpOfShare(stream: NoiseStream, a: number, b: number): boolean {
  let k = 1;
  // a / (b k) as two trials: the product may be too large a number.
  while (stream.below(k) === 0 && stream.below(b) < a) k++;
  return k % 2 === 1;
}

/** P(z) = (1 - q) / (1 + q) q^|z| with q = exp(-s / t), on all whole numbers; t, s whole, above 0. */
export function discreteLaplace(stream: NoiseStream, t: number, s: number): number {
  for (;;) {
    const u = stream.below(t);
    if (!bernoulliExp(stream, u, t)) continue;
    let v = 0;
    while (bernoulliExp(stream, 1, 1)) v++;
    const size = Math.floor((u + t * v) / s);
    const isNegative = stream.below(2) === 1;
    // Else 0 would come twice as often.
    if (isNegative && size === 0) continue;
    return isNegative ? -size : size;
  }
}

/**
 * Answers one of 0 .. k - 1: `truth` e^ε times as often as any other (k-ary randomised response; Warner, 1965). How long it takes
 * does not depend on `truth`, which is looked at only once everything is drawn. ε in thousandths.
 */
export function randomisedResponse(stream: NoiseStream, truth: number, k: number, epsilonMilli: number): number {
  for (;;) {
    // Weights: any answer, e^-ε / k each; the truth, (1 - e^-ε) / k more; the rest is drawn again.
    const slot = stream.below(k);
    if (bernoulliExp(stream, epsilonMilli, 1000)) return slot;
    if (slot === 0) return truth;
  }
}

/**
 * A whole number from 0 to `most` with discrete Laplace noise for a sensitivity of `most`, cut back to 0 .. most: for any two
 * numbers, each answer is at most e^ε times as likely. ε in thousandths; `most` up to 10^9.
 */
export function noisyCount(stream: NoiseStream, truth: number, most: number, epsilonMilli: number): number {
  const noisy = truth + discreteLaplace(stream, 1000 * most, epsilonMilli);
  return Math.min(Math.max(noisy, 0), most);
}

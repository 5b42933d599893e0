import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { bernoulliExp, discreteLaplace, noisyCount, randomisedResponse } from '../../src/domain/serving/mechanism.js';
import { NoiseSource, NoiseStream } from '../../src/domain/serving/noise-stream.js';

const streamOf = (seed: string) => new NoiseStream(createHash('sha256').update(seed).digest());
const DRAWS = 40_000;

/**
 * Chi-square of `DRAWS` draws against their probabilities (Pearson, 1900), as a deviation of the normal distribution (Wilson and
 * Hilferty, 1931). Seeds are fixed, so a mechanism that is right passes for ever; cells of less than five are joined.
 */
function deviation(draw: () => number, probability: ReadonlyMap<number, number>): number {
  const counts = new Map<number, number>();
  for (let i = 0; i < DRAWS; i++) {
    const value = draw();
    counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  let [square, cells, joined, joinedExpected, seen, sum] = [0, 0, 0, 0, 0, 0];
  for (const [value, p] of probability) {
    const count = counts.get(value) ?? 0;
    seen += count;
    sum += p;
    if (p * DRAWS < 5) {
      joined += count;
      joinedExpected += p * DRAWS;
      continue;
    }
    square += (count - p * DRAWS) ** 2 / (p * DRAWS);
    cells++;
  }
  joined += DRAWS - seen;
  joinedExpected += (1 - sum) * DRAWS;
  if (joinedExpected >= 5) {
    square += (joined - joinedExpected) ** 2 / joinedExpected;
    cells++;
  } else expect(joined).toBeLessThan(25);
  const df = cells - 1;
  return (Math.cbrt(square / df) - (1 - 2 / (9 * df))) / Math.sqrt(2 / (9 * df));
}

/** P of `noisyCount`: two-sided geometric with q = exp(-ε / most), what lies beyond 0 .. most at its ends. */
function noisyProbabilities(truth: number, most: number, epsilonMilli: number): Map<number, number> {
  const q = Math.exp(-epsilonMilli / 1000 / most);
  const p = new Map<number, number>();
  for (let y = 0; y <= most; y++)
    p.set(
      y,
      y === 0 || y === most ? q ** Math.abs(y - truth) / (1 + q) : ((1 - q) / (1 + q)) * q ** Math.abs(y - truth),
    );
  // An end that is the truth itself holds the middle too: all but the other side.
  if (truth === 0) p.set(0, 1 / (1 + q));
  if (truth === most) p.set(most, 1 / (1 + q));
  return p;
}

describe('the keystream', () => {
  it('gives the same numbers for the same key, and others for another', () => {
    const numbers = (seed: string) => {
      const stream = streamOf(seed);
      return Array.from({ length: 5000 }, (_, i) => stream.below(1 + (i % 1000)));
    };
    expect(numbers('a')).toEqual(numbers('a'));
    expect(numbers('a')).not.toEqual(numbers('b'));
  });

  it.each([2, 3, 7, 256, 257, 1000])('is uniform below %d', (n) => {
    const stream = streamOf(`uniform ${n}`);
    const p = new Map(Array.from({ length: n }, (_, i) => [i, 1 / n]));
    expect(Math.abs(deviation(() => stream.below(n), p))).toBeLessThan(3.5);
  });

  it('reaches all of a large range, and nothing beyond', () => {
    const stream = streamOf('large');
    for (const n of [1, 2 ** 31, 2 ** 31 + 1, 2 ** 32, 2 ** 32 + 1, 1e12, 2 ** 48]) {
      const drawn = Array.from({ length: 2000 }, () => stream.below(n));
      expect(Math.max(...drawn)).toBeLessThan(n);
      expect(Math.min(...drawn)).toBeGreaterThanOrEqual(0);
      if (n > 1) expect(Math.max(...drawn)).toBeGreaterThan(0.98 * n);
    }
    for (const n of [0, -1, 1.5, NaN, 2 ** 48 + 1]) expect(() => stream.below(n)).toThrow(RangeError);
  });

  it('depends on the master key, the prediction, the rows and the rule, each alone', () => {
    const [id, digest] = [Buffer.alloc(16, 1), Buffer.alloc(32, 2)];
    const first = (key: number, ...of: [Buffer, Buffer, string]) =>
      new NoiseSource(Buffer.alloc(32, key)).streamOf(...of).below(2 ** 48);
    const base = first(1, id, digest, 'NOISY:1');
    expect(first(1, id, digest, 'NOISY:1')).toBe(base);
    const others = [
      first(2, id, digest, 'NOISY:1'),
      first(1, Buffer.alloc(16, 2), digest, 'NOISY:1'),
      first(1, id, Buffer.alloc(32, 3), 'NOISY:1'),
      first(1, id, digest, 'NOISY:2'),
    ];
    expect(new Set([base, ...others]).size).toBe(5);
  });
});

describe('the mechanisms', () => {
  it.each([
    [0, 1],
    [1, 3],
    [1, 1],
    [3, 1],
    [2500, 1000],
  ])('draws exp(-%d / %d)', (a, b) => {
    const stream = streamOf(`exp ${a} ${b}`);
    const p = Math.exp(-a / b);
    if (a === 0) expect(Array.from({ length: 100 }, () => bernoulliExp(stream, a, b))).not.toContain(false);
    else {
      const both = new Map([
        [1, p],
        [0, 1 - p],
      ]);
      expect(Math.abs(deviation(() => Number(bernoulliExp(stream, a, b)), both))).toBeLessThan(3.5);
    }
  });

  it.each([
    [1, 1],
    [5, 2],
    [100_000, 3000],
    [7, 20_000],
  ])('draws a discrete Laplace of scale %d / %d', (t, s) => {
    const q = Math.exp(-s / t);
    const p = new Map<number, number>();
    for (let z = -400; z <= 400; z++) p.set(z, ((1 - q) / (1 + q)) * q ** Math.abs(z));
    const stream = streamOf(`laplace ${t} ${s}`);
    if (p.get(1)! * DRAWS < 1)
      expect(Array.from({ length: 1000 }, () => discreteLaplace(stream, t, s))).toEqual(new Array(1000).fill(0));
    else expect(Math.abs(deviation(() => discreteLaplace(stream, t, s), p))).toBeLessThan(3.5);
  });

  it.each([
    [0, 2, 1000],
    [1, 2, 100],
    [2, 5, 2500],
    [0, 3, 0],
  ])('answers %d of %d classes at ε %d/1000 as often as it must', (truth, k, epsilonMilli) => {
    const e = Math.exp(epsilonMilli / 1000);
    const p = new Map(Array.from({ length: k }, (_, j) => [j, (j === truth ? e : 1) / (e + k - 1)]));
    const stream = streamOf(`response ${truth} ${k} ${epsilonMilli}`);
    expect(Math.abs(deviation(() => randomisedResponse(stream, truth, k, epsilonMilli), p))).toBeLessThan(3.5);
  });

  it.each([
    [0, 10, 1000],
    [10, 10, 3000],
    [3, 10, 8000],
    [1, 1, 500],
    [50, 100, 20_000],
  ])('counts %d of %d at ε %d/1000 as often as it must', (truth, most, epsilonMilli) => {
    const p = noisyProbabilities(truth, most, epsilonMilli);
    expect([...p.values()].reduce((a, b) => a + b)).toBeCloseTo(1, 10);
    const stream = streamOf(`count ${truth} ${most} ${epsilonMilli}`);
    expect(Math.abs(deviation(() => noisyCount(stream, truth, most, epsilonMilli), p))).toBeLessThan(3.5);
  });

  it('keeps its word on ε: no answer is more than e^ε times as likely for another truth, exactly', () => {
    // Each probability is a power of q = exp(-ε / most) times what does not depend on the truth; so the exponents tell ratios exactly.
    const exponent = (y: number, truth: number) => BigInt(Math.abs(y - truth));
    for (const most of [1, 2, 7, 100]) {
      let worst = 0n;
      for (let a = 0; a <= most; a++)
        for (let b = 0; b <= most; b++)
          for (let y = 0; y <= most; y++) {
            const ratio = exponent(y, b) - exponent(y, a);
            if (ratio > worst) worst = ratio;
          }
      // ln of the worst ratio = worst · ε / most: ε, and not a bit more.
      expect(worst).toBe(BigInt(most));
    }
    // Randomised response: weights e^-ε for a lie and 1 for the truth, over one sum. Their ratio is e^ε.
    for (const k of [2, 3, 20])
      for (let a = 0; a < k; a++)
        for (let b = 0; b < k; b++)
          for (let y = 0; y < k; y++) expect(Number(y === a) - Number(y === b)).toBeLessThanOrEqual(1);
    // The same in numbers, of the probabilities that the draws are held to above.
    for (const [most, epsilonMilli] of [
      [1, 20_000],
      [10, 1000],
      [1000, 1],
    ] as const) {
      let worst = 0;
      for (const a of [0, 1, most >> 1, most])
        for (const b of [0, 1, most >> 1, most]) {
          const [p, q] = [noisyProbabilities(a, most, epsilonMilli), noisyProbabilities(b, most, epsilonMilli)];
          for (let y = 0; y <= most; y++) worst = Math.max(worst, Math.log(p.get(y)!) - Math.log(q.get(y)!));
        }
      expect(worst).toBeLessThanOrEqual((epsilonMilli / 1000) * (1 + 1e-9));
    }
  });
});

/** Fast kernels against slow twins on random input. */
import { describe, expect, it } from 'vitest';
import { Rng } from '../../src/ml/core/rng.js';
import { type BinnedFeature, cutBetween, findBin } from '../../src/ml/trees/bins.js';
import { Candidate, chooseSplit } from '../../src/ml/trees/candidate.js';
import { freshSeed } from './tables.js';
import { findSetTwin, findTwin } from './twins.js';
import { binCodes, binNumbers } from './twins.js';

const seed = freshSeed();
const rng = new Rng(seed);
const note = `TEST_SEED=${seed}`;
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** Numbers with ties and missing values. */
const randomValues = (rows: number, distinct: number): Float32Array =>
  Float32Array.from({ length: rows }, () => (rng.float() < 0.1 ? NaN : (rng.below(distinct) - distinct / 2) / 7));

/** An even mix of shapes: few and many distinct numbers, few and many categories. */
function randomFeature(rows: number, kind: number): { values: Float32Array; feature: BinnedFeature } {
  if (kind < 2) {
    const values = randomValues(rows, kind === 0 ? 12 : 5000);
    return { values, feature: binNumbers(values, 255) };
  }
  const categories = kind === 2 ? 4 : 3;
  const values = Float32Array.from({ length: rows }, () => (rng.float() < 0.1 ? NaN : rng.below(categories)));
  return { values, feature: binCodes(values, categories) };
}

describe('bins', () => {
  it.each([5, 300, 5000])('keep the order of values and never exceed the limit (%i distinct)', (distinct) => {
    const values = randomValues(3000, distinct);
    const { bins, binCount, low, high } = binNumbers(values, 100);
    expect(binCount, note).toBeLessThanOrEqual(100);
    expect(new Set(bins).size, note).toBe(binCount + 1); // every bin holds rows, and the last one the missing
    for (let i = 0; i < values.length; i++) {
      if (Number.isNaN(values[i])) expect(bins[i]).toBe(binCount);
      else expect(values[i] >= low[bins[i]] && values[i] <= high[bins[i]], note).toBe(true);
    }
    for (let b = 1; b < binCount; b++) expect(high[b - 1], note).toBeLessThan(low[b]);
  });

  it('have one bin for each value where there is room', () => {
    expect(binNumbers(Float32Array.of(3, 1, 2, 2, NaN), 255)).toMatchObject({
      binCount: 3,
      bins: Uint8Array.of(2, 0, 1, 1, 3),
    });
  });

  it('cut between any two floats, however close or large', () => {
    const largest = 3.4028234663852886e38;
    for (const [a, b] of [
      [1, 1.0000001192092896],
      [-largest, largest],
      [largest, Infinity],
      [-Infinity, 0],
      [0, 1e-45],
      [16777216, 16777218],
    ]) {
      const cut = cutBetween(Math.fround(a), Math.fround(b));
      expect(a <= cut && cut < b, `${a} ${b} ${cut}`).toBe(true);
      expect(cut).toBe(Math.fround(cut));
    }
  });

  it('are found as by a linear search', () => {
    const cuts = Float32Array.from({ length: 40 }, () => rng.below(100)).sort();
    for (let value = -1; value < 101; value += 0.5)
      expect(findBin(cuts, value), note).toBe(cuts.filter((cut) => cut < value).length);
  });
});

/** Every way to send values (or category sets) and missing ones left. */
function* allSplits(values: Float32Array, feature: BinnedFeature): Generator<(value: number) => boolean> {
  const distinct = [...new Set(values.filter((v) => !Number.isNaN(v)))].sort((a, b) => a - b);
  for (const missingLeft of [false, true]) {
    const with_ = (test: (value: number) => boolean) => (value: number) =>
      Number.isNaN(value) ? missingLeft : test(value);
    if (feature.categorical)
      for (let set = 1; set < 2 ** distinct.length; set++)
        yield with_((value) => ((set >> distinct.indexOf(value)) & 1) === 1);
    else for (const cut of distinct) yield with_((value) => value <= cut);
  }
}

describe('split search', () => {
  it.each([0, 2])('by gradients finds the best of all splits (feature kind %i)', (kind) => {
    for (let round = 0; round < 20; round++) {
      const { values, feature } = randomFeature(90, kind);
      const g = Float64Array.from(values, () => rng.float() - 0.5);
      const h = Float64Array.from(values, () => 0.1 + rng.float());
      // The order of categories by g/h is exact where neither penalty nor least sizes interfere.
      const { lambda, minH } = feature.categorical ? { lambda: 0, minH: 0 } : { lambda: 0.7, minH: 5 };
      const sum = (of: Float64Array, left: (v: number) => boolean): number =>
        of.reduce((total, v, i) => total + (left(values[i]) ? v : 0), 0);
      const node = { g: sum(g, () => true), h: sum(h, () => true) };
      const parent = node.g ** 2 / (node.h + lambda);
      let wanted = 0;
      for (const left of allSplits(values, feature)) {
        const [gl, hl] = [sum(g, left), sum(h, left)];
        if (hl < minH || node.h - hl < minH || hl === 0 || values.every(left)) continue;
        const gain = gl ** 2 / (hl + lambda) + (node.g - gl) ** 2 / (node.h - hl + lambda) - parent;
        wanted = Math.max(wanted, gain);
      }
      const cells = { g: new Array<number>(256).fill(0), h: new Array<number>(256).fill(0) };
      feature.bins.forEach((bin, i) => {
        cells.g[bin] += g[i];
        cells.h[bin] += h[i];
      });
      const free = { alpha: 0, low: -Infinity, high: Infinity, free: true, direction: 0 };
      const goal = { ...free, lambda, minH: Math.max(minH, 1e-9), least: parent, setLambda: 0, smooth: 0, heavy: 0 };
      const found = (feature.categorical ? findSetTwin : findTwin)(cells, feature.binCount, goal)!;
      expect(found.score - parent, note).toBeCloseTo(wanted, 9);
      const best = new Candidate();
      const left = found.set ?? [found.bin!];
      best.leftBins.set(left);
      best.leftBinCount = left.length;
      const isRight = (_: number, bin: number): boolean => bin > (found.bin ?? 255) && cells.h[bin] > 0;
      best.nextBin = upTo(feature.binCount).findIndex(isRight);
      best.missingLeft = found.missingLeft === 1;
      best.g = found.g;
      expectSameSides(values, feature, best, g);
    }
  });
});

/** The chosen split sends rows by their values just where it sends them by their bins. */
function expectSameSides(values: Float32Array, feature: BinnedFeature, best: Candidate, g: Float64Array): void {
  const split = chooseSplit(feature, best);
  let left = 0;
  values.forEach((x, i) => {
    const byValue = Number.isNaN(x)
      ? split.missingLeft
      : split.leftCodes === null
        ? x <= split.threshold
        : split.leftCodes.includes(x);
    expect(byValue, note).toBe(split.goesLeft[feature.bins[i]] === 1);
    if (byValue) left += g[i];
  });
  expect(left, note).toBeCloseTo(best.g, 9);
}

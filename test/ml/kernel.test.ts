/** Fast kernels against slow twins on random input. */
import { describe, expect, it } from 'vitest';
import { Rng } from '../../src/ml/core/rng.js';
import { type BinnedFeature, cutBetween, findBin } from '../../src/ml/trees/bins.js';
import { Candidate, chooseSplit } from '../../src/ml/trees/candidate.js';
import { findGradientSplit } from '../../src/ml/trees/find-split.js';
import { addGradients, GRADIENT_CELL, subtract } from '../../src/ml/trees/histogram.js';
import { populatedBins } from '../../src/ml/trees/order.js';
import { freshSeed } from './tables.js';
import { binCodes, binNumbers } from './twins.js';

const seed = freshSeed();
const rng = new Rng(seed);
const note = `TEST_SEED=${seed}`;

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

describe('histograms', () => {
  it('sum gradients as a map would, and the larger child is the parent less the smaller', () => {
    const rows = Uint32Array.from({ length: 500 }, (_, i) => i);
    const { feature } = randomFeature(500, 0);
    const g = Float64Array.from(rows, () => rng.float() - 0.5);
    const stride = GRADIENT_CELL;
    const size = 256;
    const gradient = (from: number, to: number): Float64Array => {
      const cells = new Float64Array(size * stride);
      addGradients(cells, 0, feature.bins, rows, from, to, g.subarray(from), new Float64Array(500).fill(2));
      return cells;
    };
    const whole = gradient(0, 500);
    for (let bin = 0; bin <= feature.binCount; bin++) {
      const inside = [...rows].filter((row) => feature.bins[row] === bin);
      expect(whole[bin * stride], note).toBeCloseTo(
        inside.reduce((sum, row) => sum + g[row], 0),
        10,
      );
      expect(whole[bin * stride + 1]).toBe(2 * inside.length);
      expect(whole[bin * stride + 2]).toBe(inside.length);
    }
    const right = gradient(200, 500);
    subtract(whole, gradient(0, 200));
    right.forEach((value, i) => expect(whole[i], note).toBeCloseTo(value, 10));
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
      const free = { minRows: 1, minHessian: 0, l2: 0, catSmooth: 10, catL2: 10 };
      const rules = feature.categorical ? free : { minRows: 5, minHessian: 1, l2: 0.7, catSmooth: 10, catL2: 10 };
      const sum = (of: Float64Array, left: (v: number) => boolean): number =>
        of.reduce((total, v, i) => total + (left(values[i]) ? v : 0), 0);
      const node = { rows: 90, g: sum(g, () => true), h: sum(h, () => true) };
      let wanted = 0;
      for (const left of allSplits(values, feature)) {
        const [n, gl, hl] = [values.filter(left).length, sum(g, left), sum(h, left)];
        if (n < rules.minRows || 90 - n < rules.minRows || hl < rules.minHessian || node.h - hl < rules.minHessian)
          continue;
        const gain =
          gl ** 2 / (hl + rules.l2) + (node.g - gl) ** 2 / (node.h - hl + rules.l2) - node.g ** 2 / (node.h + rules.l2);
        wanted = Math.max(wanted, gain);
      }
      const rows = Uint32Array.from(values, (_, i) => i);
      const cells = new Float64Array(256 * GRADIENT_CELL);
      addGradients(cells, 0, feature.bins, rows, 0, 90, g, h);
      const order = new Uint8Array(256);
      const length = populatedBins(cells, 0, GRADIENT_CELL, feature.binCount, order);
      const best = new Candidate();
      best.reset(0);
      findGradientSplit(0, feature, cells, 0, order, length, node, rules, best);
      expect(best.gain, note).toBeCloseTo(wanted, 9);
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

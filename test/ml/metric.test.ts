import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { evaluateClasses, evaluateNumbers } from '../../src/ml/core/evaluate.js';
import { auc, rank } from '../../src/ml/core/metric.js';
import { Pace } from '../../src/ml/core/pace.js';
import { Rng } from '../../src/ml/core/rng.js';
import { chooseThreshold } from '../../src/ml/core/threshold.js';
import { type Metrics } from '../../src/ml/train.js';
import { freshSeed } from './tables.js';

interface Goldens {
  readonly classes: readonly {
    k: number;
    actual: number[];
    labels: number[];
    scores: number[];
    figures: Record<string, number>;
    confusion: number[][];
    perClassF1: number[];
  }[];
  readonly numbers: { actual: number[]; predicted: number[]; figures: Record<string, number> };
}

const goldens = JSON.parse(readFileSync(new URL('../goldens/metrics.json', import.meta.url), 'utf8')) as Goldens;
const pace = new Pace(new AbortController().signal);

function expectFigures(metrics: Metrics, wanted: Record<string, number>): void {
  expect(metrics.figures.map(({ name }) => name).sort()).toEqual(Object.keys(wanted).sort());
  for (const { name, value, low, high } of metrics.figures) {
    expect(value, name).toBeCloseTo(wanted[name], 10);
    expect(low! <= value! && value! <= high!, `${name}: ${low} <= ${value} <= ${high}`).toBe(true);
  }
}

describe('figures are those of scikit-learn', () => {
  it.each(goldens.classes.map((golden, i) => [i, golden] as const))('classes %i', async (_, golden) => {
    const names = Array.from({ length: golden.k }, (_c, c) => `c${c}`);
    const [labels, actual] = [Int32Array.from(golden.labels), Int32Array.from(golden.actual)];
    const metrics = await evaluateClasses(
      names,
      golden.k === 2,
      Float64Array.from(golden.scores),
      labels,
      actual,
      1,
      pace,
    );
    expectFigures(metrics, golden.figures);
    expect(metrics.confusion).toEqual(golden.confusion);
    golden.perClassF1.forEach((f1, c) => expect(metrics.classes![c].f1).toBeCloseTo(f1, 10));
  });

  it('numbers', async () => {
    const { actual, predicted, figures } = goldens.numbers;
    expectFigures(await evaluateNumbers(Float64Array.from(actual), Float64Array.from(predicted), 1, pace), figures);
  });
});

describe('evaluation', () => {
  it('gives the same intervals for the same seed', async () => {
    const { actual, predicted } = goldens.numbers;
    const run = () => evaluateNumbers(Float64Array.from(actual), Float64Array.from(predicted), 9, pace);
    expect(await run()).toEqual(await run());
  });

  it('counts a class unknown in training as missed, and says so in the confusion matrix', async () => {
    const scores = Float64Array.of(0.9, 0.1, 0.2, 0.8, 0.6, 0.4);
    const metrics = await evaluateClasses(
      ['a', 'b'],
      false,
      scores,
      Int32Array.of(0, 1, 0),
      Int32Array.of(0, 1, -1),
      1,
      pace,
    );
    expect(metrics.figures.find(({ name }) => name === 'ACCURACY')!.value).toBeCloseTo(2 / 3, 12);
    expect(metrics.confusion).toEqual([
      [1, 0],
      [0, 1],
      [1, 0],
    ]);
  });

  it('has no AUC where all rows are of one class', async () => {
    const metrics = await evaluateClasses(
      ['a', 'b'],
      true,
      Float64Array.of(0.9, 0.1, 0.2, 0.8),
      Int32Array.of(0, 1),
      Int32Array.of(1, 1),
      1,
      pace,
    );
    expect(metrics.figures.find(({ name }) => name === 'AUC')).toEqual({
      name: 'AUC',
      value: null,
      low: null,
      high: null,
    });
  });

  it('ranks 100,000 rows with intervals in seconds', async () => {
    const rng = new Rng(3);
    const p = Float64Array.from({ length: 100_000 }, () => rng.float());
    const actual = Int32Array.from(p, (score) => (rng.float() < score ? 1 : 0));
    const scores = Float64Array.from({ length: 200_000 }, (_, i) => (i % 2 === 1 ? p[i >> 1] : 1 - p[i >> 1]));
    const metrics = await evaluateClasses(
      ['a', 'b'],
      true,
      scores,
      Int32Array.from(p, (s) => (s >= 0.5 ? 1 : 0)),
      actual,
      1,
      pace,
    );
    const area = metrics.figures.find(({ name }) => name === 'AUC')!;
    expect(area.high! - area.low!).toBeLessThan(0.01);
    expect(Math.abs(area.value! - 5 / 6)).toBeLessThan(0.01); // the exact area for p uniform
  }, 20_000);

  it('AUC is the share of pairs in order, whatever the weights', () => {
    const seed = freshSeed();
    const rng = new Rng(seed);
    const scores = Float64Array.from({ length: 60 }, () => rng.below(12) / 12);
    const actual = Int32Array.from(scores, () => rng.below(2));
    const weights = Float64Array.from(scores, () => rng.below(4));
    let pairs = 0;
    let right = 0;
    for (let i = 0; i < 60; i++) {
      for (let j = 0; j < 60; j++) {
        if (actual[i] !== 1 || actual[j] !== 0) continue;
        const weight = weights[i] * weights[j];
        pairs += weight;
        right += weight * (scores[i] > scores[j] ? 1 : scores[i] === scores[j] ? 0.5 : 0);
      }
    }
    expect(auc(rank(scores), actual, 1, weights), `seed ${seed}`).toBeCloseTo(right / pairs, 12);
  });
});

describe('the threshold', () => {
  it.each(['F1', 'BALANCED_ACCURACY', 'ACCURACY'] as const)('maximises %s over all thresholds', (rule) => {
    const seed = freshSeed();
    const rng = new Rng(seed);
    const scores = Float64Array.from({ length: 80 }, () => Math.fround(rng.below(30) / 30));
    const actual = Int32Array.from(scores, (score) => (rng.float() * 1.6 < score ? 1 : 0));
    actual.set([0, 1]);
    const quality = (threshold: number): number => {
      const count = (a: number, called: boolean): number =>
        actual.reduce((sum, c, i) => sum + (c === a && scores[i] >= threshold === called ? 1 : 0), 0);
      const [tp, fn, fp, tn] = [count(1, true), count(1, false), count(0, true), count(0, false)];
      if (rule === 'F1') return (2 * tp) / (2 * tp + fp + fn);
      return rule === 'ACCURACY' ? (tp + tn) / 80 : (tp / (tp + fn) + tn / (tn + fp)) / 2;
    };
    // Thresholds that call at least one row positive: to find nobody is no choice.
    const some = Array.from({ length: 31 }, (_, i) => i / 30 - 1 / 60).filter((t) =>
      scores.some((score) => score >= t),
    );
    const best = Math.max(...some.map(quality));
    expect(quality(chooseThreshold(scores, actual, rule)), `seed ${seed}`).toBeCloseTo(best, 12);
  });

  it('is 0.5 where validation holds one class only', () => {
    expect(chooseThreshold(Float64Array.of(0.2, 0.9), Int32Array.of(1, 1), 'F1')).toBe(0.5);
  });
});

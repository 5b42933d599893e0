/** Losses: their derivatives by differences, their kernels by the losses, and what models learn by them. */
import { afterEach, describe, expect, it } from 'vitest';
import { logistic, type Loss, softmax } from '../../src/ml/core/loss.js';
import { gammaLoss, poissonLoss, tweedieLoss } from '../../src/ml/core/rate-loss.js';
import {
  absoluteError,
  huberLoss,
  quantileLoss,
  squaredError,
  weightedQuantile,
} from '../../src/ml/core/residual-loss.js';
import { Rng } from '../../src/ml/core/rng.js';
import { derivativesOf, levels } from '../../src/ml/trees/derive.js';
import { CHUNK, KernelMemory, NOTE_BYTES } from '../../src/ml/trees/kernel-memory.js';
import { LeafRenewal } from '../../src/ml/trees/renew.js';
import { type GrownTree } from '../../src/ml/trees/gradient-grower.js';
import { freshSeed } from './tables.js';
import { renewTwin } from './twins.js';

const seed = freshSeed();
const rng = new Rng(seed);
const note = `TEST_SEED=${seed}`;

const open: KernelMemory[] = [];
function newMemory(threads: number): KernelMemory {
  const memory = new KernelMemory(threads);
  open.push(memory);
  return memory;
}
afterEach(async () => {
  await Promise.all(open.splice(0).map((memory) => memory.close()));
});

const below = (limit: number) => (): number => rng.below(limit);
const real = (): number => (rng.float() - 0.5) * 20;
const positive = (): number => 0.01 + rng.float() * 9;
/** Each loss with targets that it takes. */
const LOSSES: readonly (readonly [string, Loss, () => number])[] = [
  ['logistic', logistic, below(2)],
  ['softmax of two', softmax(2), below(2)],
  ['softmax of seven', softmax(7), below(7)],
  ['squared', squaredError, real],
  ['absolute', absoluteError, real],
  ['Huber', huberLoss(3), real],
  ['quantile', quantileLoss(0.8), real],
  ['Poisson', poissonLoss, below(6)],
  ['gamma', gammaLoss, positive],
  ['Tweedie', tweedieLoss(1.3), (): number => (rng.float() < 0.4 ? 0 : positive())],
];
const draw = (count: number, of: () => number): Float64Array => Float64Array.from({ length: count }, of);

describe.each(LOSSES)('%s loss', (name, loss, target) => {
  it('has the derivatives that its mean has', () => {
    const y = draw(1, target);
    for (let round = 0; round < 50; round++) {
      const raw = Array.from({ length: loss.outputs }, () => draw(1, () => (rng.float() - 0.5) * 6));
      const [g, h] = [0, 1].map(() => raw.map(() => new Float64Array(1)));
      loss.derivatives(raw, y, g!, h!);
      for (let k = 0; k < loss.outputs; k++) {
        const at = (shift: number): number => {
          const moved = raw.map((scores, j) => scores.map((score) => score + (j === k ? shift : 0)));
          const mean = loss.mean(moved, y);
          // The mean is the loss as people know it: the root of r², and twice the deviance's half.
          return loss.metric === 'rmse' ? mean ** 2 / 2 : loss.link === 'exp' ? mean / 2 : mean;
        };
        expect((at(1e-5) - at(-1e-5)) / 2e-5, note).toBeCloseTo(g![k]![0]!, 4);
      }
    }
  });

  it('starts where its mean is least, for weights too', () => {
    const y = draw(40, target);
    for (const weights of [null, draw(40, positive)]) {
      const best = loss.initial(y, weights);
      const at = (shift: number, k = 0): number =>
        loss.mean(
          Array.from(best, (start, j) => new Float64Array(40).fill(start + (j === k ? shift : 0))),
          y,
          weights,
        );
      // Scores of classes that do not occur start at -∞.
      if (name !== 'Huber' && best.every(Number.isFinite))
        for (const shift of [-0.2, 0.2]) expect(at(shift), note).toBeGreaterThanOrEqual(at(0) - 1e-9);
    }
  });

  it('counts a row of weight two like two rows', () => {
    const y = draw(30, target);
    const raw = Array.from({ length: loss.outputs }, () => draw(30, () => (rng.float() - 0.5) * 4));
    const twice = (values: Float64Array): Float64Array => Float64Array.of(...values, ...values.subarray(0, 10));
    const weights = y.map((_, i) => (i < 10 ? 2 : 1));
    expect(loss.mean(raw, y, weights), note).toBeCloseTo(loss.mean(raw.map(twice), twice(y)), 9);
    expect(loss.initial(y, weights)[0], note).toBeCloseTo(loss.initial(twice(y))[0]!, 5);
  });

  it.each([1, 2])('has a kernel that gives the same on %i threads', (threads) => {
    for (const rows of [1, 6, CHUNK + 3, 3 * CHUNK]) {
      for (const isWeighted of [false, true]) {
        const memory = newMemory(threads);
        const y = draw(rows, target);
        const weights = isWeighted ? draw(rows, positive).map(Math.fround) : null;
        const [pairs, notes] = [memory.allocate(8 * rows + 32), memory.allocate(4 * NOTE_BYTES)];
        const base = new Float32Array(loss.outputs).fill(0.25);
        const made = derivativesOf(loss, memory, { y, weights }, base, pairs!, notes!);
        const wide = loss.link === 'exp' ? 12 : 150;
        const raw = made.raw.map((at) => memory.float64(at, rows));
        for (const scores of raw)
          for (let i = 0; i < rows; i++) scores[i] = (rng.float() - 0.5) * (i % 7 === 0 ? wide : 12);
        const [g, h] = [0, 1].map(() => raw.map(() => new Float64Array(rows)));
        loss.derivatives(raw, y, g!, h!);
        const mean = loss.mean(raw, y, weights);
        // Scores are float32 in the kernels, and deviances are differences of larger sums.
        const limit = 6e-8 * wide + (loss.link === 'exp' ? 2e-5 : 2e-6) * mean;
        expect(Math.abs(made.refresh() - mean), note).toBeLessThan(limit);
        for (let k = 0; k < loss.outputs; k++) {
          const scale = made.write(k, rows);
          const written = memory.float32(pairs!, 2 * rows);
          let maxG = 0;
          for (let i = 0; i < rows; i++) {
            const w = weights?.[i] ?? 1;
            // Scores are float32 in the kernels: what depends on their size is off by it, and a share by 1e-7.
            const most = raw.reduce((far, scores) => Math.max(far, Math.abs(scores[i]!)), 0);
            const error = (exact: number): number =>
              w *
              ((loss.outputs > 1 ? 1e-6 : 1e-15) +
                (2e-6 + 1e-6 * most) * Math.abs(exact) +
                (loss.link === 'exp' ? 1e-6 * (1 + most) * (y[i]! + 1) * Math.exp(most) : 0));
            expect(Math.abs(written[2 * i]! - w * g![k]![i]!), note).toBeLessThanOrEqual(error(g![k]![i]!));
            expect(Math.abs(written[2 * i + 1]! - w * h![k]![i]!), note).toBeLessThanOrEqual(error(h![k]![i]!));
            maxG = Math.max(maxG, Math.abs(written[2 * i]!));
          }
          expect(scale.g * maxG, note).toBeLessThanOrEqual(levels(rows) * 1.000001);
          const isConstant = weights === null && (loss.kernel.name === 'huber' || loss.kernel.name === 'pinball');
          expect(scale.h === 1 || !isConstant).toBe(true);
        }
      }
    }
  });
});

it('a weighted quantile is a value up to which there is enough weight', () => {
  expect(weightedQuantile(Float64Array.of(3, 1, 2), null, 0.5)).toBe(2);
  expect(weightedQuantile(Float64Array.of(4, 1, 2, 3), null, 0.5)).toBe(2.5);
  expect(weightedQuantile(Float64Array.of(4, 1, 2, 3), Float64Array.of(9, 1, 1, 1), 0.5)).toBe(4);
  expect(weightedQuantile(Float64Array.of(7), null, 0.1)).toBe(7);
});

describe.each([1, 2])('leaves renewed on %i threads', (threads) => {
  it.each([absoluteError, quantileLoss(0.1), quantileLoss(0.75), huberLoss(1.5)])(
    'are those of the twin (%#)',
    (loss) => {
      for (const isWeighted of [false, true]) {
        const memory = newMemory(threads);
        const rows = 3000;
        // Few distinct residuals: many ties, and halves that are reached exactly.
        const y = draw(rows, () => rng.below(40) / 2);
        const weights = isWeighted ? draw(rows, () => 1 + rng.below(3)) : null;
        const [entries, spare, pairs, notes] = [8, 8, 8, 1].map((bytes) => memory.allocate(bytes * rows + 64));
        const made = derivativesOf(loss, memory, { y, weights }, Float32Array.of(1), pairs!, notes!);
        const raw = memory.float64(made.raw[0]!, rows);
        for (let i = 0; i < rows; i++) raw[i] = rng.below(10);
        const before = raw.slice();
        const order = Uint32Array.from({ length: rows }, (_, row) => row);
        rng.shuffle(order, rows);
        order.forEach((row, i) => (memory.uint32(entries!, 2 * rows)[2 * i] = row));
        const ends = [0, 1, 3, 50, 51, 1200, 2600, 3000];
        const leaves = ends.slice(1).map((end, i) => ({ node: i, begin: ends[i]!, end }));
        const tree = { value: new Float32Array(leaves.length) };
        const size = { rowCount: rows, numLeaves: leaves.length };
        const renewal = new LeafRenewal(memory, loss.renewal!, { entries: entries!, spare: spare! }, made, size);
        renewal.renew({ tree, leaves } as unknown as GrownTree, 0.1);
        for (const { node, begin, end } of leaves) {
          const inside = [...order.subarray(begin, end)];
          const wanted = renewTwin(
            loss.renewal!,
            inside.map((row) => Math.fround(y[row]! - before[row]!)),
            inside.map((row) => weights?.[row] ?? 1),
          );
          expect(tree.value[node], note).toBeCloseTo(0.1 * wanted, 6);
          for (const row of inside) expect(raw[row], note).toBe(before[row]! + tree.value[node]!);
        }
      }
    },
  );
});

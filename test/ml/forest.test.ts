/** Forests: the kernels against their slow twin, and what holds for any table. */
import { afterEach, describe, expect, it } from 'vitest';
import { Pace } from '../../src/ml/core/pace.js';
import { Rng } from '../../src/ml/core/rng.js';
import { type BinnedFeature } from '../../src/ml/trees/bins.js';
import { DeepGrower, type DeepRules, type DeepTree } from '../../src/ml/trees/grow-deep.js';
import { KernelMemory } from '../../src/ml/trees/kernel-memory.js';
import { type KernelTable } from '../../src/ml/trees/kernel-table.js';
import { findLeaf } from '../../src/ml/trees/score.js';
import { growTwin } from './deep-twin.js';
import { freshSeed } from './tables.js';
import { binCodes, binNumbers } from './twins.js';

const seed = freshSeed();
const rng = new Rng(seed);
const note = `TEST_SEED=${seed}`;
const idle = new Pace(new AbortController().signal);

const open: KernelMemory[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((memory) => memory.close()));
});

/** Numbers, few and many, and categories, few and many; some missing, some constant. */
function randomFeature(rows: number): { values: Float32Array; feature: BinnedFeature } {
  const missing = rng.float() < 0.5 ? 0 : rng.float();
  const distinct = [1, 2, 3, 4, 9, 60, 254][rng.below(7)]!;
  const isCode = rng.float() < 0.4;
  const values = Float32Array.from({ length: rows }, () => (rng.float() < missing ? NaN : rng.below(distinct)));
  if (isCode) return { values, feature: binCodes(values, distinct) };
  const scaled = values.map((value) => Math.fround(value * 0.7 - 3));
  return { values: scaled, feature: binNumbers(scaled, 2 + rng.below(254)) };
}

function intoMemory(memory: KernelMemory, rowCount: number, features: readonly BinnedFeature[]): KernelTable {
  const stride = Math.ceil(rowCount / 64) * 64;
  const columns = memory.allocate(features.length * stride);
  features.forEach(({ bins }, f) => memory.bytes(columns + f * stride, rowCount).set(bins));
  return { rowCount, features, columns, stride, panes: 0, paneBytes: 0, paneWidth: 0, rowBytes: 0, width: 0 };
}

/** Rows by rising value, where the criterion needs them so. */
function orderOf({ criterion }: DeepRules, stats: Float64Array): Uint32Array | null {
  if (criterion !== 'ABSOLUTE') return null;
  return Uint32Array.from({ length: stats.length / 2 }, (_, row) => row).sort(
    (a, b) => stats[2 * a]! - stats[2 * b]! || a - b,
  );
}

const pickOf = <T>(values: readonly T[]): T => values[rng.below(values.length)]!;

function randomRules(rows: number, features: number): DeepRules {
  const criterion = pickOf(['SQUARED', 'GINI', 'ENTROPY', 'ABSOLUTE'] as const);
  const bootstrap = rng.float() < 0.5;
  const width = { SQUARED: 1 + rng.below(2), ABSOLUTE: 1 }[criterion as string] ?? 2 + rng.below(6);
  return {
    criterion,
    width,
    leafSmooth: pickOf([0, 0.5, 2]),
    shares: Float64Array.from({ length: width }, (_, k) => (2 * (k + 1)) / (width * (width + 1))),
    mean: 0,
    maxDepth: pickOf([0, 0, 1, 3]),
    minSamplesLeaf: pickOf([1, 1, 2, 5]),
    minSamplesSplit: pickOf([2, 2, 9]),
    featuresPerNode: 1 + rng.below(features),
    isRandom: rng.float() < 0.3,
    draws: bootstrap || rng.float() < 0.5 ? rows : 1 + rng.below(rows),
    bootstrap,
    catSmooth: pickOf([0, 1, 3]),
    catL2: pickOf([0, 1]),
  };
}

/** What rows teach, in numbers whose sums are exact in any order. */
function randomLessons(rows: number, rules: DeepRules): Float64Array {
  const stats = new Float64Array(2 * rows);
  const isWeighted = rng.float() < 0.5;
  for (let i = 0; i < rows; i++) {
    const weight = isWeighted ? 0.25 * (1 + rng.below(8)) : 1;
    const y = rules.width > 1 ? rng.below(rules.width) : (rng.below(41) - 20) / 4;
    stats[2 * i] = rules.criterion === 'SQUARED' ? weight * y : y;
    stats[2 * i + 1] = weight;
  }
  return stats;
}

async function grow(
  { rows, features, rules, stats }: { rows: number; features: BinnedFeature[]; rules: DeepRules; stats: Float64Array },
  threads: number,
  trees: number,
): Promise<DeepTree[]> {
  const memory = new KernelMemory(threads);
  open.push(memory);
  const grower = new DeepGrower(memory, intoMemory(memory, rows, features), rules, stats, orderOf(rules, stats));
  const made: DeepTree[] = [];
  await grower.grow(trees, 7, idle, (grown) =>
    made.push({ ...grown, spared: grown.spared.slice(), values: grown.values.slice() }),
  );
  return made;
}

describe('deep growth', () => {
  it.each([1, 2, 3, 17, 120, 400])(
    'makes the trees of its slow twin, on one thread and on two (%i rows)',
    async (rows) => {
      for (let round = 0; round < (rows > 100 ? 6 : 25); round++) {
        const made = Array.from({ length: 1 + rng.below(6) }, () => randomFeature(rows));
        const features = made.map(({ feature }) => feature);
        const rules = randomRules(rows, features.length);
        const stats = randomLessons(rows, rules);
        const about = `${note} ${JSON.stringify(rules)}`;
        const [one, two] = [
          await grow({ rows, features, rules, stats }, 1, 3),
          await grow({ rows, features, rules, stats }, 2, 3),
        ];
        expect(two, about).toEqual(one);
        one.forEach(({ tree, gains, spared, values }, t) => {
          const order = orderOf(rules, stats);
          const wanted = growTwin({ table: { rowCount: rows, features }, rules, stats, order }, 7, t);
          expect(tree, about).toEqual(wanted.tree);
          gains.forEach((gain, f) => expect(gain, about).toBeCloseTo(wanted.gains[f]!, 8));
          const columns = made.map(({ values: column }) => column);
          for (let row = 0; row < rows; row++) {
            expect(spared[row]! >= 0, about).toBe(!wanted.drawn.has(row));
            if (spared[row]! < 0 || features.some(({ low, high }) => low.some((value, bin) => value !== high[bin])))
              continue;
            // Where a bin is one value, the row's leaf is that of its values.
            const leaf = findLeaf(tree, columns, row);
            const { width } = rules;
            expect([...values.slice(spared[row]! * width, (spared[row]! + 1) * width)], about).toEqual([
              ...tree.value.slice(leaf * width, (leaf + 1) * width),
            ]);
          }
        });
      }
    },
  );
});

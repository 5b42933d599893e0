import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { logistic, type Loss, softmax } from '../../src/ml/core/loss.js';
import { Pace } from '../../src/ml/core/pace.js';
import { Rng } from '../../src/ml/core/rng.js';
import { type LinearData, type Rows } from '../../src/ml/linear/data.js';
import { type Design } from '../../src/ml/linear/design.js';
import { fitElasticNet, type Penalties } from '../../src/ml/linear/elastic-net.js';
import { gramMatrix } from '../../src/ml/linear/gram.js';
import { residualsOf } from '../../src/ml/linear/likelihood.js';
import { fitLogistic } from '../../src/ml/linear/logistic.js';
import { fitProximal } from '../../src/ml/linear/proximal.js';
import { fitRidge } from '../../src/ml/linear/ridge.js';
import { type Weights } from '../../src/ml/linear/weights.js';
import { assignSplit } from '../../src/ml/split.js';
import { train } from '../../src/ml/train.js';
import { freshSeed, madeTable } from './tables.js';

interface Case {
  readonly target: 'numbers' | 'binary' | 'multi';
  readonly l1: number;
  readonly l2: number;
  readonly weighted: boolean;
  readonly weights: number[];
  readonly intercept: number[];
}
interface Goldens {
  readonly x: number[][];
  readonly targets: Record<Case['target'], number[]>;
  readonly weights: number[];
  readonly cases: Case[];
}
const goldens = JSON.parse(readFileSync(new URL('../goldens/linear-l1.json', import.meta.url), 'utf8')) as Goldens;
const design: Design = {
  rowCount: goldens.weights.length,
  width: goldens.x.length,
  numbers: goldens.x.map((values, feature) => ({ feature, values: Float32Array.from(values) })),
  oneHots: [],
};
const pace = new Pace(new AbortController().signal);
const stop = { tolerance: 1e-9, maxIterations: 2000 };
const dataOf = (rows: Rows): LinearData => ({ train: rows, validation: rows, pace, onStep: () => {} });

function solve(rows: Rows, { target, l1, l2 }: Pick<Case, 'target' | 'l1' | 'l2'>): Promise<Weights> {
  if (target === 'numbers') return l1 > 0 ? fitElasticNet(rows, { l1, l2 }, stop, pace) : fitRidge(rows, l2, pace);
  const loss: Loss = target === 'binary' ? logistic : softmax(3);
  return l1 > 0 ? fitProximal(dataOf(rows), loss, { l1, l2 }, stop) : fitLogistic(dataOf(rows), loss, l2, stop);
}

describe('weights are those of scikit-learn', () => {
  it.each(goldens.cases)('$target, l1 $l1, l2 $l2, rows weighted: $weighted', async (golden) => {
    const y = Float64Array.from(goldens.targets[golden.target]);
    const rows = { design, y, weights: golden.weighted ? Float64Array.from(goldens.weights) : null };
    const { weights, intercept } = await solve(rows, golden);
    golden.weights.forEach((weight, i) => {
      expect(weights[i]).toBeCloseTo(weight, 4);
      if (golden.l1 > 0 && Math.abs(weight) < 1e-6) expect(weights[i]).toBe(0);
    });
    golden.intercept.forEach((b, k) => {
      if (golden.target === 'multi') expect(intercept[k] - intercept[0]).toBeCloseTo(b - golden.intercept[0], 3);
      else expect(intercept[k]).toBeCloseTo(b, 4);
    });
  });
});

/** Numbers and two columns of categories, in random order of size. */
function randomRows(seed: number, outputs: number): Rows {
  const rng = new Rng(seed);
  const rowCount = 40 + rng.below(60);
  const counts = [1 + rng.below(4), 2 + rng.below(4)];
  const numberCount = rng.below(4);
  const numbers = Array.from({ length: numberCount }, (_, feature) => ({
    feature,
    values: Float32Array.from({ length: rowCount }, () => 6 * rng.float() - 3),
  }));
  let from = numberCount;
  const oneHots = counts.map((count) => {
    const first = from;
    from += count;
    return { hot: Uint16Array.from({ length: rowCount }, () => first + rng.below(count)) };
  });
  const y = Float64Array.from({ length: rowCount }, () => (outputs === 0 ? 4 * rng.float() : rng.below(outputs)));
  const weights = rng.below(2) === 0 ? null : Float64Array.from(y, () => 0.2 + 2 * rng.float());
  return { design: { rowCount, width: from, numbers, oneHots }, y, weights };
}

function dense({ rowCount, width, numbers, oneHots }: Design): Float64Array[] {
  return Array.from({ length: rowCount }, (_, i) => {
    const row = new Float64Array(width);
    for (const { feature, values } of numbers) row[feature] = values[i];
    for (const { hot } of oneHots) row[hot[i]] = 1;
    return row;
  });
}

/** By how much the worst condition of the optimum is missed, per row, from the definition of the objective. */
function missed(rows: Rows, { weights: w, intercept }: Weights, { l1, l2 }: Penalties, isClass: boolean): number {
  const x = dense(rows.design);
  const outputs = intercept.length;
  const { width } = rows.design;
  const raw = Array.from(intercept, (b, k) =>
    Float64Array.from(x, (row) => row.reduce((sum, v, f) => sum + v * w[k * width + f], b)),
  );
  const r = raw.map((scores) => new Float64Array(scores.length));
  if (isClass) residualsOf(raw, rows.y, rows.weights, r);
  else for (let i = 0; i < x.length; i++) r[0][i] = (raw[0][i] - rows.y[i]) * (rows.weights?.[i] ?? 1);
  let most = 0;
  for (let k = 0; k < outputs; k++) {
    most = Math.max(most, Math.abs(r[k].reduce((sum, v) => sum + v, 0)));
    for (let f = 0; f < width; f++) {
      const weight = w[k * width + f];
      const g = x.reduce((sum, row, i) => sum + row[f] * r[k][i], 0) + l2 * weight;
      most = Math.max(most, weight === 0 ? Math.abs(g) - l1 : Math.abs(g + Math.sign(weight) * l1));
    }
  }
  return most / x.length;
}

describe('whatever the rows', () => {
  it('the conditions of the optimum hold, for one, two and three outputs, with and without penalties', async () => {
    const seed = freshSeed();
    for (let round = 0; round < 30; round++) {
      for (const [target, outputs] of [
        ['numbers', 0],
        ['binary', 2],
        ['multi', 3],
      ] as const) {
        const rng = new Rng(seed + round);
        const rows = randomRows(seed + round, outputs);
        const [l1, l2] = [
          [5 * rng.float(), 0],
          [3 * rng.float(), 3 * rng.float()],
          [0, 0.5 + rng.float()],
          [1e6, 0],
        ][round % 4]!;
        const solved = await solve(rows, { target, l1: l1!, l2: l2! });
        const label = `TEST_SEED=${seed} round ${round} ${target}`;
        expect(missed(rows, solved, { l1: l1!, l2: l2! }, target !== 'numbers'), label).toBeLessThan(1e-5);
        if (l1 === 1e6)
          expect(
            solved.weights.every((v) => v === 0),
            label,
          ).toBe(true);
      }
    }
  });

  it('a row of weight two counts as two rows', async () => {
    const rows = randomRows(freshSeed(), 2);
    const weights = Float64Array.from(rows.y, (_, i) => 1 + (i % 2));
    const twice = Array.from(rows.y, (_, i) => (i % 2 === 1 ? [i, i] : [i])).flat();
    const { design: d } = rows;
    const repeated: Rows = {
      design: {
        ...d,
        rowCount: twice.length,
        numbers: d.numbers.map(({ feature, values }) => ({
          feature,
          values: Float32Array.from(twice, (i) => values[i]),
        })),
        oneHots: d.oneHots.map(({ hot }) => ({ hot: Uint16Array.from(twice, (i) => hot[i]) })),
      },
      y: Float64Array.from(twice, (i) => rows.y[i]),
      weights: null,
    };
    for (const [target, l1] of [
      ['numbers', 0],
      ['numbers', 2],
      ['binary', 0],
      ['binary', 2],
    ] as const) {
      const one = await solve({ ...rows, weights }, { target, l1, l2: 1 });
      const other = await solve(repeated, { target, l1, l2: 1 });
      one.weights.forEach((w, f) => expect(w).toBeCloseTo(other.weights[f], 5));
    }
  });

  it('XᵀDX of some features is that of the dense matrix', async () => {
    const seed = freshSeed();
    for (let round = 0; round < 10; round++) {
      const rows = randomRows(seed + round, 2);
      const x = dense(rows.design);
      const members = Int32Array.from({ length: rows.design.width }, (_, f) => f).filter((f) => (f + round) % 3 > 0);
      const gram = await gramMatrix(rows.design, rows.weights, members, pace);
      members.forEach((f, a) =>
        members.forEach((g, b) => {
          const sum = x.reduce((total, row, i) => total + row[f] * row[g] * (rows.weights?.[i] ?? 1), 0);
          expect(gram[a * members.length + b], `TEST_SEED=${seed}`).toBeCloseTo(sum, 8);
        }),
      );
    }
  });
});

describe('training with an L1 penalty', () => {
  const table = madeTable(900, 2);
  const assignment = assignSplit(table, {
    method: 'RANDOM',
    shares: { train: 0.6, validation: 0.2, test: 0.2 },
    seed: 1,
  });
  it.each(['amount', 'kind', 'isHigh'])(
    'leaves columns of no use at zero, and tells its steps (%s)',
    async (target) => {
      const rounds: number[] = [];
      const artifact = await train(
        {
          algorithm: 'LINEAR',
          task: 'AUTO',
          target,
          features: ['a', 'b', 'c', 'd', 'e'],
          parameters: { l1: target === 'amount' ? 150 : 12, l2: 0 },
          seed: 1,
        },
        table,
        { assignment, signal: new AbortController().signal, onRound: ({ round }) => rounds.push(round) },
      );
      expect(artifact.parity.passed).toBe(true);
      expect(artifact.importance.find(({ column }) => column === 'e')!.gain).toBe(0);
      expect(artifact.importance[0].gain).toBeGreaterThan(0.2);
      expect(artifact.rounds).toBeLessThan(100);
      expect(rounds.length).toBeGreaterThan(1);
    },
  );
});

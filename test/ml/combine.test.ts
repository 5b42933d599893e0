/** Combinations: what they learn, that their files answer alike, and that weights are the best there are. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { dealFolds, NO_FOLD } from '../../src/ml/combine/folds.js';
import { poolShares, poolValues, projectOnSimplex } from '../../src/ml/combine/pool.js';
import { fitStack } from '../../src/ml/combine/stack.js';
import { Pace } from '../../src/ml/core/pace.js';
import { predictTable } from '../../src/ml/core/predict.js';
import { Rng } from '../../src/ml/core/rng.js';
import { type Target } from '../../src/ml/core/target.js';
import { type FitSpec } from '../../src/ml/fit.js';
import { type AlgorithmName, type Member, parseMembers } from '../../src/ml/spec.js';
import { assignSplit, TEST } from '../../src/ml/split.js';
import { type Artifact, type Column, type Table, train } from '../../src/ml/train.js';
import { readCsv } from './csv.js';
import { madeTable } from './tables.js';

const pace = new Pace(new AbortController().signal);
const boosting: Member = { algorithm: 'GRADIENT_BOOSTING', parameters: { nEstimators: 60, minSamplesLeaf: 10 } };
const forest: Member = { algorithm: 'RANDOM_FOREST', parameters: { nEstimators: 25 } };
const linear: Member = { algorithm: 'LINEAR', parameters: {} };
const kinds = [
  ['VOTING', { weighting: 'EQUAL' }, [boosting, forest, linear]],
  ['VOTING', { weighting: 'FITTED' }, [boosting, forest, linear]],
  ['BAGGING', { folds: 3 }, [boosting]],
  ['STACKING', { folds: 3 }, [boosting, forest, linear]],
  ['STACKING', { folds: 3, nonNegative: false }, [forest, linear]],
] as const satisfies [AlgorithmName, FitSpec['parameters'], readonly Member[]][];

const table = madeTable(900, 2);
const split = { method: 'RANDOM', shares: { train: 0.6, validation: 0.2, test: 0.2 }, seed: 1 } as const;
const assignment = assignSplit(table, split);
const features = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];

function run(spec: Partial<FitSpec>, of: Table = table, signal = new AbortController().signal): Promise<Artifact> {
  const whole = {
    algorithm: 'VOTING',
    task: 'AUTO',
    target: 'amount',
    features,
    parameters: {},
    seed: 3,
    ...spec,
  } as const;
  return train(whole, of, { assignment, signal, onRound: () => {} });
}
const figure = ({ test }: Artifact, name: string): number => test.figures.find((f) => f.name === name)!.value!;
const digest = ({ onnx }: Artifact): string => createHash('sha256').update(onnx).digest('hex');

describe.each(kinds)('%s %o', (algorithm, parameters, members) => {
  const spec = { algorithm, parameters, members };

  it.each([
    ['amount', 'R2', 0.8],
    ['kind', 'AUC', 0.9],
    ['isHigh', 'AUC', 0.9],
  ])('learns %s, and its file answers as it does', async (target, name, least) => {
    const artifact = await run({ ...spec, target });
    expect(figure(artifact, name)).toBeGreaterThan(least);
    expect(artifact.parity).toMatchObject({ passed: true, rows: 180 });
    expect(['a', 'c']).toContain(artifact.importance[0].column);
    expect(artifact.importance.reduce((sum, { gain }) => sum + gain, 0)).toBeCloseTo(1, 10);
    expect(artifact.fitted.inputs.map(({ name: input }) => input)).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(artifact.warnings.filter((warning) => warning.includes('"f" is left out'))).toHaveLength(1);
    expect(artifact.history).toHaveLength(1);
  });

  it('gives the same bytes for the same seed, whatever the test rows hold', async () => {
    const scrambled: Table = {
      ...table,
      columns: table.columns.map((column): Column => {
        if (column.kind === 'category')
          return { ...column, codes: column.codes.map((code, row) => (assignment[row] === TEST ? 0 : code)) };
        return { ...column, values: column.values.map((value, row) => (assignment[row] === TEST ? 1 : value)) };
      }),
    };
    const one = await run({ ...spec, target: 'isHigh', seed: 11 });
    expect(digest(await run({ ...spec, target: 'isHigh', seed: 11 }))).toBe(digest(one));
    expect(digest(await run({ ...spec, target: 'isHigh', seed: 11 }, scrambled))).toBe(digest(one));
  });
});

describe('a combination', () => {
  it('tells which member and fold a round is of, counts up to the announced rounds, and stops when cancelled', async () => {
    const parts = new Set<string>();
    const controller = new AbortController();
    let last = 0;
    const spec = { algorithm: 'STACKING', parameters: { folds: 2 }, members: [boosting, linear] } as const;
    const whole = { ...spec, task: 'AUTO', target: 'kind', features, seed: 3 } as const;
    await train(whole, table, {
      assignment,
      signal: controller.signal,
      onRound: ({ round, rounds, metric }) => {
        expect(rounds).toBe(3 * (60 + 200));
        expect(round).toBeGreaterThanOrEqual(last);
        last = round;
        if (metric?.part) parts.add(`${metric.part.member}/${metric.part.fold}`);
      },
    });
    expect(last).toBe(780);
    expect([...parts]).toEqual(['0/0', '0/1', '1/0', '1/1', '0/null', '1/null']);
    const stopped = train(whole, table, {
      assignment,
      signal: controller.signal,
      onRound: ({ round }) => round > 60 && controller.abort(new Error('stop')),
    });
    await expect(stopped).rejects.toThrow('stop');
  });

  it('is the weighted mean of what its members answer alone', async () => {
    const { fitted } = await run({
      members: [boosting, forest],
      target: 'isHigh',
      parameters: { weighting: 'FITTED' },
    });
    if (fitted.model.family !== 'combined') throw new Error();
    const { members, weights } = fitted.model;
    expect(weights.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
    const rows = Uint32Array.from({ length: 50 }, (_, i) => 3 * i);
    const { scores } = predictTable(fitted, table, rows);
    const alone = members.map((model) => predictTable({ ...fitted, model }, table, rows).scores);
    scores.forEach((score, at) => expect(score).toBeCloseTo(weights[0] * alone[0][at] + weights[1] * alone[1][at], 6));
  });

  it.each([
    ['VOTING', [boosting], 'BAD_PARAMETER', 'members'],
    ['BAGGING', [boosting, forest], 'BAD_PARAMETER', 'members'],
    ['STACKING', null, 'BAD_PARAMETER', 'members'],
    ['LINEAR', [boosting], 'BAD_PARAMETER', 'members'],
    ['VOTING', [boosting, { algorithm: 'VOTING', parameters: {} }], 'BAD_PARAMETER', 'members.1'],
    [
      'VOTING',
      [boosting, { algorithm: 'LINEAR', parameters: { numLeaves: 3 } }],
      'UNKNOWN_PARAMETER',
      'members.1.numLeaves',
    ],
  ] as const)('%s of %o is refused', (algorithm, members, code, field) => {
    expect(() => parseMembers(algorithm, members)).toThrow(expect.objectContaining({ code, field }));
  });

  it('says which member cannot learn', async () => {
    const huge: Column = {
      name: 'h',
      kind: 'number',
      values: new Float64Array(900).map((_, i) => (i % 2 ? 1e300 : -1e300)),
    };
    const of = { ...table, columns: [...table.columns, huge] };
    await expect(run({ members: [boosting, linear], features: ['h'] }, of)).rejects.toMatchObject({
      field: 'members.1.features',
      message: expect.stringMatching(/^Member 2: /) as string,
    });
  });
});

describe('a stack on real data', () => {
  it.each([
    ['breast_cancer/breast_cancer.csv', 'diagnosis', 'LOG_LOSS'],
    ['credit_scoring/credit_data.csv', 'Status', 'LOG_LOSS'],
  ])(
    'is at least near the best of its members (%s)',
    async (path, target, name) => {
      const real = readCsv(new URL(`../../examples/${path}`, import.meta.url).pathname);
      const parts = assignSplit(real, { ...split, method: 'STRATIFIED', column: target });
      const fit = (spec: Pick<FitSpec, 'algorithm' | 'parameters' | 'members'>): Promise<Artifact> =>
        train({ task: 'AUTO', target, features: null, seed: 1, ...spec }, real, {
          assignment: parts,
          signal: new AbortController().signal,
          onRound: () => {},
        });
      const members = [boosting, linear, forest];
      const alone = [];
      for (const member of members) alone.push(figure(await fit(member), name));
      const stack = figure(await fit({ algorithm: 'STACKING', parameters: { folds: 5 }, members }), name);
      expect(stack).toBeLessThan(Math.min(...alone) * 1.02);
    },
    60_000,
  );
});

describe('folds', () => {
  it('hold every class in the same shares, and leave out what stands alone', () => {
    const y = Float64Array.from({ length: 103 }, (_, i) => (i === 7 ? 2 : i % 4 === 0 ? 1 : 0));
    const target: Target = { task: 'multiclass', classes: ['a', 'b', 'c'], y, warnings: [] };
    const rows = Uint32Array.from(y, (_, i) => i);
    const fold = dealFolds(target, rows, 5, new Rng(1));
    expect(fold[7]).toBe(NO_FOLD);
    for (const k of [0, 1]) {
      const counts = [0, 1, 2, 3, 4].map((f) => fold.filter((of, i) => of === f && y[i] === k).length);
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    }
    expect(dealFolds(target, rows, 5, new Rng(1))).toEqual(fold);
  });
});

describe('weights of a vote', () => {
  const rng = new Rng(5);
  const rows = 400;
  const counts = Float64Array.from({ length: rows }, () => 1 + rng.below(3));
  const sum = (of: (i: number) => number): number => counts.reduce((total, c, i) => total + c * of(i), 0);

  it('for classes cannot be bettered by any small exchange between two members', async () => {
    const shares = [0.9, 0.7, 0.2].map((top) => Float64Array.from(counts, () => 0.05 + top * rng.float()));
    const weights = await poolShares(shares, counts, pace);
    const loss = (w: Float64Array) =>
      -sum((i) => Math.log(w[0] * shares[0][i] + w[1] * shares[1][i] + w[2] * shares[2][i]));
    expect(weights.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
    for (const [a, b] of [
      [0, 1],
      [0, 2],
      [1, 0],
      [1, 2],
      [2, 0],
      [2, 1],
    ]) {
      const other = weights.slice();
      const step = Math.min(0.01, other[a]);
      other[a] -= step;
      other[b] += step;
      expect(loss(other)).toBeGreaterThan(loss(weights) - 1e-3);
    }
  });

  it('for numbers find the mixture that the target was made of, and none below zero', () => {
    const values = [1, 2, 3].map((size) => Float64Array.from(counts, () => 1e6 + size * rng.float()));
    const y = values[0].map((value, i) => 0.3 * value + 0.7 * values[2][i]);
    const weights = poolValues(values, y, counts);
    [0.3, 0, 0.7].forEach((weight, m) => expect(weights[m]).toBeCloseTo(weight, 3));
    expect(poolValues([values[0], values[0]], values[0], counts)).toEqual(Float64Array.of(0.5, 0.5));
  });

  it('project onto the simplex', () => {
    expect([...projectOnSimplex(Float64Array.of(0.2, 0.8))]).toEqual([0.2, 0.8]);
    expect([...projectOnSimplex(Float64Array.of(5, 0, -3))]).toEqual([1, 0, 0]);
    expect([...projectOnSimplex(Float64Array.of(1, 1))]).toEqual([0.5, 0.5]);
  });
});

describe('the final learner of a stack', () => {
  const rng = new Rng(9);
  const rows = 3000;
  const counts = new Float64Array(rows).fill(1);
  const draw = (width = 1): Float64Array => Float64Array.from({ length: rows * width }, () => 4 * rng.float() - 2);

  it('finds the weights and the intercept of a line', async () => {
    const inputs = [draw(), draw()];
    const y = inputs[0].map((z, i) => 3 + 0.25 * z - 2 * inputs[1][i]);
    const data = { inputs, link: 'identity', width: 1, y, counts } as const;
    const free = await fitStack(data, { l2: 0, nonNegative: false }, pace);
    expect(free.weights[0]).toBeCloseTo(0.25, 8);
    expect(free.weights[1]).toBeCloseTo(-2, 8);
    expect(free.intercept[0]).toBeCloseTo(3, 8);
    expect((await fitStack(data, { l2: 0, nonNegative: true }, pace)).weights[1]).toBe(0);
    const pulled = await fitStack(data, { l2: 1e9, nonNegative: false }, pace);
    expect(pulled.weights[0]).toBeCloseTo(0.5, 3);
  });

  it('ends where the derivatives vanish, for two classes and for several', async () => {
    for (const width of [1, 3]) {
      const inputs = [draw(width), draw(width)];
      const y = Float64Array.from(counts, (_, i) => {
        if (width === 1) return rng.float() < 1 / (1 + Math.exp(-1.5 * inputs[0][i] - 0.5)) ? 1 : 0;
        const raw = [0, 1, 2].map((k) => 1.5 * inputs[0][3 * i + k] - Math.log(-Math.log(rng.float() + 1e-12)));
        return raw.indexOf(Math.max(...raw));
      });
      const link = width === 1 ? 'sigmoid' : 'softmax';
      const { weights, intercept } = await fitStack(
        { inputs, link, width, y, counts },
        { l2: 0, nonNegative: false },
        pace,
      );
      expect(weights[0]).toBeGreaterThan(1.3);
      expect(weights[0]).toBeLessThan(1.7);
      expect(Math.abs(weights[1])).toBeLessThan(0.15);
      if (width === 1) expect(Math.abs(intercept[0] - 0.5)).toBeLessThan(0.2);
    }
  });
});

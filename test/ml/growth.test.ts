/** How boosted trees grow: what each rule promises, on random data. */
import { describe, expect, it } from 'vitest';
import { type Constraints } from '../../src/ml/core/constraint.js';
import { type Tree } from '../../src/ml/core/model.js';
import { predictTable } from '../../src/ml/core/predict.js';
import { Rng } from '../../src/ml/core/rng.js';
import { type Algorithm, type AnyParameters, parseParameters } from '../../src/ml/spec.js';
import { type Artifact, type Column, type Table, train } from '../../src/ml/train.js';
import { freshSeed } from './tables.js';

const seed = freshSeed();
const rng = new Rng(seed);
const note = `TEST_SEED=${seed}`;
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

const ROWS = 1500;
const COLUMNS = ['x0', 'x1', 'x2', 'x3', 'x4', 'c'];

/** Five numbers, a category of 30 values, a number that they explain in parts, and two classes. */
function randomTable(): Table {
  const numbers = upTo(5).map(() =>
    Float64Array.from({ length: ROWS }, () => (rng.float() < 0.05 ? NaN : Math.fround(rng.float() * 4 - 2))),
  );
  const codes = Int32Array.from({ length: ROWS }, () => (rng.float() < 0.05 ? -1 : rng.below(30)));
  const effect = upTo(30).map(() => rng.float() * 2);
  const y = Float64Array.from({ length: ROWS }, (_, i) => {
    const [a, b, c, d] = numbers.map((values) => (Number.isNaN(values[i]) ? 0.3 : values[i]!));
    return a! * a! + 2 * Math.sin(2 * b!) + c! * d! + (effect[codes[i]!] ?? 1) + rng.float();
  });
  const middle = y.slice().sort()[ROWS / 2]!;
  const column = (name: string, values: Float64Array): Column => ({ name, kind: 'number', values });
  return {
    rowCount: ROWS,
    columns: [
      ...numbers.map((values, k) => column(`x${k}`, values)),
      { name: 'c', kind: 'category', codes, categories: upTo(30).map(String) },
      column('y', y),
      { name: 'isHigh', kind: 'boolean', values: y.map((value) => (value > middle ? 1 : 0)) },
    ],
  };
}

const assignment = Uint8Array.from({ length: ROWS }, (_, row) => (row < 1100 ? 0 : row < 1300 ? 1 : 2));

function fit(
  table: Table,
  parameters: AnyParameters,
  more: { algorithm?: Algorithm; target?: string; constraints?: Constraints; threads?: number } = {},
): Promise<Artifact> {
  const { algorithm = 'GRADIENT_BOOSTING', target = 'y', constraints, threads } = more;
  const spec = { algorithm, task: 'AUTO', target, features: COLUMNS, parameters, seed: 9, constraints } as const;
  const signal = new AbortController().signal;
  return train(spec, table, { assignment, signal, onRound: () => {}, ...(threads ? { threads } : {}) });
}

function treesOf({ fitted: { model } }: Artifact): readonly Tree[] {
  if (model.family !== 'trees') throw new Error('Boosting gives trees.');
  return model.trees;
}

function depthOf(tree: Tree, node = 0): number {
  return tree.feature[node]! < 0 ? 0 : 1 + Math.max(depthOf(tree, tree.left[node]), depthOf(tree, tree.right[node]));
}

/** Features on the way to each leaf. */
function pathsOf(tree: Tree, node = 0, path: readonly number[] = []): (readonly number[])[] {
  if (tree.feature[node]! < 0) return [path];
  const longer = [...path, tree.feature[node]!];
  return [...pathsOf(tree, tree.left[node], longer), ...pathsOf(tree, tree.right[node], longer)];
}

const leavesOf = (tree: Tree): number => tree.feature.filter((feature) => feature < 0).length;

describe('growth', () => {
  it('level by level fills each level before the next', async () => {
    const trees = treesOf(
      await fit(randomTable(), { growth: 'DEPTH_WISE', numLeaves: 8, nEstimators: 5, minSamplesLeaf: 5 }),
    );
    for (const tree of trees) {
      expect(leavesOf(tree), note).toBe(8);
      expect(depthOf(tree), note).toBe(3);
    }
  });

  it('without a limit of leaves ends at the depth, and without either at the rows', async () => {
    const table = randomTable();
    for (const growth of ['LEAF_WISE', 'DEPTH_WISE']) {
      const shallow = treesOf(
        await fit(table, { growth, numLeaves: 0, maxDepth: 4, nEstimators: 4, minSamplesLeaf: 2 }),
      );
      for (const tree of shallow) {
        expect(depthOf(tree), note).toBe(4);
        expect(leavesOf(tree), note).toBeGreaterThan(8);
      }
    }
    const [deep] = treesOf(
      await fit(table, { numLeaves: 0, nEstimators: 1, minSamplesLeaf: 10, earlyStoppingRounds: 0 }),
    );
    expect(leavesOf(deep!), note).toBeGreaterThan(40);
    expect(leavesOf(deep!), note).toBeLessThanOrEqual(110);
  });

  it('of either kind makes the same trees where only the depth limits them', async () => {
    const table = randomTable();
    const rules = { numLeaves: 0, maxDepth: 5, nEstimators: 6, minSamplesLeaf: 3 };
    const [level, leaf] = [
      await fit(table, { ...rules, growth: 'DEPTH_WISE' }),
      await fit(table, { ...rules, growth: 'LEAF_WISE' }),
    ];
    const answers = [level, leaf].map(({ fitted }) => predictTable(fitted, table, Uint32Array.from(upTo(ROWS))).scores);
    expect(answers[0], note).toEqual(answers[1]);
  });

  it('keeps weights within maxDeltaStep, and less of them with regAlpha', async () => {
    const table = randomTable();
    const rules = { nEstimators: 3, learningRate: 0.5, earlyStoppingRounds: 0 };
    const valuesOf = async (more: AnyParameters): Promise<number[]> =>
      treesOf(await fit(table, { ...rules, ...more })).flatMap((tree) => [...tree.value].map(Math.abs));
    const limited = await valuesOf({ maxDeltaStep: 0.25 });
    expect(Math.max(...limited), note).toBe(0.125);
    const size = (values: number[]): number => values.reduce((a, b) => a + b) / values.length;
    expect(size(await valuesOf({ regAlpha: 60 })), note).toBeLessThan(size(await valuesOf({})));
  });

  it.each<AnyParameters>([
    { growth: 'DEPTH_WISE', numLeaves: 0, maxDepth: 5 },
    { colsample: 0.7, colsampleByLevel: 0.7, colsampleByNode: 0.7 },
    { sampling: 'GOSS', learningRate: 0.5, topRate: 0.3, otherRate: 0.2 },
    { subsample: 0.6, regAlpha: 1, maxDeltaStep: 0.5 },
    { numLeaves: 300, minSamplesLeaf: 2 },
  ])('with %o learns, the same on one thread and on two', async (parameters) => {
    const table = randomTable();
    for (const target of ['y', 'isHigh']) {
      const [one, two] = await Promise.all(
        [1, 2].map((threads) => fit(table, { nEstimators: 30, ...parameters }, { target, threads })),
      );
      expect(Buffer.from(one!.onnx).equals(two!.onnx), note).toBe(true);
      expect(one!.parity.passed, note).toBe(true);
      const [first] = one!.history;
      expect(Math.min(...one!.history.map(({ validation }) => validation)), note).toBeLessThan(0.9 * first!.validation);
    }
  });

  it.each([
    [{ sampling: 'GOSS', subsample: 0.5 }, 'subsample'],
    [{ sampling: 'GOSS', topRate: 0.6, otherRate: 0.5 }, 'otherRate'],
  ])('refuses %o', async (parameters, field) => {
    await expect(fit(randomTable(), parameters)).rejects.toMatchObject({ code: 'BAD_PARAMETER', field });
  });
});

describe('presets', () => {
  it('have the defaults of their libraries, and learn', async () => {
    expect(parseParameters('XGBOOST', {})).toMatchObject({
      growth: 'DEPTH_WISE',
      maxDepth: 6,
      learningRate: 0.3,
      minSamplesLeaf: 1,
    });
    expect(parseParameters('LIGHTGBM', {})).toMatchObject({
      growth: 'LEAF_WISE',
      numLeaves: 31,
      regLambda: 0,
      minSamplesLeaf: 20,
    });
    const table = randomTable();
    for (const algorithm of ['XGBOOST', 'LIGHTGBM'] as const) {
      const artifact = await fit(table, {}, { algorithm });
      expect(treesOf(artifact), note).toHaveLength(100);
      expect(artifact.test.figures.find(({ name }) => name === 'R2')!.value, note).toBeGreaterThan(0.5);
    }
  });
});

describe('monotone constraints', () => {
  it.each<[string, AnyParameters]>([
    ['y', { numLeaves: 31, minSamplesLeaf: 5 }],
    ['y', { growth: 'DEPTH_WISE', maxDepth: 6, numLeaves: 0, minSamplesLeaf: 1, regAlpha: 0.5 }],
    ['isHigh', { numLeaves: 15, maxDeltaStep: 0.7, subsample: 0.7 }],
  ])('hold %s along their columns (%o)', async (target, parameters) => {
    const table = randomTable();
    const constraints = {
      monotone: [
        { column: 'x0', direction: 'INCREASING' },
        { column: 'x1', direction: 'DECREASING' },
      ],
    } as const;
    const artifact = await fit(table, { nEstimators: 40, ...parameters }, { target, constraints });
    expect(artifact.parity.passed, note).toBe(true);
    const trees = treesOf(artifact);
    expect(
      trees.some(({ feature }) => feature.includes(0)),
      note,
    ).toBe(true);
    for (const { column, direction } of constraints.monotone) {
      for (let row = 0; row < 25; row++) {
        // The row again and again, with the column rising.
        const rows = new Array<number>(60).fill(rng.below(ROWS));
        const rising: Table = {
          rowCount: 60,
          columns: table.columns.map((one) => {
            if (one.kind === 'category') return { ...one, codes: Int32Array.from(rows, (r) => one.codes[r]!) };
            const values = Float64Array.from(rows, (r, i) => (one.name === column ? i / 12 - 2.5 : one.values[r]!));
            return { ...one, values };
          }),
        };
        const { scores } = predictTable(artifact.fitted, rising, Uint32Array.from(upTo(60)));
        const answers = target === 'y' ? [...scores] : upTo(60).map((i) => scores[2 * i + 1]!);
        for (let i = 1; i < 60; i++) {
          const step = (answers[i]! - answers[i - 1]!) * (direction === 'INCREASING' ? 1 : -1);
          expect(step, `${note} ${column}`).toBeGreaterThanOrEqual(0);
        }
      }
    }
  });

  it('are refused where leaves are set by residuals', async () => {
    const constraints = { monotone: [{ column: 'x0', direction: 'INCREASING' }] } as const;
    await expect(fit(randomTable(), { objective: 'ABSOLUTE' }, { constraints })).rejects.toMatchObject({
      code: 'BAD_PARAMETER',
      field: 'constraints.monotone',
    });
  });

  it('are refused for one of several classes', async () => {
    const table = randomTable();
    const kind = Float64Array.from({ length: ROWS }, (_, row) => row % 3);
    const of: Table = { ...table, columns: [...table.columns, { name: 'kind', kind: 'number', values: kind }] };
    const spec = {
      algorithm: 'XGBOOST',
      task: 'MULTICLASS',
      target: 'kind',
      features: COLUMNS,
      parameters: {},
      seed: 1,
      constraints: { monotone: [{ column: 'x0', direction: 'INCREASING' }] },
    } as const;
    const signal = new AbortController().signal;
    await expect(train(spec, of, { assignment, signal, onRound: () => {} })).rejects.toMatchObject({
      code: 'TASK_DOES_NOT_FIT',
      field: 'constraints.monotone',
    });
  });
});

describe('interaction constraints', () => {
  it('keep the features of each path in one group, and let those in no group act alone', async () => {
    const constraints = {
      interactions: [
        ['x0', 'x1'],
        ['x1', 'x2', 'c'],
      ],
    };
    const groups = [[0, 1], [1, 2, 5], [3], [4]];
    const artifact = await fit(
      randomTable(),
      { nEstimators: 60, minSamplesLeaf: 5, colsampleByNode: 0.8 },
      { constraints },
    );
    const paths = treesOf(artifact).flatMap((tree) => pathsOf(tree));
    expect(
      paths.some((path) => new Set(path).size > 1),
      note,
    ).toBe(true);
    for (const path of paths)
      expect(
        groups.some((group) => path.every((f) => group.includes(f))),
        note,
      ).toBe(true);
  });
});

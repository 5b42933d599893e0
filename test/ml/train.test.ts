import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { ALGORITHMS, type AnyParameters, parseParameters } from '../../src/ml/spec.js';
import { assignSplit, TEST, TRAIN } from '../../src/ml/split.js';
import { type Artifact, type Column, type Table, train, type TrainSpec } from '../../src/ml/train.js';
import { fitTreeFeatures } from '../../src/ml/features/tabular.js';
import { madeTable } from './tables.js';

const table = madeTable(900, 2);
const assignment = assignSplit(table, {
  method: 'RANDOM',
  shares: { train: 0.6, validation: 0.2, test: 0.2 },
  seed: 1,
});
const inputs = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
const few: Record<string, AnyParameters> = {
  RANDOM_FOREST: { nEstimators: 20 },
  GRADIENT_BOOSTING: { nEstimators: 40 },
};

function run(
  spec: Partial<TrainSpec>,
  of: Table = table,
  signal = new AbortController().signal,
  onRound = (): void => {},
): Promise<Artifact> {
  const parameters = few[spec.algorithm ?? ''] ?? {};
  const whole: TrainSpec = {
    algorithm: 'DECISION_TREE',
    task: 'AUTO',
    target: 'amount',
    features: inputs,
    parameters,
    seed: 3,
    ...spec,
  };
  return train(whole, of, { assignment, signal, onRound });
}

const figure = ({ test }: Artifact, name: string): number => test.figures.find((f) => f.name === name)!.value!;
const withColumn = (of: Table, column: Column): Table => ({
  ...of,
  columns: [...of.columns.filter(({ name }) => name !== column.name), column],
});
const digest = ({ onnx }: Artifact): string => createHash('sha256').update(onnx).digest('hex');

describe.each(ALGORITHMS)('%s', (algorithm) => {
  it('learns numbers, and its file answers as it does', async () => {
    const artifact = await run({ algorithm });
    expect(figure(artifact, 'R2')).toBeGreaterThan(0.8);
    expect(artifact.parity).toMatchObject({ passed: true, rows: 180 });
    expect(artifact.importance[0].column).toBe('c');
    expect(artifact.importance.reduce((sum, { gain }) => sum + gain, 0)).toBeCloseTo(1, 10);
    expect(artifact.fitted.inputs.map(({ name }) => name)).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(artifact.warnings.join()).toMatch(/"f" is left out.*"g" is left out/);
  });

  it('learns three classes', async () => {
    const artifact = await run({ algorithm, target: 'kind' });
    expect(figure(artifact, 'AUC')).toBeGreaterThan(0.9);
    expect(artifact.fitted.classes).toEqual(['low', 'middle', 'top']);
    expect(artifact.parity.passed).toBe(true);
    expect(artifact.test.classes!.map(({ rows }) => rows).reduce((a, b) => a + b)).toBe(180);
  });

  it('learns two classes', async () => {
    const artifact = await run({ algorithm, target: 'isHigh' });
    expect(figure(artifact, 'AUC')).toBeGreaterThan(0.9);
    expect(artifact.fitted).toMatchObject({ task: 'binary', classes: ['false', 'true'] });
    expect(artifact.parity.passed).toBe(true);
  });

  it('gives the same bytes for the same seed', async () => {
    const spec = { algorithm, target: 'kind', seed: 11 } as const;
    expect(digest(await run(spec))).toBe(digest(await run(spec)));
  });

  it('never looks at test rows before the end', async () => {
    const scrambled: Table = {
      ...table,
      columns: table.columns.map((column): Column => {
        if (column.kind === 'category')
          return { ...column, codes: column.codes.map((code, row) => (assignment[row] === TEST ? 0 : code)) };
        return { ...column, values: column.values.map((value, row) => (assignment[row] === TEST ? 1 : value)) };
      }),
    };
    const [one, other] = [
      await run({ algorithm, target: 'isHigh' }),
      await run({ algorithm, target: 'isHigh' }, scrambled),
    ];
    expect(digest(other)).toBe(digest(one));
    expect(other.validation).toEqual(one.validation);
  });

  it('stops within a round when cancelled', async () => {
    const controller = new AbortController();
    const training = run({ algorithm }, table, controller.signal, () => controller.abort(new Error('stop')));
    // One tree, or one solution, may be done before anyone listens.
    if (algorithm === 'RANDOM_FOREST' || algorithm === 'GRADIENT_BOOSTING')
      await expect(training).rejects.toThrow('stop');
    else await training.catch((error: unknown) => expect(error).toMatchObject({ message: 'stop' }));
  });
});

describe('boosting', () => {
  it('keeps the round of least validation loss', async () => {
    const { history, rounds, bestRound, fitted } = await run({
      algorithm: 'GRADIENT_BOOSTING',
      target: 'isHigh',
      parameters: { earlyStoppingRounds: 5, learningRate: 0.5 },
    });
    const losses = history.map(({ validation }) => validation);
    expect(bestRound).toBe(losses.indexOf(Math.min(...losses)) + 1);
    expect(rounds).toBe(bestRound + 5);
    expect(fitted.model.family === 'trees' && fitted.model.trees.length).toBe(bestRound);
  });

  it('learns from samples of rows and columns', async () => {
    const artifact = await run({
      algorithm: 'GRADIENT_BOOSTING',
      parameters: { nEstimators: 80, subsample: 0.5, colsample: 0.6 },
    });
    expect(figure(artifact, 'R2')).toBeGreaterThan(0.8);
  });

  it.each(['kind', 'isHigh', 'amount'])('gives the same bytes on one thread and on two (%s)', async (target) => {
    const parameters = { nEstimators: 15, subsample: 0.8, minSamplesLeaf: 5 };
    const [one, two] = [1, 2].map((threads) =>
      train({ algorithm: 'GRADIENT_BOOSTING', task: 'AUTO', target, features: inputs, parameters, seed: 5 }, table, {
        assignment,
        signal: new AbortController().signal,
        onRound: () => {},
        threads,
      }),
    );
    expect(digest(await one!)).toBe(digest(await two!));
  });
});

describe('features', () => {
  it('know only categories of the training rows, held by five of them', () => {
    const codes = Int32Array.from({ length: 100 }, (_, i) => (i < 4 ? 0 : i < 50 ? 1 : i < 90 ? 2 : 3));
    const of: Table = {
      rowCount: 100,
      columns: [{ name: 'x', kind: 'category', codes, categories: ['rare', 'one', 'two', 'tested'] }],
    };
    const trainRows = Uint32Array.from({ length: 90 }, (_, i) => i);
    const target = { task: 'regression', classes: null, y: new Float64Array(100), warnings: [] } as const;
    const lesson = { table: of, columns: ['x'], trainRows, target, weights: null, seed: 1 };
    const parameters = parseParameters('DECISION_TREE', {});
    expect(fitTreeFeatures(lesson, parameters).categories.get('x')).toEqual(['one', 'two']);
  });
});

describe('infinite numbers', () => {
  const infiniteAt = (part: number): Table => {
    const a = table.columns[0];
    if (a.kind !== 'number') throw new Error();
    const values = a.values.map((value, row) =>
      assignment[row] === part && row % 50 === 0 ? (row % 100 === 0 ? Infinity : -1e300) : value,
    );
    return withColumn(table, { name: 'a', kind: 'number', values });
  };

  it.each(['DECISION_TREE', 'RANDOM_FOREST', 'GRADIENT_BOOSTING'] as const)(
    'are large ones to %s, in training as in use',
    async (algorithm) => {
      for (const part of [TRAIN, TEST]) {
        const artifact = await run({ algorithm }, infiniteAt(part));
        expect(artifact.parity.passed).toBe(true);
        expect(figure(artifact, 'R2')).toBeGreaterThan(0.7);
      }
    },
  );

  it('are no numbers to a linear model: it leaves the column out, or says that it cannot answer', async () => {
    expect((await run({ algorithm: 'LINEAR' }, infiniteAt(TRAIN))).warnings.join()).toContain('"a" is left out');
    await expect(run({ algorithm: 'LINEAR' }, infiniteAt(TEST))).rejects.toMatchObject({ code: 'DIVERGED' });
  });
});

describe('a target', () => {
  const numbers = (of: (row: number) => number): Column => ({
    name: 'y',
    kind: 'number',
    values: Float64Array.from({ length: 900 }, (_, row) => of(row)),
  });
  const attempt = (column: Column, spec: Partial<TrainSpec> = {}): Promise<Artifact> =>
    run({ target: 'y', ...spec }, withColumn(table, column));

  it.each([
    ['missing everywhere', () => NaN, {}, 'TARGET_MISSING_ALL'],
    ['constant', () => 3, {}, 'TARGET_CONSTANT'],
    ['infinite somewhere', (row: number) => (row === 5 ? Infinity : row), {}, 'TARGET_NON_FINITE'],
    ['beyond single precision', (row: number) => row * 1e38, {}, 'TARGET_NON_FINITE'],
    ['of fractions, asked for as classes', (row: number) => row / 7, { task: 'MULTICLASS' }, 'TASK_DOES_NOT_FIT'],
    ['of 900 classes', (row: number) => row, { task: 'MULTICLASS' }, 'TOO_MANY_CLASSES'],
    ['of three classes, asked for as two', (row: number) => row % 3, { task: 'BINARY' }, 'TASK_DOES_NOT_FIT'],
    [
      'of one class in training',
      (row: number) => (assignment[row] === TRAIN ? 1 : row % 2),
      {},
      'SINGLE_CLASS_IN_TRAIN',
    ],
    ['without a row to test', (row: number) => (assignment[row] === TEST ? NaN : row), {}, 'EMPTY_SPLIT'],
    ['without the class that is to be positive', (row: number) => row % 2, { positiveClass: '2' }, 'UNKNOWN_CLASS'],
  ] as const)('%s is refused', async (_, of, spec, code) => {
    await expect(attempt(numbers(of), spec)).rejects.toMatchObject({ name: 'SpecError', code });
  });

  it.each([
    [{ target: 'nowhere' }, 'UNKNOWN_COLUMN'],
    [{ target: 'e', features: ['a'] }, 'TARGET_WRONG_KIND'],
    [{ target: 'kind', task: 'REGRESSION' }, 'TASK_DOES_NOT_FIT'],
    [{ features: ['a', 'nowhere'] }, 'UNKNOWN_COLUMN'],
    [{ features: ['a', 'amount'] }, 'DUPLICATE_COLUMN'],
    [{ features: ['a', 'a'] }, 'DUPLICATE_COLUMN'],
    [{ features: ['f', 'g'] }, 'NO_USABLE_FEATURES'],
    [{ parameters: { numLeaves: 3 } }, 'UNKNOWN_PARAMETER'],
  ] as const)('%o is refused', async (spec, code) => {
    await expect(run(spec)).rejects.toMatchObject({ code });
  });

  it('missing in some rows leaves these out and says so', async () => {
    const artifact = await attempt(numbers((row) => (row % 10 === 0 ? NaN : row)));
    expect(artifact.trainRows + artifact.validationRows + artifact.testRows).toBe(810);
    expect(artifact.warnings).toContain('Rows left out because their target is missing: 90.');
  });

  it('with a class unknown in training trains, counts it as missed and says so', async () => {
    const artifact = await attempt(
      numbers((row) => (assignment[row] === TEST && row % 4 === 0 ? 7 : row % 3)),
      { task: 'MULTICLASS' },
    );
    expect(artifact.fitted.classes).toEqual(['0', '1', '2']);
    expect(artifact.test.confusion).toHaveLength(4);
    expect(artifact.warnings.join()).toContain('Classes without a training row');
  });

  it('of two classes calls the rarer one positive unless told', async () => {
    const codes = Int32Array.from({ length: 900 }, (_, row) => (row % 5 === 0 ? 0 : 1));
    const column: Column = { name: 'y', kind: 'category', codes, categories: ['bad', 'good'] };
    expect((await attempt(column)).fitted.classes).toEqual(['good', 'bad']);
    expect((await attempt(column, { positiveClass: 'good' })).fitted.classes).toEqual(['bad', 'good']);
  });

  it('that nothing explains still gives a model', async () => {
    const artifact = await attempt(
      numbers((row) => row % 2),
      { features: ['d'], algorithm: 'GRADIENT_BOOSTING', parameters: { minSplitGain: 1e6 } },
    );
    expect(artifact.parity.passed).toBe(true);
    expect(artifact.warnings.join()).toContain('No split was worth making');
  });
});

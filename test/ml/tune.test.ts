import { describe, expect, it } from 'vitest';
import { ALGORITHM_SPECS, type Algorithm, type ParameterSpec, parseParameters, SpecError } from '../../src/ml/spec.js';
import { assignSplit } from '../../src/ml/split.js';
import { runStudy, SEARCH_SPACES, spacesOf, type StudyContext, type StudySpec, type Trial } from '../../src/ml/tune.js';
import { Rng } from '../../src/ml/core/rng.js';
import { parametersAt, pointOf, randomPoint } from '../../src/ml/tune/space.js';
import { threadExecutor, ThreadLost } from '../../src/ml/tune/executor.js';
import { type Task } from '../../src/ml/tune/judge.js';
import { freshSeed, madeTable } from './tables.js';

const table = madeTable(240, 1);
const assignment = assignSplit(table, {
  method: 'STRATIFIED',
  column: 'isHigh',
  shares: { train: 0.6, validation: 0.2, test: 0.2 },
  seed: 1,
});

const spec = (more: Partial<StudySpec> = {}): StudySpec => ({
  target: 'isHigh',
  features: ['a', 'b', 'c', 'd'],
  task: 'BINARY',
  seed: 7,
  search: 'RANDOM',
  algorithms: ['LINEAR', 'DECISION_TREE', 'GRADIENT_BOOSTING'],
  space: [{ algorithm: 'GRADIENT_BOOSTING', parameter: 'nEstimators', values: [40] }],
  metric: null,
  folds: null,
  limits: { trials: 6, seconds: null, latencyMicros: null },
  ...more,
});

const context = (more: Partial<StudyContext> = {}): StudyContext => ({
  assignment,
  signal: new AbortController().signal,
  history: [],
  parallelism: 1,
  elapsedMsBefore: 0,
  now: () => performance.now(),
  onTrial: () => {},
  onProgress: () => {},
  ...more,
});

/** What does not depend on the machine. */
const bare = (trials: readonly Trial[]): Omit<Trial, 'elapsedMs' | 'latencyMicros'>[] =>
  trials.map(({ elapsedMs: _, latencyMicros: __, ...trial }) => trial);

describe('a study', () => {
  it('tries as many trials as it may, and tells the best first', async () => {
    const told: Trial[] = [];
    const result = await runStudy(spec(), table, context({ onTrial: (trial) => void told.push(trial) }));
    expect(result.end).toBe('TRIALS');
    expect(result.trials.map(({ number }) => number)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(told).toHaveLength(6);
    const losses = result.leaderboard.map(({ value }) => value!);
    expect(losses).toEqual(losses.toSorted((a, b) => a - b));
    expect(result.best!.low!).toBeLessThan(result.best!.value!);
    expect(result.fit).toMatchObject({ target: 'isHigh', algorithm: result.best!.algorithm });
  });

  it('prefers the greater figure where greater is better', async () => {
    const { leaderboard } = await runStudy(spec({ metric: 'AUC' }), table, context());
    const areas = leaderboard.map(({ value }) => value!);
    expect(areas).toEqual(areas.toSorted((a, b) => b - a));
    expect(areas[0]).toBeGreaterThan(0.8);
  });

  it.each(['RANDOM', 'TPE', 'ASHA'] as const)(
    '%s goes on with the same next trial after it was killed, on any number of threads',
    async (search) => {
      const limits = { trials: 14, seconds: null, latencyMicros: null };
      const whole = await runStudy(spec({ search, limits }), table, context());
      for (const [kept, parallelism] of [
        [3, 1],
        [12, 1],
        [5, 2],
      ] as const) {
        // The trials of a generation end in any order.
        const history = whole.trials.slice(0, kept).toReversed();
        const again = await runStudy(spec({ search, limits }), table, context({ history, parallelism }));
        expect(bare(again.trials)).toEqual(bare(whole.trials));
      }
    },
  );

  it('judges by folds as well, each class in each of them', async () => {
    const { leaderboard } = await runStudy(spec({ folds: 3, target: 'kind', task: 'MULTICLASS' }), table, context());
    expect(leaderboard).toHaveLength(6);
    const boosted = leaderboard.find(({ algorithm }) => algorithm === 'GRADIENT_BOOSTING')!;
    expect(boosted.rounds).toBeGreaterThan(0);
    expect(boosted.rounds).toBeLessThanOrEqual(40);
  });

  it('looks at no row of the test part', async () => {
    const spoiled = {
      ...table,
      columns: table.columns.map((column) =>
        column.kind === 'category' || column.name === 'isHigh'
          ? column
          : { ...column, values: column.values.map((value, row) => (assignment[row] === 2 ? value * 1e6 : value)) },
      ),
    };
    const study = spec({ folds: 3, limits: { trials: 3, seconds: null, latencyMicros: null } });
    const [before, after] = [await runStudy(study, table, context()), await runStudy(study, spoiled, context())];
    expect(bare(after.trials)).toEqual(bare(before.trials));
  });

  it('stops at its time, without the trials it had to abort', async () => {
    const limits = { trials: null, seconds: 0.3, latencyMicros: null };
    const start = performance.now();
    const result = await runStudy(spec({ limits }), table, context());
    expect(result.end).toBe('SECONDS');
    expect(performance.now() - start).toBeLessThan(10_000);
    expect(result.trials.every(({ state }) => state === 'COMPLETE' || state === 'PRUNED')).toBe(true);
    const none = await runStudy(spec({ limits }), table, context({ elapsedMsBefore: 300 }));
    expect(none).toMatchObject({ end: 'SECONDS', trials: [], best: null, fit: null });
  });

  it('calls models infeasible that answer too slowly', async () => {
    const limits = { trials: 3, seconds: null, latencyMicros: 0.001 };
    const { trials, best } = await runStudy(spec({ limits }), table, context());
    expect(trials.map(({ state }) => state)).toEqual(['INFEASIBLE', 'INFEASIBLE', 'INFEASIBLE']);
    expect(trials.every(({ latencyMicros }) => latencyMicros! > 1)).toBe(true);
    expect(best).toBeNull();
    const generous = { ...limits, latencyMicros: 1e6 };
    expect((await runStudy(spec({ limits: generous }), table, context())).leaderboard).toHaveLength(3);
  });

  it('fails a trial that breaks, not the study', async () => {
    const narrow = spec({
      algorithms: ['DECISION_TREE', 'LINEAR'],
      features: ['a', 'g'],
      space: [],
      limits: { trials: 2, seconds: null, latencyMicros: null },
    });
    const huge = {
      ...table,
      columns: table.columns.map((column) =>
        column.name === 'a' && column.kind === 'number'
          ? { ...column, values: column.values.map((value) => value * 1e37) }
          : column,
      ),
    };
    const { trials } = await runStudy(narrow, huge, context());
    expect(trials.map(({ state }) => state)).toEqual(['COMPLETE', 'FAILED']);
    expect(trials[1]!.error!.code).toMatch(/^[A-Z_]+$/);
  });

  it('ends with the reason of its signal', async () => {
    for (const parallelism of [1, 2]) {
      const abort = new AbortController();
      const reason = new Error('No longer wanted.');
      const onTrial = (): void => abort.abort(reason);
      const running = runStudy(spec(), table, context({ signal: abort.signal, parallelism, onTrial }));
      await expect(running).rejects.toBe(reason);
    }
  });

  it('loses a thread that runs out of memory, and takes another', async () => {
    const shape = { folds: null, repeats: 1 };
    const start = { spec: spec(), table, assignment, shape };
    const starved = threadExecutor(start, 1, { maxOldGenerationSizeMb: 4, maxYoungGenerationSizeMb: 1 });
    const task: Task = {
      fit: { ...spec(), algorithm: 'LINEAR', parameters: {} },
      rungs: [],
      cutoffs: [],
      latencyMicros: null,
    };
    const { signal } = new AbortController();
    try {
      for (let i = 0; i < 2; i++) await expect(starved.run(task, signal)).rejects.toThrow(ThreadLost);
    } finally {
      await starved.close();
    }
  });

  it('refuses what it cannot do', async () => {
    const refused = async (more: Partial<StudySpec>, field: string) => {
      const error = await runStudy(spec(more), table, context()).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(SpecError);
      expect(error).toMatchObject({ field });
    };
    const none = { trials: null, seconds: null, latencyMicros: null };
    await refused({ limits: none }, 'limits');
    await refused({ limits: { ...none, trials: 0 } }, 'trials');
    await refused({ limits: { ...none, seconds: -1 } }, 'seconds');
    await refused({ algorithms: [] }, 'algorithms');
    await refused({ folds: 1 }, 'folds');
    await refused({ metric: 'RMSE' }, 'metric');
    await refused({ target: 'nothing' }, 'target');
  });
});

describe('search spaces', () => {
  it('hold what the algorithms take', () => {
    for (const [algorithm, space] of Object.entries(SEARCH_SPACES) as [
      Algorithm,
      (typeof SEARCH_SPACES)[Algorithm],
    ][]) {
      const specs: readonly ParameterSpec[] = ALGORITHM_SPECS[algorithm].parameters;
      const seed = freshSeed();
      const rng = new Rng(seed);
      for (let i = 0; i < 50; i++) {
        const point = randomPoint(space!, rng);
        const parameters = parametersAt(space!, point);
        expect(() => parseParameters(algorithm, parameters), `seed ${seed}`).not.toThrow();
        // There and back again: what a point means has a point that means the same.
        expect(parametersAt(space!, pointOf(space!, parameters)), `seed ${seed}`).toEqual(parameters);
      }
      for (const { parameter } of space!.dimensions) expect(specs.map(({ name }) => name)).toContain(parameter);
    }
  });

  it('can be narrowed, widened and fixed', () => {
    const spaces = spacesOf({
      algorithms: ['GRADIENT_BOOSTING', 'DECISION_TREE'],
      space: [
        { algorithm: 'GRADIENT_BOOSTING', parameter: 'learningRate', low: 0.05, high: 0.05 },
        { algorithm: 'GRADIENT_BOOSTING', parameter: 'maxDepth', low: 2, high: 3 },
        { algorithm: 'GRADIENT_BOOSTING', parameter: 'nEstimators', values: [10, 20] },
      ],
    });
    const seen = Array.from({ length: 40 }, (_, i) =>
      parametersAt(spaces.get('GRADIENT_BOOSTING')!, randomPoint(spaces.get('GRADIENT_BOOSTING')!, new Rng(i))),
    );
    expect(new Set(seen.map(({ learningRate }) => learningRate))).toEqual(new Set([0.05]));
    expect(new Set(seen.map(({ maxDepth }) => maxDepth))).toEqual(new Set([2, 3]));
    expect(new Set(seen.map(({ nEstimators }) => nEstimators))).toEqual(new Set([10, 20]));
  });

  it.each([
    [{ parameter: 'nothing', low: 1 }, 'UNKNOWN_PARAMETER'],
    [{ parameter: 'numLeaves', low: -1, high: 10 }, 'BAD_PARAMETER'],
    [{ parameter: 'numLeaves', low: 2.5, high: 10 }, 'BAD_PARAMETER'],
    [{ parameter: 'numLeaves', low: 20, high: 10 }, 'BAD_PARAMETER'],
    [{ parameter: 'numLeaves', low: 2, values: [3] }, 'BAD_PARAMETER'],
    [{ parameter: 'numLeaves', values: [] }, 'BAD_PARAMETER'],
    [{ parameter: 'regLambda', low: 0, high: 1, log: true }, 'BAD_PARAMETER'],
    [{ parameter: 'decisionThreshold', low: 0, high: 1 }, 'BAD_PARAMETER'],
    [{ parameter: 'decisionThreshold', values: ['F2'] }, 'BAD_PARAMETER'],
  ])('refuse %j', (override, code) => {
    const space = [{ algorithm: 'GRADIENT_BOOSTING' as const, ...override }];
    const refused = (): unknown => spacesOf({ algorithms: ['GRADIENT_BOOSTING'], space });
    expect(refused).toThrow(expect.objectContaining({ code }) as Error);
    expect(() => spacesOf({ algorithms: ['LINEAR'], space })).toThrow(/not among/);
  });
});

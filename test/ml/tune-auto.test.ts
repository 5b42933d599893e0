import { describe, expect, it } from 'vitest';
import { Rng } from '../../src/ml/core/rng.js';
import { parseParameters } from '../../src/ml/spec.js';
import { assignSplit, TEST } from '../../src/ml/split.js';
import { type Table, train } from '../../src/ml/train.js';
import { runStudy, type StudyContext, type StudySpec, type Trial } from '../../src/ml/tune.js';
import { selectEnsemble } from '../../src/ml/tune/ensemble.js';
import { PORTFOLIO } from '../../src/ml/tune/portfolio.js';
import { madeTable } from './tables.js';

const shares = { train: 0.6, validation: 0.2, test: 0.2 };
const table = madeTable(200, 3);
const assignment = assignSplit(table, { method: 'STRATIFIED', column: 'isHigh', shares, seed: 1 });

const spec = (more: Partial<StudySpec> = {}): StudySpec => ({
  target: 'isHigh',
  features: ['a', 'b', 'c', 'd'],
  task: 'BINARY',
  seed: 7,
  search: 'AUTO',
  algorithms: ['LINEAR', 'GRADIENT_BOOSTING'],
  space: [],
  metric: null,
  folds: 2,
  limits: { trials: 8, seconds: null, latencyMicros: null },
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

const bare = (trials: readonly Trial[]): Omit<Trial, 'elapsedMs'>[] =>
  trials.map(({ elapsedMs: _, ...trial }) => trial);

describe('AUTO', () => {
  it('tries families in turn, then combinations, and gives what can be trained', async () => {
    const result = await runStudy(spec(), table, context());
    const tried = result.trials.map(({ algorithm }) => algorithm);
    expect(tried.length).toBeLessThanOrEqual(8);
    expect(new Set(tried.slice(0, 6))).toEqual(new Set(['LINEAR', 'GRADIENT_BOOSTING']));
    expect(tried.slice(6).some((algorithm) => ['VOTING', 'BAGGING', 'STACKING'].includes(algorithm))).toBe(true);
    const best = result.leaderboard[0]!;
    expect(result.best!.value!).toBeLessThanOrEqual(best.value! + (best.high! - best.low!));
    expect(result.fit).toMatchObject({ refit: true, algorithm: result.best!.algorithm });
    const artifact = await train(result.fit!, table, { assignment, signal: context().signal, onRound: () => {} });
    expect(artifact.parity.passed).toBe(true);
    const auc = artifact.test.figures.find(({ name }) => name === 'AUC')!.value!;
    expect(auc).toBeGreaterThan(0.9);
    // A killed study makes the same of what is left.
    for (const kept of [5, 7]) {
      const again = await runStudy(spec(), table, context({ history: result.trials.slice(0, kept) }));
      expect(bare(again.trials.slice(0, 6))).toEqual(bare(result.trials.slice(0, 6)));
      expect(again.trials.length).toBeLessThanOrEqual(8);
      expect(again.fit!.algorithm).toBeDefined();
    }
  });

  it('takes the simple model where the truth is simple', async () => {
    const rng = new Rng(5);
    const values = Array.from({ length: 5 }, () => Float64Array.from({ length: 300 }, () => rng.float() * 2 - 1));
    const y = values[0]!.map((x, i) => 3 * x - 2 * values[1]![i]! + rng.float() - rng.float());
    const straight: Table = {
      rowCount: 300,
      columns: [
        ...values.map((column, k) => ({ name: `x${k}`, kind: 'number' as const, values: column })),
        { name: 'y', kind: 'number', values: y },
      ],
    };
    const parts = assignSplit(straight, { method: 'RANDOM', shares, seed: 2 });
    const study = spec({ target: 'y', task: 'REGRESSION', features: null });
    const { best } = await runStudy(study, straight, context({ assignment: parts }));
    expect(best!.algorithm).toBe('LINEAR');
  });

  it('keeps within its time and chooses all the same', async () => {
    const limits = { trials: null, seconds: 6, latencyMicros: null };
    const start = performance.now();
    const result = await runStudy(spec({ folds: null, limits }), table, context());
    expect(result.end).toBe('SECONDS');
    expect(result.best).not.toBeNull();
    // Generous: machines of tests are busy.
    expect(performance.now() - start).toBeLessThan(20_000);
  });

  it('starts from settings that the algorithms take', () => {
    for (const { algorithm, parameters } of PORTFOLIO)
      expect(() => parseParameters(algorithm, parameters)).not.toThrow();
    expect(new Set(PORTFOLIO.slice(0, 4).map(({ algorithm }) => algorithm)).size).toBeGreaterThan(2);
  });
});

describe('refitting', () => {
  it('learns from the validation rows as well, for the rounds that were best', async () => {
    const fit = {
      algorithm: 'GRADIENT_BOOSTING',
      task: 'BINARY',
      target: 'isHigh',
      features: ['a', 'b', 'c', 'd'],
      parameters: { nEstimators: 60, earlyStoppingRounds: 5 },
      seed: 1,
    } as const;
    const rounds: number[] = [];
    const onRound = ({ round, rounds: all }: { round: number; rounds: number }): void => void rounds.push(round / all);
    const { signal } = context();
    const once = await train(fit, table, { assignment, signal, onRound: () => {} });
    const twice = await train({ ...fit, refit: true }, table, { assignment, signal, onRound });
    expect(twice.bestRound).toBe(once.bestRound);
    expect(twice.validation).toEqual(once.validation);
    expect(twice.history).toEqual(once.history);
    expect(twice.fitted.threshold).toBe(once.fitted.threshold);
    expect(twice.fitted.model).not.toEqual(once.fitted.model);
    expect(rounds.toSorted((a, b) => a - b)).toEqual(rounds);
    // Test rows stay unseen: their features make no difference to the model.
    const spoiled = {
      ...table,
      columns: table.columns.map((column) =>
        column.kind === 'number' && column.name === 'a'
          ? { ...column, values: column.values.map((value, row) => (assignment[row] === TEST ? -value : value)) }
          : column,
      ),
    };
    const other = await train({ ...fit, refit: true }, spoiled, { assignment, signal, onRound: () => {} });
    expect(other.fitted).toEqual(twice.fitted);
  });

  it('refuses members that would stop by rows they learn from', async () => {
    const member = { algorithm: 'GRADIENT_BOOSTING', parameters: { nEstimators: 5 } } as const;
    const fit = {
      algorithm: 'VOTING',
      task: 'BINARY',
      target: 'isHigh',
      features: ['a', 'b'],
      parameters: {},
      members: [member, member],
      refit: true,
      seed: 1,
    } as const;
    const refused = train(fit, table, { assignment, signal: context().signal, onRound: () => {} });
    await expect(refused).rejects.toMatchObject({ code: 'BAD_PARAMETER', field: 'members.0.earlyStoppingRounds' });
  });
});

describe('ensemble selection', () => {
  const truth = Float64Array.from({ length: 40 }, (_, i) => Math.sin(i));
  const lossOf = (scores: Float64Array): number =>
    scores.reduce((sum, score, i) => sum + (score - truth[i]!) ** 2, 0) / truth.length;
  const off = (by: (i: number) => number): Float32Array => Float32Array.from(truth, (y, i) => y + by(i));

  it('joins models whose errors make up for each other', () => {
    const picks = selectEnsemble([off((i) => (i % 2 ? 0.5 : -0.5)), off((i) => (i % 2 ? -0.5 : 0.5))], lossOf, 5);
    expect(picks[0]).toBe(picks[1]);
  });

  it('leaves the best alone where nobody helps, and takes no more members than it may', () => {
    expect(selectEnsemble([off(() => 0.1), off(() => 0.2)], lossOf, 5)).toEqual([1, 0]);
    const many = Array.from({ length: 8 }, (_, m) => off((i) => 0.5 * Math.cos(m * 1.7 + i * (m + 1))));
    const picks = selectEnsemble(many, lossOf, 3);
    expect(picks.filter((times) => times > 0).length).toBeLessThanOrEqual(3);
  });
});

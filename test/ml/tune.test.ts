import { describe, expect, it } from 'vitest';
import { runStudy, type StudyContext, type StudySpec, type Trial } from '../../src/ml/tune.js';
import { assignSplit } from '../../src/ml/split.js';
import { madeTable } from './tables.js';

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
  algorithms: null,
  space: [],
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

  it('goes on with the same next trial after it was killed', async () => {
    const whole = await runStudy(spec(), table, context());
    for (const kept of [1, 4, 5]) {
      const history = whole.trials.slice(0, kept);
      const again = await runStudy(spec(), table, context({ history }));
      expect(bare(again.trials)).toEqual(bare(whole.trials));
    }
  });
});

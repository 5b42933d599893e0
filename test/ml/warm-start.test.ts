/** Trainings that go on from an earlier model. */
import { describe, expect, it } from 'vitest';
import { packModel, unpackModel } from '../../src/ml/core/pack.js';
import { type AnyParameters } from '../../src/ml/spec.js';
import { assignSplit } from '../../src/ml/split.js';
import { type Artifact, type FittedModel, train, type TrainSpec } from '../../src/ml/train.js';
import { madeTable } from './tables.js';

const table = madeTable(900, 2);
const assignment = assignSplit(table, {
  method: 'RANDOM',
  shares: { train: 0.6, validation: 0.2, test: 0.2 },
  seed: 1,
});
function run(
  warmStart: FittedModel | null,
  parameters: AnyParameters,
  spec: Partial<TrainSpec> = {},
): Promise<Artifact> {
  const whole: TrainSpec = {
    algorithm: 'GRADIENT_BOOSTING',
    task: 'AUTO',
    target: 'kind',
    features: ['a', 'b', 'c', 'd', 'e'],
    parameters,
    seed: 3,
    ...spec,
  };
  return train(whole, table, { assignment, warmStart, signal: new AbortController().signal, onRound: () => {} });
}
const treesOf = ({ fitted }: Artifact) => (fitted.model.family === 'trees' ? fitted.model.trees : []);
const endless = { nEstimators: 10, earlyStoppingRounds: 0 };

describe('a training that goes on', () => {
  it('keeps the trees, adds rounds, and ends where one training of all rounds does', async () => {
    const first = await run(null, endless);
    const second = await run(unpackModel(packModel(first.fitted)), endless);
    expect(treesOf(second)).toHaveLength(60);
    expect(treesOf(second).slice(0, 30)).toEqual(treesOf(first));
    expect(second.parity.passed).toBe(true);
    const whole = await run(null, { ...endless, nEstimators: 20 });
    const loss = (artifact: Artifact): number => artifact.history.at(-1)!.validation;
    expect(loss(second)).toBeLessThan(loss(first));
    expect(Math.abs(loss(second) / loss(whole) - 1)).toBeLessThan(0.1);
    expect(Buffer.from((await run(first.fitted, endless)).onnx).equals(Buffer.from(second.onnx))).toBe(true);
  });

  it('adds nothing where nothing gets better', async () => {
    const first = await run(null, { nEstimators: 300, earlyStoppingRounds: 20, learningRate: 0.3 });
    const second = await run(first.fitted, { nEstimators: 5, earlyStoppingRounds: 3, learningRate: 1 });
    expect(treesOf(second).length).toBeGreaterThanOrEqual(treesOf(first).length);
    expect(second.bestRound).toBeLessThanOrEqual(second.rounds);
  });

  it('is refused with what differs', async () => {
    const { fitted } = await run(null, endless);
    const refused = (spec: Partial<TrainSpec>, parameters: AnyParameters = endless) =>
      expect(run(fitted, parameters, spec)).rejects;
    await refused({ features: ['a', 'b'] }).toMatchObject({ code: 'WARM_START_MISMATCH', field: 'warmStartFrom' });
    await refused({ target: 'amount' }).toThrow(/its task is MULTICLASS/);
    await refused({ target: 'isHigh' }).toThrow(/its task/);
    await refused({ algorithm: 'LINEAR' }, {}).toThrow(/Only gradient boosting/);
    const forest = await run(null, { nEstimators: 3 }, { algorithm: 'RANDOM_FOREST' });
    await expect(run(forest.fitted, endless)).rejects.toThrow(/not learned by boosting/);
    const numbers = await run(null, endless, { target: 'amount' });
    await expect(
      run(
        numbers.fitted,
        { ...endless, objective: 'TWEEDIE' },
        { target: 'd', task: 'REGRESSION', features: ['a', 'b', 'c', 'e'] },
      ),
    ).rejects.toThrow(/its objective is another/);
  });
});

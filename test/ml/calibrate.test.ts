import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { calibrate, fitCalibration, fitIsotonic } from '../../src/ml/core/calibrate.js';
import { interpolator } from '../../src/ml/core/knots.js';
import { type Calibration, type Model } from '../../src/ml/core/model.js';
import { Rng } from '../../src/ml/core/rng.js';
import { exportOnnx } from '../../src/ml/onnx/export.js';
import { proveParity } from '../../src/ml/onnx/parity.js';
import { ALGORITHM_SPECS, ALGORITHMS, type AnyParameters } from '../../src/ml/spec.js';
import { assignSplit } from '../../src/ml/split.js';
import { type Artifact, train } from '../../src/ml/train.js';
import { randomModel } from './onnx-models.js';
import { freshSeed, madeTable } from './tables.js';

interface Isotonic {
  readonly x: number[];
  readonly y: number[];
  readonly at: number[];
}
interface Goldens {
  readonly z: number[];
  readonly y: number[];
  readonly weights: number[];
  readonly at: number[];
  readonly platt: number[];
  readonly plattWeighted: number[];
  readonly isotonic: Isotonic;
  readonly isotonicWeighted: Isotonic;
  readonly multi: { readonly scores: number[]; readonly classes: number[]; readonly calibrated: number[] };
}
const goldens = JSON.parse(readFileSync(new URL('../goldens/calibration.json', import.meta.url), 'utf8')) as Goldens;

const sigmoid = (z: number): number => 1 / (1 + Math.exp(-z));
const pairs = (p: readonly number[]): Float64Array => Float64Array.from(p.flatMap((v) => [1 - v, v]));
const logisticModel = { family: 'linear', link: 'sigmoid' } as unknown as Model;
const shareModel = { family: 'trees', link: 'identity' } as unknown as Model;
const scores = pairs(goldens.z.map(sigmoid));
const classes = Int32Array.from(goldens.y);
const weights = Float64Array.from(goldens.weights);

function answers(calibration: Calibration | null): number[] {
  const at = pairs(goldens.at);
  calibrate(calibration!, at, 2);
  return [...at.filter((_, i) => i % 2 === 1)];
}

describe('calibration, against scikit-learn,', () => {
  it.each([
    ['platt', null],
    ['plattWeighted', weights],
  ] as const)("%s: the same curve to 1e-4 (scikit-learn's own optimiser stops there)", (name, w) => {
    const fitted = answers(fitCalibration('PLATT', logisticModel, scores, 2, classes, w));
    fitted.forEach((q, i) => expect(q).toBeCloseTo(goldens[name][i], 4));
  });

  it.each([
    ['isotonic', null],
    ['isotonicWeighted', weights],
  ] as const)('%s: the same knots', (name, w) => {
    const hits = Uint8Array.from(goldens.y);
    const { x, y } = fitIsotonic(Float64Array.from(goldens.z, sigmoid), hits, w ?? new Float64Array(120).fill(1));
    // scikit-learn leaves out knots within a step.
    const at = interpolator({ x, y });
    goldens[name].x.forEach((v, i) => expect(at(v)).toBeCloseTo(goldens[name].y[i], 9));
    goldens.at.forEach((v, i) => expect(at(v)).toBeCloseTo(goldens[name].at[i], 9));
    answers(fitCalibration('ISOTONIC', logisticModel, scores, 2, classes, w)).forEach((q, i) =>
      expect(q).toBeCloseTo(goldens[name].at[i], 9),
    );
  });

  it('three classes: each against the others, then divided by the sum', () => {
    const { scores: given, classes: actual, calibrated } = goldens.multi;
    const copy = Float64Array.from(given);
    const fitted = fitCalibration('ISOTONIC', shareModel, copy, 3, Int32Array.from(actual), null);
    calibrate(fitted!, copy, 3);
    copy.forEach((q, i) => expect(q).toBeCloseTo(calibrated[i], 9));
  });
});

describe('isotonic regression', () => {
  it('rises, and no other rising function of few steps is nearer', () => {
    const seed = freshSeed();
    const rng = new Rng(seed);
    for (let round = 0; round < 50; round++) {
      const n = 1 + rng.below(30);
      const p = Float64Array.from({ length: n }, () => rng.below(12) / 12);
      const hits = Uint8Array.from(p, (v) => (rng.float() < v ? 1 : 0));
      const w = Float64Array.from(p, () => 1 + rng.below(3));
      const knots = fitIsotonic(p, hits, w);
      const at = interpolator(knots);
      knots.x.forEach((x, i) => {
        if (i > 0) expect(x > knots.x[i - 1] && knots.y[i] >= knots.y[i - 1], `TEST_SEED=${seed}`).toBe(true);
      });
      const error = (f: (v: number) => number): number =>
        p.reduce((sum, v, i) => sum + w[i] * (f(v) - hits[i]) ** 2, 0);
      for (let k = 0; k < 20; k++) {
        const [cut, low] = [rng.float(), rng.float()];
        const high = low + (1 - low) * rng.float();
        expect(error(at), `TEST_SEED=${seed}`).toBeLessThanOrEqual(error((v) => (v < cut ? low : high)) + 1e-12);
      }
    }
  });

  it('takes scores a rounding apart for equal', () => {
    const { x } = fitIsotonic(
      Float64Array.of(0.5, 0.5 + 1e-12, 0.7),
      Uint8Array.of(0, 1, 1),
      new Float64Array(3).fill(1),
    );
    expect([...x]).toEqual([0.5, 0.7]);
  });
});

describe('a class that no row has, or that all have,', () => {
  it.each(['PLATT', 'ISOTONIC'] as const)('keeps its scores (%s)', (rule) => {
    const calibration = fitCalibration(rule, logisticModel, pairs([0.2, 0.6]), 2, Int32Array.of(1, 1), null)!;
    const copy = pairs([0, 0.2, 0.6, 0.999, 1]);
    calibrate(calibration, copy, 2);
    pairs([0, 0.2, 0.6, 0.999, 1]).forEach((p, i) => expect(copy[i]).toBeCloseTo(p, 8));
  });

  it('and no rows make no calibration', () => {
    expect(fitCalibration('PLATT', logisticModel, new Float64Array(0), 2, new Int32Array(0), null)).toBeNull();
  });
});

describe('the file of a calibrated model', () => {
  const rows = Uint32Array.from({ length: 400 }, (_, i) => i);
  it.each(['boosting', 'forest', 'linear'] as const)(
    'answers as the predictor: random curves on %s',
    async (family) => {
      const seed = freshSeed();
      const rng = new Rng(seed);
      for (const [task, outputs] of [
        ['binary', 1],
        ['multiclass', 4],
      ] as const) {
        const { fitted, table } = randomModel(seed, { family, task, scale: 2 });
        const curve = () => {
          const sorted = (n: number) => Float64Array.from({ length: n }, () => rng.float()).sort();
          const count = 2 + rng.below(9);
          return { x: sorted(count), y: sorted(count) };
        };
        const numbers = () => Float64Array.from({ length: outputs }, () => 4 * rng.float() - 2);
        const some: Calibration[] = [
          { method: 'isotonic', curves: Array.from({ length: outputs }, curve) },
          { method: 'platt', clip: family === 'forest' ? 1e-4 : 1e-9, slope: numbers(), intercept: numbers() },
          // Where all curves say 0 no class is likelier than another.
          {
            method: 'isotonic',
            curves: Array.from({ length: outputs }, () => ({
              x: Float64Array.of(0.3, 0.4),
              y: Float64Array.of(0, 0.5),
            })),
          },
        ];
        for (const calibration of some) {
          const calibrated = { ...fitted, calibration };
          const onnx = exportOnnx(calibrated, { name: 'test', metadata: {} });
          const proof = await proveParity(calibrated, onnx, table, rows, { seed });
          expect(proof, `TEST_SEED=${seed}`).toMatchObject({ passed: true, labelMismatches: 0 });
          expect(proof.maxDifference, `TEST_SEED=${seed}`).toBeLessThan(1e-6);
        }
      }
    },
  );
});

describe('training with calibration', () => {
  const table = madeTable(1500, 7);
  const assignment = assignSplit(table, {
    method: 'RANDOM',
    shares: { train: 0.5, validation: 0.3, test: 0.2 },
    seed: 1,
  });
  const features = ['a', 'b', 'd'];
  const few: AnyParameters = { nEstimators: 30 };
  const run = (
    algorithm: 'LINEAR' | 'RANDOM_FOREST' | 'GRADIENT_BOOSTING' | 'DECISION_TREE',
    target: string,
    calibration: string,
  ): Promise<Artifact> =>
    train(
      {
        algorithm,
        task: 'AUTO',
        target,
        features,
        seed: 1,
        parameters: { ...(algorithm === 'RANDOM_FOREST' || algorithm === 'GRADIENT_BOOSTING' ? few : {}), calibration },
      },
      table,
      { assignment, signal: new AbortController().signal, onRound: () => {} },
    );
  const logLoss = ({ validation }: Artifact): number =>
    validation.figures.find(({ name }) => name === 'LOG_LOSS')!.value!;

  it.each(['LINEAR', 'RANDOM_FOREST', 'GRADIENT_BOOSTING', 'DECISION_TREE'] as const)(
    '%s answers with it, in the file too',
    async (algorithm) => {
      for (const target of ['isHigh', 'kind']) {
        const plain = await run(algorithm, target, 'NONE');
        expect(plain.fitted).not.toHaveProperty('calibration');
        for (const rule of ['PLATT', 'ISOTONIC']) {
          const artifact = await run(algorithm, target, rule);
          expect(artifact.fitted.calibration?.method).toBe(rule.toLowerCase());
          expect(artifact.parity).toMatchObject({ passed: true, labelMismatches: 0 });
          if (target === 'isHigh') expect(logLoss(artifact)).toBeLessThan(logLoss(plain) + 0.005);
        }
      }
    },
  );

  it('of numbers leaves them as they are', async () => {
    expect((await run('LINEAR', 'amount', 'ISOTONIC')).fitted).not.toHaveProperty('calibration');
  });

  it('is a parameter of every algorithm', () => {
    for (const algorithm of ALGORITHMS)
      expect(ALGORITHM_SPECS[algorithm].parameters.map(({ name }) => name)).toContain('calibration');
  });
});

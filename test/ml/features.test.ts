import { describe, expect, it } from 'vitest';
import { DATE_PARTS, type DatePart, datePart } from '../../src/ml/core/calendar.js';
import { interpolator } from '../../src/ml/core/knots.js';
import { type LinearFeatureParameters } from '../../src/ml/features/feature-spec.js';
import { normalQuantile } from '../../src/ml/features/normal.js';
import { fitScaling } from '../../src/ml/features/scaling.js';
import {
  type FeatureLesson,
  featureColumns,
  fitLinearFeatures,
  fitTreeFeatures,
} from '../../src/ml/features/tabular.js';
import { drawFolds, encodeTarget } from '../../src/ml/features/target-encoding.js';
import { Rng } from '../../src/ml/core/rng.js';
import { type AnyParameters, parseParameters } from '../../src/ml/spec.js';
import { assignSplit } from '../../src/ml/split.js';
import { type Artifact, type Column, type Table, train, type TrainSpec } from '../../src/ml/train.js';
import { freshSeed, madeTable } from './tables.js';

const table = madeTable(900, 2);
const shares = { train: 0.6, validation: 0.2, test: 0.2 };
const inputs = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];

function run(spec: Partial<TrainSpec>, of: Table = table): Promise<Artifact> {
  const assignment = assignSplit(of, { method: 'RANDOM', shares, seed: 1 });
  const whole = {
    algorithm: 'LINEAR',
    task: 'AUTO',
    target: 'amount',
    features: inputs,
    parameters: {},
    seed: 3,
  } as const;
  return train({ ...whole, ...spec }, of, { assignment, signal: new AbortController().signal, onRound: () => {} });
}

const category = (name: string, values: readonly (string | null)[]): Column => {
  const categories = [...new Set(values.filter((value) => value !== null))];
  return {
    name,
    kind: 'category',
    categories,
    codes: Int32Array.from(values, (v) => (v === null ? -1 : categories.indexOf(v))),
  };
};
const numbers = (name: string, values: ArrayLike<number>): Column => ({
  name,
  kind: 'number',
  values: Float64Array.from(values),
});

function lessonOf(columns: readonly Column[], y: ArrayLike<number>, rowCount = y.length): FeatureLesson {
  return {
    table: { rowCount, columns },
    columns: columns.map(({ name }) => name),
    trainRows: Uint32Array.from({ length: rowCount }, (_, i) => i),
    target: { task: 'regression', classes: null, y: Float64Array.from(y), warnings: [] },
    weights: null,
    seed: 1,
  };
}
const linear = (given: AnyParameters = {}): LinearFeatureParameters => parseParameters('LINEAR', given);
const figure = ({ test }: Artifact, name: string): number => test.figures.find((f) => f.name === name)!.value!;

describe('parts of dates', () => {
  it('are those of the ECMAScript calendar, from its first millisecond to its last', () => {
    const seed = freshSeed();
    const rng = new Rng(seed);
    const some = Array.from({ length: 3000 }, () => Math.round((rng.float() * 2 - 1) * 8.64e15));
    const near = Array.from({ length: 3000 }, () => Math.round((rng.float() * 2 - 1) * 4e12));
    const edges = [0, 8.64e15, -8.64e15, Date.UTC(2000, 1, 29), Date.UTC(1900, 2, 1), Date.UTC(2024, 11, 31)];
    for (const base of [...some, ...near, ...edges]) {
      for (const ms of [base - 1, base, base + 1]) {
        if (Math.abs(ms) > 8.64e15) continue;
        const date = new Date(ms);
        const newYear = new Date(ms);
        newYear.setUTCMonth(0, 1);
        newYear.setUTCHours(0, 0, 0, 0);
        const expected: Record<DatePart, number> = {
          year: date.getUTCFullYear(),
          month: date.getUTCMonth() + 1,
          day: date.getUTCDate(),
          weekday: date.getUTCDay() || 7,
          // The first year of the calendar has no first of January of its own.
          dayOfYear: Number.isNaN(newYear.getTime())
            ? datePart(ms, 'dayOfYear')
            : Math.floor((ms - newYear.getTime()) / 864e5) + 1,
          hour: date.getUTCHours(),
        };
        for (const part of DATE_PARTS)
          expect(datePart(ms, part), `${part} of ${ms}, TEST_SEED=${seed}`).toBe(expected[part]);
      }
    }
    for (const part of DATE_PARTS) expect(datePart(NaN, part)).toBeNaN();
  });

  it('let a model learn the weekend, and its file counts the same', async () => {
    const rng = new Rng(5);
    const e = Float64Array.from({ length: 900 }, () => Math.round((rng.float() * 2 - 1) * 3e12));
    const y = e.map((ms) => (datePart(ms, 'weekday') >= 6 ? 5 : 0) + datePart(ms, 'hour') / 24 + rng.float() / 10);
    const of: Table = {
      rowCount: 900,
      columns: [{ name: 'e', kind: 'date', values: e.map((v, i) => (i % 20 === 3 ? NaN : v)) }, numbers('y', y)],
    };
    for (const algorithm of ['GRADIENT_BOOSTING', 'RANDOM_FOREST', 'LINEAR'] as const) {
      const spec = { algorithm, target: 'y', features: null };
      const without = await run({ ...spec }, of);
      const artifact = await run({ ...spec, parameters: { dateParts: true } }, of);
      expect(artifact.parity.passed).toBe(true);
      expect(figure(artifact, 'R2')).toBeGreaterThan(algorithm === 'LINEAR' ? 0.4 : 0.85);
      expect(figure(artifact, 'R2')).toBeGreaterThan(figure(without, 'R2') + 0.3);
      expect(artifact.importance).toEqual([{ column: 'e', gain: 1 }]);
    }
  });
});

describe('scaling', () => {
  const values = Float32Array.from([1, 2, 2, 3, 4, 100, NaN]);

  it('centres and scales by mean and deviation, median and interquartile range, or not at all', () => {
    const { mean, scale } = fitScaling(values, 'STANDARD', 'MEAN')!;
    expect(mean).toBeCloseTo(112 / 6, 4);
    expect(scale).toBeCloseTo(36.39, 2);
    expect(fitScaling(values, 'ROBUST', 'MEDIAN')).toEqual({ impute: 2.5, mean: 2.5, scale: 1.75 });
    expect(fitScaling(values, 'NONE', 'MOST_FREQUENT')).toEqual({ impute: 2, mean: 0, scale: 1 });
  });

  it('by quantiles goes through the share of values below and half of those equal', () => {
    const { knots } = fitScaling(values, 'QUANTILE_UNIFORM', 'MEAN')!;
    expect([...knots!.x]).toEqual([1, 2, 3, 4, 100]);
    const at = interpolator(knots!);
    [1 / 12, 2 / 6, 7 / 12, 9 / 12, 11 / 12].forEach((share, i) => expect(at(knots!.x[i])).toBeCloseTo(share, 12));
    expect(at(52)).toBeCloseTo(10 / 12, 12);
    expect([at(-1e9), at(1e9)]).toEqual([knots!.y[0], knots!.y[4]]);
    expect(at(NaN)).toBeNaN();
  });

  it('by quantiles keeps the order and few knots, and makes a normal distribution of any', () => {
    const seed = freshSeed();
    const rng = new Rng(seed);
    const long = Float32Array.from({ length: 20_000 }, () => Math.exp(6 * rng.float() ** 3));
    const { knots } = fitScaling(long, 'QUANTILE_NORMAL', 'MEAN')!;
    expect(knots!.x.length).toBeLessThanOrEqual(256);
    knots!.x.forEach((x, i) => expect(i === 0 || (x > knots!.x[i - 1] && knots!.y[i] > knots!.y[i - 1])).toBe(true));
    const scaled = Float64Array.from(long, interpolator(knots!));
    const mean = scaled.reduce((sum, v) => sum + v, 0) / long.length;
    const deviation = Math.sqrt(scaled.reduce((sum, v) => sum + (v - mean) ** 2, 0) / long.length);
    expect(Math.abs(mean), `TEST_SEED=${seed}`).toBeLessThan(0.01);
    expect(deviation, `TEST_SEED=${seed}`).toBeCloseTo(1, 1);
  });

  it.each(['STANDARD', 'ROBUST', 'QUANTILE_UNIFORM', 'QUANTILE_NORMAL', 'NONE'] as const)(
    '%s refuses what does not vary or is infinite',
    (rule) => {
      for (const bad of [[], [NaN], [3, 3], [1, Infinity], [1, -Infinity, 2], [3e38, -3e38, 3e38].map((v) => v * 10)])
        expect(fitScaling(Float32Array.from(bad), rule, 'MEDIAN')).toBeNull();
    },
  );

  it('knows the quantiles of the normal distribution', () => {
    for (const [p, z] of [
      [0.5, 0],
      [0.975, 1.959963984540054],
      [0.01, -2.3263478740408408],
      [1e-9, -5.997807015008182],
    ] as const)
      expect(normalQuantile(p)).toBeCloseTo(z, 7);
  });

  it.each(['STANDARD', 'ROBUST', 'QUANTILE_UNIFORM', 'QUANTILE_NORMAL', 'NONE'])(
    '%s travels in the file',
    async (scaling) => {
      for (const target of ['amount', 'kind']) {
        const artifact = await run({
          target,
          parameters: { scaling, imputation: 'MEDIAN', missingIndicator: true, dateParts: true },
        });
        expect(artifact.parity).toMatchObject({ passed: true, labelMismatches: 0 });
        expect(figure(artifact, target === 'amount' ? 'R2' : 'AUC')).toBeGreaterThan(0.7);
        expect(artifact.importance.map(({ column }) => column).sort()).toEqual(['a', 'b', 'c', 'd', 'e']);
      }
    },
  );
});

describe('missing values', () => {
  it('get an indicator where training rows have them, and a constant column of them is that indicator', () => {
    const lesson = lessonOf(
      [numbers('x', [1, 2, NaN, 4]), numbers('y', [1, 2, 3, 4]), numbers('z', [7, NaN, 7, 7])],
      [1, 2, 3, 4],
    );
    const { features } = fitLinearFeatures(lesson, linear({ missingIndicator: true }));
    expect(features.map(({ kind, column }) => `${kind} ${column}`)).toEqual([
      'number x',
      'missing x',
      'number y',
      'missing z',
    ]);
    expect([...featureColumns([features[1]], lesson.table, lesson.trainRows)[0]]).toEqual([0, 0, 1, 0]);
    const plain = fitLinearFeatures(lesson, linear());
    expect(plain.features).toHaveLength(2);
    expect(plain.warnings.join()).toContain('"z" is left out');
  });
});

describe('categories', () => {
  const values = [...'aaaaaaaabbbbbbbbccccccdddddde'].map((v): string | null => v).concat([null, null]);
  const y = values.map((_, i) => i);

  it('that are rare share a value of their own, apart from missing and unseen', () => {
    const lesson = lessonOf([category('c', values)], y);
    const rows = Uint32Array.of(0, 8, 16, 22, 28, 29);
    const tree = fitTreeFeatures(lesson, parseParameters('DECISION_TREE', { minCategoryRows: 7 }));
    expect(tree.features).toEqual([{ kind: 'code', column: 'c', categories: ['a', 'b'], others: ['c', 'd'] }]);
    expect([...featureColumns(tree.features, lesson.table, rows)[0]]).toEqual([0, 1, 2, 2, NaN, NaN]);
    expect(tree.categories.get('c')).toEqual(['a', 'b', 'c', 'd']);
    const hot = fitLinearFeatures(lesson, linear({ minCategoryRows: 7 }));
    expect(hot.features.map((f) => (f.kind === 'oneHot' ? f.category : f.kind))).toEqual(['a', 'b', 'oneOf', null]);
    const ordinal = fitTreeFeatures(
      lesson,
      parseParameters('DECISION_TREE', { minCategoryRows: 7, categoryEncoding: 'ORDINAL' }),
    );
    expect([...featureColumns(ordinal.features, lesson.table, rows)[0]]).toEqual([0, 1, 2, 2, NaN, NaN]);
  });

  it('cannot be codes to a linear model', async () => {
    await expect(run({ parameters: { categoryEncoding: 'NATIVE' } })).rejects.toMatchObject({
      code: 'BAD_PARAMETER',
      field: 'categoryEncoding',
    });
  });

  it('by the hundred thousand are told apart by target encoding alone', async () => {
    const rng = new Rng(4);
    const count = 100_000;
    const codes = Int32Array.from({ length: 6 * count }, (_, i) => (rng.float() < 0.01 ? -1 : i % count));
    const effect = Float64Array.from({ length: count }, () => rng.float());
    const columns: Column[] = [
      { name: 'c', kind: 'category', codes, categories: Array.from({ length: count }, (_, i) => `v${i}`) },
      numbers(
        'x',
        codes.map(() => rng.below(100)),
      ),
    ];
    const lesson = lessonOf(
      columns,
      Float64Array.from(codes, (code) => (code < 0 ? 0.5 : effect[code]) + rng.float() / 10),
    );
    const { features, training } = fitLinearFeatures(lesson, linear({ categoryEncoding: 'TARGET', targetSmooth: 1 }));
    expect(features).toHaveLength(2);
    const [encoded] = featureColumns([training.features[0]], training.table, lesson.trainRows);
    let [xy, xx, yy] = [0, 0, 0];
    const mean = lesson.target.y.reduce((sum, v) => sum + v, 0) / codes.length;
    encoded.forEach((v, i) => {
      const d = lesson.target.y[i] - mean;
      [xy, xx, yy] = [xy + v * d, xx + v * v, yy + d * d];
    });
    expect(xy / Math.sqrt(xx * yy)).toBeGreaterThan(0.8);
    const coded = fitTreeFeatures(lesson, parseParameters('GRADIENT_BOOSTING', {}));
    expect(coded.features[0]).toMatchObject({ kind: 'code' });
  });

  describe.each(['GRADIENT_BOOSTING', 'RANDOM_FOREST', 'DECISION_TREE', 'LINEAR'] as const)('of %s', (algorithm) => {
    const encodings = ['AUTO', 'ONE_HOT', 'ORDINAL', 'TARGET'] as const;
    it.each(encodings)('as %s travel in the file', async (categoryEncoding) => {
      for (const target of ['amount', 'kind', 'isHigh']) {
        const few: AnyParameters =
          algorithm === 'GRADIENT_BOOSTING' || algorithm === 'RANDOM_FOREST' ? { nEstimators: 15 } : {};
        const missing: AnyParameters = algorithm === 'LINEAR' ? { missingIndicator: true } : {};
        const parameters = { ...few, ...missing, categoryEncoding, minCategoryRows: 85 };
        const artifact = await run({ algorithm, target, parameters });
        expect(artifact.parity).toMatchObject({ passed: true, labelMismatches: 0 });
        expect(artifact.importance.map(({ column }) => column).sort()).toEqual(['a', 'b', 'c', 'd', 'e']);
        expect(artifact.importance.reduce((sum, { gain }) => sum + gain, 0)).toBeCloseTo(1, 10);
      }
    });
  });
});

describe('target encoding', () => {
  it('is the smoothed mean of the other folds for training rows, of all for new ones', () => {
    const groups = Int32Array.of(0, 0, 0, 1, 1, 2);
    const y = Float64Array.of(1, 2, 3, 10, 20, 5);
    const folds = Uint8Array.of(0, 1, 1, 0, 2, 3);
    const { values, outOfFold } = encodeTarget(groups, 4, y, null, folds, 2);
    const mean = 41 / 6;
    const m = (sum: number, count: number): number => (sum + 2 * mean) / (count + 2);
    const expected = [m(5, 2), m(1, 1), m(1, 1), m(20, 1), m(10, 1), mean];
    expected.forEach((value, i) => expect(outOfFold[i]).toBeCloseTo(value, 12));
    [m(6, 3), m(30, 2), m(5, 1), mean].forEach((value, g) => expect(values[g]).toBeCloseTo(value, 12));
  });

  it('counts a row of weight two as two rows', () => {
    const groups = Int32Array.of(0, 0, 1, 1);
    const weighted = encodeTarget(
      groups,
      2,
      Float64Array.of(1, 2, 3, 4),
      Float64Array.of(2, 1, 1, 1),
      Uint8Array.of(0, 1, 0, 1),
      1,
    );
    const twice = encodeTarget(
      Int32Array.of(0, 0, 0, 1, 1),
      2,
      Float64Array.of(1, 1, 2, 3, 4),
      null,
      Uint8Array.of(0, 0, 1, 0, 1),
      1,
    );
    expect([...weighted.values]).toEqual([...twice.values]);
    expect([...weighted.outOfFold]).toEqual([...twice.outOfFold].slice(1));
  });

  it('never shows a row its own target', () => {
    const seed = freshSeed();
    const rng = new Rng(seed);
    const groups = Int32Array.from({ length: 200 }, () => rng.below(20));
    const folds = drawFolds(200, seed, 1);
    const y = Float64Array.from({ length: 200 }, () => rng.below(8) / 8);
    const before = encodeTarget(groups, 20, y, null, folds, 0).outOfFold;
    const changed = y.map((v, i) => (i === 7 ? v + 1 : i === 8 ? v - 1 : v)); // the mean of all stays
    const after = encodeTarget(groups, 20, changed, null, folds, 0).outOfFold;
    if (groups[7] !== groups[8]) for (const i of [7, 8]) expect(after[i], `TEST_SEED=${seed}`).toBe(before[i]);
  });

  it.each(['GRADIENT_BOOSTING', 'LINEAR'] as const)(
    'of a random column of many values does not mislead %s',
    async (algorithm) => {
      const rng = new Rng(8);
      const n = 3000;
      const x = Float64Array.from({ length: n }, () => rng.float());
      const of: Table = {
        rowCount: n,
        columns: [
          numbers('x', x),
          category(
            'noise',
            Array.from({ length: n }, () => `v${rng.below(300)}`),
          ),
          { name: 'y', kind: 'boolean', values: x.map((v) => (v + rng.float() > 1 ? 1 : 0)) },
        ],
      };
      const parameters = { categoryEncoding: 'TARGET', targetSmooth: 1 };
      const clean = await run({ algorithm, target: 'y', features: ['x'] }, of);
      const noisy = await run({ algorithm, target: 'y', features: ['x', 'noise'], parameters }, of);
      expect(Math.abs(figure(noisy, 'AUC') - figure(clean, 'AUC'))).toBeLessThan(0.02);
      if (algorithm === 'LINEAR')
        expect(noisy.importance.find(({ column }) => column === 'noise')!.gain).toBeLessThan(0.1);
    },
  );
});

describe('odd tables', () => {
  const odd: [string, Column[]][] = [
    [
      'all missing',
      [
        numbers('x', new Float64Array(60).fill(NaN)),
        category(
          'c',
          Array.from({ length: 60 }, () => null),
        ),
      ],
    ],
    [
      'constant',
      [
        numbers('x', new Float64Array(60).fill(3)),
        category(
          'c',
          Array.from({ length: 60 }, () => 'one'),
        ),
      ],
    ],
    [
      'infinite',
      [
        numbers(
          'x',
          Float64Array.from({ length: 60 }, (_, i) => (i === 30 ? Infinity : i)),
        ),
      ],
    ],
  ];
  it.each(odd)('%s: no feature for a linear model, and it says so', (_, columns) => {
    for (const scaling of ['STANDARD', 'ROBUST', 'QUANTILE_NORMAL', 'NONE']) {
      const { features, warnings } = fitLinearFeatures(
        lessonOf(columns, new Float64Array(60)),
        linear({ scaling, missingIndicator: true }),
      );
      expect(features).toEqual([]);
      expect(warnings).toHaveLength(columns.length);
    }
  });
});

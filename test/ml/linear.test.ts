import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { logistic, type Loss, softmax } from '../../src/ml/core/loss.js';
import { Pace } from '../../src/ml/core/pace.js';
import { Rng } from '../../src/ml/core/rng.js';
import { type Design, multiply, multiplyTransposed } from '../../src/ml/linear/design.js';
import { fitLogistic } from '../../src/ml/linear/logistic.js';
import { fitRidge } from '../../src/ml/linear/ridge.js';
import { freshSeed } from './tables.js';

interface Fitted {
  readonly y: number[];
  readonly weights: number[];
  readonly intercept: number[];
}
interface Goldens {
  readonly x: number[][];
  readonly l2: number;
  readonly ridge: Fitted;
  readonly binary: Fitted;
  readonly multi: Fitted;
}

const goldens = JSON.parse(readFileSync(new URL('../goldens/linear.json', import.meta.url), 'utf8')) as Goldens;
const design: Design = {
  rowCount: 60,
  width: 3,
  numbers: goldens.x.map((values, feature) => ({ feature, values: Float32Array.from(values) })),
  oneHots: [],
};
const rowsOf = (of: Design, y: readonly number[]) => ({ design: of, y: Float64Array.from(y), weights: null });
const pace = new Pace(new AbortController().signal);

function expectWeights(
  solved: { weights: Float32Array; intercept: Float32Array },
  { weights, intercept }: Fitted,
): void {
  weights.forEach((weight, i) => expect(solved.weights[i]).toBeCloseTo(weight, 4));
  // Of several intercepts only the differences mean anything.
  if (intercept.length === 1) expect(solved.intercept[0]).toBeCloseTo(intercept[0], 4);
  intercept.forEach((b, i) => expect(solved.intercept[i] - solved.intercept[0]).toBeCloseTo(b - intercept[0], 4));
}

it('ridge has the weights of scikit-learn', async () => {
  expectWeights(await fitRidge(rowsOf(design, goldens.ridge.y), goldens.l2, pace), goldens.ridge);
});

it.each([
  ['binary', logistic],
  ['multi', softmax(3)],
] as readonly ['binary' | 'multi', Loss][])(
  '%s logistic regression has the weights of scikit-learn',
  async (name, loss) => {
    const rows = rowsOf(design, goldens[name].y);
    const data = { train: rows, validation: rows, pace, onStep: () => {} };
    const stop = { tolerance: 1e-9, maxIterations: 1000 };
    expectWeights(await fitLogistic(data, loss, goldens.l2, stop), goldens[name]);
  },
);

it('ridge without a penalty survives columns that depend on each other', async () => {
  const twice: Design = {
    ...design,
    width: 6,
    numbers: [...design.numbers, ...design.numbers.map(({ values }, f) => ({ feature: 3 + f, values }))],
  };
  const { weights } = await fitRidge(rowsOf(twice, goldens.ridge.y), 0, pace);
  expect(weights.every(Number.isFinite)).toBe(true);
  const single = await fitRidge(rowsOf(design, goldens.ridge.y), 0, pace);
  for (let f = 0; f < 3; f++) expect(weights[f] + weights[3 + f]).toBeCloseTo(single.weights[f], 3);
});

it('X w and Xᵀ r are those of the dense matrix', () => {
  const seed = freshSeed();
  const rng = new Rng(seed);
  const hot = Uint16Array.from({ length: 20 }, () => 2 + rng.below(3));
  const values = Float32Array.from({ length: 20 }, () => rng.float());
  const small: Design = { rowCount: 20, width: 5, numbers: [{ feature: 1, values }], oneHots: [{ hot }] };
  const dense = Array.from(hot, (at, i) => [0, 1, 2, 3, 4].map((f) => (f === 1 ? values[i] : f === at ? 1 : 0)));
  const w = Float64Array.from({ length: 5 }, () => rng.float());
  const r = Float64Array.from({ length: 20 }, () => rng.float());
  const [product, transposed] = [new Float64Array(20), new Float64Array(5)];
  multiply(small, w, 2, product);
  multiplyTransposed(small, r, transposed);
  dense.forEach((row, i) =>
    expect(product[i], `TEST_SEED=${seed}`).toBeCloseTo(2 + row.reduce((sum, x, f) => sum + x * w[f], 0), 10),
  );
  transposed.forEach((value, f) =>
    expect(value, `TEST_SEED=${seed}`).toBeCloseTo(
      dense.reduce((sum, row, i) => sum + row[f] * r[i], 0),
      10,
    ),
  );
});

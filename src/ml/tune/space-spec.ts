/** Where hyper-parameters are searched by default: plain data, each range wide enough for small and large tables. */
import { type Algorithm } from '../spec.js';

export type ParameterValue = number | boolean | string;

/** One searched parameter. `when`: only together with one of these values of another parameter, named earlier in the list. */
export type Dimension = (
  | { readonly kind: 'INT' | 'FLOAT'; readonly low: number; readonly high: number; readonly log: boolean }
  | { readonly kind: 'CHOICE'; readonly values: readonly ParameterValue[] }
) & {
  readonly parameter: string;
  readonly when?: { readonly parameter: string; readonly values: readonly ParameterValue[] };
};

export interface SearchSpace {
  /** Set for every trial instead of the default. */
  readonly fixed: Readonly<Record<string, ParameterValue>>;
  readonly dimensions: readonly Dimension[];
}

const float = (parameter: string, low: number, high: number): Dimension => ({
  parameter,
  kind: 'FLOAT',
  low,
  high,
  log: false,
});
const logFloat = (parameter: string, low: number, high: number): Dimension => ({
  parameter,
  kind: 'FLOAT',
  low,
  high,
  log: true,
});
const logInt = (parameter: string, low: number, high: number): Dimension => ({
  parameter,
  kind: 'INT',
  low,
  high,
  log: true,
});
const int = (parameter: string, low: number, high: number): Dimension => ({
  parameter,
  kind: 'INT',
  low,
  high,
  log: false,
});
const choice = (parameter: string, ...values: readonly ParameterValue[]): Dimension => ({
  parameter,
  kind: 'CHOICE',
  values,
});

const sampled = [float('subsample', 0.5, 1), float('colsample', 0.3, 1)];
const leafWise: SearchSpace = {
  fixed: { nEstimators: 1000, earlyStoppingRounds: 50 },
  dimensions: [
    logFloat('learningRate', 0.01, 0.3),
    logInt('numLeaves', 4, 128),
    logInt('minSamplesLeaf', 2, 100),
    logFloat('regLambda', 0.01, 100),
    ...sampled,
  ],
};

/** Algorithms without an entry are not searched on their own. */
export const SEARCH_SPACES: Partial<Record<Algorithm, SearchSpace>> = {
  DECISION_TREE: {
    fixed: {},
    dimensions: [int('maxDepth', 2, 20), logInt('minSamplesLeaf', 2, 200), logFloat('leafSmooth', 0.5, 20)],
  },
  RANDOM_FOREST: {
    fixed: { nEstimators: 200 },
    dimensions: [
      logInt('minSamplesLeaf', 1, 50),
      choice('maxFeatures', 'LOG2', 'SQRT', 'THIRD', 'HALF', 'ALL'),
      choice('bootstrap', true, false),
    ],
  },
  EXTRA_TREES: {
    fixed: { nEstimators: 200 },
    dimensions: [
      logInt('minSamplesLeaf', 1, 50),
      choice('maxFeatures', 'SQRT', 'THIRD', 'HALF', 'ALL'),
      choice('bootstrap', true, false),
    ],
  },
  // Rounds are found by early stopping, so that they need no search of their own.
  GRADIENT_BOOSTING: leafWise,
  LIGHTGBM: leafWise,
  XGBOOST: {
    fixed: { nEstimators: 1000, earlyStoppingRounds: 50 },
    dimensions: [
      logFloat('learningRate', 0.01, 0.3),
      int('maxDepth', 2, 10),
      logFloat('minChildWeight', 0.1, 30),
      logFloat('regLambda', 0.01, 100),
      ...sampled,
    ],
  },
  LINEAR: {
    fixed: {},
    dimensions: [
      logFloat('l2', 0.001, 1000),
      choice('l1', 0, 0.3, 1, 3, 10),
      choice('scaling', 'STANDARD', 'QUANTILE_NORMAL'),
      choice('categoryEncoding', 'ONE_HOT', 'TARGET'),
    ],
  },
};

/** What is searched where nobody chose: LIGHTGBM grows the same trees as GRADIENT_BOOSTING. */
export const SEARCHED = (Object.keys(SEARCH_SPACES) as Algorithm[]).filter((algorithm) => algorithm !== 'LIGHTGBM');

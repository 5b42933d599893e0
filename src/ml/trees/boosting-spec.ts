/** Hyper-parameters of gradient boosting: one list, with the defaults of three ways to use it. */
import { type AlgorithmSpec, calibration, classWeight, decisionThreshold, type ValuesOf } from '../core/parameter.js';
import { SpecError } from '../core/spec-error.js';
import { STOPPING_METRICS } from '../core/stopping-metric.js';
import { TREE_FEATURES } from '../features/feature-spec.js';
import { GROWTHS } from './open-leaf.js';
import { catL2, catSmooth, maxBins, maxDepth, minSamplesLeaf } from './tree-spec.js';

/** What a booster can learn by; each fits one task. */
export const OBJECTIVES = [
  'AUTO',
  'LOGISTIC',
  'SOFTMAX',
  'SQUARED',
  'ABSOLUTE',
  'HUBER',
  'QUANTILE',
  'POISSON',
  'GAMMA',
  'TWEEDIE',
] as const;

const objectives = [
  {
    name: 'objective',
    type: 'ENUM',
    values: OBJECTIVES,
    default: 'AUTO',
    description: 'The loss that trees are grown to lower.',
  },
  {
    name: 'huberDelta',
    type: 'FLOAT',
    min: 1e-6,
    max: 1e9,
    default: 1,
    description:
      'HUBER: residuals count by their square up to this size, and by their size beyond, in units of the target.',
  },
  {
    name: 'quantileAlpha',
    type: 'FLOAT',
    min: 0.001,
    max: 0.999,
    default: 0.5,
    description: 'QUANTILE: the share of targets that should lie below the answer.',
  },
  {
    name: 'tweedieVariancePower',
    type: 'FLOAT',
    min: 1.01,
    max: 1.99,
    default: 1.5,
    description:
      'TWEEDIE: the variance grows with the mean to this power; towards 1 it is like POISSON, towards 2 like GAMMA.',
  },
] as const;

interface Defaults {
  readonly nEstimators: number;
  readonly learningRate: number;
  readonly growth: (typeof GROWTHS)[number];
  readonly numLeaves: number;
  readonly maxDepth: number;
  readonly minSamplesLeaf: number;
  readonly minChildWeight: number;
  readonly regLambda: number;
  readonly earlyStoppingRounds: number;
  readonly catSmooth: number;
  readonly catL2: number;
}

const share = <N extends string>(name: N, description: string) =>
  ({ name, type: 'FLOAT', min: 0.01, max: 1, default: 1, description }) as const;

const penalty = <N extends string>(name: N, value: number, description: string) =>
  ({ name, type: 'FLOAT', min: 0, max: 1e9, default: value, description }) as const;

/** How a tree grows, and what its leaves cost. */
const growth = (defaults: Defaults) =>
  [
    {
      name: 'growth',
      type: 'ENUM',
      values: GROWTHS,
      default: defaults.growth,
      description: 'Which leaf is split next. XGBoost: grow_policy.',
    },
    {
      name: 'numLeaves',
      type: 'INT',
      min: 0,
      max: 1_024,
      default: defaults.numLeaves,
      description: 'Most leaves of a tree; 0 sets no limit. XGBoost: max_leaves; LightGBM: num_leaves.',
    },
    maxDepth(defaults.maxDepth),
    minSamplesLeaf(defaults.minSamplesLeaf),
    penalty(
      'minChildWeight',
      defaults.minChildWeight,
      'Least sum of second derivatives of the loss that a leaf may hold. XGBoost: min_child_weight; LightGBM: min_sum_hessian_in_leaf.',
    ),
    penalty(
      'minSplitGain',
      0,
      'Least decrease of the loss for which a leaf is split. XGBoost: gamma; LightGBM: min_gain_to_split.',
    ),
    penalty(
      'regLambda',
      defaults.regLambda,
      'L2 penalty on the weights of the leaves. XGBoost: lambda; LightGBM: lambda_l2.',
    ),
    penalty('regAlpha', 0, 'L1 penalty on the weights of the leaves. XGBoost: alpha; LightGBM: lambda_l1.'),
    penalty(
      'maxDeltaStep',
      0,
      'Greatest weight of a leaf before the learning rate; 0 sets no limit. XGBoost: max_delta_step; LightGBM: the same.',
    ),
  ] as const;

/** Which rows and columns a tree sees. */
const sampling = [
  share(
    'subsample',
    'Share of the rows, drawn without replacement, that each round learns from. XGBoost: subsample; LightGBM: bagging_fraction.',
  ),
  share(
    'colsample',
    'Share of the columns that each round may use. XGBoost: colsample_bytree; LightGBM: feature_fraction.',
  ),
  share(
    'colsampleByLevel',
    'Share of the columns of a tree that each of its levels may use. XGBoost: colsample_bylevel.',
  ),
  share(
    'colsampleByNode',
    'Share of the columns of a level that each split may use. XGBoost: colsample_bynode; LightGBM: feature_fraction_bynode.',
  ),
  {
    name: 'sampling',
    type: 'ENUM',
    values: ['UNIFORM', 'GOSS'],
    default: 'UNIFORM',
    description: 'How each round draws its rows. LightGBM: data_sample_strategy.',
  },
  {
    name: 'topRate',
    type: 'FLOAT',
    min: 0.01,
    max: 0.99,
    default: 0.2,
    description: 'GOSS: share of the rows, those of greatest gradient, that each round keeps. LightGBM: top_rate.',
  },
  {
    name: 'otherRate',
    type: 'FLOAT',
    min: 0.01,
    max: 0.99,
    default: 0.1,
    description: 'GOSS: share of the rows that each round draws from the others. LightGBM: other_rate.',
  },
] as const;

const boosting = (description: string, defaults: Defaults) =>
  ({
    description,
    takesConstraints: true,
    parameters: [
      ...objectives,
      {
        name: 'nEstimators',
        type: 'INT',
        min: 1,
        max: 10_000,
        default: defaults.nEstimators,
        description:
          'Most boosting rounds; a round adds one tree, or one for each of more than two classes. XGBoost: n_estimators; LightGBM: num_iterations.',
      },
      {
        name: 'learningRate',
        type: 'FLOAT',
        min: 0.0001,
        max: 1,
        default: defaults.learningRate,
        description: 'Share of each tree that is added to the scores. XGBoost: eta; LightGBM: learning_rate.',
      },
      ...growth(defaults),
      ...sampling,
      {
        name: 'earlyStoppingRounds',
        type: 'INT',
        min: 0,
        max: 10_000,
        default: defaults.earlyStoppingRounds,
        description:
          'Rounds without a better validation figure (stoppingMetric) after which training stops and the best round is kept; 0 runs all rounds and keeps them.',
      },
      {
        name: 'stoppingMetric',
        type: 'ENUM',
        values: STOPPING_METRICS,
        default: 'AUTO',
        description: 'The figure of the validation rows that early stopping watches.',
      },
      maxBins,
      catSmooth(defaults.catSmooth),
      catL2(defaults.catL2),
      ...TREE_FEATURES,
      classWeight,
      calibration,
      decisionThreshold,
    ],
  }) as const satisfies AlgorithmSpec;

/** @throws SpecError BAD_PARAMETER for values that do not go together. */
export function checkBoosting({ sampling, subsample, topRate, otherRate }: ValuesOf<typeof XGBOOST.parameters>): void {
  if (sampling !== 'GOSS') return;
  if (subsample < 1)
    throw new SpecError('BAD_PARAMETER', 'subsample', 'GOSS draws the rows itself: leave subsample at 1.');
  if (topRate + otherRate > 1)
    throw new SpecError(
      'BAD_PARAMETER',
      'otherRate',
      'topRate and otherRate are shares of all rows: together at most 1.',
    );
}

export const GRADIENT_BOOSTING = boosting(
  'Trees added one after another, each to the gradient of the loss that is left, grown leaf by leaf on histograms, stopped when the validation loss no longer falls.',
  {
    nEstimators: 300,
    learningRate: 0.1,
    growth: 'LEAF_WISE',
    numLeaves: 31,
    maxDepth: 0,
    minSamplesLeaf: 20,
    minChildWeight: 0.001,
    regLambda: 1,
    earlyStoppingRounds: 25,
    catSmooth: 10,
    catL2: 10,
  },
);

export const XGBOOST = boosting(
  'Gradient boosting with the defaults of XGBoost: 100 trees grown level by level, six levels deep, each added at 0.3.',
  {
    nEstimators: 100,
    learningRate: 0.3,
    growth: 'DEPTH_WISE',
    numLeaves: 0,
    maxDepth: 6,
    minSamplesLeaf: 1,
    minChildWeight: 1,
    regLambda: 1,
    earlyStoppingRounds: 0,
    catSmooth: 0,
    catL2: 0,
  },
);

export const LIGHTGBM = boosting(
  'Gradient boosting with the defaults of LightGBM: 100 trees of 31 leaves grown leaf by leaf, each added at 0.1.',
  {
    nEstimators: 100,
    learningRate: 0.1,
    growth: 'LEAF_WISE',
    numLeaves: 31,
    maxDepth: 0,
    minSamplesLeaf: 20,
    minChildWeight: 0.001,
    regLambda: 0,
    earlyStoppingRounds: 0,
    catSmooth: 10,
    catL2: 10,
  },
);

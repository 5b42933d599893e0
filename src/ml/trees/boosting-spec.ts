/** Hyper-parameters of gradient boosting. */
import { type AlgorithmSpec, calibration, classWeight, decisionThreshold } from '../core/parameter.js';
import { STOPPING_METRICS } from '../core/stopping-metric.js';
import { TREE_FEATURES } from '../features/feature-spec.js';
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

export const GRADIENT_BOOSTING = {
  description:
    'Trees added one after another, each to the gradient of the loss that is left, grown leaf by leaf on histograms, stopped when the validation loss no longer falls.',
  parameters: [
    ...objectives,
    {
      name: 'nEstimators',
      type: 'INT',
      min: 1,
      max: 10_000,
      default: 300,
      description: 'Most boosting rounds; a round adds one tree, or one for each of more than two classes.',
    },
    {
      name: 'learningRate',
      type: 'FLOAT',
      min: 0.0001,
      max: 1,
      default: 0.1,
      description: 'Share of each tree that is added to the scores.',
    },
    { name: 'numLeaves', type: 'INT', min: 2, max: 1_024, default: 31, description: 'Most leaves of a tree.' },
    maxDepth(0),
    minSamplesLeaf(20),
    {
      name: 'minChildWeight',
      type: 'FLOAT',
      min: 0,
      max: 1e9,
      default: 0.001,
      description: 'Least sum of second derivatives of the loss that a leaf may hold.',
    },
    {
      name: 'minSplitGain',
      type: 'FLOAT',
      min: 0,
      max: 1e9,
      default: 0,
      description: 'Least decrease of the loss for which a leaf is split.',
    },
    {
      name: 'regLambda',
      type: 'FLOAT',
      min: 0,
      max: 1e9,
      default: 1,
      description: 'L2 penalty on the values of the leaves.',
    },
    {
      name: 'subsample',
      type: 'FLOAT',
      min: 0.01,
      max: 1,
      default: 1,
      description: 'Share of the rows, drawn without replacement, that each round learns from.',
    },
    {
      name: 'colsample',
      type: 'FLOAT',
      min: 0.01,
      max: 1,
      default: 1,
      description: 'Share of the columns that each tree may use.',
    },
    {
      name: 'earlyStoppingRounds',
      type: 'INT',
      min: 0,
      max: 10_000,
      default: 25,
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
    catSmooth(10),
    catL2(10),
    ...TREE_FEATURES,
    classWeight,
    calibration,
    decisionThreshold,
  ],
} as const satisfies AlgorithmSpec;

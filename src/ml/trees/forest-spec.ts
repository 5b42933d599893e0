/** Hyper-parameters of single trees and of forests. */
import { type AlgorithmSpec, calibration, classWeight, decisionThreshold } from '../core/parameter.js';
import { TREE_FEATURES } from '../features/feature-spec.js';
import { catL2, catSmooth, leafSmooth, maxBins, maxDepth, minSamplesLeaf, minSamplesSplit } from './tree-spec.js';

const criterion = {
  name: 'criterion',
  type: 'ENUM',
  values: ['AUTO', 'GINI', 'ENTROPY', 'SQUARED', 'ABSOLUTE'],
  default: 'AUTO',
  description:
    'What a split makes less of. Classes: GINI, the chance that two rows of a node differ, or ENTROPY. Numbers: SQUARED, the squared distance from the mean, or ABSOLUTE, the distance from the median, which outliers hardly pull but which takes longer. AUTO takes GINI or SQUARED.',
} as const;

const nEstimators = {
  name: 'nEstimators',
  type: 'INT',
  min: 1,
  max: 2_000,
  default: 100,
  description: 'Number of trees that are grown.',
} as const;

const maxFeatures = {
  name: 'maxFeatures',
  type: 'ENUM',
  values: ['AUTO', 'SQRT', 'LOG2', 'THIRD', 'HALF', 'ALL'],
  default: 'AUTO',
  description:
    'Columns tried at each split: square root, binary logarithm, a third, a half or all of them; AUTO takes SQRT for classes and HALF for numbers.',
} as const;

const bootstrap = (value: boolean) =>
  ({
    name: 'bootstrap',
    type: 'BOOL',
    default: value,
    description: 'Whether each tree grows on rows drawn with replacement instead of on rows drawn without.',
  }) as const;

const maxSamples = {
  name: 'maxSamples',
  type: 'FLOAT',
  min: 0.001,
  max: 1,
  default: 1,
  description: 'Share of the rows that each tree draws; without replacement, 1 takes all of them.',
} as const;

export const DECISION_TREE = {
  description:
    'One tree of yes-or-no questions, grown by the impurity decrease (Gini for classes, variance for numbers): weak, but easily read.',
  parameters: [
    criterion,
    maxDepth(10),
    minSamplesLeaf(20),
    minSamplesSplit,
    maxBins,
    catSmooth(10),
    catL2(1),
    leafSmooth(2),
    ...TREE_FEATURES,
    classWeight,
    calibration,
    decisionThreshold,
  ],
} as const satisfies AlgorithmSpec;

/** What all kinds of forests share. */
const forest = [criterion, nEstimators, maxDepth(0), minSamplesLeaf(2), minSamplesSplit, maxFeatures] as const;

export const RANDOM_FOREST = {
  description:
    'The mean of many deep trees, each grown on its own sample of rows and trying a random part of the columns at every split.',
  parameters: [
    ...forest,
    bootstrap(true),
    maxSamples,
    maxBins,
    catSmooth(1),
    catL2(0),
    leafSmooth(0),
    ...TREE_FEATURES,
    classWeight,
    calibration,
    decisionThreshold,
  ],
} as const satisfies AlgorithmSpec;

export const EXTRA_TREES = {
  description:
    'As a random forest, but on all rows and with one cut drawn at random for each column tried: faster, smoother, and often as good.',
  parameters: [
    ...forest,
    bootstrap(false),
    maxSamples,
    maxBins,
    leafSmooth(0),
    ...TREE_FEATURES,
    classWeight,
    calibration,
    decisionThreshold,
  ],
} as const satisfies AlgorithmSpec;

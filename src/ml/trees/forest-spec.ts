/** Hyper-parameters of single trees and of forests. */
import { type AlgorithmSpec, calibration, decisionThreshold } from '../core/parameter.js';
import { TREE_FEATURES } from '../features/feature-spec.js';
import { catL2, catSmooth, maxBins, maxDepth, minSamplesLeaf, minSamplesSplit } from './tree-spec.js';

export const DECISION_TREE = {
  description:
    'One tree of yes-or-no questions, grown by the impurity decrease (Gini for classes, variance for numbers): weak, but easily read.',
  parameters: [
    maxDepth(10),
    minSamplesLeaf(20),
    minSamplesSplit,
    maxBins,
    catSmooth(10),
    catL2(1),
    ...TREE_FEATURES,
    calibration,
    decisionThreshold,
  ],
} as const satisfies AlgorithmSpec;

export const RANDOM_FOREST = {
  description:
    'The mean of many deep trees, each grown on its own sample of rows and trying a random part of the columns at every split.',
  parameters: [
    {
      name: 'nEstimators',
      type: 'INT',
      min: 1,
      max: 2_000,
      default: 100,
      description: 'Number of trees that are grown.',
    },
    maxDepth(0),
    minSamplesLeaf(2),
    minSamplesSplit,
    {
      name: 'maxFeatures',
      type: 'ENUM',
      values: ['AUTO', 'SQRT', 'LOG2', 'THIRD', 'HALF', 'ALL'],
      default: 'AUTO',
      description:
        'Columns tried at each split: square root, binary logarithm, a third, a half or all of them; AUTO takes SQRT for classes and HALF for numbers.',
    },
    {
      name: 'bootstrap',
      type: 'BOOL',
      default: true,
      description: 'Whether each tree grows on rows drawn with replacement instead of on all rows.',
    },
    maxBins,
    catSmooth(1),
    catL2(0),
    ...TREE_FEATURES,
    calibration,
    decisionThreshold,
  ],
} as const satisfies AlgorithmSpec;

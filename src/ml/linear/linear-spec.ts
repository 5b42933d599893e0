/** Hyper-parameters of linear models. */
import { type AlgorithmSpec, calibration, decisionThreshold } from '../core/parameter.js';
import { LINEAR_FEATURES } from '../features/feature-spec.js';

export const LINEAR = {
  description:
    'Logistic regression for classes, ridge regression for numbers, on standardised numbers and one indicator for each category.',
  parameters: [
    {
      name: 'l2',
      type: 'FLOAT',
      min: 0,
      max: 1e9,
      default: 1,
      description:
        'Penalty l2/2 x the sum of squared weights, beside the loss summed over the rows; intercepts are free.',
    },
    {
      name: 'maxIterations',
      type: 'INT',
      min: 1,
      max: 10_000,
      default: 200,
      description: 'Most steps of the optimiser (classification).',
    },
    {
      name: 'tolerance',
      type: 'FLOAT',
      min: 1e-12,
      max: 0.1,
      default: 1e-6,
      description: 'The optimiser stops when no derivative of the mean loss is larger than this (classification).',
    },
    ...LINEAR_FEATURES,
    calibration,
    decisionThreshold,
  ],
} as const satisfies AlgorithmSpec;

/** Hyper-parameters of linear models. */
import { type AlgorithmSpec, calibration, decisionThreshold } from '../core/parameter.js';
import { LINEAR_FEATURES } from '../features/feature-spec.js';

export const LINEAR = {
  description:
    'Logistic regression for classes; ridge regression, lasso and elastic net for numbers. Minimises the loss summed over the rows (log loss, or half the squared error) + l1 x the sum of absolute weights + l2/2 x the sum of squared weights; intercepts are free.',
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
      name: 'l1',
      type: 'FLOAT',
      min: 0,
      max: 1e9,
      default: 0,
      description:
        'Penalty l1 x the sum of absolute weights, beside the loss summed over the rows: weights of little use become 0. For the lasso set l2 to 0.',
    },
    {
      name: 'maxIterations',
      type: 'INT',
      min: 1,
      max: 10_000,
      default: 200,
      description: 'Most steps of the optimiser (classes, or with l1).',
    },
    {
      name: 'tolerance',
      type: 'FLOAT',
      min: 1e-12,
      max: 0.1,
      default: 1e-6,
      description:
        'The optimiser stops when no derivative of the mean loss is larger than this (classes), or when the duality gap is this share of the loss without features (numbers, with l1).',
    },
    ...LINEAR_FEATURES,
    calibration,
    decisionThreshold,
  ],
} as const satisfies AlgorithmSpec;

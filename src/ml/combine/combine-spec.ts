/** Hyper-parameters of combinations. Their members have their own; rules about labels are those of the combination. */
import { type AlgorithmSpec, calibration, decisionThreshold } from '../core/parameter.js';

const folds = (description: string) =>
  ({ name: 'folds', type: 'INT', min: 2, max: 20, default: 5, description }) as const;

export const VOTING = {
  description:
    'Two to ten members, each trained on all training rows; the answer is the weighted mean of their scores.',
  takesConstraints: true,
  parameters: [
    {
      name: 'weighting',
      type: 'ENUM',
      values: ['EQUAL', 'FITTED', 'GIVEN'],
      default: 'EQUAL',
      description:
        'Whether all members count the same, by weights of least loss on the validation rows (not negative, their sum 1), or by the weights given with them.',
    },
    calibration,
    decisionThreshold,
  ],
} as const satisfies AlgorithmSpec;

export const BAGGING = {
  description:
    'One member trained once for each fold of the training rows, on the other folds, stopping its rounds by the fold held out; the answer is the mean of their scores.',
  takesConstraints: true,
  parameters: [
    folds('Parts that the training rows are dealt into, each held out once.'),
    calibration,
    decisionThreshold,
  ],
} as const satisfies AlgorithmSpec;

export const STACKING = {
  description:
    'Two to ten members and a final learner, which weighs the scores that each member gives to training rows it has not seen; the members are then trained on all training rows.',
  parameters: [
    folds('Parts that the training rows are dealt into; each member answers each part once without having seen it.'),
    {
      name: 'nonNegative',
      type: 'BOOL',
      default: true,
      description: 'Whether no member may count against the answer: steadier where members are alike.',
    },
    {
      name: 'finalL2',
      type: 'FLOAT',
      min: 0,
      max: 1e9,
      default: 1,
      description:
        'Penalty finalL2/2 x the sum of squared differences of the weights from equal ones, beside the loss summed over the rows: a pull towards the plain mean.',
    },
    calibration,
    decisionThreshold,
  ],
} as const satisfies AlgorithmSpec;

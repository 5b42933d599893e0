/** Which loss boosting learns by: what is asked for, if it fits the task and the targets. */
import { logistic, type Loss, softmax } from '../core/loss.js';
import { gammaLoss, poissonLoss, tweedieLoss } from '../core/rate-loss.js';
import { absoluteError, huberLoss, quantileLoss, squaredError } from '../core/residual-loss.js';
import { SpecError } from '../core/spec-error.js';
import { type Target } from '../core/target.js';
import { type OBJECTIVES } from './boosting-spec.js';

export type Objective = (typeof OBJECTIVES)[number];

export interface ObjectiveParameters {
  readonly objective: Objective;
  readonly huberDelta: number;
  readonly quantileAlpha: number;
  readonly tweedieVariancePower: number;
}

const TASK_OF = {
  LOGISTIC: 'binary',
  SOFTMAX: 'multiclass',
  SQUARED: 'regression',
  ABSOLUTE: 'regression',
  HUBER: 'regression',
  QUANTILE: 'regression',
  POISSON: 'regression',
  GAMMA: 'regression',
  TWEEDIE: 'regression',
} as const satisfies Record<Exclude<Objective, 'AUTO'>, Target['task']>;

const USUAL = { binary: 'LOGISTIC', multiclass: 'SOFTMAX', regression: 'SQUARED' } as const;

/**
 * @param rows table rows that take part
 * @throws SpecError TASK_DOES_NOT_FIT where the objective is for another task, TARGET_OUT_OF_RANGE where targets are below what it takes
 */
export function lossOf(target: Target, parameters: ObjectiveParameters, ...rows: readonly Uint32Array[]): Loss {
  const objective = parameters.objective === 'AUTO' ? USUAL[target.task] : parameters.objective;
  if (TASK_OF[objective] !== target.task) {
    throw new SpecError(
      'TASK_DOES_NOT_FIT',
      'objective',
      `The objective ${objective} is for the task ${TASK_OF[objective].toUpperCase()}, this one is ${target.task.toUpperCase()}: take ${USUAL[target.task]}, or AUTO.`,
    );
  }
  switch (objective) {
    case 'LOGISTIC':
      return logistic;
    case 'SOFTMAX':
      return softmax(target.classes!.length);
    case 'SQUARED':
      return squaredError;
    case 'ABSOLUTE':
      return absoluteError;
    case 'HUBER':
      return huberLoss(parameters.huberDelta);
    case 'QUANTILE':
      return quantileLoss(parameters.quantileAlpha);
    default:
      requireRates(objective, target, rows);
      return objective === 'POISSON'
        ? poissonLoss
        : objective === 'GAMMA'
          ? gammaLoss
          : tweedieLoss(parameters.tweedieVariancePower);
  }
}

/** Poisson and Tweedie: nothing below 0, and something above it; gamma: all above 0. */
function requireRates(
  objective: 'POISSON' | 'GAMMA' | 'TWEEDIE',
  { y }: Target,
  [train, ...others]: readonly Uint32Array[],
): void {
  const isGamma = objective === 'GAMMA';
  const fits = (row: number): boolean => (isGamma ? y[row] > 0 : y[row] >= 0);
  const refuse = (what: string): never => {
    throw new SpecError('TARGET_OUT_OF_RANGE', 'target', `The objective ${objective} is for ${what}.`);
  };
  if (![train, ...others].every((rows) => rows.every(fits)))
    refuse(isGamma ? 'targets above 0, and some are not' : 'targets of 0 and more, and some are negative');
  if (train.every((row) => y[row] === 0)) refuse('targets that are not all 0, and those of the training rows are');
}

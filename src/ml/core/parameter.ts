/** How a hyper-parameter is described, and how a value for it is checked. Plain data; names are those of scikit-learn, XGBoost and LightGBM in camelCase. */
import { SpecError } from './spec-error.js';

export type ParameterSpec =
  | {
      readonly name: string;
      readonly type: 'INT' | 'FLOAT';
      readonly min: number;
      readonly max: number;
      readonly default: number;
      readonly description: string;
    }
  | { readonly name: string; readonly type: 'BOOL'; readonly default: boolean; readonly description: string }
  | {
      readonly name: string;
      readonly type: 'ENUM';
      readonly values: readonly string[];
      readonly default: string;
      readonly description: string;
    };

export interface AlgorithmSpec {
  readonly description: string;
  /** Whether it can be held to constraints (core/constraint.ts). */
  readonly takesConstraints?: boolean;
  readonly parameters: readonly ParameterSpec[];
}

type Value<P> = P extends { type: 'ENUM'; values: readonly (infer V)[] }
  ? V
  : P extends { type: 'BOOL' }
    ? boolean
    : number;

/** The complete, checked values of a list of parameters. */
export type ValuesOf<S extends readonly ParameterSpec[]> = { readonly [P in S[number] as P['name']]: Value<P> };

/** The value that stands for `value`: itself if it fits, the default for null and undefined. @throws SpecError BAD_PARAMETER */
export function parseParameter(spec: ParameterSpec, value: unknown): number | boolean | string {
  if (value === undefined || value === null) return spec.default;
  const refuse = (wanted: string): never => {
    throw new SpecError('BAD_PARAMETER', spec.name, `${spec.name} must be ${wanted}.`);
  };
  switch (spec.type) {
    case 'BOOL':
      return typeof value === 'boolean' ? value : refuse('true or false');
    case 'ENUM':
      return typeof value === 'string' && spec.values.includes(value)
        ? value
        : refuse(`one of ${spec.values.join(', ')}`);
    default: {
      const fits =
        typeof value === 'number' &&
        value >= spec.min &&
        value <= spec.max &&
        (spec.type === 'FLOAT' || Number.isInteger(value));
      return fits ? value : refuse(`a ${spec.type === 'INT' ? 'whole ' : ''}number from ${spec.min} to ${spec.max}`);
    }
  }
}

export const decisionThreshold = {
  name: 'decisionThreshold',
  type: 'ENUM',
  values: ['F1', 'BALANCED_ACCURACY', 'ACCURACY', 'HALF'],
  default: 'F1',
  description:
    'Binary only: what the threshold on the score of the positive class maximises on the validation split; HALF takes 0.5 as it is.',
} as const;

export const calibration = {
  name: 'calibration',
  type: 'ENUM',
  values: ['NONE', 'PLATT', 'ISOTONIC'],
  default: 'NONE',
  description:
    'Classes only: how scores are made into probabilities that hold on the validation split, before the threshold is chosen.',
} as const;

/** For every family that learns from weighted rows: `learnOne` (fit.ts) makes the weights of it. */
export const classWeight = {
  name: 'classWeight',
  type: 'ENUM',
  values: ['NONE', 'BALANCED'],
  default: 'NONE',
  description: 'Classes only: whether rows count the same, or classes do.',
} as const;

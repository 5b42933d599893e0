/**
 * Every algorithm and hyper-parameter: the one schema from which the trainer takes its defaults and ranges, the API its
 * inputs and the documentation its tables. Each family describes its own.
 */
import { BAGGING, STACKING, VOTING } from './combine/combine-spec.js';
import { type Constraints } from './core/constraint.js';
import { type AlgorithmSpec, type ParameterSpec, parseParameter, type ValuesOf } from './core/parameter.js';
import { SpecError } from './core/spec-error.js';
import { LINEAR } from './linear/linear-spec.js';
import { GRADIENT_BOOSTING, LIGHTGBM, XGBOOST } from './trees/boosting-spec.js';
import { DECISION_TREE, EXTRA_TREES, RANDOM_FOREST } from './trees/forest-spec.js';

export { checkConstraints, type Constraints, type Direction, DIRECTIONS } from './core/constraint.js';
export type { AlgorithmSpec, ParameterSpec } from './core/parameter.js';
export { SpecError, type SpecErrorCode } from './core/spec-error.js';

export const TASKS = ['AUTO', 'BINARY', 'MULTICLASS', 'REGRESSION'] as const;
export type TaskName = (typeof TASKS)[number];

export const ALGORITHM_SPECS = {
  DECISION_TREE,
  RANDOM_FOREST,
  EXTRA_TREES,
  GRADIENT_BOOSTING,
  XGBOOST,
  LIGHTGBM,
  LINEAR,
} as const satisfies Record<string, AlgorithmSpec>;

export type Algorithm = keyof typeof ALGORITHM_SPECS;
export const ALGORITHMS = Object.keys(ALGORITHM_SPECS) as readonly Algorithm[];

/** How models are combined; the members are algorithms of their own. */
export const COMBINATION_SPECS = { VOTING, BAGGING, STACKING } as const satisfies Record<string, AlgorithmSpec>;

export type Combination = keyof typeof COMBINATION_SPECS;
export const COMBINATIONS = Object.keys(COMBINATION_SPECS) as readonly Combination[];

/** Whatever can be trained. */
export type AlgorithmName = Algorithm | Combination;
export const SPECS = { ...ALGORITHM_SPECS, ...COMBINATION_SPECS } as const;

export function isCombination(name: AlgorithmName): name is Combination {
  return name in COMBINATION_SPECS;
}

/** The complete, checked parameters of one algorithm. */
export type Parameters<A extends AlgorithmName = AlgorithmName> = ValuesOf<(typeof SPECS)[A]['parameters']>;

/** A model that is combined with others. Its own calibration and decisionThreshold have no part in the answer. */
export interface Member {
  readonly algorithm: Algorithm;
  readonly parameters: AnyParameters;
  /** VOTING with weighting GIVEN: what it counts against the others, above 0; by default 1. */
  readonly weight?: number;
}

/** Parameters of any algorithm, as they are stored. */
export type AnyParameters = Readonly<Record<string, number | boolean | string>>;

/** What a request may add; what is absent or null adds nothing. As it is stored. */
export interface FitOptions {
  /** Who is combined: one for BAGGING, two to ten for VOTING and STACKING, none for any other algorithm. */
  readonly members?: readonly Member[] | null;
  readonly constraints?: Constraints | null;
  /** A column of numbers above 0: what each row counts. */
  readonly weightColumn?: string | null;
  /**
   * Whether, once the validation rows have told rounds and threshold, all is learned once more from training and validation rows
   * together. The figures of the validation part are those of the first model.
   */
  readonly refit?: boolean | null;
}

/**
 * `given` with the defaults filled in. Absent, null and undefined entries take the default.
 * @throws SpecError UNKNOWN_PARAMETER for a name this algorithm does not have, BAD_PARAMETER for a value outside its type or range.
 */
export function parseParameters<A extends AlgorithmName>(
  algorithm: A,
  given: Readonly<Record<string, unknown>> | null | undefined,
): Parameters<A> {
  const specs: readonly ParameterSpec[] = SPECS[algorithm].parameters;
  const unknown = Object.keys(given ?? {}).find((name) => !specs.some((spec) => spec.name === name));
  if (unknown !== undefined) {
    throw new SpecError(
      'UNKNOWN_PARAMETER',
      unknown,
      `${algorithm} has no parameter ${unknown}; it has ${specs.map((spec) => spec.name).join(', ')}.`,
    );
  }
  return Object.fromEntries(
    specs.map((spec) => [spec.name, parseParameter(spec, given?.[spec.name])]),
  ) as Parameters<A>;
}

export const MAX_MEMBERS = 10;

/**
 * The members of a combination with their defaults filled in; null for an algorithm that stands alone.
 * @throws SpecError BAD_PARAMETER for too few, too many, or a member that is itself a combination; what `parseParameters` throws,
 *   with the field below `members.<index>`
 */
export function parseMembers(
  algorithm: AlgorithmName,
  members:
    | readonly {
        readonly algorithm: string;
        readonly parameters?: Readonly<Record<string, unknown>> | null;
        readonly weight?: number | null;
      }[]
    | null,
): readonly Member[] | null {
  const refuse = (field: string, message: string): never => {
    throw new SpecError('BAD_PARAMETER', field, message);
  };
  if (!isCombination(algorithm))
    return members?.length ? refuse('members', `${algorithm} stands alone: it has no members.`) : null;
  const [least, most] = algorithm === 'BAGGING' ? [1, 1] : [2, MAX_MEMBERS];
  if (!members || members.length < least || members.length > most)
    return refuse('members', `${algorithm} takes ${most === 1 ? 'one member' : `${least} to ${most} members`}.`);
  return members.map((member, m) => {
    const name = ALGORITHMS.find((known) => known === member.algorithm);
    if (name === undefined) return refuse(`members.${m}`, 'A member is an algorithm that stands alone.');
    const { weight } = member;
    if (weight !== undefined && weight !== null && !(weight > 0 && weight < Infinity))
      return refuse(`members.${m}.weight`, 'The weight of a member must be above 0.');
    try {
      const parameters = parseParameters(name, member.parameters) as AnyParameters;
      return { algorithm: name, parameters, ...(weight == null ? {} : { weight }) };
    } catch (error) {
      if (!(error instanceof SpecError)) throw error;
      throw new SpecError(error.code, `members.${m}.${error.field}`, error.message);
    }
  });
}

/**
 * Every algorithm and hyper-parameter: the one schema from which the trainer takes its defaults and ranges, the API its
 * inputs and the documentation its tables. Each family describes its own.
 */
import { type Constraints } from './core/constraint.js';
import { type AlgorithmSpec, type ParameterSpec, parseParameter, type ValuesOf } from './core/parameter.js';
import { SpecError } from './core/spec-error.js';
import { LINEAR } from './linear/linear-spec.js';
import { GRADIENT_BOOSTING } from './trees/boosting-spec.js';
import { DECISION_TREE, RANDOM_FOREST } from './trees/forest-spec.js';

export { checkConstraints, type Constraints, type Direction, DIRECTIONS } from './core/constraint.js';
export type { AlgorithmSpec, ParameterSpec } from './core/parameter.js';
export { SpecError, type SpecErrorCode } from './core/spec-error.js';

export const TASKS = ['AUTO', 'BINARY', 'MULTICLASS', 'REGRESSION'] as const;
export type TaskName = (typeof TASKS)[number];

export const ALGORITHM_SPECS = { DECISION_TREE, RANDOM_FOREST, GRADIENT_BOOSTING, LINEAR } as const satisfies Record<
  string,
  AlgorithmSpec
>;

export type Algorithm = keyof typeof ALGORITHM_SPECS;
export const ALGORITHMS = Object.keys(ALGORITHM_SPECS) as readonly Algorithm[];

/** The complete, checked parameters of one algorithm. */
export type Parameters<A extends Algorithm = Algorithm> = ValuesOf<(typeof ALGORITHM_SPECS)[A]['parameters']>;

/** Parameters of any algorithm, as they are stored. */
export type AnyParameters = Readonly<Record<string, number | boolean | string>>;

/** What a request may add; what is absent or null adds nothing. As it is stored. */
export interface FitOptions {
  readonly constraints?: Constraints | null;
}

/**
 * `given` with the defaults filled in. Absent, null and undefined entries take the default.
 * @throws SpecError UNKNOWN_PARAMETER for a name this algorithm does not have, BAD_PARAMETER for a value outside its type or range.
 */
export function parseParameters<A extends Algorithm>(
  algorithm: A,
  given: Readonly<Record<string, unknown>> | null | undefined,
): Parameters<A> {
  const specs: readonly ParameterSpec[] = ALGORITHM_SPECS[algorithm].parameters;
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

/**
 * Search spaces: the ranges that a study searches, points of the unit cube and back. A point has one coordinate in [0, 1] for
 * each dimension; those of dimensions that do not apply are null.
 */
import { type ParameterSpec } from '../core/parameter.js';
import { type Rng } from '../core/rng.js';
import { SpecError } from '../core/spec-error.js';
import { type Algorithm, ALGORITHM_SPECS, type AnyParameters, parseParameters } from '../spec.js';
import { type Dimension, type ParameterValue, SEARCH_SPACES, SEARCHED, type SearchSpace } from './space-spec.js';
import { type SpaceOverride, type StudySpec } from './study.js';

export type Spaces = ReadonlyMap<Algorithm, SearchSpace>;
export type Point = readonly (number | null)[];

/**
 * The spaces of the algorithms that a study searches.
 * @throws SpecError BAD_PARAMETER or UNKNOWN_PARAMETER for overrides that name or hold what the algorithm does not take
 */
export function spacesOf({ algorithms, space }: Pick<StudySpec, 'algorithms' | 'space'>): Spaces {
  const searched = algorithms ?? SEARCHED;
  if (searched.length === 0) throw new SpecError('BAD_PARAMETER', 'algorithms', 'Name at least one algorithm.');
  const spaces = new Map<Algorithm, SearchSpace>();
  for (const algorithm of searched) {
    const plain = SEARCH_SPACES[algorithm];
    if (plain === undefined)
      throw new SpecError('BAD_PARAMETER', 'algorithms', `${algorithm} has no search space; AUTO makes combinations.`);
    spaces.set(algorithm, plain);
  }
  for (const override of space) {
    const { algorithm } = override;
    const known = spaces.get(algorithm);
    if (known === undefined)
      throw new SpecError('BAD_PARAMETER', 'space', `${algorithm} is not among the algorithms of this study.`);
    spaces.set(algorithm, overridden(known, override));
  }
  return spaces;
}

function overridden({ fixed, dimensions }: SearchSpace, override: SpaceOverride): SearchSpace {
  const { algorithm, parameter } = override;
  const specs: readonly ParameterSpec[] = ALGORITHM_SPECS[algorithm].parameters;
  const spec = specs.find(({ name }) => name === parameter);
  if (spec === undefined)
    throw new SpecError('UNKNOWN_PARAMETER', 'space', `${algorithm} has no parameter ${parameter}.`);
  const before = dimensions.find((dimension) => dimension.parameter === parameter);
  const made = dimensionOf(override, spec, before);
  return {
    fixed: Object.fromEntries(Object.entries(fixed).filter(([name]) => name !== parameter)),
    dimensions: before === undefined ? [...dimensions, made] : dimensions.map((d) => (d === before ? made : d)),
  };
}

function dimensionOf(override: SpaceOverride, spec: ParameterSpec, before: Dimension | undefined): Dimension {
  const { algorithm, parameter, low, high, values } = override;
  const name = `${algorithm}.${parameter}`;
  const refuse = (why: string): never => {
    throw new SpecError('BAD_PARAMETER', 'space', `${name}: ${why}`);
  };
  const when = before?.when === undefined ? {} : { when: before.when };
  const check = (value: ParameterValue): void => void parseParameters(algorithm, { [parameter]: value });
  if (values !== undefined && values !== null) {
    if (low != null || high != null) refuse('give a range or values, not both.');
    if (values.length === 0 || new Set(values).size < values.length) refuse('values must be given, each once.');
    values.forEach(check);
    return { parameter, kind: 'CHOICE', values, ...when };
  }
  if (spec.type !== 'INT' && spec.type !== 'FLOAT') return refuse('give the values to try; only numbers have ranges.');
  const range = before !== undefined && before.kind !== 'CHOICE' ? before : null;
  const from = low ?? range?.low ?? spec.min;
  const to = high ?? range?.high ?? spec.max;
  check(from);
  check(to);
  if (from > to) refuse('low must not be above high.');
  const log = override.log ?? (range?.log === true && from > 0);
  if (log && from <= 0) refuse('a range by orders of magnitude must begin above 0.');
  return { parameter, kind: spec.type, low: from, high: to, log, ...when };
}

/** The parameters of a point. */
export function parametersAt({ fixed, dimensions }: SearchSpace, point: Point): AnyParameters {
  const parameters: Record<string, ParameterValue> = { ...fixed };
  dimensions.forEach((dimension, d) => {
    const u = point[d];
    if (u !== null && u !== undefined) parameters[dimension.parameter] = valueAt(dimension, u);
  });
  return parameters;
}

/** The point of parameters, for those that are within the space; others lie at its nearest side, or in the middle. */
export function pointOf(space: SearchSpace, parameters: AnyParameters): Point {
  return space.dimensions.map((dimension) => {
    if (!applies(dimension, parameters)) return null;
    const value = parameters[dimension.parameter];
    return value === undefined ? 0.5 : coordinateOf(dimension, value);
  });
}

/** A point drawn from the whole space. */
export function randomPoint(space: SearchSpace, rng: Rng): Point {
  return maskedPoint(
    space,
    space.dimensions.map(() => rng.float()),
  );
}

/** Takes out the coordinates of dimensions that do not apply. */
export function maskedPoint(space: SearchSpace, point: readonly number[]): Point {
  const parameters: Record<string, ParameterValue> = { ...space.fixed };
  return space.dimensions.map((dimension, d) => {
    if (!applies(dimension, parameters)) return null;
    parameters[dimension.parameter] = valueAt(dimension, point[d]!);
    return point[d]!;
  });
}

function applies({ when }: Dimension, parameters: Readonly<Record<string, ParameterValue>>): boolean {
  if (when === undefined) return true;
  const value = parameters[when.parameter];
  return value !== undefined && when.values.includes(value);
}

function valueAt(dimension: Dimension, u: number): ParameterValue {
  if (dimension.kind === 'CHOICE')
    return dimension.values[Math.min(dimension.values.length - 1, Math.floor(u * dimension.values.length))]!;
  const { kind, low, high, log } = dimension;
  // Whole numbers own equal shares of the range, those at its ends too.
  const [from, to] = kind === 'INT' ? [low - 0.5 * Number(!log), high + (log ? 1 : 0.5)] : [low, high];
  const value = log ? Math.exp(Math.log(from) + u * (Math.log(to) - Math.log(from))) : from + u * (to - from);
  if (kind === 'INT') return Math.min(high, Math.max(low, log ? Math.floor(value) : Math.round(value)));
  return Math.min(high, Math.max(low, Number(value.toPrecision(4))));
}

function coordinateOf(dimension: Dimension, value: ParameterValue): number {
  if (dimension.kind === 'CHOICE') {
    const at = dimension.values.indexOf(value);
    return at < 0 ? 0.5 : (at + 0.5) / dimension.values.length;
  }
  const { kind, low, high, log } = dimension;
  if (typeof value !== 'number') return 0.5;
  const [from, to] = kind === 'INT' ? [low - 0.5 * Number(!log), high + (log ? 1 : 0.5)] : [low, high];
  if (from === to) return 0.5;
  const inside = Math.min(high, Math.max(low, value)) + (kind === 'INT' && log ? 0.5 : 0);
  return log ? Math.log(inside / from) / Math.log(to / from) : (inside - from) / (to - from);
}

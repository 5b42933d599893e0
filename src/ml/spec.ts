/**
 * Every algorithm and hyper-parameter: the one schema from which the trainer takes its defaults and ranges, the API its
 * inputs and the documentation its tables. Plain data; names are those of scikit-learn and LightGBM in camelCase.
 */
import { SpecError } from './core/spec-error.js';

export { SpecError, type SpecErrorCode } from './core/spec-error.js';

export const TASKS = ['AUTO', 'BINARY', 'MULTICLASS', 'REGRESSION'] as const;
export type TaskName = (typeof TASKS)[number];

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
  readonly parameters: readonly ParameterSpec[];
}

const decisionThreshold = {
  name: 'decisionThreshold',
  type: 'ENUM',
  values: ['F1', 'BALANCED_ACCURACY', 'ACCURACY', 'HALF'],
  default: 'F1',
  description:
    'Binary only: what the threshold on the score of the positive class maximises on the validation split; HALF takes 0.5 as it is.',
} as const;

const minSamplesLeaf = (value: number) =>
  ({
    name: 'minSamplesLeaf',
    type: 'INT',
    min: 1,
    max: 100_000,
    default: value,
    description: 'Fewest training rows that a leaf may hold.',
  }) as const;

const maxDepth = (value: number) =>
  ({
    name: 'maxDepth',
    type: 'INT',
    min: 0,
    max: 64,
    default: value,
    description: 'Most splits between the root and a leaf; 0 sets no limit.',
  }) as const;

const maxBins = {
  name: 'maxBins',
  type: 'INT',
  min: 2,
  max: 255,
  default: 255,
  description: 'Most bins that the values of a number column are gathered into before splits are searched.',
} as const;

const catSmooth = (value: number) =>
  ({
    name: 'catSmooth',
    type: 'FLOAT',
    min: 0,
    max: 10_000,
    default: value,
    description:
      'Where a node holds more than four categories: rows of pull towards zero when they are put in order, and the fewest rows with which one is split off.',
  }) as const;

const catL2 = (value: number) =>
  ({
    name: 'catL2',
    type: 'FLOAT',
    min: 0,
    max: 10_000,
    default: value,
    description: 'L2 penalty added when a split divides more than four categories.',
  }) as const;

const minSamplesSplit = {
  name: 'minSamplesSplit',
  type: 'INT',
  min: 2,
  max: 100_000,
  default: 2,
  description: 'Fewest training rows that a node must hold to be split.',
} as const;

export const ALGORITHM_SPECS = {
  DECISION_TREE: {
    description:
      'One tree of yes-or-no questions, grown by the impurity decrease (Gini for classes, variance for numbers): weak, but easily read.',
    parameters: [
      maxDepth(10),
      minSamplesLeaf(20),
      minSamplesSplit,
      maxBins,
      catSmooth(10),
      catL2(1),
      decisionThreshold,
    ],
  },
  RANDOM_FOREST: {
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
      decisionThreshold,
    ],
  },
  GRADIENT_BOOSTING: {
    description:
      'Trees added one after another, each to the gradient of the loss that is left, grown leaf by leaf on histograms, stopped when the validation loss no longer falls.',
    parameters: [
      {
        name: 'nEstimators',
        type: 'INT',
        min: 1,
        max: 10_000,
        default: 300,
        description: 'Most boosting rounds; a round adds one tree, or one for each of more than two classes.',
      },
      {
        name: 'learningRate',
        type: 'FLOAT',
        min: 0.0001,
        max: 1,
        default: 0.1,
        description: 'Share of each tree that is added to the scores.',
      },
      { name: 'numLeaves', type: 'INT', min: 2, max: 1_024, default: 31, description: 'Most leaves of a tree.' },
      maxDepth(0),
      minSamplesLeaf(20),
      {
        name: 'minChildWeight',
        type: 'FLOAT',
        min: 0,
        max: 1e9,
        default: 0.001,
        description: 'Least sum of second derivatives of the loss that a leaf may hold.',
      },
      {
        name: 'minSplitGain',
        type: 'FLOAT',
        min: 0,
        max: 1e9,
        default: 0,
        description: 'Least decrease of the loss for which a leaf is split.',
      },
      {
        name: 'regLambda',
        type: 'FLOAT',
        min: 0,
        max: 1e9,
        default: 1,
        description: 'L2 penalty on the values of the leaves.',
      },
      {
        name: 'subsample',
        type: 'FLOAT',
        min: 0.01,
        max: 1,
        default: 1,
        description: 'Share of the rows, drawn without replacement, that each round learns from.',
      },
      {
        name: 'colsample',
        type: 'FLOAT',
        min: 0.01,
        max: 1,
        default: 1,
        description: 'Share of the columns that each tree may use.',
      },
      {
        name: 'earlyStoppingRounds',
        type: 'INT',
        min: 0,
        max: 10_000,
        default: 25,
        description:
          'Rounds without a better validation loss after which training stops and the best round is kept; 0 runs all rounds and keeps them.',
      },
      maxBins,
      catSmooth(10),
      catL2(10),
      decisionThreshold,
    ],
  },
  LINEAR: {
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
      decisionThreshold,
    ],
  },
} as const satisfies Record<string, AlgorithmSpec>;

export type Algorithm = keyof typeof ALGORITHM_SPECS;
export const ALGORITHMS = Object.keys(ALGORITHM_SPECS) as readonly Algorithm[];

type Value<P> = P extends { type: 'ENUM'; values: readonly (infer V)[] }
  ? V
  : P extends { type: 'BOOL' }
    ? boolean
    : number;
type Listed<A extends Algorithm> = (typeof ALGORITHM_SPECS)[A]['parameters'][number];

/** The complete, checked parameters of one algorithm. */
export type Parameters<A extends Algorithm = Algorithm> = { readonly [P in Listed<A> as P['name']]: Value<P> };

/** Parameters of any algorithm, as they are stored. */
export type AnyParameters = Readonly<Record<string, number | boolean | string>>;

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
  return Object.fromEntries(specs.map((spec) => [spec.name, parseOne(spec, given?.[spec.name])])) as Parameters<A>;
}

function parseOne(spec: ParameterSpec, value: unknown): number | boolean | string {
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

import { Field, Float, InputType, Int, registerEnumType } from 'type-graphql';
import { ALGORITHM_SPECS, type Algorithm, type ParameterSpec } from '../../ml/spec.js';
import { AppError } from '../../platform/errors.js';

type ParameterValues = Readonly<Record<string, number | boolean | string | null | undefined>>;

/** GRADIENT_BOOSTING -> gradientBoosting */
function camelCase(name: string): string {
  return name.toLowerCase().replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}

function pascalCase(name: string): string {
  const camel = camelCase(name);
  return camel[0]!.toUpperCase() + camel.slice(1);
}

const enums = new Map<string, object>();

/** One enum for each list of values: `maxFeatures` of every forest is MaxFeatures. */
function enumOf(spec: Extract<ParameterSpec, { type: 'ENUM' }>): object {
  const name = spec.name[0]!.toUpperCase() + spec.name.slice(1);
  const known = enums.get(name);
  if (known) return known;
  const made = Object.fromEntries(spec.values.map((value) => [value, value]));
  registerEnumType(made, {
    name,
    description: spec.description,
    valuesConfig: Object.fromEntries(
      spec.values.map((value) => [
        value,
        { description: VALUES[`${spec.name}.${value}`] ?? VALUES[value] ?? `${value}.` },
      ]),
    ),
  });
  enums.set(name, made);
  return made;
}

/** By value, or by parameter and value where the same word means something else elsewhere. */
const VALUES: Readonly<Record<string, string>> = {
  F1: 'The harmonic mean of precision and recall.',
  BALANCED_ACCURACY: 'The mean recall of both classes.',
  ACCURACY: 'The share of right labels.',
  HALF: 'Nothing: the threshold is 0.5.',
  AUTO: 'SQRT for classes, THIRD for numbers.',
  SQRT: 'The square root of their number.',
  LOG2: 'The binary logarithm of their number.',
  THIRD: 'A third of them.',
  ALL: 'All of them.',
  'objective.AUTO': 'LOGISTIC, SOFTMAX or SQUARED, as the task has it.',
  LOGISTIC: 'Log loss of two classes.',
  SOFTMAX: 'Log loss of more than two classes.',
  SQUARED: 'Squared error: the answer is a mean.',
  ABSOLUTE: 'Absolute error: the answer is a median.',
  HUBER: 'Squared up to huberDelta, absolute beyond: a mean that outliers pull less.',
  QUANTILE: 'Quantile loss: the answer is the quantile at quantileAlpha.',
  POISSON: 'Poisson deviance, for counts; the answer is positive.',
  GAMMA: 'Gamma deviance, for targets above 0 whose error grows with their size; the answer is positive.',
  TWEEDIE: 'Tweedie deviance, for targets that are often 0 and else positive, such as claims; the answer is positive.',
  'categoryEncoding.AUTO': 'NATIVE for trees, ONE_HOT for linear models.',
  NATIVE:
    'For trees: a split sends any set of categories to one side. Most frequent 254 of a column; the others share one value.',
  ONE_HOT: 'A feature of 0 and 1 for each category. Most frequent 254 of a column; the others share one.',
  ORDINAL: 'One number: the place of the category in the alphabet.',
  TARGET:
    'The mean of the target, or the share of each class, among the rows of the category; for training rows from the other four fifths of them.',
  STANDARD: 'Mean 0 and standard deviation 1.',
  ROBUST: 'Median 0 and interquartile range 1: outliers move neither.',
  QUANTILE_UNIFORM: 'The share of the training rows that lie below, from 0 to 1.',
  QUANTILE_NORMAL: 'As QUANTILE_UNIFORM, then spread like a normal distribution: for long tails.',
  'scaling.NONE': 'As they are.',
  MEAN: 'Their mean.',
  MEDIAN: 'Their median.',
  MOST_FREQUENT: 'The most frequent of them.',
};

function typeOf(spec: ParameterSpec) {
  switch (spec.type) {
    case 'INT':
      return () => Int;
    case 'FLOAT':
      return () => Float;
    case 'BOOL':
      return () => Boolean;
    case 'ENUM': {
      const type = enumOf(spec);
      return () => type;
    }
  }
}

function sentence(spec: ParameterSpec): string {
  const range = 'min' in spec ? ` From ${spec.min} to ${spec.max}.` : '';
  return `${spec.description}${range} Default: ${String(spec.default)}.`;
}

/** The input type of an algorithm's parameters, field by field from its specification: none can be forgotten. */
function parametersInput(name: Algorithm): new () => ParameterValues {
  class Parameters {}
  const specs: readonly ParameterSpec[] = ALGORITHM_SPECS[name].parameters;
  for (const spec of specs)
    Field(typeOf(spec), { nullable: true, description: sentence(spec) })(Parameters.prototype, spec.name);
  InputType(`${pascalCase(name)}Parameters`, {
    description: `Hyper-parameters of ${name}; what is left out takes its default.`,
  })(Parameters);
  return Parameters as new () => ParameterValues;
}

const NAMES = Object.keys(ALGORITHM_SPECS) as Algorithm[];

@InputType({
  description:
    'The algorithm with its hyper-parameters: exactly one field. `{gradientBoosting: {}}` takes all defaults.',
})
export class AlgorithmInput {
  [field: string]: ParameterValues | null | undefined;
}
for (const name of NAMES) {
  const type = parametersInput(name);
  Field(() => type, { nullable: true, description: ALGORITHM_SPECS[name].description })(
    AlgorithmInput.prototype,
    camelCase(name),
  );
}

/** INVALID_INPUT unless exactly one algorithm is given. */
export function algorithmOf(input: AlgorithmInput): { name: Algorithm; parameters: ParameterValues; path: string } {
  const given = NAMES.filter((name) => input[camelCase(name)] != null);
  const [name] = given;
  if (given.length !== 1 || !name)
    throw new AppError('INVALID_INPUT', `Give exactly one of ${NAMES.map(camelCase).join(', ')}.`, {
      field: 'input.algorithm',
    });
  const field = camelCase(name);
  return { name, parameters: { ...input[field] }, path: `input.algorithm.${field}` };
}

/** Where a client finds the parameters: the field of AlgorithmInput. */
export function fieldOf(name: Algorithm): string {
  return camelCase(name);
}

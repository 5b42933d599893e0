import { Field, Float, InputType, Int, registerEnumType } from 'type-graphql';
import {
  ALGORITHM_SPECS,
  type Algorithm,
  type AlgorithmName,
  ALGORITHMS,
  COMBINATION_SPECS,
  COMBINATIONS,
  MAX_MEMBERS,
  type ParameterSpec,
  SPECS,
} from '../../ml/spec.js';
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
  'decisionThreshold.HALF': 'Nothing: the threshold is 0.5.',
  'maxFeatures.HALF': 'Half of them.',
  'maxFeatures.AUTO': 'SQRT for classes, HALF for numbers.',
  EQUAL: 'All members count the same.',
  FITTED: 'The weights of least loss on the validation rows.',
  GIVEN: 'The weights given with the members, as a tuning finds them; all the same where none are given.',
  SQRT: 'The square root of their number.',
  LOG2: 'The binary logarithm of their number.',
  THIRD: 'A third of them.',
  ALL: 'All of them.',
  'classWeight.NONE': 'Rows count the same.',
  BALANCED: 'Classes count the same: each of n_k rows of a class counts n / (K n_k).',
  'stoppingMetric.AUTO': 'The loss itself, whichever the objective is; for squared error its root.',
  'stoppingMetric.F1':
    'The harmonic mean of precision and recall, at a threshold of 0.5; of several classes their mean. Higher is better.',
  'stoppingMetric.ACCURACY': 'The share of right labels, at a threshold of 0.5. Higher is better.',
  LOG_LOSS: 'Log loss; lower is better.',
  AUC: 'Area under the ROC curve; of several classes their mean, each against the rest. Higher is better.',
  RMSE: 'Root of the mean squared error; lower is better.',
  MAE: 'Mean absolute error; lower is better.',
  MAPE: 'Mean of the absolute error over the size of the target, or over 1 where it is smaller; lower is better.',
  QUANTILE_LOSS: 'Quantile loss at quantileAlpha; lower is better.',
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
  'calibration.NONE': 'Scores stay as the model gives them.',
  PLATT: 'A logistic curve over the log-odds of the score: two numbers for each class, for few rows.',
  ISOTONIC: 'Rising steps joined by straight lines: any rising shape, for some thousand rows.',
  MEAN: 'Their mean.',
  MEDIAN: 'Their median.',
  MOST_FREQUENT: 'The most frequent of them.',
  'criterion.AUTO': 'GINI for classes, SQUARED for numbers.',
  GINI: 'Classes: the chance that two rows of a node are of different classes.',
  ENTROPY: 'Classes: the entropy of their shares.',
  'criterion.SQUARED': 'Numbers: the squared distance from the mean.',
  'criterion.ABSOLUTE':
    'Numbers: the distance from the median, which is the answer of a leaf. Categories are put in order by their medians; catL2 plays no part.',
  LEAF_WISE: 'The one that gains most, as in LightGBM.',
  DEPTH_WISE: 'The oldest, so that the tree grows level by level, as in XGBoost.',
  UNIFORM: 'At random, as many as subsample tells.',
  GOSS: 'Those of the greatest gradients, and a random part of the others, which count for all of these. Begins after 1 / learningRate rounds.',
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

/** A class with the parameters of an algorithm, field by field from its specification: none can be forgotten. */
function parametersClass(name: AlgorithmName): new () => ParameterValues {
  class Parameters {}
  const specs: readonly ParameterSpec[] = SPECS[name].parameters;
  for (const spec of specs)
    Field(typeOf(spec), { nullable: true, description: sentence(spec) })(Parameters.prototype, spec.name);
  return Parameters as new () => ParameterValues;
}

const SINGLE = ALGORITHMS.map((name) => {
  const type = parametersClass(name);
  InputType(`${pascalCase(name)}Parameters`, {
    description: `Hyper-parameters of ${name}; what is left out takes its default.`,
  })(type);
  return { name, field: camelCase(name), type };
});

@InputType({ description: 'An algorithm that stands alone, with its hyper-parameters: exactly one field.' })
export class SingleAlgorithmInput {
  [field: string]: ParameterValues | null | undefined;
}

type CombinationValues = ParameterValues & {
  readonly members?: readonly SingleAlgorithmInput[];
  readonly weights?: readonly number[] | null;
  readonly member?: SingleAlgorithmInput;
};

const COMBINED = COMBINATIONS.map((name) => {
  const type = parametersClass(name) as new () => CombinationValues;
  if (name === 'BAGGING')
    Field(() => SingleAlgorithmInput, { description: 'What is trained once for each fold.' })(type.prototype, 'member');
  else
    Field(() => [SingleAlgorithmInput], { description: `Who is combined: 2 to ${MAX_MEMBERS}.` })(
      type.prototype,
      'members',
    );
  if (name === 'VOTING')
    Field(() => [Float], {
      nullable: true,
      description: 'With weighting GIVEN: what each member counts, in their order, above 0; the same unless told.',
    })(type.prototype, 'weights');
  InputType(`${pascalCase(name)}Parameters`, {
    description: `Members and hyper-parameters of ${name}; what is left out takes its default.`,
  })(type);
  return { name, field: camelCase(name), type };
});

@InputType({
  description:
    'The algorithm with its hyper-parameters: exactly one field. `{gradientBoosting: {}}` takes all defaults.',
})
export class AlgorithmInput {
  [field: string]: ParameterValues | CombinationValues | null | undefined;
}

for (const { name, field, type } of SINGLE)
  for (const input of [SingleAlgorithmInput, AlgorithmInput])
    Field(() => type, { nullable: true, description: ALGORITHM_SPECS[name].description })(input.prototype, field);
for (const { name, field, type } of COMBINED)
  Field(() => type, { nullable: true, description: COMBINATION_SPECS[name].description })(
    AlgorithmInput.prototype,
    field,
  );

/** An algorithm as it was asked for; `path`: where its parameters stand, for error messages. */
export interface AskedAlgorithm<Name extends AlgorithmName = AlgorithmName> {
  readonly name: Name;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly path: string;
  readonly weight?: number;
}

/** INVALID_INPUT unless exactly one algorithm is given, here and for every member. */
export function algorithmOf(
  input: AlgorithmInput,
): AskedAlgorithm & { readonly members: readonly AskedAlgorithm<Algorithm>[] } {
  const { name, parameters, path } = oneOf([...SINGLE, ...COMBINED], input, 'input.algorithm');
  const { members, member, weights, ...own } = parameters as CombinationValues;
  if (weights && weights.length !== members?.length)
    throw new AppError('INVALID_INPUT', 'Give one weight for each member.', { field: `${path}.weights` });
  const asked = members?.map((one, m) => ({
    ...oneOf(SINGLE, one, `${path}.members.${m}`),
    ...(weights ? { weight: weights[m]! } : {}),
  }));
  return { name, parameters: own, path, members: asked ?? (member ? [oneOf(SINGLE, member, `${path}.member`)] : []) };
}

function oneOf<Name extends AlgorithmName>(
  known: readonly { readonly name: Name; readonly field: string }[],
  input: AlgorithmInput,
  path: string,
): AskedAlgorithm<Name> {
  const given = known.filter(({ field }) => input[field] != null);
  const [one] = given;
  if (given.length !== 1 || !one)
    throw new AppError('INVALID_INPUT', `Give exactly one of ${known.map(({ field }) => field).join(', ')}.`, {
      field: path,
    });
  return { name: one.name, parameters: { ...input[one.field] }, path: `${path}.${one.field}` };
}

/** Where a client finds the parameters: the field of AlgorithmInput. */
export function fieldOf(name: AlgorithmName): string {
  return camelCase(name);
}

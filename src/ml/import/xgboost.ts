/**
 * XGBoost's model file (JSON or UBJSON, as `save_model` writes it since 1.3), read as XGBoost predicts:
 *
 *   raw      base margin + leaves of all trees of the output (tree_info); leaves are in split_conditions
 *   numbers  left where x < split_condition, in float32
 *   sets     RIGHT where the code is in the node's set, left otherwise
 *   missing  default_left
 *   answer   the objective's link; base_score is stored as the answer of no trees, so the base margin is the link's inverse
 *
 * Source: https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html; src/learner.cc, src/tree/tree_model.cc,
 * src/common/categorical.h of XGBoost.
 */
import { type Link, type Tree } from '../core/model.js';
import { countAt, isObject, listAt, numbersAt, objectAt, optional, textAt, wholesAt } from './document.js';
import { quote, unreadable, unsupported } from './problem.js';
import { LIMITS, type SourceFeature, type SourceLinear, type SourceModel, type SourceTrees } from './source.js';
import { type Budget, buildTree, floatBelow, newBudget, sortedCodes, spendCodes } from './source-tree.js';
import { decodeUbjson, type ObjectValue } from './ubjson.js';

interface Objective {
  readonly task: SourceModel['task'];
  readonly link: Link;
  /** From base_score to where raw scores start. */
  readonly margin: (baseScore: number) => number;
}

const same = (baseScore: number): number => baseScore;
/** As XGBoost since 3.1: a base score of 0 or 1 is moved in by its smallest step. */
const logit = (baseScore: number): number => {
  const p = Math.min(Math.max(baseScore, 1e-6), 1 - 1e-6);
  return Math.log(p / (1 - p));
};

const BINARY: Objective = { task: 'binary', link: 'sigmoid', margin: logit };
const CLASSES: Objective = { task: 'multiclass', link: 'softmax', margin: same };
const NUMBER: Objective = { task: 'regression', link: 'identity', margin: same };
const RATE: Objective = { task: 'regression', link: 'exp', margin: Math.log };

const OBJECTIVES: ReadonlyMap<string, Objective> = new Map([
  ['binary:logistic', BINARY],
  ['reg:logistic', BINARY],
  // It answers raw margins; here they become probabilities.
  ['binary:logitraw', { ...BINARY, margin: same }],
  ['multi:softprob', CLASSES],
  ['multi:softmax', CLASSES],
  ['reg:squarederror', NUMBER],
  ['reg:linear', NUMBER],
  ['reg:squaredlogerror', NUMBER],
  ['reg:absoluteerror', NUMBER],
  ['reg:pseudohubererror', NUMBER],
  ['reg:quantileerror', NUMBER],
  ['count:poisson', RATE],
  ['reg:gamma', RATE],
  ['reg:tweedie', RATE],
]);

/** @throws SpecError MODEL_UNREADABLE, MODEL_UNSUPPORTED */
export function importXgboost(bytes: Uint8Array): SourceModel {
  const document = parse(bytes);
  const learner = objectAt(document, 'learner');
  const parameters = objectAt(learner, 'learner_model_param');
  const version = optional(document, 'version') === undefined ? [] : [...numbersAt(document, 'version', null)];
  const objective = textAt(objectAt(learner, 'objective'), 'name');
  const { task, link, margin } = objectiveOf(objective);
  const outputs = outputsOf(task, parameters);
  const features = featuresOf(learner, countAt(parameters, 'num_feature'));
  const baseScores = baseScoresOf(textAt(parameters, 'base_score'), outputs);
  const base = Float32Array.from(baseScores, margin);
  if (!base.every(Number.isFinite)) throw unreadable('"base_score" does not fit its objective');
  const booster = objectAt(learner, 'gradient_booster');
  const name = textAt(booster, 'name');
  const library = version.length > 0 ? `XGBoost ${version.join('.')}` : 'XGBoost';
  const shared = { library, objective, looseCategories: null, task, link } as const;
  if (name === 'gblinear') return { ...shared, ...readLinear(objectAt(booster, 'model'), features, base) };
  if (name !== 'gbtree' && name !== 'dart')
    throw unsupported(`The booster ${quote(name)} is none that can be imported: gbtree, dart and gblinear are.`);
  const forest = name === 'dart' && isObject(optional(booster, 'gbtree')) ? objectAt(booster, 'gbtree') : booster;
  const model = objectAt(forest, 'model');
  const weights = [booster, model].find((part) => optional(part, 'weight_drop') !== undefined);
  return {
    ...shared,
    base,
    ...readTrees(model, {
      outputs,
      features: withCategories(features, model),
      weights: weights ? numbersAt(weights, 'weight_drop', null) : null,
      best: bestIteration(learner),
    }),
  };
}

/** JSON starts with a quotation mark after its brace, UBJSON with the length of its first key. */
function parse(bytes: Uint8Array): ObjectValue {
  if (bytes[0] !== 0x7b)
    throw unreadable('it is neither XGBoost’s JSON nor its UBJSON. Write it with save_model("model.json")');
  let value: unknown;
  if (/["\s}]/.test(String.fromCharCode(bytes[1] ?? 0))) {
    try {
      value = JSON.parse(withoutNaN(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
    } catch {
      throw unreadable('it is no JSON in UTF-8, or cut off');
    }
  } else {
    value = decodeUbjson(bytes);
  }
  if (!isObject(value as ObjectValue)) throw unreadable('it holds no object');
  return value as ObjectValue;
}

/** XGBoost writes NaN, which JSON does not have, such as for the threshold of a split by categories: null, outside of texts. */
function withoutNaN(text: string): string {
  if (!/NaN|Infinity/.test(text)) return text;
  return text.replace(/"(?:[^"\\]+|\\.)*"|-?(?:NaN|Infinity)/g, (part) => (part.startsWith('"') ? part : 'null'));
}

function objectiveOf(name: string): Objective {
  const objective = OBJECTIVES.get(name);
  if (objective === undefined)
    throw unsupported(
      `The objective ${quote(name)} is none that can be imported: ${[...OBJECTIVES.keys()].join(', ')} are.`,
    );
  return objective;
}

function outputsOf(task: SourceModel['task'], parameters: ObjectValue): number {
  if (countAt(parameters, 'num_target', 1) > 1) throw unsupported('The model tells several targets at once.');
  const classes = countAt(parameters, 'num_class', 0);
  if (task !== 'multiclass') return 1;
  if (classes < 2) throw unreadable('"num_class" is below two');
  if (classes > LIMITS.outputs) throw unsupported(`The model has more than ${LIMITS.outputs} classes.`);
  return classes;
}

/** `5E-1`, or since 3.1 a list of them. */
function baseScoresOf(text: string, outputs: number): Float32Array {
  const scores = Float32Array.from(text.replace(/^\[(.*)\]$/s, '$1').split(','), (part) =>
    part.trim() === '' ? NaN : Number(part),
  );
  if (!scores.every(Number.isFinite) || (scores.length !== 1 && scores.length !== outputs))
    throw unreadable('"base_score" holds no number for each output');
  return scores.length === outputs ? scores : new Float32Array(outputs).fill(scores[0]!);
}

function featuresOf(learner: ObjectValue, count: number): SourceFeature[] {
  if (count > LIMITS.features) throw unsupported(`The model has more than ${LIMITS.features} features.`);
  const texts = (key: string): (string | null)[] => {
    const list = optional(learner, key) === undefined ? [] : listAt(learner, key);
    if (list.length !== 0 && list.length !== count) throw unreadable(`"${key}" has another length than it should`);
    return Array.from({ length: count }, (_, i) => (typeof list[i] === 'string' ? (list[i] as string) : null));
  };
  const types = texts('feature_types');
  return texts('feature_names').map((name, i) => ({ name, isCategorical: types[i] === 'c', categories: null }));
}

/** Since 3.1 the file says what its codes stand for: texts as offsets into their bytes, or whole numbers. */
function withCategories(features: readonly SourceFeature[], model: ObjectValue): SourceFeature[] {
  const cats = optional(model, 'cats');
  const encodings = isObject(cats) && optional(cats, 'enc') !== undefined ? listAt(cats, 'enc') : [];
  return features.map((feature, i) => {
    const encoding = encodings[i];
    if (!isObject(encoding)) return feature;
    const values = numbersAt(encoding, 'values', null);
    if (optional(encoding, 'offsets') === undefined)
      return values.length === 0 ? feature : { ...feature, categories: Array.from(values, String) };
    const offsets = wholesAt(encoding, 'offsets', null);
    const bytes = Uint8Array.from(values);
    const decoder = new TextDecoder();
    const categories = Array.from({ length: Math.max(0, offsets.length - 1) }, (_, at) =>
      decoder.decode(bytes.subarray(offsets[at], offsets[at + 1])),
    );
    return categories.length === 0 ? feature : { ...feature, categories };
  });
}

function bestIteration(learner: ObjectValue): number | null {
  const attributes = optional(learner, 'attributes');
  if (!isObject(attributes) || optional(attributes, 'best_iteration') === undefined) return null;
  return countAt(attributes, 'best_iteration');
}

interface Forest {
  readonly outputs: number;
  readonly features: readonly SourceFeature[];
  /** Of DART, one for each tree. */
  readonly weights: Float64Array | null;
  readonly best: number | null;
}

type Body = Pick<SourceModel, 'body' | 'features' | 'contributions' | 'rounds' | 'bestRound' | 'warnings'>;

function readTrees(model: ObjectValue, { outputs, features, weights, best }: Forest): Body {
  const parameters = objectAt(model, 'gbtree_model_param');
  const list = listAt(model, 'trees');
  if (list.length > LIMITS.trees) throw unsupported(`The model has more than ${LIMITS.trees} trees.`);
  const treeOutput = wholesAt(model, 'tree_info', list.length);
  if (treeOutput.some((output) => output < 0 || output >= outputs)) throw unreadable('a tree has no such output');
  if (weights !== null && weights.length !== list.length)
    throw unreadable('"weight_drop" has another length than it should');
  const treesARound = outputs * Math.max(1, countAt(parameters, 'num_parallel_tree', 1));
  const rounds = Math.ceil(list.length / treesARound);
  const bestRound = best === null ? rounds : Math.min(best + 1, rounds);
  const contributions = new Float64Array(features.length);
  const isCategorical = features.map((feature) => feature.isCategorical);
  const budget = newBudget();
  const kept = list.slice(0, bestRound * treesARound).map((tree, t) => {
    if (!isObject(tree)) throw unreadable('a tree is no object');
    return readTree(tree, weights?.[t] ?? 1, { contributions, isCategorical, budget });
  });
  const body: SourceTrees = { family: 'trees', trees: kept, treeOutput: treeOutput.slice(0, kept.length) };
  return {
    body,
    features: features.map((feature, i) => ({ ...feature, isCategorical: isCategorical[i]! })),
    contributions,
    rounds,
    bestRound,
    warnings:
      bestRound < rounds
        ? [`The file has ${rounds} rounds; those up to its best iteration are taken, ${bestRound} of them.`]
        : [],
  };
}

interface Sums {
  readonly contributions: Float64Array;
  /** Set where a split is by categories. */
  readonly isCategorical: boolean[];
  readonly budget: Budget;
}

function readTree(tree: ObjectValue, weight: number, { contributions, isCategorical, budget }: Sums): Tree {
  const parameters = optional(tree, 'tree_param');
  if (isObject(parameters) && countAt(parameters, 'size_leaf_vector', 1) > 1)
    throw unsupported('The model has trees that tell several outputs at once (multi_output_tree).');
  const left = wholesAt(tree, 'left_children', null);
  const count = left.length;
  const right = wholesAt(tree, 'right_children', count);
  const feature = wholesAt(tree, 'split_indices', count);
  const conditions = Float32Array.from(numbersAt(tree, 'split_conditions', count));
  const defaultLeft = Uint8Array.from(numbersAt(tree, 'default_left', count));
  const codes = setsOf(tree, count, budget);
  const gains = optional(tree, 'loss_changes') === undefined ? null : numbersAt(tree, 'loss_changes', count);
  const isSet = (node: number): boolean => codes[node] !== null;
  const built = buildTree(
    {
      // A code in the set goes right there, left here: the children change places.
      left: left.map((child, node) => (child >= 0 && isSet(node) ? right[node]! : child)),
      right: right.map((child, node) => (left[node]! >= 0 && isSet(node) ? left[node]! : child)),
      missingLeft: defaultLeft.map((side, node) => ((side !== 0) !== isSet(node) ? 1 : 0)),
      feature,
      threshold: conditions.map(floatBelow),
      codes,
      value: conditions.map((value) => value * weight),
    },
    contributions.length,
    budget,
  );
  for (let node = 0; node < count; node++) {
    const f = feature[node]!;
    if (left[node]! < 0 || !(f >= 0 && f < contributions.length)) continue;
    if (gains !== null && gains[node]! > 0) contributions[f]! += gains[node]!;
    if (isSet(node)) isCategorical[f] = true;
  }
  return built;
}

/** By node the codes of a split by categories: `categories`, from categories_segments on, categories_sizes many. */
function setsOf(tree: ObjectValue, count: number, budget: Budget): (Int32Array | null)[] {
  const sets = new Array<Int32Array | null>(count).fill(null);
  if (optional(tree, 'split_type') === undefined) return sets;
  const types = numbersAt(tree, 'split_type', count);
  if (types.every((type) => type === 0)) return sets;
  const nodes = wholesAt(tree, 'categories_nodes', null);
  const segments = wholesAt(tree, 'categories_segments', nodes.length);
  const sizes = wholesAt(tree, 'categories_sizes', nodes.length);
  const categories = wholesAt(tree, 'categories', null);
  nodes.forEach((node, i) => {
    const from = segments[i]!;
    const size = sizes[i]!;
    if (
      !(node >= 0 && node < count) ||
      sets[node] !== null ||
      !(from >= 0 && size > 0 && from + size <= categories.length)
    )
      throw unreadable('a set of categories lies outside of its list');
    spendCodes(budget, size);
    sets[node] = sortedCodes(categories.subarray(from, from + size));
  });
  types.forEach((type, node) => {
    if ((type !== 0) !== (sets[node] !== null)) throw unreadable('a split by categories has no set');
  });
  return sets;
}

/** weights[feature * outputs + output], the intercepts last. A missing value adds nothing: it counts as 0. */
function readLinear(
  model: ObjectValue,
  features: readonly SourceFeature[],
  base: Float32Array,
): Body & Pick<SourceModel, 'base'> {
  const outputs = base.length;
  const weights = numbersAt(model, 'weights', (features.length + 1) * outputs);
  const rounds = countAt(model, 'boosted_rounds', 1);
  const turned = Float32Array.from({ length: features.length * outputs }, (_, i) => {
    const output = Math.floor(i / features.length);
    return weights[(i % features.length) * outputs + output]!;
  });
  const intercept = base.map((margin, output) => margin + weights[features.length * outputs + output]!);
  if (!turned.every(Number.isFinite) || !intercept.every(Number.isFinite))
    throw unreadable('a weight is no finite number');
  const contributions = new Float64Array(features.length);
  turned.forEach((weight, i) => (contributions[i % features.length]! += Math.abs(weight)));
  const body: SourceLinear = { family: 'linear', weights: turned };
  return { body, features, base: intercept, contributions, rounds, bestRound: rounds, warnings: [] };
}

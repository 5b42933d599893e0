/**
 * LightGBM's text model (`save_model`), read as LightGBM predicts:
 *
 *   raw      sum of the leaves of the output's trees (tree t adds to output t mod num_tree_per_iteration), or their mean for
 *            boosting=rf; leaves are already shrunk and hold the average that training started from
 *   numbers  left where x <= threshold, in float64. Our features are float32: the largest float32 at most the threshold
 *            divides them the same way
 *   missing  by the node's missing type: None takes a missing value for 0, NaN sends it the default way, Zero sends both
 *            missing values and zeros the default way
 *   sets     left where the code is in the node's bit set; missing and unknown codes go right
 *
 * Source: src/boosting/gbdt_model_text.cpp, src/io/tree.cpp, include/LightGBM/tree.h of LightGBM.
 */
import { type Link, type Tree } from '../core/model.js';
import { quote, unreadable, unsupported } from './problem.js';
import { LIMITS, type SourceFeature, type SourceModel } from './source.js';
import { type Budget, buildTree, floatAtMost, newBudget, sortedCodes, spendCodes } from './source-tree.js';

interface Objective {
  readonly task: SourceModel['task'];
  readonly link: Link;
}

const NUMBER: Objective = { task: 'regression', link: 'identity' };
const RATE: Objective = { task: 'regression', link: 'exp' };

const OBJECTIVES: ReadonlyMap<string, Objective> = new Map([
  ['binary', { task: 'binary', link: 'sigmoid' }],
  ['cross_entropy', { task: 'binary', link: 'sigmoid' }],
  ['multiclass', { task: 'multiclass', link: 'softmax' }],
  ['regression', NUMBER],
  ['regression_l1', NUMBER],
  ['huber', NUMBER],
  ['fair', NUMBER],
  ['quantile', NUMBER],
  ['mape', NUMBER],
  ['poisson', RATE],
  ['gamma', RATE],
  ['tweedie', RATE],
]);

/** decision_type: bit 0 categories, bit 1 default left, bits 2 and 3 the missing type. */
const CATEGORICAL = 1;
const DEFAULT_LEFT = 2;
const MISSING = { none: 0, zero: 1, nan: 2 } as const;

/** @throws SpecError MODEL_UNREADABLE, MODEL_UNSUPPORTED */
export function importLightgbm(text: string): SourceModel {
  const lines = text.split(/\r?\n/);
  if (lines[0]?.trim() !== 'tree') throw unreadable('it is no text model of LightGBM. Write it with save_model');
  const end = lines.indexOf('end of trees');
  if (end < 0) throw unreadable('it ends too early');
  const starts: number[] = [];
  for (let at = 1; at < end; at++) if (lines[at]!.startsWith('Tree=')) starts.push(at);
  if (starts.length > LIMITS.trees) throw unsupported(`The model has more than ${LIMITS.trees} trees.`);
  const header = fieldsOf(lines, 1, starts[0] ?? end);
  const { task, link, scale, objective } = objectiveOf(textOf(header, 'objective'));
  const outputs = countOf(header, 'num_tree_per_iteration');
  if (outputs > LIMITS.outputs) throw unsupported(`The model has more than ${LIMITS.outputs} classes.`);
  if (outputs < 1 || (task === 'multiclass') !== outputs > 1 || starts.length % outputs !== 0)
    throw unreadable('"num_tree_per_iteration" does not fit the model');
  const features = featuresOf(header, lines, end);
  const rounds = starts.length / outputs;
  // Leaves take the sigmoid's steepness, and what the mean of trees divides by.
  const factor = header.has('average_output') ? scale / Math.max(1, rounds) : scale;
  const contributions = new Float64Array(features.length);
  const isCategorical = features.map((feature) => feature.isCategorical);
  const budget = newBudget();
  const trees = starts.map((start, t) =>
    readTree(fieldsOf(lines, start + 1, starts[t + 1] ?? end), factor, { contributions, isCategorical, budget }),
  );
  return {
    library: `LightGBM model ${textOf(header, 'version')}`,
    objective,
    ...withCategories(
      features.map((feature, i) => ({ ...feature, isCategorical: isCategorical[i]! })),
      pandasCategories(lines, end),
    ),
    body: { family: 'trees', trees, treeOutput: Int32Array.from(trees, (_, t) => t % outputs) },
    task,
    link,
    base: new Float32Array(outputs),
    contributions,
    rounds,
    bestRound: rounds,
    warnings: [],
  };
}

type Fields = ReadonlyMap<string, string>;

/** `key=value` of the lines from .. to; a line without `=` is a key of its own. */
function fieldsOf(lines: readonly string[], from: number, to: number): Fields {
  const fields = new Map<string, string>();
  for (let at = from; at < to; at++) {
    const line = lines[at]!;
    if (line === '') continue;
    const sign = line.indexOf('=');
    fields.set(sign < 0 ? line : line.slice(0, sign), sign < 0 ? '' : line.slice(sign + 1));
  }
  return fields;
}

function textOf(fields: Fields, key: string): string {
  const text = fields.get(key);
  if (text === undefined) {
    if (key === 'objective') throw unsupported('The model has an objective of its maker’s own.');
    throw unreadable(`"${key}" is missing`);
  }
  return text;
}

function countOf(fields: Fields, key: string): number {
  const count = toNumber(textOf(fields, key), key);
  if (!Number.isInteger(count) || count < 0 || count > 2 ** 31 - 1) throw unreadable(`"${key}" is no count`);
  return count;
}

function toNumber(word: string, key: string): number {
  const number = /^[+-]?(\d|\.\d)/.test(word)
    ? Number(word)
    : word === 'inf'
      ? Infinity
      : word === '-inf'
        ? -Infinity
        : NaN;
  if (Number.isNaN(number)) throw unreadable(`"${key}" holds no numbers`);
  return number;
}

function numbersOf(fields: Fields, key: string, length: number): Float64Array {
  const words = textOf(fields, key).trim().split(/ +/);
  if (words.length !== length) throw unreadable(`"${key}" has another length than it should`);
  return Float64Array.from(words, (word) => toNumber(word, key));
}

function wholesOf(fields: Fields, key: string, length: number): Int32Array {
  const numbers = numbersOf(fields, key, length);
  const wholes = Int32Array.from(numbers);
  if (wholes.some((whole, i) => whole !== numbers[i])) throw unreadable(`"${key}" holds no whole numbers`);
  return wholes;
}

/** `binary sigmoid:1`, `multiclass num_class:3`, `regression sqrt`, ... */
function objectiveOf(text: string): Objective & { readonly scale: number; readonly objective: string } {
  const [name = '', ...words] = text.trim().split(/ +/);
  const known = OBJECTIVES.get(name);
  if (known === undefined)
    throw unsupported(
      `The objective ${quote(name)} is none that can be imported: ${[...OBJECTIVES.keys()].join(', ')} are.`,
    );
  if (words.includes('sqrt')) throw unsupported('The model was trained on the square root of its target (reg_sqrt).');
  const steepness = words.find((word) => word.startsWith('sigmoid:'))?.slice('sigmoid:'.length);
  const scale = steepness === undefined ? 1 : toNumber(steepness, 'sigmoid');
  if (!(scale > 0 && Number.isFinite(scale))) throw unreadable('"sigmoid" is no positive number');
  return { ...known, scale, objective: text.trim() };
}

function featuresOf(header: Fields, lines: readonly string[], end: number): SourceFeature[] {
  const count = countOf(header, 'max_feature_idx') + 1;
  if (count > LIMITS.features) throw unsupported(`The model has more than ${LIMITS.features} features.`);
  const names = textOf(header, 'feature_names').split(' ');
  if (names.length !== count) throw unreadable('"feature_names" has another length than it should');
  const infos = (header.get('feature_infos') ?? '').split(' ');
  const unnamed = names.every((name, i) => name === `Column_${i}`);
  const listed = new Set(parameterOf(lines, end, 'categorical_feature')?.split(',').map(Number));
  // Numbers have their range, [low:high]; categories their codes, 0:1:2.
  return names.map((name, i) => ({
    name: unnamed ? null : name,
    isCategorical: listed.has(i) || /^-?\d+(:-?\d+)+$/.test(infos[i] ?? ''),
    categories: null,
  }));
}

/** A line `[name: value]` after the trees. */
function parameterOf(lines: readonly string[], end: number, name: string): string | null {
  const start = `[${name}: `;
  const line = lines.find((line, at) => at > end && line.startsWith(start));
  const value = line?.slice(start.length).replace(/\]\s*$/, '') ?? '';
  return value === '' ? null : value;
}

/** What Python's LightGBM adds of a pandas data frame: for each of its category columns the values, in the order of their codes. */
function pandasCategories(lines: readonly string[], end: number): string[][] | null {
  const key = 'pandas_categorical:';
  const line = lines.find((line, at) => at > end && line.startsWith(key));
  if (line === undefined) return null;
  let lists: unknown;
  try {
    lists = JSON.parse(line.slice(key.length));
  } catch {
    throw unreadable('"pandas_categorical" is no JSON');
  }
  if (!Array.isArray(lists) || lists.length === 0) return null;
  return lists.map((list: unknown) => {
    if (!Array.isArray(list)) throw unreadable('"pandas_categorical" holds no lists');
    return list.map(String);
  });
}

/** The lists belong to the category columns in their order; where those are not known, that is settled with the table. */
function withCategories(
  features: readonly SourceFeature[],
  lists: string[][] | null,
): Pick<SourceModel, 'features' | 'looseCategories'> {
  const categorical = [...features.keys()].filter((i) => features[i]!.isCategorical);
  if (lists === null || categorical.length !== lists.length) return { features, looseCategories: lists };
  const byFeature = new Map(categorical.map((feature, i) => [feature, lists[i]!]));
  return {
    features: features.map((feature, i) => ({ ...feature, categories: byFeature.get(i) ?? null })),
    looseCategories: null,
  };
}

interface Sums {
  readonly contributions: Float64Array;
  /** Set where a split is by categories. */
  readonly isCategorical: boolean[];
  readonly budget: Budget;
}

/** Inner nodes come first, then the leaves: a child of ~i is leaf i. */
function readTree(fields: Fields, factor: number, { contributions, isCategorical, budget }: Sums): Tree {
  if (fields.has('is_linear') && countOf(fields, 'is_linear') !== 0)
    throw unsupported('The model has linear functions in its leaves (linear_tree).');
  const leaves = countOf(fields, 'num_leaves');
  if (leaves < 1) throw unreadable('a tree has no leaves');
  const leafValues = numbersOf(fields, 'leaf_value', leaves);
  const inner = leaves - 1;
  const wholes = (key: string): Int32Array => (inner === 0 ? new Int32Array(0) : wholesOf(fields, key, inner));
  const thresholds = inner === 0 ? new Float64Array(0) : numbersOf(fields, 'threshold', inner);
  const types = fields.has('decision_type') ? wholes('decision_type') : new Int32Array(inner);
  const feature = wholes('split_feature');
  const left = childrenOf(wholes('left_child'), leaves);
  const right = childrenOf(wholes('right_child'), leaves);
  const gains =
    inner > 0 && fields.has('split_gain') ? numbersOf(fields, 'split_gain', inner) : new Float64Array(inner);
  const codes = setsOf(fields, types, thresholds, budget);
  for (let node = 0; node < inner; node++) {
    const f = feature[node]!;
    if (!(f >= 0 && f < contributions.length)) continue;
    if (gains[node]! > 0) contributions[f]! += gains[node]!;
    if (codes[node] !== null) isCategorical[f] = true;
  }
  const nodes = {
    left,
    right,
    feature: Int32Array.from({ length: left.length }, (_, node) => feature[node] ?? -1),
    threshold: Float32Array.from({ length: left.length }, (_, node) => floatAtMost(thresholds[node] ?? 0)),
    missingLeft: Uint8Array.from({ length: left.length }, (_, node) =>
      node < inner && missingGoesLeft(types[node]!, thresholds[node]!) ? 1 : 0,
    ),
    codes: Array.from({ length: left.length }, (_, node) => codes[node] ?? null),
    value: Float32Array.from({ length: left.length }, (_, node) =>
      node < inner ? 0 : leafValues[node - inner]! * factor,
    ),
  };
  return buildTree(nodes, contributions.length, budget);
}

/** Children of the inner nodes in the numbering of all nodes; leaves have none. */
function childrenOf(children: Int32Array, leaves: number): Int32Array {
  const inner = leaves - 1;
  return Int32Array.from({ length: inner + leaves }, (_, node) => {
    if (node >= inner) return -1;
    const child = children[node]!;
    if (child < -leaves || child >= inner) throw unreadable('a tree points to a node that it does not have');
    return child < 0 ? inner + ~child : child;
  });
}

function missingGoesLeft(type: number, threshold: number): boolean {
  // Missing and unknown categories are in no set.
  if ((type & CATEGORICAL) !== 0) return false;
  const zeroGoesLeft = 0 <= threshold;
  const isDefaultLeft = (type & DEFAULT_LEFT) !== 0;
  switch ((type >> 2) & 3) {
    case MISSING.none:
      return zeroGoesLeft;
    case MISSING.nan:
      return isDefaultLeft;
    case MISSING.zero:
      if (isDefaultLeft === zeroGoesLeft) return isDefaultLeft;
      throw unsupported(
        'The model takes zeros for missing values (zero_as_missing) and sends them another way than their size would.',
      );
    default:
      throw unreadable('"decision_type" is none of LightGBM’s');
  }
}

/** By inner node the codes of a split by categories; its threshold says which of the tree's bit sets, in words of 32. */
function setsOf(fields: Fields, types: Int32Array, thresholds: Float64Array, budget: Budget): (Int32Array | null)[] {
  const sets = new Array<Int32Array | null>(types.length).fill(null);
  if (types.every((type) => (type & CATEGORICAL) === 0)) return sets;
  const count = countOf(fields, 'num_cat');
  const boundaries = wholesOf(fields, 'cat_boundaries', count + 1);
  const words = numbersOf(fields, 'cat_threshold', boundaries[count]!);
  types.forEach((type, node) => {
    if ((type & CATEGORICAL) === 0) return;
    const from = boundaries[thresholds[node]!];
    const to = boundaries[thresholds[node]! + 1];
    if (from === undefined || to === undefined || from < 0 || to < from || to > words.length)
      throw unreadable('a set of categories lies outside of its list');
    spendCodes(budget, (to - from) * 32);
    const codes: number[] = [];
    for (let word = from; word < to; word++)
      for (let bit = 0; bit < 32; bit++) if (((words[word]! >>> bit) & 1) === 1) codes.push((word - from) * 32 + bit);
    sets[node] = sortedCodes(codes);
  });
  return sets;
}

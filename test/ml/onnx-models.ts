/** Random fitted models and tables of every kind: what the exporter must be able to say. The seed decides everything. */
import {
  type CombinedModel,
  type Feature,
  type FittedModel,
  type InputColumn,
  type Link,
  type SingleModel,
  type Tree,
} from '../../src/ml/core/model.js';
import { type Column, type Table } from '../../src/ml/core/table.js';

export type Random = () => number;

/** mulberry32: 32 bits of state are plenty for tests. */
export function random(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const below = (rng: Random, limit: number): number => Math.floor(rng() * limit);
export const pick = <T>(rng: Random, from: readonly T[]): T => from[below(rng, from.length)]!;
const normal = (rng: Random): number => Math.sqrt(-2 * Math.log(1 - rng())) * Math.cos(2 * Math.PI * rng());

export interface ModelShape {
  /** pool and stack: a combination of the three others. */
  readonly family: 'boosting' | 'forest' | 'linear' | 'pool' | 'stack';
  readonly task: FittedModel['task'];
  readonly trees?: number;
  readonly depth?: number;
  readonly classes?: number;
  readonly columns?: number;
  readonly categories?: number;
  /** Size of leaf values and weights. */
  readonly scale?: number;
  /** In place of the usual one of the task. */
  readonly link?: Link;
}

export interface RandomModel {
  readonly fitted: FittedModel;
  readonly table: Table;
}

const NAMES = [
  'alter',
  'größe',
  '年齢',
  'a b',
  'naïve/π',
  '🦊',
  'label',
  'scores',
  'value',
  'step:1',
  'input:x',
  '__proto__',
  '"',
  'x\u0000y',
];
const WORDS = ['rot', 'grün', 'blau', '赤', '', ' ', 'x'.repeat(300), '🦊', 'NaN', 'null'];

export function randomTable(rng: Random, rowCount: number, columns: number, categories: number): Table {
  const kinds = ['number', 'boolean', 'date', 'category'] as const;
  return {
    rowCount,
    columns: Array.from({ length: columns }, (_, at) =>
      randomColumn(rng, { kind: kinds[at % 4]!, name: NAMES[at] ?? `c${at}` }, rowCount, categories),
    ),
  };
}

function randomColumn(
  rng: Random,
  { kind, name }: { kind: Column['kind']; name: string },
  rowCount: number,
  categories: number,
): Column {
  const missing = pick(rng, [0, 0.1, 0.5]);
  if (kind === 'category') {
    const list = Array.from({ length: categories }, (_, i) => WORDS[i] ?? `w${i}`);
    return {
      name,
      kind,
      categories: list,
      codes: Int32Array.from({ length: rowCount }, () => (rng() < missing ? -1 : below(rng, list.length))),
    };
  }
  const draw: Record<'number' | 'boolean' | 'date', () => number> = {
    number: () => (rng() < 0.02 ? pick(rng, [1e9, -1e9, 16777217, 1e-40, 0]) : normal(rng) * 10),
    boolean: () => below(rng, 2),
    date: () => Date.UTC(2020, 0, 1) + below(rng, 4000) * 43_200_000 + below(rng, 3) - 1,
  };
  return { name, kind, values: Float64Array.from({ length: rowCount }, () => (rng() < missing ? NaN : draw[kind]())) };
}

export function randomModel(seed: number, shape: ModelShape, rowCount = 400): RandomModel {
  const rng = random(seed);
  const table = randomTable(rng, rowCount, shape.columns ?? 8, shape.categories ?? 12);
  const inputs = table.columns.map((column): InputColumn => {
    // The last tenth of the categories is unknown to the model.
    const categories =
      column.kind === 'category' ? column.categories.slice(0, Math.ceil(column.categories.length * 0.9)) : null;
    return { name: column.name, kind: column.kind, categories };
  });
  const count = shape.task === 'regression' ? 1 : shape.task === 'binary' ? 2 : (shape.classes ?? 4);
  const classes =
    shape.task === 'regression'
      ? null
      : Array.from({ length: count }, (_, k) => ['nein', 'já', '', '三'][k] ?? `class ${k}`);
  const combined = shape.family === 'pool' || shape.family === 'stack';
  const model = combined ? combinedModel(rng, inputs, shape, count) : singleModel(rng, inputs, shape, count);
  return { table, fitted: { model, task: shape.task, classes, threshold: rng(), target: 'ziel', inputs } };
}

function singleModel(rng: Random, inputs: readonly InputColumn[], shape: ModelShape, count: number): SingleModel {
  const shares = shape.family === 'forest' || shape.task === 'regression';
  const link: Link = shape.link ?? (shares ? 'identity' : shape.task === 'binary' ? 'sigmoid' : 'softmax');
  const wanted = { ...shape, link, outputs: link === 'sigmoid' ? 1 : count };
  return shape.family === 'linear' ? linearModel(rng, inputs, wanted) : treeModel(rng, inputs, wanted);
}

/** Two members of each family; each knows its own part of the inputs. */
function combinedModel(rng: Random, inputs: readonly InputColumn[], shape: ModelShape, count: number): CombinedModel {
  const families = ['boosting', 'linear', 'forest', 'forest', 'boosting', 'linear'] as const;
  const members = families.map((family, m) =>
    singleModel(rng, inputs.length > 1 ? inputs.slice(m % 2) : inputs, { ...shape, family }, count),
  );
  if (shape.family === 'pool') {
    const weights = Float64Array.from(members, () => rng());
    const sum = weights.reduce((a, b) => a + b, 0);
    return { family: 'combined', members, weights: weights.map((weight) => weight / sum), stack: null };
  }
  const link: Link = shape.task === 'regression' ? 'identity' : shape.task === 'binary' ? 'sigmoid' : 'softmax';
  const intercept = Float64Array.from({ length: link === 'sigmoid' ? 1 : count }, () => normal(rng));
  return {
    family: 'combined',
    members,
    weights: Float64Array.from(members, () => normal(rng)),
    stack: { intercept, link },
  };
}

interface Wanted extends ModelShape {
  readonly outputs: number;
  readonly link: Link;
}

function linearModel(rng: Random, inputs: readonly InputColumn[], { outputs, link, scale = 0.3 }: Wanted): SingleModel {
  const features = inputs.flatMap((input): Feature[] => {
    const column = input.name;
    if (input.kind !== 'category')
      return [
        {
          kind: input.kind,
          column,
          impute: normal(rng),
          mean: input.kind === 'date' ? 19_000.3 : normal(rng),
          scale: 0.1 + 30 * rng(),
        },
      ];
    const hot = input.categories!.map((category): Feature => ({ kind: 'oneHot', column, category }));
    return rng() < 0.5 ? [...hot, { kind: 'oneHot', column, category: null }] : hot;
  });
  const weights = Float32Array.from({ length: features.length * outputs }, () => normal(rng) * scale);
  return {
    family: 'linear',
    features,
    weights,
    intercept: Float32Array.from({ length: outputs }, () => normal(rng) * scale),
    link,
  };
}

function treeModel(rng: Random, inputs: readonly InputColumn[], { outputs, link, ...shape }: Wanted): SingleModel {
  const features = inputs.map((input): Feature => {
    const column = input.name;
    if (input.kind === 'category') return { kind: 'code', column, categories: input.categories! };
    return { kind: input.kind, column, impute: null, mean: 0, scale: 1 };
  });
  const boosting = shape.family === 'boosting';
  const width = boosting ? 1 : outputs;
  const shares = shape.family === 'forest' && shape.task !== 'regression';
  const leaf = (): number[] => {
    const values = Array.from({ length: width }, () => (shares ? rng() ** 4 : normal(rng) * (shape.scale ?? 0.3)));
    const sum = values.reduce((a, b) => a + b, 0);
    return shares ? values.map((value) => value / sum) : values;
  };
  const trees = Array.from({ length: shape.trees ?? 12 }, () =>
    randomTree(rng, features, below(rng, (shape.depth ?? 6) + 1), leaf),
  );
  return {
    family: 'trees',
    features,
    trees,
    treeOutput: boosting ? Int32Array.from(trees, () => below(rng, outputs)) : null,
    base: Float32Array.from({ length: outputs }, () => (shares ? 0 : normal(rng) * (shape.scale ?? 0.3))),
    aggregate: boosting ? 'sum' : 'mean',
    link,
  };
}

function randomTree(rng: Random, features: readonly Feature[], depth: number, leaf: () => number[]): Tree {
  const nodes: {
    feature: number;
    threshold: number;
    missing: number;
    codes: Int32Array | null;
    left: number;
    right: number;
    value: number[];
  }[] = [];
  const grow = (level: number): number => {
    const at = nodes.length;
    if (level === 0 || (level < depth && rng() < 0.15)) {
      nodes.push({ feature: -1, threshold: 0, missing: 0, codes: null, left: -1, right: -1, value: leaf() });
      return at;
    }
    const feature = below(rng, features.length);
    const { kind } = features[feature]!;
    const f = features[feature]!;
    const codes =
      f.kind === 'code' && rng() < 0.95 ? Int32Array.from([...f.categories.keys()].filter(() => rng() < 0.4)) : null;
    const threshold =
      kind === 'date'
        ? 18_262 + below(rng, 4000) / 2
        : kind === 'boolean'
          ? 0.5
          : kind === 'code'
            ? below(rng, 10)
            : normal(rng) * 10;
    nodes.push({
      feature,
      threshold,
      missing: below(rng, 2),
      codes,
      left: 0,
      right: 0,
      value: leaf().fill(0),
    });
    nodes[at]!.left = grow(level - 1);
    nodes[at]!.right = grow(level - 1);
    return at;
  };
  grow(depth);
  return {
    feature: Int32Array.from(nodes, (n) => n.feature),
    threshold: Float32Array.from(nodes, (n) => n.threshold),
    missingLeft: Uint8Array.from(nodes, (n) => n.missing),
    leftCodes: nodes.map((n) => n.codes),
    left: Int32Array.from(nodes, (n) => n.left),
    right: Int32Array.from(nodes, (n) => n.right),
    value: Float32Array.from(nodes.flatMap((n) => n.value)),
  };
}

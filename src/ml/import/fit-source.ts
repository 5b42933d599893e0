/**
 * A model of a file, brought to the columns of a table: features by name, the library's category codes by what they stand for.
 *
 *   in the file       column of the table   becomes
 *   numbers           number, boolean       the column itself
 *   numbers           category              its place in the categories, which must be known (an ordinal encoding)
 *   categories        category              its place in the categories, which must be known
 *   categories        number, boolean       the column itself: it holds the codes, or the whole numbers that the codes stand for
 *
 * Dates have no counterpart: the libraries take numbers that somebody made of them.
 */
import { type Feature, type FittedModel, type InputColumn, type Tree } from '../core/model.js';
import { type Column, type Table } from '../core/table.js';
import { type Target } from '../core/target.js';
import { quote, unfit } from './problem.js';
import { LIMITS, type SourceFeature, type SourceLinear, type SourceModel, type SourceTrees } from './source.js';
import { sortedCodes } from './source-tree.js';

export interface ColumnRequest {
  readonly target: string;
  /** Columns of the table in the order of the file's features; null: those of the same names. */
  readonly columns: readonly string[] | null;
  /** By column what the codes 0, 1, ... stand for, before what the file says. */
  readonly categories: ReadonlyMap<string, readonly string[]>;
}

/** A feature of the file that has found its column. */
interface Placed {
  readonly feature: Feature;
  readonly input: InputColumn;
  /** What the file's code is in our feature; null: nothing that a row can have. */
  readonly codeOf: (code: number) => number | null;
}

/** The model, and by feature of the file the column that it takes; null where it takes none. */
export interface FittedSource {
  readonly fitted: FittedModel;
  readonly columns: readonly (string | null)[];
}

/**
 * The model for these columns; two classes are told apart at 0.5, as the libraries do.
 * @throws SpecError MODEL_DOES_NOT_FIT
 */
export function fitSource(source: SourceModel, table: Table, request: ColumnRequest, target: Target): FittedSource {
  const placed = placeFeatures(source, table, request);
  const kept = [...placed.keys()].filter((f) => placed[f] !== null);
  const inputs = new Map(kept.map((f) => [placed[f]!.input.name, placed[f]!.input]));
  const { body, base, link } = source;
  const features = kept.map((f) => placed[f]!.feature);
  const fitted: FittedModel = {
    model:
      body.family === 'trees'
        ? { ...body, trees: fitTrees(body, placed, kept), features, base, aggregate: 'sum', link }
        : { ...body, weights: keepWeights(body, placed.length, kept), features, intercept: base, link },
    task: target.task,
    classes: target.classes,
    threshold: 0.5,
    target: request.target,
    inputs: table.columns.flatMap(({ name }) => inputs.get(name) ?? []),
  };
  return { fitted, columns: placed.map((feature) => feature?.input.name ?? null) };
}

/** By feature of the file its column; null where there is none and no split needs it. */
function placeFeatures(source: SourceModel, table: Table, request: ColumnRequest): (Placed | null)[] {
  const columns = findColumns(source.features, table, request);
  const taken = new Set(columns.filter((column) => column !== null));
  if (taken.size < columns.filter((column) => column !== null).length)
    throw unfit('columns', 'Two features of the model have the same column.');
  const withLists = spreadLists(source, columns);
  const isUsed = usedFeatures(source);
  const placed = columns.map((column, f) => {
    const feature = withLists[f]!;
    if (column !== null)
      return place(feature, column, request.categories.get(column.name) ?? feature.categories, source);
    if (!isUsed[f]) return null;
    throw unfit(
      'columns',
      `The dataset has no column for the model’s feature ${quote(feature.name ?? `number ${f}`)}.`,
    );
  });
  if (placed.every((feature) => feature === null))
    throw unfit('columns', 'The dataset has none of the model’s columns.');
  return placed;
}

function findColumns(
  features: readonly SourceFeature[],
  table: Table,
  { columns, target }: ColumnRequest,
): (Column | null)[] {
  if (columns !== null && columns.length !== features.length)
    throw unfit('columns', `The model has ${features.length} features, but ${columns.length} columns are named.`);
  const names: readonly (string | null)[] = columns ?? features.map(({ name }) => name);
  if (names.includes(null))
    throw unfit('columns', `The file has no names for its ${features.length} features: name their columns, in order.`);
  const exact = new Map(table.columns.map((column) => [column.name, column]));
  // LightGBM puts an underline for every space.
  const underlined = new Map(table.columns.map((column) => [column.name.replace(/\s/g, '_'), column]));
  return names.map((name) => {
    const column = exact.get(name!) ?? (columns === null ? underlined.get(name!) : undefined) ?? null;
    if (column?.name === target) throw unfit('columns', `The model takes the target ${quote(target)} as a feature.`);
    if (columns !== null && column === null) throw unfit('columns', `There is no column ${quote(name!)}.`);
    return column;
  });
}

/** Lists of categories without a feature belong to the category columns, if there are as many of those. */
function spreadLists(source: SourceModel, columns: readonly (Column | null)[]): readonly SourceFeature[] {
  const { features, looseCategories: lists } = source;
  const at = [...columns.keys()].filter((f) => columns[f]?.kind === 'category');
  if (lists === null || lists.length !== at.length) return features;
  return features.map((feature, f) => (at.includes(f) ? { ...feature, categories: lists[at.indexOf(f)]! } : feature));
}

function usedFeatures({ body, features }: SourceModel): boolean[] {
  const isUsed = features.map(() => false);
  if (body.family === 'trees') {
    for (const { feature } of body.trees) for (const f of feature) if (f >= 0) isUsed[f] = true;
  } else {
    body.weights.forEach((weight, i) => (isUsed[i % features.length] ||= weight !== 0));
  }
  return isUsed;
}

function place(
  { isCategorical }: SourceFeature,
  column: Column,
  categories: readonly string[] | null,
  { body }: SourceModel,
): Placed {
  const { name, kind } = column;
  if (kind === 'date')
    throw unfit('columns', `The model takes numbers of ${quote(name)}, which holds dates: make a number column of it.`);
  if (body.family === 'linear' && kind === 'category')
    throw unfit('columns', `The model takes numbers of ${quote(name)}, which holds categories.`);
  if (kind !== 'category') {
    const values = isCategorical && categories !== null ? wholeValues(name, categories) : null;
    return {
      feature: { kind, column: name, impute: body.family === 'linear' ? 0 : null, mean: 0, scale: 1 },
      input: { name, kind, categories: null },
      codeOf: (code) => (values === null ? code : (values[code] ?? null)),
    };
  }
  if (categories === null)
    throw unfit(
      'categories',
      `The file does not say which categories of ${quote(name)} its codes stand for: give them in the order of the codes.`,
    );
  if (new Set(categories).size < categories.length || categories.length > LIMITS.codes)
    throw unfit('categories', `The categories of ${quote(name)} are too many, or one of them is there twice.`);
  return {
    feature: { kind: 'code', column: name, categories },
    input: { name, kind, categories },
    codeOf: (code) => (code < categories.length ? code : null),
  };
}

/** What a data frame's categories of numbers or booleans are in a column of those: `["1", "2"]`, `["False", "True"]`. */
function wholeValues(name: string, categories: readonly string[]): number[] {
  return categories.map((category) => {
    const value = /^(true|false)$/i.test(category) ? Number(/^true$/i.test(category)) : Number(category);
    if (category === '' || !Number.isInteger(value) || value < 0 || value >= LIMITS.codes)
      throw unfit('categories', `The model takes categories of ${quote(name)} that are no whole numbers from 0 on.`);
    return value;
  });
}

/** Features by their place in the model, and codes by ours. */
function fitTrees({ trees }: SourceTrees, placed: readonly (Placed | null)[], kept: readonly number[]): Tree[] {
  const at = new Int32Array(placed.length).fill(-1);
  kept.forEach((f, i) => (at[f] = i));
  return trees.map((tree) => ({
    ...tree,
    feature: tree.feature.map((f) => (f < 0 ? -1 : at[f]!)),
    leftCodes: tree.leftCodes.map((codes, node) => {
      if (codes === null) return null;
      const { codeOf } = placed[tree.feature[node]!]!;
      return sortedCodes(Array.from(codes, codeOf).filter((code) => code !== null));
    }),
  }));
}

/** Of outputs x features the columns that are kept. */
function keepWeights({ weights }: SourceLinear, features: number, kept: readonly number[]): Float32Array {
  const outputs = weights.length / features;
  return Float32Array.from({ length: outputs * kept.length }, (_, i) => {
    const output = Math.floor(i / kept.length);
    return weights[output * features + kept[i % kept.length]!]!;
  });
}

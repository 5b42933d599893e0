/**
 * Shapley values of a fitted model: how much each raw column moves the raw score (log-odds, share or value: what the model
 * sums before its link) of a row away from its mean over other rows. Always
 *
 *   raw score of the row = base + Σ over the columns φ
 *
 * The columns are the players: features made from one column are known or unknown together.
 *
 *   BACKGROUND  unknown columns take the values of background rows (interventional): true to the model
 *   PATH        unknown columns are averaged along the tree by the rows that went each way (path-dependent): true to the data, trees only
 *
 * Linear models: φ of a feature is weight x (value - background mean), exact for BACKGROUND (Štrumbelj and Kononenko, 2014).
 */
import { featureMatrix } from '../core/feature-matrix.js';
import {
  type CombinedModel,
  type FittedModel,
  type LinearModel,
  type Model,
  type SingleModel,
  type TreeModel,
} from '../core/model.js';
import { type Pace } from '../core/pace.js';
import { SpecError } from '../core/spec-error.js';
import { type Table } from '../core/table.js';
import { compileTrees } from '../core/walk.js';
import { backgroundShap } from './background-shap.js';
import { type ExplainRows, meanByCover, pathShap } from './tree-shap.js';
import { addCovers, type PlayerTrees } from './tree-walk.js';

export const SHAP_METHODS = ['BACKGROUND', 'PATH'] as const;
export type ShapMethod = (typeof SHAP_METHODS)[number];

export interface Explanation {
  /** The players, in the order of the model's inputs. */
  readonly columns: readonly string[];
  /** Raw outputs of the model. */
  readonly outputs: number;
  /** Mean raw score per output. */
  readonly base: Float64Array;
  /** rows x outputs x columns. */
  readonly values: Float64Array;
}

/** Rows explained between two rests. */
const CHUNK_ROWS = 8;

/**
 * @param rows       table rows to be explained
 * @param background table rows that stand for "unknown": some hundred for BACKGROUND, the training rows for PATH
 * @throws SpecError TASK_DOES_NOT_FIT for a combination that does not add up its members' raw scores, and for PATH without trees
 */
export async function explain(
  fitted: FittedModel,
  table: Table,
  rows: Uint32Array,
  background: Uint32Array,
  method: ShapMethod,
  pace: Pace,
): Promise<Explanation> {
  const columns = fitted.inputs.map(({ name }) => name);
  return explainModel(fitted.model, columns, table, rows, background, method, pace);
}

async function explainModel(
  model: Model,
  columns: readonly string[],
  table: Table,
  rows: Uint32Array,
  background: Uint32Array,
  method: ShapMethod,
  pace: Pace,
): Promise<Explanation> {
  if (model.family === 'trees') return explainTrees(model, columns, table, rows, background, method, pace);
  if (model.family === 'linear') {
    if (method === 'PATH') throw unfit('A linear model has no paths: take BACKGROUND.');
    return explainLinear(model, columns, table, rows, background);
  }
  if (!isSum(model))
    throw unfit('This combination mixes probabilities, which Shapley values of its members do not add up to.');
  const parts: Explanation[] = [];
  for (const member of model.members)
    parts.push(await explainModel(member, columns, table, rows, background, method, pace));
  const { outputs } = parts[0]!;
  const base = Float64Array.from(model.stack?.intercept ?? new Float64Array(outputs));
  const values = new Float64Array(parts[0]!.values.length);
  parts.forEach((part, m) => {
    const weight = model.weights[m]!;
    for (let k = 0; k < outputs; k++) base[k]! += weight * part.base[k]!;
    for (let at = 0; at < values.length; at++) values[at]! += weight * part.values[at]!;
  });
  return { columns, outputs, base, values };
}

async function explainTrees(
  model: TreeModel,
  columns: readonly string[],
  table: Table,
  rows: Uint32Array,
  background: Uint32Array,
  method: ShapMethod,
  pace: Pace,
): Promise<Explanation> {
  const trees: PlayerTrees = {
    trees: compileTrees(model),
    playerOf: playersOf(model, columns),
    players: columns.length,
  };
  const outputs = model.base.length;
  const width = model.features.length;
  const fill = featureMatrix(model.features, table);
  const matrix = (of: Uint32Array, from = 0, size = of.length): Float32Array => {
    const block = new Float32Array(size * width);
    fill(block, of, from, size);
    return block;
  };
  let explainRows: ExplainRows;
  let base: Float64Array;
  let cost: number;
  if (method === 'PATH') {
    const cover = new Float64Array(trees.trees.feature.length);
    const size = Math.max(1, Math.floor(BLOCK_FLOATS / Math.max(1, width)));
    for (let from = 0; from < background.length; from += size) {
      const part = Math.min(size, background.length - from);
      addCovers(trees.trees, matrix(background, from, part), part, cover);
      if (pace.isDue(part * trees.trees.roots.length * 8)) await pace.rest();
    }
    explainRows = pathShap(trees, cover);
    base = meanByCover(trees.trees, cover);
    cost = trees.trees.feature.length * 60;
  } else {
    explainRows = backgroundShap(trees, matrix(background), background.length);
    base = meanRaw(trees, matrix(background), background.length);
    cost = trees.trees.roots.length * background.length * 20;
  }
  const share = model.aggregate === 'mean' && model.trees.length > 0 ? model.trees.length : 1;
  const cells = outputs * columns.length;
  const values = new Float64Array(rows.length * cells);
  for (let from = 0; from < rows.length; from += CHUNK_ROWS) {
    const size = Math.min(CHUNK_ROWS, rows.length - from);
    explainRows(matrix(rows, from, size), size, values.subarray(from * cells, (from + size) * cells));
    if (pace.isDue(size * cost)) await pace.rest();
  }
  for (let at = 0; at < values.length; at++) values[at]! /= share;
  return { columns, outputs, base: base.map((sum, k) => sum / share + model.base[k]!), values };
}

const BLOCK_FLOATS = 1 << 16;

/** Mean of the trees' sums over the rows of the background. */
function meanRaw({ trees }: PlayerTrees, background: Float32Array, size: number): Float64Array {
  const cover = new Float64Array(trees.feature.length);
  addCovers(trees, background, size, cover);
  return meanByCover(trees, cover);
}

function explainLinear(
  model: LinearModel,
  columns: readonly string[],
  table: Table,
  rows: Uint32Array,
  background: Uint32Array,
): Explanation {
  const width = model.features.length;
  const outputs = model.intercept.length;
  const playerOf = playersOf(model, columns);
  const fill = featureMatrix(model.features, table);
  const x = new Float32Array(width);
  const means = new Float64Array(width);
  for (let b = 0; b < background.length; b++) {
    fill(x, background, b, 1);
    for (let f = 0; f < width; f++) means[f]! += x[f]! / background.length;
  }
  const base = Float64Array.from(model.intercept, (intercept, k) =>
    means.reduce((sum, mean, f) => sum + mean * model.weights[k * width + f]!, intercept),
  );
  const values = new Float64Array(rows.length * outputs * columns.length);
  for (let i = 0, at = 0; i < rows.length; i++) {
    fill(x, rows, i, 1);
    for (let k = 0; k < outputs; k++, at += columns.length)
      for (let f = 0; f < width; f++) values[at + playerOf[f]!]! += model.weights[k * width + f]! * (x[f]! - means[f]!);
  }
  return { columns, outputs, base, values };
}

/** Whether the raw score of a combination is the weighted sum of its members' raw scores. */
export function isSum({ members, stack }: CombinedModel): boolean {
  return members.every(({ link }) => link === 'identity') && (stack?.link ?? 'identity') === 'identity';
}

/** The player of each feature: the place of its column. */
export function playersOf({ features }: SingleModel, columns: readonly string[]): Int32Array {
  const index = new Map(columns.map((column, player) => [column, player]));
  return Int32Array.from(features, ({ column }) => {
    const player = index.get(column);
    if (player === undefined) throw new Error(`The column "${column}" is no input of the model.`);
    return player;
  });
}

function unfit(message: string): SpecError {
  return new SpecError('TASK_DOES_NOT_FIT', 'shap', message);
}

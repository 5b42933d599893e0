/**
 * What a fitted model keeps of its training rows so that single rows can be explained later, when there are no data: how many
 * passed each node of its trees, or the mean of each linear feature. Sums over many rows; no row can be read from them.
 */
import { featureMatrix } from '../core/feature-matrix.js';
import { type FittedModel, type SingleModel } from '../core/model.js';
import { type Pace } from '../core/pace.js';
import { type Table } from '../core/table.js';
import { compileTrees } from '../core/walk.js';
import { spread } from './permutation.js';
import { addCovers } from './tree-walk.js';

/** More rows would weigh the ways through a tree hardly better. */
const REFERENCE_ROWS = 10_000;
const BLOCK_FLOATS = 1 << 16;

/** @param rows table rows that stand for "unknown": the training rows */
export async function withReference(
  fitted: FittedModel,
  table: Table,
  rows: Uint32Array,
  pace: Pace,
): Promise<FittedModel> {
  if (rows.length === 0) return fitted;
  const some = Uint32Array.from(spread(rows.length, REFERENCE_ROWS), (i) => rows[i]!);
  const { model } = fitted;
  if (model.family !== 'combined') return { ...fitted, model: await measured(model, table, some, pace) };
  const members: SingleModel[] = [];
  for (const member of model.members) members.push(await measured(member, table, some, pace));
  return { ...fitted, model: { ...model, members } };
}

async function measured(model: SingleModel, table: Table, rows: Uint32Array, pace: Pace): Promise<SingleModel> {
  const fill = featureMatrix(model.features, table);
  const width = model.features.length;
  const blockRows = Math.max(1, Math.floor(BLOCK_FLOATS / Math.max(1, width)));
  const block = new Float32Array(Math.min(blockRows, rows.length) * width);
  const trees = model.family === 'trees' ? compileTrees(model) : null;
  const cover = new Float64Array(trees?.feature.length ?? 0);
  const mean = new Float64Array(trees ? 0 : width);
  for (let from = 0; from < rows.length; from += blockRows) {
    const size = Math.min(blockRows, rows.length - from);
    fill(block, rows, from, size);
    if (trees) addCovers(trees, block, size, cover);
    else for (let at = 0; at < size * width; at++) mean[at % width]! += block[at]! / rows.length;
    if (pace.isDue(size * (trees ? trees.roots.length * 8 : width))) await pace.rest();
  }
  // Counts of up to 10,000 rows are exact in float32, at half the size.
  return model.family === 'trees' ? { ...model, cover: Float32Array.from(cover) } : { ...model, mean };
}

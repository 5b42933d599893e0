/**
 * Explanations of single rows, as they are asked for: exact Shapley values of the raw score by what the model keeps of its training
 * rows (evaluate/reference.ts). Trees: path-dependent TreeSHAP; linear: weight x (value - mean); sums of such models: the sum.
 */
import { featureMatrix } from '../core/feature-matrix.js';
import { type FittedModel, type LinearModel, type SingleModel, type TreeModel } from '../core/model.js';
import { type CompiledTrees, compileTrees } from '../core/walk.js';
import { decodeFeeds, type Feeds } from '../onnx/encode.js';
import { type Explanation, isSum, playersOf } from './shap.js';
import { type ExplainRows, meanByCover, pathShap } from './tree-shap.js';

/** Steps of one row beyond which explaining would take seconds. */
const MOST_STEPS = 1e8;
/** Steps between two rests: some milliseconds, since requests wait for the same thread. */
const STEPS_PER_REST = 500_000;

interface Part {
  readonly model: SingleModel;
  readonly weight: number;
  readonly base: Float64Array;
  /** Adds φ of one row, whose features are `x`, to out (outputs x players); one step may be taken at a time. */
  readonly steps: readonly { readonly cost: number; add(x: Float32Array, out: Float64Array): void }[];
}

/** Why a model cannot be explained: a sentence for the one who asks. */
export class Unexplainable extends Error {
  override readonly name = 'Unexplainable';
}

export class Explainer {
  readonly columns: readonly string[];
  readonly outputs: number;
  /** What it holds in memory, roughly. */
  readonly sizeBytes: number;
  /** Mean raw score per output. */
  private readonly base: Float64Array;
  private readonly parts: readonly Part[];

  /** @throws Unexplainable */
  constructor(private readonly fitted: FittedModel) {
    const { model, inputs } = fitted;
    this.columns = inputs.map(({ name }) => name);
    if (model.family === 'combined' && !isSum(model))
      throw new Unexplainable('The model mixes the probabilities of others, which has no exact explanation.');
    this.parts =
      model.family === 'combined'
        ? model.members.map((member, m) => partOf(member, model.weights[m]!, this.columns))
        : [partOf(model, 1, this.columns)];
    this.outputs = this.parts[0]!.base.length;
    this.base =
      model.family === 'combined' && model.stack !== null
        ? Float64Array.from(model.stack.intercept)
        : new Float64Array(this.outputs);
    for (const { weight, base } of this.parts)
      for (let k = 0; k < this.outputs; k++) this.base[k]! += weight * base[k]!;
    const steps = this.parts.reduce((sum, part) => part.steps.reduce((all, { cost }) => all + cost, sum), 0);
    if (steps > MOST_STEPS) throw new Unexplainable('The model is too large to be explained while somebody waits.');
    this.sizeBytes = sizeOf(fitted);
  }

  /** Rests often, so that others are answered meanwhile. Throws the signal's reason when it is no longer wanted. */
  async explain(feeds: Feeds, signal: AbortSignal): Promise<Explanation> {
    const { columns, outputs, base, parts } = this;
    const table = decodeFeeds(this.fitted.inputs, feeds);
    const cells = outputs * columns.length;
    const values = new Float64Array(feeds.rowCount * cells);
    const own = new Float64Array(cells);
    let done = 0;
    for (const { model, weight, steps } of parts) {
      const fill = featureMatrix(model.features, table);
      const x = new Float32Array(model.features.length);
      for (let i = 0; i < feeds.rowCount; i++) {
        fill(x, null, i, 1);
        own.fill(0);
        for (const { cost, add } of steps) {
          add(x, own);
          done += cost;
          if (done < STEPS_PER_REST) continue;
          done = 0;
          await new Promise<void>((resolve) => setImmediate(resolve));
          signal.throwIfAborted();
        }
        for (let at = 0; at < cells; at++) values[i * cells + at]! += weight * own[at]!;
      }
    }
    return { columns, outputs, base, values };
  }
}

function partOf(model: SingleModel, weight: number, columns: readonly string[]): Part {
  return model.family === 'trees' ? treePart(model, weight, columns) : linearPart(model, weight, columns);
}

function treePart(model: TreeModel, weight: number, columns: readonly string[]): Part {
  if (model.cover === undefined) throw unmeasured();
  const trees = compileTrees(model);
  const cover = Float64Array.from(model.cover);
  const playerOf = playersOf(model, columns);
  const players = columns.length;
  const share = model.aggregate === 'mean' && model.trees.length > 0 ? model.trees.length : 1;
  const one = new Float64Array(model.base.length * players);
  const steps = groupsOf(trees).map(({ group, cost }) => {
    const explainRows: ExplainRows = pathShap({ trees: group, playerOf, players }, cover);
    const add = (x: Float32Array, out: Float64Array): void => {
      explainRows(x, 1, one);
      for (let at = 0; at < one.length; at++) out[at]! += one[at]! / share;
    };
    return { cost, add };
  });
  const base = meanByCover(trees, cover).map((sum, k) => sum / share + model.base[k]!);
  return { model, weight, base, steps };
}

/** Consecutive trees that take about as long as may pass between two rests. */
function groupsOf(trees: CompiledTrees): { group: CompiledTrees; cost: number }[] {
  const groups: { group: CompiledTrees; cost: number }[] = [];
  const { roots, treeOutput } = trees;
  let from = 0;
  let cost = 0;
  for (let t = 0; t < roots.length; t++) {
    cost += stepsOf((roots[t + 1] ?? trees.feature.length) - roots[t]!);
    if (cost < STEPS_PER_REST && t + 1 < roots.length) continue;
    const group = {
      ...trees,
      roots: roots.subarray(from, t + 1),
      treeOutput: treeOutput?.subarray(from, t + 1) ?? null,
    };
    groups.push({ group, cost });
    from = t + 1;
    cost = 0;
  }
  return groups;
}

/** Roughly leaves x depth², of a tree that is as deep as trees of so many nodes are. */
function stepsOf(nodes: number): number {
  const depth = 2 * Math.log2(nodes + 1);
  return (nodes / 2) * depth * depth;
}

function linearPart(model: LinearModel, weight: number, columns: readonly string[]): Part {
  const { mean, weights, intercept, features } = model;
  if (mean === undefined) throw unmeasured();
  const width = features.length;
  const playerOf = playersOf(model, columns);
  const base = Float64Array.from(intercept, (start, k) => {
    let sum = start;
    for (let f = 0; f < width; f++) sum += mean[f]! * weights[k * width + f]!;
    return sum;
  });
  const add = (x: Float32Array, out: Float64Array): void => {
    for (let k = 0; k < intercept.length; k++)
      for (let f = 0; f < width; f++)
        out[k * columns.length + playerOf[f]!]! += weights[k * width + f]! * (x[f]! - mean[f]!);
  };
  return { model, weight, base, steps: [{ cost: width * intercept.length, add }] };
}

function unmeasured(): Unexplainable {
  return new Unexplainable('The model was made before models kept what explanations need.');
}

/** The trees twice, as they are and compiled, some 60 bytes a node; weights; categories. */
function sizeOf({ model, inputs }: FittedModel): number {
  const members: readonly SingleModel[] = model.family === 'combined' ? model.members : [model];
  let bytes = 1 << 16;
  for (const member of members) {
    bytes += 200 * member.features.length;
    if (member.family === 'linear') bytes += 4 * member.weights.length;
    else for (const { feature, value } of member.trees) bytes += 500 + 60 * feature.length + 12 * value.length;
  }
  for (const { categories } of inputs) for (const category of categories ?? []) bytes += 100 + 4 * category.length;
  return bytes;
}

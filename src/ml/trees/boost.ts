/**
 * Gradient boosting (Friedman, "Greedy function approximation", 2001) with second-order leaf values (Chen & Guestrin,
 * "XGBoost", 2016): every round adds to each raw score F_k one tree grown on the derivatives of the loss by F_k.
 */
import { type OnRound } from '../core/learned.js';
import { type Loss } from '../core/loss.js';
import { type Tree } from '../core/model.js';
import { type Pace } from '../core/pace.js';
import { Rng } from '../core/rng.js';
import { type Parameters } from '../spec.js';
import { type BinnedTable } from './bins.js';
import { LeafwiseGrower } from './grow-leafwise.js';
import { addTree, type FeatureMatrix, findLeaf } from './score.js';

/** Binned and raw training rows, raw validation rows, and their targets (value, or class number; -1: a class unknown in training). */
export interface TreeData {
  readonly binned: BinnedTable;
  readonly train: FeatureMatrix;
  readonly y: Float64Array;
  readonly validation: FeatureMatrix;
  readonly validationY: Float64Array;
}

export interface Ensemble {
  /** Boosting: round by round, in each one tree per output. */
  readonly trees: readonly Tree[];
  readonly treeOutput: Int32Array | null;
  readonly base: Float32Array;
  readonly rounds: number;
  readonly bestRound: number;
  /** Gain by feature. */
  readonly gains: Float64Array;
}

/** Rounds, learning from the training rows and stopping by the validation rows. Same data, parameters and seed: same trees. */
export async function boost(
  data: TreeData,
  loss: Loss,
  parameters: Parameters<'GRADIENT_BOOSTING'>,
  seed: number,
  pace: Pace,
  onRound: OnRound,
): Promise<Ensemble> {
  const { rowCount, features } = data.binned;
  const rng = new Rng(seed);
  const gains = new Float64Array(features.length);
  const grower = new LeafwiseGrower(data.binned, leafwiseRules(parameters), gains, pace);
  const base = loss.initial(data.y);
  const arrays = (length: number, fill: boolean) =>
    Array.from(base, (start) => new Float64Array(length).fill(fill ? start : 0));
  const raw = arrays(rowCount, true);
  const validationRaw = arrays(data.validation.rowCount, true);
  const g = arrays(rowCount, false);
  const h = arrays(rowCount, false);
  const trees: Tree[] = [];
  const gainsByRound: Float64Array[] = [];
  let bestRound = 0;
  let bestLoss = Infinity;
  let round = 0;
  while (round < parameters.nEstimators) {
    loss.derivatives(raw, data.y, g, h);
    const sample = drawRows(rowCount, parameters.subsample, rng);
    const columns = drawColumns(features.length, parameters.colsample, rng);
    for (let k = 0; k < loss.outputs; k++) {
      const rows = sample.drawn.slice(); // growing reorders them
      const { tree, leaves } = await grower.grow(rows, g[k], h[k], columns);
      for (const leaf of leaves) for (let i = leaf.begin; i < leaf.end; i++) raw[k][rows[i]] += tree.value[leaf.node];
      for (const row of sample.rest) raw[k][row] += tree.value[findLeaf(tree, data.train.columns, row)];
      addTree(tree, data.validation, [validationRaw[k]]);
      trees.push(tree);
    }
    round++;
    gainsByRound.push(gains.slice());
    const validation = loss.mean(validationRaw, data.validationY);
    onRound(round, { name: loss.metric, train: loss.mean(raw, data.y), validation });
    await pace.rest();
    if (validation < bestLoss) {
      bestLoss = validation;
      bestRound = round;
    }
    if (parameters.earlyStoppingRounds > 0 && round - bestRound >= parameters.earlyStoppingRounds) break;
  }
  const kept = parameters.earlyStoppingRounds > 0 && bestRound > 0 ? bestRound : round;
  return {
    trees: trees.slice(0, kept * loss.outputs),
    treeOutput: Int32Array.from({ length: kept * loss.outputs }, (_, t) => t % loss.outputs),
    base,
    rounds: round,
    bestRound: kept,
    gains: gainsByRound[kept - 1],
  };
}

function leafwiseRules(p: Parameters<'GRADIENT_BOOSTING'>) {
  return {
    numLeaves: p.numLeaves,
    maxDepth: p.maxDepth,
    minRows: p.minSamplesLeaf,
    minHessian: p.minChildWeight,
    minSplitGain: p.minSplitGain,
    l2: p.regLambda,
    learningRate: p.learningRate,
    catSmooth: p.catSmooth,
    catL2: p.catL2,
  };
}

/** Rows drawn without replacement, in ascending order as the histograms like them, and the others. */
function drawRows(rowCount: number, share: number, rng: Rng): { drawn: Uint32Array; rest: Uint32Array } {
  const rows = Uint32Array.from({ length: rowCount }, (_, row) => row);
  if (share >= 1) return { drawn: rows, rest: new Uint32Array(0) };
  const count = Math.max(1, Math.round(rowCount * share));
  rng.shuffle(rows, count);
  return { drawn: rows.slice(0, count).sort(), rest: rows.slice(count) };
}

function drawColumns(columnCount: number, share: number, rng: Rng): Uint32Array {
  const columns = Uint32Array.from({ length: columnCount }, (_, f) => f);
  if (share >= 1) return columns;
  const count = Math.max(1, Math.round(columnCount * share));
  rng.shuffle(columns, count);
  return columns.slice(0, count).sort();
}

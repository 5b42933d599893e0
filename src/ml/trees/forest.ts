/**
 * Random forests (Breiman, "Random forests", 2001) and single trees (CART): deep trees whose leaves hold class shares or means;
 * a forest answers with the mean of its trees.
 */
import { type OnRound } from '../core/learned.js';
import { type Tree } from '../core/model.js';
import { type Pace } from '../core/pace.js';
import { Rng } from '../core/rng.js';
import { type Parameters } from '../spec.js';
import { type BinnedTable } from './bins.js';
import { type Ensemble } from './boost.js';
import { DeepGrower } from './grow-deep.js';
import { addTree, type FeatureMatrix } from './score.js';
import { classStatistic, gradientStatistic } from './statistic.js';

/** Binned training rows, raw validation rows, and their targets (value, or class number; -1: a class unknown in training). */
export interface TreeData {
  readonly binned: BinnedTable;
  readonly y: Float64Array;
  readonly validation: FeatureMatrix;
  readonly validationY: Float64Array;
}

/** @param classCount 0 for regression. */
export async function growForest(
  data: TreeData,
  classCount: number,
  p: Parameters<'RANDOM_FOREST'>,
  seed: number,
  pace: Pace,
  onRound: OnRound,
): Promise<Ensemble> {
  return growTrees(
    data,
    classCount,
    p,
    {
      count: p.nEstimators,
      bootstrap: p.bootstrap,
      featuresPerNode: featuresPerNode(p.maxFeatures, data.binned.features.length, classCount),
    },
    seed,
    pace,
    onRound,
  );
}

export async function growSingleTree(
  data: TreeData,
  classCount: number,
  p: Parameters<'DECISION_TREE'>,
  seed: number,
  pace: Pace,
  onRound: OnRound,
): Promise<Ensemble> {
  return growTrees(
    data,
    classCount,
    p,
    { count: 1, bootstrap: false, featuresPerNode: data.binned.features.length },
    seed,
    pace,
    onRound,
  );
}

function featuresPerNode(
  rule: Parameters<'RANDOM_FOREST'>['maxFeatures'],
  features: number,
  classCount: number,
): number {
  const chosen = rule === 'AUTO' ? (classCount > 0 ? 'SQRT' : 'HALF') : rule;
  const count = {
    SQRT: Math.sqrt(features),
    LOG2: Math.log2(features),
    THIRD: features / 3,
    HALF: features / 2,
    ALL: features,
  }[chosen];
  return Math.max(1, Math.round(count));
}

interface ForestShape {
  readonly count: number;
  readonly bootstrap: boolean;
  readonly featuresPerNode: number;
}

async function growTrees(
  data: TreeData,
  classCount: number,
  p: Parameters<'DECISION_TREE'>,
  shape: ForestShape,
  seed: number,
  pace: Pace,
  onRound: OnRound,
): Promise<Ensemble> {
  const { rowCount, features } = data.binned;
  const weights = new Float64Array(rowCount).fill(1);
  const rules = { minRows: p.minSamplesLeaf, minHessian: 0, l2: 0, catSmooth: p.catSmooth, catL2: p.catL2 };
  const statistic =
    classCount > 2
      ? classStatistic(data.y, weights, classCount, rules)
      : gradientStatistic(data.y, weights, classCount === 2, rules);
  const gains = new Float64Array(features.length);
  const grower = new DeepGrower(data.binned, statistic, { ...p, featuresPerNode: shape.featuresPerNode }, gains, pace);
  const trees: Tree[] = [];
  const sums = Array.from({ length: statistic.width }, () => new Float64Array(data.validation.rowCount));
  for (let t = 0; t < shape.count; t++) {
    const rng = new Rng(seed, t + 1);
    if (shape.bootstrap) drawWithReplacement(weights, rng);
    const rows = Uint32Array.from({ length: rowCount }, (_, row) => row).filter((row) => weights[row] > 0);
    const tree = await grower.grow(rows, rng);
    trees.push(tree);
    addTree(tree, data.validation, sums);
    onRound(t + 1, {
      name: classCount > 0 ? 'logLoss' : 'rmse',
      validation: meanLoss(sums, t + 1, data.validationY, classCount),
    });
    await pace.rest();
  }
  return {
    trees,
    treeOutput: null,
    base: new Float32Array(statistic.width),
    rounds: shape.count,
    bestRound: shape.count,
    gains,
  };
}

/** weights[row] = how often the row is drawn in rowCount draws. */
function drawWithReplacement(weights: Float64Array, rng: Rng): void {
  weights.fill(0);
  for (let i = 0; i < weights.length; i++) weights[rng.below(weights.length)]++;
}

/** Log loss of the mean shares or RMSE of the mean values of `count` trees. */
function meanLoss(sums: readonly Float64Array[], count: number, y: Float64Array, classCount: number): number {
  let sum = 0;
  for (let i = 0; i < y.length; i++) {
    if (classCount === 0) sum += (sums[0][i] / count - y[i]) ** 2;
    else sum -= Math.log(Math.max(y[i] < 0 ? 0 : sums[y[i]][i] / count, LEAST_SHARE));
  }
  return classCount === 0 ? Math.sqrt(sum / y.length) : sum / y.length;
}

/** A forest's share of 0 is an estimate from few rows; for the progress shown it counts as this. */
const LEAST_SHARE = 1e-3;

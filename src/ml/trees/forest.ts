/**
 * Random forests (Breiman, "Random forests", 2001), extra trees (Geurts, Ernst & Wehenkel, "Extremely randomized trees", 2006) and
 * single trees (CART): deep trees whose leaves hold class shares or means; a forest answers with the mean of its trees.
 */
import { type OnRound, type OutOfBag } from '../core/learned.js';
import { type Tree } from '../core/model.js';
import { type Pace } from '../core/pace.js';
import { SpecError } from '../core/spec-error.js';
import { type Parameters } from '../spec.js';
import { type Ensemble } from './boost.js';
import { DeepGrower, type DeepRules } from './grow-deep.js';
import { type KernelMemory } from './kernel-memory.js';
import { type KernelTable } from './kernel-table.js';
import { OutOfBagSums } from './out-of-bag.js';
import { addTree, type FeatureMatrix } from './score.js';

/** Binned training rows, raw validation rows, and their targets (value, or class number; -1: a class unknown in training). */
export interface TreeData {
  readonly memory: KernelMemory;
  readonly binned: KernelTable;
  readonly y: Float64Array;
  /** What each training row counts; null: 1 each. */
  readonly weights: Float64Array | null;
  readonly validation: FeatureMatrix;
  readonly validationY: Float64Array;
  readonly validationWeights: Float64Array | null;
}

/** What every kind of tree takes. */
export type TreeParameters = Pick<
  Parameters<'DECISION_TREE'>,
  'criterion' | 'maxDepth' | 'minSamplesLeaf' | 'minSamplesSplit' | 'catSmooth' | 'catL2' | 'leafSmooth'
>;

/** What a single tree, a forest and extra trees have in common. */
export interface ForestShape {
  readonly nEstimators: number;
  readonly bootstrap: boolean;
  /** Share of the rows that each tree draws. */
  readonly maxSamples: number;
  readonly maxFeatures: Parameters<'RANDOM_FOREST'>['maxFeatures'];
  readonly isRandom: boolean;
}

export interface Forest extends Ensemble {
  /** Null where no row was left out of any tree. */
  readonly outOfBag: OutOfBag | null;
}

/** @param classCount 0 for regression. */
export async function growForest(
  data: TreeData,
  classCount: number,
  p: TreeParameters,
  shape: ForestShape,
  seed: number,
  pace: Pace,
  onRound: OnRound,
): Promise<Forest> {
  const { binned, memory, y } = data;
  const { rowCount, features } = binned;
  const width = Math.max(1, classCount);
  const criterion = criterionOf(p.criterion, classCount);
  const order = criterion === 'ABSOLUTE' ? ascending(y) : null;
  let mean = 0;
  if (order !== null) mean = y[order[rowCount >> 1]];
  else if (classCount === 0) mean = y.reduce((sum, value) => sum + value, 0) / rowCount;
  const rules: DeepRules = {
    ...p,
    ...{ criterion, width, mean, shares: sharesOf(data, classCount) },
    featuresPerNode: featuresPerNode(shape.maxFeatures, features.length, classCount),
    isRandom: shape.isRandom,
    draws: Math.max(1, Math.round(shape.maxSamples * rowCount)),
    bootstrap: shape.bootstrap,
  };
  const grower = new DeepGrower(memory, binned, rules, lessons(data, rules), order);
  const trees: Tree[] = [];
  const gains = new Float64Array(features.length);
  const sums = Array.from({ length: width }, () => new Float64Array(data.validation.rowCount));
  const outOfBag = new OutOfBagSums(y, classCount);
  await grower.grow(shape.nEstimators, seed, pace, (grown, t) => {
    trees.push(grown.tree);
    grown.gains.forEach((gain, f) => (gains[f] += gain));
    if (rules.draws < rowCount || rules.bootstrap) outOfBag.add(grown.spared, grown.values);
    addTree(grown.tree, data.validation, sums);
    onRound(t + 1, {
      name: classCount > 0 ? 'logLoss' : 'rmse',
      validation: meanLoss(sums, t + 1, data, classCount),
    });
  });
  return {
    trees,
    treeOutput: null,
    base: new Float32Array(width),
    rounds: trees.length,
    bestRound: trees.length,
    gains,
    outOfBag: outOfBag.finish(),
  };
}

/** What the criterion is for the task. Gini's impurity of two classes is twice their squared error, whose sums are faster. */
function criterionOf(asked: Parameters<'DECISION_TREE'>['criterion'], classCount: number): DeepRules['criterion'] {
  const criterion = asked === 'AUTO' ? (classCount > 0 ? 'GINI' : 'SQUARED') : asked;
  const isForClasses = criterion === 'GINI' || criterion === 'ENTROPY';
  if (isForClasses !== classCount > 0)
    throw new SpecError(
      'TASK_DOES_NOT_FIT',
      'criterion',
      classCount > 0
        ? `${criterion} is for numbers; for classes take GINI or ENTROPY.`
        : `${criterion} is for classes; for numbers take SQUARED or ABSOLUTE.`,
    );
  return criterion === 'GINI' && classCount === 2 ? 'SQUARED' : criterion;
}

/** Of the classes, by weight. */
function sharesOf({ y, weights }: TreeData, classCount: number): Float64Array {
  const sums = new Float64Array(classCount);
  if (classCount === 0) return sums;
  y.forEach((k, i) => (sums[k] += weights === null ? 1 : weights[i]));
  const total = sums.reduce((sum, weight) => sum + weight, 0);
  return sums.map((weight) => weight / total);
}

function featuresPerNode(rule: ForestShape['maxFeatures'], features: number, classCount: number): number {
  const chosen = rule === 'AUTO' ? (classCount > 0 ? 'SQRT' : 'HALF') : rule;
  const count = {
    SQRT: Math.sqrt(features),
    LOG2: Math.log2(features),
    THIRD: features / 3,
    HALF: features / 2,
    ALL: features,
  }[chosen];
  return Math.max(1, Math.floor(count));
}

/** What each row teaches, and what it counts: see kernels/deep-state.ts. */
function lessons({ y, weights }: TreeData, { criterion, mean }: DeepRules): Float64Array {
  const made = new Float64Array(2 * y.length);
  for (let i = 0; i < y.length; i++) {
    const weight = weights === null ? 1 : weights[i];
    made[2 * i] = (criterion === 'SQUARED' ? weight : 1) * (y[i] - mean);
    made[2 * i + 1] = weight;
  }
  return made;
}

function ascending(y: Float64Array): Uint32Array {
  return Uint32Array.from(y, (_, row) => row).sort((a, b) => y[a] - y[b] || a - b);
}

/** Log loss of the mean shares or RMSE of the mean values of `count` trees, on the validation rows. */
function meanLoss(
  sums: readonly Float64Array[],
  count: number,
  { validationY: y, validationWeights: weights }: TreeData,
  classCount: number,
): number {
  let sum = 0;
  let total = 0;
  for (let i = 0; i < y.length; i++) {
    const weight = weights === null ? 1 : weights[i];
    total += weight;
    if (classCount === 0) sum += weight * (sums[0][i] / count - y[i]) ** 2;
    else sum -= weight * Math.log(Math.max(y[i] < 0 ? 0 : sums[y[i]][i] / count, LEAST_SHARE));
  }
  return classCount === 0 ? Math.sqrt(sum / total) : sum / total;
}

/** A forest's share of 0 is an estimate from few rows; for the progress shown it counts as this. */
const LEAST_SHARE = 1e-3;

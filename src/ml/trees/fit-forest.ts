/** Learning trees that answer with their mean: features, bins, growth, and the fitted model as plain data. */
import { type TreeFeatureParameters } from '../features/feature-spec.js';
import { featureColumns } from '../features/tabular.js';
import { type Learned, type Lesson, pick } from '../core/learned.js';
import { Rng } from '../core/rng.js';
import { type Parameters } from '../spec.js';
import { BINNING_STREAM, fitFeatures, learnedTrees } from './fit.js';
import { type ForestShape, growForest, type TreeParameters } from './forest.js';
import { KernelMemory, threadsFor } from './kernel-memory.js';
import { binTable } from './kernel-table.js';

export async function fitSingleTree(lesson: Lesson, parameters: Parameters<'DECISION_TREE'>): Promise<Learned> {
  const shape = { nEstimators: 1, bootstrap: false, maxSamples: 1, maxFeatures: 'ALL', isRandom: false } as const;
  return fitMean(lesson, parameters, shape);
}

export async function fitForest(lesson: Lesson, parameters: Parameters<'RANDOM_FOREST'>): Promise<Learned> {
  return fitMean(lesson, parameters, { ...parameters, isRandom: false });
}

export async function fitExtraTrees(lesson: Lesson, parameters: Parameters<'EXTRA_TREES'>): Promise<Learned> {
  return fitMean(lesson, { ...parameters, catSmooth: 0, catL2: 0 }, { ...parameters, isRandom: true });
}

async function fitMean(
  lesson: Lesson,
  p: TreeParameters & TreeFeatureParameters & { readonly maxBins: number },
  shape: ForestShape,
): Promise<Learned> {
  const { table, target, trainRows, validationRows, seed, pace, onRound } = lesson;
  const fitted = fitFeatures(lesson, p);
  const work = trainRows.length * fitted.features.length * Math.min(shape.nEstimators, TREES_THAT_COUNT);
  // One tree grows on one thread.
  const threads = lesson.threads ?? (shape.nEstimators === 1 ? 1 : threadsFor(work));
  const memory = new KernelMemory(threads);
  try {
    const rng = new Rng(seed, BINNING_STREAM);
    const data = {
      memory,
      binned: await binTable(memory, { ...fitted.training, trainRows, pace }, p.maxBins, rng, false),
      y: pick(target.y, trainRows),
      weights: lesson.weights && pick(lesson.weights, trainRows),
      validation: {
        rowCount: validationRows.length,
        columns: featureColumns(fitted.features, table, validationRows),
      },
      validationY: pick(target.y, validationRows),
      validationWeights: lesson.weights && pick(lesson.weights, validationRows),
    };
    const { outOfBag, ...forest } = await growForest(data, target.classes?.length ?? 0, p, shape, seed, pace, onRound);
    return { ...learnedTrees(fitted, forest, 'mean', 'identity'), outOfBag };
  } finally {
    await memory.close();
  }
}

/** A tree costs as much as some passes over the table; more trees than this make no difference to the number of threads. */
const TREES_THAT_COUNT = 20;

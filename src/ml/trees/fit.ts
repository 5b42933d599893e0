/** Learning a tree model: features, bins, growth, and the fitted model as plain data. */
import { featureColumns, type FittedFeatures, fitTreeFeatures } from '../features/tabular.js';
import { type TreeFeatureParameters } from '../features/feature-spec.js';
import { codeCount } from '../core/feature-matrix.js';
import { type Learned, type Lesson, pick } from '../core/learned.js';
import { type Link } from '../core/model.js';
import { Rng } from '../core/rng.js';
import { SpecError } from '../core/spec-error.js';
import { type Parameters } from '../spec.js';
import { binCodes, type BinnedFeature, binNumbers } from './bins.js';
import { boost, type Ensemble } from './boost.js';
import { growForest, growSingleTree, type TreeData } from './forest.js';
import { KernelMemory, threadsFor } from './kernel-memory.js';
import { binTable } from './kernel-table.js';
import { lossOf } from './objective.js';

export async function fitBoosting(lesson: Lesson, parameters: Parameters<'GRADIENT_BOOSTING'>): Promise<Learned> {
  const { target, trainRows, validationRows, seed, pace } = lesson;
  const fitted = fitFeatures(lesson, parameters);
  const loss = lossOf(target, parameters, trainRows, validationRows);
  const memory = new KernelMemory(lesson.threads ?? threadsFor(trainRows.length * fitted.features.length));
  try {
    const rng = new Rng(seed, BINNING_STREAM);
    const binned = await binTable(memory, { ...lesson, ...fitted.training }, parameters.maxBins, rng);
    const columns = featureColumns(fitted.features, lesson.table, validationRows);
    const data = {
      memory,
      binned,
      y: pick(target.y, trainRows),
      weights: lesson.weights && pick(lesson.weights, trainRows),
      validation: { rowCount: validationRows.length, columns },
      validationY: pick(target.y, validationRows),
      validationWeights: lesson.weights && pick(lesson.weights, validationRows),
    };
    return learned(fitted, await boost(data, loss, parameters, seed, pace, lesson.onRound), 'sum', loss.link);
  } finally {
    await memory.close();
  }
}

export async function fitForest(lesson: Lesson, parameters: Parameters<'RANDOM_FOREST'>): Promise<Learned> {
  const classCount = lesson.target.classes?.length ?? 0;
  return fitMean(lesson, parameters, (data) =>
    growForest(data, classCount, parameters, lesson.seed, lesson.pace, lesson.onRound),
  );
}

export async function fitSingleTree(lesson: Lesson, parameters: Parameters<'DECISION_TREE'>): Promise<Learned> {
  const classCount = lesson.target.classes?.length ?? 0;
  return fitMean(lesson, parameters, (data) =>
    growSingleTree(data, classCount, parameters, lesson.seed, lesson.pace, lesson.onRound),
  );
}

function fitFeatures(lesson: Lesson, parameters: TreeFeatureParameters): FittedFeatures {
  const fitted = fitTreeFeatures(lesson, parameters);
  if (fitted.features.length > 0) return fitted;
  throw new SpecError('NO_USABLE_FEATURES', 'features', `No column is of use. ${fitted.warnings.join(' ')}`);
}

/** Trees that answer with their mean. */
async function fitMean(
  lesson: Lesson,
  parameters: TreeFeatureParameters & { readonly maxBins: number },
  grow: (data: TreeData) => Promise<Ensemble>,
): Promise<Learned> {
  const { table, target, trainRows, validationRows, seed, pace } = lesson;
  const fitted = fitFeatures(lesson, parameters);
  const rng = new Rng(seed, BINNING_STREAM);
  const features: BinnedFeature[] = [];
  const validationColumns: Float32Array[] = [];
  for (const [f, feature] of fitted.features.entries()) {
    const [values] = featureColumns([fitted.training.features[f]], fitted.training.table, trainRows);
    features.push(
      feature.kind === 'code' ? binCodes(values, codeCount(feature)) : binNumbers(values, parameters.maxBins, rng),
    );
    validationColumns.push(...featureColumns([feature], table, validationRows));
    if (pace.isDue(table.rowCount * BINNING_COST)) await pace.rest();
  }
  const ensemble = await grow({
    binned: { rowCount: trainRows.length, features },
    y: pick(target.y, trainRows),
    validation: { rowCount: validationRows.length, columns: validationColumns },
    validationY: pick(target.y, validationRows),
  });
  return learned(fitted, ensemble, 'mean', 'identity');
}

function learned(fitted: FittedFeatures, ensemble: Ensemble, aggregate: 'sum' | 'mean', link: Link): Learned {
  const { trees, treeOutput, base, rounds, bestRound, gains } = ensemble;
  return {
    model: { family: 'trees', features: fitted.features, trees, treeOutput, base, aggregate, link },
    fitted,
    contributions: gains,
    rounds,
    bestRound,
  };
}

/** Stream of the seed from which binning draws its sample; growing uses streams from 0 on. */
const BINNING_STREAM = 0xb1b1b1;

/** Work of binning one value, in units of Pace: mostly its part in a sort. */
const BINNING_COST = 20;

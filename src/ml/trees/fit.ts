/** Learning a boosted model: features, bins, growth, and the fitted model as plain data. */
import { type Constraints } from '../core/constraint.js';
import { featureColumns, type FittedFeatures, fitTreeFeatures } from '../features/tabular.js';
import { type TreeFeatureParameters } from '../features/feature-spec.js';
import { type Learned, type Lesson, pick } from '../core/learned.js';
import { type Link } from '../core/model.js';
import { Rng } from '../core/rng.js';
import { SpecError } from '../core/spec-error.js';
import { stoppingMetric } from '../core/stopping-metric.js';
import { type Parameters } from '../spec.js';
import { boost, type Ensemble } from './boost.js';
import { checkBoosting } from './boosting-spec.js';
import { directionsOf, groupsOf } from './constrain.js';
import { KernelMemory, threadsFor } from './kernel-memory.js';
import { binTable } from './kernel-table.js';
import { lossOf } from './objective.js';
import { goOnFrom } from './warm-start.js';

export async function fitBoosting(
  lesson: Lesson,
  parameters: Parameters<'GRADIENT_BOOSTING'>,
  constraints: Constraints | null = null,
): Promise<Learned> {
  const { target, trainRows, validationRows, seed, pace } = lesson;
  checkBoosting(parameters);
  const fitted = fitFeatures(lesson, parameters);
  const loss = lossOf(target, parameters, trainRows, validationRows);
  const watch = stoppingMetric(parameters.stoppingMetric, loss, target.task, parameters.quantileAlpha);
  if (loss.renewal !== null && constraints?.monotone?.length)
    throw new SpecError(
      'BAD_PARAMETER',
      'constraints.monotone',
      `The objective ${parameters.objective} sets its leaves by residuals, which keep to no order: take another one.`,
    );
  const parts = { train: trainRows, validation: validationRows };
  const earlier =
    lesson.warmStart && goOnFrom(lesson.warmStart, fitted.features, { target, loss }, lesson.table, parts);
  const memory = new KernelMemory(lesson.threads ?? threadsFor(trainRows.length * fitted.features.length));
  try {
    const yAt = memory.allocate(Math.ceil(trainRows.length / 4) * 32);
    const y = pick(target.y, trainRows, memory.float64(yAt, trainRows.length));
    const rng = new Rng(seed, BINNING_STREAM);
    const binned = await binTable(memory, { ...lesson, ...fitted.training }, parameters.maxBins, rng);
    const columns = featureColumns(fitted.features, lesson.table, validationRows);
    const data = {
      memory,
      binned,
      directions: directionsOf(constraints, fitted.features),
      groups: groupsOf(constraints, fitted.features),
      y,
      yAt,
      weights: lesson.weights && pick(lesson.weights, trainRows),
      validation: { rowCount: validationRows.length, columns },
      validationY: pick(target.y, validationRows),
      validationWeights: lesson.weights && pick(lesson.weights, validationRows),
      earlier: earlier ?? null,
    };
    const ensemble = await boost(data, loss, watch, parameters, seed, pace, lesson.onRound);
    return learnedTrees(fitted, ensemble, 'sum', loss.link);
  } finally {
    await memory.close();
  }
}

export function fitFeatures(lesson: Lesson, parameters: TreeFeatureParameters): FittedFeatures {
  const fitted = fitTreeFeatures(lesson, parameters);
  if (fitted.features.length > 0) return fitted;
  throw new SpecError('NO_USABLE_FEATURES', 'features', `No column is of use. ${fitted.warnings.join(' ')}`);
}

export function learnedTrees(
  fitted: FittedFeatures,
  ensemble: Ensemble,
  aggregate: 'sum' | 'mean',
  link: Link,
): Learned {
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
export const BINNING_STREAM = 0xb1b1b1;

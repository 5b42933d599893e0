/** Learning a linear model: features, weights, and the fitted model as plain data. */
import { fitLinearFeatures } from '../features/tabular.js';
import { type Learned, type Lesson, pick } from '../core/learned.js';
import { logistic, softmax } from '../core/loss.js';
import { SpecError } from '../core/spec-error.js';
import { type Parameters } from '../spec.js';
import { type Design, deviations, makeDesign, multiply } from './design.js';
import { fitLogistic } from './logistic.js';
import { fitRidge } from './ridge.js';
import { type Weights } from './weights.js';

/** The normal equations of this many features take 130 MB and some tens of seconds. */
const MAX_FEATURES = 4096;

export async function fitLinear(lesson: Lesson, parameters: Parameters<'LINEAR'>): Promise<Learned> {
  const { table, target, trainRows, validationRows } = lesson;
  const fitted = fitLinearFeatures(lesson, parameters);
  const count = fitted.features.length;
  if (count === 0)
    throw new SpecError('NO_USABLE_FEATURES', 'features', `No column is of use. ${fitted.warnings.join(' ')}`);
  if (count > MAX_FEATURES) {
    throw new SpecError(
      'TOO_MANY_FEATURES',
      'features',
      `The columns make ${count} features, a linear model takes ${MAX_FEATURES}: leave out columns of many categories, or take a tree model.`,
    );
  }
  const train = makeDesign(fitted.training.features, fitted.training.table, trainRows);
  const validation = makeDesign(fitted.features, table, validationRows);
  const y = pick(target.y, trainRows);
  const validationY = pick(target.y, validationRows);
  const solved =
    target.task === 'regression'
      ? await solveRidge(lesson, train, y, validation, validationY, parameters.l2)
      : await fitLogistic(
          train,
          y,
          validation,
          validationY,
          target.task === 'binary' ? logistic : softmax(target.classes!.length),
          parameters,
          lesson.pace,
          lesson.onRound,
        );
  const link = target.task === 'regression' ? 'identity' : target.task === 'binary' ? 'sigmoid' : 'softmax';
  return {
    model: { family: 'linear', features: fitted.features, weights: solved.weights, intercept: solved.intercept, link },
    fitted,
    contributions: contributions(train, solved),
    rounds: solved.rounds,
    bestRound: solved.rounds,
  };
}

async function solveRidge(
  lesson: Lesson,
  train: Design,
  y: Float64Array,
  validation: Design,
  validationY: Float64Array,
  l2: number,
): Promise<Weights> {
  const solved = await fitRidge(train, y, l2, lesson.pace);
  const rmse = (design: Design, actual: Float64Array): number => {
    const scores = new Float64Array(actual.length);
    multiply(design, Float64Array.from(solved.weights), solved.intercept[0], scores);
    return Math.sqrt(scores.reduce((sum, score, i) => sum + (score - actual[i]) ** 2, 0) / scores.length);
  };
  lesson.onRound(1, { name: 'rmse', train: rmse(train, y), validation: rmse(validation, validationY) });
  return solved;
}

/** |weight| x deviation of the feature, summed over the outputs: how far the feature moves the scores. */
function contributions(train: Design, { weights }: Weights): Float64Array {
  const spread = deviations(train);
  const sums = new Float64Array(train.width);
  weights.forEach((weight, i) => (sums[i % train.width] += Math.abs(weight) * spread[i % train.width]));
  return sums;
}

/** Learning a linear model: features, weights, and the fitted model as plain data. */
import { fitLinearFeatures } from '../features/tabular.js';
import { type Learned, type Lesson, pick } from '../core/learned.js';
import { logistic, softmax } from '../core/loss.js';
import { squaredError } from '../core/residual-loss.js';
import { SpecError } from '../core/spec-error.js';
import { type Parameters } from '../spec.js';
import { type LinearData, type Rows } from './data.js';
import { type Design, deviations, makeDesign } from './design.js';
import { fitElasticNet } from './elastic-net.js';
import { fitLogistic, meanLoss } from './logistic.js';
import { fitProximal } from './proximal.js';
import { fitRidge } from './ridge.js';
import { type Weights } from './weights.js';

/** The normal equations of this many features take 130 MB and some tens of seconds. */
const MAX_FEATURES = 4096;

export async function fitLinear(lesson: Lesson, parameters: Parameters<'LINEAR'>): Promise<Learned> {
  const { table, target, trainRows, validationRows, weights, pace } = lesson;
  const fitted = fitLinearFeatures(lesson, parameters);
  const count = fitted.features.length;
  if (count === 0)
    throw new SpecError('NO_USABLE_FEATURES', 'features', `No column is of use. ${fitted.warnings.join(' ')}`);
  if (count > MAX_FEATURES) {
    throw new SpecError(
      'TOO_MANY_FEATURES',
      'features',
      `The columns make ${count} features, a linear model takes ${MAX_FEATURES}: leave out columns of many categories, encode them by TARGET, or take a tree model.`,
    );
  }
  const rowsOf = (design: Design, rows: Uint32Array): Rows => ({
    design,
    y: pick(target.y, rows),
    weights: weights && pick(weights, rows),
  });
  const data: LinearData = {
    train: rowsOf(makeDesign(fitted.training.features, fitted.training.table, trainRows), trainRows),
    validation: rowsOf(makeDesign(fitted.features, table, validationRows), validationRows),
    pace,
    onStep: lesson.onRound,
  };
  const solved =
    target.task === 'regression'
      ? await fitNumbers(data, parameters)
      : await fitClasses(data, target.task === 'binary' ? 2 : target.classes!.length, parameters);
  const link = target.task === 'regression' ? 'identity' : target.task === 'binary' ? 'sigmoid' : 'softmax';
  return {
    model: { family: 'linear', features: fitted.features, weights: solved.weights, intercept: solved.intercept, link },
    fitted,
    contributions: contributions(data.train.design, solved),
    rounds: solved.rounds,
    bestRound: solved.rounds,
  };
}

function fitClasses(data: LinearData, classes: number, { l1, l2, ...stop }: Parameters<'LINEAR'>): Promise<Weights> {
  const loss = classes === 2 ? logistic : softmax(classes);
  return l1 > 0 ? fitProximal(data, loss, { l1, l2 }, stop) : fitLogistic(data, loss, l2, stop);
}

async function fitNumbers(data: LinearData, { l1, l2, ...stop }: Parameters<'LINEAR'>): Promise<Weights> {
  const { train, validation, pace, onStep } = data;
  const solved = l1 > 0 ? await fitElasticNet(train, { l1, l2 }, stop, pace) : await fitRidge(train, l2, pace);
  const rmse = (rows: Rows): number => {
    const raw = [new Float64Array(rows.y.length)];
    return meanLoss(squaredError, rows, [Float64Array.from(solved.weights)], Float64Array.from(solved.intercept), raw);
  };
  onStep(solved.rounds, { name: squaredError.metric, train: rmse(train), validation: rmse(validation) });
  return solved;
}

/** |weight| x deviation of the feature, summed over the outputs: how far the feature moves the scores. */
function contributions(train: Design, { weights }: Weights): Float64Array {
  const spread = deviations(train);
  const sums = new Float64Array(train.width);
  weights.forEach((weight, i) => (sums[i % train.width] += Math.abs(weight) * spread[i % train.width]));
  return sums;
}

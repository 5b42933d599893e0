/** Learning a tree model: features, bins, growth, and the fitted model as plain data. */
import { featureColumns, fitTreeFeatures } from '../features/tabular.js';
import { type Learned, type Lesson, pick } from '../core/learned.js';
import { logistic, type Loss, softmax, squaredError } from '../core/loss.js';
import { type Link } from '../core/model.js';
import { Rng } from '../core/rng.js';
import { SpecError } from '../core/spec-error.js';
import { type Target } from '../core/target.js';
import { type Parameters } from '../spec.js';
import { binCodes, type BinnedFeature, binNumbers } from './bins.js';
import { boost, type Ensemble, type TreeData } from './boost.js';
import { growForest, growSingleTree } from './forest.js';

export async function fitBoosting(lesson: Lesson, parameters: Parameters<'GRADIENT_BOOSTING'>): Promise<Learned> {
  const loss = lossOf(lesson.target);
  return fit(lesson, parameters.maxBins, 'sum', loss.link, (data) =>
    boost(data, loss, parameters, lesson.seed, lesson.pace, lesson.onRound),
  );
}

export async function fitForest(lesson: Lesson, parameters: Parameters<'RANDOM_FOREST'>): Promise<Learned> {
  const classCount = lesson.target.classes?.length ?? 0;
  return fit(lesson, parameters.maxBins, 'mean', 'identity', (data) =>
    growForest(data, classCount, parameters, lesson.seed, lesson.pace, lesson.onRound),
  );
}

export async function fitSingleTree(lesson: Lesson, parameters: Parameters<'DECISION_TREE'>): Promise<Learned> {
  const classCount = lesson.target.classes?.length ?? 0;
  return fit(lesson, parameters.maxBins, 'mean', 'identity', (data) =>
    growSingleTree(data, classCount, parameters, lesson.seed, lesson.pace, lesson.onRound),
  );
}

/** The loss of a task: squared error, or log loss of two or more classes. */
export function lossOf({ task, classes }: Target): Loss {
  if (task === 'regression') return squaredError;
  return task === 'binary' ? logistic : softmax(classes!.length);
}

async function fit(
  lesson: Lesson,
  maxBins: number,
  aggregate: 'sum' | 'mean',
  link: Link,
  grow: (data: TreeData) => Promise<Ensemble>,
): Promise<Learned> {
  const { table, target, trainRows, validationRows, seed, pace } = lesson;
  const fitted = fitTreeFeatures(table, lesson.columns, trainRows);
  if (fitted.features.length === 0)
    throw new SpecError('NO_USABLE_FEATURES', 'features', `No column is of use. ${fitted.warnings.join(' ')}`);
  const columns = featureColumns(fitted.features, table, trainRows);
  const rng = new Rng(seed, 0xb1);
  const binned: BinnedFeature[] = [];
  for (const [f, feature] of fitted.features.entries()) {
    binned.push(
      feature.kind === 'code' ? binCodes(columns[f], feature.categories.length) : binNumbers(columns[f], maxBins, rng),
    );
    if (pace.isDue(trainRows.length * 10)) await pace.rest();
  }
  const ensemble = await grow({
    binned: { rowCount: trainRows.length, features: binned },
    train: { rowCount: trainRows.length, columns },
    y: pick(target.y, trainRows),
    validation: { rowCount: validationRows.length, columns: featureColumns(fitted.features, table, validationRows) },
    validationY: pick(target.y, validationRows),
  });
  const { trees, treeOutput, base, rounds, bestRound, gains } = ensemble;
  return {
    model: { family: 'trees', features: fitted.features, trees, treeOutput, base, aggregate, link },
    fitted,
    contributions: gains,
    rounds,
    bestRound,
  };
}

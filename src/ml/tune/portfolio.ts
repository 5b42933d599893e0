/**
 * Strong settings of every family, tried first by AUTO, in an order in which the first few already cover what tables differ in:
 * linear or not, smooth or not, many rows or few, clean or noisy. The ends of the ranges that matter most come before variations.
 */
import { type Algorithm, type AnyParameters } from '../spec.js';

export interface Setting {
  readonly algorithm: Algorithm;
  readonly parameters: AnyParameters;
}

/** Boosting: rounds are stopped by the rows that judge. */
const boosting = (parameters: AnyParameters, rounds = 1000): Setting => ({
  algorithm: 'GRADIENT_BOOSTING',
  parameters: { nEstimators: rounds, earlyStoppingRounds: 50, ...parameters },
});
/** The same with trees grown level by level. */
const levels = (parameters: AnyParameters): Setting => ({ ...boosting(parameters), algorithm: 'XGBOOST' });
const linear = (parameters: AnyParameters): Setting => ({ algorithm: 'LINEAR', parameters });
const extra = (parameters: AnyParameters): Setting => ({
  algorithm: 'EXTRA_TREES',
  parameters: { nEstimators: 200, ...parameters },
});
const forest = (parameters: AnyParameters): Setting => ({
  algorithm: 'RANDOM_FOREST',
  parameters: { nEstimators: 200, ...parameters },
});

export const PORTFOLIO: readonly Setting[] = [
  linear({ l2: 1 }),
  boosting({ learningRate: 0.05 }),
  forest({ minSamplesLeaf: 2 }),
  // Small trees, slowly: the strongest on small and noisy tables.
  boosting({ learningRate: 0.03, numLeaves: 6, minSamplesLeaf: 10, subsample: 0.7, colsample: 0.5, regLambda: 5 }),
  linear({ l2: 30 }),
  boosting({ learningRate: 0.05, numLeaves: 16, minSamplesLeaf: 5, subsample: 0.8, colsample: 0.6 }),
  extra({ minSamplesLeaf: 2, maxFeatures: 'HALF' }),
  linear({ l2: 10, scaling: 'QUANTILE_NORMAL' }),
  forest({ minSamplesLeaf: 5, maxFeatures: 'HALF' }),
  boosting({ learningRate: 0.05, numLeaves: 64, minSamplesLeaf: 20, subsample: 0.8, colsample: 0.7, regLambda: 3 }),
  linear({ l2: 200 }),
  levels({ learningRate: 0.05, maxDepth: 4, subsample: 0.8, colsample: 0.6, minChildWeight: 3 }),
  forest({ minSamplesLeaf: 10, maxFeatures: 'SQRT' }),
  boosting({ learningRate: 0.1, numLeaves: 3, minSamplesLeaf: 5, subsample: 0.8, colsample: 0.8 }),
  linear({ l1: 3, l2: 0.1 }),
  linear({ l2: 1, scaling: 'QUANTILE_NORMAL', missingIndicator: true }),
  extra({ minSamplesLeaf: 5, maxFeatures: 'ALL' }),
  boosting({ learningRate: 0.05, numLeaves: 24, categoryEncoding: 'TARGET', subsample: 0.8, colsample: 0.6 }),
  linear({ l2: 3, categoryEncoding: 'TARGET' }),
  levels({ learningRate: 0.05, maxDepth: 8, subsample: 0.7, colsample: 0.5, minChildWeight: 5 }),
  { algorithm: 'DECISION_TREE', parameters: { maxDepth: 6, minSamplesLeaf: 10 } },
];

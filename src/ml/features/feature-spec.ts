/** Hyper-parameters of the way from raw columns to features, shared by the families of models. */
import { type ParameterSpec, type ValuesOf } from '../core/parameter.js';

/** A category is known if at least so many training rows hold it: fewer teach nothing and would name a person. */
export const MIN_CATEGORY_ROWS = 5;

const categoryEncoding = {
  name: 'categoryEncoding',
  type: 'ENUM',
  values: ['AUTO', 'NATIVE', 'ONE_HOT', 'ORDINAL', 'TARGET'],
  default: 'AUTO',
  description: 'How categories become features; AUTO takes NATIVE for trees and ONE_HOT for linear models.',
} as const;

const minCategoryRows = {
  name: 'minCategoryRows',
  type: 'INT',
  min: MIN_CATEGORY_ROWS,
  max: 1_000_000,
  default: MIN_CATEGORY_ROWS,
  description:
    'Training rows below which categories are gathered into one group of rare ones; those of fewer than five rows are taken for unseen whatever is set.',
} as const;

const targetSmooth = {
  name: 'targetSmooth',
  type: 'FLOAT',
  min: 0,
  max: 1e6,
  default: 10,
  description: 'Target encoding only: rows of pull of each category towards the mean of all rows.',
} as const;

const dateParts = {
  name: 'dateParts',
  type: 'BOOL',
  default: false,
  description:
    'Whether dates also give year, month, day, weekday, day of the year and hour (UTC), beside the number of days since 1970.',
} as const;

const scaling = {
  name: 'scaling',
  type: 'ENUM',
  values: ['STANDARD', 'ROBUST', 'QUANTILE_UNIFORM', 'QUANTILE_NORMAL', 'NONE'],
  default: 'STANDARD',
  description: 'How numbers are brought to one scale, as the training rows have them.',
} as const;

const imputation = {
  name: 'imputation',
  type: 'ENUM',
  values: ['MEAN', 'MEDIAN', 'MOST_FREQUENT'],
  default: 'MEAN',
  description: 'What stands for a missing number, of the values in the training rows.',
} as const;

const missingIndicator = {
  name: 'missingIndicator',
  type: 'BOOL',
  default: false,
  description: 'Whether columns with missing values in the training rows also give a feature that says where.',
} as const;

export const TREE_FEATURES = [
  categoryEncoding,
  minCategoryRows,
  targetSmooth,
  dateParts,
] as const satisfies readonly ParameterSpec[];

export const LINEAR_FEATURES = [
  scaling,
  imputation,
  missingIndicator,
  categoryEncoding,
  minCategoryRows,
  targetSmooth,
  dateParts,
] as const satisfies readonly ParameterSpec[];

export type TreeFeatureParameters = ValuesOf<typeof TREE_FEATURES>;
export type LinearFeatureParameters = ValuesOf<typeof LINEAR_FEATURES>;

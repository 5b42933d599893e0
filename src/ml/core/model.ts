/**
 * Fitted models as plain data, the meeting point of the trainers (trees/, linear/), the predictor and the ONNX exporters.
 *
 * From raw columns to features: `features` lists, in order, how each float32 feature is made from a raw column. Several features
 * may be made from one column; those that say `oneHot` or `oneOf` of one column lie together, the one of `category: null` last.
 */
import { type DatePart } from './calendar.js';
import { type Knots } from './knots.js';

/** How a float32 x becomes a feature: a missing x becomes fround(impute); then fround((x - mean) / scale) or, with knots, fround(knots(x)). */
export interface Scaling {
  readonly impute: number | null;
  readonly mean: number;
  readonly scale: number;
  /** Instead of mean and scale (which are then 0 and 1). */
  readonly knots?: Knots;
}

export type Feature =
  /** x = fround(value), for dates fround(epochMs / 86_400_000) (days, divided in float64). */
  | ({ readonly kind: 'number' | 'boolean' | 'date'; readonly column: string } & Scaling)
  /** A part of a date in UTC, as core/calendar.ts counts it. */
  | ({ readonly kind: 'datePart'; readonly column: string; readonly part: DatePart } & Scaling)
  /** 1 where the value of a column of kind `of` is missing, else 0. */
  | { readonly kind: 'missing'; readonly column: string; readonly of: 'number' | 'boolean' | 'date' }
  /**
   * For trees: index in `categories` (known on the train split) as a float; categories.length for any of `others`, the rare ones
   * that share a code; missing and unseen are NaN.
   */
  | {
      readonly kind: 'code';
      readonly column: string;
      readonly categories: readonly string[];
      readonly others?: readonly string[];
    }
  /** 1 where the value is `category`, else 0; `category: null` is the indicator of missing or unseen. */
  | { readonly kind: 'oneHot'; readonly column: string; readonly category: string | null }
  /** 1 where the value is any of `categories`, the rare ones that share an indicator; else 0. */
  | { readonly kind: 'oneOf'; readonly column: string; readonly categories: readonly string[] }
  /** values[i] where the value is categories[i], `otherwise` where it is missing or unseen: ordinal and target encoding. */
  | {
      readonly kind: 'lookup';
      readonly column: string;
      readonly categories: readonly string[];
      readonly values: Float32Array;
      readonly otherwise: number;
    };

/** A binary tree as parallel arrays over its nodes, root at 0. */
export interface Tree {
  /** Feature index, or -1 at a leaf. */
  readonly feature: Int32Array;
  /** Numeric split: left if x <= threshold (float32 comparison). Unused at leaves and categorical splits. */
  readonly threshold: Float32Array;
  /** 1: a missing (NaN) value goes left. */
  readonly missingLeft: Uint8Array;
  /** Categorical split: the codes that go left, sorted; all other numbers, fractions too, go right. Null for a numeric split or a leaf. */
  readonly leftCodes: readonly (Int32Array | null)[];
  readonly left: Int32Array;
  readonly right: Int32Array;
  /** Leaf values, nodes x width (width = outputs for a forest or single tree, 1 for a boosted tree), float32-representable. */
  readonly value: Float32Array;
}

/**
 * raw -> answer: `sigmoid` takes one raw score s to [1 - p, p]; `softmax` k raw scores to k; `exp` s to e^s (numbers that are
 * never negative); `identity` leaves them (forest: class shares, regression: the value).
 */
export type Link = 'identity' | 'sigmoid' | 'softmax' | 'exp';

export interface TreeModel {
  readonly family: 'trees';
  readonly features: readonly Feature[];
  readonly trees: readonly Tree[];
  /** Boosting: the raw output that tree t adds to. Forests and single trees: null, each leaf holds all outputs. */
  readonly treeOutput: Int32Array | null;
  /** Raw scores start here (one entry per raw output). */
  readonly base: Float32Array;
  /** raw = base + sum of leaves, or base + mean of leaves. */
  readonly aggregate: 'sum' | 'mean';
  readonly link: Link;
  /** Of some training rows, how many passed each node, tree after tree: for explanations (evaluate/reference.ts). */
  readonly cover?: Float32Array;
}

export interface LinearModel {
  readonly family: 'linear';
  readonly features: readonly Feature[];
  /** raw outputs x features, row-major, float32-representable. */
  readonly weights: Float32Array;
  readonly intercept: Float32Array;
  readonly link: Link;
  /** Mean of each feature over some training rows: for explanations (evaluate/reference.ts). */
  readonly mean?: Float64Array;
}

/** A model that stands alone, or is a member of a combination. */
export type SingleModel = TreeModel | LinearModel;

/**
 * Models that answer together. With s[m, k] the scores of member m after its link, in float64, without rounding:
 *
 *   pooled    score[k] = Σ_m weights[m] s[m, k], weights that sum to 1                  (voting, bagging)
 *   stacked   raw[k] = intercept[k] + Σ_m weights[m] z(s[m, k]), then `link`            (stacking)
 *             z: identity s; sigmoid log(p / (1 - p)), p = s[m, 1]; softmax log(p); p at least CLIP, and at most 1 - CLIP for sigmoid
 */
export interface CombinedModel {
  readonly family: 'combined';
  readonly members: readonly SingleModel[];
  readonly weights: Float64Array;
  /** Null: pooled. */
  readonly stack: { readonly intercept: Float64Array; readonly link: Link } | null;
}

/** The least share that a stack takes for what it is: a forest that saw no row of a class says 0. */
export const CLIP = 1e-4;

export type Model = SingleModel | CombinedModel;

/**
 * Scores -> probabilities (core/calibrate.ts): of the positive class where there are two, else of each against the others.
 *
 *   platt      q = 1 / (1 + exp(-(slope[k] log(p / (1 - p)) + intercept[k]))), p at least clip and at most 1 - clip
 *   isotonic   q = curves[k](p)
 */
export type Calibration =
  | {
      readonly method: 'platt';
      readonly clip: number;
      readonly slope: Float64Array;
      readonly intercept: Float64Array;
    }
  | { readonly method: 'isotonic'; readonly curves: readonly Knots[] };

/** What the model answers. `classes` in score order; null for regression. */
export interface FittedModel {
  readonly model: Model;
  readonly task: 'binary' | 'multiclass' | 'regression';
  readonly classes: readonly string[] | null;
  /** Binary: label is classes[1] where score[1] >= threshold. Chosen on the validation split. Multi-class: the largest score, first on ties. */
  readonly threshold: number;
  /** What scores go through before they are rounded, and before the threshold; left out: nothing. Fitted on the validation split. */
  readonly calibration?: Calibration;
  readonly target: string;
  /** Raw input columns in the order of the table, the target excluded. */
  readonly inputs: readonly InputColumn[];
}

/** One raw named input of the ONNX graph and of the prediction API. */
export interface InputColumn {
  readonly name: string;
  readonly kind: 'number' | 'boolean' | 'date' | 'category';
  /** Categories seen in training (held by enough rows); null unless kind is category. Others are answered as unseen. */
  readonly categories: readonly string[] | null;
}

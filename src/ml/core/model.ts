/**
 * Fitted models as plain data, the meeting point of the trainers (trees/, linear/), the predictor and the ONNX exporters.
 *
 * From raw columns to features: `features` lists, in order, how each float32 feature is made from a raw column. A tree sees
 * one feature per column; a linear model sees one-hot and scaled ones.
 */
export type Feature =
  /** fround(value), NaN stays NaN; for linear models imputed and scaled: fround((fround(value) - mean) / scale). */
  | {
      readonly kind: 'number';
      readonly column: string;
      readonly impute: number | null;
      readonly mean: number;
      readonly scale: number;
    }
  | {
      readonly kind: 'boolean';
      readonly column: string;
      readonly impute: number | null;
      readonly mean: number;
      readonly scale: number;
    }
  /** fround(epochMs / 86_400_000) (days, divided in float64), then as number. */
  | {
      readonly kind: 'date';
      readonly column: string;
      readonly impute: number | null;
      readonly mean: number;
      readonly scale: number;
    }
  /** Index in `categories` (known on the train split) as a float; missing and unseen are NaN. For trees. */
  | { readonly kind: 'code'; readonly column: string; readonly categories: readonly string[] }
  /** 1 where the value is `category`, else 0; `category: null` is the indicator of missing or unseen. For linear models. */
  | { readonly kind: 'oneHot'; readonly column: string; readonly category: string | null };

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
}

export interface LinearModel {
  readonly family: 'linear';
  readonly features: readonly Feature[];
  /** raw outputs x features, row-major, float32-representable. */
  readonly weights: Float32Array;
  readonly intercept: Float32Array;
  readonly link: Link;
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

/** What the model answers. `classes` in score order; null for regression. */
export interface FittedModel {
  readonly model: Model;
  readonly task: 'binary' | 'multiclass' | 'regression';
  readonly classes: readonly string[] | null;
  /** Binary: label is classes[1] where score[1] >= threshold. Chosen on the validation split. Multi-class: the largest score, first on ties. */
  readonly threshold: number;
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

/** What a family of models is given to learn from, and what it gives back. */
import { type FittedFeatures } from '../features/tabular.js';
import { type FittedModel, type Model } from './model.js';
import { type Pace } from './pace.js';
import { type Table } from './table.js';
import { type Target } from './target.js';

/** Of a combination: whose rounds these are, from 0; fold null where all training rows are learned from. */
export interface RoundPart {
  readonly member: number;
  readonly fold: number | null;
}

/** Metric of a round on training (where it is known anyway) and validation rows. */
export interface RoundMetric {
  readonly name: string;
  readonly train?: number;
  readonly validation: number;
  readonly part?: RoundPart;
}

/** Called after each round, tree or step. */
export type OnRound = (round: number, metric: RoundMetric) => void;

export interface Lesson {
  readonly table: Table;
  /** Columns to learn from. */
  readonly columns: readonly string[];
  readonly target: Target;
  /** Table rows, ascending; none lacks its target. */
  readonly trainRows: Uint32Array;
  readonly validationRows: Uint32Array;
  /**
   * What each table row counts, above 0, in every sum over rows that is learned from or stops the rounds; null: 1 each. Weights of
   * classes are in it already, where the family has the parameter `classWeight`.
   */
  readonly weights: Float64Array | null;
  readonly seed: number;
  readonly pace: Pace;
  readonly onRound: OnRound;
  /** A boosted model to go on from; its trees stay as they are. */
  readonly warmStart?: FittedModel | null;
  /** Threads for kernels; by default as many as pay. They make no difference to what is learned. */
  readonly threads?: number;
}

export interface Learned {
  readonly model: Model;
  readonly fitted: FittedFeatures;
  /** How much each feature of the model contributes, in any unit; of a combination, each of `fitted.columns`. */
  readonly contributions: Float64Array;
  readonly rounds: number;
  readonly bestRound: number;
  /** Forests: figures of the training rows, each by the trees that did not draw it. */
  readonly outOfBag?: OutOfBag | null;
}

export interface OutOfBag {
  /** Training rows that some tree left out. */
  readonly rows: number;
  /** Classes: log loss and share of right labels. */
  readonly logLoss?: number;
  readonly accuracy?: number;
  /** Numbers: root of the mean squared error, and the share of the variance explained (null where there is none). */
  readonly rmse?: number;
  readonly r2?: number | null;
}

/** y of the rows, in their order. */
export function pick(
  values: Float64Array,
  rows: Uint32Array,
  picked: Float64Array = new Float64Array(rows.length),
): Float64Array {
  for (let i = 0; i < rows.length; i++) picked[i] = values[rows[i]!]!;
  return picked;
}

/** What linear models learn from, once features are made. */
import { type OnRound } from '../core/learned.js';
import { type RowWeights } from '../core/loss.js';
import { type Pace } from '../core/pace.js';
import { type Design } from './design.js';

export interface Rows {
  readonly design: Design;
  readonly y: Float64Array;
  readonly weights: RowWeights;
}

export interface LinearData {
  readonly train: Rows;
  readonly validation: Rows;
  readonly pace: Pace;
  readonly onStep: OnRound;
}

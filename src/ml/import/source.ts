/**
 * A model as its file tells it, before it meets a table: features by their place, categories by the codes of the library that
 * trained it. Both readers (xgboost.ts, lightgbm.ts) give this; fit-source.ts makes a fitted model of it.
 */
import { type Link, type Tree } from '../core/model.js';

export interface SourceFeature {
  /** Null where the file has no names of its own. */
  readonly name: string | null;
  /** Split by sets of codes, not by thresholds. */
  readonly isCategorical: boolean;
  /** What the codes 0, 1, ... stand for, where the file says it. */
  readonly categories: readonly string[] | null;
}

export interface SourceTrees {
  readonly family: 'trees';
  /** `leftCodes` are the library's codes. One value a leaf. */
  readonly trees: readonly Tree[];
  /** The raw output that each tree adds to. */
  readonly treeOutput: Int32Array;
}

export interface SourceLinear {
  readonly family: 'linear';
  /** outputs x features, row-major; a missing value counts as 0. */
  readonly weights: Float32Array;
}

export interface SourceModel {
  /** The library and what it says of its version. */
  readonly library: string;
  readonly objective: string;
  readonly features: readonly SourceFeature[];
  /** Categories of the category columns of the data frame it was trained on, in their order, where the file does not say which they are. */
  readonly looseCategories: readonly (readonly string[])[] | null;
  readonly body: SourceTrees | SourceLinear;
  readonly task: 'binary' | 'multiclass' | 'regression';
  readonly link: Link;
  /** Where raw scores start, one per raw output. */
  readonly base: Float32Array;
  /** How much the splits by each feature gained, or the size of its weights. */
  readonly contributions: Float64Array;
  /** Rounds in the file, and those that are taken. */
  readonly rounds: number;
  readonly bestRound: number;
  readonly warnings: readonly string[];
}

/** Limits of what is read. Real models stay far below; without them a small file could ask for any amount of memory or time. */
export const LIMITS = {
  bytes: 2 ** 28,
  features: 2 ** 16,
  trees: 200_000,
  nodes: 20_000_000,
  depth: 2_000,
  /** Codes of categories lie below this. */
  codes: 2 ** 16,
  /** In all category sets: codes, and words of 32 codes. */
  setCodes: 2 ** 27,
  setWords: 2 ** 24,
  outputs: 100,
} as const;

/** What a search is asked for, and what it gives: plain data, so that a study can be stored and taken up again. */
import { type FigureName } from '../core/metric.js';
import { type FitSpec } from '../fit.js';
import { type Algorithm, type AlgorithmName, type AnyParameters, type Member } from '../spec.js';

/**
 * RANDOM: every trial drawn for itself. TPE: drawn where good trials lie denser than bad ones. ASHA: many cheap starts, of which
 * only the best third goes on at each rung. AUTO: strong settings of every family first, then a search around the best families,
 * then combinations of the best models.
 */
export const SEARCHES = ['RANDOM', 'TPE', 'ASHA', 'AUTO'] as const;
export type Search = (typeof SEARCHES)[number];

/** The target, the features and whatever else every trial has in common, as in FitSpec. */
export interface StudySpec extends Omit<FitSpec, 'algorithm' | 'parameters' | 'members'> {
  readonly search: Search;
  /** Null: with AUTO all families, else all families that can be searched. */
  readonly algorithms: readonly Algorithm[] | null;
  /** In place of the ranges of space-spec.ts, for some parameters. */
  readonly space: readonly SpaceOverride[];
  /** What decides; null: LOG_LOSS, or RMSE for numbers. */
  readonly metric: FigureName | null;
  /** Null: trials are judged on the validation part (AUTO: small tables by folds); else by k-fold on the training and validation rows. */
  readonly folds: number | null;
  readonly limits: StudyLimits;
}

/** A range (of numbers) or a list of values for one parameter of one algorithm. */
export interface SpaceOverride {
  readonly algorithm: Algorithm;
  readonly parameter: string;
  readonly low?: number | null;
  readonly high?: number | null;
  /** Whether the range is searched by orders of magnitude; by default as the search space does. */
  readonly log?: boolean | null;
  readonly values?: readonly (number | boolean | string)[] | null;
}

/** At least one of trials and seconds. */
export interface StudyLimits {
  readonly trials: number | null;
  /** Wall time, that of earlier runs of the study included. */
  readonly seconds: number | null;
  /** Median time of one row through the exported model in the serving runtime; slower ones are INFEASIBLE. */
  readonly latencyMicros: number | null;
}

/**
 * COMPLETE: judged in full. PRUNED: stopped early, as worse than its predecessors were by then, or never started, as it would
 * have overrun the time. FAILED: it broke, by its own error or with its thread. INFEASIBLE: too slow to serve.
 */
export type TrialState = 'COMPLETE' | 'PRUNED' | 'FAILED' | 'INFEASIBLE';

export interface Trial {
  /** From 0 on. What trial n tries depends only on the study and the trials of earlier generations. */
  readonly number: number;
  readonly algorithm: AlgorithmName;
  /** As proposed, the rest being defaults. */
  readonly parameters: AnyParameters;
  /** Of combinations; else null. */
  readonly members: readonly Member[] | null;
  readonly state: TrialState;
  /** The metric of the study, in its own unit; of a pruned trial null. */
  readonly value: number | null;
  /** Interval of 95 % for the rows that judged. */
  readonly low: number | null;
  readonly high: number | null;
  /** Rungs reached (from 0), and the share of the full rounds or rows that they stand for. */
  readonly rung: number;
  readonly resource: number;
  /** Losses on the way, by share of the resource. Later trials are pruned by them. */
  readonly curve: readonly { readonly resource: number; readonly loss: number }[];
  /** The rounds that were best, where rounds were stopped early. */
  readonly rounds: number | null;
  readonly latencyMicros: number | null;
  readonly elapsedMs: number;
  readonly error: { readonly code: string; readonly message: string } | null;
}

export interface StudyProgress {
  /** Trials that ended. */
  readonly trials: number;
  readonly elapsedMs: number;
  /** The best complete trial so far. */
  readonly best: Trial | null;
}

export interface StudyContext {
  /** TRAIN, VALIDATION or TEST per table row. Test rows are never looked at. */
  readonly assignment: Uint8Array;
  /** False where the split is by groups or time: rows must not be dealt to folds at random. */
  readonly exchangeable?: boolean;
  readonly signal: AbortSignal;
  /** Trials of earlier runs of the same study: it goes on behind them. */
  readonly history: readonly Trial[];
  /** Fits at a time, each on a thread of its own; 1 needs no threads. It makes no difference to what is tried. */
  readonly parallelism: number;
  /** Time that earlier runs took. */
  readonly elapsedMsBefore: number;
  /** A clock in milliseconds that never goes back. */
  now(): number;
  /** Called once for each trial that ended, in the order in which they end. */
  onTrial(trial: Trial): void;
  onProgress(progress: StudyProgress): void;
}

export interface StudyResult {
  /** All trials by number. */
  readonly trials: readonly Trial[];
  /** The complete ones, best first. */
  readonly leaderboard: readonly Trial[];
  /** The chosen one: the best, or a simpler one that is as good within the noise. Null: no trial was completed. */
  readonly best: Trial | null;
  /** To be trained as the study's model. */
  readonly fit: FitSpec | null;
  /** What ended the study. */
  readonly end: 'TRIALS' | 'SECONDS' | 'EXHAUSTED';
}

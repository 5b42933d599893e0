/** A study while it runs: generation by generation, within its limits. */
import { SpecError } from '../core/spec-error.js';
import { type FitSpec } from '../fit.js';
import { parseMembers, parseParameters } from '../spec.js';
import { type Scored } from './auto.js';
import { type Executor, ThreadLost } from './executor.js';
import { type Outcome } from './judge.js';
import { type Panel } from './panel.js';
import { type Proposal, type Proposer } from './propose.js';
import { byLoss } from './prune.js';
import { type StudyContext, type StudyResult, type StudySpec, type Trial } from './study.js';

/** Trials whose answers are kept, the best ones: only these are combined. */
const KEPT_SCORES = 30;

/** Share of the time up to which trials go on as long as none was completed. */
const LAST_SHARE = 0.9;

type Numbered = { readonly number: number; readonly proposal: Proposal };

export class Study {
  private readonly trials = new Map<number, Trial>();
  /** Answers of complete trials for the judged rows, by trial. Those of earlier runs of the study are not there. */
  private readonly scores = new Map<number, Float32Array>();
  private readonly startMs: number;

  constructor(
    readonly spec: StudySpec,
    private readonly context: StudyContext,
    readonly panel: Panel,
    private readonly executor: Executor,
  ) {
    this.startMs = context.now();
    for (const trial of context.history) this.trials.set(trial.number, trial);
  }

  get signal(): AbortSignal {
    return this.context.signal;
  }

  get elapsedMs(): number {
    return this.context.elapsedMsBefore + this.context.now() - this.startMs;
  }

  /** The first number that no trial has. */
  get next(): number {
    return 1 + Math.max(-1, ...this.trials.keys());
  }

  private get hasComplete(): boolean {
    return [...this.trials.values()].some(({ state }) => state === 'COMPLETE');
  }

  /** Milliseconds to a share of the time limit. */
  leftMs(share: number): number {
    const { seconds } = this.spec.limits;
    return seconds === null ? Infinity : 1000 * seconds * share - this.elapsedMs;
  }

  /** Generations up to a share of the time, or all of the trials less `spared`. */
  async run(propose: Proposer, share: number, spared = 0): Promise<StudyResult['end']> {
    const most = (this.spec.limits.trials ?? Infinity) - spared;
    for (let first = 0; first < most;) {
      const earlier = Array.from({ length: first }, (_, number) => this.trials.get(number)!);
      if (this.leftMs(share) <= 0) return 'SECONDS';
      const proposals = propose(earlier);
      if (proposals.length === 0) return 'EXHAUSTED';
      const wanted = proposals.map((proposal, i) => ({ number: first + i, proposal }));
      const missing = wanted.filter(({ number }) => number < most && !this.trials.has(number));
      if (!(await this.runAll(missing, share))) return 'SECONDS';
      first += proposals.length;
    }
    return 'TRIALS';
  }

  /** False: the time is over. Every trial that was started has ended by then. */
  async runAll(queue: Numbered[], share: number): Promise<boolean> {
    let isOver = queue.length > 0;
    let isAborted = false;
    const lane = async (): Promise<void> => {
      for (let item = queue.shift(); item !== undefined && !isAborted; item = queue.shift()) {
        const end = await this.runOne(item, share);
        if (end === 'ABORTED') isAborted = true;
        if (end === 'ENDED') isOver = false;
      }
    };
    const lanes = await Promise.allSettled(Array.from({ length: this.executor.width }, lane));
    const broken = lanes.find((one) => one.status === 'rejected');
    if (broken !== undefined) throw broken.reason;
    return !isOver && !isAborted;
  }

  /** ABORTED: at the time limit, without a trace. SKIPPED: it would have overrun the time. */
  private async runOne({ number, proposal }: Numbered, share: number): Promise<'ENDED' | 'ABORTED' | 'SKIPPED'> {
    const { algorithm, parameters, members } = proposal;
    const identity = { number, algorithm, parameters, members };
    this.signal.throwIfAborted();
    const leftMs = this.leftMs(this.hasComplete ? share : Math.max(share, LAST_SHARE));
    if (leftMs <= 0) return 'ABORTED';
    if (this.usualMs(algorithm) > leftMs) {
      this.record({ ...identity, ...NOTHING, state: 'PRUNED', elapsedMs: 0, error: null }, null);
      return 'SKIPPED';
    }
    const startMs = this.elapsedMs;
    try {
      const outcome = await this.judge(proposal, leftMs);
      if (outcome === null) return 'ABORTED';
      const { scores, ...rest } = outcome;
      this.record({ ...identity, ...rest, elapsedMs: Math.round(this.elapsedMs - startMs), error: null }, scores);
    } catch (error) {
      this.signal.throwIfAborted();
      const elapsedMs = Math.round(this.elapsedMs - startMs);
      this.record({ ...identity, ...NOTHING, state: 'FAILED', elapsedMs, error: describe(error) }, null);
    }
    return 'ENDED';
  }

  /** Null: aborted at the time limit. @throws what breaks the trial */
  private async judge(proposal: Proposal, leftMs: number): Promise<Outcome | null> {
    const { latencyMicros } = this.spec.limits;
    const limit = leftMs === Infinity ? null : AbortSignal.timeout(Math.ceil(leftMs));
    const { rungs, cutoffs } = proposal;
    const task = { fit: fitOf(this.spec, proposal), rungs, cutoffs, latencyMicros };
    try {
      return await this.executor.run(task, limit === null ? this.signal : AbortSignal.any([this.signal, limit]));
    } catch (error) {
      if (limit?.aborted === true && !this.signal.aborted) return null;
      throw error;
    }
  }

  /** What half of the complete trials of an algorithm took; 0 as long as nothing is known. */
  usualMs(wanted: Trial['algorithm']): number {
    const known = [...this.trials.values()]
      .filter(({ algorithm, state }) => algorithm === wanted && state === 'COMPLETE')
      .map(({ elapsedMs }) => elapsedMs);
    return known.sort((a, b) => a - b)[known.length >> 1] ?? 0;
  }

  record(trial: Trial, scores: Float64Array | null): void {
    this.trials.set(trial.number, trial);
    if (scores !== null && trial.state === 'COMPLETE') this.keepScores(trial.number, scores);
    this.context.onTrial(trial);
    this.context.onProgress({
      trials: this.trials.size,
      elapsedMs: this.elapsedMs,
      best: this.leaderboard()[0] ?? null,
    });
  }

  private keepScores(number: number, scores: Float64Array): void {
    this.scores.set(number, Float32Array.from(scores));
    const worst = this.leaderboard().filter((trial) => this.scores.has(trial.number))[KEPT_SCORES];
    if (worst !== undefined) this.scores.delete(worst.number);
  }

  /** Complete trials, best first. */
  leaderboard(): Trial[] {
    const complete = [...this.trials.values()].filter(({ state }) => state === 'COMPLETE');
    return byLoss(complete, this.panel.metric);
  }

  /** Those of the leaderboard whose answers are known. */
  scored(): Scored[] {
    return this.leaderboard().flatMap((trial) => {
      const scores = this.scores.get(trial.number);
      return scores === undefined ? [] : [{ trial, scores }];
    });
  }

  /** Judges the best trials of earlier runs once more, for their answers, as long as the time allows. */
  async recall(share: number): Promise<void> {
    const missing = this.leaderboard()
      .slice(0, KEPT_SCORES)
      .filter(({ number }) => !this.scores.has(number));
    const lane = async (): Promise<void> => {
      for (let trial = missing.shift(); trial !== undefined; trial = missing.shift()) {
        const leftMs = this.leftMs(share);
        if (trial.elapsedMs > leftMs) continue;
        const outcome = await this.judge({ ...trial, rungs: [], cutoffs: [] }, leftMs).catch(() => null);
        this.signal.throwIfAborted();
        if (outcome?.scores) this.scores.set(trial.number, Float32Array.from(outcome.scores));
      }
    };
    const lanes = await Promise.allSettled(Array.from({ length: this.executor.width }, lane));
    if (lanes.some(({ status }) => status === 'rejected')) this.signal.throwIfAborted();
  }

  result(end: StudyResult['end'], best = this.leaderboard()[0] ?? null): StudyResult {
    const trials = [...this.trials.values()].sort((a, b) => a.number - b.number);
    const fit = best === null ? null : fitOf(this.spec, best);
    return { trials, leaderboard: this.leaderboard(), best, fit, end };
  }
}

const NOTHING = {
  value: null,
  low: null,
  high: null,
  rung: 0,
  resource: 0,
  curve: [],
  rounds: null,
  latencyMicros: null,
} as const;

/** Messages of unknown errors may hold cells of the table. */
function describe(error: unknown): NonNullable<Trial['error']> {
  if (error instanceof SpecError) return { code: error.code, message: error.message };
  if (error instanceof ThreadLost) return { code: 'THREAD_LOST', message: error.message };
  return { code: 'INTERNAL', message: 'The trial broke by an error of its own.' };
}

const OF_STUDIES: ReadonlySet<string> = new Set(['search', 'algorithms', 'space', 'metric', 'folds', 'limits']);

/** What a trial fits. */
export function fitOf(spec: StudySpec, trial: Pick<Proposal, 'algorithm' | 'parameters' | 'members'>): FitSpec {
  const common = Object.fromEntries(Object.entries(spec).filter(([name]) => !OF_STUDIES.has(name)));
  const { algorithm, members } = trial;
  return {
    ...(common as Omit<FitSpec, 'algorithm' | 'parameters'>),
    algorithm,
    parameters: parseParameters(algorithm, trial.parameters),
    ...(members === null ? {} : { members: parseMembers(algorithm, members) }),
  };
}

/** The study: generation by generation, within its limits. */
import { SpecError } from '../core/spec-error.js';
import { type Table } from '../core/table.js';
import { type FitSpec } from '../fit.js';
import { parseMembers, parseParameters } from '../spec.js';
import { type Executor, localExecutor, threadExecutor, ThreadLost } from './executor.js';
import { makePanel, type Panel } from './panel.js';
import { type Proposal, type Proposer } from './propose.js';
import { byLoss } from './prune.js';
import { halvingSearch, randomSearch } from './random.js';
import { spacesOf } from './space.js';
import { tpeSearch } from './tpe.js';
import { type StudyContext, type StudyResult, type StudySpec, type Trial } from './study.js';

/**
 * Searches until a limit is reached. A study of the same specification, table and split that is given its own history goes on
 * with the same next trial.
 * @throws SpecError for what the request or the data rule out; the signal's reason when cancelled
 */
export async function runStudy(spec: StudySpec, table: Table, context: StudyContext): Promise<StudyResult> {
  checkLimits(spec);
  const shape = { folds: spec.folds, repeats: 1 };
  const panel = makePanel(spec, table, context.assignment, shape);
  const proposer = proposerOf(spec, panel);
  const executor =
    context.parallelism > 1
      ? threadExecutor({ spec, table, assignment: context.assignment, shape }, context.parallelism)
      : localExecutor(panel, () => context.now());
  const study = new Study(spec, context, panel, executor);
  try {
    const end = await study.run(proposer);
    return study.result(end);
  } finally {
    await executor.close();
  }
}

function proposerOf(spec: StudySpec, { metric }: Panel): Proposer {
  const spaces = spacesOf(spec);
  switch (spec.search) {
    case 'RANDOM':
      return randomSearch(spaces, spec.seed);
    case 'ASHA':
      return halvingSearch(spaces, spec.seed);
    case 'TPE':
    case 'AUTO':
      return tpeSearch(spaces, metric, spec.seed);
  }
}

function checkLimits({ limits: { trials, seconds, latencyMicros } }: StudySpec): void {
  const refuse = (field: string, message: string): never => {
    throw new SpecError('BAD_PARAMETER', field, message);
  };
  if (trials === null && seconds === null) refuse('limits', 'Limit the trials, the seconds, or both.');
  if (trials !== null && !(Number.isInteger(trials) && trials >= 1)) refuse('trials', 'trials must be 1 or more.');
  if (seconds !== null && !(seconds > 0)) refuse('seconds', 'seconds must be above 0.');
  if (latencyMicros !== null && !(latencyMicros > 0)) refuse('latencyMicros', 'latencyMicros must be above 0.');
}

class Study {
  private readonly trials = new Map<number, Trial>();
  private readonly startMs: number;

  constructor(
    private readonly spec: StudySpec,
    private readonly context: StudyContext,
    private readonly panel: Panel,
    private readonly executor: Executor,
  ) {
    this.startMs = context.now();
    for (const trial of context.history) this.trials.set(trial.number, trial);
  }

  async run(propose: Proposer): Promise<StudyResult['end']> {
    const most = this.spec.limits.trials ?? Infinity;
    for (let first = 0; first < most;) {
      const earlier = Array.from({ length: first }, (_, number) => this.trials.get(number)!);
      const proposals = propose(earlier);
      if (proposals.length === 0) return 'EXHAUSTED';
      const wanted = proposals.map((proposal, i) => ({ number: first + i, proposal }));
      const missing = wanted.filter(({ number }) => number < most && !this.trials.has(number));
      if (!(await this.runAll(missing))) return 'SECONDS';
      first += proposals.length;
    }
    return 'TRIALS';
  }

  /** False: the time is over. Every trial that was started has ended by then. */
  private async runAll(queue: { readonly number: number; readonly proposal: Proposal }[]): Promise<boolean> {
    let isOver = queue.length > 0;
    let isAborted = false;
    const lane = async (): Promise<void> => {
      for (let item = queue.shift(); item !== undefined && !isAborted; item = queue.shift()) {
        const end = await this.runOne(item.number, item.proposal);
        if (end === 'ABORTED') isAborted = true;
        if (end === 'ENDED') isOver = false;
      }
    };
    const lanes = await Promise.allSettled(Array.from({ length: this.executor.width }, lane));
    const broken = lanes.find((one) => one.status === 'rejected');
    if (broken !== undefined) throw broken.reason;
    return !isOver && !isAborted;
  }

  private get elapsedMs(): number {
    return this.context.elapsedMsBefore + this.context.now() - this.startMs;
  }

  /** ABORTED: at the time limit, without a trace. SKIPPED: it would have overrun the time. */
  private async runOne(number: number, proposal: Proposal): Promise<'ENDED' | 'ABORTED' | 'SKIPPED'> {
    const { signal, now } = this.context;
    signal.throwIfAborted();
    const { seconds } = this.spec.limits;
    const leftMs = seconds === null ? null : 1000 * seconds - this.elapsedMs;
    if (leftMs !== null && leftMs <= 0) return 'ABORTED';
    const { algorithm, parameters, members, rungs, cutoffs } = proposal;
    const identity = { number, algorithm, parameters, members };
    if (leftMs !== null && this.usualMs(algorithm) > leftMs) {
      this.record({ ...identity, ...NOTHING, state: 'PRUNED', elapsedMs: 0, error: null });
      return 'SKIPPED';
    }
    const limit = leftMs === null ? null : AbortSignal.timeout(Math.ceil(leftMs));
    const start = now.call(this.context);
    const elapsedMs = (): number => Math.round(now.call(this.context) - start);
    try {
      const outcome = await this.executor.run(
        { fit: fitOf(this.spec, proposal), rungs, cutoffs, latencyMicros: this.spec.limits.latencyMicros },
        limit === null ? signal : AbortSignal.any([signal, limit]),
      );
      const { scores: _, ...rest } = outcome;
      this.record({ ...identity, ...rest, elapsedMs: elapsedMs(), error: null });
    } catch (error) {
      signal.throwIfAborted();
      if (limit?.aborted === true) return 'ABORTED';
      this.record({ ...identity, ...NOTHING, state: 'FAILED', elapsedMs: elapsedMs(), error: describe(error) });
    }
    return 'ENDED';
  }

  /** What half of the complete trials of an algorithm took; 0 as long as nothing is known. */
  private usualMs(wanted: Trial['algorithm']): number {
    const known = [...this.trials.values()].filter(
      ({ algorithm, state }) => algorithm === wanted && state === 'COMPLETE',
    );
    return known.map(({ elapsedMs }) => elapsedMs).sort((a, b) => a - b)[known.length >> 1] ?? 0;
  }

  private record(trial: Trial): void {
    this.trials.set(trial.number, trial);
    this.context.onTrial(trial);
    this.context.onProgress({
      trials: this.trials.size,
      elapsedMs: this.elapsedMs,
      best: this.leaderboard()[0] ?? null,
    });
  }

  private leaderboard(): Trial[] {
    const complete = [...this.trials.values()].filter(({ state }) => state === 'COMPLETE');
    return byLoss(complete, this.panel.metric);
  }

  result(end: StudyResult['end']): StudyResult {
    const trials = [...this.trials.values()].sort((a, b) => a.number - b.number);
    const leaderboard = this.leaderboard();
    const best = leaderboard[0] ?? null;
    return { trials, leaderboard, best, fit: best === null ? null : fitOf(this.spec, best), end };
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

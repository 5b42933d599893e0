/** The study: generation by generation, within its limits. */
import { SpecError } from '../core/spec-error.js';
import { type Table } from '../core/table.js';
import { type FitSpec } from '../fit.js';
import { parseParameters } from '../spec.js';
import { type Executor, localExecutor } from './executor.js';
import { asLoss } from './figure.js';
import { makePanel, type Panel } from './panel.js';
import { type Proposal, type Proposer, randomSearch } from './propose.js';
import { spacesOf } from './space.js';
import { type StudyContext, type StudyResult, type StudySpec, type Trial } from './study.js';

/**
 * Searches until a limit is reached. A study of the same specification, table and split that is given its own history goes on
 * with the same next trial.
 * @throws SpecError for what the request or the data rule out; the signal's reason when cancelled
 */
export async function runStudy(spec: StudySpec, table: Table, context: StudyContext): Promise<StudyResult> {
  checkLimits(spec);
  const panel = makePanel(spec, table, context.assignment, { folds: spec.folds, repeats: 1 });
  const proposer = randomSearch(spacesOf(spec), spec.seed);
  const executor = localExecutor(panel, () => context.now());
  const study = new Study(spec, context, panel, executor);
  try {
    const end = await study.run(proposer);
    return study.result(end);
  } finally {
    await executor.close();
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

  /** False: the time was over before all had ended. */
  private async runAll(queue: { readonly number: number; readonly proposal: Proposal }[]): Promise<boolean> {
    let isInTime = true;
    const next = async (): Promise<void> => {
      for (let item = queue.shift(); item !== undefined && isInTime; item = queue.shift())
        if (!(await this.runOne(item.number, item.proposal))) isInTime = false;
    };
    await Promise.all(Array.from({ length: this.executor.width }, next));
    return isInTime;
  }

  private get elapsedMs(): number {
    return this.context.elapsedMsBefore + this.context.now() - this.startMs;
  }

  /** False: it was aborted at the time limit, and leaves no trace. */
  private async runOne(number: number, proposal: Proposal): Promise<boolean> {
    const { signal, now } = this.context;
    signal.throwIfAborted();
    const { seconds } = this.spec.limits;
    const leftMs = seconds === null ? null : 1000 * seconds - this.elapsedMs;
    if (leftMs !== null && leftMs <= 0) return false;
    const limit = leftMs === null ? null : AbortSignal.timeout(Math.ceil(leftMs));
    const start = now.call(this.context);
    const { algorithm, parameters, members, rungs, cutoffs } = proposal;
    const identity = { number, algorithm, parameters, members };
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
      if (limit?.aborted === true) return false;
      this.record({ ...identity, ...FAILURE, elapsedMs: elapsedMs(), error: describe(error) });
    }
    return true;
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
    const loss = ({ value }: Trial): number => asLoss(this.panel.metric, value!);
    return [...this.trials.values()]
      .filter(({ state }) => state === 'COMPLETE')
      .sort((a, b) => loss(a) - loss(b) || a.number - b.number);
  }

  result(end: StudyResult['end']): StudyResult {
    const trials = [...this.trials.values()].sort((a, b) => a.number - b.number);
    const leaderboard = this.leaderboard();
    const best = leaderboard[0] ?? null;
    return { trials, leaderboard, best, fit: best === null ? null : fitOf(this.spec, best), end };
  }
}

const FAILURE = {
  state: 'FAILED',
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
  return { code: 'INTERNAL', message: 'The trial broke by an error of its own.' };
}

const OF_STUDIES = new Set(['search', 'algorithms', 'space', 'metric', 'folds', 'limits']);

/** What a trial fits. */
export function fitOf(spec: StudySpec, { algorithm, parameters }: Pick<Proposal, 'algorithm' | 'parameters'>): FitSpec {
  const common = Object.fromEntries(Object.entries(spec).filter(([name]) => !OF_STUDIES.has(name)));
  return {
    ...(common as Omit<FitSpec, 'algorithm' | 'parameters'>),
    algorithm,
    parameters: parseParameters(algorithm, parameters),
  };
}

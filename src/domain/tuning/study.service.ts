import { type Algorithm, ALGORITHMS, SpecError, SPECS } from '../../ml/spec.js';
import type { FigureName } from '../../ml/train.js';
import {
  type Search,
  type SpaceOverride,
  spacesOf,
  type StudyLimits,
  type StudyResult,
  type StudySpec,
  type Trial,
} from '../../ml/tune.js';
import type { Clock } from '../../platform/clock.js';
import { type Db, inTenant, type Tx } from '../../platform/db.js';
import { AppError } from '../../platform/errors.js';
import { newId } from '../../platform/ids.js';
import { type ClaimedJob, enqueueJob, getJob, holdJob } from '../../platform/jobs.js';
import { type Page, type PageRequest, readPage } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import { appendAudit } from '../audit/audit.service.js';
import { RecordedWork, type WithJob } from '../audit/recorded-work.service.js';
import type { SplitService } from '../datasets/split.service.js';
import type { TrainingInput } from '../datasets/training-input.service.js';
import { isBetter } from '../models/model.service.js';
import { invalid, type NewQuestion, type TrainingService } from '../training/training.service.js';
import { type StudyRow, type TrialRow } from './study.entity.js';
import * as studies from './study.repo.js';
import type { StudyFilter } from './study.repo.js';

export type { StudyRow, TrialRow } from './study.entity.js';
export type { StudyFilter } from './study.repo.js';

export interface NewStudy extends NewQuestion {
  readonly search?: Search | null;
  readonly algorithms?: readonly Algorithm[] | null;
  readonly space?: readonly SpaceOverride[] | null;
  readonly metric?: FigureName | null;
  readonly folds?: number | null;
  readonly limits: Partial<StudyLimits>;
}

/** What the child process is given beside the keys. */
export interface StudyPlan {
  readonly study: StudyRow;
  readonly data: TrainingInput;
  readonly spec: StudySpec;
  readonly history: readonly Trial[];
  readonly elapsedMsBefore: number;
}

/** What came out; the trials are stored already. */
export type Searched = Pick<StudyResult, 'end' | 'fit'> & {
  readonly bestNumber: number | null;
  readonly elapsedMs: number;
};

/** A study with the state of its job. */
export type StudyView = WithJob<StudyRow>;

/** No limit of a study is above these. */
const MOST = { trials: 10_000, seconds: 7 * 86_400, latencyMicros: 1e9 } as const;
const MOST_LISTED = 100;

/**
 * Tuning: a study is asked for here, searched by a worker (workers/tune.ts) trial by trial, and ends in a training of its best. Cancelled,
 * its trials stay; retried, it goes on behind them.
 */
export class StudyService extends RecordedWork<StudyRow, StudyFilter> {
  constructor(
    private readonly db: Pick<Db, 'app'>,
    clock: Clock,
    private readonly splits: SplitService,
    private readonly trainings: TrainingService,
  ) {
    super({
      kind: 'study',
      db,
      clock,
      rows: { find: studies.findStudy, get: studies.getStudy, list: studies.listStudies },
    });
  }

  /**
   * Puts a study in the queue. INVALID_INPUT with the field for what can be told without reading the data; what only the data
   * can tell is the job's failure. NOT_FOUND and NOT_READY for the data.
   */
  async start(scope: Scope, input: NewStudy): Promise<StudyView> {
    const asked = checked(input);
    return inTenant(this.db, scope, async (tx) => {
      const question = await this.trainings.ask(tx, scope, input, { algorithms: asked.algorithms ?? [] });
      const id = newId('study');
      const row: StudyRow = {
        ...question,
        ...asked,
        id,
        jobId: await enqueueJob(tx, scope, { name: 'tune', subjectId: id }),
        elapsedMs: 0,
        endedBy: null,
        bestNumber: null,
        trainingId: null,
      };
      await studies.insertStudy(tx, row);
      const { modelId, datasetVersionId, splitId, target, seed } = row;
      const detail = { modelId, datasetVersionId, splitId, target, ...asked, seed };
      await appendAudit(tx, scope, { kind: 'study.started', subjectId: id, detail, at: row.createdAt });
      return { ...row, job: await getJob(tx, scope, row.jobId) };
    });
  }

  /** By number. */
  trials(scope: Scope, studyId: string, request: PageRequest): Promise<Page<TrialRow>> {
    return inTenant(this.db, scope, (tx) =>
      readPage(
        request,
        ({ number }) => String(number),
        (after, limit) => studies.listTrials(tx, studyId, { after: numberOf(after), limit }),
      ),
    );
  }

  /** The complete trials, best first. INVALID_INPUT for more than can be listed. */
  leaderboard(scope: Scope, { id, metric }: StudyRow, first: number): Promise<TrialRow[]> {
    if (!Number.isInteger(first) || first < 1 || first > MOST_LISTED)
      throw new AppError('INVALID_INPUT', `first must be between 1 and ${MOST_LISTED}.`, { field: 'first' });
    // Without a metric: log loss, or RMSE.
    const smallerFirst = metric === null || isBetter(metric, 0, 1) > 0;
    return inTenant(this.db, scope, (tx) => studies.rankTrials(tx, id, { smallerFirst, limit: first }));
  }

  /** The trial that was chosen; while the study runs, the best so far. */
  async best(scope: Scope, study: StudyRow): Promise<TrialRow | null> {
    const { id, bestNumber } = study;
    if (bestNumber !== null) return inTenant(this.db, scope, (tx) => studies.findTrial(tx, id, bestNumber));
    return (await this.leaderboard(scope, study, 1))[0] ?? null;
  }

  /** How many trials of each state there are, for a DataLoader. */
  readonly countMany = async (
    scope: Scope,
    ids: readonly string[],
  ): Promise<Partial<Record<Trial['state'], number>>[]> => {
    const counts = await inTenant(this.db, scope, (tx) => studies.countTrials(tx, ids));
    return ids.map((id) =>
      Object.fromEntries(counts.filter(({ studyId }) => studyId === id).map(({ state, count }) => [state, count])),
    );
  };

  /** For the worker: everything that the child process needs. */
  plan(scope: Scope, id: string): Promise<StudyPlan> {
    return inTenant(this.db, scope, async (tx) => {
      const study = await studies.getStudy(tx, id);
      const { version: _, row: __, ...data } = await this.splits.trainingInput(tx, scope, study);
      const { options, target, features, task, positiveClass, seed, search, algorithms, space, metric, folds } = study;
      const common = { ...options, target, features, task, positiveClass, seed };
      const spec = { ...common, search, algorithms, space, metric, folds, limits: study.limits };
      const history = (await studies.listTrials(tx, id, { after: -1 })).map(trialOf);
      return { study, data, spec, history, elapsedMsBefore: study.elapsedMs };
    });
  }

  /** Stores a trial that has ended, if this run still holds the job. False: it does not, and nothing more is to be stored. */
  storeTrial(scope: Scope, job: ClaimedJob, trial: Trial, elapsedMs: number): Promise<boolean> {
    return inTenant(this.db, scope, async (tx) => {
      if (!(await holdJob(tx, job))) return false;
      const { error, ...rest } = trial;
      const known = { tenantId: scope.tenantId, studyId: job.subjectId };
      const told = { errorCode: error?.code ?? null, errorMessage: error?.message ?? null };
      await studies.insertTrial(tx, { ...rest, ...known, ...told });
      await studies.updateStudy(tx, job.subjectId, { elapsedMs: Math.round(elapsedMs) });
      return true;
    });
  }

  /** Joins the transaction that marks the job SUCCEEDED: the best trial becomes an ordinary training. */
  async finish(tx: Tx, scope: Scope, study: StudyRow, { end, bestNumber, fit, elapsedMs }: Searched): Promise<void> {
    if (fit === null || bestNumber === null) throw nothingFound(end);
    const { id, modelId, datasetVersionId, splitId } = study;
    const { algorithm: name, parameters, members, target, features, task, positiveClass, seed, ...options } = fit;
    const question = {
      ...study.options,
      modelId,
      datasetVersionId,
      splitId,
      target,
      features,
      task,
      positiveClass,
      seed,
    };
    const asked = members?.map(({ algorithm, ...member }) => ({ ...member, name: algorithm }));
    const algorithm = { name, parameters, ...(asked ? { members: asked } : {}) };
    const training = await this.trainings.startIn(
      tx,
      scope,
      { ...question, algorithm },
      { study: { studyId: id, options } },
    );
    await studies.updateStudy(tx, id, {
      elapsedMs: Math.round(elapsedMs),
      endedBy: end,
      bestNumber,
      trainingId: training.id,
    });
    const detail = { endedBy: end, bestNumber, trainingId: training.id };
    await this.record(tx, scope, { kind: 'study.finished', subjectId: id, detail });
  }
}

/** The failure of a study without a single complete trial. */
export function nothingFound(end: StudyResult['end']): AppError {
  const why = end === 'SECONDS' ? 'The time was over before' : 'The study ended before';
  return new AppError('NO_TRIAL_COMPLETED', `${why} any trial was complete and fast enough.`);
}

/** What was asked of the search, with what was not given. */
function checked(input: NewStudy): Pick<StudyRow, 'search' | 'algorithms' | 'space' | 'metric' | 'folds' | 'limits'> {
  const { trials = null, seconds = null, latencyMicros = null } = input.limits;
  const limits = { trials, seconds, latencyMicros };
  if (trials === null && seconds === null) throw invalid('limits', 'Limit the trials, the seconds, or both.');
  for (const [name, most] of Object.entries(MOST)) {
    const value = limits[name as keyof typeof MOST];
    if (value !== null && !(value > 0 && value <= most && (name !== 'trials' || Number.isInteger(value))))
      throw invalid(`limits.${name}`, `${name} must be above 0 and at most ${most}.`);
  }
  const { folds = null } = input;
  if (folds !== null && !(Number.isInteger(folds) && folds >= 2 && folds <= 20))
    throw invalid('folds', 'folds must be a whole number from 2 to 20.');
  const named = input.algorithms ? [...new Set(input.algorithms)] : null;
  const single = (name: Algorithm): boolean => ALGORITHMS.includes(name);
  if (named?.length === 0 || named?.every(single) === false)
    throw invalid('algorithms', 'Name algorithms that stand alone, or leave this out for all of them.');
  // Where constraints hold, only those that can be held to them are tried.
  const held = ALGORITHMS.filter((name) => 'takesConstraints' in SPECS[name]);
  const algorithms = named ?? (input.constraints ? held : null);
  const space = [...(input.space ?? [])];
  try {
    spacesOf({ algorithms, space });
  } catch (error) {
    if (error instanceof SpecError) throw invalid('space', error.message);
    throw error;
  }
  return { search: input.search ?? 'AUTO', algorithms, space, metric: input.metric ?? null, folds, limits };
}

function numberOf(key: string | null): number {
  return key !== null && /^\d{1,9}$/.test(key) ? Number(key) : -1;
}

function trialOf({ tenantId: _, studyId: __, errorCode, errorMessage, ...trial }: TrialRow): Trial {
  return { ...trial, error: errorCode === null ? null : { code: errorCode, message: errorMessage ?? '' } };
}

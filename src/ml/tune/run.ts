/** A study from its request to its result. */
import { SpecError } from '../core/spec-error.js';
import { type Table } from '../core/table.js';
import { type Algorithm, SPECS } from '../spec.js';
import { autoSearch, autoShape, SHARES, sharesFor } from './auto.js';
import { combineBest, COMBINATIONS_MOST, reserveOf, resultOfAuto } from './combine.js';
import { type Executor, localExecutor, threadExecutor } from './executor.js';
import { makePanel, type Panel, type PanelShape, studyRows } from './panel.js';
import { type Proposer } from './propose.js';
import { halvingSearch, randomSearch } from './random.js';
import { type Spaces, spacesOf } from './space.js';
import { Study } from './study-run.js';
import { type StudyContext, type StudyResult, type StudySpec } from './study.js';
import { tpeSearch } from './tpe.js';

/**
 * Searches until a limit is reached. A study of the same specification, table and split that is given its own history goes on
 * with the same next trial.
 * @throws SpecError for what the request or the data rule out; the signal's reason when cancelled
 */
export async function runStudy(spec: StudySpec, table: Table, context: StudyContext): Promise<StudyResult> {
  checkLimits(spec);
  const spaces = constrained(spacesOf(spec), spec);
  const shape = shapeOf(spec, table, context);
  const panel = makePanel(spec, table, context.assignment, shape);
  const executor = executorOf(spec, panel, shape, context);
  const study = new Study(spec, context, panel, executor);
  try {
    if (spec.search !== 'AUTO') return study.result(await study.run(proposerOf(spec, spaces, panel), 1));
    const spared = sparedTrials(spec);
    const propose = autoSearch(spaces, panel.metric, spec.seed);
    let end = await study.run(propose, SHARES.search, spared);
    const shares = end === 'SECONDS' ? sharesFor(reserveOf(study)) : SHARES;
    if (shares.search > SHARES.search) end = await study.run(propose, shares.search, spared);
    await combineBest(study, shares.combine);
    return await resultOfAuto(study, end);
  } finally {
    await executor.close();
  }
}

/** Trials left for combinations, of a limited number. */
function sparedTrials({ limits: { trials } }: StudySpec): number {
  return trials === null ? 0 : Math.min(COMBINATIONS_MOST, Math.floor(trials / 4));
}

function shapeOf({ search, folds, features, limits }: StudySpec, table: Table, context: StudyContext): PanelShape {
  if (folds !== null || search !== 'AUTO') return { folds, repeats: 1 };
  const columns = features?.length ?? table.columns.length - 1;
  return autoShape(studyRows(context.assignment), columns, limits, context.exchangeable ?? true);
}

function executorOf(spec: StudySpec, panel: Panel, shape: PanelShape, context: StudyContext): Executor {
  const { assignment, parallelism } = context;
  if (parallelism > 1) return threadExecutor({ spec, table: panel.table, assignment, shape }, parallelism);
  return localExecutor(panel, () => context.now());
}

function proposerOf({ search, seed }: StudySpec, spaces: Spaces, { metric }: Panel): Proposer {
  if (search === 'ASHA') return halvingSearch(spaces, seed);
  return search === 'RANDOM' ? randomSearch(spaces, seed) : tpeSearch(spaces, metric, seed);
}

/** Where nobody chose the algorithms, those that can be held to the constraints. */
function constrained(spaces: Spaces, { algorithms, constraints }: StudySpec): Spaces {
  if (algorithms !== null || !constraints) return spaces;
  const takes = (algorithm: Algorithm): boolean =>
    'takesConstraints' in SPECS[algorithm] && SPECS[algorithm].takesConstraints === true;
  return new Map([...spaces].filter(([algorithm]) => takes(algorithm)));
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

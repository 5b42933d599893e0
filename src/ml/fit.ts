/**
 * Fitting: from a specification and rows to a model as plain data. What `train` does once, and searches, combinations and
 * cross-validation many times. Everything is learned from the training rows; validation rows stop the rounds and choose the threshold.
 */
import { fitBagging, fitStacking, fitVoting, type Team } from './combine/fit.js';
import { type CalibrationRule, fitCalibration } from './core/calibrate.js';
import { type Learned, type Lesson, pick } from './core/learned.js';
import { type FittedModel, type InputColumn } from './core/model.js';
import { predictTable, scoreTable } from './core/predict.js';
import { type Column, type Table } from './core/table.js';
import { readTarget, type Target } from './core/target.js';
import { balanceClasses, readWeights } from './core/weights.js';
import { chooseThreshold, type ThresholdRule } from './core/threshold.js';
import { fitLinear } from './linear/fit.js';
import {
  type AlgorithmName,
  type AnyParameters,
  checkConstraints,
  type Constraints,
  type FitOptions,
  isCombination,
  type Member,
  type ParameterSpec,
  parseMembers,
  parseParameters,
  SpecError,
  SPECS,
  type TaskName,
} from './spec.js';
import { TEST, TRAIN, VALIDATION } from './split.js';
import { fitBoosting } from './trees/fit.js';
import { fitExtraTrees, fitForest, fitSingleTree } from './trees/fit-forest.js';

/** What is to be learned. */
export interface FitSpec extends FitOptions {
  readonly algorithm: AlgorithmName;
  readonly task: TaskName;
  readonly target: string;
  /** Columns to learn from; null: all but the target. */
  readonly features: readonly string[] | null;
  /** As `parseParameters` gives them; missing ones take their defaults. */
  readonly parameters: AnyParameters;
  readonly seed: number;
  /** Binary only: which class score[1] and the figures are about. Null: 'true', 1, or the rarer in training. */
  readonly positiveClass?: string | null;
}

/** What a specification makes of a table and a split. */
export interface Plan {
  readonly columns: readonly string[];
  readonly target: Target;
  /** Table rows with a target, ascending. */
  readonly rows: Readonly<Record<'train' | 'validation' | 'test', Uint32Array>>;
  /** Per table row, as `weightColumn` has them; null: all count the same. */
  readonly weights: Float64Array | null;
  readonly warnings: readonly string[];
}

/**
 * The request, checked against the table: columns, target, and the rows of each part that have a target.
 * @param assignment TRAIN, VALIDATION or TEST per table row; rows of any other number take no part
 */
export function planFit(spec: FitSpec, table: Table, assignment: Uint8Array): Plan {
  if (assignment.length !== table.rowCount)
    throw new Error(`The split has ${assignment.length} rows, the table ${table.rowCount}.`);
  const column = table.columns.find(({ name }) => name === spec.target);
  if (column === undefined) throw new SpecError('UNKNOWN_COLUMN', 'target', `There is no column "${spec.target}".`);
  const columns = chooseColumns(spec, table);
  const members = parseMembers(spec.algorithm, spec.members ?? null);
  if (spec.constraints) {
    const learned = table.columns.filter(({ name }) => columns.includes(name));
    for (const { algorithm } of [spec, ...(members ?? [])])
      checkConstraints(spec.constraints, SPECS[algorithm], learned);
  }
  const { used, rows } = rowsByPart(column, assignment);
  const target = readTarget(column, used, rows.train, spec);
  if (target.task === 'multiclass' && spec.constraints?.monotone?.length)
    throw new SpecError(
      'TASK_DOES_NOT_FIT',
      'constraints.monotone',
      'A prediction can be held to rise or fall with a column where it is a number or one of two classes, not one of several.',
    );
  const weights = spec.weightColumn ? readWeights(table, spec.weightColumn, used) : null;
  const dropped = assignment.reduce((sum, part) => sum + (part <= TEST ? 1 : 0), 0) - used.length;
  const warnings = dropped > 0 ? [`Rows left out because their target is missing: ${dropped}.`] : [];
  return { columns, target, rows, weights, warnings };
}

/** The rows that take part and have a target, in all and of each part. */
export function rowsByPart(target: Column, assignment: Uint8Array): Pick<Plan, 'rows'> & { used: Uint32Array } {
  const isMissing = (row: number): boolean =>
    target.kind === 'category' ? target.codes[row] < 0 : Number.isNaN(target.values[row]);
  const all = Uint32Array.from(assignment, (_, row) => row);
  const used = all.filter((row) => assignment[row] <= TEST && !isMissing(row));
  const part = (wanted: number): Uint32Array => used.filter((row) => assignment[row] === wanted);
  return { used, rows: { train: part(TRAIN), validation: part(VALIDATION), test: part(TEST) } };
}

/** @throws SpecError EMPTY_SPLIT where one of the parts has no row. */
export function requireRows({ rows }: Pick<Plan, 'rows'>, ...parts: (keyof Plan['rows'])[]): void {
  const empty = parts.find((part) => rows[part].length === 0);
  if (empty !== undefined)
    throw new SpecError('EMPTY_SPLIT', 'split', `The ${empty} part of the split has no row with a target.`);
}

function chooseColumns(spec: FitSpec, table: Table): readonly string[] {
  const names = table.columns.map(({ name }) => name);
  const { weightColumn = null } = spec;
  if (weightColumn === spec.target)
    throw new SpecError('DUPLICATE_COLUMN', 'weightColumn', 'The target cannot be the weight as well.');
  if (spec.features === null) return names.filter((name) => name !== spec.target && name !== weightColumn);
  const unknown = spec.features.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new SpecError('UNKNOWN_COLUMN', 'features', `There is no column "${unknown}".`);
  if (spec.features.includes(spec.target))
    throw new SpecError('DUPLICATE_COLUMN', 'features', 'The target cannot be a feature as well.');
  if (weightColumn !== null && spec.features.includes(weightColumn))
    throw new SpecError('DUPLICATE_COLUMN', 'weightColumn', 'A weight cannot be a feature as well.');
  if (new Set(spec.features).size < spec.features.length)
    throw new SpecError('DUPLICATE_COLUMN', 'features', 'A column is named twice.');
  return spec.features;
}

export interface Fit {
  readonly fitted: FittedModel;
  readonly learned: Learned;
}

/** Learns from `lesson.trainRows`; chooses the threshold on `lesson.validationRows`. */
export async function fitModel(spec: FitSpec, lesson: Lesson): Promise<Fit> {
  if (lesson.warmStart && spec.algorithm !== 'GRADIENT_BOOSTING')
    throw new SpecError(
      'WARM_START_MISMATCH',
      'warmStartFrom',
      'Only gradient boosting can go on from another version.',
    );
  const learned = await learn(spec, lesson);
  return { fitted: finish(spec, lesson, learned), learned };
}

/**
 * All once more from the training and validation rows together, with the threshold, the calibration and the best rounds of `first`.
 * @throws SpecError BAD_PARAMETER where a member would stop its rounds by rows that it learns from
 */
export async function refitModel(spec: FitSpec, lesson: Lesson, first: Fit): Promise<Fit> {
  const { target, trainRows, validationRows } = lesson;
  const stopping = (spec.members ?? []).findIndex((member) => stopsEarly(member));
  if (stopping >= 0 && spec.algorithm !== 'BAGGING')
    throw new SpecError(
      'BAD_PARAMETER',
      `members.${stopping}.earlyStoppingRounds`,
      'A member that is refitted on the validation rows cannot be stopped by them: give its rounds, and earlyStoppingRounds 0.',
    );
  const fixed: AnyParameters = stopsEarly(spec) ? { nEstimators: first.learned.bestRound, earlyStoppingRounds: 0 } : {};
  const known = validationRows.filter((row) => target.classes === null || target.y[row] >= 0);
  const all = new Uint32Array(trainRows.length + known.length);
  all.set(trainRows);
  all.set(known, trainRows.length);
  const again = { ...spec, parameters: { ...spec.parameters, ...fixed } };
  const { fitted, learned } = await fitModel(again, { ...lesson, trainRows: all.sort() });
  const { threshold, calibration } = first.fitted;
  return { fitted: { ...fitted, threshold, ...(calibration === undefined ? {} : { calibration }) }, learned };
}

/** Whether the rounds of a fit are stopped by its validation rows. */
export function stopsEarly({ algorithm, parameters }: Pick<FitSpec, 'algorithm' | 'parameters'>): boolean {
  const specs: readonly ParameterSpec[] = SPECS[algorithm].parameters;
  const own = specs.find(({ name }) => name === 'earlyStoppingRounds');
  return own !== undefined && Number(parameters[own.name] ?? own.default) > 0;
}

/** Rounds at most: trees per output, or steps of the optimiser; of a combination, those of all its fits. */
export function roundsOf(spec: FitSpec): number {
  if (!isCombination(spec.algorithm)) return roundsOfOne({ ...spec, algorithm: spec.algorithm });
  const once = parseMembers(spec.algorithm, spec.members ?? null)!.reduce(
    (sum, member) => sum + roundsOfOne(member),
    0,
  );
  switch (spec.algorithm) {
    case 'VOTING':
      return once;
    case 'BAGGING':
      return once * parseParameters(spec.algorithm, spec.parameters).folds;
    case 'STACKING':
      return once * (parseParameters(spec.algorithm, spec.parameters).folds + 1);
  }
}

function roundsOfOne({ algorithm, parameters }: Member): number {
  switch (algorithm) {
    case 'DECISION_TREE':
      return 1;
    case 'LINEAR':
      return parseParameters(algorithm, parameters).maxIterations;
    default:
      return parseParameters(algorithm, parameters).nEstimators;
  }
}

async function learn(spec: FitSpec, lesson: Lesson): Promise<Learned> {
  const { algorithm, parameters } = spec;
  if (!isCombination(algorithm)) return learnOne({ algorithm, parameters }, lesson, spec.constraints ?? null);
  const members = parseMembers(algorithm, spec.members ?? null)!;
  const team: Team = {
    rounds: members.map(roundsOfOne),
    weights: members.map(({ weight }) => weight ?? 1),
    learn: (m, part) => learnOne(members[m], part, spec.constraints ?? null),
  };
  switch (algorithm) {
    case 'VOTING':
      return fitVoting(lesson, team, parseParameters(algorithm, parameters));
    case 'BAGGING':
      return fitBagging(lesson, team, parseParameters(algorithm, parameters));
    case 'STACKING':
      return fitStacking(lesson, team, parseParameters(algorithm, parameters));
  }
}

async function learnOne(
  { algorithm, parameters }: Member,
  given: Lesson,
  constraints: Constraints | null = null,
): Promise<Learned> {
  const isBalanced = parameters['classWeight'] === 'BALANCED' && given.target.classes !== null;
  const weights = isBalanced ? balanceClasses(given.weights, given.target, given.trainRows) : given.weights;
  const lesson = { ...given, weights };
  switch (algorithm) {
    case 'DECISION_TREE':
      return fitSingleTree(lesson, parseParameters(algorithm, parameters));
    case 'RANDOM_FOREST':
      return fitForest(lesson, parseParameters(algorithm, parameters));
    case 'EXTRA_TREES':
      return fitExtraTrees(lesson, parseParameters(algorithm, parameters));
    case 'GRADIENT_BOOSTING':
    case 'XGBOOST':
    case 'LIGHTGBM':
      return fitBoosting(lesson, parseParameters(algorithm, parameters), constraints);
    case 'LINEAR':
      return fitLinear(lesson, parseParameters(algorithm, parameters));
  }
}

/** The model with its inputs and what the validation rows choose: the calibration of classes and, for two, the threshold. */
function finish(spec: FitSpec, lesson: Lesson, { model, fitted }: Learned): FittedModel {
  const { table, target, validationRows, weights } = lesson;
  const inputs: InputColumn[] = table.columns
    .filter(({ name }) => fitted.columns.includes(name))
    .map(({ name, kind }) => ({ name, kind, categories: fitted.categories.get(name) ?? null }));
  const plain: FittedModel = {
    model,
    task: target.task,
    classes: target.classes,
    threshold: 0.5,
    target: spec.target,
    inputs,
  };
  if (target.classes === null) return plain;
  const actual = Int32Array.from(pick(target.y, validationRows));
  const rules: { calibration: CalibrationRule; decisionThreshold: ThresholdRule } = parseParameters(
    spec.algorithm,
    spec.parameters,
  );
  const outputs = target.classes.length;
  const calibration =
    rules.calibration === 'NONE'
      ? null
      : fitCalibration(
          rules.calibration,
          model,
          scoreTable(model, outputs, table, validationRows),
          outputs,
          actual,
          weights && pick(weights, validationRows),
        );
  const whole = calibration === null ? plain : { ...plain, calibration };
  if (target.task !== 'binary') return whole;
  const { scores } = predictTable(whole, table, validationRows);
  const positive = scores.filter((_, i) => i % 2 === 1);
  return { ...whole, threshold: chooseThreshold(positive, actual, rules.decisionThreshold) };
}

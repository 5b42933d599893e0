/**
 * Door of evaluation: a fitted model on some rows, section by section. Each section is plain data, ready to be stored and drawn.
 * What is chosen (thresholds) is chosen on validation rows; what refits the specification keeps the test rows out.
 */
import { evaluateClasses, evaluateNumbers } from './core/evaluate.js';
import { type Metrics } from './core/metric.js';
import { type FittedModel } from './core/model.js';
import { Pace } from './core/pace.js';
import { SpecError } from './core/spec-error.js';
import { type Table } from './core/table.js';
import { compareAnswers, type Paired } from './evaluate/against.js';
import { answer, type Answers, isClass, scoresOf } from './evaluate/answers.js';
import { type Curves, curvesOf, MOST_POINTS } from './evaluate/curves.js';
import { type Dependence, partialDependence } from './evaluate/dependence.js';
import { type FoldSpec } from './evaluate/folds.js';
import { type Groups, groupsOf } from './evaluate/groups.js';
import { type PermutationImportance, permutationImportance } from './evaluate/permutation.js';
import { effectOf, pickThreshold, type ThresholdEffect, type ThresholdPurpose } from './evaluate/pick-threshold.js';
import {
  type CrossValidation,
  crossValidate,
  developmentRows,
  learningCurve,
  type LearningPoint,
  type RefitContext,
  rowsOf,
} from './evaluate/refit.js';
import { brierLosses, type Reliability, reliabilityOf } from './evaluate/reliability.js';
import { type Residuals, residualsOf } from './evaluate/residuals.js';
import { shapSummary, type ShapRequest, type ShapSummary } from './evaluate/summary.js';
import { type FitSpec } from './fit.js';
import { TEST, TRAIN, VALIDATION } from './split.js';

export type { Paired, PairedFigure } from './evaluate/against.js';
export type { CurvePoint, Curves } from './evaluate/curves.js';
export type { Dependence, DependencePoint } from './evaluate/dependence.js';
export { FOLD_SCHEMES, type FoldScheme, type FoldSpec, LEAST_FOLDS, MOST_FOLDS } from './evaluate/folds.js';
export { GROUP_RATES, type GroupFigures, type GroupRate, type GroupRateName, type Groups } from './evaluate/groups.js';
export type { RateGap } from './evaluate/groups.js';
export type { PermutationImportance } from './evaluate/permutation.js';
export type { ThresholdEffect, ThresholdPurpose } from './evaluate/pick-threshold.js';
export type { Rate } from './evaluate/rate.js';
export type { CrossValidation, FoldFigure, FoldResult, LearningPoint } from './evaluate/refit.js';
export type { Reliability, ReliabilityBin } from './evaluate/reliability.js';
export type { ResidualBin, Residuals } from './evaluate/residuals.js';
export { SHAP_METHODS, type ShapMethod } from './evaluate/shap.js';
export type { ShapColumn, ShapExample, ShapRequest, ShapSummary } from './evaluate/summary.js';

/** The sections that are wanted; what is left out (or null) is not made. */
export interface EvaluationRequest {
  /** ROC and precision-recall; of several classes, each against the rest. Classes only. */
  readonly curves?: boolean | null;
  /** Classes only. */
  readonly calibration?: { readonly bins: number } | null;
  /** Two classes only. */
  readonly thresholds?: readonly ThresholdPurpose[] | null;
  /** Numbers only. */
  readonly residuals?: { readonly bins: number } | null;
  readonly groups?: { readonly columns: readonly string[] } | null;
  readonly permutationImportance?: { readonly repeats: number } | null;
  readonly partialDependence?: { readonly columns: readonly string[] } | null;
  readonly shap?: ShapRequest | null;
  readonly crossValidation?: FoldSpec | null;
  readonly learningCurve?: { readonly shares: readonly number[] } | null;
}

export type SectionName = keyof EvaluationRequest | 'metrics' | 'against';

export interface ChosenThreshold {
  readonly purpose: ThresholdPurpose;
  /** Null where no threshold serves the purpose on the validation rows. */
  readonly threshold: number | null;
  /** On the validation rows, which chose it, and on the rows of this evaluation. */
  readonly chosen: ThresholdEffect | null;
  readonly measured: ThresholdEffect | null;
}

export interface EvaluationResult {
  readonly task: FittedModel['task'];
  readonly metrics: Metrics;
  /** Of two classes, the positive one only. */
  readonly curves?: readonly (Curves & { readonly className: string })[];
  /** Two classes: of the positive one's score. More: of the predicted class's score. */
  readonly calibration?: Reliability;
  readonly thresholds?: readonly ChosenThreshold[];
  readonly residuals?: Residuals;
  readonly groups?: readonly Groups[];
  readonly permutationImportance?: PermutationImportance;
  readonly partialDependence?: readonly Dependence[];
  readonly shap?: ShapSummary;
  readonly crossValidation?: CrossValidation;
  readonly learningCurve?: readonly LearningPoint[];
  readonly against?: Paired;
}

export interface EvaluationInput {
  readonly fitted: FittedModel;
  /** Another model, to be compared with on the same rows. */
  readonly against: FittedModel | null;
  readonly table: Table;
  /** TRAIN, VALIDATION or TEST per table row. */
  readonly assignment: Uint8Array;
  readonly part: 'VALIDATION' | 'TEST';
  /** How the model was learned, for what refits it; null if that is not known. */
  readonly spec: FitSpec | null;
  readonly seed: number;
}

export interface EvaluationContext {
  readonly signal: AbortSignal;
  readonly threads?: number;
  /** `done` of `of` steps (folds, columns) of a section; fraction of the whole, 0 to 1. */
  onStep(step: { section: SectionName; done: number; of: number; fraction: number }): void;
}

type Sections = { -readonly [K in keyof EvaluationResult]: EvaluationResult[K] };
/** Makes a section; `step` tells how far it is. */
type Make = (step: (done: number, of: number) => void) => Promise<Partial<Sections>> | Partial<Sections>;

/** @throws SpecError for what the request or the data rule out; the signal's reason when cancelled. */
export async function evaluate(
  request: EvaluationRequest,
  input: EvaluationInput,
  context: EvaluationContext,
): Promise<EvaluationResult> {
  const { table, assignment, part, fitted } = input;
  const partRows = rowsOf(assignment, part === 'TEST' ? TEST : VALIDATION);
  const answers = answer(fitted, table, partRows);
  const pace = new Pace(context.signal);
  const makers = [
    ...ownSections(request, input, answers, pace),
    ...explainingSections(request, input, answers, pace),
    ...refittingSections(request, input, context),
  ];
  const result: Partial<Sections> = { task: fitted.task };
  for (const [at, [section, make]] of makers.entries()) {
    const step = (done: number, of: number): void =>
      context.onStep({ section, done, of, fraction: (at + done / of) / makers.length });
    step(0, 1);
    Object.assign(result, await make(step));
  }
  return result as EvaluationResult;
}

type Makers = (readonly [SectionName, Make])[];

/** What the answers alone tell. */
function ownSections(request: EvaluationRequest, input: EvaluationInput, answers: Answers, pace: Pace): Makers {
  const { seed, against, fitted, table } = input;
  const { curves, calibration, thresholds, residuals, groups } = request;
  const made: Makers = [['metrics', async () => ({ metrics: await metricsOf(answers, seed, pace) })]];
  if (curves) made.push(['curves', async () => ({ curves: await curvesSection(answers, seed, pace) })]);
  if (calibration)
    made.push([
      'calibration',
      async () => ({ calibration: await calibrationSection(answers, calibration, seed, pace) }),
    ]);
  if (thresholds?.length)
    made.push(['thresholds', () => ({ thresholds: thresholdSection(input, answers, thresholds) })]);
  if (residuals)
    made.push([
      'residuals',
      () => {
        if (fitted.classes !== null) throw unfit('residuals', 'Residuals are of numbers; this model tells classes.');
        return { residuals: residualsOf(answers.actual, answers.scores, residuals.bins) };
      },
    ]);
  if (groups)
    made.push([
      'groups',
      async (step) => ({
        groups: await each(groups.columns, step, (column) => groupsOf(answers, column, { seed, pace })),
      }),
    ]);
  if (against)
    made.push([
      'against',
      async () => ({ against: await compareAnswers(answers, answer(against, table, answers.rows), { seed, pace }) }),
    ]);
  return made;
}

/** What the model needs its columns for. */
function explainingSections(request: EvaluationRequest, input: EvaluationInput, answers: Answers, pace: Pace): Makers {
  const { permutationImportance: permutation, partialDependence: dependence, shap } = request;
  const { seed, fitted, assignment } = input;
  const made: Makers = [];
  if (permutation)
    made.push([
      'permutationImportance',
      async (step) => ({
        permutationImportance: await permutationImportance(answers, {
          repeats: permutation.repeats,
          seed,
          pace,
          onColumn: (done) => step(done, fitted.inputs.length),
        }),
      }),
    ]);
  if (dependence)
    made.push([
      'partialDependence',
      async (step) => ({
        partialDependence: await each(dependence.columns, step, (column) => partialDependence(answers, column, pace)),
      }),
    ]);
  if (shap)
    made.push(['shap', async () => ({ shap: await shapSummary(answers, rowsOf(assignment, TRAIN), shap, pace) })]);
  return made;
}

/** What the specification is worth. */
function refittingSections(request: EvaluationRequest, input: EvaluationInput, context: EvaluationContext): Makers {
  const { crossValidation, learningCurve: learning } = request;
  const { spec, table, assignment, part, seed } = input;
  const refit = (section: string, step: (done: number, of: number) => void): RefitContext & { spec: FitSpec } => {
    if (spec === null)
      throw unfit(section, 'How this version was learned is not known, so that it cannot be fitted again.');
    const { signal, threads } = context;
    return { spec, seed, signal, onFit: step, ...(threads === undefined ? {} : { threads }) };
  };
  const made: Makers = [];
  if (crossValidation)
    made.push([
      'crossValidation',
      async (step) => {
        const { spec: known, ...fit } = refit('crossValidation', step);
        return {
          crossValidation: await crossValidate(known, table, developmentRows(assignment), crossValidation, fit),
        };
      },
    ]);
  if (learning)
    made.push([
      'learningCurve',
      async (step) => {
        const { spec: known, ...fit } = refit('learningCurve', step);
        const judged = part === 'TEST' ? TEST : VALIDATION;
        return { learningCurve: await learningCurve(known, table, assignment, judged, learning.shares, fit) };
      },
    ]);
  return made;
}

async function each<T>(
  columns: readonly string[],
  step: (done: number, of: number) => void,
  make: (column: string) => Promise<T>,
): Promise<T[]> {
  const made: T[] = [];
  for (const [at, column] of columns.entries()) {
    step(at, columns.length);
    made.push(await make(column));
  }
  return made;
}

function metricsOf({ fitted, actual, scores, labels }: Answers, seed: number, pace: Pace): Promise<Metrics> {
  if (fitted.classes === null || labels === null) return evaluateNumbers(actual, scores, seed, pace);
  return evaluateClasses(fitted.classes, fitted.task === 'binary', scores, labels, Int32Array.from(actual), seed, pace);
}

async function curvesSection(answers: Answers, seed: number, pace: Pace) {
  const { classes, task } = answers.fitted;
  if (classes === null) throw unfit('curves', 'Curves are of classes; this model tells numbers.');
  const told = task === 'binary' ? [1] : [...classes.keys()];
  const most = Math.max(20, Math.floor((5 * MOST_POINTS) / Math.max(5, told.length)));
  const made: (Curves & { className: string })[] = [];
  for (const c of told) {
    const curves = await curvesOf(scoresOf(answers, c), isClass(answers, c), { most, seed, pace });
    if (curves !== null) made.push({ className: classes[c]!, ...curves });
  }
  return made;
}

function calibrationSection(
  answers: Answers,
  { bins }: { readonly bins: number },
  seed: number,
  pace: Pace,
): Promise<Reliability> {
  const { fitted, actual, scores, labels } = answers;
  if (fitted.classes === null || labels === null)
    throw unfit('calibration', 'Calibration is of classes; this model tells numbers.');
  const k = fitted.classes.length;
  const losses = brierLosses(scores, k, actual);
  if (fitted.task === 'binary')
    return reliabilityOf(scoresOf(answers, 1), isClass(answers, 1), losses, { bins, seed, pace });
  const top = Float64Array.from(labels, (label, i) => scores[i * k + label]!);
  const isRight = Int32Array.from(labels, (label, i) => (actual[i] === label ? 1 : 0));
  return reliabilityOf(top, isRight, losses, { bins, seed, pace });
}

function thresholdSection(
  { fitted, table, assignment }: EvaluationInput,
  answers: Answers,
  purposes: readonly ThresholdPurpose[],
): ChosenThreshold[] {
  if (fitted.task !== 'binary') throw unfit('thresholds', 'A threshold is of two classes.');
  const chooser = answer(fitted, table, rowsOf(assignment, VALIDATION));
  const [choosing, measuring] = [chooser, answers].map((one) => [scoresOf(one, 1), isClass(one, 1)] as const);
  return purposes.map((purpose) => {
    const threshold = pickThreshold(...choosing!, purpose);
    if (threshold === null) return { purpose, threshold, chosen: null, measured: null };
    return {
      purpose,
      threshold,
      chosen: effectOf(threshold, ...choosing!, purpose),
      measured: effectOf(threshold, ...measuring!, purpose),
    };
  });
}

function unfit(field: string, message: string): SpecError {
  return new SpecError('TASK_DOES_NOT_FIT', field, message);
}

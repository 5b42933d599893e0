/**
 * Training: from a table, a split and a specification to one proved artifact. Everything is learned from the training rows;
 * validation rows stop the rounds and choose the threshold; test rows are touched by the last figures and the parity proof only.
 * The same specification, table and split give the same bytes.
 */
import { evaluateClasses, evaluateNumbers } from './core/evaluate.js';
import { type Learned, type Lesson, pick, type RoundMetric } from './core/learned.js';
import { type Metrics } from './core/metric.js';
import { type FittedModel, type InputColumn } from './core/model.js';
import { Pace } from './core/pace.js';
import { predictTable } from './core/predict.js';
import { type Table } from './core/table.js';
import { readTarget, type Target } from './core/target.js';
import { chooseThreshold, type ThresholdRule } from './core/threshold.js';
import { fitLinear } from './linear/fit.js';
import { exportOnnx } from './onnx/export.js';
import { type ParityProof, proveParity } from './onnx/parity.js';
import { type Algorithm, type AnyParameters, parseParameters, SpecError, type TaskName } from './spec.js';
import { TEST, TRAIN, VALIDATION } from './split.js';
import { fitBoosting, fitForest, fitSingleTree } from './trees/fit.js';

export type { ClassFigures, Figure, FigureName, Metrics } from './core/metric.js';
export type { FittedModel, InputColumn } from './core/model.js';
export type { Column, Table } from './core/table.js';
export type { ParityProof } from './onnx/parity.js';

export interface TrainSpec {
  readonly algorithm: Algorithm;
  readonly task: TaskName;
  readonly target: string;
  /** Columns to learn from; null: all but the target. */
  readonly features: readonly string[] | null;
  /** As `parseParameters` gives them; missing ones take their defaults. */
  readonly parameters: AnyParameters;
  readonly seed: number;
  /** Binary only: which class score[1] and the figures are about. Null: 'true', 1, or the rarer in training. */
  readonly positiveClass?: string | null;
  /** Lineage to be written into the ONNX file. */
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface TrainContext {
  /** TRAIN, VALIDATION or TEST per table row; rows of any other number take no part. */
  readonly assignment: Uint8Array;
  readonly signal: AbortSignal;
  /** Threads for the kernels of boosting; by default as many as pay. They make no difference to the artifact. */
  readonly threads?: number;
  onRound(progress: { round: number; rounds: number; metric: RoundMetric | null }): void;
}

export interface Artifact {
  readonly fitted: FittedModel;
  readonly onnx: Uint8Array;
  readonly validation: Metrics;
  readonly test: Metrics;
  /** By falling share. Trees: share of the gain of all splits. Linear: share of |weight| x deviation. */
  readonly importance: readonly { readonly column: string; readonly gain: number }[];
  readonly rounds: number;
  readonly bestRound: number;
  readonly history: readonly { readonly round: number; readonly train?: number; readonly validation: number }[];
  readonly warnings: readonly string[];
  readonly parity: ParityProof;
  readonly trainRows: number;
  readonly validationRows: number;
  readonly testRows: number;
}

/** @throws SpecError for what the request or the data rule out; the signal's reason when cancelled (heard within some 50 ms). */
export async function train(spec: TrainSpec, table: Table, context: TrainContext): Promise<Artifact> {
  const pace = new Pace(context.signal);
  const parts = new TrainingParts(spec, table, context.assignment);
  const { target, rows } = parts;
  const history: { round: number; train?: number; validation: number }[] = [];
  const rounds = roundsOf(spec);
  context.onRound({ round: 0, rounds, metric: null });
  const lesson: Lesson = {
    table,
    columns: parts.columns,
    target,
    trainRows: rows.train,
    validationRows: rows.validation,
    seed: spec.seed,
    pace,
    ...(context.threads === undefined ? {} : { threads: context.threads }),
    onRound: (round, metric) => {
      history.push({
        round,
        ...(metric.train === undefined ? {} : { train: metric.train }),
        validation: metric.validation,
      });
      context.onRound({ round, rounds, metric });
    },
  };
  const learned = await learn(spec, lesson);
  const fitted = finish(spec, table, target, learned, rows.validation);
  const onnx = exportOnnx(fitted, { name: spec.algorithm.toLowerCase(), metadata: spec.metadata ?? {} });
  return {
    fitted,
    onnx,
    validation: await evaluate(fitted, table, target, rows.validation, spec.seed, pace),
    test: await evaluate(fitted, table, target, rows.test, spec.seed, pace),
    importance: importance(learned),
    rounds: learned.rounds,
    bestRound: learned.bestRound,
    history,
    warnings: [...parts.warnings, ...target.warnings, ...learned.fitted.warnings, ...modelWarnings(learned)],
    parity: await proveParity(fitted, onnx, table, rows.test, { seed: spec.seed }),
    trainRows: rows.train.length,
    validationRows: rows.validation.length,
    testRows: rows.test.length,
  };
}

/** The request, checked against the table: columns, target, and the rows of each part that have a target. */
class TrainingParts {
  readonly columns: readonly string[];
  readonly target: Target;
  readonly rows: Readonly<Record<'train' | 'validation' | 'test', Uint32Array>>;
  readonly warnings: readonly string[];

  constructor(spec: TrainSpec, table: Table, assignment: Uint8Array) {
    if (assignment.length !== table.rowCount)
      throw new Error(`The split has ${assignment.length} rows, the table ${table.rowCount}.`);
    const column = table.columns.find(({ name }) => name === spec.target);
    if (column === undefined) throw new SpecError('UNKNOWN_COLUMN', 'target', `There is no column "${spec.target}".`);
    this.columns = chooseColumns(spec, table);
    const isMissing = (row: number): boolean =>
      column.kind === 'category' ? column.codes[row] < 0 : Number.isNaN(column.values[row]);
    const all = Uint32Array.from({ length: table.rowCount }, (_, row) => row);
    const used = all.filter((row) => assignment[row] <= TEST && !isMissing(row));
    const part = (wanted: number): Uint32Array => used.filter((row) => assignment[row] === wanted);
    this.rows = { train: part(TRAIN), validation: part(VALIDATION), test: part(TEST) };
    this.target = readTarget(column, used, this.rows.train, spec);
    for (const [name, rows] of Object.entries(this.rows)) {
      if (rows.length === 0)
        throw new SpecError('EMPTY_SPLIT', 'split', `The ${name} part of the split has no row with a target.`);
    }
    const dropped = assignment.reduce((sum, part) => sum + (part <= TEST ? 1 : 0), 0) - used.length;
    this.warnings = dropped > 0 ? [`Rows left out because their target is missing: ${dropped}.`] : [];
  }
}

function chooseColumns(spec: TrainSpec, table: Table): readonly string[] {
  const names = table.columns.map(({ name }) => name);
  if (spec.features === null) return names.filter((name) => name !== spec.target);
  const unknown = spec.features.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new SpecError('UNKNOWN_COLUMN', 'features', `There is no column "${unknown}".`);
  if (spec.features.includes(spec.target))
    throw new SpecError('DUPLICATE_COLUMN', 'features', 'The target cannot be a feature as well.');
  if (new Set(spec.features).size < spec.features.length)
    throw new SpecError('DUPLICATE_COLUMN', 'features', 'A column is named twice.');
  return spec.features;
}

/** Rounds at most: trees per output, or steps of the optimiser. */
function roundsOf({ algorithm, parameters }: TrainSpec): number {
  switch (algorithm) {
    case 'DECISION_TREE':
      return 1;
    case 'LINEAR':
      return parseParameters(algorithm, parameters).maxIterations;
    default:
      return parseParameters(algorithm, parameters).nEstimators;
  }
}

async function learn({ algorithm, parameters }: TrainSpec, lesson: Lesson): Promise<Learned> {
  switch (algorithm) {
    case 'DECISION_TREE':
      return fitSingleTree(lesson, parseParameters(algorithm, parameters));
    case 'RANDOM_FOREST':
      return fitForest(lesson, parseParameters(algorithm, parameters));
    case 'GRADIENT_BOOSTING':
      return fitBoosting(lesson, parseParameters(algorithm, parameters));
    case 'LINEAR':
      return fitLinear(lesson, parseParameters(algorithm, parameters));
  }
}

/** The model with its inputs and, for two classes, the threshold that the validation rows choose. */
function finish(
  spec: TrainSpec,
  table: Table,
  target: Target,
  { model, fitted }: Learned,
  validationRows: Uint32Array,
): FittedModel {
  const inputs: InputColumn[] = table.columns
    .filter(({ name }) => fitted.columns.includes(name))
    .map(({ name, kind }) => ({ name, kind, categories: fitted.categories.get(name) ?? null }));
  const whole: FittedModel = {
    model,
    task: target.task,
    classes: target.classes,
    threshold: 0.5,
    target: spec.target,
    inputs,
  };
  if (target.task !== 'binary') return whole;
  const { scores } = predictTable(whole, table, validationRows);
  const positive = scores.filter((_, i) => i % 2 === 1);
  const actual = Int32Array.from(pick(target.y, validationRows));
  const rule = parseParameters(spec.algorithm, spec.parameters).decisionThreshold satisfies ThresholdRule;
  return { ...whole, threshold: chooseThreshold(positive, actual, rule) };
}

async function evaluate(
  fitted: FittedModel,
  table: Table,
  target: Target,
  rows: Uint32Array,
  seed: number,
  pace: Pace,
): Promise<Metrics> {
  const { scores, labels } = predictTable(fitted, table, rows);
  if (!scores.every(Number.isFinite))
    throw new SpecError(
      'DIVERGED',
      'features',
      'The model gives answers that are no finite numbers: some column holds values too large for it.',
    );
  const actual = pick(target.y, rows);
  if (labels === null || fitted.classes === null) return evaluateNumbers(actual, scores, seed, pace);
  return evaluateClasses(fitted.classes, fitted.task === 'binary', scores, labels, Int32Array.from(actual), seed, pace);
}

function importance({ model, contributions, fitted }: Learned): { column: string; gain: number }[] {
  const sums = new Map<string, number>(fitted.columns.map((column) => [column, 0]));
  model.features.forEach(({ column }, f) => sums.set(column, sums.get(column)! + contributions[f]));
  const total = contributions.reduce((sum, value) => sum + value, 0);
  return [...sums]
    .map(([column, sum]) => ({ column, gain: total > 0 ? sum / total : 0 }))
    .sort((a, b) => b.gain - a.gain);
}

function modelWarnings({ model, contributions }: Learned): string[] {
  return model.family === 'trees' && contributions.every((gain) => gain === 0)
    ? ['No split was worth making: the model gives every row the same answer.']
    : [];
}

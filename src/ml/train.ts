/**
 * Training: from a table, a split and a specification to one proved artifact. Everything is learned from the training rows;
 * validation rows stop the rounds and choose the threshold; test rows are touched by the last figures and the parity proof only.
 * The same specification, table and split give the same bytes.
 */
import { evaluateModel } from './core/evaluate.js';
import { type Learned, type Lesson, type OutOfBag, type RoundMetric } from './core/learned.js';
import { type Metrics } from './core/metric.js';
import { type FittedModel } from './core/model.js';
import { Pace } from './core/pace.js';
import { type Table } from './core/table.js';
import { withReference } from './evaluate/reference.js';
import { fitModel, type FitSpec, planFit, refitModel, requireRows, roundsOf } from './fit.js';
import { exportOnnx } from './onnx/export.js';
import { type ParityProof, proveParity } from './onnx/parity.js';

export type { ClassFigures, Figure, FigureName, Metrics } from './core/metric.js';
export type { FittedModel, InputColumn } from './core/model.js';
export { packModel, unpackModel } from './core/pack.js';
export type { Column, Table } from './core/table.js';
export type { ParityProof } from './onnx/parity.js';

export interface TrainSpec extends FitSpec {
  /** Lineage to be written into the ONNX file. */
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface TrainContext {
  /** TRAIN, VALIDATION or TEST per table row; rows of any other number take no part. */
  readonly assignment: Uint8Array;
  readonly signal: AbortSignal;
  /** What to go on from, GRADIENT_BOOSTING only: as many rounds are added as `nEstimators` says. Importance is that of the trees added. */
  readonly warmStart?: FittedModel | null;
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
  /** Forests whose trees leave rows out; else null. */
  readonly outOfBag: OutOfBag | null;
  readonly rounds: number;
  readonly bestRound: number;
  /** `metric` names what was measured, such as `logLoss`. */
  readonly history: readonly {
    readonly round: number;
    readonly metric: string;
    readonly train?: number;
    readonly validation: number;
  }[];
  readonly warnings: readonly string[];
  readonly parity: ParityProof;
  readonly trainRows: number;
  readonly validationRows: number;
  readonly testRows: number;
}

/** @throws SpecError for what the request or the data rule out; the signal's reason when cancelled (heard within some 50 ms). */
export async function train(spec: TrainSpec, table: Table, context: TrainContext): Promise<Artifact> {
  const pace = new Pace(context.signal);
  const plan = planFit(spec, table, context.assignment);
  requireRows(plan, 'train', 'validation', 'test');
  const { target, rows } = plan;
  const history: { round: number; metric: string; train?: number; validation: number }[] = [];
  const rounds = roundsOf(spec);
  const allRounds = spec.refit ? 2 * rounds : rounds;
  context.onRound({ round: 0, rounds: allRounds, metric: null });
  const lesson: Lesson = {
    table,
    columns: plan.columns,
    target,
    trainRows: rows.train,
    validationRows: rows.validation,
    weights: plan.weights,
    seed: spec.seed,
    pace,
    warmStart: context.warmStart ?? null,
    ...(context.threads === undefined ? {} : { threads: context.threads }),
    onRound: (round, metric) => {
      // Members are measured on other rows than the combination, whose own loss is the one to keep.
      if (metric.part === undefined && round <= rounds)
        history.push({
          round,
          metric: metric.name,
          ...(metric.train === undefined ? {} : { train: metric.train }),
          validation: metric.validation,
        });
      context.onRound({ round, rounds: allRounds, metric });
    },
  };
  const first = await fitModel(spec, lesson);
  const { fitted: bare, learned } = spec.refit
    ? await refitModel(spec, { ...lesson, onRound: (round, metric) => lesson.onRound(rounds + round, metric) }, first)
    : first;
  const fitted = await withReference(bare, table, rows.train, pace);
  const onnx = exportOnnx(fitted, { name: spec.algorithm.toLowerCase(), metadata: spec.metadata ?? {} });
  return {
    fitted,
    onnx,
    validation: await evaluateModel(first.fitted, table, target, rows.validation, { seed: spec.seed, pace }),
    test: await evaluateModel(fitted, table, target, rows.test, { seed: spec.seed, pace }),
    importance: importance(learned),
    outOfBag: learned.outOfBag ?? null,
    rounds: learned.rounds,
    bestRound: learned.bestRound,
    history,
    warnings: [...plan.warnings, ...target.warnings, ...learned.fitted.warnings, ...modelWarnings(learned)],
    parity: await proveParity(fitted, onnx, table, rows.test, { seed: spec.seed }),
    trainRows: rows.train.length,
    validationRows: rows.validation.length,
    testRows: rows.test.length,
  };
}

function importance({ model, contributions, fitted }: Learned): { column: string; gain: number }[] {
  const sums = new Map<string, number>(fitted.columns.map((column) => [column, 0]));
  const owners = model.family === 'combined' ? fitted.columns : model.features.map(({ column }) => column);
  owners.forEach((column, f) => sums.set(column, sums.get(column)! + contributions[f]));
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

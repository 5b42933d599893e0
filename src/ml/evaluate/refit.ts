/** What a specification is worth, apart from one model of it: cross-validation and learning curves, which fit it again and again. */
import { evaluateModel } from '../core/evaluate.js';
import { type FigureName, type Metrics } from '../core/metric.js';
import { Pace } from '../core/pace.js';
import { Rng } from '../core/rng.js';
import { SpecError } from '../core/spec-error.js';
import { type Table } from '../core/table.js';
import { fitModel, type FitSpec, type Plan, planFit, requireRows } from '../fit.js';
import { TEST, TRAIN, VALIDATION } from '../split.js';
import { type FoldSpec, makeFolds, NO_PART } from './folds.js';
import { studentPoint } from './rate.js';

export interface FoldResult {
  readonly fold: number;
  readonly trainRows: number;
  readonly validationRows: number;
  readonly metrics: Metrics;
}

/** A figure over the folds. */
export interface FoldFigure {
  readonly name: FigureName;
  readonly mean: number;
  readonly deviation: number;
  /** 95 % by the corrected t statistic of Nadeau and Bengio ("Inference for the generalization error", 2003): folds share training rows. */
  readonly low: number;
  readonly high: number;
}

export interface CrossValidation extends FoldSpec {
  readonly results: readonly FoldResult[];
  readonly figures: readonly FoldFigure[];
}

export interface RefitContext {
  readonly seed: number;
  readonly signal: AbortSignal;
  readonly threads?: number;
  /** Called before each fit. */
  onFit(done: number, of: number): void;
}

/**
 * Fits the specification once per fold and tests it on rows that it has not seen.
 * @param rows table rows to be dealt out: training and validation rows, so that the test rows stay unseen
 * @throws SpecError of `makeFolds` and of fitting
 */
export async function crossValidate(
  spec: FitSpec,
  table: Table,
  rows: Uint32Array,
  folds: FoldSpec,
  context: RefitContext,
): Promise<CrossValidation> {
  const assignments = makeFolds(table, withTarget(spec, table, rows), folds, context.seed);
  const results: FoldResult[] = [];
  for (const [fold, assignment] of assignments.entries()) {
    context.onFit(fold, assignments.length);
    const plan = planFit(spec, table, assignment);
    const metrics = await fitAndMeasure(spec, table, plan, plan.rows.test, context);
    results.push({ fold, trainRows: plan.rows.train.length, validationRows: plan.rows.validation.length, metrics });
  }
  return { ...folds, results, figures: figuresOf(results) };
}

function figuresOf(results: readonly FoldResult[]): FoldFigure[] {
  const names = results[0]!.metrics.figures.map(({ name }) => name);
  return names.flatMap((name) => {
    const values = results.flatMap(({ metrics }) => metrics.figures.find((one) => one.name === name)?.value ?? []);
    if (values.length < 2) return [];
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
    const tested = results.reduce((sum, { metrics }) => sum + metrics.rows, 0);
    const trained = results.reduce((sum, { trainRows }) => sum + trainRows, 0);
    const reach = studentPoint(values.length - 1) * Math.sqrt(variance * (1 / values.length + tested / trained));
    return [{ name, mean, deviation: Math.sqrt(variance), low: mean - reach, high: mean + reach }];
  });
}

export interface LearningPoint {
  readonly share: number;
  readonly trainRows: number;
  /** On the rows that it learned from, and on the judged ones. */
  readonly train: Metrics;
  readonly judged: Metrics;
}

/**
 * Fits the specification on growing shares of the training rows, each share holding the smaller ones, and judges it on the same
 * rows every time: does it pay to collect more?
 * @param assignment of the split; `judged`: VALIDATION or TEST
 */
export async function learningCurve(
  spec: FitSpec,
  table: Table,
  assignment: Uint8Array,
  judged: number,
  shares: readonly number[],
  context: RefitContext,
): Promise<LearningPoint[]> {
  const train = rowsOf(assignment, TRAIN);
  new Rng(context.seed, 0x1ea2).shuffle(train);
  const points: LearningPoint[] = [];
  for (const [at, share] of [...shares].sort((a, b) => a - b).entries()) {
    context.onFit(at, shares.length);
    const kept = new Set(train.subarray(0, Math.max(1, Math.round(share * train.length))));
    const part = assignment.map((one, row) => (one === TRAIN && !kept.has(row) ? NO_PART : one));
    const plan = planFit(spec, table, part);
    const pace = new Pace(context.signal);
    requireRows(plan, 'train', 'validation');
    const fitted = await fitPlan(spec, table, plan, context);
    const { seed } = context;
    const measure = (rows: Uint32Array): Promise<Metrics> =>
      evaluateModel(fitted, table, plan.target, rows, { seed, pace });
    points.push({
      share,
      trainRows: plan.rows.train.length,
      train: await measure(plan.rows.train),
      judged: await measure(judged === TEST ? plan.rows.test : plan.rows.validation),
    });
  }
  return points;
}

async function fitAndMeasure(
  spec: FitSpec,
  table: Table,
  plan: Plan,
  rows: Uint32Array,
  context: RefitContext,
): Promise<Metrics> {
  requireRows(plan, 'train', 'validation', 'test');
  const fitted = await fitPlan(spec, table, plan, context);
  return evaluateModel(fitted, table, plan.target, rows, { seed: context.seed, pace: new Pace(context.signal) });
}

async function fitPlan(spec: FitSpec, table: Table, plan: Plan, { signal, threads }: RefitContext) {
  const { fitted } = await fitModel(spec, {
    table,
    columns: plan.columns,
    target: plan.target,
    trainRows: plan.rows.train,
    validationRows: plan.rows.validation,
    weights: plan.weights,
    seed: spec.seed,
    pace: new Pace(signal),
    onRound: () => undefined,
    ...(threads === undefined ? {} : { threads }),
  });
  return fitted;
}

function withTarget({ target }: FitSpec, table: Table, rows: Uint32Array): Uint32Array {
  const column = table.columns.find(({ name }) => name === target);
  if (column === undefined) throw new SpecError('UNKNOWN_COLUMN', 'target', `There is no column "${target}".`);
  if (column.kind === 'category') return rows.filter((row) => column.codes[row]! >= 0);
  return rows.filter((row) => !Number.isNaN(column.values[row]!));
}

export function rowsOf(assignment: Uint8Array, ...parts: readonly number[]): Uint32Array {
  const rows = Uint32Array.from(assignment.keys());
  return rows.filter((row) => parts.includes(assignment[row]!));
}

/** Rows of the split that a choice may be made by. */
export function developmentRows(assignment: Uint8Array): Uint32Array {
  return rowsOf(assignment, TRAIN, VALIDATION);
}

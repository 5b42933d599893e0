/**
 * Which rows judge a trial: the validation part once, or k folds of the training and validation rows, dealt anew in each
 * repetition. Small tables need the latter: on a hundred rows the best of many trials is mostly the luckiest.
 */
import { pick } from '../core/learned.js';
import { type FigureName } from '../core/metric.js';
import { Rng } from '../core/rng.js';
import { SpecError } from '../core/spec-error.js';
import { type Table } from '../core/table.js';
import { planFit, type Plan, requireRows } from '../fit.js';
import { TRAIN, VALIDATION } from '../split.js';
import { metricOf } from './figure.js';
import { type StudySpec } from './study.js';

export interface Part {
  readonly train: Uint32Array;
  readonly judged: Uint32Array;
}

export interface Panel {
  readonly table: Table;
  readonly plan: Plan;
  readonly metric: FigureName;
  readonly parts: readonly Part[];
  readonly folds: number | null;
  readonly repeats: number;
  /** Of the judged rows, part by part. */
  readonly actual: Float64Array;
}

export interface PanelShape {
  /** Null: the validation part. */
  readonly folds: number | null;
  readonly repeats: number;
  /** Rows that a fit learns from at most; those of larger parts are drawn. */
  readonly mostRows?: number;
}

const FOLDS_STREAM = 0xf01d;
const SHARE_STREAM = 0x5a3e;
const MOST_FOLDS = 20;

/** @throws SpecError for what the request or the data rule out */
export function makePanel(spec: StudySpec, table: Table, assignment: Uint8Array, shape: PanelShape): Panel {
  const { folds, repeats, mostRows = Infinity } = shape;
  if (folds !== null && !(Number.isInteger(folds) && folds >= 2 && folds <= MOST_FOLDS))
    throw new SpecError('BAD_PARAMETER', 'folds', `folds must be a whole number from 2 to ${MOST_FOLDS}.`);
  // Of the algorithm the plan takes only whether it can be held to constraints.
  const plan = planFit(
    { ...spec, algorithm: spec.algorithms?.[0] ?? 'GRADIENT_BOOSTING', parameters: {} },
    table,
    assignment,
  );
  requireRows(plan, 'train', 'validation');
  const metric = metricOf(spec.metric, plan.target.task);
  const whole =
    folds === null
      ? [{ train: plan.rows.train, judged: plan.rows.validation }]
      : Array.from({ length: repeats }, (_, r) => dealFolds(plan, folds, new Rng(spec.seed, FOLDS_STREAM + r))).flat();
  const parts = whole.map(({ train, judged }) => ({
    train: shareOf(plan, train, mostRows / train.length, spec.seed),
    judged,
  }));
  const actual = Float64Array.from(parts.flatMap(({ judged }) => [...pick(plan.target.y, judged)]));
  return { table, plan, metric, parts, folds, repeats: folds === null ? 1 : repeats, actual };
}

/** Rows that may be trained on, ascending: those of both parts, without classes that training does not know. */
export function allRows({ rows, target }: Plan): Uint32Array {
  const known = rows.validation.filter((row) => target.task === 'regression' || target.y[row]! >= 0);
  const all = new Uint32Array(rows.train.length + known.length);
  all.set(rows.train);
  all.set(known, rows.train.length);
  return all.sort();
}

/** Every class in the same shares; classes of fewer rows than folds are trained on only. */
function dealFolds(plan: Plan, folds: number, rng: Rng): Part[] {
  const all = allRows(plan);
  if (all.length < 2 * folds)
    throw new SpecError('EMPTY_SPLIT', 'folds', `${all.length} rows are too few for ${folds} folds.`);
  const foldOf = new Map<number, number>();
  let next = 0;
  for (const rows of strataOf(plan, all)) {
    if (rows.length < folds) continue;
    rng.shuffle(rows);
    for (const row of rows) foldOf.set(row, next++ % folds);
  }
  return Array.from({ length: folds }, (_, fold) => ({
    train: all.filter((row) => foldOf.get(row) !== fold),
    judged: all.filter((row) => foldOf.get(row) === fold),
  }));
}

function strataOf({ target }: Plan, rows: Uint32Array): Uint32Array[] {
  if (target.classes === null) return [rows.slice()];
  return target.classes.map((_, c) => rows.filter((row) => target.y[row] === c));
}

/** A share of the rows, at least one of each class, ascending; the same ones for the same seed. */
export function shareOf(plan: Plan, rows: Uint32Array, share: number, seed: number): Uint32Array {
  if (share >= 1) return rows;
  const rng = new Rng(seed, SHARE_STREAM);
  const kept = strataOf(plan, rows).flatMap((stratum) => {
    const count = Math.ceil(share * stratum.length);
    rng.shuffle(stratum, count);
    return [...stratum.subarray(0, count)];
  });
  return Uint32Array.from(kept).sort();
}

/** Rows of the study that are not of the test part. */
export function studyRows(assignment: Uint8Array): number {
  return assignment.reduce((sum, part) => sum + (part === TRAIN || part === VALIDATION ? 1 : 0), 0);
}

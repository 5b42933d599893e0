/**
 * Figures by group of people (or of anything that a column tells apart): does the model serve them alike? Rates after Hardt, Price
 * and Srebro, "Equality of opportunity in supervised learning", 2016. Groups of few rows are counted, not told: their figures are
 * noise, and would tell of single persons.
 */
import { quantile } from '../core/bootstrap.js';
import { evaluateClasses, evaluateNumbers } from '../core/evaluate.js';
import { type Metrics } from '../core/metric.js';
import { type Pace } from '../core/pace.js';
import { SpecError } from '../core/spec-error.js';
import { type Column } from '../core/table.js';
import { type Answers } from './answers.js';
import { differenceOf, type Rate, rateOf } from './rate.js';

/** Groups of fewer rows are masked. */
export const LEAST_GROUP_ROWS = 20;
/** Groups told at most: the largest. */
export const MOST_GROUPS = 20;

export const GROUP_RATES = [
  'BASE_RATE',
  'SELECTION_RATE',
  'TRUE_POSITIVE_RATE',
  'FALSE_POSITIVE_RATE',
  'PRECISION',
] as const;
export type GroupRateName = (typeof GROUP_RATES)[number];

export interface GroupRate {
  readonly name: GroupRateName;
  readonly rate: Rate;
  /** This group's minus the reference group's; null of the reference group itself. */
  readonly difference: Rate | null;
  /** This group's over the reference group's; null where that is 0, and of the reference group itself. */
  readonly ratio: number | null;
}

export interface GroupFigures {
  /** A category; false or true; of numbers and dates a range; null for rows without a value (or with a rare one). */
  readonly group: string | null;
  readonly rows: number;
  readonly metrics: Metrics;
  /** Two classes only; of the positive one. */
  readonly rates: readonly GroupRate[];
}

export interface RateGap {
  readonly name: GroupRateName;
  /** Largest rate of a group minus the smallest; smallest over largest (null where that is 0). */
  readonly difference: number;
  readonly ratio: number | null;
  readonly highest: string | null;
  readonly lowest: string | null;
}

export interface Groups {
  readonly column: string;
  /** The largest group, which the others are compared with. */
  readonly reference: string | null;
  /** Largest first. */
  readonly groups: readonly GroupFigures[];
  readonly gaps: readonly RateGap[];
  /** Groups that are not told, and their rows. */
  readonly maskedGroups: number;
  readonly maskedRows: number;
  readonly leastRows: number;
}

/** @throws SpecError UNKNOWN_COLUMN; EMPTY_SPLIT where every group is too small */
export async function groupsOf(
  answers: Answers,
  name: string,
  { seed, pace }: { readonly seed: number; readonly pace: Pace },
): Promise<Groups> {
  const column = answers.table.columns.find((one) => one.name === name);
  if (column === undefined) throw new SpecError('UNKNOWN_COLUMN', 'groups.column', `There is no column "${name}".`);
  const members = membersOf(column, answers.rows);
  const bySize = [...members].sort((a, b) => b[1].length - a[1].length);
  const told = bySize.filter(([, rows]) => rows.length >= LEAST_GROUP_ROWS).slice(0, MOST_GROUPS);
  if (told.length === 0)
    throw new SpecError('EMPTY_SPLIT', 'groups.column', `No value of "${name}" is held by ${LEAST_GROUP_ROWS} rows.`);
  const isBinary = answers.fitted.task === 'binary';
  const rates = told.map(([, rows]) => (isBinary ? ratesOf(answers, rows) : null));
  const groups: GroupFigures[] = [];
  for (const [at, [group, rows]] of told.entries())
    groups.push({
      group,
      rows: rows.length,
      metrics: await metricsOf(answers, rows, seed, pace),
      rates: rates[at] === null ? [] : GROUP_RATES.map((rate) => beside(rate, rates[at]!, at === 0 ? null : rates[0]!)),
    });
  const masked = bySize.filter((entry) => !told.includes(entry));
  return {
    column: name,
    reference: told[0]![0],
    groups,
    gaps: isBinary && groups.length > 1 ? GROUP_RATES.flatMap((rate) => gapOf(rate, groups) ?? []) : [],
    maskedGroups: masked.length,
    maskedRows: masked.reduce((sum, [, rows]) => sum + rows.length, 0),
    leastRows: LEAST_GROUP_ROWS,
  };
}

/** Positions in `rows` by group; numbers and dates in quarters of their order. */
function membersOf(column: Column, rows: Uint32Array): Map<string | null, number[]> {
  const nameOf = column.kind === 'number' || column.kind === 'date' ? rangeNames(column, rows) : valueNames(column);
  const members = new Map<string | null, number[]>();
  rows.forEach((row, i) => {
    const name = nameOf(row);
    const group = members.get(name);
    if (group === undefined) members.set(name, [i]);
    else group.push(i);
  });
  return members;
}

function valueNames(column: Column): (row: number) => string | null {
  if (column.kind === 'category') return (row) => column.categories[column.codes[row]!] ?? null;
  return (row) => (Number.isNaN(column.values[row]!) ? null : String(column.values[row] === 1));
}

function rangeNames(column: Column, rows: Uint32Array): (row: number) => string | null {
  if (column.kind === 'category') throw new Error('Categories have no ranges.');
  const { values } = column;
  const sorted = Float64Array.from(rows, (row) => values[row]!)
    .filter((value) => !Number.isNaN(value))
    .sort();
  const text = (value: number): string =>
    column.kind === 'date' ? new Date(value).toISOString().slice(0, 10) : String(Number(value.toPrecision(6)));
  const cuts = [...new Set([0.25, 0.5, 0.75].map((q) => quantile(sorted, q) ?? NaN))];
  const names = [...cuts.map((cut, i) => (i === 0 ? `<= ${text(cut)}` : `${text(cuts[i - 1]!)} to ${text(cut)}`))];
  const last = `> ${text(cuts.at(-1)!)}`;
  return (row) => {
    const value = values[row]!;
    if (Number.isNaN(value)) return null;
    return names[cuts.findIndex((cut) => value <= cut)] ?? last;
  };
}

type Rates = Readonly<Record<GroupRateName, Rate>>;

function ratesOf({ actual, labels }: Answers, rows: readonly number[]): Rates {
  let positives = 0;
  let called = 0;
  let found = 0;
  for (const i of rows) {
    if (actual[i] === 1) positives++;
    if (labels![i] !== 1) continue;
    called++;
    if (actual[i] === 1) found++;
  }
  return {
    BASE_RATE: rateOf(positives, rows.length),
    SELECTION_RATE: rateOf(called, rows.length),
    TRUE_POSITIVE_RATE: rateOf(found, positives),
    FALSE_POSITIVE_RATE: rateOf(called - found, rows.length - positives),
    PRECISION: rateOf(found, called),
  };
}

function beside(name: GroupRateName, rates: Rates, reference: Rates | null): GroupRate {
  const rate = rates[name];
  if (reference === null) return { name, rate, difference: null, ratio: null };
  const other = reference[name];
  const ratio = rate.value === null || !other.value ? null : rate.value / other.value;
  return { name, rate, difference: differenceOf(rate, other), ratio };
}

function gapOf(name: GroupRateName, groups: readonly GroupFigures[]): RateGap | null {
  const known = groups
    .map(({ group, rates }) => ({ group, value: rates.find((rate) => rate.name === name)!.rate.value }))
    .filter((one): one is { group: string | null; value: number } => one.value !== null)
    .sort((a, b) => a.value - b.value);
  const [lowest, highest] = [known[0], known.at(-1)];
  if (lowest === undefined || highest === undefined) return null;
  return {
    name,
    difference: highest.value - lowest.value,
    ratio: highest.value > 0 ? lowest.value / highest.value : null,
    highest: highest.group,
    lowest: lowest.group,
  };
}

async function metricsOf(answers: Answers, rows: readonly number[], seed: number, pace: Pace): Promise<Metrics> {
  const { fitted, actual, scores, labels } = answers;
  const k = fitted.classes?.length ?? 1;
  const own = new Float64Array(rows.length * k);
  rows.forEach((i, at) => own.set(scores.subarray(i * k, (i + 1) * k), at * k));
  if (fitted.classes === null || labels === null)
    return evaluateNumbers(
      Float64Array.from(rows, (i) => actual[i]!),
      own,
      seed,
      pace,
    );
  const ownLabels = Int32Array.from(rows, (i) => labels[i]!);
  const ownActual = Int32Array.from(rows, (i) => actual[i]!);
  return evaluateClasses(fitted.classes, fitted.task === 'binary', own, ownLabels, ownActual, seed, pace);
}

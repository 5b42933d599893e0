/**
 * Learning a combination: voting, bagging over folds, stacking. Training rows alone teach the members and the final learner of a
 * stack; validation rows stop the members' rounds, and choose the weights of a vote and the threshold.
 */
import { type FittedFeatures } from '../features/tabular.js';
import { type Learned, type Lesson, pick, type RoundPart } from '../core/learned.js';
import { logLosses } from '../core/metric.js';
import { type CombinedModel, type Link, type Model, type SingleModel } from '../core/model.js';
import { scoreTable, stackInputs } from '../core/predict.js';
import { Rng } from '../core/rng.js';
import { SpecError } from '../core/spec-error.js';
import { type Parameters } from '../spec.js';
import { dealFolds, NO_FOLD } from './folds.js';
import { poolShares, poolValues } from './pool.js';
import { fitStack } from './stack.js';

/** Who is combined. */
export interface Team {
  /** Most rounds of each member. */
  readonly rounds: readonly number[];
  /** What each member counts against the others where weights are given. */
  readonly weights: readonly number[];
  /** Learns member `member`; the model stands alone. */
  learn(member: number, lesson: Lesson): Promise<Learned>;
}

export async function fitVoting(lesson: Lesson, team: Team, p: Parameters<'VOTING'>): Promise<Learned> {
  const course = new Course(lesson, team);
  const learned: Learned[] = [];
  for (const m of team.rounds.keys()) learned.push(await course.learn({ member: m, fold: null }, lesson));
  const given = p.weighting === 'GIVEN' ? team.weights : team.weights.map(() => 1);
  const total = given.reduce((sum, weight) => sum + weight, 0);
  const weights =
    p.weighting === 'FITTED'
      ? await fitWeights(lesson, learned.map(singleModel))
      : Float64Array.from(given, (weight) => weight / total);
  return course.finish(learned, { weights, stack: null });
}

export async function fitBagging(lesson: Lesson, team: Team, p: Parameters<'BAGGING'>): Promise<Learned> {
  const course = new Course(lesson, team);
  const fold = foldsOf(lesson, p.folds);
  const learned: Learned[] = [];
  for (let f = 0; f < p.folds; f++) {
    const trainRows = lesson.trainRows.filter((_, i) => fold[i] !== f);
    const validationRows = lesson.trainRows.filter((_, i) => fold[i] === f);
    learned.push(await course.learn({ member: 0, fold: f }, { ...lesson, trainRows, validationRows }));
  }
  return course.finish(learned, { weights: new Float64Array(p.folds).fill(1 / p.folds), stack: null });
}

export async function fitStacking(lesson: Lesson, team: Team, p: Parameters<'STACKING'>): Promise<Learned> {
  const { target, trainRows, pace } = lesson;
  const course = new Course(lesson, team);
  const fold = foldsOf(lesson, p.folds);
  const link: Link = target.task === 'regression' ? 'identity' : target.task === 'binary' ? 'sigmoid' : 'softmax';
  const width = link === 'softmax' ? target.classes!.length : 1;
  const held = trainRows.filter((_, i) => fold[i] !== NO_FOLD);
  const place = new Map(Array.from(held, (row, i) => [row, i]));
  const inputs = team.rounds.map(() => new Float64Array(held.length * width));
  for (const m of team.rounds.keys()) {
    for (let f = 0; f < p.folds; f++) {
      const unseen = trainRows.filter((_, i) => fold[i] === f);
      const seen = trainRows.filter((_, i) => fold[i] !== f);
      const { model } = await course.learn({ member: m, fold: f }, { ...lesson, trainRows: seen });
      const scores = scoresOf(model, lesson, unseen);
      stackInputs(link, scores, unseen.length * width);
      unseen.forEach((row, i) => inputs[m].set(scores.subarray(i * width, (i + 1) * width), place.get(row)! * width));
    }
  }
  const data = { inputs, link, width, y: pick(target.y, held), counts: countsOf(lesson, held) };
  const { weights, intercept } = await fitStack(data, { l2: p.finalL2, nonNegative: p.nonNegative }, pace);
  const learned: Learned[] = [];
  for (const m of team.rounds.keys()) learned.push(await course.learn({ member: m, fold: null }, lesson));
  return course.finish(learned, { weights, stack: { intercept, link } });
}

/** Streams of the seed: one to deal folds, one for each member and fold. */
const FOLDS_STREAM = 0xf01d5;
const MEMBERS_STREAM = 0xc0b1e5;

/** A combination while its members learn, one after the other. */
class Course {
  /** Most rounds of what is behind, and the rounds really made. */
  private behind = 0;
  private made = 0;

  constructor(
    private readonly lesson: Lesson,
    private readonly team: Team,
  ) {}

  /** Errors name the member that they are about. */
  async learn(part: RoundPart, lesson: Lesson): Promise<Learned> {
    const { member, fold } = part;
    const seed = new Rng(lesson.seed, MEMBERS_STREAM + 64 * member + (fold ?? 63)).uint32();
    try {
      const learned = await this.team.learn(member, {
        ...lesson,
        seed,
        onRound: (round, metric) => this.lesson.onRound(this.behind + round, { ...metric, part }),
      });
      this.behind += this.team.rounds[member];
      this.made += learned.rounds;
      return learned;
    } catch (error) {
      if (!(error instanceof SpecError)) throw error;
      throw new SpecError(error.code, `members.${member}.${error.field}`, `Member ${member + 1}: ${error.message}`);
    }
  }

  finish(learned: readonly Learned[], joined: Pick<CombinedModel, 'weights' | 'stack'>): Learned {
    const model: CombinedModel = { family: 'combined', members: learned.map(singleModel), ...joined };
    const fitted = joinFeatures(this.lesson, learned);
    this.lesson.onRound(this.behind, lossOf(this.lesson, model));
    return {
      model,
      fitted,
      contributions: joinContributions(learned, model.weights, fitted.columns),
      rounds: this.made,
      bestRound: learned.reduce((sum, { bestRound }) => sum + bestRound, 0),
    };
  }
}

function singleModel({ model }: Learned): SingleModel {
  if (model.family === 'combined') throw new Error('A combination is no member of another.');
  return model;
}

function foldsOf({ target, trainRows, seed }: Lesson, folds: number): Uint8Array {
  const fold = dealFolds(target, trainRows, folds, new Rng(seed, FOLDS_STREAM));
  if (fold.reduce((sum, f) => sum + (f === NO_FOLD ? 0 : 1), 0) < folds)
    throw new SpecError('BAD_PARAMETER', 'folds', `There are too few training rows for ${folds} folds.`);
  return fold;
}

function countsOf({ weights }: Lesson, rows: Uint32Array): Float64Array {
  return weights === null ? new Float64Array(rows.length).fill(1) : pick(weights, rows);
}

/** rows x outputs. @throws SpecError DIVERGED */
function scoresOf(model: Model, { table, target }: Lesson, rows: Uint32Array): Float64Array {
  const scores = scoreTable(model, target.classes?.length ?? 1, table, rows);
  if (scores.every(Number.isFinite)) return scores;
  throw new SpecError(
    'DIVERGED',
    'features',
    'A member answers with no finite number: some column is too large for it.',
  );
}

/** The weights of least loss on the validation rows of known classes. */
async function fitWeights(lesson: Lesson, members: readonly SingleModel[]): Promise<Float64Array> {
  const { target, pace } = lesson;
  const rows = lesson.validationRows.filter((row) => target.classes === null || target.y[row] >= 0);
  const y = pick(target.y, rows);
  const counts = countsOf(lesson, rows);
  const scores = members.map((model) => scoresOf(model, lesson, rows));
  if (target.classes === null) return poolValues(scores, y, counts);
  const width = target.classes.length;
  return poolShares(
    scores.map((s) => Float64Array.from(y, (k, i) => s[i * width + k])),
    counts,
    pace,
  );
}

/** Loss of the combination on the validation rows. */
function lossOf(lesson: Lesson, model: CombinedModel): { name: string; validation: number } {
  const { target, validationRows: rows } = lesson;
  const scores = scoresOf(model, lesson, rows);
  const y = pick(target.y, rows);
  const mean = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  if (target.classes === null)
    return { name: 'rmse', validation: Math.sqrt(mean(y.map((value, i) => (value - scores[i]) ** 2))) };
  return { name: 'logLoss', validation: mean(logLosses(scores, target.classes.length, Int32Array.from(y))) };
}

/** What any member uses and knows, in the order of the table. */
function joinFeatures({ table }: Lesson, learned: readonly Learned[]): FittedFeatures {
  const used = table.columns.filter(({ name }) => learned.some(({ fitted }) => fitted.columns.includes(name)));
  const categories = new Map<string, readonly string[]>();
  for (const column of used) {
    if (column.kind !== 'category') continue;
    const known = new Set(learned.flatMap(({ fitted }) => fitted.categories.get(column.name) ?? []));
    categories.set(
      column.name,
      column.categories.filter((category) => known.has(category)),
    );
  }
  return {
    features: [],
    training: { table, features: [] },
    columns: used.map(({ name }) => name),
    categories,
    warnings: [...new Set(learned.flatMap(({ fitted }) => fitted.warnings))],
  };
}

/** By column: each member's share of it, in the measure of the member's weight. */
function joinContributions(
  learned: readonly Learned[],
  weights: Float64Array,
  columns: readonly string[],
): Float64Array {
  const sums = new Float64Array(columns.length);
  const at = new Map(columns.map((column, i) => [column, i]));
  learned.forEach(({ model, contributions }, m) => {
    if (model.family === 'combined') return;
    const total = contributions.reduce((sum, value) => sum + value, 0);
    if (!(total > 0)) return;
    model.features.forEach(({ column }, f) => {
      sums[at.get(column)!] += (Math.abs(weights[m]) * contributions[f]) / total;
    });
  });
  return sums;
}

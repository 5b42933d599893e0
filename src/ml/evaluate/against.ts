/**
 * Two models on the same rows: the difference of every figure with a paired bootstrap interval. Both are measured on the same
 * resamples, so that what makes rows hard for both cancels out, and the interval of the difference is narrower than of each.
 */
import { bootstrap, intervalOf } from '../core/bootstrap.js';
import { measureClasses, measureNumbers, type Measure } from '../core/evaluate.js';
import { type FigureName } from '../core/metric.js';
import { type FittedModel } from '../core/model.js';
import { type Pace } from '../core/pace.js';
import { SpecError } from '../core/spec-error.js';
import { type Answers } from './answers.js';
import { type Rate } from './rate.js';

export interface PairedFigure {
  readonly name: FigureName;
  readonly value: number | null;
  readonly against: number | null;
  /** value - against. */
  readonly difference: Rate;
}

export interface Paired {
  readonly rows: number;
  readonly figures: readonly PairedFigure[];
}

/** @throws SpecError TASK_DOES_NOT_FIT where the models do not answer the same question */
export async function compareAnswers(
  a: Answers,
  b: Answers,
  { seed, pace }: { readonly seed: number; readonly pace: Pace },
): Promise<Paired> {
  if (!isSameQuestion(a.fitted, b.fitted))
    throw new SpecError('TASK_DOES_NOT_FIT', 'against', 'The two versions do not tell the same target and classes.');
  const [left, right] = [measureOf(a), measureOf(b)];
  const drawn = await bootstrap(a.rows.length, left.cost + right.cost, seed, pace, (weights) => [
    left.statistic(weights),
    right.statistic(weights),
  ]);
  const minus = (x: number | null | undefined, y: number | null | undefined): number | null =>
    x == null || y == null ? null : x - y;
  return {
    rows: a.rows.length,
    figures: left.names.map((name) => ({
      name,
      value: left.once[name] ?? null,
      against: right.once[name] ?? null,
      difference: {
        value: minus(left.once[name], right.once[name]),
        ...intervalOf(drawn.map(([x, y]) => minus(x![name], y![name]))),
      },
    })),
  };
}

function measureOf({ fitted, actual, scores, labels }: Answers): Measure {
  if (fitted.classes === null || labels === null) return measureNumbers(actual, scores);
  return measureClasses(fitted.classes.length, fitted.task === 'binary', scores, labels, Int32Array.from(actual));
}

/** Whether both tell the same target, of the same classes, and of two classes mean the same one by "positive". */
function isSameQuestion(a: FittedModel, b: FittedModel): boolean {
  const sorted = ({ classes }: FittedModel): string => JSON.stringify(classes && [...classes].sort());
  if (a.task !== b.task || a.target !== b.target || sorted(a) !== sorted(b)) return false;
  return a.task !== 'binary' || a.classes![1] === b.classes![1];
}

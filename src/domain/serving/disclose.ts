import type { Inference } from '../../ml/infer.js';
import type { Disclosed } from './decide.js';
import { noisyCount, randomisedResponse } from './mechanism.js';
import type { NoiseStream } from './noise-stream.js';

/** What leaves of an answer. Labels and scores of a classifier, values of a regression. */
export interface Answer {
  /** By row; null where the label is not told. */
  readonly labels: readonly (string | null)[] | null;
  /** By class, each as long as there are rows, null where a score is not told; null if none ever is. A class that is told of no row is left out. */
  readonly scores: Scores | null;
  /** By row; null where the model answers no finite number. */
  readonly values: readonly (number | null)[] | null;
}

/** The rule as the log and the noise know it: its kind and its parameters. */
export function ruleName(disclosure: Disclosed): string {
  switch (disclosure.kind) {
    case 'TOP_K':
      return `TOP_K:${disclosure.k}:${disclosure.digits}`;
    case 'SCORES':
      return `SCORES:${disclosure.digits}`;
    case 'ABOVE':
      return `ABOVE:${disclosure.threshold}:${disclosure.digits}`;
    case 'NOISY':
      return `NOISY:${disclosure.epsilonMilliPerRow}:${disclosure.digits}:${disclosure.lower ?? ''}:${disclosure.upper ?? ''}`;
    default:
      return disclosure.kind;
  }
}

export type Scores = Readonly<Record<string, readonly (number | null)[]>>;

type Classified = {
  readonly labels: readonly string[];
  readonly scores: Float32Array;
  readonly classes: readonly string[];
};
type Rule<K extends Disclosed['kind']> = Extract<Disclosed, { kind: K }>;

/**
 * The only way from an inference to an answer. Whatever `disclosure` does not name stays here: what is told is computed from
 * rounded scores (and the labels, where they are told), so that rows which the rule makes equal get equal answers.
 * `noise` is drawn from for NOISY only.
 */
export function disclose(inference: Inference, disclosure: Disclosed, noise: () => NoiseStream): Answer {
  const { labels, scores, classes, values } = inference;
  if (values) return { labels: null, scores: null, values: tellValues(values, disclosure, noise) };
  if (!labels || !scores || !classes) return { labels: null, scores: null, values: null };
  const of = { labels, scores, classes };
  switch (disclosure.kind) {
    case 'LABEL_ONLY':
      return { labels, scores: null, values: null };
    case 'TOP_K':
      if (disclosure.k < classes.length) return tellHighest(of, disclosure);
      return { labels, scores: tellScores(of, 10 ** disclosure.digits), values: null };
    case 'ABOVE':
      return tellAbove(of, disclosure);
    case 'NOISY':
      return tellNoisy(of, disclosure, noise());
    case 'SCORES':
      return { labels, scores: tellScores(of, 10 ** disclosure.digits), values: null };
    case 'FULL':
      return { labels, scores: tellScores(of, null), values: null };
  }
}

/** x as a whole number of steps of 1 / unit; of ties the upper one. */
const steps = (x: number, unit: number): number => Math.round(x * unit);
/** Never -0, which would tell the sign of what was rounded away; never Infinity or NaN, which JSON has not. */
const told = (count: number, unit: number): number | null => (Number.isFinite(count) ? count / unit + 0 : null);

function tellValues(values: Float32Array, disclosure: Disclosed, noise: () => NoiseStream): (number | null)[] | null {
  const answer = new Array<number | null>(values.length);
  if (disclosure.kind === 'NOISY') return tellNoisyValues(values, disclosure, noise());
  if (disclosure.kind !== 'SCORES' && disclosure.kind !== 'FULL') return null;
  const unit = disclosure.kind === 'FULL' ? null : 10 ** disclosure.digits;
  for (let i = 0; i < answer.length; i++)
    answer[i] = unit === null ? told(values[i]!, 1) : told(steps(values[i]!, unit), unit);
  return answer;
}

/** `unit` null: not rounded. */
function tellScores({ scores, classes }: Classified, unit: number | null): Scores {
  const width = classes.length;
  const rowCount = scores.length / width;
  const columns = classes.map((_, k) => {
    const column = new Array<number | null>(rowCount);
    for (let i = 0, at = k; i < rowCount; i++, at += width)
      column[i] = unit === null ? told(scores[at]!, 1) : told(steps(scores[at]!, unit), unit);
    return column;
  });
  return byClass(classes, columns);
}

function byClass(classes: readonly string[], columns: readonly (readonly (number | null)[] | undefined)[]): Scores {
  const scores: Record<string, readonly (number | null)[]> = {};
  for (let k = 0; k < classes.length; k++) {
    const [name, column] = [classes[k]!, columns[k]];
    if (!column) continue;
    // An assignment would set the prototype.
    if (name === '__proto__') Object.defineProperty(scores, name, { value: column, enumerable: true });
    else scores[name] = column;
  }
  return scores;
}

/** Columns of scores that are made when the first of their scores is told. */
class Told {
  private readonly columns: (number | null)[][];

  constructor(
    private readonly classes: readonly string[],
    private readonly rowCount: number,
  ) {
    this.columns = new Array<(number | null)[]>(classes.length);
  }

  set(row: number, k: number, score: number | null): void {
    (this.columns[k] ??= new Array<number | null>(this.rowCount).fill(null))[row] = score;
  }

  scores(): Scores {
    return byClass(this.classes, this.columns);
  }
}

/**
 * The k highest rounded scores of each row. Of equal ones the label's first, then those of earlier classes: their order before the
 * rounding makes no difference.
 */
function tellHighest({ labels, scores, classes }: Classified, { k: most, digits }: Rule<'TOP_K'>): Answer {
  const width = classes.length;
  const unit = 10 ** digits;
  const answer = new Told(classes, labels.length);
  const index = indexOf(classes);
  const best = new Int32Array(most);
  const count = new Float64Array(most);
  for (let i = 0; i < labels.length; i++) {
    const first = index.get(labels[i]!)!;
    let held = 0;
    for (let turn = -1; turn < width; turn++) {
      if (turn === first) continue;
      const k = turn < 0 ? first : turn;
      const rounded = steps(scores[i * width + k]!, unit);
      if (!Number.isFinite(rounded) || (held === most && !(rounded > count[most - 1]!))) continue;
      let at = held < most ? held++ : most - 1;
      for (; at > 0 && count[at - 1]! < rounded; at--) {
        count[at] = count[at - 1]!;
        best[at] = best[at - 1]!;
      }
      count[at] = rounded;
      best[at] = k;
    }
    for (let at = 0; at < held; at++) answer.set(i, best[at]!, told(count[at]!, unit));
  }
  return { labels, scores: answer.scores(), values: null };
}

/** Rounded scores that are at least the threshold; the label of a row is told if its score is. */
function tellAbove({ labels, scores, classes }: Classified, { threshold, digits }: Rule<'ABOVE'>): Answer {
  const width = classes.length;
  const unit = 10 ** digits;
  // A threshold has six decimals at most: compared as whole numbers of 10^-digits.
  const least = Math.ceil(Math.round(threshold * 1e6) / 10 ** (6 - digits));
  const answer = new Told(classes, labels.length);
  const index = indexOf(classes);
  const toldLabels = labels.map((label, i) => {
    const from = i * width;
    for (let k = 0; k < width; k++) {
      const rounded = steps(scores[from + k]!, unit);
      if (rounded >= least) answer.set(i, k, told(rounded, unit));
    }
    return steps(scores[from + index.get(label)!]!, unit) >= least ? label : null;
  });
  return { labels: toldLabels, scores: answer.scores(), values: null };
}

/**
 * Half of ε for the label by randomised response, the other half for the score of the class that was answered; with no decimals all
 * of it for the label. One number of 0 .. 10^digits has a sensitivity of 10^digits; that of all classes' scores would be twice that.
 */
function tellNoisy({ labels, scores, classes }: Classified, rule: Rule<'NOISY'>, stream: NoiseStream): Answer {
  const width = classes.length;
  const unit = 10 ** rule.digits;
  const forScore = rule.digits === 0 ? 0 : Math.ceil(rule.epsilonMilliPerRow / 2);
  const answer = new Told(classes, labels.length);
  const index = indexOf(classes);
  const toldLabels = labels.map((label, i) => {
    const k = randomisedResponse(stream, index.get(label)!, width, rule.epsilonMilliPerRow - forScore);
    if (forScore > 0)
      answer.set(i, k, noisyCount(stream, within(scores[i * width + k]!, 0, unit, unit), unit, forScore) / unit);
    return classes[k]!;
  });
  return { labels: toldLabels, scores: forScore > 0 ? answer.scores() : null, values: null };
}

/** Values between `lower` and `upper`, in steps of 10^-digits. */
function tellNoisyValues(values: Float32Array, rule: Rule<'NOISY'>, stream: NoiseStream): number[] | null {
  if (rule.lower === undefined || rule.upper === undefined) return null;
  const unit = 10 ** rule.digits;
  const [least, most] = [steps(rule.lower, unit), steps(rule.upper, unit)];
  const answer = new Array<number>(values.length);
  for (let i = 0; i < answer.length; i++) {
    const truth = within(values[i]!, least, most, unit);
    const noisy = least + noisyCount(stream, truth - least, most - least, rule.epsilonMilliPerRow);
    answer[i] = noisy / unit + 0;
  }
  return answer;
}

/** The steps of x, cut back to least .. most; what is no number counts as the least. */
function within(x: number, least: number, most: number, unit: number): number {
  const count = steps(x, unit);
  return count >= least ? Math.min(count, most) : least;
}

const indices = new WeakMap<readonly string[], ReadonlyMap<string, number>>();

/** The place of each class; once per loaded model. */
function indexOf(classes: readonly string[]): ReadonlyMap<string, number> {
  let index = indices.get(classes);
  if (!index) {
    index = new Map(classes.map((name, k) => [name, k]));
    indices.set(classes, index);
  }
  return index;
}

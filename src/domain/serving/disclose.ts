import type { Inference } from '../../ml/infer.js';
import type { Disclosed } from './decide.js';

/** What leaves of an answer. Labels and scores of a classifier, values of a regression. */
export interface Answer {
  readonly labels: readonly string[] | null;
  /** By class, each as long as there are rows; null if not disclosed. */
  readonly scores: Readonly<Record<string, readonly number[]>> | null;
  readonly values: readonly number[] | null;
}

/** The only way from an inference to an answer. Whatever `disclosure` does not name stays here. */
export function disclose({ labels, scores, classes, values }: Inference, disclosure: Disclosed): Answer {
  const none: Answer = { labels: null, scores: null, values: null };
  if (disclosure.kind === 'LABEL_ONLY') return { ...none, labels };
  const told = rounding(disclosure);
  if (values) return { ...none, values: Array.from(values, told) };
  if (!labels || !scores || !classes) return none;
  return { ...none, labels, scores: byClass(scores, classes, told) };
}

/** `scores`: rows x classes, row-major. */
function byClass(scores: Float32Array, classes: readonly string[], told: (score: number) => number) {
  const rowCount = scores.length / classes.length;
  const columns = classes.map((name, k) => {
    const column = new Array<number>(rowCount);
    for (let i = 0; i < rowCount; i++) column[i] = told(scores[i * classes.length + k]!);
    return [name, column] as const;
  });
  // fromEntries makes a plain property even of a class called "__proto__".
  return Object.fromEntries(columns);
}

/** To the nearest multiple of 10^-digits; of ties the upper one. Never -0, which would tell the sign of what was rounded away. */
function rounding(disclosure: Exclude<Disclosed, { kind: 'LABEL_ONLY' }>): (x: number) => number {
  if (disclosure.kind === 'FULL') return (x) => x;
  const unit = 10 ** disclosure.digits;
  return (x) => Math.round(x * unit) / unit + 0;
}

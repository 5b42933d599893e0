/**
 * The reference predictor: what a fitted model answers for the rows of a table. The exported ONNX graph must answer the same
 * (onnx/parity.ts proves it), so every rounding is stated here once:
 *
 *   feature   float32: fround(value), or fround((fround(value) - mean) / scale) with the middle in float64
 *   raw       float64: base + sum (or mean) of leaves, or intercept + weights . features. In float32 a thousand trees would
 *             differ by the order of the sum alone: ONNX Runtime adds float32 trees in float32, double ones in float64.
 *   score     float32: fround(link(raw)), as the graph returns it; a combination works on what members have before the rounding
 *             and a calibration comes before it too
 *   label     binary: class 1 where score[1] >= threshold; multi-class: the first of the largest scores
 */
import { CLIP, type CombinedModel, type FittedModel, type Link, type Model, type SingleModel } from './model.js';
import { calibrate } from './calibrate.js';
import { featureMatrix, type FillFeatures } from './feature-matrix.js';
import { rawOutputs, scorerOf } from './scorer.js';
import { type Table } from './table.js';

export interface Prediction {
  /** rows x outputs, row-major, float32 values; outputs = classes, or 1 for regression. */
  readonly scores: Float64Array;
  /** Class index by row; null for regression. */
  readonly labels: Int32Array | null;
}

/** Scores and labels of `rows` (indices into `table`; null: all rows, in order). Columns the model knows must exist. */
export function predictTable(fitted: FittedModel, table: Table, rows: Uint32Array | null): Prediction {
  const outputs = fitted.classes?.length ?? 1;
  const scores = scoreTable(fitted.model, outputs, table, rows);
  if (fitted.calibration !== undefined) calibrate(fitted.calibration, scores, outputs);
  for (let at = 0; at < scores.length; at++) scores[at] = Math.fround(scores[at]!);
  return { scores, labels: fitted.classes === null ? null : chooseLabels(scores, outputs, fitted) };
}

/** rows x outputs as they are before the rounding to float32. */
export function scoreTable(model: Model, outputs: number, table: Table, rows: Uint32Array | null): Float64Array {
  const count = rows === null ? table.rowCount : rows.length;
  const { answer, close } = answererOf(model, outputs, table, count);
  const scores = new Float64Array(count * outputs);
  try {
    for (let from = 0; from < count; from += ANSWER_ROWS) {
      const size = Math.min(ANSWER_ROWS, count - from);
      answer(rows, from, size, scores.subarray(from * outputs, (from + size) * outputs));
    }
  } finally {
    close();
  }
  return scores;
}

interface Answerer {
  /** Writes the scores of table rows rows[from .. from + size) into out (size x outputs). */
  answer(rows: Uint32Array | null, from: number, size: number, out: Float64Array): void;
  close(): void;
}

/** Rows that a model answers at a time; a combination keeps so many answers of a member. */
const ANSWER_ROWS = 1 << 14;

/** @param count rows to be answered in all */
function answererOf(model: Model, outputs: number, table: Table, count: number): Answerer {
  if (model.family === 'combined') return together(model, outputs, table, count);
  return alone(model, featureMatrix(model.features, table), outputs, count);
}

function alone(model: SingleModel, fill: FillFeatures, outputs: number, count: number): Answerer {
  const rawWidth = rawOutputs(model);
  const scorer = scorerOf(model, count);
  const { block, blockRows, raw } = scorer;
  return {
    answer(rows, from, size, out) {
      for (let done = 0; done < size; done += blockRows) {
        const part = Math.min(blockRows, size - done);
        fill(block, rows, from + done, part);
        scorer.score(part);
        linkScores(model.link, raw, rawWidth, out.subarray(done * outputs, (done + part) * outputs));
      }
    },
    close: () => scorer.close(),
  };
}

function together(model: CombinedModel, outputs: number, table: Table, count: number): Answerer {
  const { members, weights, stack } = model;
  // Whatever the table lacks is found before anything is opened.
  const fills = members.map(({ features }) => featureMatrix(features, table));
  const answerers = members.map((member, m) => alone(member, fills[m]!, outputs, count));
  const scores = new Float64Array(ANSWER_ROWS * outputs);
  const rawWidth = stack?.link === 'sigmoid' ? 1 : outputs;
  const raw = new Float64Array(ANSWER_ROWS * rawWidth);
  return {
    answer(rows, from, size, out) {
      const sums = stack === null ? out : raw.subarray(0, size * rawWidth);
      sums.fill(0);
      answerers.forEach((answerer, m) => {
        answerer.answer(rows, from, size, scores.subarray(0, size * outputs));
        if (stack !== null) stackInputs(stack.link, scores, size * rawWidth);
        for (let at = 0; at < sums.length; at++) sums[at]! += weights[m]! * scores[at]!;
      });
      if (stack === null) return;
      for (let at = 0; at < sums.length; at++) sums[at]! += stack.intercept[at % rawWidth]!;
      linkScores(stack.link, sums, rawWidth, out);
    },
    close: () => answerers.forEach((answerer) => answerer.close()),
  };
}

/** z of CombinedModel in place of a member's scores: the first `count` entries of `scores`. */
export function stackInputs(link: Link, scores: Float64Array, count: number): void {
  if (link === 'identity') return;
  for (let at = 0; at < count; at++) {
    if (link === 'softmax') {
      scores[at] = Math.log(Math.max(scores[at]!, CLIP));
      continue;
    }
    const p = Math.min(Math.max(scores[2 * at + 1]!, CLIP), 1 - CLIP);
    scores[at] = Math.log(p / (1 - p));
  }
}

/** `out` has rows x outputs; a sigmoid makes two of one: [1 - p, p]. Softmax subtracts the maximum, so that exp cannot overflow. */
function linkScores(link: Link, raw: Float64Array, rawWidth: number, out: Float64Array): void {
  if (link === 'sigmoid') {
    for (let i = 0; 2 * i < out.length; i++) {
      const p = 1 / (1 + Math.exp(-raw[i]!));
      out[2 * i] = 1 - p;
      out[2 * i + 1] = p;
    }
  } else if (link === 'softmax') {
    for (let at = 0; at < out.length; at += rawWidth) {
      let max = -Infinity;
      for (let k = 0; k < rawWidth; k++) max = Math.max(max, raw[at + k]!);
      let sum = 0;
      for (let k = 0; k < rawWidth; k++) sum += Math.exp(raw[at + k]! - max);
      for (let k = 0; k < rawWidth; k++) out[at + k] = Math.exp(raw[at + k]! - max) / sum;
    }
  } else if (link === 'exp') {
    for (let at = 0; at < out.length; at++) out[at] = Math.exp(raw[at]!);
  } else {
    for (let at = 0; at < out.length; at++) out[at] = raw[at]!;
  }
}

/** Class index of every row from its scores: by `threshold` for binary, else the first of the largest. */
export function chooseLabels(
  scores: Float64Array,
  outputs: number,
  fitted: Pick<FittedModel, 'task' | 'threshold'>,
): Int32Array {
  const labels = new Int32Array(scores.length / outputs);
  for (let i = 0, at = 0; i < labels.length; i++, at += outputs) {
    if (fitted.task === 'binary') {
      labels[i] = scores[at + 1]! >= fitted.threshold ? 1 : 0;
      continue;
    }
    let best = 0;
    for (let k = 1; k < outputs; k++) if (scores[at + k]! > scores[at + best]!) best = k;
    labels[i] = best;
  }
  return labels;
}

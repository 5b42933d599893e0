/** The calls: each writes its arguments to the first page and performs its tasks. Addresses are aligned to 16 bytes. */
import {
  CELLS,
  CHUNK,
  CUTS,
  FOUND,
  FREE,
  goalOf,
  highOf,
  lowOf,
  MOST_THREADS,
  NOTE,
  PART,
  SEARCH,
  SEARCHED,
  setAddress,
  setFloat,
  setInt,
  TABLE,
} from './control';
import { answerChunks } from './answer';
import { run, threads } from './parallel';
import {
  ANSWER,
  BIN,
  CLASS,
  COUNT,
  DIVIDE,
  HUBER,
  GROW,
  INTERLEAVE,
  LEAF,
  LOGISTIC,
  NODE,
  PINBALL,
  QUANTISE,
  QUANTISE_DRAWN,
  RATE,
  RENEW_HUBER,
  RENEW_QUANTILE,
  SETTLE,
  SOFTMAX,
  SORT,
  WALK,
} from './tasks';

export { CELLS, CHUNK, CUTS, FOUND, FREE, MOST_THREADS, NOTE, PART, TABLE };
export { close, help, setThreads } from './parallel';
export { highOf, lowOf };

/** Entries of a node from which counting them on all threads is worth adding up their parts. */
const SHARED_FROM: i32 = 1024;

function chunks(rows: i32): i32 {
  return (rows + CHUNK - 1) / CHUNK;
}

export function sort(columns: i32, values: usize, stride: usize, counts: usize, spare: usize): void {
  setAddress(0, values);
  setAddress(1, stride);
  setAddress(2, counts);
  setAddress(3, spare);
  run(SORT, columns);
}

export function bin(rows: i32, values: usize, bins: usize, binCount: i32): void {
  setInt(0, rows);
  setAddress(1, values);
  setAddress(2, bins);
  setInt(3, binCount);
  run(BIN, chunks(rows));
}

export function interleave(
  rows: i32,
  columns: usize,
  stride: usize,
  width: i32,
  features: i32,
  panes: usize,
  paneBytes: usize,
  rowBytes: usize,
): void {
  setInt(0, rows);
  setAddress(1, columns);
  setAddress(2, stride);
  setInt(3, width);
  setInt(4, features);
  setAddress(5, panes);
  setAddress(6, paneBytes);
  setAddress(7, rowBytes);
  run(INTERLEAVE, chunks(rows));
}

/** Derivatives of a loss of one output and two numbers; `weights` may be 0. */
function derive(
  operation: i32,
  rows: i32,
  raw: usize,
  y: usize,
  weights: usize,
  pairs: usize,
  notes: usize,
  one: f64,
  other: f64,
): void {
  setInt(0, rows);
  setAddress(1, raw);
  setAddress(2, y);
  setAddress(3, weights);
  setAddress(4, pairs);
  setAddress(5, notes);
  setFloat(6, one);
  setFloat(7, other);
  run(operation, chunks(rows));
}

export function logistic(rows: i32, raw: usize, y: usize, weights: usize, pairs: usize, notes: usize): void {
  derive(LOGISTIC, rows, raw, y, weights, pairs, notes, 0, 0);
}

export function huber(rows: i32, raw: usize, y: usize, weights: usize, pairs: usize, notes: usize, delta: f64): void {
  derive(HUBER, rows, raw, y, weights, pairs, notes, delta, 0);
}

export function pinball(
  rows: i32,
  raw: usize,
  y: usize,
  weights: usize,
  pairs: usize,
  notes: usize,
  over: f64,
  under: f64,
): void {
  derive(PINBALL, rows, raw, y, weights, pairs, notes, over, under);
}

export function rate(
  rows: i32,
  raw: usize,
  y: usize,
  weights: usize,
  pairs: usize,
  notes: usize,
  power: f64,
  caution: f64,
): void {
  derive(RATE, rows, raw, y, weights, pairs, notes, power, caution);
}

/** Probabilities of all outputs. */
export function softmax(
  rows: i32,
  raw: usize,
  rawStride: usize,
  y: usize,
  weights: usize,
  outputs: i32,
  probabilities: usize,
  stride: usize,
  notes: usize,
): void {
  setInt(0, rows);
  setAddress(1, raw);
  setAddress(2, rawStride);
  setAddress(3, y);
  setAddress(4, weights);
  setInt(5, outputs);
  setAddress(6, probabilities);
  setAddress(7, stride);
  setAddress(8, notes);
  run(SOFTMAX, chunks(rows));
}

/** Derivatives of output k from its probabilities. */
export function oneClass(
  rows: i32,
  k: i32,
  y: usize,
  weights: usize,
  probabilities: usize,
  pairs: usize,
  notes: usize,
  factor: f64,
): void {
  setInt(0, rows);
  setInt(1, k);
  setAddress(2, y);
  setAddress(3, weights);
  setAddress(4, probabilities);
  setAddress(5, pairs);
  setAddress(6, notes);
  setFloat(7, factor);
  run(CLASS, chunks(rows));
}

function makeEntries(
  operation: i32,
  rows: i32,
  pairs: usize,
  entries: usize,
  notes: usize,
  scaleG: f64,
  scaleH: f64,
  seed: i32,
): void {
  setInt(0, rows);
  setAddress(1, pairs);
  setAddress(2, entries);
  setAddress(3, notes);
  setFloat(4, scaleG);
  setFloat(5, scaleH);
  setInt(6, seed);
  run(operation, chunks(rows));
}

export function quantise(
  rows: i32,
  pairs: usize,
  entries: usize,
  notes: usize,
  scaleG: f64,
  scaleH: f64,
  seed: i32,
): void {
  makeEntries(QUANTISE, rows, pairs, entries, notes, scaleG, scaleH, seed);
}

export function quantiseDrawn(
  rows: i32,
  pairs: usize,
  entries: usize,
  notes: usize,
  scaleG: f64,
  scaleH: f64,
  seed: i32,
): void {
  makeEntries(QUANTISE_DRAWN, rows, pairs, entries, notes, scaleG, scaleH, seed);
}

/** What stays the same from node to node. `binCounts`: see `node` in tasks.ts. */
export function setTable(
  entries: usize,
  panes: usize,
  paneBytes: usize,
  paneWidth: i32,
  rowBytes: i32,
  width: i32,
  parts: usize,
  features: i32,
  binCounts: usize,
  directions: usize,
  found: usize,
): void {
  store<usize>(SEARCH, entries);
  store<usize>(SEARCH, panes, 8);
  store<usize>(SEARCH, paneBytes, 12);
  store<i32>(SEARCH, paneWidth, 16);
  store<i32>(SEARCH, rowBytes, 20);
  store<i32>(SEARCH, width, 24);
  store<usize>(SEARCH, parts, 28);
  store<i32>(SEARCH, features, 32);
  store<usize>(SEARCH, binCounts, 40);
  store<usize>(SEARCH, found, 48);
  store<usize>(SEARCH, directions, 56);
}

/** The penalties on weights, and the smoothing of categories. */
export function setPenalties(lambda: f64, alpha: f64, setLambda: f64, smooth: f64): void {
  store<f64>(SEARCH, lambda, 64);
  store<f64>(SEARCH, alpha, 72);
  store<f64>(SEARCH, setLambda, 80);
  store<f64>(SEARCH, smooth, 88);
}

/** What to look for at the child that is counted (which = 0) or at the other (1): see GOAL. */
export function setGoal(which: i32, g: i32, h: i32, minH: i32, least: f64, heavy: f64): void {
  const goal = goalOf(which);
  store<i32>(goal, h);
  store<i32>(goal, g, 4);
  store<i32>(goal, minH, 8);
  store<f64>(goal, least, 16);
  store<f64>(goal, heavy, 40);
}

/** @param free  there are neither bounds nor α: the score needs no weights */
export function setBounds(which: i32, free: i32, low: f64, high: f64): void {
  const goal = goalOf(which);
  store<i32>(goal, free, 12);
  store<f64>(goal, low, 24);
  store<f64>(goal, high, 32);
}

/**
 * Counts the entries of one child, makes the parent's histogram into the other child's, and finds the best split of either.
 * Without a parent there is one child only; without entries the histogram is as it was.
 */
export function node(begin: i32, end: i32, child: usize, parent: usize): void {
  setInt(0, begin);
  setInt(1, end);
  setAddress(2, child);
  setAddress(3, parent);
  const parts = end - begin < SHARED_FROM ? 1 : threads();
  setInt(4, parts);
  const features = load<i32>(SEARCH, 32);
  const paneWidth = load<i32>(SEARCH, 16);
  if (begin < end) run(COUNT, parts * ((features + paneWidth - 1) / paneWidth));
  run(NODE, (features + SEARCHED - 1) / SEARCHED);
}

/** Returns how many entries go left; nothing is settled yet. */
export function divide(begin: i32, end: i32, entries: usize, spare: usize, bins: usize, counts: usize): i32 {
  setInt(0, begin);
  setInt(1, end);
  setAddress(2, entries);
  setAddress(3, spare);
  setAddress(4, bins);
  setAddress(5, counts);
  const parts = (end - begin + PART - 1) / PART;
  run(DIVIDE, parts);
  let left = 0;
  for (let part = 0; part < parts; part++) left += load<i32>(counts + ((<usize>part) << 2));
  return left;
}

/** After `divide`, with the same arguments: `middle` is where the right side begins. */
export function settle(begin: i32, end: i32, middle: i32): void {
  setInt(6, middle);
  run(SETTLE, (end - begin + PART - 1) / PART);
}

export function leaves(
  groups: i32,
  rows: i32,
  count: i32,
  leaves: usize,
  entries: usize,
  pairs: usize,
  raw: usize,
  rate: f64,
  lambda: f64,
  alpha: f64,
  bounds: usize,
  values: usize,
): void {
  setAddress(0, leaves);
  setAddress(1, entries);
  setAddress(2, pairs);
  setAddress(3, raw);
  setFloat(4, rate);
  setFloat(5, lambda);
  setAddress(6, values);
  setFloat(7, alpha);
  setAddress(8, bounds);
  setInt(9, count);
  setInt(10, rows);
  run(LEAF, groups);
}

/** Values of leaves from residuals; `how` is the share of a quantile or Huber's δ. */
function renew(
  operation: i32,
  count: i32,
  ranges: usize,
  entries: usize,
  spare: usize,
  raw: usize,
  y: usize,
  weights: usize,
  how: f64,
  rate: f64,
  values: usize,
): void {
  setAddress(0, ranges);
  setAddress(1, entries);
  setAddress(2, spare);
  setAddress(3, raw);
  setAddress(4, y);
  setAddress(5, weights);
  setFloat(6, how);
  setFloat(7, rate);
  setAddress(8, values);
  run(operation, count);
}

export function renewQuantile(
  count: i32,
  ranges: usize,
  entries: usize,
  spare: usize,
  raw: usize,
  y: usize,
  weights: usize,
  share: f64,
  rate: f64,
  values: usize,
): void {
  renew(RENEW_QUANTILE, count, ranges, entries, spare, raw, y, weights, share, rate, values);
}

export function renewHuber(
  count: i32,
  ranges: usize,
  entries: usize,
  spare: usize,
  raw: usize,
  y: usize,
  weights: usize,
  delta: f64,
  rate: f64,
  values: usize,
): void {
  renew(RENEW_HUBER, count, ranges, entries, spare, raw, y, weights, delta, rate, values);
}

export function walk(rows: i32, columns: usize, stride: usize, nodes: usize, raw: usize): void {
  setInt(0, rows);
  setAddress(1, columns);
  setAddress(2, stride);
  setAddress(3, nodes);
  setAddress(4, raw);
  run(WALK, chunks(rows));
}

/** Takes `count` trees of a forest further, each by so much work: deep.ts. */
export function grow(count: i32, forest: usize, trees: usize, work: i32): void {
  setAddress(0, forest);
  setAddress(1, trees);
  setInt(2, work);
  run(GROW, count);
}

/** Raw scores by all trees. */
export function answer(
  rows: i32,
  block: usize,
  stride: usize,
  trees: usize,
  treeCount: i32,
  width: i32,
  raw: usize,
  outputs: i32,
): void {
  setInt(0, rows);
  setAddress(1, block);
  setAddress(2, stride);
  setAddress(3, trees);
  setInt(4, treeCount);
  setInt(5, width);
  setAddress(6, raw);
  setInt(7, outputs);
  run(ANSWER, answerChunks(rows));
}

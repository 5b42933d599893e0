/**
 * Calls that threads share out among themselves. A call is an operation, its arguments on the first page, and a number of
 * tasks; a task reads the arguments, and writes only what no other task touches.
 */
import { answerChunk } from './answer';
import { binChunk, interleaveChunk, sortFloats } from './bin';
import { address, CELLS, CUTS, float, FOUND, gathered, goalOf, highOf, int, lowOf, SEARCH, TABLE } from './control';
import { growTree } from './deep';
import { Forest, Growing } from './deep-state';
import { findSplit } from './find';
import { findSet } from './find-set';
import { huberChunk, logisticChunk, pinballChunk, rateChunk } from './gradient';
import { addBlock, subtractCells } from './histogram';
import { settleLeaf } from './leaf';
import { dividePart, settlePart } from './partition';
import { walkChunk } from './walk';
import { quantiseChunk, quantiseDrawnChunk } from './quantise';
import { renewHuber, renewQuantile } from './renew';
import { classChunk, softmaxChunk } from './softmax';

export const SORT: i32 = 0;
export const BIN: i32 = 1;
export const INTERLEAVE: i32 = 2;
export const LOGISTIC: i32 = 3;
export const HUBER: i32 = 4;
export const QUANTISE: i32 = 5;
export const QUANTISE_DRAWN: i32 = 6;
export const NODE: i32 = 7;
export const DIVIDE: i32 = 8;
export const SETTLE: i32 = 9;
export const LEAF: i32 = 10;
export const WALK: i32 = 11;
export const PINBALL: i32 = 20;
export const RATE: i32 = 21;
export const SOFTMAX: i32 = 22;
export const CLASS: i32 = 23;
export const RENEW_QUANTILE: i32 = 24;
export const RENEW_HUBER: i32 = 25;
export const ANSWER: i32 = 26;
export const GROW: i32 = 32;

export function perform(operation: i32, task: i32, thread: i32): void {
  switch (operation) {
    case SORT:
      return sort(task, thread);
    case BIN:
      return binChunk(task, int(0), address(1), address(2), CUTS, int(3), lowOf(thread), highOf(thread));
    case INTERLEAVE:
      return interleave(task);
    case LOGISTIC:
      return logisticChunk(task, int(0), address(1), address(2), address(3), address(4), address(5));
    case HUBER:
      return huberChunk(task, int(0), address(1), address(2), address(3), address(4), address(5), float(6));
    case PINBALL:
      return pinballChunk(task, int(0), address(1), address(2), address(3), address(4), address(5), float(6), float(7));
    case RATE:
      return rate(task);
    case SOFTMAX:
      return softmax(task);
    case CLASS:
      return oneClass(task);
    case ANSWER:
      return answer(task);
    case RENEW_QUANTILE:
    case RENEW_HUBER:
      return renew(operation, task);
    case QUANTISE:
      return quantiseChunk(task, int(0), address(1), address(2), address(3), <f32>float(4), <f32>float(5), int(6));
    case QUANTISE_DRAWN:
      return quantiseDrawnChunk(task, int(0), address(1), address(2), address(3), <f32>float(4), <f32>float(5), int(6));
    case NODE:
      return node(task, thread);
    case DIVIDE:
      return dividePart(task, int(0), int(1), address(2), address(3), address(4), TABLE, address(5));
    case SETTLE:
      return settlePart(task, int(0), int(1), address(2), address(3), address(5), int(6));
    case LEAF:
      return leaf(task);
    case WALK:
      return walkChunk(task, int(0), address(1), address(2), address(3), address(4));
    case GROW:
      return grow(task, thread);
    default:
      unreachable();
  }
}

/** Columns of float32, `stride` bytes apart, each with its count in `counts`; a spare area of stride + 8 KB for each thread. */
function sort(task: i32, thread: i32): void {
  const stride = address(1);
  const spare = address(3) + <usize>thread * (stride + 8192);
  sortFloats(address(0) + <usize>task * stride, load<i32>(address(2) + ((<usize>task) << 2)), spare);
}

/** Arguments: rows, columns, bytes per column, features per block, features, blocks, bytes per block. */
function interleave(task: i32): void {
  const width = int(3);
  const features = int(4);
  const stride = address(2);
  for (let from = 0, at = address(5); from < features; from += width, at += address(6))
    interleaveChunk(task, int(0), address(1) + <usize>from * stride, stride, min(width, features - from), at);
}

/**
 * One block of features at a node: counts the entries of one child, makes the parent's histogram into the other child's, and
 * finds the best split of either. Without a parent there is one child only; without entries the histogram is as it was.
 * Arguments: begin, end, child's cells, parent's cells or 0; all else is in SEARCH. There the bins of each feature, for child
 * and other: 0 where it is not to be searched, below 0 where they are categories.
 */
function node(task: i32, thread: i32): void {
  const begin = int(0);
  const end = int(1);
  const whole = load<i32>(SEARCH, 24);
  const features = load<i32>(SEARCH, 32);
  const first = task * whole;
  const width = min(whole, features - first);
  const child = address(2);
  const parent = address(3);
  if (begin < end) {
    const cells = child + <usize>first * CELLS;
    memory.fill(cells, 0, <usize>width * CELLS);
    const block = load<usize>(SEARCH, 8) + <usize>task * load<usize>(SEARCH, 16);
    addBlock(cells, width, block, load<usize>(SEARCH), begin, end, gathered(thread));
  }
  for (let f = first; f < first + width; f++) {
    const cells = child + <usize>f * CELLS;
    search(cells, f, 0, thread);
    if (parent != 0) {
      const other = parent + <usize>f * CELLS;
      subtractCells(other, cells);
      search(other, f, 1, thread);
    }
  }
}

function search(cells: usize, f: i32, which: i32, thread: i32): void {
  const slot = <usize>(which * load<i32>(SEARCH, 32) + f);
  const binCount = load<i32>(load<usize>(SEARCH, 40) + (slot << 2));
  const found = load<usize>(SEARCH, 48) + slot * FOUND;
  const directions = load<usize>(SEARCH, 56);
  if (binCount < 0) findSet(cells, -binCount, goalOf(which), found, gathered(thread));
  else if (binCount > 0)
    findSplit(cells, binCount, directions == 0 ? 0 : load<i8>(directions + <usize>f), goalOf(which), found);
}

/** Arguments: begin and end of each leaf, entries, pairs, raw, rate, λ, values, α, bounds of each leaf. */
function leaf(task: i32): void {
  const range = address(0) + ((<usize>task) << 3);
  const value = settleLeaf(
    load<i32>(range),
    load<i32>(range, 4),
    address(1),
    address(2),
    address(3),
    float(4),
    float(5),
    float(7),
    address(8) + ((<usize>task) << 4),
  );
  store<f32>(address(6) + ((<usize>task) << 2), value);
}

/** Arguments: those of every loss, then power and caution. */
function rate(task: i32): void {
  const power = <f32>float(6);
  const caution = <f32>float(7);
  rateChunk(task, int(0), address(1), address(2), address(3), address(4), address(5), power, caution);
}

/** Arguments: rows, raw, bytes of an output's, y, weights, outputs, probabilities, bytes of an output's, notes. */
function softmax(task: i32): void {
  const stride = address(7);
  const notes = address(8);
  softmaxChunk(task, int(0), int(5), address(1), address(2), address(3), address(4), address(6), stride, notes);
}

/** Arguments: rows, output, y, weights, probabilities of the output, pairs, notes, factor. */
function oneClass(task: i32): void {
  const factor = <f32>float(7);
  classChunk(task, int(0), int(1), address(2), address(3), address(4), address(5), address(6), factor);
}

/** Arguments: begin and end of each leaf, entries, spare, raw, y, weights, share or δ, rate, values. */
function renew(operation: i32, task: i32): void {
  const range = address(0) + ((<usize>task) << 3);
  const begin = load<i32>(range);
  const end = load<i32>(range, 4);
  const value =
    operation == RENEW_HUBER
      ? renewHuber(begin, end, address(1), address(2), address(3), address(4), address(5), float(6), float(7))
      : renewQuantile(begin, end, address(1), address(2), address(3), address(4), address(5), float(6), float(7));
  store<f32>(address(8) + ((<usize>task) << 2), value);
}

/** One of the trees on their way. Arguments: forest, addresses of the trees, work of one task. */
function grow(task: i32, thread: i32): void {
  const tree = load<usize>(address(1) + ((<usize>task) << 2));
  growTree(changetype<Forest>(address(0)), changetype<Growing>(tree), thread, int(2));
}

/** Arguments: rows, block, bytes of a row, trees, number of trees, values of a leaf, raw, outputs. */
function answer(task: i32): void {
  const outputs = int(7);
  answerChunk(task, int(0), address(1), address(2), address(3), int(4), int(5), address(6), outputs);
}

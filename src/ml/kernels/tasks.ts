/**
 * Calls that threads share out among themselves. A call is an operation, its arguments on the first page, and a number of
 * tasks; a task reads the arguments, and writes only what no other task touches.
 */
import { answerChunk } from './answer';
import { binChunk, interleaveChunk, sortFloats } from './bin';
import {
  address,
  CELLS,
  CUTS,
  float,
  FOUND,
  gathered,
  goalOf,
  highOf,
  int,
  lowOf,
  SEARCH,
  SEARCHED,
  TABLE,
  unpacked,
} from './control';
import { growTree } from './deep';
import { Forest, Growing } from './deep-state';
import { findSplit } from './find';
import { findSet } from './find-set';
import { huberChunk, logisticChunk, pinballChunk, rateChunk } from './gradient';
import { addCells, addPane, subtractCells } from './histogram';
import { settleLeaves } from './leaf';
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
export const COUNT: i32 = 27;
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
    case COUNT:
      return count(task, thread);
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

/** Arguments: rows, columns, bytes per column, features per pane, features, panes, bytes per pane, bytes of a row. */
function interleave(task: i32): void {
  const width = int(3);
  const features = int(4);
  const stride = address(2);
  for (let from = 0, at = address(5); from < features; from += width, at += address(6)) {
    const columns = address(1) + <usize>from * stride;
    interleaveChunk(task, int(0), columns, stride, min(width, features - from), at, address(7));
  }
}

/**
 * One part of a node's entries in one pane: adds them up in cells of their own, the first part in those of the node.
 * Arguments: begin, end, the node's cells, parent's cells, parts; all else is in SEARCH.
 */
function count(task: i32, thread: i32): void {
  const features = load<i32>(SEARCH, 32);
  const paneWidth = load<i32>(SEARCH, 16);
  const pane = task / int(4);
  const part = task % int(4);
  const begin = int(0) + ((int(1) - int(0)) / int(4)) * part;
  const end = part == int(4) - 1 ? int(1) : begin + (int(1) - int(0)) / int(4);
  const first = pane * paneWidth;
  const width = min(paneWidth, features - first);
  const cells = cellsOf(part) + <usize>first * CELLS;
  memory.fill(cells, 0, <usize>width * CELLS);
  addPane(
    cells,
    width,
    load<i32>(SEARCH, 24),
    load<usize>(SEARCH, 8) + <usize>pane * load<usize>(SEARCH, 12),
    load<usize>(SEARCH, 20),
    load<usize>(SEARCH),
    begin,
    end,
    gathered(thread),
    unpacked(thread),
  );
}

function cellsOf(part: i32): usize {
  const features = load<i32>(SEARCH, 32);
  return part == 0 ? address(2) : load<usize>(SEARCH, 28) + <usize>((part - 1) * features) * CELLS;
}

/**
 * Some features at a node, after its entries are counted: brings their parts together, makes the parent's histogram into that
 * of the other child, and finds the best split of either. Without a parent there is one child only.
 * Arguments as of `count`. In SEARCH are the bins of each feature, for child and other: 0 where it is not to be searched, below
 * 0 where they are categories.
 */
function node(task: i32, thread: i32): void {
  const first = task * SEARCHED;
  const end = min(first + SEARCHED, load<i32>(SEARCH, 32));
  const parent = address(3);
  for (let f = first; f < end; f++) {
    const at = <usize>f * CELLS;
    const cells = address(2) + at;
    for (let part = 1; part < int(4); part++) addCells(cells, cellsOf(part) + at, CELLS);
    search(cells, f, 0, thread);
    if (parent != 0) {
      subtractCells(parent + at, cells);
      search(parent + at, f, 1, thread);
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

/** One group of leaves. Arguments: leaves, entries, pairs, raw, rate, λ, values, α, bounds of each leaf, number of leaves, rows. */
function leaf(task: i32): void {
  settleLeaves(
    task,
    int(10),
    int(9),
    address(0),
    address(1),
    address(2),
    address(3),
    float(4),
    float(5),
    address(6),
    float(7),
    address(8),
  );
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

/**
 * The bins of one feature that hold rows of a node, and the order in which they are scanned. Numbers: ascending. Categories: by
 * a key, for then the best division into two sets is a prefix of the order (Fisher, "On grouping for maximum homogeneity", 1958).
 */
import { Desk, Forest } from './deep-state';
import { below, randomShare } from './random';

/** Up to so many categories are divided without smoothing and penalty. */
export const FEW_CATEGORIES: i32 = 4;
/** More categories than this never go to one side as the named set. */
const MOST_LEFT_CATEGORIES: i32 = 32;
/** Nodes of fewer rows mark the bins they touch, instead of looking through all of them. */
export const FEW_ROWS: i32 = 256;

export function mark(marks: usize, bin: i32): void {
  const at = marks + ((<usize>(bin >> 6)) << 3);
  store<u64>(at, load<u64>(at) | ((<u64>1) << ((<u64>bin) & 63)));
}

/** Lists the marked bins, ascending, and wipes the marks; returns how many. */
export function markedBins(desk: Desk): i32 {
  let length = 0;
  for (let word = 0; word < 4; word++) {
    const at = desk.marks + ((<usize>word) << 3);
    let bits = load<u64>(at);
    if (bits == 0) continue;
    store<u64>(at, 0);
    for (; bits != 0; bits &= bits - 1) store<u8>(desk.touched + length++, (word << 6) + <i32>ctz(bits));
  }
  return length;
}

/** The same by the count of rows of each bin. */
export function populatedBins(desk: Desk, binCount: i32): i32 {
  let length = 0;
  for (let bin = 0; bin < binCount; bin++) {
    store<u8>(desk.touched + length, bin);
    length += i32(load<i32>(desk.counts + ((<usize>bin) << 2)) > 0);
  }
  return length;
}

/** Keeps categories of at least so much weight, in their order; returns how many. */
export function keepHeavy(desk: Desk, length: i32, least: f64): i32 {
  let kept = 0;
  for (let i = 0; i < length; i++) {
    const bin = load<u8>(desk.order + i);
    if (load<f64>(desk.weights + ((<usize>bin) << 3)) >= least) store<u8>(desk.order + kept++, bin);
  }
  return kept;
}

/** By ascending key, ties by bin. */
export function sortByKey(desk: Desk, length: i32): void {
  const order = desk.order;
  for (let i = 1; i < length; i++) {
    const bin = load<u8>(order + i);
    const key = load<f64>(desk.keys + ((<usize>bin) << 3));
    let at = i;
    for (; at > 0; at--) {
      const other = load<u8>(order + at - 1);
      const otherKey = load<f64>(desk.keys + ((<usize>other) << 3));
      if (!(otherKey > key || (otherKey == key && other > bin))) break;
      store<u8>(order + at, other);
    }
    store<u8>(order + at, bin);
  }
}

export function reverse(order: usize, length: i32): void {
  for (let i = 0, j = length - 1; i < j; i++, j--) {
    const bin = load<u8>(order + i);
    store<u8>(order + i, load<u8>(order + j));
    store<u8>(order + j, bin);
  }
}

/** How many of the ordered categories may go left; those that were left out of the order stay together on the right. */
export function longestPrefix(kept: i32): i32 {
  return min(MOST_LEFT_CATEGORIES, (kept + 1) >> 1);
}

/** Takes the first `count` of the order over as the categories that go left. */
export function chooseCategories(desk: Desk, count: i32): void {
  v128.store(desk.set, i64x2.splat(0));
  v128.store(desk.set, i64x2.splat(0), 16);
  for (let i = 0; i < count; i++) mark(desk.set, load<u8>(desk.order + i));
}

/** Takes a cut of a number feature over: after the i-th of the populated bins, halfway to the next. */
export function chooseNumber(forest: Forest, desk: Desk, i: i32): void {
  desk.lastBin = load<u8>(desk.order + i);
  if (i + 1 == desk.length) {
    desk.nextBin = -1;
    desk.threshold = max(f32.MAX_VALUE, valueOf(forest.highs, desk, i));
    return;
  }
  desk.nextBin = load<u8>(desk.order + i + 1);
  desk.threshold = cutBetween(valueOf(forest.highs, desk, i), valueOf(forest.lows, desk, i + 1));
}

/**
 * Draws a cut of a number feature, uniform between the least and the largest value at the node (Geurts, Ernst & Wehenkel,
 * "Extremely randomized trees", 2006), and takes it to the nearer side of the bin that it hits. Returns the number of the last
 * populated bin on the left; `desk.drawn` is the threshold.
 */
export function drawCut(forest: Forest, random: usize, desk: Desk): i32 {
  const last = desk.length - 1;
  if (last == 0) return 0;
  const low = <f64>valueOf(forest.lows, desk, 0);
  const high = <f64>valueOf(forest.highs, desk, last);
  const drawn = <f32>(low + randomShare(random) * (high - low));
  let i = 0;
  while (i + 1 < last && middleOf(forest, desk, i + 1) <= drawn) i++;
  const from = valueOf(forest.highs, desk, i);
  const to = valueOf(forest.lows, desk, i + 1);
  desk.drawn = drawn >= from && drawn < to ? drawn : cutBetween(from, to);
  return i;
}

/** Draws how many of the ordered categories go left: each number alike, neither none nor all where there are two. */
export function drawPrefix(random: usize, length: i32): i32 {
  return length > 2 ? 1 + below(random, length - 1) : 1;
}

function valueOf(values: usize, desk: Desk, i: i32): f32 {
  const bin = <usize>load<u8>(desk.order + i);
  return load<f32>(values + ((((<usize>desk.tried) << 8) + bin) << 2));
}

function middleOf(forest: Forest, desk: Desk, i: i32): f32 {
  return <f32>(<f64>valueOf(forest.lows, desk, i) / 2 + <f64>valueOf(forest.highs, desk, i) / 2);
}

/** A float32 t with a <= t < b, halfway where there is room. */
function cutBetween(a: f32, b: f32): f32 {
  const middle = <f32>(<f64>a / 2 + <f64>b / 2);
  return middle >= a && middle < b ? middle : a;
}

/**
 * Splits by distances from the median (Breiman et al., "CART", 1984). A side with the values v, the weights w and
 * their weighted median m scores -Σ w |v - m|, and a split gains the scores of its sides less that of the node. Categories are
 * ordered by their median.
 *
 * Rows stand in every node by rising value. Sums over the rows of a side are kept in a Fenwick tree by their place there ("A new
 * data structure for cumulative frequency tables", 1994): a row joins the side in O(log n), and in as much the descent finds the
 * median, and what lies below it. The other side is the node less this one.
 *
 *   stats     {value, weight} of each row of the node, f64 each
 *   sums      Fenwick trees of {Σ w, Σ w v}, f64x2, of the node and of the left side; at place 0 the sums of all of it
 *   ranks     places in the node, u32, bin by bin, each bin's ascending
 *   ends      by bin the number of ranks up to its end, i32
 */
import {
  chooseCategories,
  chooseNumber,
  drawCut,
  drawPrefix,
  FEW_CATEGORIES,
  keepHeavy,
  longestPrefix,
  mark,
  reverse,
  sortByKey,
} from './deep-order';
import { Desk, Forest } from './deep-state';

/** Takes in the node; whether its values differ. */
export function loadMedian(desk: Desk, stats: usize, count: i32): bool {
  const end = stats + ((<usize>count) << 4);
  desk.h = 0;
  for (let at = stats; at < end; at += 16) desk.h += load<f64>(at, 8);
  const median = medianOf(stats, end, desk.h);
  let distance = 0.0;
  for (let at = stats; at < end; at += 16) distance += load<f64>(at, 8) * abs(load<f64>(at) - median);
  desk.g = -distance;
  return load<f64>(stats) < load<f64>(end - 16);
}

/** The leaf's answer: the median. */
export function leafOfMedian(forest: Forest, desk: Desk, stats: usize, count: i32, values: usize): void {
  store<f32>(values, <f32>(forest.mean + medianOf(stats, stats + ((<usize>count) << 4), desk.h)));
}

/** The middle of the weighted medians of rows by rising value. */
function medianOf(stats: usize, end: usize, total: f64): f64 {
  const half = total / 2;
  let below = 0.0;
  for (let at = stats; at < end - 16; at += 16) {
    below += load<f64>(at, 8);
    if (below > half) return load<f64>(at);
    if (below == half) return (load<f64>(at) + load<f64>(at, 16)) / 2;
  }
  return load<f64>(end - 16);
}

/** Makes the node's Fenwick tree, which serves all features. */
export function sumNode(desk: Desk, stats: usize, count: i32): void {
  const tree = desk.sums;
  let total = f64x2.splat(0);
  memory.fill(tree, 0, (<usize>(count + 1)) << 4);
  for (let place = 1; place <= count; place++) {
    const at = tree + ((<usize>place) << 4);
    const row = termsOf(stats, place - 1);
    total = f64x2.add(total, row);
    const sum = f64x2.add(v128.load(at), row);
    v128.store(at, sum);
    const above = place + (place & -place);
    if (above > count) continue;
    const to = tree + ((<usize>above) << 4);
    v128.store(to, f64x2.add(v128.load(to), sum));
  }
  v128.store(tree, total);
}

/** {w, w v} of a row. */
function termsOf(stats: usize, rank: i32): v128 {
  const at = stats + ((<usize>rank) << 4);
  const weight = load<f64>(at, 8);
  return f64x2.replace_lane(f64x2.splat(weight), 1, weight * load<f64>(at));
}

export function countRows(desk: Desk, bins: usize, rows: usize, count: i32, isFew: bool): void {
  const end = rows + ((<usize>count) << 2);
  for (; rows < end; rows += 4) {
    const bin = <i32>load<u8>(bins + load<u32>(rows));
    const sum = desk.counts + ((<usize>bin) << 2);
    store<i32>(sum, load<i32>(sum) + 1);
    if (isFew) mark(desk.marks, bin);
  }
}

/** Lists the places of the node's rows bin by bin; `touched` bins hold any. */
export function rankRows(desk: Desk, bins: usize, rows: usize, touched: i32): void {
  let begin = 0;
  for (let i = 0; i < touched; i++) {
    const bin = <usize>load<u8>(desk.touched + i);
    store<i32>(desk.ends + (bin << 2), begin);
    begin += load<i32>(desk.counts + (bin << 2));
  }
  for (let rank = 0; rank < desk.rows; rank++) {
    const bin = <usize>load<u8>(bins + load<u32>(rows + ((<usize>rank) << 2)));
    const end = load<i32>(desk.ends + (bin << 2));
    store<u32>(desk.ranks + ((<usize>end) << 2), rank);
    store<i32>(desk.ends + (bin << 2), end + 1);
  }
}

/** Offers the best split of the feature at hand to the desk. */
export function findMedian(forest: Forest, random: usize, desk: Desk, stats: usize, isCategory: bool): void {
  const length = desk.length;
  if (!isCategory) {
    const drawn = forest.isRandom ? drawCut(forest, random, desk) : 0;
    const i = scan(forest, desk, stats, drawn, forest.isRandom ? drawn + 1 : length);
    if (i < 0) return;
    chooseNumber(forest, desk, i);
    if (forest.isRandom && i + 1 < length) desk.threshold = desk.drawn;
    return;
  }
  const isFew = length <= FEW_CATEGORIES;
  const smooth = isFew ? 0 : forest.catSmooth;
  for (let i = 0; i < length; i++) {
    const bin = <usize>load<u8>(desk.order + i);
    store<f64>(desk.weights + (bin << 3), <f64>load<i32>(desk.counts + (bin << 2)));
    store<f64>(desk.keys + (bin << 3), keyOf(desk, stats, <i32>bin, smooth));
  }
  if (forest.isRandom) {
    sortByKey(desk, length);
    const count = drawPrefix(random, length);
    if (scan(forest, desk, stats, count - 1, count) >= 0) chooseCategories(desk, count);
    return;
  }
  const kept = isFew ? length : keepHeavy(desk, length, smooth);
  const longest = isFew ? kept : longestPrefix(kept);
  sortByKey(desk, kept);
  const first = scan(forest, desk, stats, 0, longest);
  if (first >= 0) chooseCategories(desk, first + 1);
  if (isFew) return;
  reverse(desk.order, kept);
  const second = scan(forest, desk, stats, 0, longest);
  if (second >= 0) chooseCategories(desk, second + 1);
}

/** A category's lower weighted median, drawn towards 0. */
function keyOf(desk: Desk, stats: usize, bin: i32, smooth: f64): f64 {
  const end = endOf(desk, bin);
  let total = 0.0;
  for (let at = beginOf(desk, bin); at < end; at += 4) total += load<f64>(rowAt(stats, at), 8);
  let at = beginOf(desk, bin);
  let below = load<f64>(rowAt(stats, at), 8);
  while (at + 4 < end && below < total / 2) below += load<f64>(rowAt(stats, (at += 4)), 8);
  return load<f64>(rowAt(stats, at)) * (total / (total + smooth));
}

function rowAt(stats: usize, rank: usize): usize {
  return stats + ((<usize>load<u32>(rank)) << 4);
}

function endOf(desk: Desk, bin: i32): usize {
  return desk.ranks + ((<usize>load<i32>(desk.ends + ((<usize>bin) << 2))) << 2);
}

function beginOf(desk: Desk, bin: i32): usize {
  return endOf(desk, bin) - ((<usize>load<i32>(desk.counts + ((<usize>bin) << 2))) << 2);
}

/** As the scan of two sums (deep-sums.ts). What weights and keys of categories hold is no longer needed: scores go there. */
function scan(forest: Forest, desk: Desk, stats: usize, from: i32, to: i32): i32 {
  const missingRows = desk.missingRows;
  scoreSides(forest, desk, stats, from, to, false, desk.weights);
  if (missingRows > 0) scoreSides(forest, desk, stats, from, to, true, desk.keys);
  let best = -1;
  let rows = 0;
  for (let i = 0; i < to; i++) {
    rows += load<i32>(desk.counts + ((<usize>load<u8>(desk.order + i)) << 2));
    if (i < from) continue;
    const gain = load<f64>(desk.weights + ((<usize>i) << 3)) - desk.g;
    if (gain > desk.gain) {
      desk.gain = gain;
      best = i;
      desk.missingLeft = i32(missingRows == 0 && 2 * rows > desk.rows);
    }
    if (missingRows == 0) continue;
    const other = load<f64>(desk.keys + ((<usize>i) << 3)) - desk.g;
    if (other > desk.gain) {
      desk.gain = other;
      best = i;
      desk.missingLeft = 1;
    }
  }
  if (best >= 0) desk.feature = desk.tried;
  return best;
}

/** Scores of splits after each bin of the order; -∞ where a side is too small. */
function scoreSides(
  forest: Forest,
  desk: Desk,
  stats: usize,
  from: i32,
  to: i32,
  isMissingLeft: bool,
  scores: usize,
): void {
  const left = leftSums(desk);
  memory.fill(left, 0, (<usize>(desk.rows + 1)) << 4);
  let rows = 0;
  if (isMissingLeft) rows += joinLeft(desk, stats, desk.binCount);
  for (let i = 0; i < to; i++) {
    rows += joinLeft(desk, stats, <i32>load<u8>(desk.order + i));
    if (i < from) continue;
    let score = -Infinity;
    if (rows >= forest.minRows && desk.rows - rows >= forest.minRows)
      score = -(distanceLeft(desk, stats) + distanceRight(desk, stats));
    store<f64>(scores + ((<usize>i) << 3), score);
  }
}

function leftSums(desk: Desk): usize {
  return desk.sums + ((<usize>(desk.rows + 1)) << 4);
}

/** Adds the rows of a bin to the left side; returns how many. */
function joinLeft(desk: Desk, stats: usize, bin: i32): i32 {
  const left = leftSums(desk);
  const end = endOf(desk, bin);
  const count = desk.rows;
  let total = v128.load(left);
  for (let at = beginOf(desk, bin); at < end; at += 4) {
    const rank = load<u32>(at);
    const row = termsOf(stats, rank);
    total = f64x2.add(total, row);
    for (let place = <i32>rank + 1; place <= count; place += place & -place) {
      const sum = left + ((<usize>place) << 4);
      v128.store(sum, f64x2.add(v128.load(sum), row));
    }
  }
  v128.store(left, total);
  return load<i32>(desk.counts + ((<usize>bin) << 2));
}

function distanceLeft(desk: Desk, stats: usize): f64 {
  const left = leftSums(desk);
  const count = desk.rows;
  const total = v128.load(left);
  const half = f64x2.extract_lane(total, 0) / 2;
  let below = f64x2.splat(0);
  let place = 0;
  for (let step = longestStep(count); step > 0; step >>= 1) {
    if (place + step > count) continue;
    const sum = f64x2.add(below, v128.load(left + ((<usize>(place + step)) << 4)));
    if (f64x2.extract_lane(sum, 0) >= half) continue;
    below = sum;
    place += step;
  }
  return distance(desk, stats, place, below, total);
}

function distanceRight(desk: Desk, stats: usize): f64 {
  const node = desk.sums;
  const left = leftSums(desk);
  const count = desk.rows;
  const total = f64x2.sub(v128.load(node), v128.load(left));
  const half = f64x2.extract_lane(total, 0) / 2;
  let below = f64x2.splat(0);
  let place = 0;
  for (let step = longestStep(count); step > 0; step >>= 1) {
    if (place + step > count) continue;
    const at = (<usize>(place + step)) << 4;
    const sum = f64x2.add(below, f64x2.sub(v128.load(node + at), v128.load(left + at)));
    if (f64x2.extract_lane(sum, 0) >= half) continue;
    below = sum;
    place += step;
  }
  return distance(desk, stats, place, below, total);
}

function longestStep(count: i32): i32 {
  return 1 << (31 - clz(count));
}

/** Σ w |v - m|, where m is the value that follows `place` rows, which add up to `below`. */
function distance(desk: Desk, stats: usize, place: i32, below: v128, total: v128): f64 {
  // Rounding may leave a side that is next to nothing without a median.
  const median = load<f64>(stats + ((<usize>min(place, desk.rows - 1)) << 4));
  const above = f64x2.sub(total, below);
  return (
    median * (f64x2.extract_lane(below, 0) - f64x2.extract_lane(above, 0)) +
    f64x2.extract_lane(above, 1) -
    f64x2.extract_lane(below, 1)
  );
}

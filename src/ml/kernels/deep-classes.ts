/**
 * Splits by the weights of K classes (Breiman et al., "CART", 1984). With the weights c_k of a side, and C their sum, a side scores
 *
 *   Gini      Σ c_k² / C                              (its weight less Gini's impurity x weight)
 *   entropy   Σ c_k ln c_k - C ln C + C ln K          (the entropy x weight that it falls short of at most)
 *
 * and a split gains the scores of its sides less that of the node. Categories are ordered by their share of one class, for
 * each of the node's larger classes in turn: exact for two classes, one-against-rest for more.
 *
 *   cells     K' f64 per bin, K' the classes that the node holds
 *   stats     {class, weight} of each row of the node, f64 each
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
import { Desk, ENTROPY, Forest } from './deep-state';
import { below } from './random';

/** Orders of categories by a class's share that are tried at a node. */
const MOST_CLASS_ORDERS: i32 = 8;

/** Takes in the node: gives its classes places 0 … K'-1. Whether there is more than one. */
export function loadClasses(forest: Forest, desk: Desk, stats: usize, count: i32): bool {
  const all = forest.classCount;
  const end = stats + ((<usize>count) << 4);
  memory.fill(desk.left, 0, (<usize>all) << 3);
  for (let at = stats; at < end; at += 16) {
    const sum = desk.left + ((<usize>load<f64>(at)) << 3);
    store<f64>(sum, load<f64>(sum) + load<f64>(at, 8));
  }
  let classes = 0;
  for (let k: usize = 0; k < <usize>all; k++) {
    const sum = load<f64>(desk.left + (k << 3));
    if (!(sum > 0)) {
      store<i32>(desk.places + (k << 2), -1);
      continue;
    }
    store<i32>(desk.places + (k << 2), classes);
    store<f64>(desk.totals + ((<usize>classes) << 3), sum);
    classes++;
  }
  desk.classCount = classes;
  desk.h = 0;
  for (let k: usize = 0; k < <usize>classes; k++) desk.h += load<f64>(desk.totals + (k << 3));
  desk.g = score(forest, desk, desk.totals, 0);
  return classes > 1;
}

export function countClasses(desk: Desk, bins: usize, rows: usize, stats: usize, count: i32, isFew: bool): void {
  const end = rows + ((<usize>count) << 2);
  const classes = desk.classCount;
  for (; rows < end; rows += 4, stats += 16) {
    const bin = <i32>load<u8>(bins + load<u32>(rows));
    const place = load<i32>(desk.places + ((<usize>load<f64>(stats)) << 2));
    const cell = desk.cells + ((<usize>(bin * classes + place)) << 3);
    store<f64>(cell, load<f64>(cell) + load<f64>(stats, 8));
    const sum = desk.counts + ((<usize>bin) << 2);
    store<i32>(sum, load<i32>(sum) + 1);
    if (isFew) mark(desk.marks, bin);
  }
}

export function wipeClasses(desk: Desk, bin: i32): void {
  const classes = <usize>desk.classCount;
  const from = desk.cells + ((<usize>bin * classes) << 3);
  for (let at = from; at < from + (classes << 3); at += 8) store<f64>(at, 0);
}

export function findClasses(forest: Forest, random: usize, desk: Desk, isCategory: bool): void {
  const length = desk.length;
  if (!isCategory) {
    const drawn = forest.isRandom ? drawCut(forest, random, desk) : 0;
    const i = scan(forest, desk, drawn, forest.isRandom ? drawn + 1 : length, 0);
    if (i < 0) return;
    chooseNumber(forest, desk, i);
    if (forest.isRandom && i + 1 < length) desk.threshold = desk.drawn;
    return;
  }
  const isFew = length <= FEW_CATEGORIES;
  if (forest.isRandom) {
    sortByClass(desk, below(random, desk.classCount), length, isFew ? 0 : forest.catSmooth);
    const count = drawPrefix(random, length);
    if (scan(forest, desk, count - 1, count, 0) >= 0) chooseCategories(desk, count);
    return;
  }
  for (let i = 0; i < length; i++) {
    const bin = <usize>load<u8>(desk.order + i);
    store<f64>(desk.weights + (bin << 3), <f64>load<i32>(desk.counts + (bin << 2)));
  }
  const kept = isFew ? length : keepHeavy(desk, length, forest.catSmooth);
  const classes = desk.classCount;
  // Two classes have one order: by the share of the one is by the share of the other backwards.
  const orders = classes == 2 ? 1 : min(classes, MOST_CLASS_ORDERS);
  let before = -1;
  for (let k = 0; k < orders; k++) {
    before = nextClass(desk, before);
    findOrdered(forest, desk, before, kept, isFew);
  }
}

/** The class next in falling order of weight after `before` (-1: the heaviest). */
function nextClass(desk: Desk, before: i32): i32 {
  const limit = before < 0 ? Infinity : load<f64>(desk.totals + ((<usize>before) << 3));
  let next = -1;
  let most = -1.0;
  for (let k = 0; k < desk.classCount; k++) {
    const total = load<f64>(desk.totals + ((<usize>k) << 3));
    if ((total < limit || (total == limit && k > before)) && total > most) {
      most = total;
      next = k;
    }
  }
  return next;
}

/** Puts categories in the order of their share of class k. */
function sortByClass(desk: Desk, k: i32, kept: i32, smooth: f64): void {
  const classes = desk.classCount;
  for (let i = 0; i < kept; i++) {
    const bin = <usize>load<u8>(desk.order + i);
    const cell = desk.cells + ((bin * <usize>classes) << 3);
    let total = 0.0;
    for (let c: usize = 0; c < <usize>classes; c++) total += load<f64>(cell + (c << 3));
    store<f64>(desk.keys + (bin << 3), load<f64>(cell + ((<usize>k) << 3)) / (total + smooth));
  }
  sortByKey(desk, kept);
}

/** Categories in the order of their share of class k, from both ends. */
function findOrdered(forest: Forest, desk: Desk, k: i32, kept: i32, isFew: bool): void {
  sortByClass(desk, k, kept, isFew ? 0 : forest.catSmooth);
  const longest = isFew ? kept : longestPrefix(kept);
  const l2 = isFew ? 0 : forest.catL2;
  const first = scan(forest, desk, 0, longest, l2);
  if (first >= 0) chooseCategories(desk, first + 1);
  if (isFew) return;
  reverse(desk.order, kept);
  const second = scan(forest, desk, 0, longest, l2);
  if (second >= 0) chooseCategories(desk, second + 1);
}

/** As the scan of two sums (deep-sums.ts). */
function scan(forest: Forest, desk: Desk, from: i32, to: i32, l2: f64): i32 {
  const classes = <usize>desk.classCount;
  const minRows = forest.minRows;
  const nodeRows = desk.rows;
  const missing = desk.cells + ((<usize>desk.binCount * classes) << 3);
  const missingRows = desk.missingRows;
  let best = -1;
  let rows = 0;
  memory.fill(desk.left, 0, classes << 3);
  for (let i = 0; i < to; i++) {
    const bin = <usize>load<u8>(desk.order + i);
    const cell = desk.cells + ((bin * classes) << 3);
    for (let at: usize = 0; at < classes << 3; at += 8)
      store<f64>(desk.left + at, load<f64>(desk.left + at) + load<f64>(cell + at));
    rows += load<i32>(desk.counts + (bin << 2));
    if (i < from) continue;
    if (rows >= minRows && nodeRows - rows >= minRows) {
      const gain = scoreOfSides(forest, desk, desk.left, l2) - desk.g;
      if (gain > desk.gain) {
        desk.gain = gain;
        best = i;
        desk.missingLeft = i32(missingRows == 0 && 2 * rows > nodeRows);
      }
    }
    if (missingRows == 0) continue;
    const leftRows = rows + missingRows;
    if (leftRows < minRows || nodeRows - leftRows < minRows) continue;
    for (let at: usize = 0; at < classes << 3; at += 8)
      store<f64>(desk.leftAndMissing + at, load<f64>(desk.left + at) + load<f64>(missing + at));
    const gain = scoreOfSides(forest, desk, desk.leftAndMissing, l2) - desk.g;
    if (gain > desk.gain) {
      desk.gain = gain;
      best = i;
      desk.missingLeft = 1;
    }
  }
  if (best >= 0) desk.feature = desk.tried;
  return best;
}

function scoreOfSides(forest: Forest, desk: Desk, left: usize, l2: f64): f64 {
  const classes = <usize>desk.classCount;
  if (forest.criterion == ENTROPY) {
    for (let at: usize = 0; at < classes << 3; at += 8)
      store<f64>(desk.right + at, load<f64>(desk.totals + at) - load<f64>(left + at));
    return score(forest, desk, left, l2) + score(forest, desk, desk.right, l2);
  }
  let squares = f64x2.splat(0);
  let sums = f64x2.splat(0);
  for (let at: usize = 0; at < classes << 3; at += 8) {
    const l = load<f64>(left + at);
    const both = f64x2.replace_lane(f64x2.splat(l), 1, load<f64>(desk.totals + at) - l);
    squares = f64x2.add(squares, f64x2.mul(both, both));
    sums = f64x2.add(sums, both);
  }
  const terms = f64x2.div(squares, f64x2.add(sums, f64x2.splat(l2)));
  return f64x2.extract_lane(terms, 0) + f64x2.extract_lane(terms, 1);
}

/** What one side scores; the penalty makes it less, as rows without a class would. */
function score(forest: Forest, desk: Desk, weights: usize, l2: f64): f64 {
  const classes = <usize>desk.classCount;
  let sum = 0.0;
  let terms = 0.0;
  for (let at: usize = 0; at < classes << 3; at += 8) {
    const weight = load<f64>(weights + at);
    sum += weight;
    terms += forest.criterion == ENTROPY ? timesLog(weight) : weight * weight;
  }
  if (forest.criterion != ENTROPY) return terms / (sum + l2);
  return ((terms - timesLog(sum) + sum * ln(<f64>forest.classCount)) * sum) / (sum + l2);
}

/** x ln x, and 0 at 0. */
function timesLog(x: f64): f64 {
  return x > 0 ? x * ln(x) : 0;
}

const LN2: f64 = 0.6931471805599453;

/**
 * ln x for normal x > 0: with x = 2^e m, m in [√½, √2), and s = (m - 1) / (m + 1), it is e ln 2 + 2 (s + s³/3 + s⁵/5 + …);
 * |s| < 0.172, so that ten terms leave an error below 1e-16.
 */
function ln(x: f64): f64 {
  const bits = reinterpret<u64>(x);
  let exponent = <i32>(bits >> 52) - 1023;
  let m = reinterpret<f64>((bits & 0x000fffffffffffff) | 0x3ff0000000000000);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    exponent++;
  }
  const s = (m - 1) / (m + 1);
  const z = s * s;
  let series = 1.0 / 19;
  for (let k = 17; k > 0; k -= 2) series = series * z + 1.0 / <f64>k;
  return <f64>exponent * LN2 + 2 * s * series;
}

/** The leaf's answer: the share of each class (Cestnik, "Estimating probabilities: a crucial task in machine learning", 1990). */
export function leafOfClasses(forest: Forest, desk: Desk, values: usize): void {
  const smooth = forest.leafSmooth;
  for (let k: usize = 0; k < <usize>forest.classCount; k++) {
    const place = load<i32>(desk.places + (k << 2));
    const weight = place < 0 ? 0 : load<f64>(desk.totals + ((<usize>place) << 3));
    const share = (weight + smooth * load<f64>(forest.shares + (k << 3))) / (desk.h + smooth);
    store<f32>(values + (k << 2), <f32>share);
  }
}

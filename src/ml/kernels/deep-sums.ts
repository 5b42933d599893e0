/**
 * Splits by two sums a bin, of weighted residuals g and of weights h, for numbers and for two classes y = 0, 1:
 *
 *   gain = GL² / HL + GR² / HR - G² / H        (the decrease of the squared error; half that of Gini's impurity x weight)
 *
 *   cells     f64x2 {Σ g, Σ h} per bin
 *   stats     f64x2 {g, h} of each row of the node
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

/** Takes in the node; whether there is anything left to learn. */
export function loadSums(desk: Desk, stats: usize, count: i32): bool {
  const end = stats + ((<usize>count) << 4);
  let total = f64x2.splat(0);
  const first = v128.load(stats);
  const g = f64x2.extract_lane(first, 0);
  const h = f64x2.extract_lane(first, 1);
  let isConstant = true;
  for (let at = stats; at < end; at += 16) {
    const row = v128.load(at);
    total = f64x2.add(total, row);
    isConstant = isConstant && f64x2.extract_lane(row, 0) * h == f64x2.extract_lane(row, 1) * g;
  }
  desk.g = f64x2.extract_lane(total, 0);
  desk.h = f64x2.extract_lane(total, 1);
  return !isConstant;
}

/** Adds rows up by bin; marks the bins of few rows. */
export function countSums(desk: Desk, bins: usize, rows: usize, stats: usize, count: i32, isFew: bool): void {
  const end = rows + ((<usize>count) << 2);
  const cells = desk.cells;
  const counts = desk.counts;
  if (isFew) {
    for (; rows < end; rows += 4, stats += 16) {
      const bin = <i32>load<u8>(bins + load<u32>(rows));
      mark(desk.marks, bin);
      add(cells, counts, bin, stats);
    }
  } else {
    for (; rows < end; rows += 4, stats += 16) add(cells, counts, <i32>load<u8>(bins + load<u32>(rows)), stats);
  }
}

function add(cells: usize, counts: usize, bin: i32, stats: usize): void {
  const cell = cells + ((<usize>bin) << 4);
  v128.store(cell, f64x2.add(v128.load(cell), v128.load(stats)));
  const rows = counts + ((<usize>bin) << 2);
  store<i32>(rows, load<i32>(rows) + 1);
}

export function wipeSums(desk: Desk, bin: i32): void {
  v128.store(desk.cells + ((<usize>bin) << 4), f64x2.splat(0));
}

/** Offers the best split of the feature at hand to the desk. */
export function findSums(forest: Forest, random: usize, desk: Desk, isCategory: bool): void {
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
  const smooth = isFew ? 0 : forest.catSmooth;
  for (let i = 0; i < length; i++) {
    const bin = <usize>load<u8>(desk.order + i);
    const h = load<f64>(desk.cells + (bin << 4), 8);
    store<f64>(desk.weights + (bin << 3), <f64>load<i32>(desk.counts + (bin << 2)));
    store<f64>(desk.keys + (bin << 3), load<f64>(desk.cells + (bin << 4)) / (h + smooth));
  }
  if (forest.isRandom) {
    sortByKey(desk, length);
    const count = drawPrefix(random, length);
    if (scan(forest, desk, count - 1, count, 0) >= 0) chooseCategories(desk, count);
    return;
  }
  const kept = isFew ? length : keepHeavy(desk, length, smooth);
  const longest = isFew ? kept : longestPrefix(kept);
  const l2 = isFew ? 0 : forest.catL2;
  sortByKey(desk, kept);
  const first = scan(forest, desk, 0, longest, l2);
  if (first >= 0) chooseCategories(desk, first + 1);
  if (isFew) return;
  reverse(desk.order, kept);
  const second = scan(forest, desk, 0, longest, l2);
  if (second >= 0) chooseCategories(desk, second + 1);
}

/**
 * Tries the first from+1 … to bins of the order as the left side, without and with the missing values. Returns the number of the
 * last bin of the best, -1 where none gains more than the desk knows already.
 */
function scan(forest: Forest, desk: Desk, from: i32, to: i32, l2: f64): i32 {
  const cells = desk.cells;
  const minRows = forest.minRows;
  const nodeRows = desk.rows;
  const total = f64x2.replace_lane(f64x2.splat(desk.g), 1, desk.h);
  const penalty = f64x2.splat(l2);
  const parent = (desk.g * desk.g) / desk.h;
  const missing = v128.load(cells + ((<usize>desk.binCount) << 4));
  const missingRows = desk.missingRows;
  let best = -1;
  let gain = desk.gain;
  let rows = 0;
  let left = f64x2.splat(0);
  for (let i = 0; i < to; i++) {
    const bin = <usize>load<u8>(desk.order + i);
    left = f64x2.add(left, v128.load(cells + (bin << 4)));
    rows += load<i32>(desk.counts + (bin << 2));
    if (i < from) continue;
    if (rows >= minRows && nodeRows - rows >= minRows) {
      const score = bothSides(left, total, penalty) - parent;
      if (score > gain) {
        gain = score;
        best = i;
        desk.missingLeft = i32(missingRows == 0 && 2 * rows > nodeRows);
      }
    }
    if (missingRows == 0) continue;
    const leftRows = rows + missingRows;
    if (leftRows < minRows || nodeRows - leftRows < minRows) continue;
    const score = bothSides(f64x2.add(left, missing), total, penalty) - parent;
    if (score > gain) {
      gain = score;
      best = i;
      desk.missingLeft = 1;
    }
  }
  if (best >= 0) {
    desk.gain = gain;
    desk.feature = desk.tried;
  }
  return best;
}

function bothSides(left: v128, total: v128, penalty: v128): f64 {
  const right = f64x2.sub(total, left);
  const g = v128.shuffle<f64>(left, right, 0, 2);
  const h = v128.shuffle<f64>(left, right, 1, 3);
  const terms = f64x2.div(f64x2.mul(g, g), f64x2.add(h, penalty));
  return f64x2.extract_lane(terms, 0) + f64x2.extract_lane(terms, 1);
}

/** The leaf's answer: the mean, or the shares of two classes. */
export function leafOfSums(forest: Forest, desk: Desk, values: usize): void {
  if (forest.classCount < 2) return store<f32>(values, <f32>(forest.mean + desk.g / desk.h));
  const smooth = forest.leafSmooth;
  const value = (desk.g + smooth * load<f64>(forest.shares, 8)) / (desk.h + smooth);
  store<f32>(values, <f32>(1 - value));
  store<f32>(values, <f32>value, 4);
}

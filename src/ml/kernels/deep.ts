/**
 * Depth-first growth of forests and single trees (Breiman, "Random forests", 2001). At every node some features are drawn and
 * added up into one small histogram, one after the other, of which only touched cells are wiped: the cost of a node is that of its
 * rows, so that trees may grow until every leaf is pure. A task is one tree, which one thread grows for as long as it may; the
 * tree's rows, with what they teach, stand node by node and are parted in place.
 */
import { countClasses, findClasses, leafOfClasses, loadClasses, wipeClasses } from './deep-classes';
import { countRows, findMedian, leafOfMedian, loadMedian, rankRows, sumNode } from './deep-median';
import { FEW_ROWS, markedBins, populatedBins } from './deep-order';
import {
  ABSOLUTE_ERROR,
  Desk,
  ENTROPY,
  Forest,
  GINI,
  Growing,
  NODE,
  SQUARED_ERROR,
  WITH_REPLACEMENT,
} from './deep-state';
import { countSums, findSums, leafOfSums, loadSums, wipeSums } from './deep-sums';
import { below, randomShare } from './random';

/** Relative gains within this are rounding. */
const ROUNDING: f64 = 1e-12;
/** Work of a node, and of a feature there, beside the rows. */
const NODE_WORK: i32 = 50;
/** What a row costs where medians are sought, against sums. */
const MEDIAN_WORK: i32 = 16;

const GROWING: i32 = 1;
const GROWN: i32 = 2;

/** Takes a tree further by about `work` rows and features, or to its end. */
export function growTree(forest: Forest, tree: Growing, thread: i32, work: i32): void {
  const desk = changetype<Desk>(forest.desks + <usize>thread * forest.deskBytes);
  if (tree.state == 0) {
    work -= drawRows(forest, tree);
    tree.state = GROWING;
    pushNode(tree, newNode(tree), 0, tree.rowCount, 0);
  }
  while (tree.open > 0 && work > 0) work -= growNode(forest, tree, desk);
  if (tree.open > 0) return;
  passSpared(forest, tree);
  tree.state = GROWN;
}

/** Chooses the tree's rows, and what each of them counts; returns the work of it. */
function drawRows(forest: Forest, tree: Growing): i32 {
  const count = forest.rowCount;
  const random = changetype<usize>(tree);
  const spared = tree.spared;
  memory.fill(spared, 0, (<usize>count) << 2);
  if (forest.sampling == WITH_REPLACEMENT) {
    for (let i = 0; i < forest.draws; i++) {
      const at = spared + ((<usize>below(random, count)) << 2);
      store<i32>(at, load<i32>(at) + 1);
    }
  } else {
    // Each row with the chance that the draws that are left have among the rows that are left.
    let draws = forest.draws;
    for (let row = 0; row < count; row++) {
      if (draws < count - row && randomShare(random) * <f64>(count - row) >= <f64>draws) continue;
      store<i32>(spared + ((<usize>row) << 2), 1);
      draws--;
    }
  }
  let kept = 0;
  for (let i = 0; i < count; i++) {
    const row = forest.order == 0 ? <u32>i : load<u32>(forest.order + ((<usize>i) << 2));
    const times = load<i32>(spared + ((<usize>row) << 2));
    if (times == 0) continue;
    store<u32>(tree.rows + ((<usize>kept) << 2), row);
    const from = forest.stats + ((<usize>row) << 4);
    const to = tree.stats + ((<usize>kept) << 4);
    const weighted = load<f64>(from, 8) * <f64>times;
    store<f64>(to, forest.criterion == SQUARED_ERROR ? load<f64>(from) * <f64>times : load<f64>(from));
    store<f64>(to, weighted, 8);
    kept++;
  }
  tree.rowCount = kept;
  return count;
}

function newNode(tree: Growing): i32 {
  return tree.nodeCount++;
}

function pushNode(tree: Growing, node: i32, begin: i32, end: i32, depth: i32): void {
  const at = tree.stack + ((<usize>tree.open) << 4);
  tree.open++;
  store<i32>(at, node);
  store<i32>(at, begin, 4);
  store<i32>(at, end, 8);
  store<i32>(at, depth, 12);
}

/** Splits the node on top of the stack, or makes it a leaf; returns the work of it. */
function growNode(forest: Forest, tree: Growing, desk: Desk): i32 {
  tree.open--;
  const top = tree.stack + ((<usize>tree.open) << 4);
  const node = load<i32>(top);
  const begin = load<i32>(top, 4);
  const end = load<i32>(top, 8);
  const depth = load<i32>(top, 12);
  const count = end - begin;
  desk.rows = count;
  desk.feature = -1;
  const stats = tree.stats + ((<usize>begin) << 4);
  const isClasses = forest.criterion == GINI || forest.criterion == ENTROPY;
  const isMedian = forest.criterion == ABSOLUTE_ERROR;
  let isMixed = false;
  if (isClasses) isMixed = loadClasses(forest, desk, stats, count);
  else if (isMedian) isMixed = loadMedian(desk, stats, count);
  else isMixed = loadSums(desk, stats, count);
  let work = count + NODE_WORK;
  const mayDepth = forest.maxDepth == 0 || depth < forest.maxDepth;
  if (isMixed && mayDepth && count >= forest.minSplit && count >= 2 * forest.minRows) {
    const score = isClasses || isMedian ? desk.g : (desk.g * desk.g) / desk.h;
    // A split that gains nothing may make room for one that does.
    desk.gain = -ROUNDING * abs(score);
    if (isMedian) sumNode(desk, stats, count);
    work += search(forest, tree, desk, begin, end, isClasses);
  }
  const at = tree.nodes + <usize>node * NODE;
  if (desk.feature < 0) {
    const leaf = tree.leafCount++;
    const values = tree.values + ((<usize>(leaf * forest.classCount)) << 2);
    if (isClasses) leafOfClasses(forest, desk, values);
    else if (isMedian) leafOfMedian(forest, desk, stats, count, values);
    else leafOfSums(forest, desk, values);
    store<i32>(at, -1);
    store<i32>(at, leaf, 8);
    return work;
  }
  const left = newNode(tree);
  newNode(tree);
  const gains = tree.gains + ((<usize>desk.feature) << 3);
  store<f64>(gains, load<f64>(gains) + max(0, desk.gain));
  writeSplit(forest, tree, desk, at, left);
  const middle = part(forest, tree, desk, begin, end);
  pushNode(tree, left + 1, middle, end, depth + 1);
  pushNode(tree, left, begin, middle, depth + 1);
  return work;
}

/** Tries so many features in random order, and more only while none of them varies at the node; leaves the best split on the desk. */
function search(forest: Forest, tree: Growing, desk: Desk, begin: i32, end: i32, isClasses: bool): i32 {
  const all = forest.featureCount;
  const wanted = forest.featuresPerNode;
  const random = changetype<usize>(tree);
  let work = 0;
  let varies = false;
  for (let i = 0; i < all && (i < wanted || !varies); i++) {
    const at = tree.features + ((<usize>i) << 2);
    if (wanted < all) {
      const other = tree.features + ((<usize>(i + below(random, all - i))) << 2);
      const swapped = load<i32>(at);
      store<i32>(at, load<i32>(other));
      store<i32>(other, swapped);
    }
    if (tryFeature(forest, tree, desk, load<i32>(at), begin, end, isClasses)) varies = true;
    work += (forest.criterion == ABSOLUTE_ERROR ? MEDIAN_WORK : 1) * (end - begin) + NODE_WORK;
  }
  return work;
}

/** Whether the feature has more than one value at the node. */
function tryFeature(
  forest: Forest,
  tree: Growing,
  desk: Desk,
  feature: i32,
  begin: i32,
  end: i32,
  isClasses: bool,
): bool {
  const kind = forest.kinds + ((<usize>feature) << 3);
  const binCount = load<i32>(kind);
  const bins = forest.columns + <usize>feature * forest.stride;
  const rows = tree.rows + ((<usize>begin) << 2);
  const stats = tree.stats + ((<usize>begin) << 4);
  const isFew = end - begin < FEW_ROWS;
  const isMedian = forest.criterion == ABSOLUTE_ERROR;
  desk.tried = feature;
  desk.binCount = binCount;
  if (isClasses) countClasses(desk, bins, rows, stats, end - begin, isFew);
  else if (isMedian) countRows(desk, bins, rows, end - begin, isFew);
  else countSums(desk, bins, rows, stats, end - begin, isFew);
  const touched = isFew ? markedBins(desk) : populatedBins(desk, binCount + 1);
  desk.missingRows = load<i32>(desk.counts + ((<usize>binCount) << 2));
  desk.length = touched - i32(desk.missingRows > 0);
  if (touched > 1) {
    for (let i = 0; i < desk.length; i += 16) v128.store(desk.order + i, v128.load(desk.touched + i));
    const isCategory = load<i32>(kind, 4) == 1;
    if (isMedian) rankRows(desk, bins, rows, touched);
    if (isClasses) findClasses(forest, changetype<usize>(tree), desk, isCategory);
    else if (isMedian) findMedian(forest, changetype<usize>(tree), desk, stats, isCategory);
    else findSums(forest, changetype<usize>(tree), desk, isCategory);
  }
  for (let i = 0; i < touched; i++) {
    const bin = <i32>load<u8>(desk.touched + i);
    store<i32>(desk.counts + ((<usize>bin) << 2), 0);
    if (isClasses) wipeClasses(desk, bin);
    else if (!isMedian) wipeSums(desk, bin);
  }
  return touched > 1;
}

function writeSplit(forest: Forest, tree: Growing, desk: Desk, at: usize, left: i32): void {
  const isCategory = load<i32>(forest.kinds + ((<usize>desk.feature) << 3), 4) == 1;
  store<i32>(at, desk.feature);
  store<i32>(at, left, 8);
  if (!isCategory) {
    store<f32>(at, desk.threshold, 4);
    store<i32>(at, lastBinBelow(forest, desk) | (desk.missingLeft << 8), 12);
    return;
  }
  const to = tree.sets + ((<usize>tree.setCount) << 5);
  v128.store(to, v128.load(desk.set));
  v128.store(to, v128.load(desk.set, 16), 16);
  store<i32>(at, tree.setCount++, 4);
  store<i32>(at, desk.missingLeft << 8, 12);
}

/** The last bin whose middle is not above the threshold: the node's rows lie in none between its two neighbours. */
function lastBinBelow(forest: Forest, desk: Desk): i32 {
  if (desk.nextBin < 0) return load<i32>(forest.kinds + ((<usize>desk.feature) << 3)) - 1;
  const lows = forest.lows + ((<usize>desk.feature) << 10);
  const highs = forest.highs + ((<usize>desk.feature) << 10);
  let from = desk.lastBin;
  let to = desk.nextBin - 1;
  while (from < to) {
    const bin = (from + to + 1) >> 1;
    const at = (<usize>bin) << 2;
    if (<f64>load<f32>(lows + at) / 2 + <f64>load<f32>(highs + at) / 2 <= <f64>desk.threshold) from = bin;
    else to = bin - 1;
  }
  return from;
}

/** Parts the node's rows, both sides in their old order; returns where the right side begins. */
function part(forest: Forest, tree: Growing, desk: Desk, begin: i32, end: i32): i32 {
  const bins = forest.columns + <usize>desk.feature * forest.stride;
  const isCategory = load<i32>(forest.kinds + ((<usize>desk.feature) << 3), 4) == 1;
  const binCount = load<i32>(forest.kinds + ((<usize>desk.feature) << 3));
  const missingLeft = desk.missingLeft;
  const lastBin = desk.nextBin < 0 ? binCount - 1 : desk.lastBin;
  let left = begin;
  let right: usize = 0;
  for (let i = begin; i < end; i++) {
    const row = load<u32>(tree.rows + ((<usize>i) << 2));
    const stat = v128.load(tree.stats + ((<usize>i) << 4));
    const bin = <i32>load<u8>(bins + row);
    const isBelow = isCategory ? holds(desk.set, bin) : i32(bin <= lastBin);
    const isLeft = isBelow | (i32(bin == binCount) & missingLeft);
    // Written to both sides; only the side that keeps it moves on. There is no branch to mispredict.
    store<u32>(tree.rows + ((<usize>left) << 2), row);
    v128.store(tree.stats + ((<usize>left) << 4), stat);
    store<u32>(desk.spareRows + (right << 2), row);
    v128.store(desk.spareStats + (right << 4), stat);
    left += isLeft;
    right += <usize>(1 - isLeft);
  }
  const toRows = tree.rows + ((<usize>left) << 2);
  const toStats = tree.stats + ((<usize>left) << 4);
  for (let i: usize = 0; i < right; i++) {
    store<u32>(toRows + (i << 2), load<u32>(desk.spareRows + (i << 2)));
    v128.store(toStats + (i << 4), v128.load(desk.spareStats + (i << 4)));
  }
  return left;
}

function holds(set: usize, bin: i32): i32 {
  return ((<i32>load<u8>(set + (bin >> 3))) >> (bin & 7)) & 1;
}

/** The leaves of the rows that the tree was not grown on. */
function passSpared(forest: Forest, tree: Growing): void {
  for (let row: usize = 0; row < <usize>forest.rowCount; row++) {
    const at = tree.spared + (row << 2);
    store<i32>(at, load<i32>(at) > 0 ? -1 : leafOf(forest, tree, row));
  }
}

function leafOf(forest: Forest, tree: Growing, row: usize): i32 {
  let node = tree.nodes;
  for (let feature = load<i32>(node); feature >= 0; feature = load<i32>(node)) {
    const kind = forest.kinds + ((<usize>feature) << 3);
    const bin = <i32>load<u8>(forest.columns + <usize>feature * forest.stride + row);
    const last = load<i32>(node, 12);
    const isBelow =
      load<i32>(kind, 4) == 1 ? holds(tree.sets + ((<usize>load<i32>(node, 4)) << 5), bin) : i32(bin <= (last & 255));
    const isLeft = bin == load<i32>(kind) ? last >> 8 : isBelow;
    node = tree.nodes + <usize>(load<i32>(node, 8) + 1 - isLeft) * NODE;
  }
  return load<i32>(node, 8);
}

/**
 * What depth-first growth works on (deep.ts), as it lies in the memory; the caller writes it (trees/deep-memory.ts keeps the
 * same order of fields).
 *
 *   Forest      what all trees share
 *   Growing     one tree on its way, with its rows and its nodes: any thread may take it a step further
 *   Desk        what a thread needs for the node at hand, and nothing of which outlives it
 */

/** Two sums a bin: residual and weight. Numbers, and two classes by Gini's impurity. */
export const SQUARED_ERROR: i32 = 0;
/** A weight per class and bin. */
export const GINI: i32 = 1;
export const ENTROPY: i32 = 2;
/** Distances from the median. */
export const ABSOLUTE_ERROR: i32 = 3;

/** How the rows of a tree are chosen. */
export const WITH_REPLACEMENT: i32 = 1;

@unmanaged
export class Forest {
  catSmooth: f64;
  catL2: f64;
  /** What residuals are taken from. */
  mean: f64;
  /** Classes: the weight with which the shares of all rows count in every leaf. */
  leafSmooth: f64;
  criterion: i32;
  rowCount: i32;
  featureCount: i32;
  /** Of y; 1 for numbers. */
  classCount: i32;
  minRows: i32;
  minSplit: i32;
  /** 0: no limit. */
  maxDepth: i32;
  featuresPerNode: i32;
  /** 1: one cut drawn per feature instead of the best. */
  isRandom: i32;
  /** 1: rows are drawn with replacement. */
  sampling: i32;
  draws: i32;
  /** Columns of bins: feature f at columns + f · stride. */
  columns: usize;
  stride: usize;
  /** Per feature {bins i32, 1: categories i32}. */
  kinds: usize;
  /** Least and largest value of each bin: 256 f32 per feature. */
  lows: usize;
  highs: usize;
  /** Per row {what is learned, weight}, f64 each: weight · residual, a class number, or the residual itself. */
  stats: usize;
  /** Rows in the order in which they are to stand in every node; 0: as they are. */
  order: usize;
  desks: usize;
  deskBytes: usize;
  /** Classes: the share of each among all rows, f64. */
  shares: usize;
}

@unmanaged
export class Growing {
  /** 16 bytes of random state. */
  random: u64;
  random2: u64;
  /** 0: not begun, 1: growing, 2: grown. */
  state: i32;
  rowCount: i32;
  nodeCount: i32;
  leafCount: i32;
  setCount: i32;
  /** Open nodes on the stack: {node, begin, end, depth}, i32 each. */
  open: i32;
  stack: usize;
  /** Drawn rows u32, and {what is learned, weight} of each, node by node. */
  rows: usize;
  stats: usize;
  /** Per node NODE bytes: see there. */
  nodes: usize;
  /** Per leaf its values, f32. */
  values: usize;
  /** Per split of categories the codes that go left: 256 bits. */
  sets: usize;
  /** Per feature the gain of its splits, f64. */
  gains: usize;
  /** Features in the order in which they were drawn last, i32. */
  features: usize;
  /** Per training row: first how often it is drawn, in the end the leaf of a row that is not, and -1 for those that are. */
  spared: usize;
}

@unmanaged
export class Desk {
  /** The best split so far, and the gain of another that must exceed it. */
  gain: f64;
  /** Sums of the node: residual and weight; or the score of its classes. */
  g: f64;
  h: f64;
  feature: i32;
  /** Numbers: the last bin on the left, and the first populated one on the right (-1: there is none). */
  lastBin: i32;
  nextBin: i32;
  missingLeft: i32;
  threshold: f32;
  /** The threshold of a drawn cut. */
  drawn: f32;
  /** Classes at the node, and its rows. */
  classCount: i32;
  rows: i32;
  /** Of one feature at a time: its number, its bins, those that hold rows of the node, and rows whose value is missing. */
  tried: i32;
  binCount: i32;
  length: i32;
  missingRows: i32;
  /** Categories that go left: 256 bits. */
  set: usize;
  /** Populated bins u8, ascending, and a copy for the search to reorder; marks of them, 256 bits; rows per bin i32. */
  touched: usize;
  order: usize;
  marks: usize;
  counts: usize;
  /** Sums per bin: f64x2, or f64 per class. */
  cells: usize;
  /** Sort key and weight of a category, f64. */
  keys: usize;
  weights: usize;
  /** Per class: its place among the node's classes i32; weights of the node and of sides of it, f64. */
  places: usize;
  totals: usize;
  left: usize;
  leftAndMissing: usize;
  right: usize;
  /** The right side of a partition. */
  spareRows: usize;
  spareStats: usize;
  /** For medians: see deep-median.ts. */
  sums: usize;
  ranks: usize;
  ends: usize;
}

/**
 * A node: feature i32 (-1: leaf), threshold f32 or number of the category set i32, left child i32 (the right one is the next; of a
 * leaf its number), last bin that goes left u8 and 256 if missing values do.
 */
export const NODE: usize = 16;

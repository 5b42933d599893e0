/**
 * The first pages of the memory: what one call tells all threads, and what each thread has to itself. Everything else in the
 * memory is given out by the caller, as addresses. Nothing here is static data, which each new instance would write over.
 *
 *     0    meeting point of the threads (parallel.ts)
 *   512    arguments of the running call, 8 bytes each
 *   768    the search for splits: what stays the same from node to node, and two goals (below)
 *  1024    "goes left" table of the split being made, 256 bytes
 *  2048    cuts of the column being binned: 256 float32
 *  4096    per thread (STRIDE bytes): 32 KB of gathered bins, 4 KB of cells to add, then low and high of each bin, 256 float32 each
 *  315392  tables of the compiler's (of Math.log), the same for all instances: compile.mjs
 */
export const MOST_THREADS: i32 = 8;
export const TABLE: usize = 1024;
export const CUTS: usize = 2048;
const THREADS_FROM: usize = 4096;
const STRIDE: usize = 38912;
/** The first address for the caller: five pages. */
export const FREE: usize = 327680;

/** Rows of one task, where rows are shared out among threads. A fixed grid: sums come out the same for any number of threads. */
export const CHUNK: i32 = 2048;
/** Rows of one task of a partition. */
export const PART: i32 = 8192;
/** Features of one task of a search for splits. */
export const SEARCHED: i32 = 7;
/** Bytes of what a task over a chunk leaves behind. */
export const NOTE: usize = 64;
/** Bytes of a feature's histogram: 256 cells of 8. */
export const CELLS: usize = 2048;
/**
 * Bytes of the best split found of one feature: score f64, last bin that goes left i32, missing goes left i32, left hessian
 * u32, left gradient i32; of categories, at 24, a bit for each bin that goes left.
 */
export const FOUND: usize = 64;

/**
 * The search for splits, in whole-number units:
 *
 *    0 entries   8 panes   12 bytes of a pane   16 features of a pane i32   20 bytes of its rows i32   24 features of a block i32
 *   28 cells of the parts   32 features i32   40 bins of each feature   48 found    56 directions, i8 per feature, or 0      64 λ f64   72 α   80 λ of categories   88 smoothing of categories
 */
export const SEARCH: usize = 768;
/**
 * What to look for at one node:
 *
 *    0 sum of hessians u32, of gradients i32     8 least hessian of a side u32    12 weights are free i32 (no α, no bounds)
 *   16 score to exceed f64   24 least weight   32 greatest weight   40 least hessian of a category
 */
export const GOAL: usize = 48;
export function goalOf(which: i32): usize {
  return SEARCH + 96 + <usize>which * GOAL;
}

export function argument(k: i32): usize {
  return 512 + ((<usize>k) << 3);
}
export function int(k: i32): i32 {
  return load<i32>(argument(k));
}
export function address(k: i32): usize {
  return load<usize>(argument(k));
}
export function float(k: i32): f64 {
  return load<f64>(argument(k));
}
export function setInt(k: i32, value: i32): void {
  store<i32>(argument(k), value);
}
export function setAddress(k: i32, value: usize): void {
  store<usize>(argument(k), value);
}
export function setFloat(k: i32, value: f64): void {
  store<f64>(argument(k), value);
}

export function gathered(thread: i32): usize {
  return THREADS_FROM + <usize>thread * STRIDE;
}
export function unpacked(thread: i32): usize {
  return gathered(thread) + 32768;
}
export function lowOf(thread: i32): usize {
  return unpacked(thread) + 4096;
}
export function highOf(thread: i32): usize {
  return unpacked(thread) + 5120;
}

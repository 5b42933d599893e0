/**
 * Raw scores of rows by all trees of a model, for one chunk of rows. The sums are float64 and in the order of the trees, as in
 * core/walk.ts, so that nothing differs from it by a bit.
 *
 *   block   f32 features, row by row, `stride` bytes a row; NaN is missing
 *   trees   16 bytes each: root u32, values u32, output i32, has category sets i32
 *   node    16 bytes; the right child follows the left one
 *             split  feature · 4 i32, threshold f32 or set u32 (address), left child u32, {words of the set · 2, missing goes left · 1} i32
 *             leaf   0, +∞, itself, {sign, number of the leaf · 2, 1}: every value leads back to it
 *   values  f32, `width` for each leaf of a tree
 *   raw     f64, `outputs` a row; a leaf of one value adds it to the tree's output, a wider one to all
 */
const ROWS: i32 = 256;

export function answerChunk(
  task: i32,
  rows: i32,
  block: usize,
  stride: usize,
  trees: usize,
  treeCount: i32,
  width: i32,
  raw: usize,
  outputs: i32,
): void {
  const begin = task * ROWS;
  const end = min(begin + ROWS, rows);
  const rawStride = (<usize>outputs) << 3;
  memory.fill(raw + <usize>begin * rawStride, 0, <usize>(end - begin) * rawStride);
  for (let t = 0; t < treeCount; t++) {
    const tree = trees + ((<usize>t) << 4);
    const root = load<usize>(tree);
    const values = load<usize>(tree, 4);
    const output = load<usize>(tree, 8) << 3;
    const hasSets = load<i32>(tree, 12) != 0;
    let i = begin;
    for (; i + 4 <= end; i += 4) {
      const x = block + <usize>i * stride;
      let a = root;
      let b = root;
      let c = root;
      let d = root;
      // Four rows at a time: each step waits for the memory, but not for the other rows.
      if (hasSets) {
        while ((tag(a) & tag(b) & tag(c) & tag(d)) >= 0) {
          a = nextOfAny(a, x);
          b = nextOfAny(b, x + stride);
          c = nextOfAny(c, x + 2 * stride);
          d = nextOfAny(d, x + 3 * stride);
        }
      } else {
        while ((tag(a) & tag(b) & tag(c) & tag(d)) >= 0) {
          a = next(a, x);
          b = next(b, x + stride);
          c = next(c, x + 2 * stride);
          d = next(d, x + 3 * stride);
        }
      }
      const to = raw + <usize>i * rawStride + output;
      add(to, values, a, width);
      add(to + rawStride, values, b, width);
      add(to + 2 * rawStride, values, c, width);
      add(to + 3 * rawStride, values, d, width);
    }
    for (; i < end; i++) {
      let node = root;
      while (tag(node) >= 0) node = nextOfAny(node, block + <usize>i * stride);
      add(raw + <usize>i * rawStride + output, values, node, width);
    }
  }
}

export function answerChunks(rows: i32): i32 {
  return (rows + ROWS - 1) / ROWS;
}

function tag(node: usize): i32 {
  return load<i32>(node, 12);
}

function next(node: usize, row: usize): usize {
  const x = load<f32>(row + load<usize>(node));
  const isLeft = i32(x <= load<f32>(node, 4)) | (i32(x != x) & tag(node));
  return load<usize>(node, 8) + ((<usize>(~isLeft & 1)) << 4);
}

/** The same where categories may be split: a code goes left if its bit is in the node's set. */
function nextOfAny(node: usize, row: usize): usize {
  const kind = tag(node);
  if (kind < 2) return next(node, row);
  const x = load<f32>(row + load<usize>(node));
  let isLeft = kind & 1;
  if (x == x) {
    // Models from elsewhere may be asked about numbers that are no codes.
    const code: u32 = x >= 0 && x < 4294967040 ? <u32>x : 0;
    const word = code >>> 5;
    const isKnown = <f32>code == x && word < (<u32>kind) >>> 1;
    isLeft = isKnown ? <i32>((load<u32>(load<usize>(node, 4) + (word << 2)) >>> (code & 31)) & 1) : 0;
  }
  return load<usize>(node, 8) + ((<usize>(isLeft ^ 1)) << 4);
}

function add(to: usize, values: usize, leaf: usize, width: i32): void {
  let from = values + <usize>((((tag(leaf) & 0x7fffffff) >>> 1) * width) << 2);
  for (let k = 0; k < width; k++, to += 8, from += 4) store<f64>(to, load<f64>(to) + <f64>load<f32>(from));
}

/** The nodes of one tree of a file, checked and put into the order of the fitted model. */
import { type Tree } from '../core/model.js';
import { nextFloat } from '../onnx/edges.js';
import { unreadable, unsupported } from './problem.js';
import { LIMITS } from './source.js';

/** Nodes in any order, root at 0, others possibly unused. A leaf has left -1. */
export interface SourceNodes {
  readonly left: Int32Array;
  readonly right: Int32Array;
  readonly feature: Int32Array;
  /** x <= threshold goes left. */
  readonly threshold: Float32Array;
  readonly missingLeft: Uint8Array;
  /** Codes that go left, for a split by categories. */
  readonly codes: readonly (Int32Array | null)[];
  readonly value: Float32Array;
}

/** What all trees of a file may still take. */
export interface Budget {
  nodes: number;
  /** Codes that sets name, and words of 32 codes that they take. */
  codes: number;
  setWords: number;
}

export function newBudget(): Budget {
  return { nodes: LIMITS.nodes, codes: LIMITS.setCodes, setWords: LIMITS.setWords };
}

/** To be called before a set of (at most) so many codes is read: sets of a file may overlap, so its size does not bound them. */
export function spendCodes(budget: Budget, codes: number): void {
  if ((budget.codes -= codes) < 0) throw unsupported('The model has more category sets than can be read.');
}

/**
 * The tree below the root, its nodes in depth-first order; unused nodes are left out.
 * @throws SpecError MODEL_UNREADABLE for a child that does not exist or is reached twice (so no cycles), a feature out of range,
 *   a threshold or value that is no finite number; MODEL_UNSUPPORTED beyond the limits
 */
export function buildTree(nodes: SourceNodes, features: number, budget: Budget): Tree {
  const order = depthFirst(nodes);
  if ((budget.nodes -= order.length) < 0) throw unsupported('The model has more nodes than can be read.');
  const place = new Int32Array(nodes.left.length);
  order.forEach((node, at) => (place[node] = at));
  const isLeaf = (node: number): boolean => nodes.left[node]! < 0;
  const child = (children: Int32Array) =>
    Int32Array.from(order, (node) => (isLeaf(node) ? -1 : place[children[node]!]!));
  for (const node of order) checkNode(nodes, node, features, budget);
  return {
    feature: Int32Array.from(order, (node) => (isLeaf(node) ? -1 : nodes.feature[node]!)),
    threshold: Float32Array.from(order, (node) =>
      isLeaf(node) || nodes.codes[node] != null ? 0 : nodes.threshold[node]!,
    ),
    missingLeft: Uint8Array.from(order, (node) => (isLeaf(node) ? 0 : nodes.missingLeft[node]!)),
    leftCodes: Array.from(order, (node) => (isLeaf(node) ? null : (nodes.codes[node] ?? null))),
    left: child(nodes.left),
    right: child(nodes.right),
    value: Float32Array.from(order, (node) => (isLeaf(node) ? nodes.value[node]! : 0)),
  };
}

/** Nodes from the root on, each before its children. */
function depthFirst({ left, right }: SourceNodes): Int32Array {
  const count = left.length;
  if (count === 0) throw unreadable('a tree has no nodes');
  const depth = new Int32Array(count).fill(-1);
  const order = new Int32Array(count);
  const waiting = [0];
  let length = 0;
  depth[0] = 0;
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    order[length++] = node;
    if (left[node]! < 0) continue;
    for (const child of [right[node]!, left[node]!]) {
      if (!(child > 0 && child < count)) throw unreadable('a tree points to a node that it does not have');
      if (depth[child] !== -1) throw unreadable('a tree reaches a node twice');
      depth[child] = depth[node]! + 1;
      if (depth[child]! > LIMITS.depth) throw unsupported('A tree of the model is deeper than can be read.');
      waiting.push(child);
    }
  }
  return order.subarray(0, length);
}

function checkNode(nodes: SourceNodes, node: number, features: number, budget: Budget): void {
  if (nodes.left[node]! < 0) {
    if (!Number.isFinite(nodes.value[node])) throw unreadable('a leaf holds no finite number');
    return;
  }
  const feature = nodes.feature[node]!;
  if (!(feature >= 0 && feature < features))
    throw unreadable('a tree splits by a feature that the model does not have');
  const codes = nodes.codes[node] ?? null;
  if (codes === null) {
    if (Number.isNaN(nodes.threshold[node])) throw unreadable('a threshold is no number');
    return;
  }
  const last = codes.length === 0 ? -1 : codes[codes.length - 1]!;
  if (last >= LIMITS.codes) throw unsupported(`The model has categories with codes of ${LIMITS.codes} or more.`);
  if (codes.length > 0 && codes[0]! < 0) throw unreadable('a category has a negative code');
  if ((budget.setWords -= (last >>> 5) + 1) < 0)
    throw unsupported('The model has more category sets than can be read.');
}

/** The largest float32 at most t: for every float32 x, x <= t just where x <= floatAtMost(t). */
export function floatAtMost(t: number): number {
  const float = Math.fround(t);
  return float <= t ? float : nextFloat(float, -1);
}

/** The float32 below t, itself a float32: for every float32 x, x < t just where x <= floatBelow(t). */
export function floatBelow(t: number): number {
  return nextFloat(t, -1);
}

/** Sorted, each once. */
export function sortedCodes(codes: Iterable<number>): Int32Array {
  return Int32Array.from(new Set(codes)).sort();
}

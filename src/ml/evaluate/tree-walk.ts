/** What Shapley values need to know of trees: which way a row goes at a node, and how many rows come by. */
import { type CompiledTrees } from '../core/walk.js';

/** Trees whose splits are asked by players: the raw columns behind the features. */
export interface PlayerTrees {
  readonly trees: CompiledTrees;
  /** By feature. Features made from one column are one player: they are known or unknown together. */
  readonly playerOf: Int32Array;
  readonly players: number;
}

/** Whether the row that starts at x[row] goes left at `node`, which is no leaf (core/walk.ts has the rule). */
export function goesLeft(trees: CompiledTrees, node: number, x: Float32Array, row: number): boolean {
  const value = x[row + trees.feature[node]!]!;
  if (value !== value) return trees.missingLeft[node] === 1;
  const set = trees.setAt[node]!;
  if (set < 0) return value <= trees.threshold[node]!;
  const word = value >>> 5;
  return (
    value >>> 0 === value && word < trees.setWords[node]! && ((trees.sets[set + word]! >>> (value & 31)) & 1) === 1
  );
}

/** Adds to cover[node] how many of the `size` rows of `x` (size x features) pass through each node. */
export function addCovers(trees: CompiledTrees, x: Float32Array, size: number, cover: Float64Array): void {
  const { roots, feature, left, right, features } = trees;
  for (let t = 0; t < roots.length; t++) {
    for (let i = 0, row = 0; i < size; i++, row += features) {
      let node = roots[t]!;
      cover[node]!++;
      while (feature[node]! >= 0) {
        node = goesLeft(trees, node, x, row) ? left[node]! : right[node]!;
        cover[node]!++;
      }
    }
  }
}

/** Edges from the root to the deepest leaf of any tree. */
export function depthOf({ roots, feature, left, right }: CompiledTrees): number {
  let deepest = 0;
  const stack: number[] = [];
  for (const root of roots) {
    stack.push(root, 0);
    while (stack.length > 0) {
      const depth = stack.pop()!;
      const node = stack.pop()!;
      if (feature[node]! < 0) deepest = Math.max(deepest, depth);
      else stack.push(left[node]!, depth + 1, right[node]!, depth + 1);
    }
  }
  return deepest;
}

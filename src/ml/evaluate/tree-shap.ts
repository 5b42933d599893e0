/**
 * Path-dependent TreeSHAP: Lundberg, Erion and Lee, "Consistent individualized feature attribution for tree ensembles", 2018,
 * algorithm 2. The Shapley values of the game
 *
 *   v(S) = the tree's answer where it is asked of known columns S; at any other split both ways are taken, each weighted by
 *          the share of rows that took it (the covers)
 *
 * O(leaves x depth²) a row and tree; loops allocate nothing.
 */
import { type CompiledTrees } from '../core/walk.js';
import { SubsetPath } from './subset-path.js';
import { depthOf, goesLeft, type PlayerTrees } from './tree-walk.js';

/** Writes φ of the `size` rows of `x` (size x features): out[(i * outputs + k) * players + p], summed over the trees. */
export type ExplainRows = (x: Float32Array, size: number, out: Float64Array) => void;

/** @param cover rows that passed each node, of the data that weigh the ways */
export function pathShap({ trees, playerOf, players }: PlayerTrees, cover: Float64Array): ExplainRows {
  const { roots, feature, left, right, leafAt, value, leafWidth, outputs, treeOutput, features } = trees;
  const path = new SubsetPath(depthOf(trees) + 2);
  let x: Float32Array = new Float32Array(0);
  let row = 0;
  let out: Float64Array = new Float64Array(0);
  let outAt = 0;

  function atLeaf(at: number, last: number, node: number, output: number): void {
    const leaf = leafAt[node]!;
    for (let i = 1; i <= last; i++) {
      const share = path.sumWithout(at, last, i) * (path.one[at + i]! - path.zero[at + i]!);
      let to = outAt + output * players + path.who[at + i]!;
      for (let k = 0; k < leafWidth; k++, to += players) out[to]! += share * value[leaf + k]!;
    }
  }

  /** @param from where the parent's path starts; it has `last` entries, the new one comes after them */
  function visit(
    node: number,
    from: number,
    last: number,
    zeroShare: number,
    oneShare: number,
    player: number,
    output: number,
  ): void {
    const at = path.copy(from, last);
    path.extend(at, last, zeroShare, oneShare, player);
    if (feature[node]! < 0) {
      atLeaf(at, last, node, output);
      return;
    }
    const asked = playerOf[feature[node]!]!;
    const hot = goesLeft(trees, node, x, row) ? left[node]! : right[node]!;
    const cold = hot === left[node]! ? right[node]! : left[node]!;
    let zeroBefore = 1;
    let oneBefore = 1;
    let end = last;
    const known = path.find(at, last, asked);
    if (known > 0) {
      // Asked before: the new answer joins the old one.
      zeroBefore = path.zero[at + known]!;
      oneBefore = path.one[at + known]!;
      path.unwind(at, last, known);
      end--;
    }
    const rows = cover[node]!;
    const hotShare = rows > 0 ? (cover[hot]! / rows) * zeroBefore : 0;
    const coldShare = rows > 0 ? (cover[cold]! / rows) * zeroBefore : 0;
    // Where neither this row nor any other goes, nothing is to be shared out.
    if (hotShare > 0 || oneBefore > 0) visit(hot, at, end + 1, hotShare, oneBefore, asked, output);
    if (coldShare > 0) visit(cold, at, end + 1, coldShare, 0, asked, output);
  }

  return (block, size, into) => {
    x = block;
    out = into;
    out.fill(0, 0, size * outputs * players);
    for (let i = 0; i < size; i++) {
      row = i * features;
      outAt = i * outputs * players;
      for (let t = 0; t < roots.length; t++)
        if (feature[roots[t]!]! >= 0) visit(roots[t]!, 0, 0, 1, 1, -1, treeOutput === null ? 0 : treeOutput[t]!);
    }
  };
}

/** The trees' mean answer over the rows of the covers, per output: v(∅). */
export function meanByCover(trees: CompiledTrees, cover: Float64Array): Float64Array {
  const { roots, feature, left, right, leafAt, value, leafWidth, outputs, treeOutput } = trees;
  const sums = new Float64Array(outputs);
  const stack: number[] = [];
  roots.forEach((root, t) => {
    const rows = cover[root]!;
    stack.push(root);
    while (stack.length > 0) {
      const node = stack.pop()!;
      if (feature[node]! >= 0) stack.push(left[node]!, right[node]!);
      else
        for (let k = 0; k < leafWidth; k++)
          sums[(treeOutput?.[t] ?? 0) + k]! += (cover[node]! / rows) * value[leafAt[node]! + k]!;
    }
  });
  return sums;
}

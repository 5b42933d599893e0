/**
 * Interventional SHAP of trees, exact: Lundberg et al., "From local explanations to global understanding with explainable AI for
 * trees", 2020 ("independent Tree SHAP"). The Shapley values of the game
 *
 *   v(S) = mean over background rows z of the trees' answer to the row that has the columns S of x and all others of z
 *
 * For one pair (x, z) a leaf matters only if each column on its path lets pass x or z. With p columns that only x passes and q
 * that only z passes, v(S) has the leaf's value exactly where S holds all of the p and none of the q, so that
 *
 *   φ = + value (p - 1)! q! / (p + q)!  for each of the p,  - value p! (q - 1)! / (p + q)!  for each of the q
 */
import { depthOf, goesLeft, type PlayerTrees } from './tree-walk.js';
import { type ExplainRows } from './tree-shap.js';

/** @param background rows x features; φ is the mean over its rows */
export function backgroundShap(
  { trees, playerOf, players }: PlayerTrees,
  background: Float32Array,
  backgroundRows: number,
): ExplainRows {
  const { roots, feature, left, right, leafAt, value, leafWidth, outputs, treeOutput, features } = trees;
  const shares = shareTable(Math.min(depthOf(trees), players) + 1);
  const most = shares.length;
  /** Whose way each player's splits go on this path: 0 both's, 1 x's only, 2 z's only. */
  const side = new Uint8Array(players);
  const parted = new Int32Array(most);
  let x: Float32Array = new Float32Array(0);
  let row = 0;
  let z = 0;
  let out: Float64Array = new Float64Array(0);
  let outAt = 0;

  function atLeaf(node: number, p: number, q: number, output: number): void {
    if (p + q === 0) return;
    const leaf = leafAt[node]!;
    const forX = p > 0 ? shares[p - 1]![q]! : 0;
    const forZ = q > 0 ? -shares[q - 1]![p]! : 0;
    for (let i = 0; i < p + q; i++) {
      const player = parted[i]!;
      const share = side[player] === 1 ? forX : forZ;
      let to = outAt + output * players + player;
      for (let k = 0; k < leafWidth; k++, to += players) out[to]! += share * value[leaf + k]!;
    }
  }

  function visit(start: number, p: number, q: number, output: number): void {
    let node = start;
    while (feature[node]! >= 0) {
      const player = playerOf[feature[node]!]!;
      const decided = side[player]!;
      const xWay = decided === 2 ? 0 : goesLeft(trees, node, x, row) ? left[node]! : right[node]!;
      const zWay = decided === 1 ? 0 : goesLeft(trees, node, background, z) ? left[node]! : right[node]!;
      if (decided === 1 || xWay === zWay) {
        node = xWay;
        continue;
      }
      if (decided === 2) {
        node = zWay;
        continue;
      }
      parted[p + q] = player;
      side[player] = 1;
      visit(xWay, p + 1, q, output);
      side[player] = 2;
      visit(zWay, p, q + 1, output);
      side[player] = 0;
      return;
    }
    atLeaf(node, p, q, output);
  }

  return (block, size, into) => {
    x = block;
    out = into;
    const cells = outputs * players;
    out.fill(0, 0, size * cells);
    for (let t = 0; t < roots.length; t++) {
      const output = treeOutput === null ? 0 : treeOutput[t]!;
      for (let i = 0; i < size; i++) {
        row = i * features;
        outAt = i * cells;
        for (let b = 0; b < backgroundRows; b++) {
          z = b * features;
          visit(roots[t]!, 0, 0, output);
        }
      }
    }
    for (let at = 0; at < size * cells; at++) out[at]! /= backgroundRows;
  };
}

/** table[a][b] = a! b! / (a + b + 1)!, by table[a][b] = table[a - 1][b] a / (a + b + 1). */
function shareTable(most: number): Float64Array[] {
  const table = [Float64Array.from({ length: most + 1 }, (_, b) => 1 / (b + 1))];
  for (let a = 1; a <= most; a++)
    table.push(Float64Array.from({ length: most + 1 }, (_, b) => (table[a - 1]![b]! * a) / (a + b + 1)));
  return table;
}

/**
 * Walking trees over a float32 matrix. All trees lie in one set of flat arrays, so that a walk touches few cache lines:
 *
 *   node n: go to left[n] if x[feature[n]] <= threshold[n], if a category set holds the code, or if x is NaN and missingLeft[n]
 *   leaf  : feature[n] = -1; its values start at value[leafAt[n]]
 */
import { type TreeModel } from './model.js';

export interface CompiledTrees {
  readonly roots: Int32Array;
  readonly feature: Int32Array;
  readonly threshold: Float32Array;
  readonly missingLeft: Uint8Array;
  readonly left: Int32Array;
  readonly right: Int32Array;
  /** First word of the node's category set in `sets`, or -1 for a numeric split; the set has setWords[n] words of 32 codes. */
  readonly setAt: Int32Array;
  readonly setWords: Int32Array;
  readonly sets: Uint32Array;
  readonly leafAt: Int32Array;
  readonly value: Float64Array;
  /** Outputs a leaf holds (1 when boosting), outputs of the model, and the output tree t adds to (boosting). */
  readonly leafWidth: number;
  readonly outputs: number;
  readonly treeOutput: Int32Array | null;
  readonly features: number;
}

export function compileTrees(model: TreeModel): CompiledTrees {
  const nodes = model.trees.reduce((sum, tree) => sum + tree.feature.length, 0);
  const setSizes = model.trees.map((tree) => tree.leftCodes.reduce((sum, codes) => sum + setWordsOf(codes), 0));
  const leafWidth = model.treeOutput === null ? model.base.length : 1;
  const compiled = {
    roots: new Int32Array(model.trees.length),
    feature: new Int32Array(nodes),
    threshold: new Float32Array(nodes),
    missingLeft: new Uint8Array(nodes),
    left: new Int32Array(nodes),
    right: new Int32Array(nodes),
    setAt: new Int32Array(nodes).fill(-1),
    setWords: new Int32Array(nodes),
    sets: new Uint32Array(setSizes.reduce((sum, size) => sum + size, 0)),
    leafAt: new Int32Array(nodes),
    value: new Float64Array(nodes * leafWidth),
    leafWidth,
    outputs: model.base.length,
    treeOutput: model.treeOutput,
    features: model.features.length,
  };
  let at = 0;
  let word = 0;
  model.trees.forEach((tree, t) => {
    compiled.roots[t] = at;
    compiled.feature.set(tree.feature, at);
    compiled.threshold.set(tree.threshold, at);
    compiled.missingLeft.set(tree.missingLeft, at);
    compiled.value.set(tree.value, at * leafWidth);
    for (let n = 0; n < tree.feature.length; n++) {
      compiled.left[at + n] = at + tree.left[n]!;
      compiled.right[at + n] = at + tree.right[n]!;
      compiled.leafAt[at + n] = (at + n) * leafWidth;
      const codes = tree.leftCodes[n] ?? null;
      if (codes === null) continue;
      compiled.setAt[at + n] = word;
      compiled.setWords[at + n] = setWordsOf(codes);
      for (const code of codes) compiled.sets[word + (code >>> 5)]! |= 1 << (code & 31);
      word += setWordsOf(codes);
    }
    at += tree.feature.length;
  });
  return compiled;
}

function setWordsOf(codes: Int32Array | null): number {
  return codes === null || codes.length === 0 ? 0 : (codes[codes.length - 1]! >>> 5) + 1;
}

/** raw[i, :] += leaves of all trees for the `size` rows of `block` (size x features). */
export function addTrees(trees: CompiledTrees, block: Float32Array, size: number, raw: Float64Array): void {
  const { roots, value, leafWidth, outputs, treeOutput, features } = trees;
  for (let t = 0; t < roots.length; t++) {
    const root = roots[t]!;
    for (let i = 0; i < size; i++) {
      let from = trees.leafAt[findLeaf(trees, root, block, i * features)]!;
      if (treeOutput !== null) {
        raw[i * outputs + treeOutput[t]!]! += value[from]!;
      } else {
        for (let k = 0, to = i * outputs; k < leafWidth; k++) raw[to++]! += value[from++]!;
      }
    }
  }
}

/** The leaf that the row starting at block[row] reaches from `root`. */
export function findLeaf(trees: CompiledTrees, root: number, block: Float32Array, row: number): number {
  const { feature, threshold, missingLeft, left, right, setAt, setWords, sets } = trees;
  let node = root;
  for (let f = feature[node]!; f >= 0; f = feature[node]!) {
    const x = block[row + f]!;
    let goLeft: boolean;
    if (x !== x) goLeft = missingLeft[node] === 1;
    else if (setAt[node]! < 0) goLeft = x <= threshold[node]!;
    else
      goLeft = x >>> 0 === x && x >>> 5 < setWords[node]! && ((sets[setAt[node]! + (x >>> 5)]! >>> (x & 31)) & 1) === 1;
    node = goLeft ? left[node]! : right[node]!;
  }
  return node;
}

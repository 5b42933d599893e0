/** Shapley values by their definition (Shapley, 1953): a sum over all sets of players, for models of a few columns. */
import { featureMatrix } from '../../src/ml/core/feature-matrix.js';
import { type Tree, type TreeModel } from '../../src/ml/core/model.js';
import { type Table } from '../../src/ml/core/table.js';

/** The answers, one per output, to table row `row` of which only the columns in `known` are known. */
export type Known = (row: number, known: ReadonlySet<string>) => number[];

/** φ_i = Σ over S without i of |S|! (n - |S| - 1)! / n! (v(S + i) - v(S)); rows x outputs x columns. */
export function bruteShapley(columns: readonly string[], outputs: number, rows: Uint32Array, v: Known): Float64Array {
  const n = columns.length;
  const factorial = (k: number): number => (k <= 1 ? 1 : k * factorial(k - 1));
  const values = new Float64Array(rows.length * outputs * n);
  rows.forEach((row, i) => {
    const worth = Array.from({ length: 1 << n }, (_, set) =>
      v(row, new Set(columns.filter((_column, p) => (set >> p) & 1))),
    );
    for (let p = 0; p < n; p++)
      for (let set = 0; set < 1 << n; set++) {
        if ((set >> p) & 1) continue;
        const size = columns.filter((_column, q) => (set >> q) & 1).length;
        const weight = (factorial(size) * factorial(n - size - 1)) / factorial(n);
        for (let k = 0; k < outputs; k++)
          values[(i * outputs + k) * n + p]! += weight * (worth[set | (1 << p)]![k]! - worth[set]![k]!);
      }
  });
  return values;
}

function featuresOf(model: TreeModel, table: Table): (row: number) => Float32Array {
  const fill = featureMatrix(model.features, table);
  return (row) => {
    const x = new Float32Array(model.features.length);
    fill(x, Uint32Array.of(row), 0, 1);
    return x;
  };
}

function isLeft(tree: Tree, node: number, x: number): boolean {
  if (Number.isNaN(x)) return tree.missingLeft[node] === 1;
  return tree.leftCodes[node] == null ? x <= tree.threshold[node]! : [...tree.leftCodes[node]!].includes(x);
}

function leafOf(model: TreeModel, tree: Tree, t: number, node: number): number[] {
  const width = model.treeOutput === null ? model.base.length : 1;
  const values = [...tree.value.subarray(node * width, (node + 1) * width)];
  if (model.treeOutput === null) return values;
  return Array.from(model.base, (_, k) => (k === model.treeOutput![t] ? values[0]! : 0));
}

const add = (a: readonly number[], b: readonly number[], weight = 1): number[] => a.map((v, k) => v + weight * b[k]!);

function sumOfTrees(model: TreeModel, answer: (tree: Tree, t: number) => number[]): number[] {
  const share = model.aggregate === 'mean' ? model.trees.length : 1;
  return model.trees.reduce((sum, tree, t) => add(sum, answer(tree, t), 1 / share), [...model.base]);
}

/** Unknown columns: both ways, each as often as the background rows took it. */
export function knownByPath(model: TreeModel, table: Table, background: Uint32Array): Known {
  const features = featuresOf(model, table);
  const rows = Array.from(background, features);
  const covers = model.trees.map((tree) => {
    const cover = new Float64Array(tree.feature.length);
    for (const x of rows) {
      let node = 0;
      for (cover[0]!++; tree.feature[node]! >= 0; cover[node]!++)
        node = isLeft(tree, node, x[tree.feature[node]!]!) ? tree.left[node]! : tree.right[node]!;
    }
    return cover;
  });
  return (row, known) => {
    const x = features(row);
    const walk = (tree: Tree, t: number, node: number): number[] => {
      const f = tree.feature[node]!;
      if (f < 0) return leafOf(model, tree, t, node);
      const [left, right] = [tree.left[node]!, tree.right[node]!];
      if (known.has(model.features[f]!.column)) return walk(tree, t, isLeft(tree, node, x[f]!) ? left : right);
      const cover = covers[t]!;
      if (cover[node] === 0) return leafOf(model, tree, t, node).map(() => 0);
      const ways = [left, right].map((way) => walk(tree, t, way).map((v) => (v * cover[way]!) / cover[node]!));
      return add(ways[0]!, ways[1]!);
    };
    return sumOfTrees(model, (tree, t) => walk(tree, t, 0));
  };
}

/** Unknown columns: those of each background row in turn. */
export function knownByBackground(model: TreeModel, table: Table, background: Uint32Array): Known {
  const features = featuresOf(model, table);
  const rows = Array.from(background, features);
  return (row, known) => {
    const x = features(row);
    const one = (z: Float32Array): number[] => {
      const mixed = x.map((value, f) => (known.has(model.features[f]!.column) ? value : z[f]!));
      return sumOfTrees(model, (tree, t) => {
        let node = 0;
        while (tree.feature[node]! >= 0)
          node = isLeft(tree, node, mixed[tree.feature[node]!]!) ? tree.left[node]! : tree.right[node]!;
        return leafOf(model, tree, t, node);
      });
    };
    return rows.reduce(
      (sum, z) => add(sum, one(z), 1 / rows.length),
      Array.from(model.base, () => 0),
    );
  };
}

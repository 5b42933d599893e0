/**
 * Tree ensembles as ai.onnx.ml TreeEnsemble (opset 5), in double: ONNX Runtime adds the leaves in the type of the splits, and a
 * thousand float32 additions near 1e6 would be off by more than the parity proof allows. float32 features and thresholds are
 * exact in double, so every comparison falls as in training.
 * Source: https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsemble.html
 *
 * A leaf of the operator adds one number to one output. Leaves that hold all outputs (forests of classifiers) therefore answer
 * their own number, one output per tree, and the values are looked up:
 *
 *   leaf ids [N, trees] -> Gather(values [leaves, outputs]) -> [N, trees, outputs] -> ReduceSum -> [N, outputs]
 *
 * in groups of trees, so that the middle stays small.
 */
import { type Tree, type TreeModel } from '../core/model.js';
import { joinFeatures } from './export-features.js';
import { DataType, type GraphBuilder } from './graph.js';

/** Numbers a row may hold between a group's Gather and ReduceSum. */
const GROUP_VALUES = 256;

const MODE = { lessOrEqual: 0, member: 6 } as const;

/** Name of the raw scores, double [N, outputs], or of the constant [1, outputs] where no tree splits. */
export function exportTrees(graph: GraphBuilder, model: TreeModel): string {
  const outputs = model.base.length;
  const share = model.aggregate === 'mean' && model.trees.length > 0 ? model.trees.length : 1;
  const splitting = [...model.trees.keys()].filter((t) => model.trees[t]!.feature[0]! >= 0);
  const constant = Float64Array.from(model.base, (base, k) => base + constantTrees(model, k) / share);
  const base = graph.constant(constant, [1, outputs]);
  if (splitting.length === 0) return base;

  const used = new Set(splitting.flatMap((t) => [...new Set(model.trees[t]!.feature)]));
  const { tensor, order } = joinFeatures(graph, model.features, (feature) => used.has(feature))!;
  const columnOf = new Int32Array(model.features.length);
  order.forEach((feature, column) => (columnOf[feature] = column));
  const x = graph.cast(tensor, DataType.double);

  const allOutputs = model.treeOutput === null && outputs > 1;
  const sum = allOutputs
    ? exportWideTrees(graph, x, { model, splitting, columnOf })
    : exportEnsemble(graph, x, narrowEnsemble(model, splitting, columnOf));
  const mean = share === 1 ? sum : graph.node('Div', [sum, graph.scalar(share)]);
  return graph.node('Add', [mean, base]);
}

/** What the trees of a single leaf add to output k. */
function constantTrees({ trees, treeOutput, base }: TreeModel, k: number): number {
  let sum = 0;
  trees.forEach((tree, t) => {
    if (tree.feature[0]! >= 0) return;
    if (treeOutput === null) sum += tree.value[k]!;
    else if (treeOutput[t] === k) sum += tree.value[0]!;
  });
  return base.length === 0 ? 0 : sum;
}

function narrowEnsemble(model: TreeModel, splitting: readonly number[], columnOf: Int32Array): Ensemble {
  const trees = splitting.map((t) => model.trees[t]!);
  const ensemble = newEnsemble(trees, model.base.length);
  trees.forEach((tree, i) => {
    const target = model.treeOutput === null ? 0 : model.treeOutput[splitting[i]!]!;
    addTree(ensemble, tree, columnOf, { target, weight: (node) => tree.value[node]! });
  });
  return ensemble;
}

interface WideTrees {
  readonly model: TreeModel;
  readonly splitting: readonly number[];
  readonly columnOf: Int32Array;
}

function exportWideTrees(graph: GraphBuilder, x: string, { model, splitting, columnOf }: WideTrees): string {
  const outputs = model.base.length;
  const groupSize = Math.max(1, Math.floor(GROUP_VALUES / outputs));
  const sums: string[] = [];
  for (let from = 0; from < splitting.length; from += groupSize) {
    const trees = splitting.slice(from, from + groupSize).map((t) => model.trees[t]!);
    const ensemble = newEnsemble(trees, trees.length);
    const values = new Float32Array(ensemble.leafWeight.length * outputs);
    trees.forEach((tree, target) => {
      addTree(ensemble, tree, columnOf, {
        target,
        weight: (node, leaf) => {
          values.set(tree.value.subarray(node * outputs, (node + 1) * outputs), leaf * outputs);
          return leaf;
        },
      });
    });
    const leaves = graph.cast(exportEnsemble(graph, x, ensemble), DataType.int64);
    const table = graph.constant(values, [values.length / outputs, outputs]);
    const picked = graph.cast(graph.node('Gather', [table, leaves], { axis: { int: 0 } }), DataType.double);
    sums.push(graph.node('ReduceSum', [picked, graph.constant(BigInt64Array.of(1n))], { keepdims: { int: 0 } }));
  }
  return sums.length === 1 ? sums[0]! : graph.node('Sum', sums);
}

/** The operator's attributes while they fill: inner nodes and leaves are two lists, children are indices into one of them. */
interface Ensemble {
  readonly targets: number;
  readonly roots: number[];
  readonly feature: Int32Array;
  readonly mode: Uint8Array;
  readonly split: Float64Array;
  readonly missingLeft: Uint8Array;
  readonly left: Int32Array;
  readonly leftIsLeaf: Uint8Array;
  readonly right: Int32Array;
  readonly rightIsLeaf: Uint8Array;
  /** Category sets one after the other, each ended by NaN. */
  readonly members: Float64Array;
  readonly leafTarget: Int32Array;
  readonly leafWeight: Float64Array;
  /** How much of the inner nodes, members and leaves is filled. */
  inner: number;
  member: number;
  leaf: number;
}

function newEnsemble(trees: readonly Tree[], targets: number): Ensemble {
  let inner = 0;
  let leaves = 0;
  let members = 0;
  for (const { feature, leftCodes } of trees) {
    for (let node = 0; node < feature.length; node++) {
      if (feature[node]! < 0) leaves++;
      else inner++;
      const size = leftCodes[node]?.length ?? 0;
      if (size > 0) members += size + 1;
    }
  }
  return {
    ...{ targets, roots: [], inner: 0, member: 0, leaf: 0 },
    ...{
      feature: new Int32Array(inner),
      mode: new Uint8Array(inner),
      split: new Float64Array(inner),
      missingLeft: new Uint8Array(inner),
    },
    ...{
      left: new Int32Array(inner),
      leftIsLeaf: new Uint8Array(inner),
      right: new Int32Array(inner),
      rightIsLeaf: new Uint8Array(inner),
    },
    ...{ members: new Float64Array(members), leafTarget: new Int32Array(leaves), leafWeight: new Float64Array(leaves) },
  };
}

/** What a leaf adds to which output: its node in the tree, and its index among the ensemble's leaves, give the weight. */
interface Leaf {
  readonly target: number;
  readonly weight: (node: number, leaf: number) => number;
}

/** Adds a tree whose root splits. */
function addTree(to: Ensemble, tree: Tree, columnOf: Int32Array, { target, weight }: Leaf): void {
  const place = placeNodes(tree, to.inner, to.leaf);
  for (let node = 0; node < place.length; node++) {
    if (tree.feature[node]! >= 0) continue;
    to.leafTarget[place[node]!] = target;
    to.leafWeight[place[node]!] = weight(node, place[node]!);
    to.leaf++;
  }
  to.roots.push(place[0]!);
  for (let node = 0; node < place.length; node++) {
    if (tree.feature[node]! < 0) continue;
    const at = to.inner++;
    const left = tree.left[node]!;
    const right = tree.right[node]!;
    to.feature[at] = columnOf[tree.feature[node]!]!;
    to.missingLeft[at] = tree.missingLeft[node]!;
    to.left[at] = place[left]!;
    to.leftIsLeaf[at] = tree.feature[left]! < 0 ? 1 : 0;
    to.right[at] = place[right]!;
    to.rightIsLeaf[at] = tree.feature[right]! < 0 ? 1 : 0;
    addSplit(to, at, tree, node);
  }
}

/** Index of every node among the ensemble's inner nodes, or its leaves, which start at `inner` and `leaf`. */
function placeNodes({ feature, left, right }: Tree, inner: number, leaf: number): Int32Array {
  const place = Int32Array.from(feature, (f) => (f >= 0 ? inner++ : leaf++));
  // ONNX Runtime up to 1.23 takes a root for a leaf where its children have the same index, be one an inner node and one a leaf.
  const [a, b] = [left[0]!, right[0]!];
  if (place[a] === place[b]) {
    const rootLeaf = feature[a]! < 0 ? a : b;
    const other = feature.findIndex((f, node) => f < 0 && node !== rootLeaf);
    [place[rootLeaf], place[other]] = [place[other]!, place[rootLeaf]!];
  }
  return place;
}

/** A set without members is no set to the operator: no code is at or below -1, and missing keeps its side. */
function addSplit(to: Ensemble, at: number, { leftCodes, threshold }: Tree, node: number): void {
  const codes = leftCodes[node] ?? null;
  if (codes === null || codes.length === 0) {
    to.mode[at] = MODE.lessOrEqual;
    to.split[at] = codes === null ? threshold[node]! : -1;
    return;
  }
  to.mode[at] = MODE.member;
  to.members.set(codes, to.member);
  to.member += codes.length;
  to.members[to.member++] = NaN;
}

function exportEnsemble(graph: GraphBuilder, x: string, e: Ensemble): string {
  const tensor = (data: Float64Array | Uint8Array) => ({ tensor: { dims: [data.length], data } });
  return graph.node('TreeEnsemble', [x], {
    aggregate_function: { int: 1 },
    n_targets: { int: e.targets },
    tree_roots: { ints: e.roots },
    nodes_featureids: { ints: e.feature },
    nodes_modes: tensor(e.mode),
    nodes_splits: tensor(e.split),
    nodes_missing_value_tracks_true: { ints: e.missingLeft },
    nodes_truenodeids: { ints: e.left },
    nodes_trueleafs: { ints: e.leftIsLeaf },
    nodes_falsenodeids: { ints: e.right },
    nodes_falseleafs: { ints: e.rightIsLeaf },
    ...(e.members.length > 0 ? { membership_values: tensor(e.members) } : {}),
    leaf_targetids: { ints: e.leafTarget },
    leaf_weights: tensor(e.leafWeight),
  });
}

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
  const ensemble = newEnsemble(model.base.length);
  for (const t of splitting) {
    const tree = model.trees[t]!;
    const target = model.treeOutput === null ? 0 : model.treeOutput[t]!;
    addTree(ensemble, tree, columnOf, (node) => [target, tree.value[node]!]);
  }
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
    const group = splitting.slice(from, from + groupSize);
    const ensemble = newEnsemble(group.length);
    const values: number[] = [];
    group.forEach((t, target) => {
      const tree = model.trees[t]!;
      addTree(ensemble, tree, columnOf, (node) => {
        for (let k = 0; k < outputs; k++) values.push(tree.value[node * outputs + k]!);
        return [target, values.length / outputs - 1];
      });
    });
    const leaves = graph.cast(exportEnsemble(graph, x, ensemble), DataType.int64);
    const table = graph.constant(Float32Array.from(values), [values.length / outputs, outputs]);
    const picked = graph.cast(graph.node('Gather', [table, leaves], { axis: { int: 0 } }), DataType.double);
    sums.push(graph.node('ReduceSum', [picked, graph.constant(BigInt64Array.of(1n))], { keepdims: { int: 0 } }));
  }
  return sums.length === 1 ? sums[0]! : graph.node('Sum', sums);
}

/** The operator's attributes while they grow: inner nodes and leaves are two lists, children are indices into one of them. */
interface Ensemble {
  readonly targets: number;
  readonly roots: number[];
  readonly feature: number[];
  readonly mode: number[];
  readonly split: number[];
  readonly missingLeft: number[];
  readonly left: number[];
  readonly leftIsLeaf: number[];
  readonly right: number[];
  readonly rightIsLeaf: number[];
  /** Category sets one after the other, each ended by NaN. */
  readonly members: number[];
  readonly leafTarget: number[];
  readonly leafWeight: number[];
}

function newEnsemble(targets: number): Ensemble {
  const lists = {
    roots: [],
    feature: [],
    mode: [],
    split: [],
    missingLeft: [],
    members: [],
    leafTarget: [],
    leafWeight: [],
  };
  return { targets, ...lists, left: [], leftIsLeaf: [], right: [], rightIsLeaf: [] };
}

/** Adds a tree whose root splits. `leaf(node)` gives target and weight of a leaf. */
function addTree(
  to: Ensemble,
  tree: Tree,
  columnOf: Int32Array,
  leaf: (node: number) => readonly [target: number, weight: number],
): void {
  const place = new Int32Array(tree.feature.length);
  let inner = to.feature.length;
  for (let node = 0; node < place.length; node++) {
    if (tree.feature[node]! >= 0) {
      place[node] = inner++;
      continue;
    }
    const [target, weight] = leaf(node);
    place[node] = to.leafTarget.length;
    to.leafTarget.push(target);
    to.leafWeight.push(weight);
  }
  to.roots.push(place[0]!);
  for (let node = 0; node < place.length; node++) {
    if (tree.feature[node]! < 0) continue;
    const left = tree.left[node]!;
    const right = tree.right[node]!;
    const codes = tree.leftCodes[node] ?? null;
    // A set without members is no set to the operator: no code is at or below -1, and missing keeps its side.
    const isSet = codes !== null && codes.length > 0;
    to.feature.push(columnOf[tree.feature[node]!]!);
    to.mode.push(isSet ? MODE.member : MODE.lessOrEqual);
    to.split.push(isSet ? 0 : codes === null ? tree.threshold[node]! : -1);
    to.missingLeft.push(tree.missingLeft[node]!);
    to.left.push(place[left]!);
    to.leftIsLeaf.push(tree.feature[left]! < 0 ? 1 : 0);
    to.right.push(place[right]!);
    to.rightIsLeaf.push(tree.feature[right]! < 0 ? 1 : 0);
    if (isSet) to.members.push(...codes, NaN);
  }
}

function exportEnsemble(graph: GraphBuilder, x: string, e: Ensemble): string {
  const double = (values: readonly number[]) => ({
    tensor: { dims: [values.length], data: Float64Array.from(values) },
  });
  return graph.node('TreeEnsemble', [x], {
    aggregate_function: { int: 1 },
    n_targets: { int: e.targets },
    tree_roots: { ints: e.roots },
    nodes_featureids: { ints: e.feature },
    nodes_modes: { tensor: { dims: [e.mode.length], data: Uint8Array.from(e.mode) } },
    nodes_splits: double(e.split),
    nodes_missing_value_tracks_true: { ints: e.missingLeft },
    nodes_truenodeids: { ints: e.left },
    nodes_trueleafs: { ints: e.leftIsLeaf },
    nodes_falsenodeids: { ints: e.right },
    nodes_falseleafs: { ints: e.rightIsLeaf },
    ...(e.members.length > 0 ? { membership_values: double(e.members) } : {}),
    leaf_targetids: { ints: e.leafTarget },
    leaf_weights: double(e.leafWeight),
  });
}

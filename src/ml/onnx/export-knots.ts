/**
 * Piecewise-linear functions inside the graph, the counterpart of core/knots.ts. One tree per function finds the piece that a
 * value lies in; the piece's start and slope are looked up:
 *
 *   piece [N, C] = TreeEnsemble(v) -> Gather(x, y, slope)[piece] -> y + (v - x) · slope        all in double
 */
import { type Knots, slopes } from '../core/knots.js';
import { DataType, type GraphBuilder } from './graph.js';

/** x: double [N, C]; column c goes through knots[c]. */
export function exportKnots(graph: GraphBuilder, x: string, knots: readonly Knots[]): string {
  const pieces = knots.map(({ x }) => x.length - 1);
  const starts = pieces.map((_, c) => pieces.slice(0, c).reduce((sum, count) => sum + count, 0));
  const bounds = (of: (x: Float64Array) => number) => graph.constant(Float64Array.from(knots, ({ x }) => of(x)));
  const low = graph.node('Max', [x, bounds((xs) => xs[0]!)]);
  const v = graph.node('Min', [low, bounds((xs) => xs[xs.length - 1]!)]);
  const own = graph.cast(exportPieces(graph, v, knots), DataType.int64);
  const piece = graph.node('Add', [own, graph.constant(BigInt64Array.from(starts, BigInt))]);
  const lookUp = (of: (knots: Knots) => Float64Array): string => {
    const table = Float64Array.from(knots.flatMap((one, c) => [...of(one).subarray(0, pieces[c])]));
    return graph.node('Gather', [graph.constant(table), piece], { axis: { int: 0 } });
  };
  const offset = graph.node('Sub', [v, lookUp(({ x }) => x)]);
  const rise = graph.node('Mul', [offset, lookUp(slopes)]);
  return graph.node('Add', [lookUp(({ y }) => y), rise]);
}

/** The number of the piece of knots[c] that column c lies in: double [N, C]. */
function exportPieces(graph: GraphBuilder, v: string, knots: readonly Knots[]): string {
  const inner = { feature: [] as number[], split: [] as number[], left: [] as number[], right: [] as number[] };
  const isLeaf = { left: [] as number[], right: [] as number[] };
  const leaf = { target: [] as number[], weight: [] as number[] };
  const roots: number[] = [];
  knots.forEach(({ x }, c) => {
    const addLeaf = (piece: number): number => {
      leaf.target.push(c);
      return leaf.weight.push(piece) - 1;
    };
    /** The subtree of pieces from … to. The left one is never the smaller: see placeNodes in export-trees.ts. */
    const addNode = (from: number, to: number): number => {
      const middle = Math.floor((from + to) / 2) + 1;
      const at = inner.feature.push(c) - 1;
      inner.split.push(x[middle]!);
      isLeaf.left[at] = middle - 1 === from ? 1 : 0;
      isLeaf.right[at] = middle === to ? 1 : 0;
      inner.left[at] = isLeaf.left[at] === 1 ? addLeaf(from) : addNode(from, middle - 1);
      inner.right[at] = isLeaf.right[at] === 1 ? addLeaf(to) : addNode(middle, to);
      return at;
    };
    if (x.length > 2) roots.push(addNode(0, x.length - 2));
    else roots.push(addSingle(addLeaf(0), addLeaf(0), c, x[0]!));
  });
  /** A function of one piece: whichever way, it is that one. */
  function addSingle(left: number, right: number, c: number, split: number): number {
    const at = inner.feature.push(c) - 1;
    inner.split.push(split);
    [inner.left[at], inner.right[at], isLeaf.left[at], isLeaf.right[at]] = [left, right, 1, 1];
    return at;
  }
  const doubles = (data: readonly number[]) => ({
    tensor: { dims: [data.length], data: Float64Array.from(data) },
  });
  return graph.node('TreeEnsemble', [v], {
    aggregate_function: { int: 1 },
    n_targets: { int: knots.length },
    tree_roots: { ints: roots },
    nodes_featureids: { ints: inner.feature },
    nodes_modes: { tensor: { dims: [inner.feature.length], data: new Uint8Array(inner.feature.length) } },
    nodes_splits: doubles(inner.split),
    nodes_missing_value_tracks_true: { ints: inner.feature.map(() => 0) },
    nodes_truenodeids: { ints: inner.left },
    nodes_trueleafs: { ints: isLeaf.left },
    nodes_falsenodeids: { ints: inner.right },
    nodes_falseleafs: { ints: isLeaf.right },
    leaf_targetids: { ints: leaf.target },
    leaf_weights: doubles(leaf.weight),
  });
}

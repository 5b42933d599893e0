/** Scores of one tree on a feature matrix, as the fitted model defines them: float32 comparisons, category sets, missing directions. */
import { type Tree } from '../core/model.js';

/** Float32 features by column: columns[f][row]; NaN is missing. */
export interface FeatureMatrix {
  readonly rowCount: number;
  readonly columns: readonly Float32Array[];
}

/** The leaf that a row falls into. */
export function findLeaf(tree: Tree, columns: readonly Float32Array[], row: number): number {
  let node = 0;
  for (let feature = tree.feature[0]; feature >= 0; feature = tree.feature[node]) {
    const x = columns[feature][row];
    const codes = tree.leftCodes[node];
    const isLeft =
      x !== x ? tree.missingLeft[node] === 1 : codes === null ? x <= tree.threshold[node] : includes(codes, x);
    node = isLeft ? tree.left[node] : tree.right[node];
  }
  return node;
}

/** scores[k][row] += the leaf's k-th value, for every row. */
export function addTree(tree: Tree, matrix: FeatureMatrix, scores: readonly Float64Array[]): void {
  const width = scores.length;
  for (let row = 0; row < matrix.rowCount; row++) {
    const at = findLeaf(tree, matrix.columns, row) * width;
    for (let k = 0; k < width; k++) scores[k][row] += tree.value[at + k];
  }
}

function includes(sorted: Int32Array, code: number): boolean {
  let from = 0;
  let to = sorted.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (sorted[middle] < code) from = middle + 1;
    else to = middle;
  }
  return from < sorted.length && sorted[from] === code;
}

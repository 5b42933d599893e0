/** Weights of a linear model as fitted. */
export interface Weights {
  /** Outputs x features, row-major. */
  readonly weights: Float32Array;
  readonly intercept: Float32Array;
  readonly rounds: number;
}

/** From double to single precision, in which the model is stored. */
export function roundWeights(rows: readonly Float64Array[], intercept: Float64Array, rounds: number): Weights {
  const width = rows[0].length;
  const weights = new Float32Array(rows.length * width);
  rows.forEach((row, k) => weights.set(row, k * width));
  return { weights, intercept: Float32Array.from(intercept), rounds };
}

/** Continuous piecewise-linear functions: quantile scaling and isotonic calibration. onnx/export-knots.ts computes the same. */

/** Through the points (x[i], y[i]), flat outside. x: at least two, strictly ascending. */
export interface Knots {
  readonly x: Float64Array;
  readonly y: Float64Array;
}

/** v -> y[i] + (v - x[i]) · slope[i] for x[i] < v <= x[i + 1], v first brought into the range of x, all in float64. NaN of NaN. */
export function interpolator({ x, y }: Knots): (value: number) => number {
  const slope = slopes({ x, y });
  const first = x[0]!;
  const last = x[x.length - 1]!;
  return (value) => {
    const v = Math.min(Math.max(value, first), last);
    let from = 0;
    let to = x.length - 2;
    while (from < to) {
      const middle = (from + to + 1) >> 1;
      if (v <= x[middle]!) to = middle - 1;
      else from = middle;
    }
    return y[from]! + (v - x[from]!) * slope[from]!;
  };
}

/** Of each of the x.length - 1 pieces. */
export function slopes({ x, y }: Knots): Float64Array {
  return Float64Array.from({ length: x.length - 1 }, (_, i) => (y[i + 1]! - y[i]!) / (x[i + 1]! - x[i]!));
}

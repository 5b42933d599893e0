/**
 * The made table of the benchmark: 28 columns in the manner of the HIGGS set (normal, gamma and small whole numbers, and products,
 * lengths, logarithms and differences of them), the label drawn from a logistic of sine, threshold and product terms. Three
 * columns miss 3 %. Wider tables repeat the 28 columns with other numbers and the same label.
 */
import { Rng } from '../src/ml/core/rng.js';

export interface MadeData {
  readonly columns: readonly Float32Array[];
  readonly y: Float32Array;
}

const GROUP = 28;

export function higgsLike(rowCount: number, columnCount: number, seed: number): MadeData {
  const rng = new Rng(seed);
  const columns = Array.from({ length: columnCount }, () => new Float32Array(rowCount));
  const y = new Float32Array(rowCount);
  const x = new Float64Array(GROUP);
  for (let row = 0; row < rowCount; row++) {
    for (let from = 0; from < columnCount; from += GROUP) {
      fill(x, rng);
      if (from === 0) y[row] = rng.float() < 1 / (1 + Math.exp(-score(x))) ? 1 : 0;
      for (let k = 0; k < GROUP && from + k < columnCount; k++) {
        const isMissing = (k === 3 || k === 12 || k === 21) && rng.float() < 0.03;
        columns[from + k]![row] = isMissing ? NaN : x[k]!;
      }
    }
  }
  return { columns, y };
}

function fill(x: Float64Array, rng: Rng): void {
  for (let k = 0; k < 10; k++) x[k] = normal(rng);
  for (let k = 10; k < 18; k++) x[k] = -0.5 * Math.log((1 - rng.float()) * (1 - rng.float()));
  for (let k = 18; k < 21; k++) x[k] = rng.below(3);
  x[21] = x[0]! * x[1]!;
  x[22] = Math.hypot(x[2]!, x[3]!);
  x[23] = Math.log(0.01 + x[10]! * x[11]!);
  x[24] = x[12]! - x[13]!;
  x[25] = Math.hypot(x[14]!, x[4]!);
  x[26] = Math.atan2(x[5]!, x[6]!);
  x[27] = Math.round(10 * normal(rng));
}

function score(x: Float64Array): number {
  return (
    1.2 * Math.sin(2 * x[0]!) +
    (x[10]! > 1 ? 0.8 : -0.5) +
    0.7 * x[21]! +
    (x[18] === 1 ? 0.6 : 0.2) * x[3]! +
    0.5 * Math.sin(3 * x[26]!) * x[11]! +
    (x[22]! > 1.5 && x[24]! > 0 ? 1 : -0.3) +
    0.4 * x[4]! +
    0.02 * x[27]!
  );
}

function normal(rng: Rng): number {
  return Math.sqrt(-2 * Math.log(1 - rng.float())) * Math.cos(2 * Math.PI * rng.float());
}

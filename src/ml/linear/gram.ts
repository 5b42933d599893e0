/** XᵀDX: what ridge regression, coordinate descent and Newton's method know of the rows. */
import { type Pace } from '../core/pace.js';
import { type Design } from './design.js';

/** Rows worked on at a time, so that what is read again and again stays in the first-level cache. */
const BLOCK = 1024;

/**
 * The symmetric matrix XᵀDX of some features, all of it, row-major, members x members.
 * @param d       by row; null: 1 each
 * @param members features in ascending order
 */
export async function gramMatrix(
  { rowCount, width, numbers, oneHots }: Design,
  d: Float64Array | null,
  members: Int32Array,
  pace: Pace,
): Promise<Float64Array> {
  const n = members.length;
  const gram = new Float64Array(n * n);
  const place = new Int32Array(width).fill(-1);
  members.forEach((feature, at) => (place[feature] = at));
  const columns = numbers.filter(({ feature }) => place[feature] >= 0);
  const scaled = new Float64Array(BLOCK);
  for (let from = 0; from < rowCount; from += BLOCK) {
    const size = Math.min(BLOCK, rowCount - from);
    for (const [a, { feature, values }] of columns.entries()) {
      const row = place[feature] * n;
      for (let i = 0; i < size; i++) scaled[i] = values[from + i] * (d === null ? 1 : d[from + i]);
      let b = 0;
      for (; b + 4 <= a + 1; b += 4) addFour(gram, row, place, columns.slice(b, b + 4), scaled, from, size);
      for (; b <= a; b++) gram[row + place[columns[b].feature]] += dot(scaled, columns[b].values, from, size);
      for (const { hot } of oneHots) {
        for (let i = 0; i < size; i++) {
          const at = place[hot[from + i]];
          if (at >= 0) gram[row + at] += scaled[i];
        }
      }
    }
    for (let a = 0; a < oneHots.length; a++) {
      for (let b = 0; b <= a; b++) {
        const [one, other] = [oneHots[a].hot, oneHots[b].hot];
        for (let i = from; i < from + size; i++) {
          const [p, q] = [place[one[i]], place[other[i]]];
          if (p >= 0 && q >= 0) gram[p * n + q] += d === null ? 1 : d[i];
        }
      }
    }
    const entries = columns.length + oneHots.length;
    if (pace.isDue((size * entries * (entries + 1)) / 6)) await pace.rest();
  }
  mirror(gram, n);
  return gram;
}

/** As dot, for four columns at a time: no addition then waits for the one before it. */
function addFour(
  gram: Float64Array,
  row: number,
  place: Int32Array,
  four: Design['numbers'],
  scaled: Float64Array,
  from: number,
  size: number,
): void {
  const [p, q, u, v] = four.map(({ values }) => values);
  let [sp, sq, su, sv] = [0, 0, 0, 0];
  for (let i = 0, at = from; i < size; i++, at++) {
    const x = scaled[i];
    sp += x * p[at];
    sq += x * q[at];
    su += x * u[at];
    sv += x * v[at];
  }
  [sp, sq, su, sv].forEach((sum, k) => (gram[row + place[four[k].feature]] += sum));
}

function dot(a: Float64Array, b: Float32Array, from: number, size: number): number {
  let sum = 0;
  for (let i = 0; i < size; i++) sum += a[i] * b[from + i];
  return sum;
}

/** Every pair was summed on one side of the diagonal. */
function mirror(gram: Float64Array, n: number): void {
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) {
      const sum = gram[i * n + j] + gram[j * n + i];
      gram[i * n + j] = sum;
      gram[j * n + i] = sum;
    }
  }
}

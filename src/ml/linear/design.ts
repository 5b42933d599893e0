/**
 * The design matrix X (rows x features) of a linear model, without its zeros: one-hot columns of a category lie together
 * and each row has a single 1 among them, so a row holds one entry per raw column, not per feature.
 */
import { featureColumns } from '../features/tabular.js';
import { codeCount } from '../core/feature-matrix.js';
import { type Feature } from '../core/model.js';
import { type Table } from '../core/table.js';

export interface Design {
  readonly rowCount: number;
  readonly width: number;
  readonly numbers: readonly { readonly feature: number; readonly values: Float32Array }[];
  /** The feature that is 1 in each row. */
  readonly oneHots: readonly { readonly hot: Uint16Array }[];
}

export function makeDesign(features: readonly Feature[], table: Table, rows: Uint32Array): Design {
  const numbers: { feature: number; values: Float32Array }[] = [];
  const oneHots: { hot: Uint16Array }[] = [];
  for (let at = 0; at < features.length;) {
    const { kind, column } = features[at];
    if (kind !== 'oneHot' && kind !== 'oneOf') {
      numbers.push({ feature: at, values: featureColumns([features[at]], table, rows)[0] });
      at++;
      continue;
    }
    const own = features.filter((f) => f.column === column);
    const categories = own.flatMap((f) => (f.kind === 'oneHot' && f.category !== null ? [f.category] : []));
    const others = own.flatMap((f) => (f.kind === 'oneOf' ? f.categories : []));
    const code = { kind: 'code', column, categories, others } as const;
    const [codes] = featureColumns([code], table, rows);
    const [first, missing] = [at, at + codeCount(code)];
    oneHots.push({ hot: Uint16Array.from(codes, (c) => (Number.isNaN(c) ? missing : first + c)) });
    at = missing + 1;
  }
  return { rowCount: rows.length, width: features.length, numbers, oneHots };
}

/** out = X w + b. */
export function multiply(design: Design, w: Float64Array, b: number, out: Float64Array): void {
  out.fill(b);
  const { numbers } = design;
  let n = 0;
  // Four columns at a time: the scores are read and written once for them.
  for (; n + 4 <= numbers.length; n += 4) {
    const [p, q, r, s] = numbers.slice(n, n + 4).map(({ values }) => values);
    const [wp, wq, wr, ws] = numbers.slice(n, n + 4).map(({ feature }) => w[feature]);
    for (let i = 0; i < out.length; i++) out[i] = out[i] + wp * p[i] + wq * q[i] + wr * r[i] + ws * s[i];
  }
  for (; n < numbers.length; n++) {
    const { feature, values } = numbers[n];
    const weight = w[feature];
    for (let i = 0; i < out.length; i++) out[i] += weight * values[i];
  }
  for (const { hot } of design.oneHots) for (let i = 0; i < out.length; i++) out[i] += w[hot[i]];
}

/** out = Xᵀ r. */
export function multiplyTransposed(design: Design, r: Float64Array, out: Float64Array): void {
  out.fill(0);
  const { numbers } = design;
  let n = 0;
  // Four columns at a time: no addition then waits for the one before it.
  for (; n + 4 <= numbers.length; n += 4) {
    const group = numbers.slice(n, n + 4);
    const [p, q, u, v] = group.map(({ values }) => values);
    let [sp, sq, su, sv] = [0, 0, 0, 0];
    for (let i = 0; i < r.length; i++) {
      const weight = r[i];
      sp += p[i] * weight;
      sq += q[i] * weight;
      su += u[i] * weight;
      sv += v[i] * weight;
    }
    [sp, sq, su, sv].forEach((sum, k) => (out[group[k].feature] = sum));
  }
  for (; n < numbers.length; n++) {
    const { feature, values } = numbers[n];
    let sum = 0;
    for (let i = 0; i < r.length; i++) sum += values[i] * r[i];
    out[feature] = sum;
  }
  for (const { hot } of design.oneHots) for (let i = 0; i < r.length; i++) out[hot[i]] += r[i];
}

/** Root of the mean square deviation of each feature from its mean: what one unit of its weight moves the score by. */
export function deviations(design: Design): Float64Array {
  const ones = new Float64Array(design.rowCount).fill(1);
  const sums = new Float64Array(design.width);
  multiplyTransposed(design, ones, sums);
  const squares = sums.slice(); // one-hot: x² = x
  for (const { feature, values } of design.numbers) squares[feature] = values.reduce((sum, x) => sum + x * x, 0);
  return squares.map((square, f) =>
    Math.sqrt(Math.max(0, square / design.rowCount - (sums[f] / design.rowCount) ** 2)),
  );
}

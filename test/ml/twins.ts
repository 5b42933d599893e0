/** The kernels of src/ml/kernels once more, slowly and plainly. */
import { type Renewal } from '../../src/ml/core/loss.js';
import { weightedQuantile } from '../../src/ml/core/residual-loss.js';
import { type BinnedFeature, findBin, findCuts } from '../../src/ml/trees/bins.js';

/** {row, q g, q h} of one row: hashed stochastic rounding in float32. */
export function quantiseTwin(row: number, [g, h]: [number, number], scale: { g: number; h: number }, seed: number) {
  let z = (Math.imul(row, 0x9e3779b1) + seed) | 0;
  z ^= z >>> 16;
  z = Math.imul(z, 0x85ebca6b);
  z ^= z >>> 13;
  z = Math.imul(z, 0xc2b2ae35);
  z ^= z >>> 16;
  const round = (x: number, by: number, random: number): number =>
    Math.floor(Math.fround(Math.fround(Math.fround(x) * Math.fround(by)) + random / 65536));
  return { row, g: round(g, scale.g, z & 0xffff), h: Math.max(1, round(h, scale.h, z >>> 16)) };
}

export interface Entry {
  readonly row: number;
  readonly g: number;
  readonly h: number;
}

/** Sums of g and h by bin: 256 of each. */
export function histogramTwin(bins: Uint8Array, entries: readonly Entry[]): { g: number[]; h: number[] } {
  const sums = { g: new Array<number>(256).fill(0), h: new Array<number>(256).fill(0) };
  for (const { row, g, h } of entries) {
    sums.g[bins[row]!]! += g;
    sums.h[bins[row]!]! += h;
  }
  return sums;
}

export interface Found {
  readonly score: number;
  readonly missingLeft: number;
  readonly g: number;
  readonly h: number;
  /** The last bin that goes left. */
  readonly bin?: number;
  /** The categories that go left, ascending. */
  readonly set?: number[];
}

/** What to look for, in whole-number units. `free`: no α, bounds or direction, so that scores need no weights. */
export interface Goal {
  readonly lambda: number;
  readonly alpha: number;
  readonly low: number;
  readonly high: number;
  readonly free: boolean;
  readonly direction: number;
  readonly minH: number;
  readonly least: number;
  readonly setLambda: number;
  readonly smooth: number;
  readonly heavy: number;
}

interface Sums {
  readonly g: number[];
  readonly h: number[];
}

const sumOf = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** -(2 T w + (H + λ) w²) of both sides, or -∞ against the direction. */
function boundedScore(
  left: { g: number; h: number },
  total: { g: number; h: number },
  lambda: number,
  { alpha, low, high, direction }: Goal,
): number {
  const sides = [left, { g: total.g - left.g, h: total.h - left.h }].map(({ g, h }) => {
    const t = Math.sign(g) * Math.max(Math.abs(g) - alpha, 0);
    const w = Math.min(high, Math.max(low, -t / (h + lambda)));
    return { w, term: w * (t + t + (h + lambda) * w) };
  });
  if (direction * (sides[1]!.w - sides[0]!.w) < 0) return -Infinity;
  return -(sides[0]!.term + sides[1]!.term);
}

/** The best split of a number feature: missing values right first, then left; of equal ones the first. */
export function findTwin(cells: Sums, binCount: number, goal: Goal): Found | null {
  const { lambda, minH, least } = goal;
  const total = { g: sumOf(cells.g), h: sumOf(cells.h) };
  let best: Found | null = null;
  for (const missingLeft of cells.h[binCount]! > 0 ? [0, 1] : [0]) {
    let g = missingLeft * cells.g[binCount]!;
    let h = missingLeft * cells.h[binCount]!;
    for (let bin = 0; bin < binCount; bin++) {
      if (cells.h[bin] === 0) continue;
      g += cells.g[bin]!;
      h += cells.h[bin]!;
      if (h < minH || total.h - h < minH) continue;
      const record = best?.score ?? least;
      if (goal.free && goal.direction === 0) {
        // As fractions, which need no division to be compared.
        const [a, b] = [h + lambda, total.h + lambda - h];
        const product = g * g * b + (total.g - g) * (total.g - g) * a;
        if (product > record * (a * b)) best = { score: product / (a * b), bin, missingLeft, g, h };
      } else {
        const score = boundedScore({ g, h }, total, lambda, goal);
        if (score > record) best = { score, bin, missingLeft, g, h };
      }
    }
  }
  return best;
}

/** The best division of categories; `src/ml/kernels/find-set.ts` says how. */
export function findSetTwin(cells: Sums, binCount: number, goal: Goal): Found | null {
  const total = { g: sumOf(cells.g), h: sumOf(cells.h) };
  if (total.h < 2 * goal.minH) return null;
  let order = Array.from({ length: binCount }, (_, bin) => bin).filter((bin) => cells.h[bin]! > 0);
  const isFew = order.length <= 4;
  const key = (bin: number): number => cells.g[bin]! / (cells.h[bin]! + (isFew ? 0 : goal.smooth));
  if (!isFew) order = order.filter((bin) => cells.h[bin]! >= goal.heavy);
  order.sort((a, b) => key(a) - key(b) || a - b);
  const longest = isFew ? order.length : (order.length + 1) >> 1;
  const lambda = isFew ? goal.lambda : goal.setLambda;
  let best: Found | null = null;
  for (const run of isFew ? [order] : [order, [...order].reverse()]) {
    for (let count = 1; count <= longest; count++) {
      const left = run.slice(0, count);
      for (const missingLeft of cells.h[binCount]! > 0 ? [0, 1] : [0]) {
        const side = missingLeft === 1 ? [...left, binCount] : left;
        const g = sumOf(side.map((bin) => cells.g[bin]!));
        const h = sumOf(side.map((bin) => cells.h[bin]!));
        if (h < goal.minH || total.h - h < goal.minH) continue;
        const score = boundedScore({ g, h }, total, lambda, { ...goal, direction: 0 });
        if (score > (best?.score ?? goal.least))
          best = { score, set: [...left].sort((a, b) => a - b), missingLeft, g, h };
      }
    }
  }
  return best;
}

/** The value of a leaf from its residuals: the quantile, or Huber's step from the median. */
export function renewTwin(renewal: Renewal, residuals: readonly number[], weights: readonly number[]): number {
  const of = (share: number): number =>
    weightedQuantile(Float64Array.from(residuals), Float64Array.from(weights), share);
  if (renewal.name === 'quantile') return of(renewal.share);
  const median = of(0.5);
  const cut = (r: number): number => Math.max(-renewal.delta, Math.min(renewal.delta, r));
  const total = weights.reduce((a, b) => a + b);
  return median + residuals.reduce((sum, r, i) => sum + weights[i]! * cut(r - median), 0) / total;
}

/** Codes 0 … categoryCount-1 are the bins themselves; NaN is missing. */
export function binCodes(values: Float32Array, categoryCount: number): BinnedFeature {
  const bins = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) bins[i] = Number.isNaN(values[i]) ? categoryCount : values[i];
  const codes = Float32Array.from({ length: categoryCount }, (_, code) => code);
  return { bins, binCount: categoryCount, categorical: true, low: codes, high: codes };
}

/** At most `maxBins` bins of about equally many rows, one for each value where there are no more values than that. */
export function binNumbers(values: Float32Array, maxBins: number): BinnedFeature {
  const cuts = findCuts(values.filter((value) => !Number.isNaN(value)).sort(), maxBins);
  const binCount = cuts.length + 1;
  const bins = new Uint8Array(values.length);
  const low = new Float32Array(binCount).fill(Infinity);
  const high = new Float32Array(binCount).fill(-Infinity);
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    const bin = Number.isNaN(value) ? binCount : findBin(cuts, value);
    bins[i] = bin;
    if (value < low[bin]) low[bin] = value;
    if (value > high[bin]) high[bin] = value;
  }
  return { bins, binCount, categorical: false, low, high };
}

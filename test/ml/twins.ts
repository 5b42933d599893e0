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
  readonly bin: number;
  readonly missingLeft: number;
  readonly g: number;
  readonly h: number;
}

/** The best split of a number feature: missing values right first, then left; of equal ones the first. */
export function findTwin(
  cells: { g: number[]; h: number[] },
  binCount: number,
  { lambda, minH, least }: { lambda: number; minH: number; least: number },
): Found | null {
  const total = { g: cells.g.reduce((a, b) => a + b), h: cells.h.reduce((a, b) => a + b) };
  let best: Found | null = null;
  for (const missingLeft of cells.h[binCount]! > 0 ? [0, 1] : [0]) {
    let g = missingLeft * cells.g[binCount]!;
    let h = missingLeft * cells.h[binCount]!;
    for (let bin = 0; bin < binCount; bin++) {
      if (cells.h[bin] === 0) continue;
      g += cells.g[bin]!;
      h += cells.h[bin]!;
      if (h < minH || total.h - h < minH) continue;
      const score = (g * g) / (h + lambda) + (total.g - g) ** 2 / (total.h - h + lambda);
      if (score > (best?.score ?? least)) best = { score, bin, missingLeft, g, h };
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

/**
 * Lasso and elastic net for numbers, D the weights of rows:
 *
 *   J(w, b) = ½ Σ_i d_i (y_i - x_iᵀ w - b)² + l1 |w|₁ + l2/2 |w|²
 *
 * In scikit-learn's ElasticNet on n rows: l1 = n · alpha · l1_ratio, l2 = n · alpha · (1 - l1_ratio). Cyclic coordinate descent on
 * the normal equations (Friedman, Hastie & Tibshirani, "Regularization paths for generalized linear models via coordinate
 * descent", 2010), warm-started along falling penalties, until the duality gap is small (Kim et al., "An interior-point method for
 * large-scale l1-regularized least squares", 2007).
 */
import { type Pace } from '../core/pace.js';
import { type Rows } from './data.js';
import { type NormalEquations, normalEquations } from './ridge.js';
import { roundWeights, type Weights } from './weights.js';

export interface Penalties {
  readonly l1: number;
  readonly l2: number;
}

export interface Stop {
  readonly maxIterations: number;
  readonly tolerance: number;
}

/** Penalties on the way from the one that leaves no weight to the one asked for. */
const PATH = 6;
/** Share of the gap that is left at those. */
const PATH_TOLERANCE = 1e-2;
/** Passes over the weights that are not zero, between two over all. */
const INNER_PASSES = 50;

export async function fitElasticNet(rows: Rows, { l1, l2 }: Penalties, stop: Stop, pace: Pace): Promise<Weights> {
  const equations = await normalEquations(rows, pace);
  const w = new Float64Array(rows.design.width);
  const q = new Float64Array(w.length); // gram w
  const most = equations.moments.reduce((max, c) => Math.max(max, Math.abs(c)), 0);
  let steps = 0;
  for (let p = 1; p < PATH && l1 < most; p++) {
    const penalties = { l1: most * (l1 / most) ** (p / PATH), l2 };
    steps += await descend(equations, penalties, { ...stop, tolerance: PATH_TOLERANCE }, w, q, pace);
  }
  steps += await descend(equations, { l1, l2 }, stop, w, q, pace);
  return roundWeights([w], Float64Array.of(equations.interceptOf(w)), steps);
}

/** Minimises over w, keeping q = gram w, until the duality gap is `tolerance` x ½ power at most. Returns the passes over all weights. */
async function descend(
  equations: NormalEquations,
  penalties: Penalties,
  { maxIterations, tolerance }: Stop,
  w: Float64Array,
  q: Float64Array,
  pace: Pace,
): Promise<number> {
  const n = w.length;
  const { gram, moments, power } = equations;
  const all = Int32Array.from({ length: n }, (_, f) => f);
  for (let step = 1; step <= maxIterations; step++) {
    coordinatePass(gram, moments, penalties, all, w, q);
    if (dualityGap(equations, penalties, w, q) <= (tolerance * power) / 2) return step;
    const active = all.filter((f) => w[f] !== 0);
    let first = 0;
    for (let pass = 0; pass < INNER_PASSES; pass++) {
      const change = coordinatePass(gram, moments, penalties, active, w, q);
      if (pass === 0) first = change;
      if (change <= 1e-3 * first) break;
      if (pace.isDue(active.length * n)) await pace.rest();
    }
    if (pace.isDue(n * n)) await pace.rest();
  }
  return maxIterations;
}

/** One step for each of `members`: w_f = S(c_f - Σ_{j ≠ f} gram_fj w_j, l1) / (gram_ff + l2). Returns the largest change of the scores. */
export function coordinatePass(
  gram: Float64Array,
  moments: Float64Array,
  { l1, l2 }: Penalties,
  members: Int32Array,
  w: Float64Array,
  q: Float64Array,
): number {
  const n = w.length;
  let most = 0;
  for (const f of members) {
    const own = gram[f * n + f];
    if (own <= 0) continue;
    const was = w[f];
    const now = shrink(moments[f] - q[f] + own * was, l1) / (own + l2);
    if (now === was) continue;
    w[f] = now;
    const change = now - was;
    for (let j = 0, at = f * n; j < n; j++, at++) q[j] += change * gram[at];
    most = Math.max(most, change * change * own);
  }
  return Math.sqrt(most);
}

/** Soft thresholding: the number nearer to zero by `l1`, at most to it. */
export function shrink(value: number, l1: number): number {
  return value > l1 ? value - l1 : value < -l1 ? value + l1 : 0;
}

/** J(w) less a lower bound of its minimum: the dual function at the residuals, made feasible by scaling. */
function dualityGap(
  { moments, power }: NormalEquations,
  { l1, l2 }: Penalties,
  w: Float64Array,
  q: Float64Array,
): number {
  let [cw, wq, ww, absolute, norm] = [0, 0, 0, 0, 0];
  for (let f = 0; f < w.length; f++) {
    cw += moments[f] * w[f];
    wq += w[f] * q[f];
    ww += w[f] * w[f];
    absolute += Math.abs(w[f]);
    norm = Math.max(norm, Math.abs(moments[f] - q[f] - l2 * w[f]));
  }
  const squares = Math.max(0, power - 2 * cw + wq);
  const scale = norm > l1 ? l1 / norm : 1;
  return (
    ((1 + scale * scale) * squares) / 2 + l1 * absolute - scale * (power - cw) + (l2 * (1 + scale * scale) * ww) / 2
  );
}

/**
 * The final learner of a stack (Wolpert, "Stacked generalization", 1992): one weight a member, the same for all classes.
 * For z[m] of core/model.ts's CombinedModel, from scores to rows that the members have not seen, it finds the least
 *
 *   J(w, b) = Σ_i c_i L(b + Σ_m w_m z[m, i], y_i) + l2/2 Σ_m (w_m - 1/M)²
 *
 * L is the log loss, or half the squared error in units of the target's deviation. The penalty pulls towards equal weights, the
 * best guess where rows are few. Several classes have no intercepts: members know how frequent each class is. With weights held
 * at 0 or above (Breiman, "Stacked regressions", 1996) members that are alike share their weight instead of working against each
 * other. Minimised by Newton's steps: each quadratic by coordinate descent within the bounds, then halved until it goes downhill.
 */
import { LEAST_PROBABILITY } from '../core/loss.js';
import { type Link } from '../core/model.js';
import { type Pace } from '../core/pace.js';

export interface StackData {
  /** Members x (rows x width); width is the number of classes for softmax, else 1. */
  readonly inputs: readonly Float64Array[];
  readonly link: Link;
  readonly width: number;
  /** Value or class by row. */
  readonly y: Float64Array;
  /** What each row counts. */
  readonly counts: Float64Array;
}

export interface StackWeights {
  readonly weights: Float64Array;
  /** One per output. */
  readonly intercept: Float64Array;
}

const MOST_STEPS = 50;
const MOST_SWEEPS = 5_000;
const MOST_HALVINGS = 30;
const TOLERANCE = 1e-9;

export async function fitStack(
  data: StackData,
  { l2, nonNegative }: { readonly l2: number; readonly nonNegative: boolean },
  pace: Pace,
): Promise<StackWeights> {
  const size = data.inputs.length;
  const free = size + (data.link === 'softmax' ? 0 : 1);
  const unit = data.link === 'identity' ? 1 / variance(data) : 1;
  const evaluate = (x: Float64Array): Quadratic => penalise(derive(data, x, unit), x, size, l2);
  const bound = (at: number): number => (nonNegative && at < size ? 0 : -Infinity);
  let x = new Float64Array(free).fill(1 / size, 0, size);
  let here = evaluate(x);
  for (let step = 0; step < MOST_STEPS; step++) {
    const move = solveBounded(here, x, bound);
    let next = x;
    let there = here;
    for (let share = 1, halvings = 0; halvings < MOST_HALVINGS; share /= 2, halvings++) {
      next = x.map((value, at) => Math.max(bound(at), value + share * move[at]));
      there = evaluate(next);
      await pace.rest();
      if (there.value <= here.value) break;
    }
    const gained = here.value - there.value;
    if (gained >= 0) [x, here] = [next, there];
    if (!(gained > TOLERANCE * Math.abs(here.value))) break;
  }
  const intercept = new Float64Array(data.width);
  if (free > size) intercept[0] = x[size];
  return { weights: x.slice(0, size), intercept };
}

/** Mean square deviation of the target; 1 where it does not vary. */
function variance({ y, counts }: StackData): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const mean = y.reduce((sum, value, i) => sum + counts[i] * value, 0) / total;
  return y.reduce((sum, value, i) => sum + counts[i] * (value - mean) ** 2, 0) / total || 1;
}

/** J and its first and second derivatives; the second row-major. */
interface Quadratic {
  value: number;
  readonly gradient: Float64Array;
  readonly hessian: Float64Array;
}

function penalise(j: Quadratic, x: Float64Array, size: number, l2: number): Quadratic {
  for (let m = 0; m < size; m++) {
    const pull = x[m] - 1 / size;
    j.value += (l2 / 2) * pull * pull;
    j.gradient[m] += l2 * pull;
    j.hessian[m * x.length + m] += l2;
  }
  return j;
}

function derive(data: StackData, x: Float64Array, unit: number): Quadratic {
  return data.link === 'softmax' ? deriveClasses(data, x) : deriveOne(data, x, unit);
}

/** Log loss of two classes, or the squared error times `unit`. */
function deriveOne({ inputs, link, y, counts }: StackData, x: Float64Array, unit: number): Quadratic {
  const n = x.length;
  const j = { value: 0, gradient: new Float64Array(n), hessian: new Float64Array(n * n) };
  const z = new Float64Array(n).fill(1);
  for (let i = 0; i < y.length; i++) {
    let raw = 0;
    for (let a = 0; a < n; a++) {
      if (a < inputs.length) z[a] = inputs[a][i];
      raw += x[a] * z[a];
    }
    let first = (raw - y[i]) * unit;
    let second = unit;
    if (link === 'sigmoid') {
      const p = 1 / (1 + Math.exp(-raw));
      const margin = y[i] === 1 ? raw : -raw;
      j.value += counts[i] * (margin > 0 ? Math.log1p(Math.exp(-margin)) : Math.log1p(Math.exp(margin)) - margin);
      first = p - y[i];
      second = p * (1 - p);
    } else j.value += (counts[i] * first * (raw - y[i])) / 2;
    for (let a = 0; a < n; a++) {
      j.gradient[a] += counts[i] * first * z[a];
      for (let b = 0; b < n; b++) j.hessian[a * n + b] += counts[i] * second * z[a] * z[b];
    }
  }
  return j;
}

/** Log loss of several classes: with p the softmax of w · z, the second derivative is the covariance of z[·, k] under p. */
function deriveClasses({ inputs, width, y, counts }: StackData, x: Float64Array): Quadratic {
  const n = x.length;
  const j = { value: 0, gradient: new Float64Array(n), hessian: new Float64Array(n * n) };
  const p = new Float64Array(width);
  const mean = new Float64Array(n);
  for (let i = 0; i < y.length; i++) {
    const from = i * width;
    let most = -Infinity;
    for (let k = 0; k < width; k++) {
      p[k] = 0;
      for (let a = 0; a < n; a++) p[k] += x[a] * inputs[a][from + k];
      most = Math.max(most, p[k]);
    }
    let sum = 0;
    for (let k = 0; k < width; k++) sum += p[k] = Math.exp(p[k] - most);
    for (let k = 0; k < width; k++) p[k] /= sum;
    j.value -= counts[i] * Math.log(Math.max(p[y[i]], LEAST_PROBABILITY));
    for (let a = 0; a < n; a++) {
      mean[a] = 0;
      for (let k = 0; k < width; k++) mean[a] += p[k] * inputs[a][from + k];
      j.gradient[a] += counts[i] * (mean[a] - inputs[a][from + y[i]]);
    }
    for (let a = 0; a < n; a++) {
      for (let b = 0; b <= a; b++) {
        let product = 0;
        for (let k = 0; k < width; k++) product += p[k] * inputs[a][from + k] * inputs[b][from + k];
        const covariance = counts[i] * (product - mean[a] * mean[b]);
        j.hessian[a * n + b] += covariance;
        if (b < a) j.hessian[b * n + a] += covariance;
      }
    }
  }
  return j;
}

/** The move d of least gᵀd + dᵀHd / 2 with x + d within the lower bounds, by coordinate descent. */
function solveBounded({ gradient, hessian }: Quadratic, x: Float64Array, bound: (at: number) => number): Float64Array {
  const n = x.length;
  const move = new Float64Array(n);
  const slope = gradient.slice();
  for (let sweep = 0; sweep < MOST_SWEEPS; sweep++) {
    let furthest = 0;
    for (let a = 0; a < n; a++) {
      const curve = hessian[a * n + a];
      if (!(curve > 0)) continue;
      const step = Math.max(bound(a) - x[a] - move[a], -slope[a] / curve);
      if (step === 0) continue;
      move[a] += step;
      furthest = Math.max(furthest, Math.abs(step));
      for (let b = 0; b < n; b++) slope[b] += hessian[b * n + a] * step;
    }
    if (furthest < 1e-10) break;
  }
  return move;
}

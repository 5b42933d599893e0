/**
 * L-BFGS (Nocedal & Wright, "Numerical optimization", 2006, algorithms 7.4 and 7.5) with a weak Wolfe line search by bisection
 * (Lewis & Overton, "Nonsmooth optimization via quasi-Newton methods", 2013): minimises a smooth convex function.
 */

/** f(x); writes its gradient. */
export type Objective = (x: Float64Array, gradient: Float64Array) => number;

export interface LbfgsOptions {
  readonly maxIterations: number;
  /** Stops when no entry of the gradient is larger. */
  readonly tolerance: number;
  /** After every step. */
  readonly onStep: (iteration: number, x: Float64Array, value: number) => Promise<void>;
}

const MEMORY = 10;
const SUFFICIENT_DECREASE = 1e-4;
const CURVATURE = 0.9;
const MOST_TRIALS = 40;

/** The minimiser, in `x`; returns the number of steps taken. */
export async function minimise(objective: Objective, x: Float64Array, options: LbfgsOptions): Promise<number> {
  const n = x.length;
  const gradient = new Float64Array(n);
  const steps: { s: Float64Array; y: Float64Array; rho: number }[] = [];
  const trial = new Float64Array(n);
  const trialGradient = new Float64Array(n);
  let value = objective(x, gradient);
  for (let iteration = 1; iteration <= options.maxIterations; iteration++) {
    if (largest(gradient) <= options.tolerance) return iteration - 1;
    const direction = descend(gradient, steps);
    const slope = dot(gradient, direction);
    let low = 0;
    let high = Infinity;
    let step = steps.length === 0 ? Math.min(1, 1 / Math.sqrt(dot(gradient, gradient))) : 1;
    let trialValue = Infinity;
    for (let t = 0; t < MOST_TRIALS; t++) {
      for (let i = 0; i < n; i++) trial[i] = x[i] + step * direction[i];
      trialValue = objective(trial, trialGradient);
      if (!(trialValue <= value + SUFFICIENT_DECREASE * step * slope)) high = step;
      else if (dot(trialGradient, direction) < CURVATURE * slope) low = step;
      else break;
      step = high === Infinity ? 2 * low : (low + high) / 2;
    }
    if (!(trialValue < value)) return iteration - 1; // as low as rounding lets it
    const s = trial.map((v, i) => v - x[i]);
    const y = trialGradient.map((v, i) => v - gradient[i]);
    const curvature = dot(s, y);
    if (curvature > 0) steps.push({ s, y, rho: 1 / curvature });
    if (steps.length > MEMORY) steps.shift();
    x.set(trial);
    gradient.set(trialGradient);
    value = trialValue;
    await options.onStep(iteration, x, value);
  }
  return options.maxIterations;
}

/** -H g by the two-loop recursion, H the inverse Hessian as the last steps tell it. */
function descend(
  gradient: Float64Array,
  steps: readonly { s: Float64Array; y: Float64Array; rho: number }[],
): Float64Array {
  const q = gradient.map((v) => -v);
  const alpha = new Float64Array(steps.length);
  for (let j = steps.length - 1; j >= 0; j--) {
    alpha[j] = steps[j].rho * dot(steps[j].s, q);
    addTo(q, -alpha[j], steps[j].y);
  }
  const last = steps.at(-1);
  if (last !== undefined) {
    const scale = 1 / (last.rho * dot(last.y, last.y));
    for (let i = 0; i < q.length; i++) q[i] *= scale;
  }
  for (let j = 0; j < steps.length; j++) addTo(q, alpha[j] - steps[j].rho * dot(steps[j].y, q), steps[j].s);
  return q;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

function addTo(target: Float64Array, factor: number, source: Float64Array): void {
  for (let i = 0; i < target.length; i++) target[i] += factor * source[i];
}

function largest(values: Float64Array): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) most = Math.max(most, Math.abs(values[i]));
  return most;
}

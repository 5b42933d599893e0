/**
 * Logistic regression with an L1 penalty, binary and multinomial, d the weights of rows:
 *
 *   J(W, b) = Σ_i d_i L(X_i W + b, y_i) + l1 |W|₁ + l2/2 |W|²
 *
 * In scikit-learn's LogisticRegression: l1 = l1_ratio / C, l2 = (1 - l1_ratio) / C. Proximal Newton (Friedman, Hastie & Tibshirani,
 * 2010; Yuan, Ho & Lin, "An improved GLMNET for l1-regularized logistic regression", 2012): class by class the loss is taken for
 * a parabola, its curvature being that of the class alone; coordinate descent finds the penalised parabola's minimum over the
 * weights that are not zero or should not be; a line search makes sure of J. It stops when no condition of the optimum (KKT) is
 * missed by more than tolerance x Σ d.
 */
import { type Loss, sumOfWeights } from '../core/loss.js';
import { type LinearData } from './data.js';
import { multiply, multiplyTransposed } from './design.js';
import { type Penalties, shrink, type Stop } from './elastic-net.js';
import { gramMatrix } from './gram.js';
import { residualsOf } from './likelihood.js';
import { meanLoss, sumOf } from './logistic.js';
import { roundWeights, type Weights } from './weights.js';

/** A weight of zero joins the working set when its derivative comes so near to the penalty. */
const NEAR = 0.9;
const INNER_PASSES = 100;
const SUFFICIENT_DECREASE = 0.01;
const MOST_HALVINGS = 30;
/** What rounding makes of a sum of losses: nearer to the minimum the derivatives still show the way when J no longer does. */
const ROUNDING = 1e-14;
/** Least curvature of a row: of one that is certain the parabola would be a line. */
const LEAST_CURVATURE = 1e-9;

export async function fitProximal(data: LinearData, loss: Loss, penalties: Penalties, stop: Stop): Promise<Weights> {
  const { train, validation, pace } = data;
  const newton = new ProximalNewton(data, loss, penalties);
  const total = sumOfWeights(train.weights, train.design.rowCount);
  const validationRaw = newton.w.map(() => new Float64Array(validation.design.rowCount));
  let step = 0;
  while (step < stop.maxIterations) {
    step++;
    let missed = 0;
    for (let k = 0; k < loss.outputs; k++) missed = Math.max(missed, await newton.improve(k, step));
    if (missed <= stop.tolerance * total) break;
    data.onStep(step, {
      name: loss.metric,
      train: newton.loss / total,
      validation: meanLoss(loss, validation, newton.w, newton.b, validationRaw),
    });
    await pace.rest();
  }
  return roundWeights(newton.w, newton.b, step);
}

class ProximalNewton {
  readonly w: readonly Float64Array[];
  readonly b: Float64Array;
  /** Σ d L at w and b. */
  loss: number;
  private readonly raw: readonly Float64Array[];
  private readonly residuals: readonly Float64Array[];
  private readonly curvature: Float64Array;
  private readonly movement: Float64Array;
  private readonly start: Float64Array;
  private readonly gradient: Float64Array;

  constructor(
    private readonly data: LinearData,
    loss: Loss,
    private readonly penalties: Penalties,
  ) {
    const { design, y, weights } = data.train;
    const arrays = (length: number) => Array.from({ length: loss.outputs }, () => new Float64Array(length));
    this.w = arrays(design.width);
    this.b = Float64Array.from(loss.initial(y, weights));
    this.raw = arrays(design.rowCount);
    this.raw.forEach((scores, k) => scores.fill(this.b[k]));
    this.residuals = arrays(design.rowCount);
    [this.curvature, this.movement, this.start] = [0, 0, 0].map(() => new Float64Array(design.rowCount)) as [
      Float64Array,
      Float64Array,
      Float64Array,
    ];
    this.gradient = new Float64Array(design.width);
    this.loss = residualsOf(this.raw, y, weights, this.residuals);
  }

  /** One Newton step for the weights of class k. Returns by how much the worst condition of the optimum was missed before it. */
  async improve(k: number, step: number): Promise<number> {
    const { design, weights, y } = this.data.train;
    const { l1, l2 } = this.penalties;
    const [w, r, gradient] = [this.w[k], this.residuals[k], this.gradient];
    multiplyTransposed(design, r, gradient);
    const slope = sumOf(r);
    let missed = Math.abs(slope);
    const working: number[] = [];
    for (let f = 0; f < w.length; f++) {
      const g = gradient[f] + l2 * w[f];
      missed = Math.max(missed, w[f] === 0 ? Math.abs(g) - l1 : Math.abs(g + Math.sign(w[f]) * l1));
      if (w[f] !== 0 || Math.abs(g) > NEAR * l1) working.push(f);
    }
    const members = Int32Array.from(working);
    for (let i = 0; i < r.length; i++) {
      const d = weights === null ? 1 : weights[i];
      // r = d (p - [y = k]), of two classes the y itself is 0 or 1
      const p = d === 0 ? 0 : r[i] / d + (this.raw.length === 1 ? y[i] : y[i] === k ? 1 : 0);
      this.curvature[i] = d * Math.max(p * (1 - p), LEAST_CURVATURE);
    }
    const { change, changeB } = await this.minimum(k, members, slope, step);
    this.search(k, members, change, changeB, slope);
    return missed;
  }

  /** The step to the minimum of the penalised parabola over `members` and the intercept. */
  private async minimum(
    k: number,
    members: Int32Array,
    slope: number,
    step: number,
  ): Promise<{ change: Float64Array; changeB: number }> {
    const { design } = this.data.train;
    const { l1, l2 } = this.penalties;
    const [w, n, { curvature }] = [this.w[k], members.length, this];
    const gram = await gramMatrix(design, curvature, members, this.data.pace);
    const sums = new Float64Array(design.width);
    multiplyTransposed(design, curvature, sums);
    const total = sumOf(curvature);
    const change = new Float64Array(n);
    const q = new Float64Array(n); // gram · change
    let changeB = 0;
    let cross = 0; // Σ_f sums_f change_f
    let first = 0;
    for (let pass = 0; pass < INNER_PASSES; pass++) {
      let most = 0;
      const moveB = -(slope + total * changeB + cross) / total;
      changeB += moveB;
      most = Math.max(most, moveB * moveB * total);
      for (let a = 0; a < n; a++) {
        const f = members[a];
        const own = gram[a * n + a];
        if (own <= 0) continue;
        const at = w[f] + change[a];
        const g = this.gradient[f] + q[a] + sums[f] * changeB;
        const move = shrink(own * at - g, l1) / (own + l2) - at;
        if (move === 0) continue;
        change[a] += move;
        cross += sums[f] * move;
        for (let j = 0, to = a * n; j < n; j++, to++) q[j] += move * gram[to];
        most = Math.max(most, move * move * own);
      }
      if (pass === 0) first = most;
      // Squared, and tighter from step to step: the last ones shall be whole Newton steps.
      if (most <= first * Math.max(1e-20, 10 ** (-2 - 2 * step))) break;
      if (this.data.pace.isDue(n * n)) await this.data.pace.rest();
    }
    return { change, changeB };
  }

  /** Takes the step, or as much of it as lowers J. */
  private search(k: number, members: Int32Array, change: Float64Array, changeB: number, slope: number): void {
    const { design, y, weights } = this.data.train;
    const { l1, l2 } = this.penalties;
    const [w, raw] = [this.w[k], this.raw[k]];
    const whole = new Float64Array(w.length);
    members.forEach((f, a) => (whole[f] = change[a]));
    multiply(design, whole, changeB, this.movement);
    const penalty = (length: number): number => {
      let sum = 0;
      for (let a = 0; a < members.length; a++) {
        const v = w[members[a]] + length * change[a];
        sum += l1 * Math.abs(v) + (l2 / 2) * v * v;
      }
      return sum;
    };
    const before = this.loss + penalty(0);
    let promised = slope * changeB + penalty(1) - penalty(0);
    members.forEach((f, a) => (promised += this.gradient[f] * change[a]));
    this.start.set(raw);
    const slack = ROUNDING * Math.abs(before);
    let length = 1;
    for (let t = 0; t < MOST_HALVINGS; t++, length /= 2) {
      for (let i = 0; i < raw.length; i++) raw[i] = this.start[i] + length * this.movement[i];
      const loss = residualsOf(this.raw, y, weights, this.residuals);
      if (loss + penalty(length) <= before + SUFFICIENT_DECREASE * length * Math.min(0, promised) + slack) {
        members.forEach((f, a) => (w[f] += length * change[a]));
        this.b[k] += length * changeB;
        this.loss = loss;
        return;
      }
    }
    // As low as rounding lets it.
    raw.set(this.start);
    residualsOf(this.raw, y, weights, this.residuals);
  }
}

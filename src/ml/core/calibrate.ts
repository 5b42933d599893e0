/**
 * Calibration: scores of classes made into probabilities that hold, by rows that the model did not learn from. Two classes:
 * the positive class's score p becomes q and the other 1 - q. More: each class against the others, then divided by the sum
 * (Zadrozny & Elkan, "Transforming classifier scores into accurate multiclass probability estimates", 2002).
 */
import { interpolator, type Knots } from './knots.js';
import { CLIP, type Calibration, type Model } from './model.js';

export type CalibrationRule = 'NONE' | 'PLATT' | 'ISOTONIC';

/** Scores closer than this count as equal to an isotonic curve: a steeper one would make much of the last digits of a sum. */
const LEAST_STEP = 1e-6;
/** How near to certain a score is taken for what it is. */
const CERTAIN = 1e-9;

/** Calibrates in place; `scores` is rows x outputs, float64. onnx/export-calibration.ts does the same. */
export function calibrate(calibration: Calibration, scores: Float64Array, outputs: number): void {
  const curves = curvesOf(calibration);
  if (outputs === 2) {
    for (let at = 0; at < scores.length; at += 2) {
      const q = curves[0]!(scores[at + 1]!);
      scores[at] = 1 - q;
      scores[at + 1] = q;
    }
    return;
  }
  for (let at = 0; at < scores.length; at += outputs) {
    let sum = 0;
    for (let k = 0; k < outputs; k++) sum += scores[at + k] = curves[k]!(scores[at + k]!);
    for (let k = 0; k < outputs; k++) scores[at + k] = sum === 0 ? 1 / outputs : scores[at + k]! / sum;
  }
}

function curvesOf(calibration: Calibration): readonly ((p: number) => number)[] {
  if (calibration.method === 'isotonic') return calibration.curves.map(interpolator);
  const { clip, slope, intercept } = calibration;
  return Array.from(slope, (a, k) => (p) => 1 / (1 + Math.exp(-(a * logOdds(p, clip) + intercept[k]!))));
}

function logOdds(p: number, clip: number): number {
  const c = Math.min(Math.max(p, clip), 1 - clip);
  return Math.log(c / (1 - c));
}

/**
 * @param scores  rows x outputs, float64, of rows not learned from
 * @param classes by row; -1 is a class unknown to the model
 * @param weights by row; null: 1 each
 * @returns null where there is no row. A class that no row has, or that all have, keeps its scores.
 */
export function fitCalibration(
  rule: Exclude<CalibrationRule, 'NONE'>,
  model: Model,
  scores: Float64Array,
  outputs: number,
  classes: Int32Array,
  weights: Float64Array | null,
): Calibration | null {
  if (classes.length === 0) return null;
  const wanted = outputs === 2 ? [1] : Array.from({ length: outputs }, (_, k) => k);
  const clip = isShare(model) ? CLIP : CERTAIN;
  const w = weights ?? new Float64Array(classes.length).fill(1);
  const isotonic: Knots[] = [];
  const platt: [number, number][] = [];
  for (const k of wanted) {
    const p = Float64Array.from(classes, (_, i) => scores[i * outputs + k]!);
    const hits = Uint8Array.from(classes, (c) => (c === k ? 1 : 0));
    const isBoth = hits.includes(0) && hits.includes(1);
    if (rule === 'ISOTONIC')
      isotonic.push(isBoth ? fitIsotonic(p, hits, w) : { x: Float64Array.of(0, 1), y: Float64Array.of(0, 1) });
    else
      platt.push(
        isBoth
          ? fitPlatt(
              p.map((v) => logOdds(v, clip)),
              hits,
              w,
            )
          : [1, 0],
      );
  }
  if (rule === 'ISOTONIC') return { method: 'isotonic', curves: isotonic };
  const column = (at: 0 | 1) => Float64Array.from(platt, (pair) => pair[at]);
  return { method: 'platt', clip, slope: column(0), intercept: column(1) };
}

/** Whether scores are shares of leaves or of members, which may be 0 or 1 without meaning it. */
function isShare(model: Model): boolean {
  const link = model.family === 'combined' ? model.stack?.link : model.link;
  return link === undefined || link === 'identity';
}

/**
 * Isotonic regression by pooling adjacent violators (Ayer et al., 1955): the rising steps nearest to the hits in weighted squares,
 * joined by straight lines between the end of one step and the start of the next, as scikit-learn's IsotonicRegression does.
 */
export function fitIsotonic(p: Float64Array, hits: Uint8Array, weights: Float64Array): Knots {
  const order = Uint32Array.from(p, (_, i) => i).sort((a, b) => p[a]! - p[b]! || a - b);
  const blocks: { from: number; to: number; sum: number; weight: number }[] = [];
  let start = -Infinity;
  for (const i of order) {
    const [weight, sum] = [weights[i]!, weights[i]! * hits[i]!];
    const last = blocks.at(-1);
    if (last !== undefined && p[i]! - start < LEAST_STEP) {
      last.sum += sum;
      last.weight += weight;
    } else {
      pool(blocks);
      start = p[i]!;
      blocks.push({ from: start, to: start, sum, weight });
    }
  }
  pool(blocks);
  const points = blocks.flatMap(({ from, to, sum, weight }) => {
    const y = sum / weight;
    return from < to ? [[from, y] as const, [to, y] as const] : [[from, y] as const];
  });
  // A function of one value: flat.
  if (points.length === 1) points.push([points[0]![0] + 1, points[0]![1]]);
  return { x: Float64Array.from(points, ([x]) => x), y: Float64Array.from(points, ([, y]) => y) };
}

/** Joins the last block with those before it for as long as it is not above them. */
function pool(blocks: { from: number; to: number; sum: number; weight: number }[]): void {
  while (blocks.length > 1) {
    const [before, last] = blocks.slice(-2) as [(typeof blocks)[0], (typeof blocks)[0]];
    if (before.sum * last.weight < last.sum * before.weight) return;
    before.to = last.to;
    before.sum += last.sum;
    before.weight += last.weight;
    blocks.pop();
  }
}

const MOST_STEPS = 100;
const SUFFICIENT_DECREASE = 1e-4;
const SHORTEST_STEP = 1e-10;

/**
 * Slope a and intercept b of q = 1 / (1 + exp(-(a z + b))) (Platt, "Probabilistic outputs for support vector machines", 1999), by
 * Newton's method with a line search (Lin, Lin & Weng, "A note on Platt's probabilistic outputs", 2007). Not 0 and 1 are the
 * targets but (N₊ + 1) / (N₊ + 2) and 1 / (N₋ + 2), so that few rows make no certainty.
 */
export function fitPlatt(z: Float64Array, hits: Uint8Array, weights: Float64Array): [number, number] {
  let [positive, negative] = [0, 0];
  for (let i = 0; i < z.length; i++) {
    if (hits[i] === 1) positive += weights[i]!;
    else negative += weights[i]!;
  }
  const target = [1 / (negative + 2), (positive + 1) / (positive + 2)] as const;
  const loss = (a: number, b: number): number => {
    let sum = 0;
    for (let i = 0; i < z.length; i++) {
      const m = a * z[i]! + b;
      const t = target[hits[i] as 0 | 1];
      sum += weights[i]! * (m > 0 ? (1 - t) * m + Math.log1p(Math.exp(-m)) : Math.log1p(Math.exp(m)) - t * m);
    }
    return sum;
  };
  let [a, b] = [0, Math.log((positive + 1) / (negative + 1))];
  let value = loss(a, b);
  for (let step = 0; step < MOST_STEPS; step++) {
    let [ga, gb, haa, hab, hbb] = [0, 0, 1e-12, 0, 1e-12];
    for (let i = 0; i < z.length; i++) {
      const q = 1 / (1 + Math.exp(-(a * z[i]! + b)));
      const d = weights[i]! * (q - target[hits[i] as 0 | 1]);
      const h = weights[i]! * q * (1 - q);
      ga += d * z[i]!;
      gb += d;
      haa += h * z[i]! * z[i]!;
      hab += h * z[i]!;
      hbb += h;
    }
    if (Math.max(Math.abs(ga), Math.abs(gb)) < 1e-9 * (positive + negative)) break;
    const determinant = haa * hbb - hab * hab;
    const [da, db] = [-(hbb * ga - hab * gb) / determinant, -(haa * gb - hab * ga) / determinant];
    let length = 1;
    let next = loss(a + da, b + db);
    while (!(next < value + SUFFICIENT_DECREASE * length * (ga * da + gb * db)) && length > SHORTEST_STEP) {
      length /= 2;
      next = loss(a + length * da, b + length * db);
    }
    if (!(next < value)) break;
    [a, b, value] = [a + length * da, b + length * db, next];
  }
  return [a, b];
}

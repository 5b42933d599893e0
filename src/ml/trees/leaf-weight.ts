/**
 * What a leaf adds to the score, and what that is worth, from the sums of its gradients and hessians:
 *
 *   T = sign(G) max(|G| - α, 0)      w = -T / (H + λ), within its bounds      score = -(2 T w + (H + λ) w²)
 *
 * (Chen & Guestrin, "XGBoost", 2016, with its reg_alpha and max_delta_step; the slow twin of kernels/score.ts.)
 */

export interface Penalties {
  /** α */
  readonly l1: number;
  /** λ */
  readonly l2: number;
}

/** Of the weight of a leaf. */
export interface Bounds {
  readonly low: number;
  readonly high: number;
}

/** @param most  greatest |weight|; 0: no limit */
export function boundsWithin(most: number): Bounds {
  return most > 0 ? { low: -most, high: most } : { low: -Infinity, high: Infinity };
}

function lean(g: number, l1: number): number {
  return Math.sign(g) * Math.max(Math.abs(g) - l1, 0);
}

export function leafWeight(g: number, h: number, { l1, l2 }: Penalties, { low, high }: Bounds): number {
  const free = h + l2 > 0 ? -lean(g, l1) / (h + l2) : 0;
  return Math.min(high, Math.max(low, free));
}

export function leafScore(g: number, h: number, penalties: Penalties, bounds: Bounds): number {
  const w = leafWeight(g, h, penalties, bounds);
  return -w * (2 * lean(g, penalties.l1) + (h + penalties.l2) * w);
}

/**
 * The bounds of both sides of a split on a feature that the prediction is to rise (1) or fall (-1) with: a value between their
 * weights parts them, so that nothing below can bring them out of order. 0: both sides inherit the bounds.
 */
export function boundsBelow(
  direction: number,
  bounds: Bounds,
  leftWeight: number,
  rightWeight: number,
): { left: Bounds; right: Bounds } {
  const middle = (leftWeight + rightWeight) / 2;
  const { low, high } = bounds;
  if (direction > 0) return { left: { low, high: middle }, right: { low: middle, high } };
  if (direction < 0) return { left: { low: middle, high }, right: { low, high: middle } };
  return { left: bounds, right: bounds };
}

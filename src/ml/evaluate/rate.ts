/** A share of rows with its uncertainty. */
export interface Rate {
  /** Null of no rows. */
  readonly value: number | null;
  readonly low: number | null;
  readonly high: number | null;
}

/** The 97.5 % point of the normal distribution. */
const Z = 1.959964;

/** Wilson's score interval of 95 % (1927): right for few rows and for shares near 0 and 1 as well. */
export function rateOf(hits: number, rows: number): Rate {
  if (rows === 0) return { value: null, low: null, high: null };
  const share = hits / rows;
  const shrink = 1 + (Z * Z) / rows;
  const middle = (share + (Z * Z) / (2 * rows)) / shrink;
  const reach = (Z / shrink) * Math.sqrt((share * (1 - share)) / rows + (Z * Z) / (4 * rows * rows));
  return { value: share, low: Math.max(0, middle - reach), high: Math.min(1, middle + reach) };
}

/** p - q with Newcombe's interval (1998, method 10), made of both shares' score intervals. */
export function differenceOf(p: Rate, q: Rate): Rate {
  if (p.value === null || q.value === null) return { value: null, low: null, high: null };
  const difference = p.value - q.value;
  const low = difference - Math.hypot(p.value - p.low!, q.high! - q.value);
  const high = difference + Math.hypot(p.high! - p.value, q.value - q.low!);
  return { value: difference, low, high };
}

/**
 * The 97.5 % point of Student's distribution, by the expansion of Cornish and Fisher (Abramowitz and Stegun 26.7.5); exact for 1
 * and 2 degrees, else right to 1 %.
 */
export function studentPoint(degrees: number): number {
  if (degrees === 1) return 12.7062;
  if (degrees === 2) return 4.30265;
  const n = degrees;
  const g1 = (Z ** 3 + Z) / 4;
  const g2 = (5 * Z ** 5 + 16 * Z ** 3 + 3 * Z) / 96;
  const g3 = (3 * Z ** 7 + 19 * Z ** 5 + 17 * Z ** 3 - 15 * Z) / 384;
  const g4 = (79 * Z ** 9 + 776 * Z ** 7 + 1482 * Z ** 5 - 1920 * Z ** 3 - 945 * Z) / 92160;
  return Z + g1 / n + g2 / n ** 2 + g3 / n ** 3 + g4 / n ** 4;
}

import { type ColumnProfile, FEWEST_ROWS, isPresentable } from './schema.js';

const DAY_MS = 86_400_000;
const BINS = 20;
const FREQUENT = 20;
const SHARES = [0.05, 0.25, 0.5, 0.75, 0.95];

type Told = Omit<ColumnProfile, 'name' | 'missing' | 'nonFinite'>;

const NOTHING = { mean: null, standardDeviation: null, quantiles: [], histogram: null };

/** A category column: `counts[i]` rows hold `values[i]`. */
export function profileCategories(values: readonly string[], counts: Float64Array | readonly number[]): Told {
  const seen = values.map((value, i) => ({ value, count: counts[i]! }));
  return { ...NOTHING, distinct: values.length, ...tellFrequent(seen) };
}

/** `values` with NaN as missing. `as` turns a value into text. */
export function profileNumbers(
  values: Float64Array,
  unit: 'real' | 'whole' | 'date' | 'boolean',
  as: (value: number) => string = String,
): Told {
  const sorted = values.filter((value) => value === value).sort();
  const runs = runsOf(sorted);
  const frequent = tellFrequent(
    runs.flatMap(({ value, count }) => (count >= FEWEST_ROWS ? [{ value: as(value), count }] : [])),
    sorted.length,
  );
  const told = { ...NOTHING, distinct: runs.length, ...frequent };
  if (sorted.length < 2 * FEWEST_ROWS) return told;
  const { mean, deviation } = moments(sorted);
  if (unit === 'boolean') return { ...told, mean: significant(mean) };
  const grid = gridOf(sorted, unit);
  return {
    ...told,
    mean: unit === 'date' ? Math.round(mean / DAY_MS) * DAY_MS : significant(mean),
    standardDeviation: significant(deviation),
    quantiles: quantiles(sorted, grid),
    histogram: histogram(sorted, grid),
  };
}

function tellFrequent(
  seen: readonly { value: string; count: number }[],
  total = seen.reduce((sum, { count }) => sum + count, 0),
): Pick<Told, 'frequent' | 'otherCount'> {
  const frequent = seen
    .filter(({ value, count }) => count >= FEWEST_ROWS && isPresentable(value))
    .sort((a, b) => b.count - a.count || (a.value < b.value ? -1 : 1))
    .slice(0, FREQUENT);
  return { frequent, otherCount: total - frequent.reduce((sum, { count }) => sum + count, 0) };
}

function runsOf(sorted: Float64Array): { value: number; count: number }[] {
  const runs: { value: number; count: number }[] = [];
  for (let from = 0; from < sorted.length;) {
    const to = upper(sorted, sorted[from]!);
    runs.push({ value: sorted[from]!, count: to - from });
    from = to;
  }
  return runs;
}

/** How many are <= value. */
function upper(sorted: Float64Array, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** How many are < value. */
function lower(sorted: Float64Array, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

interface Grid {
  readonly step: number;
  readonly low: number;
  readonly high: number;
}

/** A step of 1, 2 or 5 times a power of ten between the coarsened extremes, which at least five rows lie beyond. */
function gridOf(sorted: Float64Array, unit: 'real' | 'whole' | 'date'): Grid {
  const beyond = Math.max(FEWEST_ROWS, Math.ceil(sorted.length / 100));
  const low = sorted[beyond - 1]!;
  const high = sorted[sorted.length - beyond]!;
  const base = unit === 'date' && high - low > BINS * DAY_MS ? DAY_MS : 1;
  const rough = (high - low) / BINS / base;
  if (!(rough > 0) || !Number.isFinite(rough)) return { step: 0, low, high };
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10) * power;
  return { step: (unit === 'real' ? step : Math.max(1, step)) * base, low, high };
}

/** A number may be told if nobody's value is, or five rows' are; otherwise it moves a little. Null if it finds no place. */
function tellable(sorted: Float64Array, value: number, step: number): number | null {
  let shift = step / 4;
  for (let moved = value, i = 0; i < 12; i++, moved = clean(value + shift), shift /= 2) {
    const held = upper(sorted, moved) - lower(sorted, moved);
    if (held === 0 || held >= FEWEST_ROWS) return moved;
  }
  return null;
}

function histogram(sorted: Float64Array, { step, low, high }: Grid): Told['histogram'] {
  const edges: number[] = [];
  const counts: number[] = [];
  let before = 0;
  if (step > 0) {
    for (let k = Math.floor(low / step); (k + 0.5) * step < high; k++) {
      const edge = tellable(sorted, clean((k + 0.5) * step), step);
      if (edge === null) continue;
      const upTo = upper(sorted, edge);
      // Bins of fewer than five rows join their neighbours.
      if (upTo - before < FEWEST_ROWS || sorted.length - upTo < FEWEST_ROWS) continue;
      edges.push(edge);
      counts.push(upTo - before);
      before = upTo;
    }
  }
  counts.push(sorted.length - before);
  return { edges, counts };
}

function quantiles(sorted: Float64Array, { step }: Grid): Told['quantiles'] {
  return SHARES.flatMap((share) => {
    const at = Math.floor(share * (sorted.length - 1));
    if (at < FEWEST_ROWS - 1 || sorted.length - at < FEWEST_ROWS) return [];
    const exact = sorted[at]!;
    if (upper(sorted, exact) - lower(sorted, exact) >= FEWEST_ROWS) return [{ share, value: exact }];
    if (step === 0) return [];
    const fine = step / 4;
    const value = tellable(sorted, clean((Math.floor(exact / fine) + 0.5) * fine), fine);
    return value === null ? [] : [{ share, value }];
  });
}

/** Welford's method: one pass, no cancellation. Sample standard deviation. */
function moments(values: Float64Array): { mean: number; deviation: number } {
  let mean = 0;
  let squares = 0;
  for (let i = 0; i < values.length; i++) {
    const delta = values[i]! - mean;
    mean += delta / (i + 1);
    squares += delta * (values[i]! - mean);
  }
  return { mean, deviation: Math.sqrt(squares / (values.length - 1)) };
}

/** Without the dust of binary fractions. */
function clean(value: number): number {
  return Number(value.toPrecision(12));
}

function significant(value: number): number | null {
  return Number.isFinite(value) ? Number(value.toPrecision(6)) : null;
}

/**
 * The value of one leaf from the residuals y - F of its rows, for losses whose derivatives say too little about it (LightGBM's
 * RenewTreeOutput), and the scores of these rows with it: value = rate · q, rounded to float32, raw[row] += value.
 *
 * Residuals are put beside the entries, in `spare`, as {residual f32, weight f32}; their order there is of no matter.
 */
/** The quantile at `share`. */
export function renewQuantile(
  begin: i32,
  end: i32,
  entries: usize,
  spare: usize,
  raw: usize,
  y: usize,
  weights: usize,
  share: f64,
  rate: f64,
): f32 {
  const from = spare + ((<usize>begin) << 3);
  const to = spare + ((<usize>end) << 3);
  const total = gather(begin, end, entries, spare, raw, y, weights);
  const value = <f32>(rate * quantileOf(from, to, share * total));
  addTo(begin, end, entries, raw, value);
  return value;
}

/** The median m, and the mean of residuals - m cut off at ±δ (Friedman 2001, algorithm 4). */
export function renewHuber(
  begin: i32,
  end: i32,
  entries: usize,
  spare: usize,
  raw: usize,
  y: usize,
  weights: usize,
  delta: f64,
  rate: f64,
): f32 {
  const from = spare + ((<usize>begin) << 3);
  const to = spare + ((<usize>end) << 3);
  const total = gather(begin, end, entries, spare, raw, y, weights);
  const median = quantileOf(from, to, 0.5 * total);
  let sum: f64 = 0;
  for (let at = from; at < to; at += 8)
    sum += <f64>load<f32>(at, 4) * max(-delta, min(delta, <f64>load<f32>(at) - median));
  const value = <f32>(rate * (median + sum / total));
  addTo(begin, end, entries, raw, value);
  return value;
}

/** Writes the residuals; returns the sum of their weights. */
function gather(begin: i32, end: i32, entries: usize, spare: usize, raw: usize, y: usize, weights: usize): f64 {
  let total: f64 = 0;
  for (let i = begin; i < end; i++) {
    const at = (<usize>i) << 3;
    const row = <usize>load<u32>(entries + at);
    const weight: f32 = weights == 0 ? 1 : load<f32>(weights + (row << 2));
    store<f32>(spare + at, <f32>(load<f64>(y + (row << 3)) - load<f64>(raw + (row << 3))));
    store<f32>(spare + at, weight, 4);
    total += <f64>weight;
  }
  return total;
}

function addTo(begin: i32, end: i32, entries: usize, raw: usize, value: f32): void {
  for (let i = begin; i < end; i++) {
    const score = raw + ((<usize>load<u32>(entries + ((<usize>i) << 3))) << 3);
    store<f64>(score, load<f64>(score) + <f64>value);
  }
}

/**
 * The least value up to which the weights sum to `wanted`; where they do exactly, the middle between it and the next. Hoare's
 * selection, parting in three: items below the pivot, equal to it, above it.
 */
function quantileOf(from: usize, to: usize, wanted: f64): f64 {
  let low = from;
  let high = to;
  let below: f64 = 0;
  for (;;) {
    const pivot = pivotOf(low, high);
    let equal = low;
    let above = high;
    let sumBelow: f64 = 0;
    let sumEqual: f64 = 0;
    for (let at = low; at < above;) {
      const item = load<u64>(at);
      const value = load<f32>(at);
      if (value < pivot) {
        sumBelow += <f64>load<f32>(at, 4);
        store<u64>(at, load<u64>(equal));
        store<u64>(equal, item);
        equal += 8;
        at += 8;
      } else if (value > pivot) {
        above -= 8;
        store<u64>(at, load<u64>(above));
        store<u64>(above, item);
      } else {
        sumEqual += <f64>load<f32>(at, 4);
        at += 8;
      }
    }
    if (equal > low && below + sumBelow >= wanted) {
      // The pivot, or what is above it, may be needed as the next value: it stays to the right.
      high = equal;
      continue;
    }
    below += sumBelow + sumEqual;
    if (below < wanted && above < high) {
      low = above;
      continue;
    }
    if (below != wanted || above == to) return <f64>pivot;
    let next: f32 = Infinity;
    for (let at = above; at < to; at += 8) next = min(next, load<f32>(at));
    return 0.5 * (<f64>pivot + <f64>next);
  }
}

/** The middle of the first, the middle and the last value. */
function pivotOf(low: usize, high: usize): f32 {
  const a = load<f32>(low);
  const b = load<f32>(low + (((high - low) >> 4) << 3));
  const c = load<f32>(high - 8);
  return max(min(a, b), min(max(a, b), c));
}

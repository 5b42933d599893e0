/**
 * The order in which the bins of a node are scanned for a split. Numbers: ascending. Categories: by their mean gradient or
 * class share, for then the best division into two sets is a prefix of the order (Fisher, "On grouping for maximum
 * homogeneity", 1958), as in LightGBM. Only bins that hold rows take part.
 */

/** Up to so many categories are divided without smoothing and penalty: few enough to be trusted. */
export const FEW_CATEGORIES = 4;

/** More categories than this never go to one side as the named set. */
export const MOST_LEFT_CATEGORIES = 32;

/** Writes the bins below `binCount` whose cell holds rows into `order`, ascending; returns how many. A cell's last number is its row count. */
export function populatedBins(
  cells: Float64Array,
  at: number,
  stride: number,
  binCount: number,
  order: Uint8Array,
): number {
  let length = 0;
  for (let bin = 0, cell = at + stride - 1; bin < binCount; bin++, cell += stride) {
    if (cells[cell] > 0) order[length++] = bin;
  }
  return length;
}

/** Keeps the bins with weight[bin] >= least, in their order; returns how many. */
export function keepHeavy(order: Uint8Array, length: number, least: number, weight: Float64Array): number {
  let kept = 0;
  for (let i = 0; i < length; i++) if (weight[order[i]] >= least) order[kept++] = order[i];
  return kept;
}

/** Sorts `order` by ascending key[bin], ties by bin (insertion sort: at most 255 entries, mostly few). */
export function sortByKey(order: Uint8Array, length: number, key: Float64Array): void {
  for (let i = 1; i < length; i++) {
    const bin = order[i];
    let at = i;
    for (; at > 0 && (key[order[at - 1]] > key[bin] || (key[order[at - 1]] === key[bin] && order[at - 1] > bin)); at--)
      order[at] = order[at - 1];
    order[at] = bin;
  }
}

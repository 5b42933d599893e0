/**
 * Kernel: divides rows[begin … end) into those that go left and those that go right, both in their old order.
 *
 * `goesLeft[bin]` is 1 or 0 for each of the 256 bins of the feature, so thresholds, category sets and the direction of missing
 * values are all one table. `spare` holds at least end - begin entries. Returns the first row that went right.
 */
export function partition(
  rows: Uint32Array,
  begin: number,
  end: number,
  bins: Uint8Array,
  goesLeft: Uint8Array,
  spare: Uint32Array,
): number {
  let left = begin;
  let right = 0;
  for (let i = begin; i < end; i++) {
    const row = rows[i];
    // Written to both sides; only the side that keeps it moves on. There is no branch to mispredict.
    const isLeft = goesLeft[bins[row]];
    rows[left] = row;
    spare[right] = row;
    left += isLeft;
    right += 1 - isLeft;
  }
  rows.set(spare.subarray(0, right), left);
  return left;
}

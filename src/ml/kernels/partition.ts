/**
 * Divides the entries of a node into those that go left and those that go right, both in their old order, part by part of a
 * fixed grid: `divide` writes each part's two sides to the spare array, the caller adds up the counts (and may still give up),
 * `settle` brings the sides together.
 */
import { PART } from './control';

/**
 * One part: entries that go left from the part's begin upwards in `spare`, the others from its end downwards. `table` has a
 * byte 1 (left) or 0 for each bin. Writes the number of those that go left to counts[task].
 */
export function dividePart(
  task: i32,
  begin: i32,
  end: i32,
  entries: usize,
  spare: usize,
  bins: usize,
  table: usize,
  counts: usize,
): void {
  const from = begin + task * PART;
  const to = min(from + PART, end);
  let left = spare + ((<usize>from) << 3);
  let right = spare + ((<usize>(to - 1)) << 3);
  const start = left;
  for (let i = from; i < to; i++) {
    const entry = load<i64>(entries + ((<usize>i) << 3));
    // Written to both sides; only the side that keeps it moves on. There is no branch to mispredict.
    const isLeft = <usize>load<u8>(table + <usize>load<u8>(bins + <usize>(<u32>entry)));
    store<i64>(left, entry);
    store<i64>(right, entry);
    left += isLeft << 3;
    right -= (1 - isLeft) << 3;
  }
  store<i32>(counts + ((<usize>task) << 2), <i32>((left - start) >> 3));
}

/** counts[task] entries go to `leftTo`, the rest to `rightTo`: the first free places of either side of the node. */
export function settlePart(
  task: i32,
  begin: i32,
  end: i32,
  entries: usize,
  spare: usize,
  counts: usize,
  middle: i32,
): void {
  const from = begin + task * PART;
  const to = min(from + PART, end);
  let before = 0;
  for (let t = 0; t < task; t++) before += load<i32>(counts + ((<usize>t) << 2));
  const count = load<i32>(counts + ((<usize>task) << 2));
  memory.copy(entries + ((<usize>(begin + before)) << 3), spare + ((<usize>from) << 3), (<usize>count) << 3);
  let right = entries + ((<usize>(middle + from - begin - before)) << 3);
  const last = spare + ((<usize>(from + count)) << 3);
  let source = spare + ((<usize>(to - 1)) << 3);
  for (; source >= last; source -= 8, right += 8) store<i64>(right, load<i64>(source));
}

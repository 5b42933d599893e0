/**
 * The leaves of one tree that rows of raw values fall into: raw[row] += value of the leaf, for one chunk of rows.
 *
 *   node      32 bytes: feature i32 (-1: leaf), threshold f32, left i32, right i32 (a leaf's are itself), missing goes left i32,
 *             table of the categories that go left (address of 256 bytes, 0: a number), value f32
 *   columns   f32 by feature, `stride` bytes apart; NaN is missing
 */
import { CHUNK } from './control';

export function walkChunk(task: i32, rows: i32, columns: usize, stride: usize, nodes: usize, raw: usize): void {
  const begin = task * CHUNK;
  const end = min(begin + CHUNK, rows);
  let i = begin;
  for (; i + 4 <= end; i += 4) {
    const values = columns + ((<usize>i) << 2);
    let a = nodes;
    let b = nodes;
    let c = nodes;
    let d = nodes;
    // Four rows at a time: each step waits for the memory, but not for the other rows.
    while ((load<i32>(a) & load<i32>(b) & load<i32>(c) & load<i32>(d)) >= 0) {
      a = next(nodes, a, values, stride);
      b = next(nodes, b, values + 4, stride);
      c = next(nodes, c, values + 8, stride);
      d = next(nodes, d, values + 12, stride);
    }
    const to = raw + ((<usize>i) << 3);
    addValue(to, a);
    addValue(to + 8, b);
    addValue(to + 16, c);
    addValue(to + 24, d);
  }
  for (; i < end; i++) {
    let node = nodes;
    while (load<i32>(node) >= 0) node = next(nodes, node, columns + ((<usize>i) << 2), stride);
    addValue(raw + ((<usize>i) << 3), node);
  }
}

function next(nodes: usize, node: usize, values: usize, stride: usize): usize {
  const feature = load<i32>(node);
  const x = load<f32>(values + <usize>max(feature, 0) * stride);
  const table = load<usize>(node, 20);
  let isLeft = i32(x <= load<f32>(node, 4));
  if (table != 0) isLeft = x == x ? <i32>load<u8>(table + <usize>(<u32>x)) : 0;
  isLeft |= i32(x != x) & load<i32>(node, 16);
  return nodes + ((<usize>select(load<i32>(node, 8), load<i32>(node, 12), isLeft != 0)) << 5);
}

function addValue(to: usize, node: usize): void {
  store<f64>(to, load<f64>(to) + <f64>load<f32>(node, 24));
}

import { expect, it } from 'vitest';
import { type PublicEntry, RecentEntries } from '../../src/domain/audit/recent-entries.js';

const entry = (index: number): PublicEntry => ({ entry: Buffer.alloc(32, index), leaf: Buffer.alloc(32, index + 1) });
const entries = (from: number, to: number): PublicEntry[] =>
  Array.from({ length: to - from }, (_, i) => entry(from + i));

it('gives what follows each other, whatever the flushes, and forgets what comes before', () => {
  const recent = new RecentEntries();
  recent.add(0, entries(0, 3));
  expect(recent.from(0, 10)).toEqual([]);
  recent.begin();
  recent.add(5, entries(5, 8));
  recent.add(8, entries(8, 9));
  // Another process recorded 9 to 11.
  recent.add(12, entries(12, 15));
  expect(recent.from(4, 10)).toEqual([]);
  expect(recent.from(5, 2)).toEqual(entries(5, 7));
  expect(recent.from(6, 10)).toEqual(entries(6, 9));
  expect(recent.from(9, 10)).toEqual([]);
  expect(recent.from(13, 1)).toEqual(entries(13, 14));
  expect(recent.from(12, 10)).toEqual(entries(12, 15));
  recent.begin();
  expect(recent.from(12, 10)).toEqual([]);
});

it('keeps no more than a bounded number', () => {
  const recent = new RecentEntries();
  recent.begin();
  const flush = entries(0, 256);
  for (let i = 0; i < 300; i++) recent.add(256 * i, flush);
  expect(recent.from(0, 1)).toEqual([]);
  expect(recent.from(256 * 299, 256)).toEqual(flush);
});

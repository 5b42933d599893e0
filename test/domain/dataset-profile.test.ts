import { describe, expect, it } from 'vitest';
import { finishTable, isoDate } from '../../src/domain/datasets/columns.js';
import type { ColumnProfile, RawColumn } from '../../src/domain/datasets/schema.js';

/** A generator with a printed seed (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function finish(column: RawColumn) {
  const rowCount = column.type === 'CATEGORY' ? column.codes.length : column.values.length;
  return finishTable({ rowCount, columns: [column], rejectedCount: 0, rejects: [] }).columns[0]!;
}

const numbers = (values: Iterable<number>, type: 'NUMBER' | 'DATE' = 'NUMBER'): RawColumn => ({
  name: 'x',
  type,
  values: Float64Array.from(values),
  nonFinite: 0,
});

function words(values: (string | null)[]): RawColumn {
  const dictionary = [...new Set(values.filter((value) => value !== null))];
  return {
    name: 'x',
    type: 'CATEGORY',
    dictionary,
    codes: Int32Array.from(values, (value) => (value === null ? -1 : dictionary.indexOf(value))),
  };
}

function shownNumbers(profile: ColumnProfile): number[] {
  return [
    ...profile.quantiles.map(({ value }) => value),
    ...(profile.histogram?.edges ?? []),
    ...profile.frequent.map(({ value }) => Number(value)),
  ];
}

const SHAPES: Record<string, (next: () => number, i: number) => number> = {
  uniform: (next) => next() * 1000,
  'whole and small': (next) => Math.floor(next() * 30),
  'whole and rare': (next) => Math.floor(next() * 500),
  'rounded to tenths': (next) => Math.round(next() * 400) / 10,
  'round hundreds': (next) => Math.floor(next() * 200) * 100,
  'mostly zero': (next) => (next() < 0.9 ? 0 : next() * 50),
  'heavy tail': (next) => Math.exp(next() * 20),
  'one outlier': (next, i) => (i === 3 ? 987654321 : next() * 10),
  negative: (next) => -Math.floor(next() * 97) - 0.5,
  tiny: (next) => next() * 1e-300,
  huge: (next) => next() * 1e300,
  mixed: (next) => (next() < 0.5 ? 5 : Math.floor(next() * 1e6)),
};

describe('what a profile tells', () => {
  for (const [shape, make] of Object.entries(SHAPES))
    it.each([4, 9, 10, 25, 150, 3000])(`no number that fewer than five of %i rows hold: ${shape}`, (size) => {
      for (let seed = 1; seed <= 8; seed++) {
        const next = random(seed);
        const values = Array.from({ length: size }, (_, i) => make(next, i));
        const held = new Map<number, number>();
        for (const value of values) held.set(value, (held.get(value) ?? 0) + 1);
        const { profile } = finish(numbers(values));
        for (const shown of shownNumbers(profile))
          expect(held.get(shown) ?? 5, `seed ${seed}, shown ${shown}`).toBeGreaterThanOrEqual(5);
        const { histogram } = profile;
        if (histogram) {
          expect(histogram.counts.length).toBe(histogram.edges.length + 1);
          expect(histogram.counts.reduce((a, b) => a + b, 0)).toBe(size);
          expect(Math.min(...histogram.counts), `seed ${seed}`).toBeGreaterThanOrEqual(5);
          const sorted = [...values].sort((a, b) => a - b);
          // Nobody learns how far the five outermost rows reach.
          for (const edge of histogram.edges) {
            expect(edge).toBeGreaterThanOrEqual(sorted[4]!);
            expect(edge).toBeLessThanOrEqual(sorted[size - 5]!);
          }
        } else expect(size).toBeLessThan(10);
      }
    });

  it('says nothing of the size of a single outlier in quantiles and bins', () => {
    const { profile } = finish(numbers(Array.from({ length: 200 }, (_, i) => (i === 7 ? 98765.4321 : i % 10))));
    expect(JSON.stringify([profile.quantiles, profile.histogram, profile.frequent])).not.toContain('9876');
  });

  it('is right where it may be exact', () => {
    const { profile } = finish(numbers(Array.from({ length: 1000 }, (_, i) => i % 10)));
    expect(profile).toMatchObject({ distinct: 10, mean: 4.5, missing: 0, otherCount: 0 });
    expect(profile.standardDeviation).toBeCloseTo(2.87, 2);
    expect(profile.quantiles.map(({ share, value }) => [share, value])).toEqual([
      [0.05, 0],
      [0.25, 2],
      [0.5, 4],
      [0.75, 7],
      [0.95, 9],
    ]);
    expect(profile.frequent[0]).toEqual({ value: '0', count: 100 });
  });

  it('is near the truth where it may not', () => {
    const next = random(5);
    const { profile } = finish(numbers(Array.from({ length: 5000 }, () => next() * 100)));
    for (const { share, value } of profile.quantiles) expect(Math.abs(value - share * 100)).toBeLessThan(3);
    expect(profile.histogram!.counts.length).toBeGreaterThan(10);
  });

  it('no category that fewer than five rows hold', () => {
    const column = words([
      ...Array<string>(6).fill('a'),
      ...Array<string>(5).fill('b'),
      ...Array<string>(4).fill('secret'),
      'unique',
      null,
    ]);
    const { schema, profile, stored } = finish(column);
    expect(schema.categories).toEqual(['a', 'b']);
    expect(profile).toMatchObject({
      distinct: 4,
      missing: 1,
      otherCount: 5,
      frequent: [
        { value: 'a', count: 6 },
        { value: 'b', count: 5 },
      ],
    });
    expect(JSON.stringify([schema, profile, stored])).not.toMatch(/secret|unique/);
  });

  it('nothing of text and names', () => {
    const names = finish(words(Array.from({ length: 200 }, (_, i) => `person ${i % 199}`)));
    expect([names.schema.role, names.schema.categories, names.profile.frequent]).toEqual(['IDENTIFIER', [], []]);
    const letters = finish(
      words(Array.from({ length: 200 }, (_, i) => `Dear number ${i}, this is a letter about many things.`)),
    );
    expect([letters.schema.role, letters.schema.categories, letters.profile.frequent]).toEqual(['TEXT', [], []]);
  });

  it('no value too long to be a category', () => {
    const { schema, profile } = finish(
      words([...Array<string>(9).fill('x'.repeat(100_000)), ...Array<string>(9).fill('y')]),
    );
    expect([schema.categories, profile.frequent.map(({ value }) => value), profile.otherCount]).toEqual([
      ['y'],
      ['y'],
      9,
    ]);
  });

  it('days, not moments', () => {
    const { profile } = finish(
      numbers(
        Array.from({ length: 400 }, (_, i) => Date.UTC(2020, 0, 1) + i * 86_400_000 + i * 1001),
        'DATE',
      ),
    );
    expect(profile.histogram!.edges.length).toBeGreaterThan(5);
    expect(profile.quantiles.length).toBeGreaterThan(2);
  });
});

describe('a digest', () => {
  it('depends on the values, not on the order in which categories were seen', () => {
    const digest = (column: RawColumn) =>
      finishTable({ rowCount: 3, columns: [column], rejectedCount: 0, rejects: [] }).digest;
    const a = digest({ name: 'x', type: 'CATEGORY', dictionary: ['p', 'q'], codes: Int32Array.of(0, 1, -1) });
    expect(digest({ name: 'x', type: 'CATEGORY', dictionary: ['q', 'p'], codes: Int32Array.of(1, 0, -1) })).toBe(a);
    expect(digest({ name: 'x', type: 'CATEGORY', dictionary: ['q', 'p'], codes: Int32Array.of(0, 1, -1) })).not.toBe(a);
    expect(digest({ name: 'y', type: 'CATEGORY', dictionary: ['p', 'q'], codes: Int32Array.of(0, 1, -1) })).not.toBe(a);
    expect(digest(numbers([0, 1, NaN]))).toBe(digest(numbers([-0, 1, NaN])));
  });
});

describe('a date in ISO 8601', () => {
  it.each([
    ['2024-02-29', Date.UTC(2024, 1, 29)],
    ['2024-02-29T12:30', Date.UTC(2024, 1, 29, 12, 30)],
    ['2024-02-29 12:30:15.25', Date.UTC(2024, 1, 29, 12, 30, 15, 250)],
    ['2024-02-29T12:30:15Z', Date.UTC(2024, 1, 29, 12, 30, 15)],
    ['2024-02-29T00:30:00+02:00', Date.UTC(2024, 1, 28, 22, 30)],
    ['2024-02-29T00:30:00-0130', Date.UTC(2024, 1, 29, 2)],
    ['2023-02-29', null],
    ['2024-13-01', null],
    ['2024-01-01T25:00', null],
    ['01.02.2024', null],
    ['2024-1-1', null],
    ['', null],
  ])('%s', (text, expected) => expect(isoDate(text)).toBe(expected));
});

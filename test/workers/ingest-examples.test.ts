import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bench, openBench } from './ingest-support.js';

let bench: Bench;
beforeAll(() => void (bench = openBench()));
afterAll(() => bench.close());

const file = (path: string) => readFileSync(new URL(`../../examples/${path}`, import.meta.url));

describe('the examples are read as a data scientist would', () => {
  it.each([
    ['iris/iris.csv', 150, { NUMBER: 4, CATEGORY: 1 }],
    ['penguins/penguins.csv', 344, { CATEGORY: 3, NUMBER: 5 }],
    ['breast_cancer/breast_cancer.csv', 569, { NUMBER: 30, CATEGORY: 1 }],
    ['credit_scoring/credit_data.csv', 4454, { CATEGORY: 5, NUMBER: 9 }],
    ['ames_housing/ames.csv', 2930, { CATEGORY: 40, NUMBER: 34 }],
  ])('%s', async (path, rowCount, types) => {
    const result = await bench.ingest(file(path));
    const counted: Record<string, number> = {};
    for (const { type } of result.columns) counted[type] = (counted[type] ?? 0) + 1;
    expect(counted).toEqual(types);
    expect([result.rowCount, result.rejectedCount]).toEqual([rowCount, 0]);
    expect(result.columns.every(({ role }) => role === 'FEATURE')).toBe(true);
  });

  it('with what is missing counted', async () => {
    const { profile } = await bench.ingest(file('credit_scoring/credit_data.csv'));
    const missing = Object.fromEntries(profile.flatMap((c) => (c.missing > 0 ? [[c.name, c.missing]] : [])));
    expect(missing).toEqual({ Home: 6, Marital: 1, Job: 2, Income: 381, Assets: 47, Debt: 18 });
  });

  it('and tell no value that fewer than five rows hold', async () => {
    const bytes = file('ames_housing/ames.csv').toString('utf8');
    const { profile, columns } = await bench.ingest(bytes);
    const [head, ...lines] = bytes
      .trim()
      .split('\n')
      .map((line) => line.split(',').map((cell) => cell.replaceAll('"', '')));
    for (const [k, { name, frequent, quantiles, histogram }] of profile.entries()) {
      expect(name).toBe(head![k]);
      const held = new Map<string, number>();
      for (const line of lines) held.set(line[k]!, (held.get(line[k]!) ?? 0) + 1);
      const shown = [
        ...columns[k]!.categories,
        ...frequent.map(({ value }) => value),
        ...quantiles.map(({ value }) => String(value)),
        ...(histogram?.edges.map(String) ?? []),
      ];
      for (const value of shown) expect(held.get(value) ?? 5, `${name}: ${value}`).toBeGreaterThanOrEqual(5);
    }
  });
});

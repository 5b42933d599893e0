import { describe, expect, it } from 'vitest';
import { type Table } from '../../src/ml/train.js';
import { assignSplit, countSplit, type SplitMethod, TEST, TRAIN, VALIDATION } from '../../src/ml/split.js';
import { madeTable } from './tables.js';

const shares = { train: 0.6, validation: 0.2, test: 0.2 };
const table = madeTable(1003, 4);
const split = (method: SplitMethod, column: string | null, seed = 1, of: Table = table): Uint8Array =>
  assignSplit(of, { method, column, shares, seed });
const codes = (name: string): ArrayLike<number> => {
  const column = table.columns.find((c) => c.name === name)!;
  return column.kind === 'category' ? column.codes : column.values;
};

describe('a split', () => {
  it.each([
    ['RANDOM', null],
    ['STRATIFIED', 'kind'],
    ['STRATIFIED', 'isHigh'],
    ['STRATIFIED', 'c'],
  ] as const)('%s by %s has its sizes to the row', (method, column) => {
    expect(countSplit(split(method, column))).toEqual({ train: 602, validation: 201, test: 200 });
  });

  it('is the same for the same seed and another for another', () => {
    expect(split('RANDOM', null, 5)).toEqual(split('RANDOM', null, 5));
    expect(split('RANDOM', null, 5)).not.toEqual(split('RANDOM', null, 6));
  });

  it('stratified: every value has its share in every part', () => {
    const parts = split('STRATIFIED', 'c');
    const values = codes('c');
    for (let value = -1; value < 6; value++) {
      const counts = [0, 0, 0];
      parts.forEach((part, row) => (counts[part] += values[row] === value ? 1 : 0));
      const total = counts[0] + counts[1] + counts[2];
      expect(Math.abs(counts[TRAIN] - 0.6 * total), `value ${value}`).toBeLessThan(2);
      expect(Math.abs(counts[TEST] - 0.2 * total)).toBeLessThan(2);
    }
  });

  it('stratified: a class of one row is trained on', () => {
    const rare: Table = {
      rowCount: 100,
      columns: [
        { name: 'y', kind: 'number', values: Float64Array.from({ length: 100 }, (_, i) => (i === 57 ? 1 : 0)) },
      ],
    };
    for (let seed = 0; seed < 20; seed++) expect(split('STRATIFIED', 'y', seed, rare)[57]).toBe(TRAIN);
  });

  it('grouped: no group lies in two parts, and sizes are near', () => {
    const groups = Float64Array.from({ length: 1003 }, (_, i) => i % 60);
    const parts = split('GROUPED', 'group', 3, {
      rowCount: 1003,
      columns: [{ name: 'group', kind: 'number', values: groups }],
    });
    for (let group = 0; group < 60; group++)
      expect(new Set(parts.filter((_, row) => groups[row] === group)).size).toBe(1);
    expect(Math.abs(countSplit(parts).train - 602)).toBeLessThan(20);
  });

  it('by time: nothing trained on is later than anything tested, and equal times stay together', () => {
    const parts = split('TIME', 'e');
    const times = codes('e');
    const of = (part: number): number[] =>
      Array.from(parts.keys())
        .filter((row) => parts[row] === part)
        .map((row) => times[row]);
    expect(Math.max(...of(TRAIN))).toBeLessThan(Math.min(...of(VALIDATION)));
    expect(Math.max(...of(VALIDATION))).toBeLessThan(Math.min(...of(TEST)));
  });

  it.each([
    ['STRATIFIED', 'nowhere', 'UNKNOWN_COLUMN'],
    ['STRATIFIED', null, 'UNKNOWN_COLUMN'],
    ['STRATIFIED', 'amount', 'TOO_MANY_GROUPS'],
    ['TIME', 'c', 'WRONG_COLUMN_KIND'],
    ['TIME', 'f', 'EMPTY_SPLIT'],
    ['GROUPED', 'f', 'EMPTY_SPLIT'],
  ] as const)('%s by %s is refused: %s', (method, column, code) => {
    expect(() => split(method, column)).toThrow(expect.objectContaining({ code }));
  });

  it.each([
    [0.5, 0.5, 0],
    [0.6, 0.2, 0.3],
    [1.2, -0.1, -0.1],
    [NaN, 0.5, 0.5],
  ])('shares of %d, %d, %d are refused', (train, validation, test) => {
    const wrong = { method: 'RANDOM', shares: { train, validation, test }, seed: 1 } as const;
    expect(() => assignSplit(table, wrong)).toThrow(
      expect.objectContaining({ code: 'BAD_PARAMETER', field: 'shares' }),
    );
  });

  it('of two rows is refused', () => {
    expect(() => split('RANDOM', null, 1, madeTable(2, 1))).toThrow(expect.objectContaining({ code: 'EMPTY_SPLIT' }));
  });
});

/** Reads small CSV files into tables: number columns where every value is one, else categories; empty and NA are missing. */
import { readFileSync } from 'node:fs';
import { type Column, type Table } from '../../src/ml/train.js';

export function readCsv(path: string): Table {
  const [header, ...lines] = readFileSync(path, 'utf8').trimEnd().split(/\r?\n/).map(splitLine);
  return {
    rowCount: lines.length,
    columns: header.map((name, at) =>
      toColumn(
        name,
        lines.map((line) => line[at] ?? ''),
      ),
    ),
  };
}

/** A column from text, as `readCsv` does. */
export function toColumn(name: string, cells: readonly string[]): Column {
  const values = Float64Array.from(cells, (cell) => (cell === '' || cell === 'NA' ? NaN : Number(cell)));
  const isNumber = cells.every((cell, i) => cell === '' || cell === 'NA' || !Number.isNaN(values[i]));
  if (isNumber) return { name, kind: 'number', values };
  const categories = [...new Set(cells)].filter((cell) => cell !== '' && cell !== 'NA').sort();
  const index = new Map(categories.map((category, code) => [category, code]));
  return { name, kind: 'category', categories, codes: Int32Array.from(cells, (cell) => index.get(cell) ?? -1) };
}

function splitLine(line: string): string[] {
  const cells = line.match(/("([^"]|"")*"|[^,]*)(,|$)/g) ?? [];
  return cells.slice(0, line.endsWith(',') ? undefined : -1).map((cell) =>
    cell
      .replace(/,$/, '')
      .replace(/^"(.*)"$/, '$1')
      .replaceAll('""', '"'),
  );
}

import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bench, openBench, repeat, valuesOf } from './ingest-support.js';

let bench: Bench;
beforeAll(() => void (bench = openBench()));
afterAll(() => bench.close());

const rows = (n: number, line: (i: number) => string) => Array.from({ length: n }, (_, i) => line(i)).join('\n') + '\n';

describe('a file that can be used', () => {
  it('gets the types a data scientist expects', async () => {
    const lines = rows(
      20,
      (i) =>
        `${i},${i / 4},${i % 2 ? 'true' : 'FALSE'},2024-01-${String(i + 1).padStart(2, '0')},${i % 3 ? 'yes' : 'no'},0${i % 10}123,`,
    );
    const { columns, table, rowCount } = await bench.ingest(`whole,real,flag,day,word,postal,empty\n${lines}`);
    expect(rowCount).toBe(20);
    expect(columns.map(({ name, type, role }) => `${name} ${type} ${role}`)).toEqual([
      'whole NUMBER FEATURE',
      'real NUMBER FEATURE',
      'flag BOOLEAN FEATURE',
      'day DATE FEATURE',
      'word CATEGORY FEATURE',
      'postal CATEGORY FEATURE',
      'empty NUMBER EMPTY',
    ]);
    expect(valuesOf(table, 'flag').slice(0, 3)).toEqual([0, 1, 0]);
    expect(valuesOf(table, 'day')[1]).toBe(Date.UTC(2024, 0, 2));
    expect(valuesOf(table, 'word').slice(0, 2)).toEqual(['no', 'yes']);
  });

  it('knows what is missing, and what is not finite', async () => {
    const { table, profile } = await bench.ingest(
      'a,b\n' + rows(10, (i) => `${i},x`) + 'NA,\ninf,NULL\n?,x\n1e999,NaN\n',
    );
    expect(valuesOf(table, 'a').slice(10)).toEqual([null, null, null, null]);
    expect(valuesOf(table, 'b').slice(10)).toEqual([null, null, 'x', null]);
    expect(profile.map(({ missing, nonFinite }) => [missing, nonFinite])).toEqual([
      [4, 2],
      [3, 0],
    ]);
  });

  it.each([';', '\t', '|'])('may use %j as its delimiter', async (delimiter) => {
    const { columns } = await bench.ingest(
      repeat(['a', 'b', 'c'].join(delimiter), 1) + repeat(['1,5', 'x', '3'].join(delimiter), 9),
    );
    expect(columns.map((column) => column.name)).toEqual(['a', 'b', 'c']);
  });

  it('may have a BOM, Windows line ends, quotes, line breaks in quotes, no last line end', async () => {
    const { table, rejectedCount } = await bench.ingest(
      '\ufeff"a","b,b"\r\n' + '1,"x ""y""\r\nz"\r\n'.repeat(6) + '2,é',
    );
    expect(rejectedCount).toBe(0);
    expect(valuesOf(table, 'a')).toEqual([1, 1, 1, 1, 1, 1, 2]);
    expect(valuesOf(table, 'b,b')[0]).toBe('x "y"\r\nz');
  });

  it('keeps identity of values that few rows hold for splits, and nothing else of them', async () => {
    const { columns, blob, table } = await bench.ingest(
      'a,b\n' + repeat('1,common', 6) + repeat('1,secret-one', 4) + '1,secret-two\n',
    );
    expect(columns[1]!.categories).toEqual(['common']);
    expect(valuesOf(table, 'b').slice(6)).toEqual([null, null, null, null, null]);
    const { decodeTable } = await import('../../src/platform/table-file.js');
    const { unsealWhole } = await import('../../src/platform/sealing.js');
    const whole = await unsealWhole(blob);
    expect(Buffer.from(whole).includes('secret')).toBe(false);
    const raw = decodeTable(whole).columns[1]!;
    expect(raw.kind === 'category' && Array.from(raw.codes.slice(5))).toEqual([0, 1, 1, 1, 1, 2]);
  });

  it('is the same table in CSV, JSON lines and Parquet', async () => {
    const csv = await bench.ingest(
      'n,w,d,b\n' +
        rows(
          30,
          (i) => `${i / 8},${i % 4 ? 'x' : 'y'},2024-02-${String((i % 28) + 1).padStart(2, '0')},${i % 2 === 0}`,
        ) +
        ',,,\n',
    );
    const json = await bench.ingest(
      rows(30, (i) =>
        JSON.stringify({
          n: i / 8,
          w: i % 4 ? 'x' : 'y',
          d: `2024-02-${String((i % 28) + 1).padStart(2, '0')}`,
          b: i % 2 === 0,
        }),
      ) + '{"n": null}\n',
    );
    const parquet = await bench.ingest(
      await bench.parquet(`select i / 8.0 as n, if(i % 4 > 0, 'x', 'y') as w, date '2024-02-01' + (i % 28)::int as d, i % 2 = 0 as b
        from range(30) t(i) union all select null, null, null, null`),
    );
    expect([csv.format, json.format, parquet.format]).toEqual(['CSV', 'JSON_LINES', 'PARQUET']);
    expect(json.digest).toBe(csv.digest);
    expect(parquet.digest).toBe(csv.digest);
    const other = await bench.ingest('n,w,d,b\n1,x,2024-02-01,true\n');
    expect(other.digest).not.toBe(csv.digest);
  });

  it('keeps wide integers and UUIDs of Parquet as codes', async () => {
    const { columns } = await bench.ingest(
      await bench.parquet(
        `select 9007199254740993::bigint + i as account, i::bigint as n, uuid() as u, 1.5::decimal(9, 2) as m from range(40) t(i)`,
      ),
    );
    expect(columns.map(({ type, role }) => `${type} ${role}`)).toEqual([
      'CATEGORY IDENTIFIER',
      'NUMBER FEATURE',
      'CATEGORY IDENTIFIER',
      'NUMBER CONSTANT',
    ]);
  });

  it('reports rejected lines by number and reason, without content', async () => {
    const { rowCount, rejectedCount, rejects } = await bench.ingest(
      'a,b,c\n' + repeat('1,2,3', 30) + '4,5\n6,7,8,secret\n' + repeat('1,2,3', 30),
    );
    expect([rowCount, rejectedCount]).toEqual([60, 2]);
    expect(rejects).toEqual([
      { line: 32, reason: 'TOO_FEW_FIELDS' },
      { line: 33, reason: 'TOO_MANY_FIELDS' },
    ]);
    const json = await bench.ingest(repeat('{"a": 1}', 20) + '{"a": \n[1]\n{"a": NaN}\n' + repeat('{"a": 2}', 20));
    expect(json.rejects).toEqual([
      { line: 21, reason: 'NOT_JSON' },
      { line: 22, reason: 'NOT_AN_OBJECT' },
      { line: 23, reason: 'NON_FINITE_NUMBER' },
    ]);
  });

  it('may hold times of every kind in Parquet', async () => {
    const { columns, table } = await bench.ingest(
      await bench.parquet(`select timestamp '2024-01-02 03:04:05.678' + i * interval '1 s' as a, timestamptz '2024-01-02 03:04:05+02' + i * interval '1 s' as b,
        date '2024-01-02' + i::int as c, '2024-01-02 03:04:05'::timestamp_s + i * interval '1 s' as d, '2024-01-02 03:04:05.123456789'::timestamp_ns as e,
        time '03:04:05' as f from range(6) t(i)`),
    );
    expect(columns.map(({ type }) => type)).toEqual(['DATE', 'DATE', 'DATE', 'DATE', 'DATE', 'CATEGORY']);
    expect(
      table.columns.slice(0, 5).map(({ name }) => new Date(valuesOf(table, name)[0] as number).toISOString()),
    ).toEqual([
      '2024-01-02T03:04:05.678Z',
      '2024-01-02T01:04:05.000Z',
      '2024-01-02T00:00:00.000Z',
      '2024-01-02T03:04:05.000Z',
      '2024-01-02T03:04:05.123Z',
    ]);
  });

  it('survives values that cannot be shown: NUL, half characters, the end of time', async () => {
    const json = await bench.ingest(repeat('{"a": "x\\u0000y", "b": "\\ud800", "c": "fine"}', 9));
    expect(json.columns.map(({ categories }) => categories)).toEqual([[], [], ['fine']]);
    expect(JSON.stringify(json.profile)).not.toMatch(/u0000|ud800/);
    const parquet = await bench.ingest(
      await bench.parquet(
        `select if(i < 9, 'infinity'::timestamp, timestamp '2024-01-01') as t, 'a' || chr(0) as s from range(20) r(i)`,
      ),
    );
    expect(parquet.profile[0]).toMatchObject({ missing: 9, nonFinite: 9 });
  });

  it('may begin with blank lines, hold blank lines, and end in them', async () => {
    const { rowCount, rejects } = await bench.ingest('\n\na,b\n' + repeat('1,x', 6) + '\n' + repeat('1,x', 6) + '\n\n');
    expect([rowCount, rejects]).toEqual([12, []]);
  });

  it('may have one column, or SQL for names', async () => {
    expect((await bench.ingest('x\n' + repeat('1', 9))).rowCount).toBe(9);
    const { columns } = await bench.ingest(`"'; drop table x; --","a""b",select\n` + repeat('1,2,3', 9));
    expect(columns.map(({ name }) => name)).toEqual([`'; drop table x; --`, 'a"b', 'select']);
  });

  it('leaves no plain byte on the disk', async () => {
    await bench.ingest('name,n\n' + repeat('findable-marker,1', 50));
    for (const file of readdirSync(bench.home)) {
      if (!file.startsWith('upload')) continue;
      expect(readFileSync(`${bench.home}/${file}`).includes('findable-marker')).toBe(false);
    }
  });
});

const CSV = 'a,b\n1,x\n2,y\n';
const BAD: [what: string, code: string, bytes: () => Buffer | string | Promise<Buffer>][] = [
  ['nothing', 'EMPTY_FILE', () => ''],
  ['nothing but blank lines', 'EMPTY_FILE', () => '\n\n  \n'],
  ['a header alone', 'EMPTY_FILE', () => 'a,b,c\n'],
  ['an empty Parquet table', 'EMPTY_FILE', () => bench.parquet('select 1 as a limit 0')],
  ['UTF-16', 'NOT_UTF8', () => Buffer.from('\ufeff' + CSV, 'utf16le')],
  ['Latin-1', 'NOT_UTF8', () => Buffer.from('name,n\nJos\xe9,1\n', 'latin1')],
  ['a character cut off', 'NOT_UTF8', () => Buffer.concat([Buffer.from(CSV), Buffer.of(0xc3)])],
  ['Latin-1 JSON lines', 'NOT_UTF8', () => Buffer.from('{"a": "\xe9"}\n', 'latin1')],
  ['a zip archive', 'UNKNOWN_FORMAT', () => Buffer.from('PK\x03\x04rest of it', 'latin1')],
  ['gzip', 'UNKNOWN_FORMAT', () => Buffer.from([0x1f, 0x8b, 8, 0, 0])],
  ['a PDF', 'UNKNOWN_FORMAT', () => '%PDF-1.7\n'],
  ['a web page', 'UNKNOWN_FORMAT', () => '<!DOCTYPE html>\n<html>'],
  ['a JSON array', 'UNKNOWN_FORMAT', () => '[{"a": 1}, {"a": 2}]'],
  ['NUL bytes', 'UNKNOWN_FORMAT', () => 'a,b\n1,\0\n'],
  ['ragged rows', 'RAGGED_ROWS', () => 'a,b,c\n' + repeat('1,2', 5) + repeat('1,2,3,4', 5) + repeat('1,2,3', 5)],
  [
    'a quote that swallows the rest',
    'RAGGED_ROWS',
    () => 'a,b\n' + repeat('1,2', 50) + '1,"open\n' + repeat('1,2', 500),
  ],
  ['lines that are not JSON', 'RAGGED_ROWS', () => '{"a": 1}\n' + repeat('{nothing', 5)],
  ['no header', 'NO_HEADER', () => rows(9, (i) => `${i},4.5,setosa`)],
  ['no header but words', 'NO_HEADER', () => repeat('setosa,red', 9)],
  ['a nameless column', 'BAD_COLUMN_NAMES', () => ',b\n1,2\n'],
  ['the same name twice', 'BAD_COLUMN_NAMES', () => 'a,b,a\n1,2,3\n'],
  ['an absurdly long name', 'BAD_COLUMN_NAMES', () => `a,${'x'.repeat(5000)}\n1,2\n`],
  ['a name with control characters', 'BAD_COLUMN_NAMES', () => '"a\u0007",b\n1,2\n'],
  ['a name that breaks programs', 'BAD_COLUMN_NAMES', () => '__proto__,b\n1,2\n'],
  [
    '100,000 columns',
    'TOO_MANY_COLUMNS',
    () => `${Array.from({ length: 100_000 }, (_, i) => `c${i}`).join(',')}\n${'1,'.repeat(99_999)}1\n`,
  ],
  [
    'a million columns',
    'TOO_MANY_COLUMNS',
    () => `${Array.from({ length: 1_000_000 }, (_, i) => `c${i}`).join(',')}\n`,
  ],
  [
    '100,000 keys',
    'TOO_MANY_COLUMNS',
    () => `${JSON.stringify(Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`c${i}`, 1])))}\n`,
  ],
  [
    '5,000 Parquet columns',
    'TOO_MANY_COLUMNS',
    () => bench.parquet(`select ${Array.from({ length: 5000 }, (_, i) => `1 as c${i}`).join(', ')}`),
  ],
  ['one endless line', 'DATA_UNREADABLE', () => 'x'.repeat(9_000_000)],
  ['an endless line of JSON', 'DATA_UNREADABLE', () => `{"a": "${'x'.repeat(9_000_000)}"}\n`],
  ['nested JSON', 'NESTED_DATA', () => '{"a": {"b": 1}}\n'],
  ['JSON nested 100,000 deep', 'NESTED_DATA', () => `{"a": ${'['.repeat(100_000)}${']'.repeat(100_000)}}\n`],
  ['nested Parquet', 'NESTED_DATA', () => bench.parquet(`select [1, 2] as a`)],
  ['Parquet structures', 'NESTED_DATA', () => bench.parquet(`select {'x': 1} as a`)],
  ['binary columns', 'DATA_UNREADABLE', () => bench.parquet(`select 'x'::blob as a`)],
  [
    'a Parquet bomb',
    'DATA_TOO_LARGE',
    () => bench.parquet('select 1 as a, 2 as b from range(100000000)', ', compression zstd, row_group_size 100000000'),
  ],
  [
    'a truncated Parquet file',
    'DATA_UNREADABLE',
    async () => (await bench.parquet('select i from range(1000) t(i)')).subarray(0, -9),
  ],
  [
    'a Parquet file with a broken footer',
    'DATA_UNREADABLE',
    async () => {
      const bytes = await bench.parquet('select i from range(1000) t(i)');
      bytes.fill(0xff, bytes.length - 60, bytes.length - 8);
      return bytes;
    },
  ],
];

describe('a file that cannot be used', () => {
  it.each(BAD)('%s: %s', async (_what, code, bytes) => {
    const error = await bench.refusal(await bytes());
    expect(error.code, error.message).toBe(code);
    expect(error.message).toMatch(/^[A-Z0-9].*\.$/s);
    expect(error.message.length).toBeLessThan(300);
    expect(error.remedy).not.toBe('');
  });

  it('is refused without a word of its content', async () => {
    const secret = 'Z9secretZ9';
    for (const bytes of [
      `a,b\n${repeat(`1,2,${secret}`, 9)}`,
      `${secret},${secret}\n1,2\n`,
      repeat(`${secret},1`, 9),
      `{"a": {"${secret}": 1}}\n`,
      repeat(`{"a": ${secret}}`, 9),
      Buffer.concat([Buffer.from(`a,b\n${secret},`), Buffer.of(0xe9, 10)]),
    ]) {
      const error = await bench.refusal(bytes);
      expect(`${error.message} ${error.remedy} ${error.field}`).not.toContain(secret);
    }
  });
});

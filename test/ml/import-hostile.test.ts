/** Files that somebody has damaged, by chance or by will: each is read or refused in a sentence, soon. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { importModel } from '../../src/ml/import.js';
import { importLightgbm } from '../../src/ml/import/lightgbm.js';
import { decodeUbjson } from '../../src/ml/import/ubjson.js';
import { importXgboost } from '../../src/ml/import/xgboost.js';
import { Rng } from '../../src/ml/core/rng.js';
import { SpecError } from '../../src/ml/core/spec-error.js';
import { freshSeed, madeTable } from './tables.js';

interface Golden {
  readonly name: string;
  readonly model: string;
  readonly ubj?: boolean;
}
const read = (name: string): readonly Golden[] =>
  (JSON.parse(readFileSync(new URL(`../goldens/${name}_models.json`, import.meta.url), 'utf8')) as { cases: Golden[] })
    .cases;
const byName = (cases: readonly Golden[], name: string) => cases.find((golden) => golden.name === name)!.model;

const json = byName(read('xgboost'), 'binary, categories').replaceAll('NaN', 'null');
const ubj = Buffer.from(byName(read('xgboost'), 'binary, UBJSON, categories'), 'base64');
const text = byName(read('lightgbm'), 'binary, categories');

const CODES = new Set(['MODEL_UNREADABLE', 'MODEL_UNSUPPORTED']);
const NASTY = [
  -1,
  0,
  1,
  7,
  31,
  1e9,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  1e300,
  -1e300,
  0.5,
  null,
  'x',
  '',
  true,
  [],
  {},
];

/** What is wrong with it, or null where it could be read. Anything but a SpecError is thrown on. */
function problem(read: () => unknown): string | null {
  try {
    read();
    return null;
  } catch (error) {
    if (!(error instanceof SpecError) || !CODES.has(error.code)) throw error;
    expect(error.message.length).toBeLessThan(600);
    return error.code;
  }
}

/** Every place in a document where a value stands. */
function placesOf(value: unknown, places: { of: Record<string, unknown>; key: string }[] = []): typeof places {
  if (typeof value !== 'object' || value === null) return places;
  for (const key of Object.keys(value)) {
    places.push({ of: value as Record<string, unknown>, key });
    placesOf((value as Record<string, unknown>)[key], places);
  }
  return places;
}

describe('a damaged file', () => {
  const seed = freshSeed();
  const rng = new Rng(seed);
  const told = `seed ${seed}`;

  it('of JSON, value by value', () => {
    for (let i = 0; i < 600; i++) {
      const document: unknown = JSON.parse(json);
      const places = placesOf(document);
      for (let damage = rng.below(3); damage >= 0; damage--) {
        const { of, key } = places[rng.below(places.length)]!;
        if (rng.float() < 0.2) delete of[key];
        else of[key] = NASTY[rng.below(NASTY.length)];
      }
      expect(() => problem(() => importXgboost(Buffer.from(JSON.stringify(document)))), told).not.toThrow();
    }
  });

  it('of UBJSON, byte by byte', () => {
    for (let i = 0; i < 1500; i++) {
      const bytes = Uint8Array.from(ubj);
      for (let damage = rng.below(4); damage >= 0; damage--) bytes[rng.below(bytes.length)] = rng.below(256);
      const end = rng.float() < 0.3 ? rng.below(bytes.length) : bytes.length;
      expect(() => problem(() => importXgboost(bytes.subarray(0, end))), told).not.toThrow();
    }
  });

  it('of text, word by word', () => {
    const words = text.split(/(?<=[ =\n])|(?=[ =\n])/);
    for (let i = 0; i < 800; i++) {
      const damaged = words.slice();
      for (let damage = rng.below(3); damage >= 0; damage--)
        damaged[rng.below(damaged.length)] = String(NASTY[rng.below(NASTY.length)]);
      expect(() => problem(() => importLightgbm(damaged.join(''))), told).not.toThrow();
    }
  });

  it('that ends anywhere before its end', () => {
    for (let share = 0; share < 1; share += 0.02) {
      expect(problem(() => importXgboost(Buffer.from(json.slice(0, json.length * share))))).toBe('MODEL_UNREADABLE');
      expect(problem(() => importXgboost(ubj.subarray(0, ubj.length * share)))).toBe('MODEL_UNREADABLE');
    }
    const end = text.indexOf('end of trees');
    for (let share = 0; share < 1; share += 0.02)
      expect(problem(() => importLightgbm(text.slice(0, end * share)))).toBe('MODEL_UNREADABLE');
  });
});

describe('a hostile file', () => {
  const tree = (more: object) => {
    const document = JSON.parse(json) as { learner: { gradient_booster: { model: { trees: object[] } } } };
    Object.assign(document.learner.gradient_booster.model.trees[0]!, more);
    return () => importXgboost(Buffer.from(JSON.stringify(document)));
  };
  const plain = (left: number[], right: number[]) => ({
    left_children: left,
    right_children: right,
    split_indices: left.map(() => 0),
    split_conditions: left.map(() => 1),
    default_left: left.map(() => 1),
    split_type: left.map(() => 0),
    loss_changes: left.map(() => 1),
  });
  const chain = (depth: number) =>
    plain(
      Array.from({ length: 2 * depth + 1 }, (_, i) => (i % 2 === 0 && i < 2 * depth ? i + 1 : -1)),
      Array.from({ length: 2 * depth + 1 }, (_, i) => (i % 2 === 0 && i < 2 * depth ? i + 2 : -1)),
    );

  it.each([
    ['a root that is its own child', plain([0, -1], [1, -1]), 'MODEL_UNREADABLE'],
    ['a cycle', plain([1, 2, 1], [2, 1, -1]), 'MODEL_UNREADABLE'],
    ['a node reached twice', plain([1, -1], [1, -1]), 'MODEL_UNREADABLE'],
    ['a child beyond the nodes', plain([1, -1, -1], [9, -1, -1]), 'MODEL_UNREADABLE'],
    ['no nodes', plain([], []), 'MODEL_UNREADABLE'],
    [
      'a feature that there is not',
      { ...plain([1, -1, -1], [2, -1, -1]), split_indices: [99, 0, 0] },
      'MODEL_UNREADABLE',
    ],
    [
      'a threshold that is no number',
      { ...plain([1, -1, -1], [2, -1, -1]), split_conditions: [null, 1, 1] },
      'MODEL_UNREADABLE',
    ],
    ['a leaf without end', { ...plain([1, -1, -1], [2, -1, -1]), split_conditions: [1, 1e300, 1] }, 'MODEL_UNREADABLE'],
    ['a chain of 100,000 nodes', chain(50_000), 'MODEL_UNSUPPORTED'],
    [
      'sets that name the same million categories a thousand times',
      {
        ...plain(
          Array.from({ length: 2001 }, (_, i) => (i < 1000 ? 2 * i + 1 : -1)),
          Array.from({ length: 2001 }, (_, i) => (i < 1000 ? 2 * i + 2 : -1)),
        ),
        split_type: Array.from({ length: 2001 }, (_, i) => (i < 1000 ? 1 : 0)),
        categories_nodes: Array.from({ length: 1000 }, (_, i) => i),
        categories_segments: Array.from({ length: 1000 }, () => 0),
        categories_sizes: Array.from({ length: 1000 }, () => 1_000_000),
        categories: Array.from({ length: 1_000_000 }, () => 5),
      },
      'MODEL_UNSUPPORTED',
    ],
  ])('with %s is refused', (_, more, code) => {
    expect(problem(tree(more))).toBe(code);
  });

  it('that announces more than it holds asks for no memory', () => {
    const count = Buffer.alloc(9, 'L');
    count.writeBigInt64BE(2n ** 40n, 1);
    for (const start of ['[$d#', '[#', 'S'])
      expect(problem(() => decodeUbjson(Buffer.concat([Buffer.from(start), count])))).toBe('MODEL_UNREADABLE');
    count.writeBigInt64BE(-1n, 1);
    expect(problem(() => decodeUbjson(Buffer.concat([Buffer.from('S'), count])))).toBe('MODEL_UNREADABLE');
  });

  it('that is nested without end is refused', () => {
    expect(problem(() => decodeUbjson(Buffer.alloc(1e6, '[')))).toBe('MODEL_UNREADABLE');
    expect(problem(() => importXgboost(Buffer.from('{"learner":' + '['.repeat(1e6))))).toBe('MODEL_UNREADABLE');
  });

  it('cannot reach what objects inherit', () => {
    expect(problem(() => importXgboost(Buffer.from('{"__proto__": {"learner": {}}}')))).toBe('MODEL_UNREADABLE');
    expect(
      problem(() =>
        importXgboost(Buffer.from('{"learner": {"learner_model_param": {}, "objective": {"name": "constructor"}}}')),
      ),
    ).toBe('MODEL_UNSUPPORTED');
  });

  it.each([
    ['a pickle', Buffer.from([0x80, 4, 0x95, 1, 2, 3]), 'AUTO'],
    ['nothing', Buffer.alloc(0), 'AUTO'],
    ['XGBoost’s old binary format', Buffer.from('binf\0\0\0\0'), 'AUTO'],
    ['a dump', Buffer.from('[{"nodeid": 0}]'), 'AUTO'],
    ['another format than was said', Buffer.from(text), 'XGBOOST_JSON'],
  ] as const)('that is %s is refused', async (_, bytes, format) => {
    const table = madeTable(50, 1);
    const spec = { format, target: 'isHigh', columns: null, categories: [], classes: null, seed: 1 };
    const context = {
      assignment: Uint8Array.from({ length: 50 }, (_, i) => i % 3),
      signal: new AbortController().signal,
      onPhase: () => undefined,
    };
    await expect(importModel(spec, bytes, table, context)).rejects.toMatchObject({ code: 'MODEL_UNREADABLE' });
  });
});

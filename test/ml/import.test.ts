import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { importLightgbm, importXgboost } from '../../src/ml/import.js';
import { fitSource } from '../../src/ml/import/fit-source.js';
import { importTarget } from '../../src/ml/import/import-target.js';
import { type SourceModel } from '../../src/ml/import/source.js';
import { floatAtMost, floatBelow } from '../../src/ml/import/source-tree.js';
import { predictTable } from '../../src/ml/core/predict.js';
import { exportOnnx } from '../../src/ml/onnx/export.js';
import { proveParity } from '../../src/ml/onnx/parity.js';
import { Rng } from '../../src/ml/core/rng.js';
import { type Column, type FittedModel, type Table } from '../../src/ml/train.js';
import { freshSeed } from './tables.js';

type Cell = number | boolean | string | null;
interface Goldens {
  readonly rows: Readonly<Record<string, readonly Cell[]>>;
  readonly targets: Readonly<Record<string, readonly number[]>>;
  readonly cases: readonly Golden[];
}
interface Golden {
  readonly name: string;
  readonly target: string;
  /** Columns in the order of the features, where the file has no names. */
  readonly columns: readonly string[] | null;
  readonly answers: readonly (number | readonly number[])[];
  /** Text, or base64 of UBJSON. */
  readonly model: string;
  readonly ubj?: boolean;
  /** This column has no value in the first four rows. */
  readonly missing?: string;
  /** A word of the refusal. */
  readonly refused?: string | null;
}

const read = (name: string): Goldens =>
  JSON.parse(readFileSync(new URL(`../goldens/${name}_models.json`, import.meta.url), 'utf8')) as Goldens;
const goldens = { xgboost: read('xgboost'), lightgbm: read('lightgbm') };

/** What XGBoost's files of 1.7 do not say. */
const CATEGORIES = new Map([['city', ['Aachen', 'Bern', 'Cork', 'Delft', 'Essen', 'Faro', 'Gent']]]);

function tableOf({ rows, targets }: Goldens, missing?: string): Table {
  const number = (name: string, cells: readonly Cell[]): Column => ({
    name,
    kind: cells.some((cell) => typeof cell === 'boolean') ? 'boolean' : 'number',
    values: Float64Array.from(cells, (cell, i) => (cell === null || (name === missing && i < 4) ? NaN : Number(cell))),
  });
  const columns = Object.entries(rows).map(([name, cells]): Column => {
    if (!cells.some((cell) => typeof cell === 'string')) return number(name, cells);
    const categories = [...new Set(cells)]
      .filter((cell) => cell !== null)
      .map(String)
      .sort()
      .reverse();
    const codes = Int32Array.from(cells, (cell, i) =>
      name === missing && i < 4 ? -1 : categories.indexOf(String(cell)),
    );
    return { name, kind: 'category', categories, codes };
  });
  return {
    rowCount: targets['bought']!.length,
    columns: [...columns, ...Object.entries(targets).map(([name, values]) => number(name, values))],
  };
}

const allRows = ({ rowCount }: Table) => Uint32Array.from({ length: rowCount }, (_, i) => i);

function fit(
  source: SourceModel,
  table: Table,
  golden: Golden,
  categories: ReadonlyMap<string, readonly string[]> = CATEGORIES,
): FittedModel {
  const column = table.columns.find(({ name }) => name === golden.target)!;
  const target = importTarget(source, column, allRows(table), null);
  const request = { target: golden.target, columns: golden.columns, categories };
  return fitSource(source, table, request, target).fitted;
}

/** |ours - theirs| / max(1, |theirs|), the largest of all answers. */
function difference(fitted: FittedModel, table: Table, answers: Golden['answers']): number {
  const { scores } = predictTable(fitted, table, null);
  const expected = answers.flat();
  const binary = fitted.task === 'binary';
  expect(scores.length).toBe(binary ? 2 * expected.length : expected.length);
  return expected.reduce((most, value, i) => {
    const ours = scores[binary ? 2 * i + 1 : i]!;
    return Math.max(most, Math.abs(ours - value) / Math.max(1, Math.abs(value)));
  }, 0);
}

function bytesOf({ model, ubj }: Golden): Uint8Array {
  return Buffer.from(model, ubj ? 'base64' : 'utf8');
}

describe('a model of XGBoost', () => {
  it.each(goldens.xgboost.cases.map((golden) => [golden.name, golden] as const))(
    'answers as there: %s',
    async (_, golden) => {
      const table = tableOf(goldens.xgboost);
      const source = importXgboost(bytesOf(golden));
      const fitted = fit(source, table, golden);
      // Raw margins are told as they are; ours are probabilities.
      const answers =
        source.objective === 'binary:logitraw'
          ? golden.answers.map((margin) => 1 / (1 + Math.exp(-Number(margin))))
          : golden.answers;
      expect(difference(fitted, table, answers)).toBeLessThan(1e-6);
      const onnx = exportOnnx(fitted, { name: 'imported', metadata: {} });
      expect(await proveParity(fitted, onnx, table, allRows(table), { seed: 1 })).toMatchObject({ passed: true });
    },
  );
});

describe('a model of LightGBM', () => {
  const cases = goldens.lightgbm.cases.filter(({ refused }) => refused === null);
  it.each(cases.map((golden) => [golden.name, golden] as const))('answers as there: %s', async (_, golden) => {
    const table = tableOf(goldens.lightgbm, golden.missing);
    const fitted = fit(importLightgbm(golden.model), table, golden);
    expect(difference(fitted, table, golden.answers)).toBeLessThan(1e-6);
    const onnx = exportOnnx(fitted, { name: 'imported', metadata: {} });
    expect(await proveParity(fitted, onnx, table, allRows(table), { seed: 1 })).toMatchObject({ passed: true });
  });

  it.each(
    goldens.lightgbm.cases.filter(({ refused }) => refused != null).map((golden) => [golden.refused!, golden] as const),
  )('is refused for what has no counterpart here: %s', (word, golden) => {
    const read = () => importLightgbm(golden.model);
    expect(read).toThrow(word);
    expect(read).toThrow(expect.objectContaining({ code: 'MODEL_UNSUPPORTED' }));
  });
});

describe('a newer file of XGBoost', () => {
  it('tells its categories and a base score for each output', () => {
    const golden = goldens.xgboost.cases.find(({ name }) => name === 'binary, categories')!;
    const document = JSON.parse(golden.model.replaceAll('NaN', 'null')) as {
      learner: { learner_model_param: { base_score: string }; gradient_booster: { model: Record<string, unknown> } };
    };
    document.learner.learner_model_param.base_score = '[5E-1]';
    const cities = CATEGORIES.get('city')!;
    const offsets = cities.reduce((ends, city) => [...ends, ends.at(-1)! + city.length], [0]);
    const none = { type: 8, values: [] };
    document.learner.gradient_booster.model['cats'] = {
      enc: [none, none, none, none, none, { offsets, values: [...Buffer.from(cities.join(''))] }],
    };
    const table = tableOf(goldens.xgboost);
    const source = importXgboost(Buffer.from(JSON.stringify(document)));
    expect(source.features[5]).toEqual({ name: 'city', isCategorical: true, categories: cities });
    expect(difference(fit(source, table, golden, new Map()), table, golden.answers)).toBeLessThan(1e-6);
  });
});

describe('columns', () => {
  const golden = goldens.xgboost.cases.find(({ name }) => name === 'binary, categories')!;
  const table = tableOf(goldens.xgboost);
  const source = importXgboost(bytesOf(golden));
  const doesNotFit = (field: string) => expect.objectContaining({ code: 'MODEL_DOES_NOT_FIT', field }) as Error;

  it('are refused where nobody says what codes stand for', () => {
    expect(() => fit(source, table, golden, new Map())).toThrow(doesNotFit('categories'));
  });

  it('are refused where one is missing, of the wrong kind, or the target', () => {
    const without = { ...table, columns: table.columns.filter(({ name }) => name !== 'sales') };
    expect(() => fit(source, without, golden)).toThrow(doesNotFit('columns'));
    const columns = ['age', 'income', 'sales', 'level', 'member', 'city'];
    for (const [at, name] of [
      [0, 'city'],
      [0, 'bought'],
      [0, 'income'],
      [0, 'nothing'],
    ] as const)
      expect(() => fit(source, table, { ...golden, columns: columns.with(at, name) }, new Map())).toThrow(
        doesNotFit('columns'),
      );
    expect(() => fit(source, table, { ...golden, columns: columns.slice(1) })).toThrow(doesNotFit('columns'));
  });

  it('may be told by whole numbers that categories stood for', () => {
    // The codes 0 to 5 of a data frame's categories 1 to 6, in a column that holds those numbers.
    const level = goldens.lightgbm.cases.find(({ name }) => name === 'binary, codes, no names')!;
    const source = importLightgbm(level.model);
    const named = importLightgbm(
      level.model.replace('pandas_categorical:null', 'pandas_categorical:[[1, 2, 3, 4, 5, 6]]'),
    );
    const table = tableOf(goldens.lightgbm, level.missing);
    const moved = {
      ...table,
      columns: table.columns.map((column) =>
        column.name === 'level' && column.kind === 'number'
          ? { ...column, values: column.values.map((value) => value + 1) }
          : column,
      ),
    };
    expect(source.features[1]).toMatchObject({ isCategorical: true, categories: null });
    expect(difference(fit(named, moved, level), moved, level.answers)).toBeLessThan(1e-6);
  });
});

describe('classes', () => {
  const table = tableOf(goldens.xgboost);
  const column = table.columns.find(({ name }) => name === 'kind')!;
  const of = (outputs: number, classes: readonly string[] | null) =>
    importTarget(
      { task: outputs === 1 ? 'binary' : 'multiclass', base: new Float32Array(outputs) },
      column,
      allRows(table),
      classes,
    );

  it('have the order that was asked for, or are sorted', () => {
    expect(of(3, null).classes).toEqual(['0', '1', '2']);
    const turned = of(3, ['2', '0', '1']);
    expect(turned.classes).toEqual(['2', '0', '1']);
    expect([...turned.y]).toEqual([...of(3, null).y].map((k) => (k + 1) % 3));
    expect(of(4, ['0', '1', '2', '3']).warnings).toEqual([]);
    expect(of(2, ['0', '1']).warnings).toHaveLength(1);
  });

  it('are refused where they are not as many as the model tells', () => {
    for (const [outputs, classes] of [
      [1, null],
      [4, null],
      [3, ['0', '1']],
      [2, ['0', '0']],
      [3, ['a', 'b', 'c']],
    ] as const)
      expect(() => of(outputs, classes)).toThrow(
        expect.objectContaining({ code: 'MODEL_DOES_NOT_FIT', field: 'classes' }),
      );
  });
});

describe('a threshold', () => {
  it('divides all floats as it did where it was made', () => {
    const seed = freshSeed();
    const rng = new Rng(seed);
    const wrong: string[] = [];
    for (let i = 0; i < 20_000; i++) {
      const t = (rng.float() - 0.5) * 10 ** (rng.below(90) - 45);
      const float = Math.fround(t);
      for (const x of [t, t * (1 + 1e-7), t * (1 - 1e-7), 0, -0, Infinity, -Infinity].map(Math.fround)) {
        if (x <= floatAtMost(t) !== x <= t) wrong.push(`${x} <= ${t}`);
        if (x <= floatBelow(float) !== x < float) wrong.push(`${x} < ${float}`);
      }
    }
    expect(wrong, `seed ${seed}`).toEqual([]);
    expect(floatAtMost(1e300)).toBe(3.4028234663852886e38);
  });
});

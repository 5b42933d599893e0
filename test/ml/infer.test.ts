import { describe, expect, it } from 'vitest';
import {
  Batcher,
  encodeInputs,
  infer,
  InputError,
  loadModel,
  readMetadata,
  readSignature,
  SessionPool,
  type Feeds,
  type RawValue,
  type RowSource,
} from '../../src/ml/infer.js';
import { type InputColumn } from '../../src/ml/core/model.js';
import { predictTable } from '../../src/ml/core/predict.js';
import { exportOnnx } from '../../src/ml/onnx/export.js';
import { decodeFeeds, parseDate } from '../../src/ml/onnx/encode.js';
import { encodeTable } from '../../src/ml/onnx/parity.js';
import { type ModelShape, randomModel } from './onnx-models.js';

const range = (from: number, to: number): Uint32Array => Uint32Array.from({ length: to - from }, (_, i) => from + i);

function exported(seed: number, shape: ModelShape, rowCount?: number) {
  const made = randomModel(seed, shape, rowCount);
  return { ...made, onnx: exportOnnx(made.fitted, { name: 'test', metadata: { dataset: 'ds_1', split: 's' } }) };
}

/** Rows that are encoded already, as somebody's request. */
const sourceOf = ({ rowCount, columns }: Feeds): RowSource => ({
  rowCount,
  write: (_, into) =>
    columns.forEach((column, at) => {
      for (let i = 0; i < rowCount; i++) (into.columns[at] as unknown[])[into.from + i] = column[i];
    }),
});

describe('encodeInputs', () => {
  const inputs: readonly InputColumn[] = [
    { name: 'age', kind: 'number', categories: null },
    { name: 'member', kind: 'boolean', categories: null },
    { name: 'since', kind: 'date', categories: null },
    { name: '__proto__', kind: 'category', categories: ['a', 'b'] },
  ];
  const columns = (changes: Record<string, unknown>): Record<string, RawValue[]> =>
    Object.fromEntries(
      Object.entries({ age: [1], member: [true], since: [0], ['__proto__']: ['a'], ...changes }).filter(
        ([, v]) => v !== undefined,
      ),
    ) as Record<string, RawValue[]>;

  it('makes one typed array per column', () => {
    const feeds = encodeInputs(
      inputs,
      columns({
        age: [1.5, null],
        member: [false, null],
        since: ['1969-12-31T23:59:59.999Z', null],
        ['__proto__']: ['ä', null],
      }),
      2,
    );
    expect(feeds.columns).toEqual([
      Float32Array.of(1.5, NaN),
      Float32Array.of(0, NaN),
      BigInt64Array.of(-1n, -(2n ** 63n)),
      ['ä', ''],
    ]);
  });

  it('takes a text that no category can be as unseen', () => {
    expect(encodeInputs(inputs, columns({ ['__proto__']: ['a\0b'] }), 1).columns[3]).toEqual(['']);
    expect(encodeInputs(inputs, columns({ ['__proto__']: ['\ud800'] }), 1).columns[3]).toEqual(['']);
  });

  const refused: readonly (readonly [string, Record<string, unknown>, string | null, number | null])[] = [
    ['a missing column', { age: undefined }, 'age', null],
    ['an unknown column', { shoe: [1] }, 'shoe', null],
    ['a column that is no list', { age: 'secret' }, 'age', null],
    ['another length', { age: [1, 2] }, 'age', null],
    ['a text for a number', { age: ['secret'] }, 'age', 0],
    ['undefined', { age: [undefined] }, 'age', 0],
    ['not a number', { age: [NaN] }, 'age', 0],
    ['an infinite number', { age: [-Infinity] }, 'age', 0],
    ['a number beyond float32', { age: [1e39] }, 'age', 0],
    ['a number for a boolean', { member: [1] }, 'member', 0],
    ['a boolean for a date', { since: [true] }, 'since', 0],
    ['a date of no calendar', { since: ['2024-02-30'] }, 'since', 0],
    ['a date in words', { since: ['secret'] }, 'since', 0],
    ['half a millisecond', { since: [0.5] }, 'since', 0],
    ['a date beyond the calendar', { since: [8.64e15 + 1] }, 'since', 0],
    ['a number for a category', { ['__proto__']: [1] }, '__proto__', 0],
    ['an object for a category', { ['__proto__']: [{ secret: 1 }] }, '__proto__', 0],
    ['an endless text', { ['__proto__']: ['secret'.repeat(5000)] }, '__proto__', 0],
  ];
  for (const [what, change, column, row] of refused) {
    it(`refuses ${what}`, () => {
      let error: unknown;
      try {
        encodeInputs(inputs, columns(change), 1);
      } catch (caught) {
        error = caught;
      }
      expect(error).toBeInstanceOf(InputError);
      expect(error).toMatchObject({ column, row });
      expect((error as InputError).message).not.toContain('secret');
    });
  }

  it('refuses a number of rows that is none', () => {
    for (const rows of [-1, 1.5, NaN]) expect(() => encodeInputs(inputs, columns({}), rows)).toThrow(InputError);
  });

  it('reads ISO 8601, in UTC where no zone is given', () => {
    for (const text of ['2024-02-29', '2024-02-29T23:59', '0001-01-01', '+012345-01-01', '2024-02-29T12:30:15.123Z']) {
      expect(parseDate(text), text).toBe(Date.parse(text.length === 16 ? `${text}Z` : text));
    }
    expect(parseDate('2024-03-01 01:00:00,5+0530')).toBe(Date.parse('2024-03-01T01:00:00.500+05:30'));
    for (const text of [
      '',
      '2024',
      '2024-13-01',
      '2024-01-01T24:00',
      '2024-01-01T00:60',
      '01/02/2024',
      '2024-1-1',
      '2023-02-29',
      ' 2024-01-01',
      '2024-01-01T00:00+24:00',
    ]) {
      expect(parseDate(text), text).toBeNaN();
    }
  });
});

describe('infer', () => {
  it('answers big batches in chunks, as one by one', async () => {
    const { fitted, table, onnx } = exported(1, { family: 'boosting', task: 'multiclass' }, 9000);
    const model = await loadModel(onnx);
    const all = await infer(model, encodeTable(fitted.inputs, table, range(0, 9000)));
    const expected = predictTable(fitted, table, null);
    expect(all.labels).toEqual(Array.from(expected.labels!, (label) => fitted.classes![label]));
    expect(all.scores!.length).toBe(9000 * 4);
    for (const row of [0, 4095, 4096, 8191, 8192, 8999]) {
      const one = await infer(model, encodeTable(fitted.inputs, table, range(row, row + 1)));
      expect(one.labels).toEqual([all.labels![row]]);
      expect([...one.scores!]).toEqual([...all.scores!.subarray(row * 4, row * 4 + 4)]);
    }
    await model.session.release();
  });

  it('answers no rows with nothing', async () => {
    const { onnx } = exported(2, { family: 'linear', task: 'regression' });
    const model = await loadModel(onnx);
    const none = encodeInputs(
      model.signature.inputs,
      Object.fromEntries(model.signature.inputs.map(({ name }) => [name, []])),
      0,
    );
    expect(await infer(model, none)).toEqual({
      labels: null,
      scores: null,
      classes: null,
      values: new Float32Array(0),
    });
    await model.session.release();
  });

  it('lets the event loop turn between chunks', async () => {
    const { fitted, table, onnx } = exported(3, { family: 'boosting', task: 'binary' }, 20_000);
    const model = await loadModel(onnx);
    const feeds = encodeTable(fitted.inputs, table, range(0, 20_000));
    let turns = 0;
    let done = false;
    const count = (): void => {
      turns++;
      if (!done) setImmediate(count);
    };
    setImmediate(count);
    await infer(model, feeds);
    done = true;
    expect(turns).toBeGreaterThanOrEqual(5);
    await model.session.release();
  });

  it('carries signature and lineage in the file', () => {
    const { onnx, fitted } = exported(4, { family: 'forest', task: 'multiclass' });
    expect(readSignature(onnx)).toMatchObject({
      task: 'multiclass',
      classes: fitted.classes,
      inputs: fitted.inputs,
      target: 'ziel',
    });
    expect(readMetadata(onnx).get('dataset')).toBe('ds_1');
    expect(() => readSignature(new Uint8Array())).toThrow('carries no signature');
    expect(() => readSignature(onnx.subarray(0, onnx.length - 7))).toThrow();
    expect(() => readSignature(Uint8Array.of(0x72, 0xff, 0xff, 0xff, 0xff, 0x7f))).toThrow(RangeError);
  });
});

describe('Batcher', () => {
  it('answers concurrent requests together as if each were alone', async () => {
    for (const shape of [
      { family: 'boosting', task: 'binary' },
      { family: 'linear', task: 'regression' },
    ] as const) {
      const { fitted, table, onnx } = exported(5, shape);
      const model = await loadModel(onnx);
      let runs = 0;
      const session = new Proxy(model.session, {
        get: (target, key) =>
          key === 'run'
            ? (...args: Parameters<typeof target.run>) => (runs++, target.run(...args))
            : Reflect.get(target, key),
      });
      const counted = { ...model, session };
      const batcher = new Batcher();
      const requests: Feeds[] = Array.from({ length: 100 }, (_, i) =>
        encodeTable(fitted.inputs, table, range(i, i + 1 + (i % 3))),
      );
      const answers = await Promise.all(requests.map((feeds) => batcher.infer(counted, sourceOf(feeds))));
      expect(runs).toBe(1);
      for (const [i, { feeds, inference }] of answers.entries()) {
        expect(inference).toEqual(await infer(model, requests[i]!));
        expect(decodeFeeds(fitted.inputs, feeds)).toEqual(decodeFeeds(fitted.inputs, requests[i]!));
      }
      await model.session.release();
    }
  });

  it('tells everyone of a failed run', async () => {
    const { fitted, table, onnx } = exported(6, { family: 'boosting', task: 'binary' });
    const model = await loadModel(onnx);
    const broken = {
      ...model,
      session: { run: () => Promise.reject(new Error('no')) } as unknown as typeof model.session,
    };
    const batcher = new Batcher();
    const feeds = encodeTable(fitted.inputs, table, range(0, 1));
    const outcomes = await Promise.allSettled([1, 2].map(() => batcher.infer(broken, sourceOf(feeds))));
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await model.session.release();
  });

  it('lets nobody suffer from rows of others that do not fit', async () => {
    const { fitted, table, onnx } = exported(6, { family: 'boosting', task: 'binary' });
    const model = await loadModel(onnx);
    const batcher = new Batcher();
    const feeds = Array.from({ length: 6 }, (_, i) => encodeTable(fitted.inputs, table, range(i, i + 20)));
    const unfit: RowSource = {
      rowCount: 3,
      write: (inputs, into) => {
        sourceOf(encodeTable(inputs, table, range(40, 43))).write(inputs, into);
        throw new InputError(null, null, 'no');
      },
    };
    const [first, ...others] = feeds.map(sourceOf);
    const outcomes = await Promise.allSettled([
      batcher.infer(model, unfit),
      batcher.infer(model, first!),
      batcher.infer(model, unfit),
      ...others.map((one) => batcher.infer(model, one)),
    ]);
    expect(outcomes.map(({ status }) => status[0]).join('')).toBe('rfrfffff');
    const told = outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value.inference] : []));
    for (const [i, inference] of told.entries()) expect(inference).toEqual(await infer(model, feeds[i]!));
    await expect(batcher.infer(model, unfit)).rejects.toThrow('no');
    await model.session.release();
  });
});

describe('SessionPool', () => {
  const { onnx } = exported(7, { family: 'boosting', task: 'binary' });
  const load = (): Promise<Uint8Array> => Promise.resolve(onnx);

  it('loads once for all who ask at the same time, and again after eviction', async () => {
    const one = (await loadModel(onnx)).sizeBytes;
    const pool = new SessionPool(2 * one);
    let loads = 0;
    const counting = (): Promise<Uint8Array> => (loads++, load());
    const use = (digest: string): Promise<void> => pool.use(digest, counting, async () => undefined);
    await Promise.all([use('a'), use('a'), use('a')]);
    expect(loads).toBe(1);
    await use('b');
    await use('a');
    await use('c');
    expect(pool.stats).toEqual({ models: 2, sizeBytes: 2 * one });
    await use('a');
    expect(loads).toBe(3);
    await use('b');
    expect(loads).toBe(4);
    pool.close();
    expect(pool.stats).toEqual({ models: 0, sizeBytes: 0 });
  });

  it('releases no model in use', async () => {
    const { fitted, table } = randomModel(7, { family: 'boosting', task: 'binary' });
    const pool = new SessionPool(1);
    const lease = await pool.acquire('a', load);
    await pool.use('b', load, async () => undefined);
    expect(pool.stats.models).toBe(2);
    pool.close();
    expect((await infer(lease.model, encodeTable(fitted.inputs, table, range(0, 3)))).labels).toHaveLength(3);
    lease.release();
    lease.release();
    expect(pool.stats).toEqual({ models: 0, sizeBytes: 0 });
  });

  it('keeps no failed load', async () => {
    const pool = new SessionPool(1 << 30);
    await expect(pool.acquire('a', () => Promise.reject(new Error('gone')))).rejects.toThrow('gone');
    await expect(pool.acquire('a', () => Promise.resolve(Uint8Array.of(1, 2, 3)))).rejects.toThrow();
    const lease = await pool.acquire('a', load);
    lease.release();
    pool.close();
  });
});

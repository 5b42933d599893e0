/** The compiled kernels against their slow twins on random input, on one thread and on two. */
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { Pace } from '../../src/ml/core/pace.js';
import { Rng } from '../../src/ml/core/rng.js';
import { type Table } from '../../src/ml/core/table.js';
import { compileKernels } from '../../src/ml/kernels/compile.mjs';
import { findBin, findCuts } from '../../src/ml/trees/bins.js';
import { TreeBuilder } from '../../src/ml/trees/builder.js';
import { levels } from '../../src/ml/trees/derive.js';
import { GradientGrower } from '../../src/ml/trees/gradient-grower.js';
import {
  CHUNK,
  CUTS_AT,
  FOUND_BYTES,
  KernelMemory,
  LEAF_BYTES,
  NOTE_BYTES,
  TABLE_AT,
} from '../../src/ml/trees/kernel-memory.js';
import { binTable } from '../../src/ml/trees/kernel-table.js';
import { KernelScorer } from '../../src/ml/trees/kernel-scorer.js';
import { addTree, findLeaf } from '../../src/ml/trees/score.js';
import { freshSeed } from './tables.js';
import { type Entry, findSetTwin, findTwin, type Goal, histogramTwin, quantiseTwin } from './twins.js';

const seed = freshSeed();
const rng = new Rng(seed);
const note = `TEST_SEED=${seed}`;

const open: KernelMemory[] = [];
function newMemory(threads: number): KernelMemory {
  const memory = new KernelMemory(threads);
  open.push(memory);
  return memory;
}
afterEach(async () => {
  await Promise.all(open.splice(0).map((memory) => memory.close()));
});

/** Puts rows and quantised gradients into the memory as entries. */
function storeEntries(memory: KernelMemory, entries: readonly Entry[]): number {
  const at = memory.allocate(8 * entries.length);
  const words = memory.uint32(at, 2 * entries.length);
  entries.forEach(({ row, g, h }, i) => words.set([row, ((g << 16) | h) >>> 0], 2 * i));
  return at;
}

function loadEntries(memory: KernelMemory, at: number, count: number): Entry[] {
  const words = memory.uint32(at, 2 * count);
  return Array.from({ length: count }, (_, i) => {
    const value = words[2 * i + 1]!;
    return { row: words[2 * i]!, g: (value | 0) >> 16, h: value & 0xffff };
  });
}

const randomEntries = (rows: readonly number[]): Entry[] =>
  rows.map((row) => ({ row, g: rng.below(4001) - 2000, h: 1 + rng.below(2000) }));

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

it('the committed kernels are the compiled sources', async () => {
  const committed = readFileSync(new URL('../../src/ml/kernels/kernels.wasm', import.meta.url));
  expect(Buffer.from(await compileKernels()).equals(committed), 'node src/ml/kernels/compile.mjs').toBe(true);
});

it('an instance that starts late leaves alone what others are working on', () => {
  const { WebAssembly: wasm } = globalThis as unknown as {
    WebAssembly: {
      Module: new (bytes: Uint8Array) => object;
      Memory: new (size: object) => { buffer: SharedArrayBuffer };
      Instance: new (module: object, imports: object) => { exports: { readonly FREE: { readonly value: number } } };
    };
  };
  const module = new wasm.Module(readFileSync(new URL('../../src/ml/kernels/kernels.wasm', import.meta.url)));
  const memory = new wasm.Memory({ initial: 8, maximum: 65_536, shared: true });
  const bytes = new Uint8Array(memory.buffer).fill(7);
  const { exports } = new wasm.Instance(module, { env: { memory } });
  const { lowOf, MOST_THREADS } = exports as unknown as {
    lowOf(thread: number): number;
    MOST_THREADS: { readonly value: number };
  };
  // The areas of the threads end with low and high, 1 KB each.
  const end = lowOf(MOST_THREADS.value - 1) + 2048;
  expect(bytes.subarray(0, end).every((byte) => byte === 7)).toBe(true);
  expect(bytes.subarray(exports.FREE.value).every((byte) => byte === 7)).toBe(true);
});

describe.each([1, 2])('on %i threads', (threads) => {
  it('samples are sorted as the language sorts them', () => {
    const memory = newMemory(threads);
    const columns = [0, 1, 77, 5000].map((count) =>
      Float32Array.from({ length: count }, () => (rng.float() - 0.5) * 10 ** (rng.below(70) - 35)),
    );
    const stride = 64 * Math.ceil((5000 * 4) / 64);
    const values = memory.allocate(4 * stride);
    const counts = memory.allocate(16);
    const spare = memory.allocate(threads * (stride + 8192));
    columns.forEach((column, i) => memory.float32(values + i * stride, column.length).set(column));
    memory.int32(counts, 4).set(columns.map(({ length }) => length));
    memory.call.sort(4, values, stride, counts, spare);
    columns.forEach((column, i) =>
      expect([...memory.float32(values + i * stride, column.length)], note).toEqual([...column].sort((a, b) => a - b)),
    );
  });

  it.each([1, 3, 4099])('bins are found as one by one, and interleaved (%i rows)', (rows) => {
    const memory = newMemory(threads);
    const values = Float32Array.from({ length: rows }, () => (rng.float() < 0.1 ? NaN : rng.below(900) - 450));
    const cuts = findCuts(values.filter((value) => value === value).sort(), 255);
    const stride = 64 * Math.ceil(rows / 64);
    const width = 5;
    const rowBytes = 8;
    const [at, columns, panes] = [4 * stride, 18 * stride, 4 * rowBytes * stride].map((size) => memory.allocate(size));
    memory.float32(at!, rows).set(values);
    memory.float32(CUTS_AT, 256).fill(Infinity).set(cuts);
    for (let thread = 0; thread < threads; thread++) {
      memory.float32(memory.call.lowOf(thread), 256).fill(Infinity);
      memory.float32(memory.call.highOf(thread), 256).fill(-Infinity);
    }
    memory.call.bin(rows, at!, columns!, cuts.length + 1);
    const bins = memory.bytes(columns!, rows);
    const wanted = values.map((value) => (value === value ? findBin(cuts, value) : cuts.length + 1));
    expect([...bins], note).toEqual([...wanted]);
    const lowest = upTo(threads).map((thread) => memory.float32(memory.call.lowOf(thread), 256));
    for (let bin = 0; bin <= cuts.length; bin++)
      expect(Math.min(...lowest.map((low) => low[bin]!)), note).toBe(
        Math.min(...values.filter((_, i) => bins[i] === bin)),
      );
    for (let f = 1; f < 18; f++) memory.bytes(columns! + f * stride, rows).set(bins.map((bin) => (bin + f) & 255));
    memory.call.interleave(rows, columns!, stride, width, 18, panes!, rowBytes * stride, rowBytes);
    for (let f = 0; f < 18; f++) {
      const pane = memory.bytes(panes! + Math.floor(f / width) * rowBytes * stride, rowBytes * rows);
      expect(
        upTo(rows).every((row) => pane[rowBytes * row + (f % width)] === ((bins[row]! + f) & 255)),
        note,
      ).toBe(true);
    }
  });

  it('gradients become the same whole numbers, for all rows and for some', () => {
    const memory = newMemory(threads);
    const rows = 2 * CHUNK + 5;
    const [pairs, entries, notes] = [8 * rows + 32, 8 * rows + 32, 3 * NOTE_BYTES].map((size) => memory.allocate(size));
    const floats = memory.float32(pairs!, 2 * rows);
    for (let i = 0; i < rows; i++) floats.set([rng.float() * 2 - 1, rng.float() * 0.25], 2 * i);
    const scale = { g: Math.fround(31_999), h: Math.fround(127_000) };
    const rounding = rng.uint32();
    const wanted = (row: number): Entry => quantiseTwin(row, [floats[2 * row]!, floats[2 * row + 1]!], scale, rounding);
    memory.call.quantise(rows, pairs!, entries!, notes!, scale.g, scale.h, rounding);
    expect(loadEntries(memory, entries!, rows), note).toEqual(upTo(rows).map(wanted));
    const sum = memory.int32(notes!, NOTE_BYTES / 4);
    const first = upTo(CHUNK).map(wanted);
    expect([sum[0]! >>> 0, sum[1]], note).toEqual([
      first.reduce((total, { h }) => total + h, 0),
      first.reduce((total, { g }) => total + g, 0),
    ]);
    const drawn = upTo(rows).filter(() => rng.float() < 0.6);
    drawn.forEach((row, i) => (memory.uint32(entries!, 2 * rows)[2 * i] = row));
    memory.call.quantiseDrawn(drawn.length, pairs!, entries!, notes!, scale.g, scale.h, rounding);
    expect(loadEntries(memory, entries!, drawn.length), note).toEqual(drawn.map(wanted));
  });

  it.each([...upTo(17).map((i) => i + 1), 43, 70])(
    'histograms and splits of %i features, of a node and its children',
    (features) => {
      const memory = newMemory(threads);
      const rows = features % 3 === 0 ? 3500 : 700;
      const stride = 64 * Math.ceil(rows / 64);
      const width = features > 16 ? 9 : features;
      const paneWidth = width * Math.min(4, Math.ceil(features / width));
      const rowBytes = paneWidth <= 8 ? 8 : 16 * Math.ceil(paneWidth / 16);
      const paneBytes = rowBytes * stride;
      const columns = upTo(features).map(() => Uint8Array.from({ length: rows }, () => rng.below(1 + rng.below(256))));
      const columnsAt = memory.allocate(features * stride);
      columns.forEach((column, f) => memory.bytes(columnsAt + f * stride, rows).set(column));
      const panes = memory.allocate(2 * paneBytes + 8);
      const parts = memory.allocate((threads - 1) * features * 2048);
      memory.call.interleave(rows, columnsAt, stride, paneWidth, features, panes, paneBytes, rowBytes);
      const most = columns.map((column) => column.reduce((a, b) => Math.max(a, b), 0));
      // Not to be searched, numbers, or categories.
      const binCounts = [0, 1].map(() => most.map((bins) => [0, bins, bins, -bins][rng.below(4)]!));
      const directions = columns.map(() => [0, 0, 1, -1][rng.below(4)]!);
      const [binCountsAt, directionsAt] = [memory.allocate(8 * features), memory.allocate(features)];
      memory.int32(binCountsAt, 2 * features).set(binCounts.flat());
      memory.bytes(directionsAt, features).set(directions.map((direction) => direction & 255));
      const all = randomEntries(upTo(rows));
      const small = all.filter(({ row }) => row < 20 || row % 3 === 0);
      const rest = all.filter((entry) => !small.includes(entry));
      const [parent, child, found] = [2048 * features, 2048 * features, 2 * FOUND_BYTES * features].map((size) =>
        memory.allocate(size),
      );
      const penalties = { lambda: 3.5, alpha: 0, setLambda: 40.25, smooth: 17.5 };
      const free = { free: true, low: -Infinity, high: Infinity, heavy: 2000 };
      const goal = (which: 0 | 1, entries: readonly Entry[], wanted: Omit<Goal, 'direction'>): void => {
        const [g, h] = (['g', 'h'] as const).map((key) => entries.reduce((sum, entry) => sum + entry[key], 0));
        const { lambda, alpha, setLambda, smooth, minH, least, heavy, low, high } = wanted;
        memory.call.setPenalties(lambda, alpha, setLambda, smooth);
        memory.call.setGoal(which, g!, h!, minH, least, heavy);
        memory.call.setBounds(which, wanted.free ? 1 : 0, low, high);
      };
      const check = (which: 0 | 1, at: number, entries: readonly Entry[], limits: Omit<Goal, 'direction'>): void => {
        columns.forEach((column, f) => {
          const cells = histogramTwin(column, entries);
          const words = memory.int32(at + 2048 * f, 512);
          expect(
            [...words].filter((_, i) => i % 2 === 1),
            note,
          ).toEqual(cells.g);
          expect(
            [...words].filter((_, i) => i % 2 === 0),
            note,
          ).toEqual(cells.h);
          const bins = binCounts[which]![f]!;
          if (bins === 0) return;
          const wanted =
            bins < 0
              ? findSetTwin(cells, -bins, { ...limits, direction: 0 })
              : findTwin(cells, bins, { ...limits, direction: directions[f]! });
          const place = found! + FOUND_BYTES * (which * features + f);
          const [score] = memory.float64(place, 1);
          const [bin, missingLeft, h, g] = memory.int32(place + 8, 4);
          const bits = memory.bytes(place + 24, 32);
          const set = upTo(256).filter((one) => (bits[one >> 3]! >> (one & 7)) & 1);
          if (wanted === null) expect(score, note).toBe(-Infinity);
          else expect({ score, missingLeft, g, h, ...(bins < 0 ? { set } : { bin }) }, note).toEqual(wanted);
        });
      };
      const use = (entries: readonly Entry[]): void =>
        memory.call.setTable(
          storeEntries(memory, entries),
          panes,
          paneBytes,
          paneWidth,
          rowBytes,
          width,
          parts,
          features,
          binCountsAt,
          directionsAt,
          found!,
        );
      use(all);
      const limits = [
        { ...penalties, ...free, minH: 1, least: 0 },
        { ...penalties, ...free, minH: 20_000, least: 1000 },
        { ...penalties, free: false, low: -0.04, high: 0.02, heavy: 5000, minH: 5000, least: -1e9 },
        { ...penalties, alpha: 700, free: false, low: -0.1, high: Infinity, heavy: 0, minH: 1, least: 0 },
      ] as const;
      for (const limit of limits) {
        goal(0, all, limit);
        memory.call.node(0, all.length, parent!, 0);
        check(0, parent!, all, limit);
      }
      use(small);
      goal(0, small, limits[1]);
      goal(1, rest, limits[0]);
      memory.call.node(0, small.length, child!, parent!);
      check(0, child!, small, limits[1]);
      check(1, parent!, rest, limits[0]);
    },
  );

  it.each([1, 100, 8192, 30_000])('partitions keep the order of rows on both sides (%i)', (count) => {
    const memory = newMemory(threads);
    const entries = randomEntries(upTo(count + 20));
    const at = storeEntries(memory, entries);
    const bins = memory.allocate(count + 20);
    for (let i = 0; i < count + 20; i++) memory.bytes(bins, count + 20)[i] = rng.below(256);
    const column = memory.bytes(bins, count + 20).slice();
    const share = rng.float();
    const table = Uint8Array.from({ length: 256 }, () => (rng.float() < share ? 1 : 0));
    memory.bytes(TABLE_AT, 256).set(table);
    const [spare, counts] = [memory.allocate(8 * (count + 20)), memory.allocate(64)];
    const inside = entries.slice(10, 10 + count);
    const left = inside.filter(({ row }) => table[column[row]!] === 1);
    expect(memory.call.divide(10, 10 + count, at, spare!, bins, counts!), note).toBe(left.length);
    expect(loadEntries(memory, at, count + 20), note).toEqual(entries);
    memory.call.settle(10, 10 + count, 10 + left.length);
    const right = inside.filter(({ row }) => table[column[row]!] === 0);
    expect(loadEntries(memory, at, count + 20), note).toEqual([
      ...entries.slice(0, 10),
      ...left,
      ...right,
      ...entries.slice(10 + count),
    ]);
  });

  it.each([1, 9, 40_000])(
    'leaves take their values from their rows, and the rows from their leaves (%i rows)',
    (rows) => {
      const memory = newMemory(threads);
      const leaves = 1 + rng.below(Math.min(rows, 12));
      const leafOf = Uint8Array.from({ length: rows }, (_, row) => (row < leaves ? row : rng.below(leaves)));
      const sorted = randomEntries(upTo(rows)).sort((a, b) => leafOf[a.row]! - leafOf[b.row]! || a.row - b.row);
      const entries = storeEntries(memory, sorted);
      const [pairs, raw, states, values, bounds] = [
        8 * rows,
        8 * rows,
        LEAF_BYTES * leaves,
        4 * leaves,
        16 * leaves,
      ].map((size) => memory.allocate(size));
      const floats = memory.float32(pairs!, 2 * rows);
      for (let i = 0; i < rows; i++) floats.set([rng.float() * 2 - 1, rng.float()], 2 * i);
      const scores = memory.float64(raw!, rows).fill(0.25);
      let begin = 0;
      const ranges = upTo(leaves).map((leaf) => {
        const end = begin + leafOf.reduce((sum, one) => sum + Number(one === leaf), 0);
        memory.int32(states! + leaf * LEAF_BYTES, 4).set([begin, end, 0, leaf % threads]);
        memory.float64(bounds! + leaf * 16, 2).set([-0.4, leaf % 2 === 0 ? Infinity : 0.01]);
        return [begin, (begin = end)] as const;
      });
      memory.call.leaves(threads, rows, leaves, states!, entries, pairs!, raw!, 0.1, 3, 0.5, bounds!, values!);
      ranges.forEach(([from, to], leaf) => {
        const inside = sorted.slice(from, to);
        const sum = (k: number): number =>
          [0, 1]
            .map((odd) => inside.reduce((sum, { row }, i) => (i % 2 === odd ? sum + floats[2 * row + k]! : sum), 0))
            .reduce((even, odd) => even + odd);
        const g = sum(0);
        const free = (-Math.sign(g) * Math.max(Math.abs(g) - 0.5, 0)) / (sum(1) + 3);
        const value = Math.fround(0.1 * Math.min(Math.max(free, -0.4), leaf % 2 === 0 ? Infinity : 0.01));
        expect(memory.float32(values!, leaves)[leaf], note).toBe(value);
        expect(
          inside.every(({ row }) => scores[row] === 0.25 + value),
          note,
        ).toBe(true);
      });
    },
  );

  it.each([0, 1, 6, 2 * CHUNK + 3])('rows fall into the leaves of a tree as they do one by one (%i rows)', (rows) => {
    const memory = newMemory(threads);
    const number = (): number => (rng.float() < 0.1 ? NaN : rng.below(100) / 10 - 5);
    const code = (): number => (rng.float() < 0.1 ? NaN : rng.below(255));
    const columns = [number, number, code].map((draw) => Float32Array.from({ length: rows }, draw));
    const leaves = 1 + rng.below(30);
    const raw = memory.allocate(8 * rows);
    const scorer = new KernelScorer(memory, { rowCount: rows, columns }, leaves);
    const wanted = new Float64Array(rows);
    for (let round = 0; round < 3; round++) {
      const builder = new TreeBuilder(1);
      const open = [builder.addLeaf()];
      while (open.length < leaves) {
        const [node] = open.splice(rng.below(open.length), 1);
        const feature = rng.below(3);
        const leftCodes = feature === 2 ? Int32Array.from(upTo(255).filter(() => rng.float() < 0.5)) : null;
        const chosen = {
          threshold: number() || 0,
          leftCodes,
          missingLeft: rng.below(2) === 1,
          goesLeft: new Uint8Array(0),
        };
        const left = builder.split(node!, feature, chosen);
        open.push(left, left + 1);
      }
      for (const leaf of open) builder.setValue(leaf, 0, rng.float());
      const tree = builder.build();
      addTree(tree, { rowCount: rows, columns }, [wanted]);
      scorer.add(tree, raw);
    }
    expect(memory.float64(raw, rows), note).toEqual(wanted);
  });
});

describe('growth', () => {
  const numbers = (name: string, values: Float64Array) => ({ name, kind: 'number', values }) as const;

  it('makes leaves that hold the rows that their values lead to, enough of them, and whose sums add up', async () => {
    for (const threads of [1, 2]) {
      const memory = newMemory(threads);
      const rows = 400;
      const values = [0, 1].map(() =>
        Float64Array.from({ length: rows }, () => (rng.float() < 0.1 ? NaN : Math.fround(rng.float() * 10))),
      );
      const table: Table = { rowCount: rows, columns: values.map((column, f) => numbers(`x${f}`, column)) };
      const features = table.columns.map(
        ({ name }) => ({ kind: 'number', column: name, impute: null, mean: 0, scale: 1 }) as const,
      );
      const pace = new Pace(new AbortController().signal);
      const training = { table, features, trainRows: Uint32Array.from(upTo(rows)), pace };
      const binned = await binTable(memory, training, 255, rng);
      const rules = {
        growth: rng.below(2) === 0 ? 'LEAF_WISE' : 'DEPTH_WISE',
        numLeaves: 12,
        maxDepth: 4,
        minRows: 10,
        minHessian: 0,
        minSplitGain: 0,
        l1: 0,
        l2: 1,
        maxDeltaStep: 0,
        learningRate: 0.1,
        catSmooth: 10,
        catL2: 10,
        columnShares: { byLevel: 1, byNode: 1 },
        directions: null,
        groups: null,
      } as const;
      const grower = new GradientGrower(memory, binned, rules, new Float64Array(2), pace);
      const pairs = memory.float32(grower.pairs, 2 * rows);
      // Hessians of very different size: row counts can hardly be told from their sums.
      for (let i = 0; i < rows; i++) pairs.set([(values[0]![i]! > 3 ? 1 : -1) + rng.float(), rng.float() ** 6], 2 * i);
      const raw = memory.allocate(8 * rows);
      memory.float64(raw, rows).fill(0);
      const most = (k: number): number =>
        levels(rows) / Math.max(...upTo(rows).map((i) => Math.abs(pairs[2 * i + k]!)));
      const scale = { g: Math.fround(most(0)), h: Math.fround(most(1)) };
      const order = { rows: null, columns: Uint32Array.of(0, 1), scale, seed: rng.uint32(), raw };
      const { tree, leaves } = await grower.grow(order);
      expect(leaves.length, note).toBeGreaterThan(1);
      expect(leaves.length, note).toBeLessThanOrEqual(12);
      const entries = loadEntries(memory, grower.entries, rows);
      expect(entries.map(({ row }) => row).sort((a, b) => a - b)).toEqual(upTo(rows));
      const columns = values.map((column) => Float32Array.from(column));
      for (const leaf of leaves) {
        const inside = entries.slice(leaf.begin, leaf.end).map(({ row }) => row);
        expect(inside.length, note).toBeGreaterThanOrEqual(10);
        const sum = (k: number): number => inside.reduce((total, row) => total + pairs[2 * row + k]!, 0);
        const value = (-0.1 * sum(0)) / (sum(1) + 1);
        expect(tree.value[leaf.node], note).toBeCloseTo(value, 5);
        for (const row of inside) {
          expect(findLeaf(tree, columns, row), note).toBe(leaf.node);
          expect(memory.float64(raw, rows)[row], note).toBe(tree.value[leaf.node]);
        }
      }
    }
  });
});

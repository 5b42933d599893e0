/** Depth-first growth (src/ml/kernels/deep.ts) once more, slowly and plainly: every candidate is summed up from its rows. */
import { type Tree } from '../../src/ml/core/model.js';
import { Rng } from '../../src/ml/core/rng.js';
import { type BinnedTable, cutBetween } from '../../src/ml/trees/bins.js';
import { type DeepRules } from '../../src/ml/trees/grow-deep.js';

interface Row {
  readonly row: number;
  /** Weight x residual, class, or residual. */
  readonly value: number;
  readonly weight: number;
}

interface Split {
  readonly feature: number;
  readonly leftBins: ReadonlySet<number>;
  readonly missingLeft: boolean;
  readonly threshold: number;
  readonly gain: number;
}

interface Cell {
  readonly bin: number;
  readonly rows: readonly Row[];
}

export interface TwinTree {
  readonly tree: Tree;
  readonly gains: Float64Array;
  /** By training row: its leaf's node if the tree did not draw it. */
  readonly drawn: ReadonlySet<number>;
}

const FLOAT32_MAX = Math.fround(3.4028234663852886e38);
const FEW_CATEGORIES = 4;
const sum = (rows: readonly Row[], of: (row: Row) => number): number => rows.reduce((total, row) => total + of(row), 0);
const weightOf = (rows: readonly Row[]): number => sum(rows, ({ weight }) => weight);

export interface TwinLesson {
  readonly table: BinnedTable;
  readonly rules: DeepRules;
  readonly stats: Float64Array;
  readonly order: Uint32Array | null;
}

/** The t-th tree of a seed. */
export function growTwin({ table, rules, stats, order }: TwinLesson, seed: number, t: number): TwinTree {
  const first = new Rng(seed, t + 1);
  const random = new State([first.uint32(), first.uint32(), first.uint32(), first.uint32() | 1]);
  const rows = drawRows(rules, stats, order, random);
  const nodes: { split: Split | null; left: number; values: number[] }[] = [{ split: null, left: -1, values: [] }];
  const gains = new Float64Array(table.features.length);
  const features = table.features.map((_, f) => f);
  const open = [{ node: 0, rows, depth: 0 }];
  while (open.length > 0) {
    const { node, rows: inside, depth } = open.pop()!;
    const split = mayGrow(rules, inside, depth) ? search({ table, rules, features, random }, inside) : null;
    if (split === null) {
      nodes[node]!.values = leafValues(rules, inside);
      continue;
    }
    const left = nodes.length;
    nodes.push({ split: null, left: -1, values: [] }, { split: null, left: -1, values: [] });
    Object.assign(nodes[node]!, { split, left });
    gains[split.feature]! += Math.max(0, split.gain);
    const { bins, binCount } = table.features[split.feature]!;
    const isLeft = ({ row }: Row): boolean =>
      bins[row] === binCount ? split.missingLeft : split.leftBins.has(bins[row]!);
    open.push({ node: left + 1, rows: inside.filter((row) => !isLeft(row)), depth: depth + 1 });
    open.push({ node: left, rows: inside.filter(isLeft), depth: depth + 1 });
  }
  const tree = {
    feature: Int32Array.from(nodes, ({ split }) => split?.feature ?? -1),
    threshold: Float32Array.from(nodes, ({ split }) => split?.threshold ?? 0),
    missingLeft: Uint8Array.from(nodes, ({ split }) => (split?.missingLeft ? 1 : 0)),
    leftCodes: nodes.map(({ split }) =>
      split !== null && table.features[split.feature]!.categorical ? Int32Array.from(split.leftBins).sort() : null,
    ),
    left: Int32Array.from(nodes, ({ left }) => left),
    right: Int32Array.from(nodes, ({ left }) => (left < 0 ? -1 : left + 1)),
    value: Float32Array.from(nodes.flatMap(({ values }) => (values.length > 0 ? values : zeros(rules.width)))),
  };
  return { tree, gains, drawn: new Set(rows.map(({ row }) => row)) };
}

/** xoshiro128** from a state, by the generator of the product. */
class State {
  private readonly rng = new Rng(0);
  constructor([a, b, c, d]: readonly [number, number, number, number]) {
    Object.assign(this.rng, { a: a | 0, b: b | 0, c: c | 0, d: d | 0 });
  }
  float(): number {
    return this.rng.float();
  }
  below(n: number): number {
    return this.rng.below(n);
  }
}

const zeros = (count: number): number[] => new Array<number>(count).fill(0);

function drawRows(rules: DeepRules, stats: Float64Array, order: Uint32Array | null, random: State): Row[] {
  const count = stats.length / 2;
  const times = zeros(count);
  if (rules.bootstrap) for (let i = 0; i < rules.draws; i++) times[random.below(count)]!++;
  else
    for (let row = 0, left = rules.draws; row < count; row++) {
      if (left < count - row && random.float() * (count - row) >= left) continue;
      times[row] = 1;
      left--;
    }
  const rows = order === null ? Array.from(times.keys()) : [...order];
  return rows
    .filter((row) => times[row]! > 0)
    .map((row) => ({
      row,
      value: rules.criterion === 'SQUARED' ? stats[2 * row]! * times[row]! : stats[2 * row]!,
      weight: stats[2 * row + 1]! * times[row]!,
    }));
}

function mayGrow(rules: DeepRules, rows: readonly Row[], depth: number): boolean {
  const answers = new Set(rows.map(({ value, weight }) => (rules.criterion === 'SQUARED' ? value / weight : value)));
  return (
    answers.size > 1 &&
    rows.length >= rules.minSamplesSplit &&
    rows.length >= 2 * rules.minSamplesLeaf &&
    (rules.maxDepth === 0 || depth < rules.maxDepth)
  );
}

function leafValues(rules: DeepRules, rows: readonly Row[]): number[] {
  const total = weightOf(rows);
  const smoothed = (weight: number, k: number): number =>
    (weight + rules.leafSmooth * rules.shares[k]!) / (total + rules.leafSmooth);
  if (rules.criterion === 'ABSOLUTE') return [rules.mean + medianOf(rows)];
  if (rules.criterion !== 'SQUARED')
    return zeros(rules.width).map((_, k) => smoothed(weightOf(rows.filter(({ value }) => value === k)), k));
  const weighted = sum(rows, ({ value }) => value);
  if (rules.width === 1) return [rules.mean + weighted / total];
  return [1 - smoothed(weighted, 1), smoothed(weighted, 1)];
}

/** The middle of the weighted medians. */
function medianOf(rows: readonly Row[]): number {
  const sorted = rows.toSorted((a, b) => a.value - b.value);
  const half = weightOf(rows) / 2;
  let below = 0;
  for (const [i, { value, weight }] of sorted.entries()) {
    below += weight;
    if (below > half) return value;
    if (below === half) return (value + sorted[i + 1]!.value) / 2;
  }
  throw new Error('There is a median.');
}

function lowerMedianOf(rows: readonly Row[]): number {
  const sorted = rows.toSorted((a, b) => a.value - b.value);
  let below = 0;
  return sorted.find(({ weight }) => (below += weight) >= weightOf(rows) / 2)!.value;
}

/** What a side scores: the more, the less it is mixed. */
function scoreOf(rules: DeepRules, rows: readonly Row[], l2: number, classes: number): number {
  const total = weightOf(rows);
  if (rules.criterion === 'ABSOLUTE') {
    const median = medianOf(rows);
    return -sum(rows, ({ value, weight }) => weight * Math.abs(value - median));
  }
  if (rules.criterion === 'SQUARED') return sum(rows, ({ value }) => value) ** 2 / (total + l2);
  const weights = zeros(rules.width).map((_, k) => weightOf(rows.filter(({ value }) => value === k)));
  if (rules.criterion === 'GINI') return sum2(weights, (w) => w * w) / (total + l2);
  return ((sum2(weights, timesLog) - timesLog(total) + total * logarithm(classes)) * total) / (total + l2);
}

const sum2 = (values: readonly number[], of: (value: number) => number): number =>
  values.reduce((total, value) => total + of(value), 0);
const timesLog = (x: number): number => (x > 0 ? x * logarithm(x) : 0);

/** The logarithm of the kernels, whose last digits decide between equal splits. */
function logarithm(x: number): number {
  let exponent = 0;
  let m = x;
  for (; m >= 2; m /= 2) exponent++;
  for (; m < 1; m *= 2) exponent--;
  if (m > Math.SQRT2) {
    m /= 2;
    exponent++;
  }
  const s = (m - 1) / (m + 1);
  let series = 1 / 19;
  for (let k = 17; k > 0; k -= 2) series = series * (s * s) + 1 / k;
  return exponent * Math.LN2 + 2 * s * series;
}

interface Search {
  readonly table: BinnedTable;
  readonly rules: DeepRules;
  /** In the order of the last draw. */
  readonly features: number[];
  readonly random: State;
}

function search({ table, rules, features, random }: Search, rows: readonly Row[]): Split | null {
  let best: Split | null = null;
  const whole = scoreOf(rules, rows, 0, rules.width);
  let least = -1e-12 * Math.abs(whole);
  let varies = false;
  for (let i = 0; i < features.length && (i < rules.featuresPerNode || !varies); i++) {
    if (rules.featuresPerNode < features.length) {
      const j = i + random.below(features.length - i);
      [features[i], features[j]] = [features[j]!, features[i]!];
    }
    const feature = features[i]!;
    const { bins, binCount } = table.features[feature]!;
    const cells = [...new Set(rows.map(({ row }) => bins[row]!))]
      .sort((a, b) => a - b)
      .map((bin): Cell => ({ bin, rows: rows.filter(({ row }) => bins[row] === bin) }));
    if (cells.length < 2) continue;
    varies = true;
    const missing = cells.find(({ bin }) => bin === binCount)?.rows ?? [];
    const present = cells.filter(({ bin }) => bin !== binCount);
    for (const { left, l2, threshold } of candidates({ table, rules, random, rows }, feature, present)) {
      for (const missingLeft of missing.length > 0 ? [false, true] : [false]) {
        const leftRows = [...left.flatMap((cell) => cell.rows), ...(missingLeft ? missing : [])];
        const inLeft = new Set(leftRows);
        const rightRows = rows.filter((row) => !inLeft.has(row));
        if (leftRows.length < rules.minSamplesLeaf || rightRows.length < rules.minSamplesLeaf) continue;
        const sides = scoreOf(rules, leftRows, l2, rules.width) + scoreOf(rules, rightRows, l2, rules.width);
        const gain = sides - whole;
        if (!(gain > least)) continue;
        least = gain;
        best = {
          feature,
          leftBins: new Set(
            left.length === present.length && !table.features[feature]!.categorical
              ? Array.from({ length: binCount }, (_, bin) => bin)
              : left.map(({ bin }) => bin),
          ),
          missingLeft: missing.length > 0 ? missingLeft : 2 * leftRows.length > rows.length,
          threshold,
          gain,
        };
      }
    }
  }
  return best;
}

interface CandidateSide {
  readonly left: readonly Cell[];
  readonly l2: number;
  readonly threshold: number;
}

function candidates(
  { table, rules, random, rows }: Omit<Search, 'features'> & { readonly rows: readonly Row[] },
  feature: number,
  cells: readonly Cell[],
): CandidateSide[] {
  const { categorical } = table.features[feature]!;
  if (rules.isRandom)
    return [categorical ? drawPrefix(rules, rows, cells, random) : drawCut(table, feature, cells, random)];
  if (!categorical)
    return cells.map((_, i) => ({
      left: cells.slice(0, i + 1),
      l2: 0,
      threshold: thresholdOf(table, feature, cells, i),
    }));
  const isFew = cells.length <= FEW_CATEGORIES;
  const kept = isFew ? cells : cells.filter(({ rows }) => rows.length >= rules.catSmooth);
  const longest = isFew ? kept.length : Math.min(32, (kept.length + 1) >> 1);
  const prefixes = (order: readonly Cell[]): CandidateSide[] =>
    order.slice(0, longest).map((_, i) => ({ left: order.slice(0, i + 1), l2: isFew ? 0 : rules.catL2, threshold: 0 }));
  const made: CandidateSide[] = [];
  let order = kept;
  for (const key of categoryKeys(rules, rows)) {
    const keys = new Map(kept.map((cell) => [cell, key(cell.rows, isFew ? 0 : rules.catSmooth)]));
    order = kept.toSorted((a, b) => keys.get(a)! - keys.get(b)! || a.bin - b.bin);
    made.push(...prefixes(order), ...(isFew ? [] : prefixes(order.toReversed())));
  }
  return made;
}

/** By the mean, by the median, or by the share of each of the larger classes. */
function categoryKeys(rules: DeepRules, all: readonly Row[]): ((rows: readonly Row[], smooth: number) => number)[] {
  if (rules.criterion === 'SQUARED')
    return [(rows, smooth) => sum(rows, ({ value }) => value) / (weightOf(rows) + smooth)];
  if (rules.criterion === 'ABSOLUTE')
    return [(rows, smooth) => lowerMedianOf(rows) * (weightOf(rows) / (weightOf(rows) + smooth))];
  const ofClass = (rows: readonly Row[], k: number): number => weightOf(rows.filter(({ value }) => value === k));
  const present = [...new Set(all.map(({ value }) => value))].sort(
    (a, b) => ofClass(all, b) - ofClass(all, a) || a - b,
  );
  return present
    .slice(0, present.length === 2 ? 1 : 8)
    .map((k) => (rows: readonly Row[], smooth: number) => ofClass(rows, k) / (weightOf(rows) + smooth));
}

function thresholdOf(table: BinnedTable, feature: number, cells: readonly Cell[], i: number): number {
  const { low, high } = table.features[feature]!;
  const last = high[cells[i]!.bin]!;
  return i + 1 < cells.length ? cutBetween(last, low[cells[i + 1]!.bin]!) : Math.max(FLOAT32_MAX, last);
}

function drawCut(table: BinnedTable, feature: number, cells: readonly Cell[], random: State): CandidateSide {
  const { low, high } = table.features[feature]!;
  const last = cells.length - 1;
  if (last === 0) return { left: cells, l2: 0, threshold: thresholdOf(table, feature, cells, 0) };
  const [from, to] = [low[cells[0]!.bin]!, high[cells[last]!.bin]!];
  const drawn = Math.fround(from + random.float() * (to - from));
  let i = 0;
  while (i + 1 < last && Math.fround(low[cells[i + 1]!.bin]! / 2 + high[cells[i + 1]!.bin]! / 2) <= drawn) i++;
  const isBetween = drawn >= high[cells[i]!.bin]! && drawn < low[cells[i + 1]!.bin]!;
  return { left: cells.slice(0, i + 1), l2: 0, threshold: isBetween ? drawn : thresholdOf(table, feature, cells, i) };
}

/** Of the categories in the order by one of the keys, as many as drawn. */
function drawPrefix(rules: DeepRules, rows: readonly Row[], cells: readonly Cell[], random: State): CandidateSide {
  const smooth = cells.length <= FEW_CATEGORIES ? 0 : rules.catSmooth;
  const key = randomKey(rules, rows, random);
  const keys = new Map(cells.map((cell) => [cell, key(cell.rows, smooth)]));
  const order = cells.toSorted((a, b) => keys.get(a)! - keys.get(b)! || a.bin - b.bin);
  const count = cells.length > 2 ? 1 + random.below(cells.length - 1) : 1;
  return { left: order.slice(0, count), l2: 0, threshold: 0 };
}

function randomKey(
  rules: DeepRules,
  all: readonly Row[],
  random: State,
): (rows: readonly Row[], smooth: number) => number {
  if (rules.criterion === 'SQUARED' || rules.criterion === 'ABSOLUTE') return categoryKeys(rules, all)[0]!;
  const present = [...new Set(all.map(({ value }) => value))].sort((a, b) => a - b);
  const wanted = present[random.below(present.length)]!;
  return (rows, smooth) => weightOf(rows.filter(({ value }) => value === wanted)) / (weightOf(rows) + smooth);
}

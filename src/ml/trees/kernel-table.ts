/** Binned training rows where the kernels work on them: every bin twice, by column for partitions and by row for histograms. */
import { type Lesson } from '../core/learned.js';
import { type Feature } from '../core/model.js';
import { type Rng } from '../core/rng.js';
import { codeCount, featureMatrix } from '../core/feature-matrix.js';
import { type BinnedFeature, type BinnedTable, findCuts, SAMPLE_ROWS } from './bins.js';
import { type Address, CUTS_AT, type KernelMemory } from './kernel-memory.js';

export interface KernelTable extends BinnedTable {
  /** Columns of bins: feature f at columns + f · stride. */
  readonly columns: Address;
  readonly stride: number;
  /** Panes of `paneWidth` features, `rowBytes` a row; pane p at panes + p · paneBytes. */
  readonly panes: Address;
  readonly paneBytes: number;
  readonly paneWidth: number;
  readonly rowBytes: number;
  /** Features of a pane that are counted at a time. */
  readonly width: number;
}

/** Features of a pane at most, so that a row fits a cache line, and of those counted at a time, so that their cells fit the nearest cache. */
const MOST_IN_PANE = 56;
const MOST_AT_ONCE = 14;
/** Columns whose samples are sorted at a time. */
const SORTED_AT_ONCE = 8;

/** Work of binning one value, in units of Pace. */
const BINNING_COST = 2;

/** The training rows of a lesson as features are made from them. */
export type TrainingRows = Pick<Lesson, 'table' | 'trainRows' | 'pace'> & { readonly features: readonly Feature[] };

/** Bins training rows by at most `maxBins` bins a feature; by row as well where histograms of all features are wanted. */
export async function binTable(
  memory: KernelMemory,
  training: TrainingRows,
  maxBins: number,
  rng: Rng,
  wantsPanes = true,
): Promise<KernelTable> {
  const { features } = training;
  const { rowCount, ...space } = makeSpace(memory, training.trainRows.length, features.length, wantsPanes);
  const binned = await memory.borrow(async () => {
    const { table, trainRows, pace } = training;
    const made: BinnedFeature[] = [];
    const values = memory.float32(memory.allocate(rowCount * 4), rowCount);
    const sampler = new Sampler(memory, training, rng);
    for (let from = 0; from < features.length; from += SORTED_AT_ONCE) {
      const group = features.slice(from, from + SORTED_AT_ONCE);
      const cutsOf = sampler.cuts(group, maxBins);
      for (const [i, feature] of group.entries()) {
        featureMatrix([feature], table)(values, trainRows, 0, rowCount);
        const categorical = feature.kind === 'code';
        made.push(binColumn(memory, values, cutsOf[i], space.columns + made.length * space.stride, categorical));
        if (pace.isDue(rowCount * BINNING_COST)) await pace.rest();
      }
    }
    return made;
  });
  const { columns, stride, panes, paneBytes, paneWidth, rowBytes } = space;
  if (wantsPanes)
    memory.call.interleave(rowCount, columns, stride, paneWidth, features.length, panes, paneBytes, rowBytes);
  return { rowCount, features: binned, ...space };
}

function makeSpace(memory: KernelMemory, rowCount: number, featureCount: number, wantsPanes: boolean) {
  const stride = Math.ceil(rowCount / 64) * 64;
  const even = (count: number, most: number): number => Math.ceil(count / Math.ceil(count / most));
  const width = even(even(featureCount, MOST_IN_PANE), MOST_AT_ONCE);
  const paneWidth = width * Math.ceil(even(featureCount, MOST_IN_PANE) / width);
  const rowBytes = paneWidth <= 8 ? 8 : Math.ceil(paneWidth / 16) * 16;
  const paneBytes = stride * rowBytes;
  const columns = memory.allocate(featureCount * stride);
  // The last row of 8 bytes is read as if it had 16.
  const panes = wantsPanes ? memory.allocate(Math.ceil(featureCount / paneWidth) * paneBytes + 8) : 0;
  return { rowCount, columns, stride, panes, paneBytes, paneWidth, rowBytes, width };
}

/** Cuts of columns, found on the same sample of rows for all of them. */
class Sampler {
  private readonly rows: Uint32Array;
  private readonly at: Address;
  private readonly counts: Address;
  private readonly spare: Address;

  constructor(
    private readonly memory: KernelMemory,
    private readonly training: TrainingRows,
    rng: Rng,
  ) {
    this.rows = sampleRows(training.trainRows, rng);
    this.at = memory.allocate(this.stride * SORTED_AT_ONCE);
    this.counts = memory.allocate(4 * SORTED_AT_ONCE);
    this.spare = memory.allocate(memory.threads * (this.stride + 8192));
  }

  private get stride(): number {
    return Math.ceil(this.rows.length / 16) * 64;
  }

  /** One list of cuts per feature. For a code: between any two codes. */
  cuts(features: readonly Feature[], maxBins: number): Float32Array[] {
    const { memory, stride } = this;
    const counts = memory.int32(this.counts, features.length);
    const samples = features.map((feature, i) => {
      const sample = memory.float32(this.at + i * stride, this.rows.length);
      if (feature.kind !== 'code') counts[i] = this.draw(feature, sample);
      else counts[i] = 0;
      return sample;
    });
    memory.call.sort(features.length, this.at, stride, this.counts, this.spare);
    return features.map((feature, i) =>
      feature.kind === 'code'
        ? Float32Array.from({ length: codeCount(feature) - 1 }, (_, code) => code)
        : findCuts(samples[i].subarray(0, counts[i]), maxBins),
    );
  }

  /** Writes the feature's values in the sample, without the missing; returns how many. */
  private draw(feature: Feature, sample: Float32Array): number {
    featureMatrix([feature], this.training.table)(sample, this.rows, 0, this.rows.length);
    let count = 0;
    for (let i = 0; i < sample.length; i++) {
      const value = sample[i];
      sample[count] = value;
      if (value === value) count++;
    }
    return count;
  }
}

function sampleRows(rows: Uint32Array, rng: Rng): Uint32Array {
  if (rows.length <= SAMPLE_ROWS) return rows;
  const all = rows.slice();
  rng.shuffle(all, SAMPLE_ROWS);
  return all.slice(0, SAMPLE_ROWS).sort();
}

function binColumn(
  memory: KernelMemory,
  values: Float32Array,
  cuts: Float32Array,
  to: Address,
  categorical: boolean,
): BinnedFeature {
  const { call, threads } = memory;
  const binCount = cuts.length + 1;
  memory.float32(CUTS_AT, 256).fill(Infinity).set(cuts);
  const threadNumbers = Array.from({ length: threads }, (_, thread) => thread);
  const lows = threadNumbers.map((thread) => memory.float32(call.lowOf(thread), 256).fill(Infinity));
  const highs = threadNumbers.map((thread) => memory.float32(call.highOf(thread), 256).fill(-Infinity));
  call.bin(values.length, values.byteOffset, to, binCount);
  const pick = (all: Float32Array[], of: (...values: number[]) => number): Float32Array =>
    Float32Array.from({ length: binCount }, (_, bin) => of(...all.map((one) => one[bin])));
  return {
    bins: memory.bytes(to, values.length),
    binCount,
    categorical,
    low: pick(lows, Math.min),
    high: pick(highs, Math.max),
  };
}

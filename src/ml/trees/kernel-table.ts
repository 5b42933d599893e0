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
  /** Blocks of `width` features, 16 bytes a row; block b at blocks + b · blockBytes. */
  readonly blocks: Address;
  readonly blockBytes: number;
  readonly width: number;
}

/** Features of a block at most: the bytes of a vector. */
const MOST_WIDTH = 16;
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
  wantsBlocks = true,
): Promise<KernelTable> {
  const { features } = training;
  const { rowCount, ...space } = makeSpace(memory, training.trainRows.length, features.length, wantsBlocks);
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
  const { columns, stride, width, blocks, blockBytes } = space;
  if (wantsBlocks) memory.call.interleave(rowCount, columns, stride, width, features.length, blocks, blockBytes);
  return { rowCount, features: binned, ...space };
}

function makeSpace(memory: KernelMemory, rowCount: number, featureCount: number, wantsBlocks: boolean) {
  const stride = Math.ceil(rowCount / 64) * 64;
  const least = Math.ceil(featureCount / MOST_WIDTH);
  // An even share for each thread, unless a block would be narrower than it is worth.
  const even = Math.ceil(least / memory.threads) * memory.threads;
  const width = Math.ceil(featureCount / (featureCount >= 4 * even ? even : least));
  const blockBytes = stride * 16;
  const columns = memory.allocate(featureCount * stride);
  const blocks = wantsBlocks ? memory.allocate(Math.ceil(featureCount / width) * blockBytes) : 0;
  return { rowCount, columns, stride, blocks, blockBytes, width };
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

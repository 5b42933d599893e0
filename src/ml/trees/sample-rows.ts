/** Which rows a round learns from. */
import { type Rng } from '../core/rng.js';
import { levels, type Scale } from './derive.js';

export interface RowSample {
  /** Ascending, as the histograms like them; null: all. */
  readonly drawn: Uint32Array | null;
  /** The others. */
  readonly rest: Uint32Array;
  /** Of those drawn, the first that stand for others as well: their derivatives are multiplied; empty: none. */
  readonly raised: Uint32Array;
  readonly factor: number;
}

const NONE = new Uint32Array(0);
const ALL_ROWS: RowSample = { drawn: null, rest: NONE, raised: NONE, factor: 1 };

export interface SamplingRules {
  readonly sampling: 'UNIFORM' | 'GOSS';
  readonly subsample: number;
  readonly topRate: number;
  readonly otherRate: number;
  readonly learningRate: number;
}

export class RowSampler {
  private readonly rowCount: number;

  /** @param pairs  {g, h} by row, of the output written last */
  constructor(
    private readonly rules: SamplingRules,
    private readonly rng: Rng,
    private readonly pairs: Float32Array,
  ) {
    this.rowCount = pairs.length / 2;
  }

  /** @param write  writes the derivatives of output k into the pairs */
  draw(round: number, outputs: number, write: (k: number) => void): RowSample {
    const { rules, rng, rowCount } = this;
    if (rules.sampling === 'UNIFORM') return drawUniformly(rowCount, rules.subsample, rng);
    // At first gradients say little about a row.
    if (round < Math.floor(1 / rules.learningRate)) return ALL_ROWS;
    const sizes = new Float32Array(rowCount);
    for (let k = 0; k < outputs; k++) {
      write(k);
      for (let row = 0; row < rowCount; row++) sizes[row] += Math.abs(this.pairs[2 * row] * this.pairs[2 * row + 1]);
    }
    return drawByGradient(sizes, rules.topRate, rules.otherRate, rng);
  }

  /** Multiplies the derivatives of the raised rows; returns how those of all drawn rows become whole numbers. */
  raise({ drawn, raised, factor }: RowSample, scale: Scale): Scale {
    if (drawn === null || raised.length === 0) return scale;
    const { pairs } = this;
    for (const row of raised) {
      pairs[2 * row] *= factor;
      pairs[2 * row + 1] *= factor;
    }
    let maxG = 0;
    let maxH = 0;
    for (const row of drawn) {
      maxG = Math.max(maxG, Math.abs(pairs[2 * row]));
      maxH = Math.max(maxH, pairs[2 * row + 1]);
    }
    const most = levels(drawn.length);
    const to = (max: number): number => (max > 0 ? Math.fround(most / max) : 1);
    return { g: to(maxG), h: to(maxH) };
  }
}

/** A share of the rows, without replacement. */
function drawUniformly(rowCount: number, share: number, rng: Rng): RowSample {
  if (share >= 1) return ALL_ROWS;
  const rows = Uint32Array.from({ length: rowCount }, (_, row) => row);
  const count = Math.max(1, Math.round(rowCount * share));
  rng.shuffle(rows, count);
  return { drawn: rows.slice(0, count).sort(), rest: rows.slice(count), raised: NONE, factor: 1 };
}

/**
 * Gradient-based one-side sampling (Ke et al., "LightGBM", 2017): the rows of the greatest |g h| and a random part of the
 * others, which then count (1 - topRate) / otherRate times, so that sums stay right on average.
 * @param size  |g h| of each row, summed over outputs
 */
export function drawByGradient(size: Float32Array, topRate: number, otherRate: number, rng: Rng): RowSample {
  const rowCount = size.length;
  const topCount = Math.max(1, Math.floor(rowCount * topRate));
  const otherCount = Math.min(rowCount - topCount, Math.max(1, Math.floor(rowCount * otherRate)));
  if (otherCount <= 0) return ALL_ROWS;
  const { least, equal } = kthGreatest(size, topCount);
  const others = new Uint32Array(rowCount - topCount);
  const isDrawn = new Uint8Array(rowCount);
  let ties = equal;
  let count = 0;
  for (let row = 0; row < rowCount; row++) {
    const isTop = size[row] > least || (size[row] === least && ties-- > 0);
    if (isTop) isDrawn[row] = 1;
    else others[count++] = row;
  }
  rng.shuffle(others, otherCount);
  const raised = others.slice(0, otherCount);
  for (const row of raised) isDrawn[row] = 1;
  const drawn = new Uint32Array(topCount + otherCount);
  for (let row = 0, to = 0; row < rowCount; row++) if (isDrawn[row] === 1) drawn[to++] = row;
  return { drawn, rest: others.slice(otherCount), raised, factor: (rowCount - topCount) / otherCount };
}

/** The k-th greatest of non-negative values, and how many equal to it belong to the k greatest: by radix, for the bits of such floats are ordered as they are. */
function kthGreatest(values: Float32Array, k: number): { least: number; equal: number } {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const counts = new Uint32Array(65_536);
  let rest = k;
  const take = (): number => {
    let digit = 65_535;
    for (; counts[digit] < rest; digit--) rest -= counts[digit];
    return digit;
  };
  for (const word of bits) counts[word >>> 16]++;
  const high = take();
  counts.fill(0);
  for (const word of bits) if (word >>> 16 === high) counts[word & 65_535]++;
  const low = take();
  const [least] = new Float32Array(Uint32Array.of(((high << 16) | low) >>> 0).buffer);
  return { least, equal: rest };
}

/**
 * Derivatives of a loss for the kernels: raw scores in their memory become pairs {g, h}, one output at a time. Losses of one
 * output have a kernel of their own; the others are computed in double precision and handed over.
 */
import { logistic, type Loss, squaredError } from '../core/loss.js';
import { type Address, CHUNK, type KernelMemory, NOTE_BYTES } from './kernel-memory.js';

/** Whole numbers per unit of gradient and hessian. */
export interface Scale {
  readonly g: number;
  readonly h: number;
}

export interface Derivatives {
  /** Scores of each output, f64 per row; they start at the loss's initial ones. */
  readonly raw: readonly Address[];
  /** Computes derivatives at the current scores; returns the mean loss there. */
  refresh(): number;
  /** Writes output k's derivatives into the pairs; returns how `count` of them become whole numbers. */
  write(k: number, count: number): Scale;
}

/** Enough levels for equal accuracy, few enough for sums of `count` of them to fit 31 bits. */
export function levels(count: number): number {
  return Math.min(32_000, Math.floor((2 ** 31 - 1) / count) - 1);
}

/**
 * @param pairs, notes  addresses of the grower's: 8 bytes a row, NOTE_BYTES a chunk
 * @param base          where scores start, one number per output
 */
export function derivativesOf(
  loss: Loss,
  memory: KernelMemory,
  y: Float64Array,
  base: Float32Array,
  pairs: Address,
  notes: Address,
): Derivatives {
  const rows = y.length;
  const padded = Math.ceil(rows / 4) * 4;
  const column = (of: Float64Array | number, padding: number): Address => {
    const at = memory.allocate(padded * 8);
    const values = memory.float64(at, padded).fill(padding);
    if (typeof of === 'number') values.fill(of, 0, rows);
    else values.set(of);
    return at;
  };
  // Padding has neither gradient nor loss.
  const raw = Array.from(base, (start) => column(start, CERTAIN));
  if (loss === logistic) return new KernelDerivatives('logistic', memory, rows, raw, column(y, 0), pairs, notes);
  if (loss === squaredError) return new KernelDerivatives('squared', memory, rows, raw, column(y, 0), pairs, notes);
  return new GivenDerivatives(loss, memory, y, raw, pairs);
}

/** A score so low that a target of 0 is certain. */
const CERTAIN = -1e4;

class KernelDerivatives implements Derivatives {
  private maxG = 0;
  private maxH = 0;

  constructor(
    private readonly kind: 'logistic' | 'squared',
    private readonly memory: KernelMemory,
    private readonly rows: number,
    readonly raw: readonly Address[],
    private readonly y: Address,
    private readonly pairs: Address,
    private readonly notes: Address,
  ) {}

  refresh(): number {
    const { memory, rows, kind, notes } = this;
    memory.call[kind](rows, this.raw[0], this.y, this.pairs, notes);
    const chunks = Math.ceil(rows / CHUNK);
    const floats = memory.float32(notes, (chunks * NOTE_BYTES) / 4);
    const doubles = memory.float64(notes, (chunks * NOTE_BYTES) / 8);
    this.maxG = this.maxH = 0;
    let sum = 0;
    for (let chunk = 0; chunk < chunks; chunk++) {
      const at = chunk * (NOTE_BYTES / 8);
      this.maxG = Math.max(this.maxG, floats[2 * at + 10]);
      this.maxH = Math.max(this.maxH, floats[2 * at + 11]);
      sum += doubles[at + (kind === 'logistic' ? 4 : 0)];
      if (kind === 'logistic') for (let i = 0; i < 4; i++) sum += Math.log(doubles[at + i]);
    }
    return kind === 'logistic' ? sum / rows : Math.sqrt(sum / rows);
  }

  write(_k: number, count: number): Scale {
    return scaleOf(this.maxG, this.maxH, this.kind === 'squared', count);
  }
}

class GivenDerivatives implements Derivatives {
  private readonly scores: readonly Float64Array[];
  private readonly g: readonly Float64Array[];
  private readonly h: readonly Float64Array[];

  constructor(
    private readonly loss: Loss,
    private readonly memory: KernelMemory,
    private readonly y: Float64Array,
    readonly raw: readonly Address[],
    private readonly pairs: Address,
  ) {
    this.scores = raw.map((at) => memory.float64(at, y.length));
    this.g = raw.map(() => new Float64Array(y.length));
    this.h = raw.map(() => new Float64Array(y.length));
  }

  refresh(): number {
    this.loss.derivatives(this.scores, this.y, this.g, this.h);
    return this.loss.mean(this.scores, this.y);
  }

  write(k: number, count: number): Scale {
    const pairs = this.memory.float32(this.pairs, 2 * this.y.length);
    const [g, h] = [this.g[k], this.h[k]];
    let maxG = 0;
    let maxH = 0;
    for (let i = 0; i < g.length; i++) {
      pairs[2 * i] = g[i];
      pairs[2 * i + 1] = h[i];
      if (Math.abs(g[i]) > maxG) maxG = Math.abs(g[i]);
      if (h[i] > maxH) maxH = h[i];
    }
    return scaleOf(maxG, maxH, false, count);
  }
}

/** @param isConstant all hessians are 1, and count rows. */
function scaleOf(maxG: number, maxH: number, isConstant: boolean, count: number): Scale {
  const most = levels(count);
  return { g: scaleTo(most, maxG), h: isConstant ? 1 : scaleTo(most, maxH) };
}

/** As float32, for so the kernels take it. All zero stays zero at any scale. */
function scaleTo(most: number, max: number): number {
  const scale = Math.fround(most / max);
  return Number.isFinite(scale) ? scale : 1;
}

/**
 * Derivatives of a loss for the kernels: raw scores in their memory become pairs {g, h}, one output at a time, and the mean
 * loss is known on the way.
 */
import { type Loss, type LossKernel, type RowWeights, softmaxFactor, sumOfWeights } from '../core/loss.js';
import { devianceOf, saturated } from '../core/rate-loss.js';
import { type Address, CHUNK, type KernelMemory, NOTE_BYTES } from './kernel-memory.js';

/** Whole numbers per unit of gradient and hessian. */
export interface Scale {
  readonly g: number;
  readonly h: number;
}

/** Targets of the training rows (value, or class number), and what each row counts. */
export interface Targets {
  readonly y: Float64Array;
  /** Where y lies in the kernels' memory, followed by zeros up to a multiple of 4 rows, if it does. */
  readonly yAt?: Address;
  readonly weights: RowWeights;
}

export interface Derivatives {
  /** Scores of each output, f64 per row; they start at the base. */
  readonly raw: readonly Address[];
  /** Targets, f64 per row. */
  readonly y: Address;
  /** Weights, f32 per row; 0: all 1. */
  readonly weights: Address;
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
 * @param base          where scores start, one number per output
 * @param pairs, notes  addresses of the grower's: 8 bytes a row, NOTE_BYTES a chunk
 */
export function derivativesOf(
  loss: Loss,
  memory: KernelMemory,
  targets: Targets,
  base: Float32Array,
  pairs: Address,
  notes: Address,
): Derivatives {
  return loss.kernel.name === 'softmax'
    ? new SoftmaxDerivatives(memory, targets, base, pairs, notes)
    : new SingleDerivatives(loss.kernel, memory, targets, base, pairs, notes);
}

/** What derivatives have in common: scores, targets and weights in the memory, and the kernels' notes read. */
class Columns {
  readonly rows: number;
  readonly padded: number;
  readonly raw: readonly Address[];
  readonly y: Address;
  readonly weights: Address;
  /** Σw. */
  readonly total: number;
  private maxG = 0;
  private maxH = 0;

  constructor(
    readonly memory: KernelMemory,
    { y, yAt, weights }: Targets,
    base: Float32Array,
    private readonly notes: Address,
  ) {
    this.rows = y.length;
    this.padded = Math.ceil(y.length / 4) * 4;
    // One after another, so that a kernel finds all outputs.
    this.raw = Array.from(base, (start) => {
      const at = memory.allocate(this.rawStride);
      memory.float64(at, this.rows).fill(start);
      return at;
    });
    this.y = yAt ?? memory.allocate(this.padded * 8);
    if (yAt === undefined) memory.float64(this.y, this.rows).set(y);
    this.weights = weights === null ? 0 : memory.allocate(this.padded * 4);
    if (weights !== null) memory.float32(this.weights, this.rows).set(weights);
    this.total = sumOfWeights(weights, y.length);
  }

  get rawStride(): number {
    return Math.ceil(this.padded / 8) * 64;
  }

  /** Sums of the first `count` numbers of the notes; takes over the largest derivatives. */
  read(count: number): number[] {
    const chunks = Math.ceil(this.rows / CHUNK);
    const floats = this.memory.float32(this.notes, (chunks * NOTE_BYTES) / 4);
    const doubles = this.memory.float64(this.notes, (chunks * NOTE_BYTES) / 8);
    const sums = new Array<number>(count).fill(0);
    this.maxG = this.maxH = 0;
    for (let chunk = 0; chunk < chunks; chunk++) {
      const at = chunk * (NOTE_BYTES / 8);
      this.maxG = Math.max(this.maxG, floats[2 * at + 10]);
      this.maxH = Math.max(this.maxH, floats[2 * at + 11]);
      for (let i = 0; i < count; i++) sums[i] += doubles[at + i];
    }
    return sums;
  }

  /** @param isConstant all hessians are 1. */
  scale(count: number, isConstant: boolean): Scale {
    const most = levels(count);
    return { g: scaleTo(most, this.maxG), h: isConstant ? 1 : scaleTo(most, this.maxH) };
  }
}

/** As float32, for so the kernels take it. All zero stays zero at any scale. */
function scaleTo(most: number, max: number): number {
  const scale = Math.fround(most / max);
  return Number.isFinite(scale) ? scale : 1;
}

/** Losses of one output. */
class SingleDerivatives implements Derivatives {
  private readonly columns: Columns;
  private readonly saturated: number;
  private readonly isConstant: boolean;

  constructor(
    private readonly kernel: Exclude<LossKernel, { name: 'softmax' }>,
    memory: KernelMemory,
    targets: Targets,
    base: Float32Array,
    private readonly pairs: Address,
    private readonly notes: Address,
  ) {
    this.columns = new Columns(memory, targets, base, notes);
    this.saturated = kernel.name === 'rate' ? saturated(kernel.power, targets.y, targets.weights) : 0;
    this.isConstant = targets.weights === null && (kernel.name === 'huber' || kernel.name === 'pinball');
  }

  get raw(): readonly Address[] {
    return this.columns.raw;
  }
  get y(): Address {
    return this.columns.y;
  }
  get weights(): Address {
    return this.columns.weights;
  }

  refresh(): number {
    const { kernel, pairs, notes } = this;
    const { memory, rows, raw, y, weights, total } = this.columns;
    const { call } = memory;
    switch (kernel.name) {
      case 'logistic':
        call.logistic(rows, raw[0], y, weights, pairs, notes);
        return this.columns.read(1)[0] / total;
      case 'huber': {
        call.huber(rows, raw[0], y, weights, pairs, notes, kernel.delta);
        const mean = this.columns.read(1)[0] / total;
        return kernel.delta === Infinity ? Math.sqrt(2 * mean) : mean;
      }
      case 'pinball':
        call.pinball(rows, raw[0], y, weights, pairs, notes, kernel.over, kernel.under);
        return this.columns.read(1)[0] / total;
      case 'rate': {
        call.rate(rows, raw[0], y, weights, pairs, notes, kernel.power, kernel.caution);
        const [ya, b, f, yf] = this.columns.read(4);
        return devianceOf(kernel.power, { ya, b, f, yf }, this.saturated) / total;
      }
    }
  }

  write(_k: number, count: number): Scale {
    return this.columns.scale(count, this.isConstant);
  }
}

class SoftmaxDerivatives implements Derivatives {
  private readonly columns: Columns;
  private readonly probabilities: Address;
  private readonly stride: number;

  constructor(
    memory: KernelMemory,
    targets: Targets,
    base: Float32Array,
    private readonly pairs: Address,
    private readonly notes: Address,
  ) {
    this.columns = new Columns(memory, targets, base, notes);
    this.stride = Math.ceil(this.columns.padded / 16) * 64;
    this.probabilities = memory.allocate(base.length * this.stride);
  }

  get raw(): readonly Address[] {
    return this.columns.raw;
  }
  get y(): Address {
    return this.columns.y;
  }
  get weights(): Address {
    return this.columns.weights;
  }

  refresh(): number {
    const { memory, rows, raw, rawStride, y, weights, total } = this.columns;
    const { probabilities, stride, notes } = this;
    memory.call.softmax(rows, raw[0], rawStride, y, weights, raw.length, probabilities, stride, notes);
    return this.columns.read(1)[0] / total;
  }

  write(k: number, count: number): Scale {
    const { memory, rows, raw, y, weights } = this.columns;
    const { pairs, notes } = this;
    const factor = softmaxFactor(raw.length);
    memory.call.oneClass(rows, k, y, weights, this.probabilities + k * this.stride, pairs, notes, factor);
    this.columns.read(0);
    return this.columns.scale(count, false);
  }
}

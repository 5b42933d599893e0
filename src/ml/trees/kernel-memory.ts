/**
 * The kernels (src/ml/kernels, compiled to WebAssembly) with the one memory that they and their threads work on. Space is
 * given out upwards and taken back only as a whole; arrays over it stay valid while the memory grows.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { SpecError } from '../core/spec-error.js';

/** An address: bytes from the start of the memory, a multiple of 64. */
export type Address = number;

/** The calls of kernels/index.ts. */
export interface KernelCalls {
  sort(columns: number, values: Address, stride: number, counts: Address, spare: Address): void;
  bin(rows: number, values: Address, bins: Address, binCount: number): void;
  interleave(
    rows: number,
    columns: Address,
    stride: number,
    width: number,
    features: number,
    panes: Address,
    paneBytes: number,
    rowBytes: number,
  ): void;
  logistic(rows: number, raw: Address, y: Address, weights: Address, pairs: Address, notes: Address): void;
  huber(rows: number, raw: Address, y: Address, weights: Address, pairs: Address, notes: Address, delta: number): void;
  pinball(
    rows: number,
    raw: Address,
    y: Address,
    weights: Address,
    pairs: Address,
    notes: Address,
    over: number,
    under: number,
  ): void;
  rate(
    rows: number,
    raw: Address,
    y: Address,
    weights: Address,
    pairs: Address,
    notes: Address,
    power: number,
    caution: number,
  ): void;
  softmax(
    rows: number,
    raw: Address,
    rawStride: number,
    y: Address,
    weights: Address,
    outputs: number,
    probabilities: Address,
    stride: number,
    notes: Address,
  ): void;
  oneClass(
    rows: number,
    k: number,
    y: Address,
    weights: Address,
    probabilities: Address,
    pairs: Address,
    notes: Address,
    factor: number,
  ): void;
  renewQuantile: Renew;
  renewHuber: Renew;
  quantise: Quantise;
  quantiseDrawn: Quantise;
  setTable(
    entries: Address,
    panes: Address,
    paneBytes: number,
    paneWidth: number,
    rowBytes: number,
    width: number,
    parts: Address,
    features: number,
    binCounts: Address,
    directions: Address,
    found: Address,
  ): void;
  setPenalties(lambda: number, alpha: number, setLambda: number, smooth: number): void;
  setGoal(which: 0 | 1, g: number, h: number, minH: number, least: number, heavy: number): void;
  setBounds(which: 0 | 1, free: 0 | 1, low: number, high: number): void;
  node(begin: number, end: number, child: Address, parent: Address): void;
  divide(begin: number, end: number, entries: Address, spare: Address, bins: Address, counts: Address): number;
  settle(begin: number, end: number, middle: number): void;
  leaves(
    groups: number,
    rows: number,
    count: number,
    leaves: Address,
    entries: Address,
    pairs: Address,
    raw: Address,
    rate: number,
    lambda: number,
    alpha: number,
    bounds: Address,
    values: Address,
  ): void;
  walk(rows: number, columns: Address, stride: number, nodes: Address, raw: Address): void;
  grow(count: number, forest: Address, trees: Address, work: number): void;
  answer(
    rows: number,
    block: Address,
    stride: number,
    trees: Address,
    treeCount: number,
    width: number,
    raw: Address,
    outputs: number,
  ): void;
  lowOf(thread: number): Address;
  highOf(thread: number): Address;
  setThreads(count: number): void;
  close(): void;
}

type Renew = (
  count: number,
  ranges: Address,
  entries: Address,
  spare: Address,
  raw: Address,
  y: Address,
  weights: Address,
  how: number,
  rate: number,
  values: Address,
) => void;

type Quantise = (
  rows: number,
  pairs: Address,
  entries: Address,
  notes: Address,
  scaleG: number,
  scaleH: number,
  seed: number,
) => void;

/** Sizes that kernels and callers agree on: kernels/control.ts. */
export const CHUNK = 2048;
export const PART = 8192;
export const NOTE_BYTES = 64;
export const HISTOGRAM_BYTES = 2048;
export const FOUND_BYTES = 64;
export const LEAF_BYTES = 48;
export const TABLE_AT: Address = 1024;
export const CUTS_AT: Address = 2048;
const FREE_AT: Address = 327_680;

/** More threads would need more than blocks of features to share out at small nodes. */
const MOST_THREADS = 2;
/** Cells (rows x features) from which a second thread is worth its start of some 40 ms. */
const CELLS_FOR_THREADS = 1_000_000;
const PAGE = 65_536;
const MOST_PAGES = 65_536;

/** Threads for a table of so many cells on this machine. The number makes no difference to any result. */
export function threadsFor(cells: number): number {
  return cells < CELLS_FOR_THREADS ? 1 : Math.min(MOST_THREADS, availableParallelism());
}

/** What is used of WebAssembly, which Node's types leave out. */
interface Wasm {
  Module: new (bytes: Uint8Array) => object;
  Memory: new (size: { initial: number; maximum: number; shared: true }) => WasmMemory;
  Instance: new (module: object, imports: { env: { memory: WasmMemory } }) => { readonly exports: unknown };
}
interface WasmMemory {
  readonly buffer: SharedArrayBuffer;
  grow(pages: number): number;
}
const { WebAssembly: wasm } = globalThis as unknown as { readonly WebAssembly: Wasm };

let compiled: object | undefined;

const HELPER = `
  const { workerData: { module, memory, thread } } = require('node:worker_threads');
  new WebAssembly.Instance(module, { env: { memory } }).exports.help(thread);
`;

export class KernelMemory {
  readonly call: KernelCalls;
  private readonly memory: WasmMemory;
  private readonly helpers: Promise<unknown>[] = [];
  private free = FREE_AT;

  /**
   * Helpers start in the background and join in when they are there. Whoever makes a memory closes it.
   * @param mostBytes that will be allocated, where it is known: addresses are set aside for no more
   */
  constructor(
    readonly threads: number,
    mostBytes = MOST_PAGES * PAGE,
  ) {
    compiled ??= new wasm.Module(readFileSync(new URL('../kernels/kernels.wasm', import.meta.url)));
    const maximum = Math.min(MOST_PAGES, Math.ceil((FREE_AT + mostBytes) / PAGE) + 1);
    this.memory = new wasm.Memory({ initial: 6, maximum, shared: true });
    const { exports } = new wasm.Instance(compiled, { env: { memory: this.memory } });
    this.call = exports as KernelCalls;
    this.call.setThreads(threads);
    for (let thread = 1; thread < threads; thread++) {
      const worker = new Worker(HELPER, {
        eval: true,
        execArgv: [],
        resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 },
        workerData: { module: compiled, memory: this.memory, thread },
      });
      // A helper that cannot start is not missed: the others find its tasks unclaimed.
      worker.on('error', () => {});
      this.helpers.push(new Promise((resolve) => worker.once('exit', resolve)));
    }
  }

  /** @throws SpecError DATA_TOO_LARGE when more than 4 GB would be in use. */
  allocate(bytes: number): Address {
    const at = this.free;
    this.free = at + Math.ceil(bytes / 64) * 64;
    const missing = Math.ceil((this.free - this.memory.buffer.byteLength) / PAGE);
    if (this.free > MOST_PAGES * PAGE) {
      throw new SpecError(
        'DATA_TOO_LARGE',
        'features',
        'The table does not fit the 4 GB that tree models are trained in: take fewer rows, columns or classes, or a linear model.',
      );
    }
    if (missing > 0) this.memory.grow(missing);
    return at;
  }

  /** What is allocated meanwhile is given back: for space that is needed for a while only. */
  async borrow<T>(use: () => Promise<T>): Promise<T> {
    const { free } = this;
    const result = await use();
    this.free = free;
    return result;
  }

  bytes(at: Address, length: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, at, length);
  }
  int32(at: Address, length: number): Int32Array {
    return new Int32Array(this.memory.buffer, at, length);
  }
  uint32(at: Address, length: number): Uint32Array {
    return new Uint32Array(this.memory.buffer, at, length);
  }
  float32(at: Address, length: number): Float32Array {
    return new Float32Array(this.memory.buffer, at, length);
  }
  float64(at: Address, length: number): Float64Array {
    return new Float64Array(this.memory.buffer, at, length);
  }

  /** Ends the helpers. */
  async close(): Promise<void> {
    this.call.close();
    await Promise.all(this.helpers);
  }
}

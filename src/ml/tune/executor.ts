/**
 * Where trials are judged: on this thread, or on several. The table is laid once into shared memory, which all threads read; a thread
 * that dies fails the trial it was at, and another takes its place.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type ResourceLimits, Worker } from 'node:worker_threads';
import { Pace } from '../core/pace.js';
import { SpecError, type SpecErrorCode } from '../core/spec-error.js';
import { type Column, type Table } from '../core/table.js';
import { judge, type Outcome, type Task } from './judge.js';
import { type Panel, type PanelShape } from './panel.js';
import { type StudySpec } from './study.js';

export interface Executor {
  /** Tasks at a time. */
  readonly width: number;
  /** @throws SpecError, ThreadLost, the signal's reason, or whatever else broke the trial */
  run(task: Task, signal: AbortSignal): Promise<Outcome>;
  close(): Promise<void>;
}

/** The thread died: out of memory, or by an error that nobody caught. */
export class ThreadLost extends Error {
  override readonly name = 'ThreadLost';
}

/** One at a time, on this thread, which goes on hearing messages. */
export function localExecutor(panel: Panel, now: () => number): Executor {
  return {
    width: 1,
    run: (task, signal) => judge(panel, task, { pace: new Pace(signal), now }),
    close: async () => {},
  };
}

/** What a thread is started with. */
export interface ThreadStart {
  readonly spec: StudySpec;
  readonly table: Table;
  readonly assignment: Uint8Array;
  readonly shape: PanelShape;
}
export type ToThread = { readonly type: 'run'; readonly task: Task } | { readonly type: 'abort' };
export type FromThread =
  | { readonly type: 'outcome'; readonly outcome: Outcome }
  | { readonly type: 'error'; readonly code: SpecErrorCode | null; readonly field: string; readonly message: string };

/** @param limits of the memory of each thread's own heap; by default the process's */
export function threadExecutor(start: ThreadStart, width: number, limits: ResourceLimits = {}): Executor {
  const shared = { ...start, table: shareTable(start.table), assignment: shareArray(start.assignment) };
  const idle: Thread[] = [];
  const all = new Set<Thread>();
  return {
    width,
    async run(task, signal) {
      const thread = idle.pop() ?? new Thread(shared, limits);
      all.add(thread);
      try {
        return await thread.run(task, signal);
      } finally {
        if (thread.isAlive) idle.push(thread);
        else all.delete(thread);
      }
    },
    close: async () => void (await Promise.all([...all].map((thread) => thread.end()))),
  };
}

class Thread {
  isAlive = true;
  private readonly worker: Worker;
  private answer: ((news: FromThread) => void) | null = null;
  private lose: ((error: Error) => void) | null = null;

  constructor(start: ThreadStart, limits: ResourceLimits) {
    this.worker = startWorker(new URL('./trial-thread.js', import.meta.url), start, limits);
    this.worker.on('message', (news: FromThread) => this.answer?.(news));
    const lost = (): void => {
      this.isAlive = false;
      this.lose?.(new ThreadLost('The thread of the trial was lost.'));
    };
    this.worker.on('error', lost);
    this.worker.on('exit', lost);
  }

  async run(task: Task, signal: AbortSignal): Promise<Outcome> {
    signal.throwIfAborted();
    // Not terminated: inside ONNX Runtime that would end the whole process. A fit hears a message within some 50 ms.
    const abort = (): void => this.tell({ type: 'abort' });
    signal.addEventListener('abort', abort);
    try {
      const news = await new Promise<FromThread>((resolve, reject) => {
        this.answer = resolve;
        this.lose = reject;
        this.tell({ type: 'run', task });
      });
      if (news.type === 'outcome') return news.outcome;
      signal.throwIfAborted();
      if (news.code === null) throw new Error('The trial broke on its thread.');
      throw new SpecError(news.code, news.field, news.message);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  async end(): Promise<void> {
    await this.worker.terminate();
  }

  private tell(message: ToThread): void {
    this.worker.postMessage(message);
  }
}

/** The built file, or the source beside it through tsx (tests and benchmarks). */
function startWorker(program: URL, workerData: ThreadStart, resourceLimits: ResourceLimits): Worker {
  if (existsSync(program)) return new Worker(program, { workerData, resourceLimits, execArgv: [] });
  const source = program.href.replace(/\.js$/, '.ts');
  const tsx = pathToFileURL(createRequire(fileURLToPath(source)).resolve('tsx/esm/api')).href.replace(/\.cjs$/, '.mjs');
  const load = `import('${tsx}').then(({ register }) => { register(); return import('${source}'); })`;
  return new Worker(load, { eval: true, workerData, resourceLimits, execArgv: [] });
}

/** The same columns over memory that threads share. */
function shareTable({ rowCount, columns }: Table): Table {
  const share = (column: Column): Column =>
    column.kind === 'category'
      ? { ...column, codes: shareArray(column.codes) }
      : { ...column, values: shareArray(column.values) };
  return { rowCount, columns: columns.map(share) };
}

function shareArray<T extends Uint8Array | Int32Array | Float64Array>(array: T): T {
  if (array.buffer instanceof SharedArrayBuffer) return array;
  const Kind = array.constructor as new (buffer: SharedArrayBuffer) => T;
  const copy = new Kind(new SharedArrayBuffer(array.byteLength));
  copy.set(array);
  return copy;
}

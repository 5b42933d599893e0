import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { AppError, ERRORS, type ErrorCode } from './errors.js';

/** What a child needs beside the data: code, stacks of its threads, the shared libraries' own data. Measured: 130 to 180 MB. */
const BASE_MB = 256;
/** From the polite message to SIGKILL. A cancelled job is to be gone within a second. */
const GRACE_MS = 400;
const STDERR_KEPT = 4096;

export interface ChildOptions<Progress> {
  /** `new URL('./x-child.js', import.meta.url)`; where there is only `x-child.ts` (tests), that is run through tsx. */
  readonly program: URL;
  /** Structured-cloned to the child: ids, keys, typed arrays. It is all that the child gets. */
  readonly input: unknown;
  /** Limits the data of the process (`ulimit -d`), typed arrays and native libraries included. */
  readonly memoryLimitMb: number;
  /** Aborted: the child is asked to stop, then killed; the promise rejects with the signal's reason once it is gone. */
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  /** What the child waits for, one question at a time. A rejection ends the child, and is what the promise rejects with. */
  readonly onQuestion?: (question: never) => Promise<unknown>;
  /** Tests kill it. */
  readonly onStart?: (pid: number) => void;
}

/**
 * A child that ended without a result. `childName` and `code` are those of the error thrown there; the message of an unknown
 * error stays in the child, because libraries put rows into theirs.
 */
export class ChildError extends Error {
  override readonly name = 'ChildError';

  constructor(
    message: string,
    readonly childName: string | null = null,
    readonly code: string | null = null,
    readonly field: string | null = null,
  ) {
    super(message);
  }
}

type FromChild =
  | { readonly type: 'progress'; readonly progress: unknown }
  | { readonly type: 'question'; readonly question: unknown }
  | { readonly type: 'result'; readonly result: unknown }
  | { readonly type: 'error'; readonly error: SentError };
type ToChild =
  | { readonly type: 'start'; readonly input: unknown }
  | { readonly type: 'answer'; readonly answer: unknown }
  | { readonly type: 'stop' };
/** What a child ends with. */
type Last = Exclude<FromChild, { type: 'progress' | 'question' }>;

interface SentError {
  readonly name: string;
  /** Null unless the error is one whose message is meant for people. */
  readonly message: string | null;
  readonly code: string | null;
  readonly field: string | null;
  readonly remedy: string | null;
  readonly stack: string;
  readonly outOfMemory: boolean;
}

/**
 * Runs `program` (which calls `serveChild`) in a process of its own: limited in memory, without any of this process's
 * environment (no database address, no master key), killed on abort and when this process is gone.
 *
 * Throws AppError thrown in the child, OUT_OF_MEMORY, the signal's reason, or ChildError.
 */
export async function runChild<Result, Progress = object>(options: ChildOptions<Progress>): Promise<Result> {
  options.signal.throwIfAborted();
  const child = spawnLimited(options.program, options.memoryLimitMb);
  let stderr = '';
  child.stderr!.on('data', (text: Buffer) => {
    stderr = (stderr + text.toString('latin1')).slice(-STDERR_KEPT);
  });
  let outcome: Last | null = null;
  let unanswered: { readonly error: unknown } | null = null;
  child.on('message', (message: FromChild) => {
    if (message.type === 'progress') options.onProgress?.(message.progress as Progress);
    else if (message.type === 'question') void answer(message.question);
    else outcome = message;
  });
  let grace: NodeJS.Timeout | undefined;
  const stop = () => {
    tell(child, { type: 'stop' });
    grace = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
  };
  const answer = async (question: unknown) => {
    try {
      tell(child, { type: 'answer', answer: await options.onQuestion!(question as never) });
    } catch (error) {
      unanswered = { error };
      stop();
    }
  };
  const ended = new Promise<NodeJS.Signals | number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(signal ?? code ?? 0));
  });
  options.signal.addEventListener('abort', stop, { once: true });
  try {
    if (child.pid !== undefined) options.onStart?.(child.pid);
    tell(child, { type: 'start', input: options.input });
    const end = await ended;
    options.signal.throwIfAborted();
    if (unanswered !== null) throw (unanswered as { readonly error: unknown }).error;
    return resultOf<Result>(outcome, end, { stderr, memoryLimitMb: options.memoryLimitMb });
  } finally {
    clearTimeout(grace);
    options.signal.removeEventListener('abort', stop);
    child.kill('SIGKILL');
  }
}

function spawnLimited(program: URL, memoryLimitMb: number): ChildProcess {
  const limitKb = (memoryLimitMb + BASE_MB) * 1024;
  const node = [process.execPath, `--max-old-space-size=${memoryLimitMb}`, '--disable-warning=ExperimentalWarning'];
  return spawn(
    '/bin/sh',
    ['-c', 'ulimit -c 0; ulimit -d "$1"; shift; exec "$@"', 'sh', String(limitKb), ...node, ...runnable(program)],
    {
      // Not where we are: a relative path in hostile input must lead nowhere.
      cwd: '/',
      env: {
        PATH: process.env.PATH,
        LANG: 'C.UTF-8',
        TZ: 'UTC',
        // Give freed memory back: ONNX Runtime and DuckDB return theirs to malloc only.
        MALLOC_TRIM_THRESHOLD_: '131072',
        MALLOC_MMAP_THRESHOLD_: '131072',
        // One arena: arenas of many threads would count 64 MB each against the limit.
        MALLOC_ARENA_MAX: '2',
      },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      serialization: 'advanced',
    },
  );
}

/** The built file, or the source beside it through tsx. */
function runnable(program: URL): string[] {
  const file = fileURLToPath(program);
  if (existsSync(file)) return [file];
  const tsx = createRequire(program).resolve('tsx');
  return ['--import', tsx, file.replace(/\.js$/, '.ts')];
}

function tell(child: ChildProcess, message: ToChild): void {
  // A child that is gone already reports itself by its exit.
  if (child.connected) child.send(message, () => undefined);
}

const OUT_OF_MEMORY =
  /heap out of memory|Array buffer allocation failed|bad_alloc|Cannot allocate memory|Fatal process out of memory/i;

function resultOf<Result>(
  outcome: Last | null,
  end: NodeJS.Signals | number,
  { stderr, memoryLimitMb }: { stderr: string; memoryLimitMb: number },
): Result {
  if (outcome?.type === 'result') return outcome.result as Result;
  if (outcome ? outcome.error.outOfMemory : end !== 'SIGKILL' && OUT_OF_MEMORY.test(stderr))
    throw new AppError(
      'OUT_OF_MEMORY',
      `The work needed more than the ${memoryLimitMb} MB of memory that this job may use.`,
    );
  if (!outcome) throw new ChildError(`The child process ended by ${end} without a result.`);
  throw rebuild(outcome.error);
}

function rebuild(sent: SentError): Error {
  if (sent.name === 'AppError' && sent.code !== null && sent.code in ERRORS) {
    const details = { field: sent.field ?? undefined, remedy: sent.remedy ?? undefined };
    return new AppError(sent.code as ErrorCode, sent.message ?? '', details);
  }
  const error = new ChildError(sent.message ?? `${sent.name} in the child process`, sent.name, sent.code, sent.field);
  error.stack = `ChildError: ${error.message}\n${sent.stack}`;
  return error;
}

export interface ChildContext<Progress> {
  readonly progress: (progress: Progress) => void;
  /** What the parent answers; one question at a time. Never resolves if the parent ends the child instead. */
  readonly ask: <Answer>(question: unknown) => Promise<Answer>;
  readonly signal: AbortSignal;
}

/** The child's side: takes one input, gives one result, ends. Ends at once when the parent is gone, even in the midst of a loop. */
export function serveChild<Input, Result, Progress = object>(
  work: (input: Input, context: ChildContext<Progress>) => Promise<Result>,
): void {
  if (!process.send) throw new Error('This program is started by a worker.');
  watchParent();
  const abort = new AbortController();
  let heard: (answer: never) => void = () => undefined;
  const ask = <Answer>(question: unknown) =>
    new Promise<Answer>((resolve) => {
      heard = resolve as typeof heard;
      process.send!({ type: 'question', question });
    });
  process.once('disconnect', () => process.exit(1));
  process.on('message', (message: ToChild) => {
    if (message.type === 'stop') abort.abort(new Error('Stopped.'));
    else if (message.type === 'answer') heard(message.answer as never);
    else {
      const progress = (value: Progress) => void process.send!({ type: 'progress', progress: value });
      work(message.input as Input, { progress, ask, signal: abort.signal }).then(
        (result) => leave({ type: 'result', result }),
        (error: unknown) => leave({ type: 'error', error: describe(error) }),
      );
    }
  });
}

function leave(last: FromChild): void {
  process.send!(last, () => process.exit(0));
}

/** A disconnect is noticed only when the event loop turns; native calls can last. A thread looks after the parent meanwhile. */
function watchParent(): void {
  const watch = `
    const { workerData: parent } = require('node:worker_threads');
    setInterval(() => { if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL'); }, 500);
  `;
  // Who the parent is, the thread must be told: by the time that it runs, the parent may be gone and another one in its place.
  const options = { eval: true, execArgv: [], stderr: true, resourceLimits: { maxOldGenerationSizeMb: 8 } };
  new Worker(watch, { ...options, workerData: process.ppid }).unref();
}

/** Errors whose messages are written for people and hold no cell values. */
const SPEAKING = new Set(['AppError', 'SpecError']);

function describe(error: unknown): SentError {
  if (!(error instanceof Error)) {
    return { name: 'Error', message: null, code: null, field: null, remedy: null, stack: '', outOfMemory: false };
  }
  const { code, field, remedy } = error as { code?: unknown; field?: unknown; remedy?: unknown };
  const text = (value: unknown) => (typeof value === 'string' ? value : null);
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return {
    name: error.name,
    message: SPEAKING.has(error.name) ? error.message : null,
    code: text(code),
    field: text(field),
    remedy: text(remedy),
    stack: frames.join('\n'),
    outOfMemory: OUT_OF_MEMORY.test(error.message),
  };
}

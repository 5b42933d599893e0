/**
 * Threads over one memory. The main thread announces a call; it and its helpers claim tasks by counting down; the call returns
 * when all are done. A helper that is late finds nothing left to claim, so nobody waits for a thread that has no processor.
 */
import { int, setInt } from './control';
import { perform } from './tasks';

/** Tasks not yet claimed (below zero: somebody asked in vain), tasks done, sleepers of either kind. A cache line each. */
const OPEN: usize = 0;
const DONE: usize = 64;
const HELPERS_ASLEEP: usize = 128;
const MAIN_ASLEEP: usize = 192;
const OPERATION: i32 = 30;
const THREADS: i32 = 31;
const CLOSED: usize = 256;

/** Looks for work this often before it goes to sleep: for longer than a split takes between two calls. */
const SPINS: i32 = 50000;
/** A task takes milliseconds; a helper silent for so long is gone. */
const PATIENCE_NS: i64 = 120_000_000_000;

export function setThreads(count: i32): void {
  setInt(THREADS, count);
}

export function threads(): i32 {
  return int(THREADS);
}

/** Performs tasks 0 … count-1, on all threads. */
export function run(operation: i32, count: i32): void {
  if (int(THREADS) < 2 || count < 2) {
    for (let task = 0; task < count; task++) perform(operation, task, 0);
    return;
  }
  setInt(OPERATION, operation);
  atomic.store<i32>(DONE, 0);
  atomic.store<i32>(OPEN, count);
  if (atomic.load<i32>(HELPERS_ASLEEP) > 0) atomic.notify(OPEN, -1);
  work(0);
  for (let i = 0; i < SPINS; i++) if (atomic.load<i32>(DONE) == count) return;
  atomic.store<i32>(MAIN_ASLEEP, 1);
  for (let done = atomic.load<i32>(DONE); done != count; done = atomic.load<i32>(DONE))
    if (atomic.wait<i32>(DONE, done, PATIENCE_NS) == 2) unreachable();
  atomic.store<i32>(MAIN_ASLEEP, 0);
}

function work(thread: i32): void {
  for (;;) {
    const task = atomic.sub<i32>(OPEN, 1) - 1;
    if (task < 0) return;
    perform(int(OPERATION), task, thread);
    atomic.add<i32>(DONE, 1);
    if (thread > 0 && atomic.load<i32>(MAIN_ASLEEP) == 1) atomic.notify(DONE, 1);
  }
}

/** The life of a helper: works until `close`. */
export function help(thread: i32): void {
  while (atomic.load<i32>(CLOSED) == 0) {
    work(thread);
    let spins = 0;
    while (atomic.load<i32>(OPEN) <= 0 && spins < SPINS) spins++;
    if (spins < SPINS) continue;
    atomic.add<i32>(HELPERS_ASLEEP, 1);
    const open = atomic.load<i32>(OPEN);
    if (open <= 0 && atomic.load<i32>(CLOSED) == 0) atomic.wait<i32>(OPEN, open, -1);
    atomic.sub<i32>(HELPERS_ASLEEP, 1);
  }
}

/** Sends the helpers home. */
export function close(): void {
  atomic.store<i32>(CLOSED, 1);
  atomic.sub<i32>(OPEN, 1);
  atomic.notify(OPEN, -1);
}

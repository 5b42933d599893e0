import type { Logger } from '../src/platform/log.js';

export interface Repeating {
  /** Does it soon, whatever the interval. */
  readonly now: () => void;
  close(): Promise<void>;
}

/** Between two runs at least: a burst of notifications becomes one run. */
const PAUSE_MS = 20;

/** Runs `work` every `intervalMs` and when asked, one run at a time. A failure is logged and the next run tries again. */
export function every(intervalMs: number, log: Logger, work: () => Promise<void>): Repeating {
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | null = null;
  let again = false;
  let closed = false;
  const schedule = (afterMs: number) => {
    clearTimeout(timer);
    if (!closed) timer = setTimeout(start, afterMs);
  };
  const start = () => {
    again = false;
    running = work()
      .catch((error: unknown) => log.error({ error: (error as Error).message }, 'periodic work failed'))
      .then(() => {
        running = null;
        schedule(again ? PAUSE_MS : intervalMs);
      });
  };
  schedule(0);
  return {
    now: () => {
      if (running) again = true;
      else if (!again) {
        again = true;
        schedule(PAUSE_MS);
      }
    },
    close: async () => {
      closed = true;
      clearTimeout(timer);
      await running;
    },
  };
}

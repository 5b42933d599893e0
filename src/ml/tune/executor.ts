/** Where trials are judged: here, or on threads. */
import { Pace } from '../core/pace.js';
import { judge, type Outcome, type Task } from './judge.js';
import { type Panel } from './panel.js';

export interface Executor {
  /** Tasks at a time. */
  readonly width: number;
  /** @throws SpecError, the signal's reason, or whatever else broke the trial */
  run(task: Task, signal: AbortSignal): Promise<Outcome>;
  close(): Promise<void>;
}

/** One at a time, on this thread, which goes on hearing messages. */
export function localExecutor(panel: Panel, now: () => number): Executor {
  return {
    width: 1,
    run: (task, signal) => judge(panel, task, { pace: new Pace(signal), now }),
    close: async () => {},
  };
}

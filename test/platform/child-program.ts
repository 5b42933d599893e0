import { AppError } from '../../src/platform/errors.js';
import { serveChild } from '../../src/platform/child.js';

/** What the tests of `runChild` make a child do. */
export type Task =
  | { do: 'double'; values: Float64Array }
  | { do: 'environment' }
  | { do: 'progress'; rounds: number }
  | { do: 'sleep' }
  | { do: 'loop' }
  | { do: 'refuse' }
  | { do: 'throw' }
  | { do: 'heap' }
  | { do: 'buffers' }
  | { do: 'die' };

serveChild<Task, unknown, { round: number }>(async (task, { progress, signal }) => {
  switch (task.do) {
    case 'double':
      return task.values.map((value) => 2 * value);
    case 'environment':
      return { names: Object.keys(process.env), cwd: process.cwd() };
    case 'progress':
      for (let round = 1; round <= task.rounds; round++) progress({ round });
      return null;
    case 'sleep':
      progress({ round: 0 });
      return new Promise((_, reject) => {
        const timer = setInterval(() => undefined, 1000);
        signal.addEventListener('abort', () => {
          clearInterval(timer);
          reject(signal.reason as Error);
        });
      });
    case 'loop':
      progress({ round: 0 });
      await new Promise((resolve) => setTimeout(resolve, 100));
      for (;;) Math.sqrt(2);
    case 'refuse':
      throw new AppError('INVALID_INPUT', 'Not like this.', { field: 'input.target' });
    case 'throw':
      throw new Error('row 17: Jane Doe');
    case 'heap': {
      const kept: object[] = [];
      for (;;) kept.push({ at: kept.length, text: `${kept.length}` });
    }
    case 'buffers': {
      const kept: Float64Array[] = [];
      for (;;) kept.push(new Float64Array(1 << 20).fill(1));
    }
    case 'die':
      process.kill(process.pid, 'SIGKILL');
      return new Promise(() => undefined);
  }
});

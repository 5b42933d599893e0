/** A thread that judges one trial after another (executor.ts starts it). */
import { parentPort, workerData } from 'node:worker_threads';
import { Pace } from '../core/pace.js';
import { SpecError } from '../core/spec-error.js';
import { type FromThread, type ThreadStart, type ToThread } from './executor.js';
import { judge } from './judge.js';
import { makePanel, type Panel } from './panel.js';

const { spec, table, assignment, shape } = workerData as ThreadStart;
let panel: Panel | null = null;
let abort = new AbortController();

parentPort!.on('message', (message: ToThread) => {
  if (message.type === 'abort') {
    abort.abort(new Error('Stopped.'));
    return;
  }
  abort = new AbortController();
  panel ??= makePanel(spec, table, assignment, shape);
  judge(panel, message.task, { pace: new Pace(abort.signal), now: () => performance.now() }).then(
    (outcome) => tell({ type: 'outcome', outcome }),
    (error: unknown) => tell(described(error)),
  );
});

function tell(news: FromThread): void {
  parentPort!.postMessage(news);
}

function described(error: unknown): FromThread {
  if (error instanceof SpecError)
    return { type: 'error', code: error.code, field: error.field, message: error.message };
  return { type: 'error', code: null, field: '', message: '' };
}

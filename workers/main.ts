import { pathToFileURL } from 'node:url';
import { type App, openApp } from '../src/app.js';
import { ConfigError, loadConfig } from '../src/config.js';
import { UnfitDatabaseError } from '../src/platform/db.js';
import { QUEUES } from '../src/platform/jobs.js';
import { consume, openQueues } from '../src/platform/queue.js';
import { type Endings, type Processors, runJob } from './processor.js';
import { startRelay } from './relay.js';
import { startSweep } from './sweep.js';

export interface Workers {
  /** Gives running jobs back to the queue and ends. */
  close(): Promise<void>;
}

/** Relay, sweep and one consumer per queue. Any number of processes may do this at once. */
export function startWorkers(app: App, processors: Processors, endings: Endings): Workers {
  const stop = new AbortController();
  const host = { app, processors, endings, stop: stop.signal };
  const queues = openQueues(app.config, app.log);
  const relay = startRelay(app, queues, app.listener);
  const sweep = startSweep(host, queues);
  const consumers = QUEUES.map((queue) =>
    consume({
      config: app.config,
      queue,
      concurrency: app.config.workerConcurrency,
      run: (payload) => runJob(host, payload),
      log: app.log,
    }),
  );
  return {
    close: async () => {
      stop.abort();
      await Promise.all([relay.close(), sweep.close(), ...consumers.map((consumer) => consumer.close())]);
      await queues.close();
    },
  };
}

const LEAVE_MS = 8000;

async function main(): Promise<void> {
  const app = await openApp(loadConfig(process.env), 'worker');
  const { PROCESSORS, ENDINGS } = await import('./processors.js');
  const workers = startWorkers(app, PROCESSORS, ENDINGS);
  app.log.info(
    { concurrency: app.config.workerConcurrency, queues: app.config.redisUrl ? 'redis' : 'postgresql' },
    'workers ready',
  );
  process.send?.('ready');
  let leaving = false;
  const leave = () => {
    if (leaving) return;
    leaving = true;
    // Without a database nothing can be given back; the sweep of another worker finds it.
    setTimeout(() => process.exit(1), LEAVE_MS).unref();
    workers
      .close()
      .then(() => app.close())
      .then(
        () => process.exit(0),
        (error: unknown) => {
          app.log.error({ error: (error as Error).message }, 'end of the worker');
          process.exit(1);
        },
      );
  };
  process.on('SIGTERM', leave);
  process.on('SIGINT', leave);
  // Started by a launcher that is gone.
  process.on('disconnect', leave);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  main().catch((error: unknown) => {
    const misconfigured = error instanceof ConfigError || error instanceof UnfitDatabaseError;
    process.stderr.write(`${misconfigured ? error.message : String((error as Error).stack ?? error)}\n`);
    process.exit(misconfigured ? 78 : 1);
  });
}

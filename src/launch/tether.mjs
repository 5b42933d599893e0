// @ts-check
// Loaded with --import into the API and the workers: when the launcher is gone, in whatever way, the channel to it closes
// and the process stops as if told to. Processes forked from these inherit it.
import { isMainThread } from 'node:worker_threads';

const GRACE_MS = 8_000;

if (isMainThread && process.channel) {
  process.once('disconnect', () => {
    setTimeout(() => process.exit(1), GRACE_MS).unref();
    process.kill(process.pid, 'SIGTERM');
  });
  process.channel.unref(); // must not by itself keep the process alive
}

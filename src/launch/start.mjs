// @ts-check
import { watch } from 'node:fs';
import { join } from 'node:path';
import { ensureBuilt } from './build.mjs';
import { homePath, openHome } from './home.mjs';
import { ensureInstalled } from './install.mjs';
import { checkPort, readAddress } from './port.mjs';
import { spawnTethered, watchNpm } from './process.mjs';
import { startConcordat } from './supervise.mjs';

/**
 * The one-command start: installs, builds, starts and stays until it is told to stop.
 * @param {object} options
 * @param {string} options.root
 * @param {boolean} options.isDev compile and restart whenever a source changes
 * @param {Parameters<typeof startConcordat>[0]['scripts']} [options.scripts]
 * @returns {Promise<number>} the exit code
 */
export async function start({ root, isDev, scripts }) {
  const say = (/** @type {string} */ text) => console.log(text);
  const stopping = stopSignal();
  const address = readAddress(process.env);
  const home = await openHome(homePath(root)); // first, since “already running” says more than “port in use”
  address.port = await checkPort(address.port, address.host);
  let running;
  try {
    // A tethered npm or compiler ends with this process, so an interrupted one need not be waited for.
    if (!scripts) {
      await Promise.race([ensureInstalled(root, say), aborted(stopping)]);
      await Promise.race([ensureBuilt(root, say), aborted(stopping)]);
    }
    running = await startConcordat({ root, home: home.path, address, say, scripts, signal: stopping });
  } catch (error) {
    if (stopping.aborted) return 0;
    throw error;
  }
  home.lock.note({ pid: process.pid, url: running.url });
  banner(running, home.path, say);
  const watching = isDev ? rebuild(root, running.restart, say) : undefined;
  try {
    await running.failed;
  } catch (error) {
    if (stopping.aborted) say('\nStopping …');
    watching?.();
    await running.stop();
    if (!stopping.aborted) throw error;
  } finally {
    await home.lock.release();
  }
  say('Stopped.');
  return 0;
}

/** @returns {AbortSignal} aborted by Ctrl-C, by SIGTERM, by a closed terminal and by the death of npm */
export function stopSignal() {
  const controller = new AbortController();
  // Also the second of them: npm passes on a Ctrl-C that the terminal has sent to us already.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => controller.abort(new Error(signal)));
  watchNpm(() => controller.abort(new Error('npm is gone')));
  // A terminal or reader that went away must not end us before the children are stopped.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  return controller.signal;
}

/** @param {AbortSignal} signal @returns {Promise<never>} */
function aborted(signal) {
  return new Promise((_, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
  });
}

/**
 * @param {import('./supervise.mjs').Running} running
 * @param {string} home
 * @param {(text: string) => void} say
 */
function banner({ url, operator, operatorShown }, home, say) {
  const lines = ['', `  Concordat is ready:  ${url}`, `  Data and logs:       ${home}`];
  if (operator) {
    lines.push(
      '',
      '  Sign in there as the operator (shown only this once):',
      `    email     ${operator.email}`,
      `    password  ${operator.password}`,
    );
  }
  if (!process.env['CONCORDAT_MASTER_KEY']) {
    lines.push(
      '',
      `  Warning: the master key lies in ${join(home, 'master.key')}, beside the data that it protects.`,
      '  Good for trying things out; set CONCORDAT_MASTER_KEY for anything else, and keep a copy of it.',
    );
  }
  lines.push('', '  npm run demo shows the whole path on real data. Ctrl-C stops everything.', '');
  say(lines.join('\n'));
  if (operator) operatorShown();
}

/**
 * @param {string} root
 * @param {() => void} restart
 * @param {(text: string) => void} say
 * @returns {() => void} ends it
 */
function rebuild(root, restart, say) {
  const tsc = spawnTethered(
    process.execPath,
    [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.json', '--watch', '--preserveWatchOutput'],
    { cwd: root, output: 'inherit' },
  );
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const watcher = watch(join(root, 'dist'), { recursive: true }, (_, file) => {
    if (!file?.endsWith('.js')) return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      say('Restarting API and workers …');
      restart();
    }, 300);
  });
  return () => {
    clearTimeout(timer);
    watcher.close();
    tsc.stdin?.destroy();
  };
}

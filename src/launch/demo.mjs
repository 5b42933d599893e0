// @ts-check
import { mkdtempSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBuilt } from './build.mjs';
import { openHome } from './home.mjs';
import { ensureInstalled } from './install.mjs';
import { checkPort } from './port.mjs';
import { removeHome } from './postgres-files.mjs';
import { spawnTethered } from './process.mjs';
import { stopSignal } from './start.mjs';
import { startConcordat } from './supervise.mjs';

/**
 * Runs the demo against a Concordat of its own, with a home and a port of its own, and leaves nothing behind.
 * @param {object} options
 * @param {string} options.root
 * @param {string[]} options.args passed on
 * @param {Parameters<typeof startConcordat>[0]['scripts']} [options.scripts]
 * @param {string} [options.script]
 * @returns {Promise<number>} the demo's exit code
 */
export async function demo({ root, args, scripts, script = 'dist/src/cli/demo.js' }) {
  // With --json, stdout carries the one object and nothing else.
  const say = (/** @type {string} */ text) => console.error(text);
  const signal = stopSignal();
  if (!scripts) {
    await ensureInstalled(root, say);
    await ensureBuilt(root, say);
  }
  const directory = mkdtempSync(join(realpathSync(tmpdir()), 'concordat-demo-'));
  delete process.env['DATABASE_URL']; // the demo fills a database, and never somebody's own
  delete process.env['CONCORDAT_MASTER_KEY'];
  delete process.env['REDIS_URL'];
  let running;
  try {
    const { path: home, lock } = await openHome(directory);
    const port = await checkPort(0, '127.0.0.1');
    const address = { port, host: '127.0.0.1' };
    running = await startConcordat({ root, home, address, say, scripts, signal });
    const code = await Promise.race([running.failed, runDemo(root, [script, ...args], running)]);
    await lock.release();
    return code;
  } catch (error) {
    if (signal.aborted) return 130;
    throw error;
  } finally {
    await running?.stop();
    removeHome(directory);
  }
}

/**
 * @param {string} root
 * @param {string[]} args
 * @param {import('./supervise.mjs').Running} running
 * @returns {Promise<number>}
 */
function runDemo(root, args, { url, operator }) {
  const child = spawnTethered(process.execPath, args, {
    cwd: root,
    output: 'inherit',
    env: {
      ...process.env,
      CONCORDAT_URL: url,
      CONCORDAT_OPERATOR_EMAIL: operator?.email,
      CONCORDAT_OPERATOR_PASSWORD: operator?.password,
    },
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

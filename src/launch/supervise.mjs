// @ts-check
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EX_CONFIG, keepRunning } from './child.mjs';
import { readIfThere } from './home.mjs';
import { openLog } from './log-file.mjs';
import { answers } from './port.mjs';
import { startPostgres } from './postgres.mjs';
import { run } from './process.mjs';
import { Stop } from './stop.mjs';

const READY_TIMEOUT_MS = 120_000;
const MAX_CRASHES_BEFORE_READY = 5;

/**
 * @typedef {{ email: string, password: string }} Operator
 * @typedef {object} Running
 * @property {string} url
 * @property {string} databaseUrl of the owner
 * @property {Operator | undefined} operator when made by this start, or by one that ended before it could show it
 * @property {() => void} operatorShown forgets the password
 * @property {() => void} restart starts API and workers anew, after a build
 * @property {() => Promise<void>} stop
 * @property {Promise<never>} failed rejects when it cannot go on
 */

/**
 * Starts PostgreSQL, migrates, starts API and workers, waits until all is ready, and from then on replaces whatever dies.
 * @param {object} options
 * @param {string} options.root the project's directory
 * @param {string} options.home opened before
 * @param {{ port: number, host: string }} options.address checked before
 * @param {(text: string) => void} options.say
 * @param {{ config: string, migrate: string, api: string, workers: string }} [options.scripts] relative to root
 * @param {AbortSignal} options.signal ends a start that is under way
 * @returns {Promise<Running>}
 */
export async function startConcordat({ root, home, address, say, scripts = SCRIPTS, signal }) {
  /** @type {(() => Promise<void>)[]} in the order of starting */
  const stops = [];
  const stop = async () => {
    for (const stopOne of stops.splice(0).reverse()) await stopOne();
  };
  /** @type {(reason: unknown) => void} */
  let fail = () => {};
  /** @type {Promise<never>} */
  const failed = new Promise((_, reject) => (fail = reject));
  failed.catch(() => {}); // whoever is interested awaits it
  signal.addEventListener('abort', () => fail(signal.reason));
  const settled = new AbortController();

  try {
    await checkVariables({ root, home, script: scripts.config, signal });
    const databaseUrl = process.env['DATABASE_URL'] || (await embedded({ home, say, stops, fail, signal }));
    const env = {
      ...process.env,
      DATABASE_URL: databaseUrl,
      CONCORDAT_HOME: home,
      PORT: String(address.port),
      HOST: address.host,
    };
    signal.throwIfAborted();
    await migrate({ root, home, script: scripts.migrate, env, signal });
    const url = `http://localhost:${address.port}`;
    let isReady = false;
    const children = Object.entries({ API: scripts.api, workers: scripts.workers }).map(([name, script]) => {
      const log = openLog(home, name.toLowerCase());
      return keepRunning({
        name,
        script: join(root, script),
        env,
        cwd: root,
        log,
        onCrash: (_, code, restarts) => {
          if (code === EX_CONFIG) fail(new Stop(lastWords(log), '', EX_CONFIG));
          else if (!isReady && restarts >= MAX_CRASHES_BEFORE_READY) {
            fail(
              new Stop(
                `The ${name} cannot start; its last words were:\n${log.tail().trim()}\n`,
                `All of them are in ${log.path}.`,
              ),
            );
          } else if (isReady) say(`The ${name} ended unexpectedly; starting again (see ${log.path}).`);
        },
      });
    });
    stops.push(async () => void (await Promise.all(children.map((child) => child.stop()))));
    const host = address.host === '0.0.0.0' || address.host === '::' ? 'localhost' : address.host;
    await Promise.race([
      failed,
      readiness(`http://${host.includes(':') ? `[${host}]` : host}:${address.port}/health/ready`, home, settled.signal),
    ]);
    isReady = true;
    return {
      url,
      databaseUrl,
      operator: JSON.parse(readIfThere(operatorFile(home)) ?? 'null') ?? undefined,
      operatorShown: () => rmSync(operatorFile(home), { force: true }),
      restart: () => children.forEach((child) => child.restart()),
      stop,
      failed,
    };
  } catch (error) {
    await stop();
    throw error;
  } finally {
    settled.abort();
  }
}

const SCRIPTS = {
  config: 'dist/src/cli/config-check.js',
  migrate: 'dist/src/migrate.js',
  api: 'dist/src/main.js',
  workers: 'dist/workers/main.js',
};

/**
 * Keeps the embedded PostgreSQL running; after a kill -9 it recovers on the same data while API and workers wait for it.
 * @param {object} options
 * @param {string} options.home
 * @param {(text: string) => void} options.say
 * @param {(() => Promise<void>)[]} options.stops
 * @param {(reason: unknown) => void} options.fail
 * @param {AbortSignal} options.signal
 * @returns {Promise<string>} the owner's DATABASE_URL
 */
async function embedded({ home, say, stops, fail, signal }) {
  const log = openLog(home, 'postgres');
  const start = () => startPostgres({ home, say, log: log.write });
  let server = await start();
  let isStopping = false;
  const watch = async () => {
    for (let failures = 0; ;) {
      // Asked to stop while it was being started again: it runs, and nobody would end it but `stop`.
      if (isStopping) return;
      await server.exited;
      if (isStopping) return;
      say(`PostgreSQL ended unexpectedly and is started again (see ${log.path}).`);
      try {
        server = await start();
        failures = 0;
      } catch (error) {
        if (++failures === 5) return fail(error);
        await sleep(500 * failures);
      }
    }
  };
  const watching = watch();
  stops.push(async () => {
    isStopping = true;
    await server.stop();
    await watching;
    await server.stop(); // a restart may have been under way
  });
  signal.throwIfAborted();
  return server.url;
}

/**
 * Before PostgreSQL takes its seconds: a wrong variable would end the API anyway.
 * @param {{ root: string, home: string, script: string, signal: AbortSignal }} options
 */
async function checkVariables({ root, home, script, signal }) {
  const DATABASE_URL = process.env['DATABASE_URL'] || 'postgres://embedded';
  const env = { ...process.env, CONCORDAT_HOME: home, DATABASE_URL };
  const { status, stderr } = await run(process.execPath, [join(root, script)], { cwd: root, env });
  signal.throwIfAborted();
  if (status !== 0) throw new Stop(stderr.trim(), '', EX_CONFIG);
}

/**
 * @param {object} options
 * @param {string} options.root
 * @param {string} options.home
 * @param {string} options.script
 * @param {NodeJS.ProcessEnv} options.env
 * @param {AbortSignal} options.signal
 */
export async function migrate({ root, home, script, env, signal }) {
  const { status, stdout, stderr } = await run(process.execPath, [join(root, script)], { cwd: root, env });
  signal.throwIfAborted();
  const made = stdout.split('\n').find((line) => line.startsWith('{"operator"'));
  // The password exists nowhere else: kept until it was shown, should this start be killed before.
  if (made) writeFileSync(operatorFile(home), JSON.stringify(JSON.parse(made).operator), { mode: 0o600 });
  if (status === 0) return;
  if (status === EX_CONFIG) throw new Stop(stderr.trim(), '', EX_CONFIG);
  throw new Stop(`The database could not be migrated:\n${(stderr || stdout).trim().slice(-4_000)}`);
}

/** @param {string} home */
const operatorFile = (home) => join(home, 'operator.once');

/**
 * @param {string} url
 * @param {string} home
 * @param {AbortSignal} signal ends the waiting
 */
async function readiness(url, home, signal) {
  const deadline = Date.now() + READY_TIMEOUT_MS;
  while (!(await answers(url)) && !signal.aborted) {
    if (Date.now() > deadline) {
      throw new Stop('Concordat did not become ready within two minutes.', `Its logs are in ${join(home, 'logs')}.`);
    }
    await sleep(50);
  }
}

/** @param {import('./log-file.mjs').LogFile} log */
function lastWords(log) {
  const lines = log.tail().trim().split('\n');
  return lines.slice(0, -1).join('\n') || 'The configuration is wrong.';
}

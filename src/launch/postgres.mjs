// @ts-check
import { createHash } from 'node:crypto';
import { chownSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readIfThere } from './home.mjs';
import { dataDirectory, installation, rememberPlace } from './postgres-files.mjs';
import { cleanEnv, DATABASE, isMade, makeDataDirectory, readPassword } from './postgres-init.mjs';
import { processesIn, spawnTethered, until } from './process.mjs';
import { canReach, chooseUsers } from './run-as.mjs';
import { codeOf, diskFull, Stop, USE_EXTERNAL } from './stop.mjs';

const MAJOR = '18';
const SETTINGS = {
  listen_addresses: '', // no TCP: only this machine's users with the socket and the password
  unix_socket_permissions: '0700',
  max_connections: '200',
  shared_buffers: '128MB',
  max_wal_size: '512MB',
  timezone: 'UTC',
  log_timezone: 'UTC',
  jit: 'off',
};

/**
 * @typedef {object} Postgres a running server
 * @property {string} url of the database's owner, through the socket
 * @property {() => Promise<void>} stop
 * @property {Promise<void>} exited resolves when it is gone, wanted or not
 */

/**
 * Starts the embedded PostgreSQL on the data in `home`, making them first if need be. Whatever else runs on those data
 * (left by a launcher that was killed) is stopped before: home is locked, so it cannot be in use.
 * @param {object} options
 * @param {string} options.home
 * @param {(text: string) => void} [options.say] tells the person what is not as usual
 * @param {(text: string) => void} [options.log] takes the server's log
 * @returns {Promise<Postgres>}
 */
export async function startPostgres({ home, say = () => {}, log = () => {} }) {
  if (process.platform !== 'linux') {
    throw new Stop(`The embedded PostgreSQL is for Linux; it is not tested on ${process.platform}.`, USE_EXTERNAL);
  }
  const users = chooseUsers(join(home, 'pg'));
  const native = installation(users.server);
  checkRuns(native, users.server);
  const place = dataDirectory(home, users.server, say);
  if (!isMade(place)) {
    await makeDataDirectory({ home, place, native, users });
    rememberPlace(home, place);
  }
  const data = realpathSync(place);
  const version = readIfThere(join(data, 'PG_VERSION'))?.trim();
  if (version !== MAJOR) {
    throw new Stop(
      `The database in ${place} is of PostgreSQL ${version}, and this Concordat brings PostgreSQL ${MAJOR}.`,
      'Use the Concordat that wrote it, or move the data by a backup.',
    );
  }
  const password = readPassword(home);
  if (!password) {
    throw new Stop(
      `The file ${join(home, 'database.password')} is missing.`,
      'Restore it from a backup of this directory.',
    );
  }
  await clear(data);
  const sockets = socketDirectory(home, users.server);
  clearSockets(sockets);
  const settings = { ...SETTINGS, unix_socket_directories: sockets };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const child = spawnTethered(join(native, 'bin', 'postgres'), ['-D', data, ...flags], {
    ...users.server,
    signal: 'INT', // fast shutdown: sessions are ended, everything is written
    cwd: data,
    env: cleanEnv(),
  });
  const tail = collectTail(child, log);
  let isGone = false;
  /** @type {Promise<void>} */
  const exited = new Promise((resolve) => {
    child.once('exit', () => {
      isGone = true;
      child.stdin?.destroy(); // also when only the shell was killed: the server follows
      resolve();
    });
  });
  const isReady = await until(() => isGone || serverState(data) === 'ready', 120_000);
  if (isGone || !isReady) {
    child.stdin?.destroy();
    throw startFailed(place, tail());
  }
  return {
    url: `postgres://${DATABASE}:${password}@localhost/${DATABASE}?host=${encodeURIComponent(sockets)}`,
    exited,
    stop: async () => {
      child.stdin?.destroy();
      await exited;
      await clear(data);
      rmSync(sockets, { recursive: true, force: true });
    },
  };
}

/**
 * @param {string} native
 * @param {import('./run-as.mjs').User} user
 */
function checkRuns(native, user) {
  const program = join(native, 'bin', 'postgres');
  if (!canReach(user, program)) {
    throw new Stop(`PostgreSQL (${program}) cannot be run by its user.`, `Check the permissions. Or: ${USE_EXTERNAL}`);
  }
  /** @type {{ glibcVersionRuntime?: string }} */
  const header = /** @type {any} */ (process.report.getReport()).header;
  if (!header.glibcVersionRuntime) {
    throw new Stop(
      'The embedded PostgreSQL needs a Linux with glibc, and this one has another C library.',
      USE_EXTERNAL,
    );
  }
}

/**
 * What the server says of itself in the eighth line of postmaster.pid: starting, ready, stopping.
 * @param {string} data
 */
function serverState(data) {
  return readIfThere(join(data, 'postmaster.pid'))?.split('\n')[7]?.trim();
}

/**
 * Stops whatever still runs on these data and removes the mark it left. The mark may name a number that now belongs to a
 * process of somebody else, on which PostgreSQL would refuse to start.
 * @param {string} data
 */
async function clear(data) {
  const postmaster = Number(readIfThere(join(data, 'postmaster.pid'))?.split('\n')[0]);
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGQUIT', 'SIGKILL'])) {
    const alive = processesIn(data);
    if (alive.length === 0) break;
    // An orderly stop goes through the postmaster; backends that lost theirs are on their way out.
    for (const pid of alive) if (signal !== 'SIGINT' || pid === postmaster) kill(pid, signal);
    if (await until(() => processesIn(data).length === 0, 10_000)) break;
  }
  rmSync(join(data, 'postmaster.pid'), { force: true });
}

/**
 * The mark beside the socket names a process too, and PostgreSQL refuses to start as long as there is one of that number: somebody
 * else's by now, or the server that was killed and that nobody has reaped. Nothing runs on the data, and only we write here.
 * @param {string} directory
 */
function clearSockets(directory) {
  for (const name of readdirSync(directory)) {
    if (name.startsWith('.s.PGSQL.')) rmSync(join(directory, name), { force: true });
  }
}

/**
 * @param {number} pid
 * @param {NodeJS.Signals} signal
 */
function kill(pid, signal) {
  try {
    process.kill(pid, signal);
  } catch {
    // gone meanwhile
  }
}

/**
 * A directory for the socket that only the server's user and we can enter. The whole path must fit into 107 bytes.
 * @param {string} home
 * @param {import('./run-as.mjs').User} user
 */
function socketDirectory(home, user) {
  const inside = join(home, 'run');
  const fits = Buffer.byteLength(inside) < 85 && !inside.includes(',') && (!user || canReach(user, home));
  const outside = join(tmpdir(), `concordat-${createHash('sha256').update(home).digest('hex').slice(0, 16)}`);
  const { uid, gid } = user ?? { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const path = fits ? inside : outside;
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
    const found = lstatSync(path);
    // In a directory open to all, somebody else may have taken the name.
    if (!found.isDirectory() || found.uid !== uid) return own(mkdtempSync(`${outside}-`), uid, gid);
  }
  return own(path, uid, gid);
}

/** @param {string} path @param {number} uid @param {number} gid */
function own(path, uid, gid) {
  chownSync(path, uid, gid);
  return path;
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @param {(text: string) => void} log
 * @returns {() => string} the last 4,000 characters that the server wrote
 */
function collectTail(child, log) {
  let tail = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text) => {
      tail = (tail + text).slice(-4_000);
      log(text);
    });
  }
  return () => tail;
}

/**
 * @param {string} place
 * @param {string} output
 */
function startFailed(place, output) {
  if (/No space left|Disk quota/i.test(output)) return diskFull(place);
  const reason = /(?:FATAL|PANIC): +(.*)/.exec(output)?.[1] ?? output.trim().split('\n').pop() ?? '';
  return new Stop(`PostgreSQL did not start on ${place}: ${reason || 'no reason given'}.`, USE_EXTERNAL);
}

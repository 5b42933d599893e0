// @ts-check
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, statfsSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { takeLock } from './lock.mjs';
import { codeOf, diskFull, explain, Stop } from './stop.mjs';

/** The layout of the home directory. Raise it when an older launcher would misread what a newer one wrote. */
const DATA_FORMAT = 1;
const NEEDED_BYTES = 200 * 1024 * 1024;

/**
 * @typedef {object} Home the one directory that holds everything to back up, locked by this process
 * @property {string} path absolute
 * @property {import('./lock.mjs').Lock} lock
 */

/**
 * @param {string} projectRoot
 * @returns {string} the absolute path of the home directory
 */
export function homePath(projectRoot) {
  return resolve(projectRoot, process.env['CONCORDAT_HOME'] || '.concordat');
}

/**
 * Makes, checks and locks the home directory.
 * @param {string} path
 * @returns {Promise<Home>}
 * @throws {Stop} when it cannot be written, has no space, is newer, or is in use
 */
export async function openHome(path) {
  try {
    makeFolder(path, 0o700);
    // Started by root, PostgreSQL runs as another user: it may pass through, not look; each entry inside is closed by itself.
    if (process.getuid?.() === 0) chmodSync(path, statSync(path).mode | 0o011);
    const lock = await takeLock(path, 'home');
    if (!('release' in lock)) {
      const where = lock.url ? ` at ${lock.url}` : '';
      throw new Stop(
        `Concordat is already running on ${path}${where} (process ${lock.pid}).`,
        'Stop it first, or set CONCORDAT_HOME and PORT to run a second one.',
      );
    }
    probe(path);
    checkFormat(path);
    return { path, lock };
  } catch (error) {
    throw explain(error, path);
  }
}

/**
 * Not `recursive`: below /proc Node's never returns and takes all memory.
 * @param {string} path
 * @param {number} [mode] of the last folder; those above it are nothing special
 */
function makeFolder(path, mode = 0o755) {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error; // another start was faster
  }
}

/** @param {string} path */
function probe(path) {
  const { bavail, bsize } = statfsSync(path);
  if (bavail * bsize < NEEDED_BYTES) throw diskFull(path);
  const file = join(path, '.probe');
  writeFileSync(file, '');
  rmSync(file);
}

/** @param {string} path */
function checkFormat(path) {
  const file = join(path, 'VERSION');
  const found = readIfThere(file)?.trim();
  if (found === undefined) return writeFileSync(file, `${DATA_FORMAT}\n`);
  if (!/^\d+$/.test(found)) {
    throw new Stop(`${file} holds no version number.`, `Restore it from a backup, or write ${DATA_FORMAT} into it.`);
  }
  if (Number(found) > DATA_FORMAT) {
    throw new Stop(
      `The data in ${path} was written by a newer version of Concordat (format ${found}; this one knows ${DATA_FORMAT}).`,
      'Update Concordat, or set CONCORDAT_HOME to another directory.',
    );
  }
}

/** @param {string} file @returns {string | undefined} */
export function readIfThere(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

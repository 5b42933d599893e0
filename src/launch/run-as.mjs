// @ts-check
import { spawnSync } from 'node:child_process';
import { lstatSync, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { codeOf, Stop, USE_EXTERNAL } from './stop.mjs';

// PostgreSQL refuses to run as root, and initdb also refuses a user without an entry in the passwd database (the server
// does not mind). So there are two identities: who makes the data directory, and who runs the server on it.

/**
 * @typedef {{ uid: number, gid: number } | undefined} User undefined: nobody else than this process' own user
 * @typedef {object} RunAs
 * @property {User} server
 * @property {User} maker
 * @property {string[]} makerPrefix a command that the maker's commands are run by
 */

// Belongs to nobody by the numbering that systemd documents, and exists in user namespaces of 65,536 numbers too.
const OWN_UID = 61_071;

/**
 * @param {string} dataDirectory decides by its owner when it exists
 * @returns {RunAs}
 * @throws {Stop} when there is no way for this user
 */
export function chooseUsers(dataDirectory) {
  if (process.getuid?.() === 0) return asRoot(dataDirectory);
  return { server: undefined, maker: undefined, makerPrefix: hasName() ? [] : borrowedName() };
}

/** @param {string} dataDirectory @returns {RunAs} */
function asRoot(dataDirectory) {
  const named = passwd();
  const server = owner(dataDirectory) ?? { uid: OWN_UID, gid: OWN_UID };
  const maker = named.find(({ name }) => name === 'nobody') ?? named.find(({ uid }) => uid > 0);
  if (!maker || !canBecome(server) || !canBecome(maker)) {
    throw new Stop(
      'PostgreSQL refuses to run as root, and root cannot switch to another user here.',
      `Start Concordat as an ordinary user. Or: ${USE_EXTERNAL}`,
    );
  }
  return { server, maker: { uid: maker.uid, gid: maker.gid }, makerPrefix: [] };
}

/** @param {string} path @returns {User} */
function owner(path) {
  try {
    const { uid, gid } = lstatSync(path);
    return uid > 0 ? { uid, gid } : undefined;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** @param {{ uid: number, gid: number }} user */
function canBecome({ uid, gid }) {
  return spawnSync('/bin/sh', ['-c', 'exit 0'], { uid, gid, cwd: '/' }).status === 0;
}

/**
 * Whether a user may pass through a directory and run a program.
 * @param {User} user
 * @param {string} path
 */
export function canReach(user, path) {
  return spawnSync('/bin/sh', ['-c', 'test -x "$1"', 'sh', path], { ...user, cwd: '/' }).status === 0;
}

function hasName() {
  try {
    userInfo();
    return true;
  } catch {
    return false;
  }
}

/** A user namespace in which our number is called by a name that exists: files made inside are still ours outside. */
function borrowedName() {
  const named = passwd().find(({ uid }) => uid > 0);
  const prefix = ['unshare', '--user', `--map-user=${named?.uid}`, `--map-group=${named?.gid}`];
  const [command = '', ...args] = prefix;
  if (named && spawnSync(command, [...args, '/bin/sh', '-c', 'exit 0']).status === 0) return prefix;
  throw new Stop(
    `PostgreSQL cannot make its data directory for user number ${process.getuid?.()}, who has no entry in /etc/passwd.`,
    `Add one, or run as a user that has one. Or: ${USE_EXTERNAL}`,
  );
}

function passwd() {
  return readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .map(([name, , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }))
    .filter(({ name, uid, gid }) => name && Number.isInteger(uid) && Number.isInteger(gid));
}

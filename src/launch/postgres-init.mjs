// @ts-check
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { readIfThere } from './home.mjs';
import { run } from './process.mjs';
import { diskFull, Stop, USE_EXTERNAL } from './stop.mjs';

/** The database and the role that owns it. Not a superuser: Concordat must run on a PostgreSQL that grants it no more. */
export const DATABASE = 'concordat';

/**
 * @param {string} home
 * @returns {string | undefined} the owner's password
 */
export function readPassword(home) {
  return readIfThere(passwordFile(home))?.trim();
}

/** @param {string} home */
const passwordFile = (home) => join(home, 'database.password');

/**
 * Makes a data directory with the database and its owner in it. It gets its name as the last step, so that a half-made one
 * is never taken for a whole one.
 * @param {object} options
 * @param {string} options.home
 * @param {string} options.place the data directory to be
 * @param {string} options.native the PostgreSQL installation
 * @param {import('./run-as.mjs').RunAs} options.users
 * @throws {Stop} when the disk is full or PostgreSQL does not run here
 */
export async function makeDataDirectory({ home, place, native, users }) {
  const half = `${place}.new`;
  rmSync(half, { recursive: true, force: true });
  mkdirSync(dirname(place), { recursive: true, mode: 0o755 });
  mkdirSync(half, { mode: 0o700 });
  if (users.maker) chownSync(half, users.maker.uid, users.maker.gid);
  const password = randomBytes(24).toString('base64url');
  /** @type {(name: string, args: string[], input?: string) => Promise<void>} */
  const make = async (name, args, input = '') => {
    const [command = '', ...rest] = [
      ...users.makerPrefix,
      '/bin/sh',
      '-c',
      'printf %s "$SQL" | "$@"',
      'sh',
      join(native, 'bin', name),
      ...args,
    ];
    const { status, stdout, stderr } = await run(command, rest, {
      ...users.maker,
      cwd: '/',
      env: { ...cleanEnv(), SQL: input },
    });
    if (status !== 0) throw initFailed(place, stderr || stdout);
  };
  await make('initdb', [
    `--pgdata=${half}`,
    '--username=postgres',
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--data-checksums',
    '--auth-local=peer', // the superuser gets no password, so nobody can be it but in single-user mode
    '--auth-host=reject',
    '--no-instructions',
  ]);
  // In single-user mode, which needs no connection and no password.
  await make(
    'postgres',
    ['--single', '-D', half, 'postgres'],
    [
      `create role ${DATABASE} login createrole createdb password '${password}';`,
      `create database ${DATABASE} owner ${DATABASE};`,
      '',
    ].join('\n'),
  );
  writeFileSync(join(half, 'pg_hba.conf'), 'local all all scram-sha-256\n');
  if (users.server) chownTree(half, users.server);
  writeFileSync(passwordFile(home), `${password}\n`, { mode: 0o600 });
  chmodSync(passwordFile(home), 0o600);
  renameSync(half, place);
}

/** An environment in which PG* variables and locales of the caller change nothing. */
export function cleanEnv() {
  return { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' };
}

/**
 * @param {string} place
 * @param {string} output
 */
function initFailed(place, output) {
  if (/No space left|Disk quota/i.test(output)) return diskFull(place);
  const reason = output.trim().split('\n').filter(Boolean).pop() ?? 'no reason given';
  return new Stop(`PostgreSQL could not make its data directory ${place}: ${reason}.`, USE_EXTERNAL);
}

/**
 * @param {string} path
 * @param {{ uid: number, gid: number }} user
 */
function chownTree(path, { uid, gid }) {
  lchownSync(path, uid, gid);
  for (const entry of readdirSync(path, { withFileTypes: true, recursive: true })) {
    lchownSync(join(entry.parentPath, entry.name), uid, gid);
  }
}

/** @param {string} place */
export const isMade = (place) => existsSync(join(place, 'PG_VERSION'));

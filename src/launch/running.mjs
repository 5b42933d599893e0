// @ts-check
import { join } from 'node:path';
import { readIfThere } from './home.mjs';
import { DATABASE, readPassword } from './postgres-init.mjs';
import { Stop } from './stop.mjs';

/**
 * The owner's address of the embedded PostgreSQL that another launcher keeps running on this home.
 * @param {string} home
 * @returns {string}
 * @throws {Stop} when none is running
 */
export function runningUrl(home) {
  const place = readIfThere(join(home, 'pg.location'))?.trim() ?? join(home, 'pg');
  // The fifth line of the lock file is the directory of the socket (PostgreSQL's miscadmin.h).
  const sockets = readIfThere(join(place, 'postmaster.pid'))?.split('\n')[4];
  const password = readPassword(home);
  if (!sockets || !password)
    throw new Stop(
      `No Concordat is running on ${home}.`,
      'Start it with npm start, or set DATABASE_URL or CONCORDAT_HOME.',
    );
  return `postgres://${DATABASE}:${password}@localhost/${DATABASE}?host=${encodeURIComponent(sockets)}`;
}

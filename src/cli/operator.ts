import { type Config, ConfigError, loadConfig } from '../config.js';
import { LogKeys } from '../domain/audit/log-key.service.js';
import { ED25519, verifierKey } from '../domain/audit/note.js';
import { resetOperator } from '../domain/tenants/account.service.js';
import { systemClock } from '../platform/clock.js';
import { type Db, openDb } from '../platform/db.js';
import { AppError } from '../platform/errors.js';
import { makeLog } from '../platform/log.js';

/**
 * `npm run operator -- <email>`: a new password for the operator of this address, or a new operator. Printed this once.
 * `rotate-log-key`: the log signs with a new key from now on. `new-log-origin`: it goes on under a new name, after a restore that
 * nothing else tells. Whoever can read the home directory, or knows DATABASE_URL and the master key, may.
 */
async function main([what, ...more]: readonly string[]): Promise<void> {
  if (!what || more.length > 0)
    throw new AppError(
      'INVALID_INPUT',
      'Name one email address, rotate-log-key or new-log-origin: npm run operator -- EMAIL',
    );
  const config = loadConfig(process.env);
  const db = await openDb({ ...config, entities: [], poolSize: 1 });
  try {
    if (what === 'rotate-log-key' || what === 'new-log-origin') return await renewLog(what, config, db);
    const operator = await resetOperator(db, what);
    console.log(operator.isNew ? 'A new operator:' : 'A new password; what was signed in is signed out:');
    console.log(`  email     ${operator.email}\n  password  ${operator.password}\n(shown only this once)`);
  } finally {
    await db.close();
  }
}

async function renewLog(what: 'rotate-log-key' | 'new-log-origin', config: Config, db: Db): Promise<void> {
  const log = makeLog('error', 'operator');
  const keys = await LogKeys.open({ ...config, pool: db.ledger, clock: systemClock, log, listener: null });
  if (what === 'rotate-log-key') await keys.rotate();
  else await keys.beginAnew();
  const { origin } = keys;
  const { publicKey } = keys.current();
  console.log(
    what === 'rotate-log-key' ? 'The log signs with a new key:' : 'The log goes on under a new name, with a new key:',
  );
  console.log(`  ${verifierKey(origin, ED25519, publicKey)}\nTell those who verify it; /log/keys shows it too.`);
  keys.close();
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error((error as Error).message);
  process.exitCode = error instanceof ConfigError ? 78 : error instanceof AppError ? 64 : 1;
});

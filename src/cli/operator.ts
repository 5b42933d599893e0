import { ConfigError, loadConfig } from '../config.js';
import { resetOperator } from '../domain/tenants/account.service.js';
import { openDb } from '../platform/db.js';
import { AppError } from '../platform/errors.js';

/**
 * `npm run operator -- <email>`: a new password for the operator of this address, or a new operator. Printed this once. Whoever can
 * read the home directory, or knows DATABASE_URL and the master key, may.
 */
async function main([email, ...more]: readonly string[]): Promise<void> {
  if (!email || more.length > 0)
    throw new AppError('INVALID_INPUT', 'Name one email address: npm run operator -- EMAIL');
  const { databaseUrl, masterKey } = loadConfig(process.env);
  const db = await openDb({ databaseUrl, masterKey, entities: [], poolSize: 1 });
  try {
    const operator = await resetOperator(db, email);
    console.log(operator.isNew ? 'A new operator:' : 'A new password; what was signed in is signed out:');
    console.log(`  email     ${operator.email}\n  password  ${operator.password}\n(shown only this once)`);
  } finally {
    await db.close();
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error((error as Error).message);
  process.exitCode = error instanceof ConfigError ? 78 : error instanceof AppError ? 64 : 1;
});

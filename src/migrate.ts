import { hkdfSync } from 'node:crypto';
import { pathToFileURL } from 'node:url';
import { DataSource, type QueryRunner } from 'typeorm';
import { Foundation0000000000001 } from '../migrations/0001-foundation.js';
import { Tenants0000000000002 } from '../migrations/0002-tenants.js';
import { Datasets0000000000003 } from '../migrations/0003-datasets.js';
import { Training0000000000004 } from '../migrations/0004-training.js';
import { Agreements0000000000005 } from '../migrations/0005-agreements.js';
import { Ledger0000000000006 } from '../migrations/0006-ledger.js';
import { InvitedBy0000000000007 } from '../migrations/0007-invited-by.js';
import { Installation0000000000008 } from '../migrations/0008-installation.js';
import { TrainingOptions0000000000009 } from '../migrations/0009-training-options.js';
import { Evaluation0000000000010 } from '../migrations/0010-evaluation.js';
import { Tuning0000000000011 } from '../migrations/0011-tuning.js';
import { Import0000000000012 } from '../migrations/0012-import.js';
import { OutOfBag0000000000013 } from '../migrations/0013-out-of-bag.js';
import { PredictionEntries0000000000014 } from '../migrations/0014-prediction-entries.js';
import { AgreementLife0000000000015 } from '../migrations/0015-agreement-life.js';
import { TransparencyLog0000000000016 } from '../migrations/0016-transparency-log.js';
import { Devices0000000000019 } from '../migrations/0019-devices.js';
import { Licence0000000000021 } from '../migrations/0021-licence.js';
import { BatchPredictions0000000000022 } from '../migrations/0022-batch-predictions.js';
import { Catalogue0000000000023 } from '../migrations/0023-catalogue.js';
import { Tidy0000000000024 } from '../migrations/0024-tidy.js';
import { LogMemory0000000000025 } from '../migrations/0025-log-memory.js';
import { DataAgreements0000000000026 } from '../migrations/0026-data-agreements.js';
import { BatchAnswers0000000000027 } from '../migrations/0027-batch-answers.js';
import { LeanEntries0000000000030 } from '../migrations/0030-lean-entries.js';
import { ConfigError, loadConfig } from './config.js';
import { ensureOperator } from './domain/tenants/account.service.js';
import {
  DURABILITY,
  type DurabilitySettings,
  openDb,
  refuseForgetful,
  ROLES,
  rolePassword,
  UnfitDatabaseError,
} from './platform/db.js';
import { migrateQueues } from './platform/queue.js';

/** In order; a new migration goes to the end. */
export const MIGRATIONS = [
  Foundation0000000000001,
  Tenants0000000000002,
  Datasets0000000000003,
  Training0000000000004,
  Agreements0000000000005,
  Ledger0000000000006,
  InvitedBy0000000000007,
  Installation0000000000008,
  TrainingOptions0000000000009,
  Evaluation0000000000010,
  Tuning0000000000011,
  Import0000000000012,
  OutOfBag0000000000013,
  PredictionEntries0000000000014,
  AgreementLife0000000000015,
  TransparencyLog0000000000016,
  Devices0000000000019,
  Licence0000000000021,
  BatchPredictions0000000000022,
  Catalogue0000000000023,
  Tidy0000000000024,
  LogMemory0000000000025,
  DataAgreements0000000000026,
  BatchAnswers0000000000027,
  LeanEntries0000000000030,
];

/** Any number will do as long as every version of Concordat uses the same: two starts at once migrate one after the other. */
const MIGRATION_LOCK = 4711_0815;

/**
 * Brings the database up to date and gives the login roles their passwords. Connects as the owner, with its own credentials;
 * nothing else does. Throws ConfigError or UnfitDatabaseError with a sentence for whatever the operator can mend.
 */
export async function migrate(databaseUrl: string, masterKey: Buffer): Promise<{ applied: string[] }> {
  const owner = new DataSource({
    type: 'postgres',
    url: databaseUrl,
    migrations: MIGRATIONS,
    migrationsTableName: 'migration',
    poolSize: 2,
    logging: false,
  });
  try {
    await owner.initialize();
  } catch (error) {
    throw new ConfigError(`Cannot connect to the database: ${(error as Error).message}. Check DATABASE_URL.`);
  }
  try {
    await refuseUnfit(owner);
    const lock = owner.createQueryRunner();
    await lock.query(`select pg_advisory_lock($1)`, [MIGRATION_LOCK]);
    try {
      const applied = await owner.runMigrations({ transaction: 'each' });
      await refuseOtherKey(lock, masterKey);
      await migrateQueues(databaseUrl);
      for (const role of ROLES)
        await lock.query(`alter role ${role} with login password '${rolePassword(masterKey, role)}'`);
      return { applied: applied.map((migration) => migration.name) };
    } finally {
      await lock.query(`select pg_advisory_unlock($1)`, [MIGRATION_LOCK]);
      await lock.release();
    }
  } finally {
    await owner.destroy();
  }
}

/** The first start notes which master key it had; a later one with another key must not begin to answer. */
async function refuseOtherKey(run: QueryRunner, masterKey: Buffer): Promise<void> {
  const fingerprint = Buffer.from(hkdfSync('sha256', masterKey, '', 'concordat fingerprint of the master key', 32));
  await run.query(`insert into installation (key_fingerprint) values ($1) on conflict do nothing`, [fingerprint]);
  const [row] = (await run.query(`select key_fingerprint = $1 as same from installation`, [fingerprint])) as {
    same: boolean;
  }[];
  if (!row?.same)
    throw new ConfigError(
      'This database was made with another master key, without which nothing in it can be opened. Restore CONCORDAT_MASTER_KEY, or the file master.key in CONCORDAT_HOME.',
    );
}

async function refuseUnfit(owner: DataSource): Promise<void> {
  const [server] = await owner.query<{ version: number; roles: boolean }[]>(
    `select current_setting('server_version_num')::int as version, (select rolsuper or rolcreaterole from pg_roles where rolname = current_user) as roles`,
  );
  if (!server || server.version < 150000)
    throw new ConfigError('Concordat needs PostgreSQL 15 or newer. Point DATABASE_URL to such a server.');
  if (!server.roles) throw new ConfigError('The role in DATABASE_URL may not create roles. Grant it CREATEROLE.');
  const [durability] = await owner.query<DurabilitySettings[]>(DURABILITY);
  // Our roles have this one of their own.
  refuseForgetful({ ...durability!, synchronous_commit: 'on' });
  const applied = await owner
    .query<{ name: string }[]>(`select name from migration`)
    .then((rows) => rows.map((row) => row.name))
    .catch(() => [] as string[]);
  const known = new Set<string>(MIGRATIONS.map((migration) => migration.name));
  if (applied.some((name) => !known.has(name))) {
    throw new ConfigError('The database was made by a newer version of Concordat. Start that version, or a newer one.');
  }
}

async function main(): Promise<void> {
  const config = loadConfig(process.env);
  await migrate(config.databaseUrl, config.masterKey);
  const db = await openDb({ databaseUrl: config.databaseUrl, masterKey: config.masterKey, entities: [], poolSize: 1 });
  try {
    const operator = await ensureOperator(db, config.operatorEmail);
    // The only time that the password can be seen: whoever started this shows it.
    if (operator) process.stdout.write(`${JSON.stringify({ operator })}\n`);
  } finally {
    await db.close();
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  main().catch((error: unknown) => {
    const misconfigured = error instanceof ConfigError || error instanceof UnfitDatabaseError;
    process.stderr.write(`${misconfigured ? error.message : String((error as Error).stack ?? error)}\n`);
    process.exitCode = misconfigured ? 78 : 1;
  });
}

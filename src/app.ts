import type { Config } from './config.js';
import { AuditEntryRow } from './domain/audit/audit.entity.js';
import { type Clock, systemClock } from './platform/clock.js';
import { type Db, openDb } from './platform/db.js';
import { type Logger, makeLog } from './platform/log.js';

/** Every row class. A domain adds its own here. */
export const ENTITIES = [AuditEntryRow];

/** Everything that both processes stand on; made once per process, no GraphQL in it. */
export interface App {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Logger;
  readonly db: Db;
  close(): Promise<void>;
}

/** The composition root: configuration -> database, services. `name` is the process's name in the log. */
export async function openApp(config: Config, name: string, clock: Clock = systemClock): Promise<App> {
  const log = makeLog(config.logLevel, name);
  const db = await openDb({ databaseUrl: config.databaseUrl, masterKey: config.masterKey, entities: ENTITIES });
  return {
    config,
    clock,
    log,
    db,
    close: async () => {
      await db.close();
    },
  };
}

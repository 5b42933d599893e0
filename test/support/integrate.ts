import pg from 'pg';
import { Integrator } from '../../src/domain/audit/integrator.js';
import { LogKeys } from '../../src/domain/audit/log-key.service.js';
import { systemClock } from '../../src/platform/clock.js';
import '../../src/platform/db.js';
import { RecentEntries } from '../../src/domain/audit/recent-entries.js';
import { makeLog } from '../../src/platform/log.js';

/** A process that integrates the log until it is killed. */
const url = process.env['URL_OF_LEDGER']!;
const keys = await LogKeys.open({
  pool: new pg.Pool({ connectionString: url, max: 1 }),
  masterKey: Buffer.from(process.env['KEY']!, 'hex'),
  home: process.env['HOME_OF_LOG']!,
  publicUrl: null,
  port: 4000,
  clock: systemClock,
  log: makeLog('error', 'integrate'),
  listener: null,
});
new Integrator(url, {
  keys,
  recent: new RecentEntries(),
  clock: systemClock,
  log: makeLog('error', 'integrate'),
}).start();

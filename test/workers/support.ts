import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type App, openApp } from '../../src/app.js';
import { type Config, loadConfig } from '../../src/config.js';
import { inTenant } from '../../src/platform/db.js';
import { newId } from '../../src/platform/ids.js';
import { enqueueJob, getJob, type Job, type JobName } from '../../src/platform/jobs.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

export interface Platform {
  readonly app: App;
  readonly env: Record<string, string>;
  readonly database: TestDatabase;
  close(): Promise<void>;
}

/** A database and a home of its own, and an App over them; no process beside this one. */
export async function openPlatform(more: Record<string, string> = {}): Promise<Platform> {
  const database = await createTestDatabase();
  const home = mkdtempSync(join(tmpdir(), 'concordat-jobs-'));
  const env = {
    DATABASE_URL: database.databaseUrl,
    CONCORDAT_HOME: home,
    CONCORDAT_MASTER_KEY: database.masterKey.toString('hex'),
    LOG_LEVEL: process.env.TEST_LOG_LEVEL ?? 'silent',
    ...more,
  };
  const config: Config = loadConfig(env);
  const app = await openApp(config, 'test');
  return {
    app,
    env,
    database,
    close: async () => {
      await app.close();
      await database.drop();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

export interface Tenant {
  readonly tenantId: string;
}

export async function makeTenant(app: App, name = 'A tenant'): Promise<Tenant> {
  const tenantId = newId('tenant');
  await inTenant(app.db, { tenantId }, (tx) =>
    tx.query(`insert into tenant (id, name) values ($1, $2)`, [tenantId, name]),
  );
  return { tenantId };
}

export function enqueue(app: App, tenant: Tenant, name: JobName, subjectId = newId('training')): Promise<string> {
  return inTenant(app.db, tenant, (tx) => enqueueJob(tx, tenant, { name, subjectId }));
}

export function readJob(app: App, tenant: Tenant, id: string): Promise<Job> {
  return inTenant(app.db, tenant, (tx) => getJob(tx, tenant, id));
}

/** Polls until the job is as wanted. */
export async function untilJob(
  ...[app, tenant, id, wanted, timeoutMs = 30_000]: [App, Tenant, string, (job: Job) => boolean, number?]
): Promise<Job> {
  let last: Job | undefined;
  for (const start = Date.now(); Date.now() - start < timeoutMs; await delay(30)) {
    last = await readJob(app, tenant, id);
    if (wanted(last)) return last;
  }
  throw new Error(`The job did not become as wanted: ${JSON.stringify(last)}`);
}

export const isOver = (job: Job): boolean => job.finishedAt !== null;

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A worker process of its own, ready for jobs. */
export async function spawnWorker(env: Record<string, string>): Promise<ChildProcess> {
  const tsx = createRequire(import.meta.url).resolve('tsx');
  const worker = spawn(process.execPath, ['--import', tsx, 'workers/main.ts'], {
    cwd: root,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  await new Promise<void>((resolve, reject) => {
    worker.once('message', () => resolve());
    worker.once('exit', (code) => reject(new Error(`The worker ended with ${code}.`)));
  });
  return worker;
}

export async function kill(worker: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  const gone = new Promise<number | null>((resolve) => worker.once('exit', resolve));
  worker.kill(signal);
  return gone;
}

/** The child processes of a process: those that run jobs. */
export function childrenOf(pid: number, program = 'train-child'): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const [, parent] = /^\d+ \(.*\) \S (\d+)/s.exec(readFileSync(`/proc/${name}/stat`, 'utf8')) ?? [];
        return Number(parent) === pid && readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(program);
      } catch {
        return false;
      }
    })
    .map(Number);
}

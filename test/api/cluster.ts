import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, mkdtempSync, openSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { type App, openApp } from '../../src/app.js';
import { loadConfig } from '../../src/config.js';
import { ensureBuilt } from '../../src/launch/build.mjs';
import { NODE_FLAGS } from '../../src/launch/child.mjs';
import { openHome } from '../../src/launch/home.mjs';
import { removeHome } from '../../src/launch/postgres-files.mjs';
import { startPostgres } from '../../src/launch/postgres.mjs';
import { processesIn } from '../../src/launch/process.mjs';
import { migrate } from '../../src/migrate.js';
import { freePort } from '../launch/launcher.js';
import { isAlive } from '../support/process.js';
import { placeForData } from '../support/place.js';

/** Where the platform says that it is; proofs of possession are made for this address. */
export const PUBLIC_URL = 'http://concordat.test';

export const VICTIMS = [
  'an API',
  'both APIs',
  'the postmaster',
  'all of PostgreSQL',
  'a backend',
  'the worker',
] as const;
export type Victim = (typeof VICTIMS)[number];

/** The product as it is built, on one machine: PostgreSQL, two API processes that share it and the home, a worker. Whatever dies is started again. */
export interface Cluster {
  readonly app: App;
  readonly databaseUrl: string;
  readonly masterKey: Buffer;
  readonly urls: readonly [string, string];
  /** Processes that ended although nobody killed them, after they had been ready. */
  readonly deserters: string[];
  /** Whether both APIs and the database answer. Throws if something has ended for good. */
  isWhole(): Promise<boolean>;
  /** kill -9. False if there was nothing to be killed. `pick`: 0 to 1. */
  kill(victim: Victim, pick: number): Promise<boolean>;
  /** What the processes had to say. */
  log(): string;
  /** The servers of the connections of those who integrate the log: one, or none for a moment. */
  integrators(): Promise<number[]>;
  /** What the database does. */
  activity(): Promise<string>;
  close(): Promise<void>;
}

const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
/** A process ends with the one that started it. */
const tether = new URL('../../src/launch/tether.mjs', import.meta.url).href;
const RESTART_MS = 200;

/** A process that is started again whenever it ends. */
class Kept {
  private isClosing = false;
  private isDoomed = false;
  /** The last one that was seen to be ready. */
  ready: ChildProcess | null = null;
  child: ChildProcess;

  constructor(
    private readonly make: () => ChildProcess,
    private readonly deserted: (how: string) => void,
  ) {
    this.child = this.start();
  }

  private start(): ChildProcess {
    this.isDoomed = false;
    const child = this.make();
    // As the worker says it.
    child.once('message', () => (this.ready = child));
    child.once('exit', (code, signal) => {
      if (this.isClosing) return;
      // Without a database a start fails, and is tried again.
      if (this.ready === child && !this.isDoomed) this.deserted(String(signal ?? code));
      setTimeout(() => {
        if (!this.isClosing) this.child = this.start();
      }, RESTART_MS);
    });
    return child;
  }

  kill(): boolean {
    const { pid } = this.child;
    if (pid === undefined || !isAlive(pid)) return false;
    this.isDoomed = true;
    return this.child.kill('SIGKILL');
  }

  async close(): Promise<void> {
    this.isClosing = true;
    const { child } = this;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await gone;
  }
}

/** The database, started again as `npm start` does it: a start that is killed itself is tried anew, but not for ever. */
async function keepPostgres(home: string, failed: (error: unknown) => void) {
  let isClosing = false;
  let server = await startPostgres({ home });
  const watch = async () => {
    for (let failures = 0; !isClosing;) {
      await server.exited;
      if (isClosing) return;
      try {
        server = await startPostgres({ home });
        failures = 0;
      } catch (error) {
        if (++failures === 5) throw error;
        await delay(500 * failures);
      }
    }
  };
  const watching = watch().catch(failed);
  return {
    url: server.url,
    close: async () => {
      isClosing = true;
      await server.stop();
      await watching;
      await server.stop();
    },
  };
}

export async function startCluster(): Promise<Cluster> {
  await ensureBuilt(root, () => undefined);
  const { path: home } = await openHome(mkdtempSync(join(placeForData(), 'concordat-kill-')));
  const deserters: string[] = [];
  const postgres = await keepPostgres(home, (error) => deserters.push(`PostgreSQL: ${String(error)}`));
  const logFile = join(home, 'processes.log');
  const env = {
    PATH: process.env['PATH'],
    DATABASE_URL: postgres.url,
    CONCORDAT_HOME: home,
    CONCORDAT_PUBLIC_URL: PUBLIC_URL,
    CONCORDAT_WORKERS: '1',
    LOG_LEVEL: 'warn',
  };
  const config = loadConfig(env);
  const { masterKey } = config;
  await migrate(postgres.url, masterKey);
  const app = await openApp(config, 'test');
  const ports = [String(await freePort()), String(await freePort())] as const;
  const keep = (name: string, script: string, more: NodeJS.ProcessEnv = {}) => {
    const make = () => {
      const output = openSync(logFile, 'a');
      return spawn(process.execPath, [...NODE_FLAGS, '--import', tether, join('dist', script)], {
        cwd: root,
        env: { ...env, ...more },
        stdio: ['ignore', output, output, 'ipc'],
      });
    };
    return new Kept(make, (how) => {
      deserters.push(`${name}: ${how}`);
      appendFileSync(logFile, `${name} ended by itself: ${how}\n`);
    });
  };
  const apis = ports.map((PORT, i) => keep(`API ${i}`, 'src/main.js', { PORT }));
  const worker = keep('worker', 'workers/main.js');
  const urls = ports.map((port) => `http://127.0.0.1:${port}`) as unknown as readonly [string, string];
  const postmaster = () => Number(readFileSync(join(home, 'pg', 'postmaster.pid'), 'utf8').split('\n')[0]);
  const data = realpathSync(join(home, 'pg'));

  return {
    app,
    databaseUrl: postgres.url,
    masterKey,
    urls,
    deserters,
    isWhole: async () => {
      const isReady = async (url: string, at: number) => {
        const { child } = apis[at]!;
        const answer = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(2000) }).catch(() => null);
        if (answer?.ok) apis[at]!.ready = child;
        return answer?.ok === true;
      };
      return !(await Promise.all(urls.map(isReady))).includes(false);
    },
    kill: async (victim, pick) => {
      if (victim === 'the worker') return worker.kill();
      if (victim === 'an API') return apis[pick < 0.5 ? 0 : 1]!.kill();
      if (victim === 'both APIs') return apis.map((api) => api.kill()).includes(true);
      return killAll(victim === 'a backend' ? await backends(postgres.url, pick) : victims(victim, data, postmaster));
    },
    log: () => readFileSync(logFile, 'utf8').slice(-20_000),
    activity: async () => (await askOnce<{ line: string }>(postgres.url, ACTIVITY)).map(({ line }) => line).join('\n'),
    integrators: async () => (await askOnce<{ pid: number }>(postgres.url, INTEGRATOR)).map(({ pid }) => pid),
    close: async () => {
      await Promise.all([...apis, worker].map((one) => one.close()));
      await app.close();
      await postgres.close();
      removeHome(home);
    },
  };
}

function victims(victim: Victim, data: string, postmaster: () => number): number[] {
  try {
    return victim === 'the postmaster' ? [postmaster()] : [postmaster(), ...processesIn(data)];
  } catch {
    return []; // It is being started.
  }
}

/** One of those that record predictions. */
async function backends(databaseUrl: string, pick: number): Promise<number[]> {
  const text = `select pid from pg_stat_activity where usename = 'concordat_ledger' order by pid`;
  const rows = await askOnce<{ pid: number }>(databaseUrl, text);
  return rows.slice(Math.floor(pick * rows.length), Math.floor(pick * rows.length) + 1).map(({ pid }) => pid);
}

/** The rows, or none where the database is away. */
async function askOnce<T extends pg.QueryResultRow>(databaseUrl: string, text: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: 2000, query_timeout: 2000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return (await client.query<T>(text)).rows;
  } catch {
    return [];
  } finally {
    await client.end().catch(() => undefined);
  }
}

const ACTIVITY = `select concat_ws(' ', pid, pg_blocking_pids(pid)::text, application_name, state, wait_event_type, wait_event, now() - state_change, left(query, 100)) as line
  from pg_stat_activity where backend_type = 'client backend' order by pid`;
/** Who holds the advisory lock of integrators (src/domain/audit/integrator.ts). */
const INTEGRATOR = `select pid from pg_locks where locktype = 'advisory' and objid = 47111816 and granted
  and database = (select oid from pg_database where datname = current_database())`;

function killAll(pids: readonly number[]): boolean {
  let killed = false;
  for (const pid of pids)
    try {
      process.kill(pid, 'SIGKILL');
      killed = true;
    } catch {
      // gone meanwhile
    }
  return killed;
}

/** Asks again until it is so. */
export async function until(condition: () => boolean | Promise<boolean>, what: string, timeoutMs = 90_000) {
  for (const from = performance.now(); !(await condition()); await delay(50))
    if (performance.now() - from > timeoutMs) throw new Error(`It does not come to pass: ${what}.`);
}

import { setTimeout as delay } from 'node:timers/promises';
import {
  createPostgresBackend,
  createRedisBackend,
  type PostgresConnectionOptions,
  type Queue,
  type QueueOptions,
  runMigrations,
  withBackend,
  type Worker,
} from 'bullmq';
import pg from 'pg';
import { roleUrl } from './db.js';
import type { JobPayload, QueueName } from './jobs.js';
import type { Logger } from './log.js';

/** BullMQ's tables live here, apart from ours; only the relay's role reaches them. */
const SCHEMA = 'bullmq';

/** Where the queues are: Redis if there is an address of one, else the database. */
export interface QueueConfig {
  readonly databaseUrl: string;
  readonly masterKey: Buffer;
  readonly redisUrl: string | null;
}

/**
 * Makes BullMQ's tables, as the owner of the database, and lets the relay's role use but not change them (it may create in
 * their schema, because BullMQ numbers the jobs of each queue by a sequence of its own, made at the first job).
 */
export async function migrateQueues(databaseUrl: string): Promise<void> {
  const owner = new pg.Client({ connectionString: databaseUrl });
  await owner.connect();
  try {
    await runMigrations(owner, SCHEMA);
    await owner.query(`
      revoke all on all functions in schema ${SCHEMA} from public;
      grant usage, create on schema ${SCHEMA} to concordat_relay;
      grant select, insert, update, delete on all tables in schema ${SCHEMA} to concordat_relay;
      grant execute on all functions in schema ${SCHEMA} to concordat_relay;
      -- Not of all sequences: those of the queues belong to the relay's role already, and are not ours to grant.
      do $$
      declare own regclass;
      begin
        for own in select oid from pg_class
          where relkind = 'S' and relnamespace = '${SCHEMA}'::regnamespace and relowner = current_user::regrole
        loop
          execute format('grant usage, select, update on sequence %s to concordat_relay', own);
        end loop;
      end $$;
    `);
  } finally {
    await owner.end();
  }
}

/** One message: rings for one attempt of one job. The same ring twice is one message. */
export interface Ring {
  readonly payload: JobPayload;
  readonly attempt: number;
  /** 1 is first. The relay gives a tenant's n-th unfinished job the priority n. */
  readonly priority: number;
}

export interface Queues {
  add(queue: QueueName, rings: readonly Ring[]): Promise<void>;
  close(): Promise<void>;
}

type AnyQueue = Pick<Queue<JobPayload>, 'addBulk' | 'close'> & {
  on(event: 'error', listener: (error: Error) => void): unknown;
};

export function openQueues(config: QueueConfig, log: Logger): Queues {
  const queues = new Map<QueueName, AnyQueue>();
  const open = (name: QueueName): AnyQueue => {
    const known = queues.get(name);
    if (known) return known;
    const made = config.redisUrl
      ? (new Redis.Queue<JobPayload>(name, redis(config.redisUrl)) as AnyQueue)
      : (new Postgres.Queue<JobPayload>(name, postgres(config)) as AnyQueue);
    made.on('error', (error) => log.warn({ queue: name, error: error.message }, 'queue connection'));
    queues.set(name, made);
    return made;
  };
  return {
    add: async (queue, rings) => {
      if (rings.length === 0) return;
      await open(queue).addBulk(
        rings.map(({ payload, attempt, priority }) => ({
          name: queue,
          data: payload,
          opts: { jobId: `${payload.jobId}.${attempt}`, priority, removeOnComplete: true, removeOnFail: true },
        })),
      );
    },
    close: async () => {
      await Promise.all([...queues.values()].map((queue) => queue.close()));
    },
  };
}

export interface ConsumerOptions {
  readonly config: QueueConfig;
  readonly queue: QueueName;
  readonly concurrency: number;
  /** Must not throw: what becomes of a job is written in its row, the queue is only a doorbell. */
  readonly run: (payload: JobPayload) => Promise<void>;
  readonly log: Logger;
}

export interface Consumer {
  /** Takes no more; resolves when what runs has ended. */
  close(): Promise<void>;
}

const RETRY_MS = 1000;

/**
 * Takes from a queue for as long as the process lives. A BullMQ Worker whose first connection fails spins and freezes the
 * process: so it is run only once it is ready, and otherwise thrown away and built anew.
 */
export function consume(options: ConsumerOptions): Consumer {
  const closing = new AbortController();
  let worker: AnyWorker | null = null;
  const loop = async () => {
    while (!closing.signal.aborted) {
      worker = openWorker(options);
      try {
        await worker.waitUntilReady();
        if (!closing.signal.aborted) await worker.run();
      } catch (error) {
        options.log.warn({ queue: options.queue, error: (error as Error).message }, 'queue is out of reach');
      }
      await worker.close(true).catch(() => undefined);
      await delay(RETRY_MS, undefined, { signal: closing.signal }).catch(() => undefined);
    }
  };
  const ended = loop();
  return {
    close: async () => {
      closing.abort();
      await worker?.close().catch(() => undefined);
      await ended;
    },
  };
}

type AnyWorker = Pick<Worker, 'waitUntilReady' | 'run' | 'close'> & {
  on(event: 'error', listener: (error: Error) => void): unknown;
};

function openWorker({ config, queue, concurrency, run, log }: ConsumerOptions): AnyWorker {
  const options = {
    autorun: false,
    concurrency,
    lockDuration: 30_000,
    stalledInterval: 15_000,
    maxStalledCount: 10,
    runRetryDelay: RETRY_MS,
  };
  const work = ({ data }: { data: JobPayload }) => run(data);
  const worker: AnyWorker = config.redisUrl
    ? new Redis.Worker<JobPayload, void>(queue, work, { ...redis(config.redisUrl), ...options })
    : new Postgres.Worker<JobPayload, void>(queue, work, { ...postgres(config), ...options });
  worker.on('error', (error) => log.warn({ queue, error: error.message }, 'queue connection'));
  return worker;
}

const Postgres = withBackend(createPostgresBackend);
const Redis = withBackend(createRedisBackend);

/** A small pool for each: a shared one would lose a client for good to every Worker. */
function postgres(config: QueueConfig): QueueOptions<PostgresConnectionOptions> {
  const connectionString = roleUrl(config.databaseUrl, config.masterKey, 'concordat_relay');
  return { connection: { connectionString, schema: SCHEMA, max: 2, application_name: 'concordat_queue' } };
}

function redis(url: string): QueueOptions {
  return { connection: { url, maxRetriesPerRequest: null }, prefix: 'concordat' };
}

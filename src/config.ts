import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';

const count = (fallback: number, min: number, max: number) =>
  z.coerce.number().int().min(min).max(max).default(fallback);

/** Every environment variable that Concordat reads, with its default: docs/configuration.md is written from this. */
const Environment = z.object({
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'must start with postgres:// or postgresql://')
    .describe('PostgreSQL 15 or newer. The embedded one is started by `npm start` when this is not set.'),
  REDIS_URL: z
    .string()
    .regex(/^rediss?:\/\//, 'must start with redis:// or rediss://')
    .optional()
    .describe('Moves the job queues from PostgreSQL to Redis or Valkey.'),
  CONCORDAT_HOME: z.string().min(1).default('.concordat').describe('The one directory of data.'),
  CONCORDAT_MASTER_KEY: z
    .string()
    .regex(/^[0-9a-fA-F]{64}$/, 'must be 64 hexadecimal digits (32 bytes)')
    .optional()
    .describe('Wraps the tenants’ keys. Default: the file master.key in CONCORDAT_HOME, made on first use.'),
  CONCORDAT_PUBLIC_URL: z
    .url()
    .optional()
    .describe('The address that people and applications use. Default: http://localhost:PORT.'),
  CONCORDAT_OPERATOR_EMAIL: z
    .email()
    .default('operator@localhost.test')
    .describe('The first operator’s email address.'),
  CONCORDAT_DPOP_NONCE: z
    .enum(['off', 'required'])
    .default('off')
    .describe('Whether proofs of possession must carry a nonce of the server.'),
  PORT: count(4000, 0, 65535).describe('The port of the API; 0 takes any free one.'),
  HOST: z.string().default('127.0.0.1').describe('The address to listen on; 0.0.0.0 to be reached from elsewhere.'),
  CONCORDAT_REGION: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'is named by small letters, digits and hyphens, 40 at most')
    .default('local')
    .describe('Where this replica stands: agreements can name the regions that may answer.'),
  CONCORDAT_TRUSTED_PROXIES: count(0, 0, 10).describe(
    'Reverse proxies in front, each of which adds to X-Forwarded-For: the caller’s address is taken from there.',
  ),
  LOG_LEVEL: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .default('info')
    .describe('How much is logged.'),
  CONCORDAT_LOGS: z
    .enum(['files', 'stdout'])
    .default('files')
    .describe('Where `npm start` puts the logs; stdout for containers.'),
  CONCORDAT_WORKERS: count(Math.max(1, Math.min(4, availableParallelism() - 1)), 1, 64).describe(
    'Jobs of one queue (data, training, prediction) that one worker process runs at a time.',
  ),
  CONCORDAT_JOBS_PER_TENANT: count(2, 1, 64).describe('Jobs of one tenant that are released to one queue at a time.'),
  CONCORDAT_CHILD_MEMORY_MB: count(4096, 256, 1048576).describe('The memory limit of one job’s child process.'),
  CONCORDAT_UPLOAD_MAX_MB: count(2048, 1, 1048576).describe('The largest upload.'),
});

export const ENVIRONMENT_VARIABLES: readonly string[] = Object.keys(Environment.shape);

export interface Config {
  readonly databaseUrl: string;
  readonly redisUrl: string | null;
  readonly home: string;
  readonly masterKey: Buffer;
  readonly publicUrl: string | null;
  readonly operatorEmail: string;
  readonly dpopNonce: boolean;
  readonly port: number;
  readonly host: string;
  readonly region: string;
  readonly trustedProxies: number;
  readonly logLevel: string;
  readonly workerConcurrency: number;
  readonly jobsPerTenant: number;
  readonly childMemoryMb: number;
  readonly uploadMaxBytes: number;
}

/** Thrown with all problems at once; the process prints it and exits with 78 (EX_CONFIG of sysexits.h). */
export class ConfigError extends Error {}

/** Reads and checks the environment, and makes the home directory and the master key where they are missing. */
export function loadConfig(env: NodeJS.ProcessEnv): Config {
  const known = Object.fromEntries(
    Object.keys(Environment.shape).flatMap((name) => (env[name] ? [[name, env[name]]] : [])),
  );
  const parsed = Environment.safeParse(known);
  if (!parsed.success) {
    const lines = parsed.error.issues.map((issue) => `  ${issue.path.join('.')}: ${issue.message}`);
    throw new ConfigError(`The configuration is not usable:\n${lines.join('\n')}`);
  }
  const e = parsed.data;
  const home = resolve(e.CONCORDAT_HOME);
  return Object.freeze({
    databaseUrl: e.DATABASE_URL,
    redisUrl: e.REDIS_URL ?? null,
    home,
    masterKey: e.CONCORDAT_MASTER_KEY ? Buffer.from(e.CONCORDAT_MASTER_KEY, 'hex') : masterKeyFile(home),
    publicUrl: e.CONCORDAT_PUBLIC_URL ?? null,
    operatorEmail: e.CONCORDAT_OPERATOR_EMAIL,
    dpopNonce: e.CONCORDAT_DPOP_NONCE === 'required',
    port: e.PORT,
    host: e.HOST,
    region: e.CONCORDAT_REGION,
    trustedProxies: e.CONCORDAT_TRUSTED_PROXIES,
    logLevel: e.LOG_LEVEL,
    workerConcurrency: e.CONCORDAT_WORKERS,
    jobsPerTenant: e.CONCORDAT_JOBS_PER_TENANT,
    childMemoryMb: e.CONCORDAT_CHILD_MEMORY_MB,
    uploadMaxBytes: e.CONCORDAT_UPLOAD_MAX_MB * 2 ** 20,
  });
}

function masterKeyFile(home: string): Buffer {
  const file = join(home, 'master.key');
  try {
    if (!existsSync(file)) {
      // Not recursive: on a path below /proc Node's recursive mkdir never returns.
      if (!existsSync(home)) mkdirSync(home);
      writeFileSync(file, randomBytes(32).toString('hex') + '\n', { mode: 0o600, flag: 'wx' });
    }
  } catch (error) {
    // Another process may have made it between the look and the write.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw new ConfigError(
        `Cannot write ${file}: ${(error as Error).message}. Set CONCORDAT_HOME to a directory that can be written.`,
      );
    }
  }
  const key = Buffer.from(readFileSync(file, 'utf8').trim(), 'hex');
  if (key.length !== 32)
    throw new ConfigError(
      `${file} does not hold 64 hexadecimal digits. Restore it from a backup: without it the data cannot be read.`,
    );
  return key;
}

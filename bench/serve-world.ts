/**
 * A Concordat of its own for the measurement: embedded PostgreSQL, durable; the API as a child process; a model trained through the
 * product's own path; an endpoint, an agreement with every limit set, an API key. The worker that trained is stopped before.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { mkdtempSync, realpathSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openApp } from '../src/app.js';
import { Client } from '../src/cli/demo-client.js';
import { Printer } from '../src/cli/demo-print.js';
import { dataset, join as joinTenant, type Party, send, settled } from '../src/cli/demo-steps.js';
import { loadConfig } from '../src/config.js';
import { ensureOperator } from '../src/domain/tenants/account.service.js';
import { NODE_FLAGS } from '../src/launch/child.mjs';
import { openHome } from '../src/launch/home.mjs';
import { removeHome } from '../src/launch/postgres-files.mjs';
import { startPostgres } from '../src/launch/postgres.mjs';
import { migrate } from '../src/migrate.js';
import { parentOf } from './cpu.js';
import { higgsLike } from './higgs-like.js';

export const COLUMNS = 28;
const TREES = 100;
const TRAINING_ROWS = 8000;
const OPERATOR = 'operator@example.test';
const DAY_MS = 86_400_000;

export interface World {
  readonly port: number;
  readonly apiPid: number;
  readonly postgresPid: number;
  /** The file of the model, for those who serve it without checks. */
  readonly model: string;
  readonly endpointId: string;
  readonly agreementId: string;
  readonly key: string;
  /** Another agreement, under which every request proves from which device it comes. */
  readonly proven: Proven;
  close(): Promise<void>;
}

export interface Proven {
  readonly agreementId: string;
  /** ES256, with its private half: JWK. */
  readonly device: JsonWebKey;
}

/** `flags`: of Node, for the API. */
export async function makeWorld(flags: string[]): Promise<World> {
  const folder = mkdtempSync(join(realpathSync(tmpdir()), 'concordat-bench-'));
  const { path: home } = await openHome(folder);
  const postgres = await startPostgres({ home });
  const stops: (() => Promise<void>)[] = [
    async () => {
      await postgres.stop();
      removeHome(home);
    },
  ];
  const close = async (): Promise<void> => {
    for (const stop of stops.reverse()) await stop();
  };
  try {
    const env = { DATABASE_URL: postgres.url, CONCORDAT_HOME: home, LOG_LEVEL: 'warn', PORT: '0' };
    const config = loadConfig(env);
    await migrate(config.databaseUrl, config.masterKey);
    const app = await openApp(config, 'bench');
    const operator = (await ensureOperator(app.db, OPERATOR))!;
    const api = start('src/main.js', { ...env, LOG_LEVEL: 'info' }, flags);
    stops.push(() => end(api));
    const url = await addressOf(api);
    const worker = start('workers/main.js', env);
    stops.push(() => end(worker));
    const given = await prepare(new Client(url), operator);
    await end(worker);
    const { onnx } = await app.models.readOnnx({ tenantId: given.providerId }, given.modelVersionId);
    const model = join(folder, 'model.onnx');
    writeFileSync(model, onnx);
    const [{ pid }] = await app.db.app.query<[{ pid: number }]>('select pg_backend_pid() as pid');
    const postgresPid = parentOf(pid);
    await app.close();
    return {
      port: Number(new URL(url).port),
      apiPid: api.pid!,
      postgresPid,
      model,
      ...given,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function start(program: string, env: Record<string, string>, flags: string[] = []): ChildProcess {
  const child = spawn(process.execPath, [...NODE_FLAGS, ...flags, join('dist', program)], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  child.stderr!.on('data', (chunk: Buffer) => {
    for (const line of chunk.toString().split('\n'))
      if (line !== '' && !line.includes('"level":30')) console.error(line);
  });
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await gone;
}

function addressOf(api: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = '';
    api.stderr!.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      const url = /"url":"(http[^"]+)"/.exec(said)?.[1];
      if (url) resolve(url);
    });
    api.once('exit', (code) => reject(new Error(`The API ended with ${code}: ${said}`)));
  });
}

interface Given {
  readonly providerId: string;
  readonly modelVersionId: string;
  readonly endpointId: string;
  readonly agreementId: string;
  readonly key: string;
  readonly proven: Proven;
}

async function prepare(anyone: Client, operator: { email: string; password: string }): Promise<Given> {
  const print = new Printer(true);
  const { token } = await anyone.change<{ token: string }>('signIn', operator, 'token');
  const desk = [anyone, anyone.as(token)] as const;
  const provider = await joinTenant(print, desk, 'Provider', 'provider@example.test');
  const consumer = await joinTenant(print, desk, 'Consumer', 'consumer@example.test');
  const modelVersionId = await train(print, provider);
  const { endpoint } = await provider.owner.change<{ endpoint: { id: string } }>(
    'createEndpoint',
    { name: 'bench', modelVersionId },
    'endpoint { id }',
  );
  const { application } = await consumer.owner.change<{ application: { id: string } }>(
    'createApplication',
    { name: 'Bench' },
    'application { id }',
  );
  const { token: key } = await consumer.owner.change<{ token: string }>(
    'createApiKey',
    { applicationId: application.id, name: 'Bench', permissions: ['PREDICTION_CREATE', 'ENDPOINT_READ'] },
    'token',
  );
  const agreementId = await agree([provider, consumer], endpoint.id);
  const proven = await prove([provider, consumer], endpoint.id, application.id);
  return { providerId: provider.tenantId, modelVersionId, endpointId: endpoint.id, agreementId, key, proven };
}

async function prove(parties: readonly [Party, Party], endpointId: string, applicationId: string): Promise<Proven> {
  const agreementId = await agree(parties, endpointId, { devices: { proof: 'REQUIRED', most: 1 } });
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { owner } = parties[1];
  const { device } = await owner.change<{ device: { id: string } }>(
    'registerDevice',
    { applicationId, name: 'Bench', publicKey: JSON.stringify(publicKey.export({ format: 'jwk' })) },
    'device { id }',
  );
  await owner.change('admitDevice', { agreementId, deviceId: device.id }, 'agreementDevice { deviceId }');
  return { agreementId, device: privateKey.export({ format: 'jwk' }) as JsonWebKey };
}

async function train(print: Printer, provider: Party): Promise<string> {
  const uploadId = await send(provider, 'higgs.csv', csv());
  const version = await dataset(print, provider, 'Higgs', uploadId);
  const { split } = await provider.owner.change<{ split: { id: string } }>(
    'createSplit',
    { datasetVersionId: version.id, method: 'RANDOM' },
    'split { id }',
  );
  await settled(print, 'Splitting', () =>
    provider.owner.ask<{ state: string; errorMessage: string | null }>(
      'query Split($id: ID!) { split(id: $id) { state errorMessage } }',
      { id: split.id },
    ),
  );
  const parameters = { nEstimators: TREES, maxDepth: 6, numLeaves: 64, earlyStoppingRounds: 0 };
  const input = {
    datasetVersionId: version.id,
    splitId: split.id,
    target: 'y',
    modelName: 'Bench',
    algorithm: { gradientBoosting: parameters },
    seed: 1,
  };
  const { training } = await provider.owner.change<{ training: { id: string } }>(
    'startTraining',
    input,
    'training { id }',
  );
  for (;;) {
    interface Seen {
      readonly job: { readonly state: string; readonly errorMessage: string | null };
      readonly modelVersion: { readonly id: string } | null;
    }
    const seen = await provider.owner.ask<Seen>(
      'query Training($id: ID!) { training(id: $id) { job { state errorMessage } modelVersion { id } } }',
      { id: training.id },
    );
    if (seen.modelVersion) return seen.modelVersion.id;
    if (seen.job.state === 'FAILED') throw new Error(seen.job.errorMessage ?? 'The training failed.');
    await sleep(200);
  }
}

function csv(): string {
  const { columns, y } = higgsLike(TRAINING_ROWS, COLUMNS, 1);
  const lines = [[...columns.keys()].map((k) => `x${k}`).join(',') + ',y'];
  for (let row = 0; row < TRAINING_ROWS; row++) {
    const cells = columns.map((column) => (Number.isNaN(column[row]!) ? '' : String(column[row]!)));
    lines.push(`${cells.join(',')},${y[row] === 1 ? 'signal' : 'noise'}`);
  }
  return lines.join('\n') + '\n';
}

/** With every limit that an agreement can have, none of which is reached. */
async function agree(
  [provider, consumer]: readonly [Party, Party],
  endpointId: string,
  more: Record<string, unknown> = {},
): Promise<string> {
  const now = Date.now();
  const terms = {
    purposes: ['OPERATIONS'],
    period: { from: new Date(now - 1000).toISOString(), until: new Date(now + 365 * DAY_MS).toISOString() },
    rowsPerDay: 1e11,
    rowsInTotal: 1e12,
    disclosure: { kind: 'SCORES', digits: 3 },
    ...more,
  };
  const { agreement } = await provider.owner.change<{ agreement: { id: string } }>(
    'offerAgreement',
    { endpointId, consumerTenantId: consumer.tenantId, terms },
    'agreement { id }',
  );
  for (const { owner, password } of [provider, consumer])
    await owner.change('signAgreement', { agreementId: agreement.id, password }, 'agreement { state }');
  return agreement.id;
}

import type { ChildProcess } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { inTenant } from '../../src/platform/db.js';
import { newId } from '../../src/platform/ids.js';
import { makeScope, type Scope } from '../../src/platform/scope.js';
import { isAlive } from '../support/process.js';
import { type Data, makeData, random } from './data.js';
import {
  childrenOf,
  isOver,
  kill,
  makeTenant,
  openPlatform,
  type Platform,
  readJob,
  spawnWorker,
  type Tenant,
  untilJob,
} from './support.js';

let platform: Platform;
let tenant: Tenant;
let scope: Scope;
let data: Data;
let worker: ChildProcess;

beforeEach(async () => {
  platform = await openPlatform({ CONCORDAT_WORKERS: '2' });
  tenant = await makeTenant(platform.app);
  scope = makeScope({
    tenantId: tenant.tenantId,
    actor: { kind: 'MEMBER', id: newId('account') },
    permissions: new Set(),
    requestId: newId('request'),
    signal: new AbortController().signal,
  });
  data = await makeData(platform.app, tenant);
  worker = await spawnWorker(platform.env);
});

afterEach(async () => {
  if (worker && isAlive(worker.pid!) && worker.exitCode === null) await kill(worker, 'SIGTERM');
  await platform?.close();
});

const start = (nEstimators: number) =>
  platform.app.trainings.start(scope, {
    ...data,
    target: 'bought',
    features: ['age', 'income', 'city'],
    algorithm: { name: 'GRADIENT_BOOSTING', parameters: { nEstimators, earlyStoppingRounds: 0, learningRate: 0.01 } },
    modelName: 'Buyers',
    seed: 7,
  });
const inTraining = (job: { progress: { phase: string } | null }) => job.progress?.phase === 'training';
const versions = () =>
  inTenant(platform.app.db, tenant, (tx) =>
    tx.query<{ trainingId: string; number: number }[]>(
      `select training_id as "trainingId", number from model_version order by number`,
    ),
  );

describe('a training ends in exactly one version', () => {
  it('when its child is killed', async () => {
    const training = await start(2000);
    await untilJob(platform.app, tenant, training.jobId, inTraining);
    const [child] = childrenOf(worker.pid!);
    process.kill(child!, 'SIGKILL');
    expect(await untilJob(platform.app, tenant, training.jobId, isOver)).toMatchObject({
      state: 'SUCCEEDED',
      attempt: 2,
    });
    expect(await versions()).toEqual([{ trainingId: training.id, number: 1 }]);
  });

  it('when its worker is killed, whose children die with it', async () => {
    const training = await start(2000);
    await untilJob(platform.app, tenant, training.jobId, inTraining);
    const children = childrenOf(worker.pid!);
    expect(children).toHaveLength(1);
    await kill(worker, 'SIGKILL');
    worker = await spawnWorker(platform.env);
    for (const child of children) expect(isAlive(child)).toBe(false);
    expect(await untilJob(platform.app, tenant, training.jobId, isOver, 50_000)).toMatchObject({
      state: 'SUCCEEDED',
      attempt: 2,
    });
    expect(await versions()).toEqual([{ trainingId: training.id, number: 1 }]);
  });

  it('when its worker is told to stop: the next one takes over at once', async () => {
    const training = await start(2000);
    await untilJob(platform.app, tenant, training.jobId, inTraining);
    expect(await kill(worker, 'SIGTERM')).toBe(0);
    expect(await readJob(platform.app, tenant, training.jobId)).toMatchObject({ state: 'QUEUED', maxAttempts: 4 });
    const from = Date.now();
    worker = await spawnWorker(platform.env);
    await untilJob(platform.app, tenant, training.jobId, (job) => job.state === 'RUNNING');
    expect(Date.now() - from).toBeLessThan(15_000);
    expect(await untilJob(platform.app, tenant, training.jobId, isOver)).toMatchObject({
      state: 'SUCCEEDED',
      attempt: 2,
    });
    expect(await versions()).toHaveLength(1);
  });

  it('when workers are killed at any moment', { timeout: 180_000 }, async () => {
    const seed = Number(process.env.TEST_SEED ?? Date.now() % 1e6);
    const next = random(seed);
    const trainings = [];
    for (let i = 0; i < 4; i++) trainings.push(await start(20));
    for (let i = 0; i < 2; i++) {
      await delay(500 + 4000 * next());
      await kill(worker, 'SIGKILL');
      worker = await spawnWorker(platform.env);
    }
    for (const training of trainings) {
      const job = await untilJob(platform.app, tenant, training.jobId, isOver, 120_000);
      expect(job, `TEST_SEED=${seed}`).toMatchObject({ state: 'SUCCEEDED' });
    }
    const made = await versions();
    expect(made.map((version) => version.number)).toEqual([1, 2, 3, 4]);
    expect(new Set(made.map((version) => version.trainingId))).toEqual(
      new Set(trainings.map((training) => training.id)),
    );
  });
});

import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runChild } from '../../src/platform/child.js';
import { inTenant } from '../../src/platform/db.js';
import type { JobProgress } from '../../src/platform/jobs.js';
import { newId } from '../../src/platform/ids.js';
import { makeScope, type Scope } from '../../src/platform/scope.js';
import { loadFitted } from '../../src/domain/models/fitted-model.service.js';
import type { NewTraining } from '../../src/domain/training/training.service.js';
import { ENDINGS, PROCESSORS } from '../../workers/processors.js';
import { startWorkers, type Workers } from '../../workers/main.js';
import { type Data, makeData } from './data.js';
import { isOver, makeTenant, openPlatform, type Platform, type Tenant, untilJob } from './support.js';

let platform: Platform;
let tenant: Tenant;
let scope: Scope;
let data: Data;
let workers: Workers;

const scopeOf = ({ tenantId }: Tenant) =>
  makeScope({
    tenantId,
    actor: { kind: 'MEMBER', id: newId('account') },
    permissions: new Set(),
    requestId: newId('request'),
    signal: new AbortController().signal,
  });

const start = (more: Partial<NewTraining> = {}, by = scope) =>
  platform.app.trainings.start(by, {
    datasetVersionId: data.datasetVersionId,
    splitId: data.splitId,
    target: 'bought',
    features: ['age', 'income', 'city'],
    algorithm: { name: 'GRADIENT_BOOSTING', parameters: { nEstimators: 20 } },
    modelName: 'Buyers',
    positiveClass: more.target && more.target !== 'bought' ? null : 'yes',
    seed: 7,
    ...more,
  });
const over = async (more: Partial<NewTraining> = {}) => {
  const training = await start(more);
  const job = await untilJob(platform.app, tenant, training.jobId, isOver);
  const [version] = await platform.app.models.findVersionsOf(scope, [training.id]);
  return { training, job, version: version! };
};
const auditKinds = (subjectId: string) =>
  inTenant(platform.app.db, tenant, (tx) =>
    tx.query<{ kind: string }[]>(`select kind from audit_entry where subject_id = $1 order by log_index`, [subjectId]),
  ).then((rows) => rows.map((row) => row.kind));

beforeAll(async () => {
  platform = await openPlatform({ CONCORDAT_WORKERS: '2' });
  tenant = await makeTenant(platform.app);
  scope = scopeOf(tenant);
  data = await makeData(platform.app, tenant);
  workers = startWorkers(platform.app, PROCESSORS, ENDINGS);
});

afterAll(async () => {
  await workers?.close();
  await platform?.close();
});

describe('a training', () => {
  it('ends in a numbered version with its lineage, figures and proof', async () => {
    const { training, job, version } = await over();
    expect(job).toMatchObject({ state: 'SUCCEEDED', attempt: 1, errorCode: null });
    expect(version).toMatchObject({
      number: 1,
      trainingId: training.id,
      datasetVersionId: data.datasetVersionId,
      splitId: data.splitId,
      seed: 7,
      algorithm: 'GRADIENT_BOOSTING',
      derivedFromDeletedData: false,
    });
    expect(version.signature).toMatchObject({ task: 'binary', target: 'bought', classes: ['no', 'yes'] });
    expect(version.parity).toMatchObject({ passed: true, labelMismatches: 0 });
    expect(version.codeVersion).toMatch(/^\d+\.\d+\.\d+\+[0-9a-f]{16}$/);
    expect(version.parameters).toMatchObject({ nEstimators: 20, learningRate: 0.1 });
    const auc = version.test.figures.find((figure) => figure.name === 'AUC')!;
    expect(auc.value).toBeGreaterThan(0.85);
    expect(auc.low).toBeLessThan(auc.value!);
    expect(version.peakMemoryBytes).toBeGreaterThan(2 ** 25);
    const { onnx, digest } = await platform.app.models.readOnnx(scope, version.id);
    expect(createHash('sha256').update(onnx).digest('hex')).toBe(digest);
    const { fitted } = await inTenant(platform.app.db, tenant, (tx) =>
      platform.app.models.openFitted(tx, scope, version.id),
    );
    const { format: _, ...signature } = version.signature;
    expect(await loadFitted(fitted)).toMatchObject({ ...signature, model: { family: 'trees' } });
    expect(await auditKinds(training.id)).toEqual(['training.started', 'training.finished']);
    expect(await auditKinds(version.id)).toEqual(['version.registered']);
  });

  it('keeps the figures of its last round when it is past it', async () => {
    const { training } = await over();
    const plan = await platform.app.trainings.plan(scope, training.id);
    const blob = () => inTenant(platform.app.db, tenant, (tx) => platform.app.blobs.prepare(tx, tenant));
    const told: JobProgress[] = [];
    await runChild<unknown, JobProgress>({
      program: new URL('../../workers/train-child.js', import.meta.url),
      input: { data: plan.data, spec: plan.spec, onnx: await blob(), fitted: await blob() },
      memoryLimitMb: 2048,
      signal: new AbortController().signal,
      onProgress: (progress) => void told.push(progress),
    });
    const [before, last] = told.slice(-2);
    expect(before).toMatchObject({ phase: 'training', rounds: 20, metric: { name: 'logLoss' } });
    expect(last).toEqual({ ...before, phase: 'sealing', fraction: 1 });
  });

  it('gives the same bytes for the same seed, under the next number', async () => {
    const first = await over();
    const second = await over();
    expect(second.version.number).toBe(first.version.number + 1);
    expect(second.version.digest).toBe(first.version.digest);
    expect(second.version.id).not.toBe(first.version.id);
    expect(second.version.test).toEqual(first.version.test);
  });

  it.each([
    ['DECISION_TREE', 'bought'],
    ['RANDOM_FOREST', 'city'],
    ['LINEAR', 'spent'],
  ] as const)('trains %s for %s', async (name, target) => {
    const features = ['age', 'income', 'city', 'bought'].filter((column) => column !== target);
    const { job, version } = await over({
      target,
      features,
      algorithm: { name, parameters: name === 'RANDOM_FOREST' ? { nEstimators: 10 } : {} },
    });
    expect(job).toMatchObject({ state: 'SUCCEEDED', errorCode: null });
    expect(version.test.figures.length).toBeGreaterThan(2);
  });

  it('fails with a sentence for a target without variety', async () => {
    const { training, job, version } = await over({ target: 'same' });
    expect(job).toMatchObject({ state: 'FAILED', attempt: 1, errorCode: 'TARGET_CONSTANT' });
    expect(version).toBeNull();
    expect(await auditKinds(training.id)).toEqual(['training.started', 'training.failed']);
  });

  it.each([
    ['input.target', { target: 'nothing' }],
    ['input.features.1', { features: ['age', 'nothing'] }],
    ['input.features', { features: ['age', 'bought'] }],
    [
      'input.algorithm.learningRate',
      { algorithm: { name: 'GRADIENT_BOOSTING' as const, parameters: { learningRate: 7 } } },
    ],
    ['input.seed', { seed: -1 }],
    ['input.modelId', { modelName: null }],
  ])('is refused at once where %s is wrong', async (field, more) => {
    await expect(start(more)).rejects.toMatchObject({ code: 'INVALID_INPUT', field });
  });

  it('knows nothing of another tenant’s data, models and trainings', async () => {
    const stranger = scopeOf(await makeTenant(platform.app, 'A stranger'));
    const { training, version } = await over();
    const notFound = { code: 'NOT_FOUND' };
    await expect(start({}, stranger)).rejects.toMatchObject(notFound);
    await expect(platform.app.trainings.cancel(stranger, training.id)).rejects.toMatchObject(notFound);
    await expect(platform.app.trainings.retry(stranger, training.id)).rejects.toMatchObject(notFound);
    await expect(platform.app.models.readOnnx(stranger, version.id)).rejects.toMatchObject(notFound);
    await expect(
      inTenant(platform.app.db, stranger, (tx) => platform.app.models.openFitted(tx, stranger, version.id)),
    ).rejects.toMatchObject(notFound);
    await expect(platform.app.models.compare(stranger, version.id, version.id)).rejects.toMatchObject(notFound);
    await expect(
      platform.app.models.setAlias(stranger, { modelId: version.modelId, alias: 'champion', versionId: version.id }),
    ).rejects.toMatchObject(notFound);
    expect(await platform.app.models.findVersion(stranger, version.id)).toBeNull();
    expect(await platform.app.trainings.find(stranger, training.id)).toBeNull();
    expect((await platform.app.trainings.list(stranger, {}, {})).nodes).toEqual([]);
    expect(
      await platform.app.models.leaderboard(stranger, {
        splitId: data.splitId,
        target: 'bought',
        figure: null,
        first: 10,
      }),
    ).toEqual([]);
  });

  it('is cancelled within a second, and can be retried', async () => {
    const training = await start({
      algorithm: {
        name: 'GRADIENT_BOOSTING',
        parameters: { nEstimators: 10_000, earlyStoppingRounds: 0, learningRate: 0.001 },
      },
    });
    await untilJob(
      platform.app,
      tenant,
      training.jobId,
      (job) => job.progress?.phase === 'training' && Number(job.progress.round) > 0,
    );
    const from = Date.now();
    await platform.app.trainings.cancel(scope, training.id);
    expect(await untilJob(platform.app, tenant, training.jobId, isOver)).toMatchObject({ state: 'CANCELLED' });
    expect(Date.now() - from).toBeLessThan(1000);
    await platform.app.trainings.retry(scope, training.id);
    await untilJob(platform.app, tenant, training.jobId, (job) => job.state === 'RUNNING');
    await platform.app.trainings.cancel(scope, training.id);
    await untilJob(platform.app, tenant, training.jobId, isOver);
    expect(await auditKinds(training.id)).toEqual([
      'training.started',
      'training.cancelled',
      'training.retried',
      'training.cancelled',
    ]);
  });
});

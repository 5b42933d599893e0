import type { ChildProcess } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inTenant } from '../../src/platform/db.js';
import { newId } from '../../src/platform/ids.js';
import { makeScope, type Scope } from '../../src/platform/scope.js';
import type { NewStudy, TrialRow } from '../../src/domain/tuning/study.service.js';
import { isAlive } from '../support/process.js';
import { type Data, makeData } from './data.js';
import {
  isOver,
  kill,
  makeTenant,
  openPlatform,
  type Platform,
  spawnWorker,
  type Tenant,
  untilJob,
} from './support.js';

let platform: Platform;
let tenant: Tenant;
let scope: Scope;
let data: Data;
let worker: ChildProcess;

const scopeOf = ({ tenantId }: Tenant) =>
  makeScope({
    tenantId,
    actor: { kind: 'MEMBER', id: newId('account') },
    permissions: new Set(),
    requestId: newId('request'),
    signal: new AbortController().signal,
  });

beforeAll(async () => {
  platform = await openPlatform({ CONCORDAT_WORKERS: '2' });
  tenant = await makeTenant(platform.app);
  scope = scopeOf(tenant);
  data = await makeData(platform.app, tenant, 400);
  worker = await spawnWorker(platform.env);
});

afterAll(async () => {
  if (worker && isAlive(worker.pid!) && worker.exitCode === null) await kill(worker, 'SIGTERM');
  await platform?.close();
});

const start = (more: Partial<NewStudy> = {}, by = scope) =>
  platform.app.studies.start(by, {
    ...data,
    target: 'bought',
    features: ['age', 'income', 'city'],
    positiveClass: 'yes',
    modelName: 'Buyers',
    seed: 7,
    search: 'RANDOM',
    algorithms: ['LINEAR', 'DECISION_TREE'],
    limits: { trials: 8 },
    ...more,
  });
const trialsOf = async (id: string): Promise<TrialRow[]> =>
  (await platform.app.studies.trials(scope, id, { first: 100 })).nodes;
const auditKinds = (subjectId: string) =>
  inTenant(platform.app.db, tenant, (tx) =>
    tx.query<{ kind: string }[]>(`select kind from audit_entry where subject_id = $1 order by log_index`, [subjectId]),
  ).then((rows) => rows.map((row) => row.kind));
/** What is the same however often and long a study ran. */
const outcome = ({ studyId: _, elapsedMs: __, latencyMicros: ___, ...trial }: TrialRow) => trial;
const ended = async (study: { jobId: string; id: string }) => {
  const job = await untilJob(platform.app, tenant, study.jobId, isOver, 100_000);
  return { job, study: (await platform.app.studies.find(scope, study.id))! };
};

describe('a study', () => {
  it(
    'stores its trials, and ends in a version of the model by an ordinary training',
    { timeout: 200_000 },
    async () => {
      const asked = await start();
      const { job, study } = await ended(asked);
      expect(job).toMatchObject({ state: 'SUCCEEDED', attempt: 1, errorCode: null });
      expect(study.endedBy).toBe('TRIALS');
      const trials = await trialsOf(study.id);
      expect(trials.map(({ number }) => number)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
      expect(new Set(trials.map(({ algorithm }) => algorithm))).toEqual(new Set(['LINEAR', 'DECISION_TREE']));
      const board = await platform.app.studies.leaderboard(scope, study, 20);
      const values = board.map(({ value }) => value!);
      expect(values).toEqual([...values].sort((a, b) => a - b));
      for (const { value, low, high } of board) expect(low! <= value! && value! <= high!).toBe(true);
      const best = (await platform.app.studies.best(scope, study))!;
      expect(best.number).toBe(study.bestNumber);
      expect(study.elapsedMs).toBeGreaterThan(0);
      const training = (await platform.app.trainings.find(scope, study.trainingId!))!;
      expect(training).toMatchObject({ studyId: study.id, modelId: study.modelId, algorithm: best.algorithm, seed: 7 });
      expect(training.parameters).toMatchObject(best.parameters);
      expect(await untilJob(platform.app, tenant, training.jobId, isOver, 60_000)).toMatchObject({
        state: 'SUCCEEDED',
      });
      const [version] = await platform.app.models.findVersionsOf(scope, [training.id]);
      expect(version).toMatchObject({ number: 1, algorithm: best.algorithm });
      expect(await auditKinds(study.id)).toEqual(['study.started', 'study.finished']);
    },
  );

  it('goes on with the same next trial when its worker is killed', { timeout: 300_000 }, async () => {
    const forests: Partial<NewStudy> = {
      algorithms: ['RANDOM_FOREST'],
      space: [{ algorithm: 'RANDOM_FOREST', parameter: 'nEstimators', low: 600, high: 900 }],
      limits: { trials: 16 },
    };
    const whole = await ended(await start(forests));
    const killed = await start(forests);
    await untilJob(platform.app, tenant, killed.jobId, (job) => Number(job.progress?.trials ?? 0) >= 2, 60_000);
    await kill(worker, 'SIGKILL');
    const before = await trialsOf(killed.id);
    worker = await spawnWorker(platform.env);
    expect(before.length).toBeGreaterThanOrEqual(2);
    expect(before.length).toBeLessThan(16);
    const resumed = await ended(killed);
    expect(resumed.job).toMatchObject({ state: 'SUCCEEDED', attempt: 2 });
    const after = await trialsOf(killed.id);
    // Those that had ended were not tried again.
    expect(after.slice(0, before.length)).toEqual(before);
    expect(after.map(outcome)).toEqual((await trialsOf(whole.study.id)).map(outcome));
    expect(resumed.study.bestNumber).toBe(whole.study.bestNumber);
  });

  it('is cancelled, keeps its trials, and goes on when retried', { timeout: 120_000 }, async () => {
    const study = await start({ limits: { trials: 2000 } });
    await untilJob(platform.app, tenant, study.jobId, (job) => Number(job.progress?.trials ?? 0) >= 1, 60_000);
    await platform.app.studies.cancel(scope, study.id);
    expect((await ended(study)).job.state).toBe('CANCELLED');
    const before = await trialsOf(study.id);
    expect(before.length).toBeGreaterThan(0);
    await platform.app.studies.retry(scope, study.id);
    const more = (job: { progress: Record<string, unknown> | null }) =>
      Number(job.progress?.trials ?? 0) > before.length;
    await untilJob(platform.app, tenant, study.jobId, more, 60_000);
    await platform.app.studies.cancel(scope, study.id);
    await ended(study);
    expect((await trialsOf(study.id)).slice(0, before.length)).toEqual(before);
    expect(await auditKinds(study.id)).toEqual([
      'study.started',
      'study.cancelled',
      'study.retried',
      'study.cancelled',
    ]);
  });

  it('that is out of time has succeeded with what it found', { timeout: 120_000 }, async () => {
    const { job, study } = await ended(await start({ limits: { seconds: 3 } }));
    expect(job).toMatchObject({ state: 'SUCCEEDED' });
    expect(study).toMatchObject({ endedBy: 'SECONDS' });
    expect(study.trainingId).not.toBeNull();
  });

  it('of AUTO trains what it chose, combinations too', { timeout: 200_000 }, async () => {
    const { job, study } = await ended(await start({ search: 'AUTO', algorithms: null, limits: { seconds: 12 } }));
    expect(job).toMatchObject({ state: 'SUCCEEDED', errorCode: null });
    const best = (await platform.app.studies.best(scope, study))!;
    const training = (await platform.app.trainings.find(scope, study.trainingId!))!;
    // Where the trials have shown how many rounds are enough, that many are trained, without holding rows back to find out.
    const { nEstimators: most, earlyStoppingRounds: patience, ...parameters } = best.parameters;
    expect(training).toMatchObject({ algorithm: best.algorithm, parameters });
    if (patience && training.parameters['earlyStoppingRounds'] === 0)
      expect(training.parameters['nEstimators']).toBeLessThanOrEqual(most as number);
    else expect(training).toMatchObject({ parameters: best.parameters });
    expect(training.options.members?.map(({ algorithm, weight }) => ({ algorithm, weight }))).toEqual(
      best.members?.map(({ algorithm, weight }) => ({ algorithm, weight })),
    );
    expect(await untilJob(platform.app, tenant, training.jobId, isOver, 100_000)).toMatchObject({ state: 'SUCCEEDED' });
  });

  it('fails where no trial keeps its limits, and says so', { timeout: 120_000 }, async () => {
    const { job, study } = await ended(await start({ limits: { trials: 2, latencyMicros: 0.001 } }));
    expect(job).toMatchObject({ state: 'FAILED', errorCode: 'NO_TRIAL_COMPLETED' });
    expect((await trialsOf(study.id)).map(({ state }) => state)).toEqual(['INFEASIBLE', 'INFEASIBLE']);
    expect(study).toMatchObject({ endedBy: null, trainingId: null });
  });

  it('fails with a sentence for what only the data can tell', { timeout: 60_000 }, async () => {
    const { job } = await ended(await start({ target: 'same', positiveClass: null }));
    expect(job).toMatchObject({ state: 'FAILED', attempt: 1, errorCode: 'TARGET_CONSTANT' });
  });

  it.each([
    ['input.limits', { limits: {} }],
    ['input.limits.trials', { limits: { trials: 0 } }],
    ['input.limits.seconds', { limits: { seconds: 1e9 } }],
    ['input.folds', { folds: 1 }],
    ['input.algorithms', { algorithms: [] }],
    ['input.space', { space: [{ algorithm: 'RANDOM_FOREST' as const, parameter: 'nEstimators', low: 5 }] }],
    ['input.target', { target: 'nothing' }],
    ['input.constraints', { constraints: { monotone: [{ column: 'age', direction: 'INCREASING' as const }] } }],
  ])('is refused at once where %s is wrong', async (field, more) => {
    await expect(start(more)).rejects.toMatchObject({ code: 'INVALID_INPUT', field });
  });

  it('is nothing to another tenant', async () => {
    const stranger = scopeOf(await makeTenant(platform.app, 'A stranger'));
    const study = await start();
    const notFound = { code: 'NOT_FOUND' };
    await expect(start({}, stranger)).rejects.toMatchObject(notFound);
    await expect(platform.app.studies.cancel(stranger, study.id)).rejects.toMatchObject(notFound);
    await expect(platform.app.studies.retry(stranger, study.id)).rejects.toMatchObject(notFound);
    expect(await platform.app.studies.find(stranger, study.id)).toBeNull();
    expect((await platform.app.studies.list(stranger, {}, {})).nodes).toEqual([]);
    await ended(study);
    expect((await platform.app.studies.trials(stranger, study.id, {})).nodes).toEqual([]);
    expect(await platform.app.studies.leaderboard(stranger, study, 20)).toEqual([]);
  });
});

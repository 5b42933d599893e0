import { createClient } from 'graphql-ws';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { ENDINGS, PROCESSORS } from '../../workers/processors.js';
import { startWorkers, type Workers } from '../../workers/main.js';
import { startTestApi, type TestApi, type TestTenant } from '../support/app.js';
import { writeSealed } from '../../src/platform/blobs.js';
import { inTenant } from '../../src/platform/db.js';
import { makeScope } from '../../src/platform/scope.js';
import { type Data, makeData } from '../workers/data.js';
import { isOver, untilJob } from '../workers/support.js';

let api: TestApi;
let tenant: TestTenant;
let stranger: TestTenant;
let data: Data;
let workers: Workers;

const scopeOf = (tenantId: string) =>
  makeScope({
    tenantId,
    actor: { kind: 'MEMBER', id: 'acc_0' },
    permissions: new Set(),
    requestId: 'req_0',
    signal: new AbortController().signal,
  });

interface Started {
  training: { id: string; model: { id: string }; job: { id: string; state: string } };
}

beforeAll(async () => {
  api = await startTestApi();
  tenant = await api.tenant();
  stranger = await api.tenant();
  data = await makeData(api.app, { tenantId: tenant.id });
  workers = startWorkers(api.app, PROCESSORS, ENDINGS);
});

afterAll(async () => {
  await workers?.close();
});

const input = (more: object = {}) => ({
  datasetVersionId: data.datasetVersionId,
  splitId: data.splitId,
  target: 'bought',
  features: ['age', 'income', 'city'],
  algorithm: { gradientBoosting: { nEstimators: 20 } },
  positiveClass: 'yes',
  modelName: 'Buyers',
  seed: 7,
  ...more,
});
const start = async (more: object = {}) =>
  (await tenant.owner.mutate<Started>('startTraining', input(more), 'training { id model { id } job { id state } }'))
    .training;
const train = async (more: object = {}) => {
  const training = await start(more);
  await untilJob(api.app, { tenantId: tenant.id }, training.job.id, isOver, 60_000);
  const answer = await tenant.owner.query<{
    training: { job: { state: string; errorMessage: string | null }; modelVersion: { id: string; number: number } };
  }>(`query ($id: ID!) { training(id: $id) { job { state errorMessage } modelVersion { id number } } }`, {
    id: training.id,
  });
  return { ...training, ...answer.training };
};

describe('a training through the API', () => {
  it('shows progress, the present state first, and ends in a version with everything about it', async () => {
    const socket = createClient({
      url: `${api.url.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${tenant.owner.token}`, 'x-concordat-tenant': tenant.id },
      lazy: false,
    });
    const training = await start({ algorithm: { gradientBoosting: { nEstimators: 400, earlyStoppingRounds: 0 } } });
    const seen: string[] = [];
    const messages: string[] = [];
    const news = socket.iterate<{ trainingProgress: { job: { state: string; progress: { phase: string } | null } } }>({
      query: `subscription ($id: ID!) { trainingProgress(id: $id) { job { state progress { phase fraction round rounds metric { name validation } } } } }`,
      variables: { id: training.id },
    });
    for await (const { data: told, errors } of news) {
      expect(errors).toBeUndefined();
      messages.push(JSON.stringify(told));
      const { state, progress } = told!.trainingProgress.job;
      seen.push(progress ? `${state} ${progress.phase}` : state);
    }
    await socket.dispose();
    expect(messages).toEqual([...new Set(messages)]);
    expect(seen[0]).toBe('QUEUED');
    expect(seen).toContain('RUNNING training');
    expect(seen.at(-1)).toMatch(/^SUCCEEDED/);
    const { training: done } = await tenant.owner.query<{ training: { modelVersion: Record<string, unknown> } }>(
      `query ($id: ID!) { training(id: $id) { algorithm parameters { name value } modelVersion {
         id number digest algorithm task target classes threshold inputs { name kind categories } warnings codeVersion trainRows
         peakMemoryBytes elapsedMs importance { column gain } outOfBag { rows logLoss accuracy rmse r2 } history { round validation } parity { rows edgeRows maxDifference }
         validation { rows ... on BinaryMetrics { auc { value low high } } }
         test { rows ... on BinaryMetrics { accuracy { value } f1 { value } logLoss { value } classes { className recall } confusion { classes counts } } }
         model { name versions { nodes { number } } } derivedFromDeletedData } } }`,
      { id: training.id },
    );
    expect(done.modelVersion).toMatchObject({
      number: 1,
      task: 'BINARY',
      classes: ['no', 'yes'],
      target: 'bought',
      algorithm: 'GRADIENT_BOOSTING',
      derivedFromDeletedData: false,
      model: { name: 'Buyers', versions: { nodes: [{ number: 1 }] } },
    });
    expect(done.modelVersion.validation).toMatchObject({
      rows: 120,
      auc: { value: expect.closeTo(0.95, 0.6) as number },
    });
  });

  it('tells what a forest answers for the rows that its trees did not draw', async () => {
    const { job, modelVersion } = await train({ algorithm: { randomForest: { nEstimators: 20 } } });
    expect(job).toMatchObject({ state: 'SUCCEEDED' });
    const { modelVersion: version } = await tenant.owner.query<{
      modelVersion: { outOfBag: object; trainRows: number };
    }>('query ($id: ID!) { modelVersion(id: $id) { trainRows outOfBag { rows logLoss accuracy rmse r2 } } }', {
      id: modelVersion.id,
    });
    expect(version.outOfBag).toMatchObject({ accuracy: expect.closeTo(0.8, 0), rmse: null, r2: null });
  });

  it('describes its algorithms for a form', async () => {
    const { trainingAlgorithms } = await tenant.owner.query<{
      trainingAlgorithms: { field: string; parameters: { name: string; defaultValue: string }[] }[];
    }>(`{ trainingAlgorithms { field description parameters { name type min max values defaultValue description } } }`);
    expect(trainingAlgorithms.map((one) => one.field)).toEqual([
      'decisionTree',
      'randomForest',
      'extraTrees',
      'gradientBoosting',
      'xgboost',
      'lightgbm',
      'linear',
      'voting',
      'bagging',
      'stacking',
    ]);
    const boosting = trainingAlgorithms.find((one) => one.field === 'gradientBoosting')!;
    expect(boosting.parameters.find((one) => one.name === 'learningRate')).toMatchObject({
      type: 'FLOAT',
      min: 0.0001,
      max: 1,
      defaultValue: '0.1',
    });
  });

  it.each([
    ['two algorithms', { algorithm: { linear: {}, decisionTree: {} } }, 'input.algorithm'],
    ['no algorithm', { algorithm: {} }, 'input.algorithm'],
    [
      'a parameter out of range',
      { algorithm: { decisionTree: { maxDepth: 65 } } },
      'input.algorithm.decisionTree.maxDepth',
    ],
    [
      'a member with a parameter out of range',
      { algorithm: { voting: { members: [{ linear: {} }, { linear: { l2: -1 } }] } } },
      'input.algorithm.voting.members.1.linear.l2',
    ],
    [
      'a member of two algorithms',
      { algorithm: { bagging: { member: { linear: {}, decisionTree: {} } } } },
      'input.algorithm.bagging.member',
    ],
    [
      'a combination of one',
      { algorithm: { stacking: { members: [{ linear: {} }] } } },
      'input.algorithm.stacking.members',
    ],
    ['an unknown target', { target: 'nothing' }, 'input.target'],
    [
      'a constraint on an algorithm that knows none',
      { algorithm: { linear: {} }, constraints: { monotone: [{ column: 'age', direction: 'INCREASING' }] } },
      'input.constraints',
    ],
    ['an unknown weight', { weightColumn: 'nothing' }, 'input.weightColumn'],
    ['a target that is the weight', { weightColumn: 'bought' }, 'input.weightColumn'],
    ['both a model and a name', { modelId: 'mdl_0' }, 'input.modelId'],
  ])('refuses %s with the field at fault', async (_name, more, field) => {
    await expect(start(more)).rejects.toThrow(`"field":"${field}"`);
    expect(await tenant.owner.refusal('startTraining', input(more))).toBe('INVALID_INPUT');
  });

  it('goes on from a version, and only from one of its own kind', async () => {
    const warmStartFrom = (await train()).modelVersion!.id;
    const more = await train({ warmStartFrom });
    expect(more.modelVersion!.id).not.toBe(warmStartFrom);
    for (const wrong of [{ algorithm: { linear: {} } }, { algorithm: { gradientBoosting: { objective: 'LOGISTIC' } } }])
      await expect(start({ warmStartFrom, ...wrong })).rejects.toThrow(`"field":"input.warmStartFrom"`);
  });

  it('is for those who may', async () => {
    const viewer = await tenant.member('VIEWER');
    expect(await viewer.refusal('startTraining', input())).toBe('FORBIDDEN');
    expect(await api.client.refusal('startTraining', input())).toBe('UNAUTHENTICATED');
  });

  it('can be cancelled and retried, and is hidden from strangers', async () => {
    const training = await start({
      algorithm: { gradientBoosting: { nEstimators: 10_000, earlyStoppingRounds: 0, learningRate: 0.001 } },
    });
    for (const mutation of ['cancelTraining', 'retryTraining'])
      expect(await stranger.owner.refusal(mutation, { trainingId: training.id })).toBe('NOT_FOUND');
    expect(await stranger.owner.refusal('startTraining', input())).toBe('NOT_FOUND');
    const { errors } = await stranger.owner.send(`query ($id: ID!) { training(id: $id) { id } }`, { id: training.id });
    expect(errors[0]!.extensions.code).toBe('NOT_FOUND');
    await tenant.owner.mutate('cancelTraining', { trainingId: training.id }, 'training { id }');
    const over = await untilJob(api.app, { tenantId: tenant.id }, training.job.id, isOver);
    expect(over.state).toBe('CANCELLED');
    expect(await tenant.owner.refusal('cancelTraining', { trainingId: training.id })).toBe('CONFLICT');
    await tenant.owner.mutate('retryTraining', { trainingId: training.id }, 'training { job { state } }');
    await tenant.owner.mutate('cancelTraining', { trainingId: training.id }, 'training { id }');
    await untilJob(api.app, { tenantId: tenant.id }, training.job.id, isOver);
    const { trainings } = await tenant.owner.query<{ trainings: { nodes: { id: string }[] } }>(
      `{ trainings(filter: { states: [CANCELLED] }) { nodes { id job { state } } pageInfo { hasNextPage } } }`,
    );
    expect(trainings.nodes.map((node) => node.id)).toEqual([training.id]);
  });
});

describe('a combination', () => {
  it.each([
    ['voting', { weighting: 'FITTED', members: [{ linear: {} }, { decisionTree: { maxDepth: 3 } }] }],
    ['voting', { weighting: 'GIVEN', weights: [3, 1], members: [{ linear: {} }, { decisionTree: { maxDepth: 3 } }] }],
    ['bagging', { folds: 2, member: { gradientBoosting: { nEstimators: 5 } } }],
    ['stacking', { folds: 2, members: [{ linear: { l2: 0.5 } }, { randomForest: { nEstimators: 5 } }] }],
  ])('by %s becomes one version that names its members', async (field, algorithm) => {
    const { id } = await train({ modelName: field, algorithm: { [field]: algorithm } });
    const { training } = await tenant.owner.query<{
      training: {
        members: { algorithm: string; weight: number | null; parameters: { name: string; value: string }[] }[];
        modelVersion: { algorithm: string; parameters: { name: string; value: string }[]; parity: { rows: number } };
      };
    }>(
      `query ($id: ID!) { training(id: $id) { algorithm members { algorithm weight parameters { name value } }
         modelVersion { algorithm parameters { name value } parity { rows } } } }`,
      { id },
    );
    expect(training.modelVersion.algorithm).toBe(field.toUpperCase());
    if ('weights' in algorithm) expect(training.members.map(({ weight }) => weight)).toEqual(algorithm.weights);
    expect(training.members).toHaveLength(field === 'bagging' ? 1 : 2);
    const named = training.members.flatMap((member, m) => [
      { name: `members.${m}.algorithm`, value: member.algorithm },
      ...member.parameters.map(({ name, value }) => ({ name: `members.${m}.${name}`, value })),
    ]);
    expect(training.modelVersion.parameters).toEqual(expect.arrayContaining(named));
  });
});

describe('the registry', () => {
  it('compares, ranks by validation, names and finds versions', async () => {
    const weak = await train({ algorithm: { decisionTree: { maxDepth: 1 } }, modelName: 'Compared' });
    const strong = await train({ modelName: 'Compared' });
    const [a, b] = [weak.modelVersion.id, strong.modelVersion.id];
    const { compareModelVersions: compared } = await tenant.owner.query<{
      compareModelVersions: {
        isLike: boolean;
        validation: { figure: string; difference: number; better: string }[];
        parameters: { name: string }[];
        lineage: { name: string; a: string; b: string }[];
      };
    }>(
      `query ($a: ID!, $b: ID!) { compareModelVersions(a: $a, b: $b) { isLike a { number } b { number }
         validation { figure a { value } b { value } difference better } test { figure difference } parameters { name a b } lineage { name a b } } }`,
      { a, b },
    );
    expect(compared.isLike).toBe(true);
    expect(compared.validation.find((one) => one.figure === 'LOG_LOSS')).toMatchObject({ better: 'B' });
    expect(compared.lineage).toContainEqual({ name: 'algorithm', a: 'DECISION_TREE', b: 'GRADIENT_BOOSTING' });
    expect(compared.parameters.map((one) => one.name)).toContain('nEstimators');

    const { leaderboard } = await tenant.owner.query<{ leaderboard: { version: { id: string }; value: number }[] }>(
      `query ($split: ID!) { leaderboard(splitId: $split, target: "bought") { version { id number } figure value } }`,
      { split: data.splitId },
    );
    const values = leaderboard.map((entry) => entry.value);
    expect(values).toEqual([...values].sort((x, y) => x - y));
    expect(leaderboard.findIndex((entry) => entry.version.id === b)).toBeLessThan(
      leaderboard.findIndex((entry) => entry.version.id === a),
    );

    const modelId = strong.model.id;
    for (const versionId of [a, b])
      await tenant.owner.mutate(
        'setModelAlias',
        { modelId, alias: 'champion', versionId },
        'alias { alias versionId setAt }',
      );
    const { model } = await tenant.owner.query<{
      model: { aliases: object[]; versions: { nodes: { number: number }[] } };
    }>(
      `query ($id: ID!) { model(id: $id) { name lastNumber aliases { alias versionId } versions(first: 1) { nodes { number } pageInfo { hasNextPage } } } }`,
      { id: modelId },
    );
    expect(model).toMatchObject({
      lastNumber: 2,
      aliases: [{ alias: 'champion', versionId: b }],
      versions: { nodes: [{ number: 2 }] },
    });
    expect(await tenant.owner.refusal('setModelAlias', { modelId, alias: 'No!', versionId: b })).toBe('INVALID_INPUT');
    expect(await stranger.owner.refusal('setModelAlias', { modelId, alias: 'champion', versionId: b })).toBe(
      'NOT_FOUND',
    );
    expect(await tenant.owner.refusal('createModel', { name: 'Compared' })).toBe('CONFLICT');
    for (const id of [modelId, b, strong.id]) {
      expect(await tenant.owner.query(`query ($id: ID!) { node(id: $id) { id } }`, { id })).toEqual({ node: { id } });
      const { errors } = await stranger.owner.send(`query ($id: ID!) { node(id: $id) { id } }`, { id });
      expect(errors[0]!.extensions.code).toBe('NOT_FOUND');
    }
  });

  it('refuses a file that does not answer like its trainer, and takes no second version of a training', async () => {
    const { modelVersion } = await train({ modelName: 'Proved', algorithm: { linear: {} } });
    const scope = scopeOf(tenant.id);
    const again = (passed: boolean) =>
      inTenant(api.app.db, scope, async (tx) => {
        const version = await api.app.models.getVersion(tx, modelVersion.id);
        const [blob, fitted] = [await api.app.blobs.prepare(tx, scope), await api.app.blobs.prepare(tx, scope)];
        for (const one of [blob, fitted]) await writeSealed(one, [Buffer.from('a file')]);
        return api.app.models.register(tx, scope, { ...version, parity: { ...version.parity, passed }, blob, fitted });
      });
    await expect(again(false)).rejects.toMatchObject({ code: 'PARITY_FAILED' });
    await expect(again(true)).rejects.toThrow(/model_version_tenant_id_training_id_key/);
  });

  it('never changes a version, whoever asks the database, but marks it when its data are deleted', async () => {
    const { modelVersion } = await train({ modelName: 'Marked', algorithm: { linear: {} } });
    const owner = new pg.Client(api.database.databaseUrl);
    await owner.connect();
    try {
      for (const change of [
        `update model_version set number = 99`,
        `update model_version set digest = repeat('0', 64)`,
        `update model_version set test = '{}'`,
        `delete from model_version`,
      ]) {
        // Not even the owner of the tables, having put row-level security aside.
        await owner.query(`begin; alter table model_version no force row level security`);
        await expect(owner.query(`${change} where id = $1`, [modelVersion.id])).rejects.toThrow(/never changes/);
        await owner.query('rollback');
      }
    } finally {
      await owner.end();
    }
    await api.app.datasets.delete(scopeOf(tenant.id), data.datasetId);
    const { modelVersion: marked } = await tenant.owner.query<{ modelVersion: object }>(
      `query ($id: ID!) { modelVersion(id: $id) { derivedFromDeletedData number } }`,
      { id: modelVersion.id },
    );
    expect(marked).toEqual({ derivedFromDeletedData: true, number: 1 });
    expect(await tenant.owner.refusal('startTraining', input())).toBe('NOT_FOUND');
  });
});

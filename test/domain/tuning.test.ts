import { createClient } from 'graphql-ws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { ENDINGS, PROCESSORS } from '../../workers/processors.js';
import { startWorkers, type Workers } from '../../workers/main.js';
import { startTestApi, type TestApi, type TestTenant } from '../support/app.js';
import { type Data, makeData } from '../workers/data.js';
import { isOver, untilJob } from '../workers/support.js';

let api: TestApi;
let tenant: TestTenant;
let data: Data;
let workers: Workers;

interface Started {
  study: { id: string; job: { id: string; state: string } };
}
interface Trial {
  number: number;
  algorithm: string;
  value: number | null;
  parameters: { name: string; value: string }[];
}

beforeAll(async () => {
  api = await startTestApi();
  tenant = await api.tenant();
  data = await makeData(api.app, { tenantId: tenant.id }, 300);
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
  positiveClass: 'yes',
  modelName: 'Buyers',
  seed: 7,
  search: 'RANDOM',
  algorithms: ['DECISION_TREE', 'LINEAR'],
  limits: { trials: 6 },
  ...more,
});
const start = async (more: object = {}) =>
  (await tenant.owner.mutate<Started>('startTuning', input(more), 'study { id job { id state } }')).study;

describe('a study through the API', () => {
  it('shows its trials as they end, and becomes a version', { timeout: 120_000 }, async () => {
    const socket = createClient({
      url: `${api.url.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${tenant.owner.token}`, 'x-concordat-tenant': tenant.id },
      lazy: false,
    });
    const space = [{ algorithm: 'DECISION_TREE', parameter: 'maxDepth', values: ['2', '3'] }];
    const { id } = await start({ space });
    const states: string[] = [];
    let seen = 0;
    const news = socket.iterate<{
      tuningProgress: {
        job: { state: string; progress: { trials: number | null } | null };
        counts: { complete: number };
      };
    }>({
      query: `subscription ($id: ID!) { tuningProgress(id: $id) { job { state progress { phase fraction trials best } } counts { complete } } }`,
      variables: { id },
    });
    for await (const { data: told, errors } of news) {
      expect(errors).toBeUndefined();
      states.push(told!.tuningProgress.job.state);
      const { complete } = told!.tuningProgress.counts;
      expect(complete).toBeGreaterThanOrEqual(seen);
      seen = complete;
    }
    await socket.dispose();
    expect(states[0]).toBe('QUEUED');
    expect(states.at(-1)).toBe('SUCCEEDED');
    const { study } = await tenant.owner.query<{
      study: {
        leaderboard: Trial[];
        bestTrial: Trial;
        trials: { nodes: Trial[]; pageInfo: { hasNextPage: boolean; endCursor: string } };
        training: { id: string; studyId: string; job: { id: string } };
        counts: object;
        space: object[];
        endedBy: string;
      };
    }>(
      `query ($id: ID!) { study(id: $id) { target features task search algorithms metric folds limits { trials seconds latencyMicros }
         space { algorithm parameter low high values } seed elapsedMs endedBy counts { complete pruned failed infeasible }
         model { name } leaderboard { number algorithm value parameters { name value } } bestTrial { number algorithm value }
         trials(first: 4) { nodes { number algorithm value state low high rung resource curve { resource loss } rounds latencyMicros
           elapsedMs errorCode errorMessage members { algorithm } parameters { name value } } pageInfo { hasNextPage endCursor } }
         training { id studyId job { id } } } }`,
      { id },
    );
    expect(study).toMatchObject({
      search: 'RANDOM',
      endedBy: 'TRIALS',
      metric: null,
      counts: { complete: 6, failed: 0 },
    });
    expect(study.space).toEqual([{ ...space[0], low: null, high: null }]);
    expect(study.bestTrial.number).toBe(study.leaderboard[0]!.number);
    expect(study.trials.nodes.map(({ number }) => number)).toEqual([0, 1, 2, 3]);
    expect(study.trials.pageInfo.hasNextPage).toBe(true);
    for (const { algorithm, parameters } of study.trials.nodes)
      if (algorithm === 'DECISION_TREE')
        expect(['2', '3']).toContain(parameters.find(({ name }) => name === 'maxDepth')!.value);
    const { study: rest } = await tenant.owner.query<{ study: { trials: { nodes: Trial[] } } }>(
      `query ($id: ID!, $after: String) { study(id: $id) { trials(first: 4, after: $after) { nodes { number } } } }`,
      { id, after: study.trials.pageInfo.endCursor },
    );
    expect(rest.trials.nodes.map(({ number }) => number)).toEqual([4, 5]);
    expect(study.training.studyId).toBe(id);
    await untilJob(api.app, { tenantId: tenant.id }, study.training.job.id, isOver, 60_000);
    const { node } = await tenant.owner.query<{ node: { training: { modelVersion: { number: number } } } }>(
      `query ($id: ID!) { node(id: $id) { id ... on Study { training { modelVersion { number } } } } }`,
      { id },
    );
    expect(node.training.modelVersion.number).toBe(1);
    const { studies } = await tenant.owner.query<{ studies: { nodes: { id: string }[] } }>(
      `{ studies(filter: { states: [SUCCEEDED] }) { nodes { id counts { complete } } } }`,
    );
    expect(studies.nodes.map((one) => one.id)).toEqual([id]);
  });

  it('can be cancelled and taken up again by those who may', { timeout: 60_000 }, async () => {
    const study = await start({ limits: { trials: 5000 } });
    const viewer = await tenant.member('VIEWER');
    expect(await viewer.refusal('cancelTuning', { studyId: study.id })).toBe('FORBIDDEN');
    expect(await viewer.refusal('startTuning', input())).toBe('FORBIDDEN');
    await tenant.owner.mutate('cancelTuning', { studyId: study.id }, 'study { id job { state } }');
    expect(await untilJob(api.app, { tenantId: tenant.id }, study.job.id, isOver)).toMatchObject({
      state: 'CANCELLED',
    });
    expect(await tenant.owner.refusal('cancelTuning', { studyId: study.id })).toBe('CONFLICT');
    await tenant.owner.mutate('retryTuning', { studyId: study.id }, 'study { job { state } }');
    await tenant.owner.mutate('cancelTuning', { studyId: study.id }, 'study { id }');
    await untilJob(api.app, { tenantId: tenant.id }, study.job.id, isOver);
  });

  it.each([
    ['no limit', { limits: {} }, 'input.limits'],
    [
      'a value that the parameter does not take',
      { space: [{ algorithm: 'DECISION_TREE', parameter: 'maxDepth', values: ['deep'] }] },
      'input.space',
    ],
    ['an unknown target', { target: 'nothing' }, 'input.target'],
    ['both a model and a name', { modelId: 'mdl_0' }, 'input.modelId'],
  ])('refuses %s with the field at fault', async (_name, more, field) => {
    await expect(start(more)).rejects.toThrow(`"field":"${field}"`);
    expect(await tenant.owner.refusal('startTuning', input(more))).toBe('INVALID_INPUT');
  });
});

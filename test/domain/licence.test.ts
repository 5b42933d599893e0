import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type DataLicence,
  licenceBreak,
  licenceBroken,
  licenceBrokenElsewhere,
  parseLicence,
} from '../../src/domain/agreements/licence.js';
import { ENDINGS, PROCESSORS } from '../../workers/processors.js';
import { startWorkers, type Workers } from '../../workers/main.js';
import { PASSWORD, signIn, startTestApi, type TestApi, type TestTenant } from '../support/app.js';
import type { Client } from '../support/client.js';
import { type Data, makeData } from '../workers/data.js';
import { isOver, untilJob } from '../workers/support.js';
import { scopeOf, termsFor } from './agreement-support.js';
import { upload as sendFile } from './dataset-support.js';

const FREE: DataLicence = { purposes: null, regions: null, mayBeOffered: true, until: null };
const DAY_MS = 86_400_000;
const soon = (days: number) => new Date(Date.now() + days * DAY_MS);

describe('the limits of data', () => {
  it.each([
    ['nothing', FREE, {}, null],
    ['any offer', { ...FREE, mayBeOffered: false }, {}, 'OFFER'],
    ['another purpose', { ...FREE, purposes: ['RESEARCH'] }, { purposes: ['CREDIT'] }, 'PURPOSES'],
    ['no purpose below one that is allowed', { ...FREE, purposes: ['RESEARCH'] }, { purposes: ['EVALUATION'] }, null],
    ['a purpose above', { ...FREE, purposes: ['EVALUATION'] }, { purposes: ['RESEARCH'] }, 'PURPOSES'],
    ['every region', { ...FREE, regions: ['eu'] }, {}, 'REGIONS'],
    ['another region', { ...FREE, regions: ['eu'] }, { regions: ['eu', 'us'] }, 'REGIONS'],
    ['no region of theirs', { ...FREE, regions: ['eu', 'us'] }, { regions: ['eu'] }, null],
    ['a longer period', { ...FREE, until: soon(0.5) }, {}, 'UNTIL'],
    ['no shorter period', { ...FREE, until: soon(2) }, {}, null],
  ] as const)('forbid %s', (_, licence, change, limit) => {
    expect(licenceBreak(termsFor(change), [{ ...licence, path: [] }])?.limit ?? null).toBe(limit);
  });

  it('are refused if they are none', () => {
    for (const change of [{ purposes: [] }, { purposes: ['X'] }, { regions: ['EU!'] }, { mayBeOffered: 1 }, { odd: 1 }])
      expect(() => parseLicence({ ...FREE, ...change })).toThrow('cannot be declared');
  });

  it('are told with the way to whose they are, and to the other party with its end only', () => {
    const path = [
      { kind: 'DATASET_VERSION', id: 'd' },
      { kind: 'MODEL_VERSION', id: 'm' },
      { kind: 'ENDPOINT', id: 'e' },
    ] as const;
    const broken = licenceBreak(termsFor(), [
      { ...FREE, path: [] },
      { ...FREE, purposes: ['RESEARCH'], path },
    ])!;
    expect(licenceBroken(broken, 'f').message).toContain('d → m → e');
    const elsewhere = licenceBrokenElsewhere(broken, 'f');
    expect(elsewhere.message).not.toMatch(/→|RESEARCH/);
    expect(elsewhere.brokenLimit).toEqual({ limit: 'PURPOSES', path: [path[2]] });
  });
});

describe('through the API', () => {
  let api: TestApi;
  let workers: Workers;
  let provider: TestTenant;
  let consumer: TestTenant;
  /** The second version of the dataset comes after the first, the other dataset is another. */
  let first: Data;
  let second: Data;
  let other: Data;

  beforeAll(async () => {
    api = await startTestApi();
    workers = startWorkers(api.app, PROCESSORS, ENDINGS);
    provider = await api.tenant('Grain Ltd');
    consumer = await api.tenant('Mill Ltd');
    const own = { tenantId: provider.id };
    first = await makeData(api.app, own, 200);
    second = await makeData(api.app, own, 200, { datasetId: first.datasetId, number: 2 });
    other = await makeData(api.app, own, 200);
  });
  afterAll(() => workers?.close());

  interface Refused {
    code: string;
    message: string;
    field: string;
    brokenLimit: { limit: string; path: { kind: string; id: string }[] };
  }
  const refused = async (client: Client, name: string, input: Record<string, unknown>): Promise<Refused> => {
    const type = name[0]!.toUpperCase() + name.slice(1);
    const { result } = await client.query<{ result: Refused }>(
      `mutation ($input: ${type}Input!) { result: ${name}(input: $input) { __typename
         ... on AgreementRefusal { code message field brokenLimit { limit path { kind id } } } } }`,
      { input },
    );
    expect(result).toMatchObject({ __typename: 'AgreementRefusal', code: 'LICENCE_BROKEN' });
    return result;
  };
  const declare = (data: Data, limits: Partial<Omit<DataLicence, 'until'>> & { until?: string } = {}) =>
    provider.owner.mutate(
      'declareDataLicence',
      { datasetVersionId: data.datasetVersionId, mayBeOffered: true, ...limits },
      'licence { datasetVersionId purposes regions mayBeOffered until }',
    );
  const versionOf = async (kind: 'training' | 'modelImport', work: { id: string; job: { id: string } }) => {
    const job = await untilJob(api.app, { tenantId: provider.id }, work.job.id, isOver, 100_000);
    expect(job.state, job.errorMessage ?? '').toBe('SUCCEEDED');
    const { made } = await provider.owner.query<{ made: { modelVersion: { id: string } } }>(
      `query ($id: ID!) { made: ${kind}(id: $id) { modelVersion { id } } }`,
      { id: work.id },
    );
    return made.modelVersion.id;
  };
  const train = async (data: Data, more: object = {}) => {
    const { training } = await provider.owner.mutate<{ training: { id: string; job: { id: string } } }>(
      'startTraining',
      {
        datasetVersionId: data.datasetVersionId,
        splitId: data.splitId,
        target: 'bought',
        features: ['age', 'income', 'city'],
        algorithm: { gradientBoosting: { nEstimators: 5, earlyStoppingRounds: 0 } },
        modelName: 'Buyers',
        ...more,
      },
      'training { id job { id } }',
    );
    return versionOf('training', training);
  };
  let names = 0;
  const endpointOf = async (modelVersionId: string) => {
    const { endpoint } = await provider.owner.mutate<{ endpoint: { id: string } }>(
      'createEndpoint',
      { name: `endpoint-${++names}`, modelVersionId },
      'endpoint { id }',
    );
    return endpoint.id;
  };
  const terms = (change: object = {}) => ({
    purposes: ['RESEARCH'],
    period: { from: api.clock.now().toISOString(), until: new Date(api.clock.now().getTime() + DAY_MS).toISOString() },
    disclosure: { kind: 'LABEL_ONLY' },
    ...change,
  });
  const offerOf = (endpointId: string, change: object = {}) => ({
    endpointId,
    consumerTenantId: consumer.id,
    terms: terms(change),
  });
  const offer = async (endpointId: string, change: object = {}) => {
    const { agreement } = await provider.owner.mutate<{ agreement: { id: string } }>(
      'offerAgreement',
      offerOf(endpointId, change),
      'agreement { id }',
    );
    return agreement.id;
  };
  const sign = (who: TestTenant, agreementId: string, version = 1) =>
    who.owner.mutate<{ agreement: { state: string } }>(
      'signAgreement',
      { agreementId, version, password: PASSWORD },
      'agreement { state }',
    );
  const agree = async (endpointId: string, change: object = {}) => {
    const id = await offer(endpointId, change);
    await sign(provider, id);
    expect((await sign(consumer, id)).agreement.state).toBe('ACTIVE');
    return id;
  };
  const conflicts = async (who = provider) =>
    (
      await who.owner.query<{
        licenceConflicts: { nodes: { agreementId: string; limit: string; sentence: string }[] };
      }>('{ licenceConflicts(first: 100) { nodes { agreementId limit sentence path { kind id } } } }')
    ).licenceConflicts.nodes;

  it('follow the lineage over versions that a training went on from; every kind of proposal is refused with the way', async () => {
    const old = await train(first);
    const next = await train(other, { warmStartFrom: old });
    const endpointId = await endpointOf(next);
    await declare(first, { purposes: ['RESEARCH'] });
    const way = [
      { kind: 'DATASET_VERSION', id: first.datasetVersionId },
      { kind: 'MODEL_VERSION', id: old },
      { kind: 'MODEL_VERSION', id: next },
      { kind: 'ENDPOINT', id: endpointId },
    ];
    const answer = await refused(provider.owner, 'offerAgreement', offerOf(endpointId, { purposes: ['CREDIT'] }));
    expect(answer).toMatchObject({ field: 'input.terms', brokenLimit: { limit: 'PURPOSES', path: way } });
    expect(answer.message).toContain(way.map(({ id }) => id).join(' → '));
    const agreementId = await offer(endpointId);
    const counter = await refused(consumer.owner, 'counterAgreement', {
      agreementId,
      terms: terms({ purposes: ['CREDIT'] }),
    });
    expect(counter.brokenLimit).toEqual({ limit: 'PURPOSES', path: way.slice(3) });
    for (const hidden of [first.datasetVersionId, old, next, 'Grain', 'RESEARCH'])
      expect(JSON.stringify(counter)).not.toContain(hidden);
    await sign(provider, agreementId);
    await sign(consumer, agreementId);
    const amendment = { agreementId, terms: terms({ purposes: ['MARKETING'] }) };
    expect((await refused(provider.owner, 'amendAgreement', amendment)).brokenLimit.path).toEqual(way);
    expect((await refused(consumer.owner, 'amendAgreement', amendment)).brokenLimit.path).toEqual(way.slice(3));
    const { agreement } = await provider.owner.query<{ agreement: { odrl: string } }>(
      'query ($id: ID!) { agreement(id: $id) { odrl } }',
      { id: agreementId },
    );
    const document = agreement.odrl.replaceAll('"cc:RESEARCH"', '"cc:CREDIT"');
    expect((await refused(provider.owner, 'importAgreement', { document })).brokenLimit.path).toEqual(way);
    await declare(first);
    const freed = await offer(endpointId, { purposes: ['CREDIT'] });
    await provider.owner.mutate('withdrawAgreement', { agreementId: freed }, 'agreement { state }');
  });

  it('hold for later versions of the dataset, until something else is declared for one', async () => {
    const modelVersionId = await train(second);
    const endpointId = await endpointOf(modelVersionId);
    await declare(first, { mayBeOffered: false });
    const { dataLicence } = await provider.owner.query<{ dataLicence: object }>(
      'query ($id: ID!) { dataLicence(datasetVersionId: $id) { datasetVersionId mayBeOffered } }',
      { id: second.datasetVersionId },
    );
    expect(dataLicence).toEqual({ datasetVersionId: first.datasetVersionId, mayBeOffered: false });
    const { brokenLimit } = await refused(provider.owner, 'offerAgreement', offerOf(endpointId));
    expect(brokenLimit).toEqual({
      limit: 'OFFER',
      path: [
        { kind: 'DATASET_VERSION', id: first.datasetVersionId },
        { kind: 'DATASET_VERSION', id: second.datasetVersionId },
        { kind: 'MODEL_VERSION', id: modelVersionId },
        { kind: 'ENDPOINT', id: endpointId },
      ],
    });
    await declare(second);
    await offer(endpointId);
    await declare(first);
  });

  it('hold for what a study chose, and for what was imported on the data', async () => {
    const data = await makeData(api.app, { tenantId: provider.id }, 200);
    await declare(data, { mayBeOffered: false });
    const common = { datasetVersionId: data.datasetVersionId, splitId: data.splitId, target: 'bought' };
    const { study } = await provider.owner.mutate<{ study: { id: string; job: { id: string } } }>(
      'startTuning',
      {
        ...common,
        features: ['age'],
        algorithms: ['LINEAR'],
        search: 'RANDOM',
        limits: { trials: 1 },
        modelName: 'Buyers',
      },
      'study { id job { id } }',
    );
    await untilJob(api.app, { tenantId: provider.id }, study.job.id, isOver, 100_000);
    const { study: ended } = await provider.owner.query<{
      study: { training: { id: string; job: { id: string } } };
    }>('query ($id: ID!) { study(id: $id) { training { id job { id } } } }', { id: study.id });
    const { modelImport } = await provider.owner.mutate<{ modelImport: { id: string; job: { id: string } } }>(
      'startImport',
      {
        ...common,
        target: 'spent',
        columns: ['age', 'income'],
        uploadId: await sendFile(api.app, scopeOf(provider.id), xgboost()),
        modelName: 'Imported',
      },
      'modelImport { id job { id } }',
    );
    for (const id of [await versionOf('training', ended.training), await versionOf('modelImport', modelImport)]) {
      const change = { disclosure: { kind: 'SCORES', digits: 2 } };
      const { brokenLimit } = await refused(provider.owner, 'offerAgreement', offerOf(await endpointOf(id), change));
      expect(brokenLimit.path.map((step) => step.id)).toEqual([data.datasetVersionId, id, expect.any(String)]);
    }
  });

  it('declared later break nothing in force: listed as conflicts, and kept by what comes into force from then on', async () => {
    const [limited, free] = [await train(first), await train(other)];
    const endpointId = await endpointOf(limited);
    const inForce = await agree(endpointId, { purposes: ['CREDIT'] });
    const offered = await offer(endpointId, { purposes: ['CREDIT'] });
    const kept = await agree(endpointId);
    expect(await conflicts()).toEqual([]);
    await declare(first, { purposes: ['RESEARCH'] });
    expect(await conflicts()).toMatchObject([
      { agreementId: offered, limit: 'PURPOSES', sentence: expect.stringContaining('CREDIT') as string },
      {
        agreementId: inForce,
        limit: 'PURPOSES',
        path: expect.arrayContaining([{ kind: 'ENDPOINT', id: endpointId }]) as object,
      },
    ]);
    expect(await conflicts(consumer)).toEqual([]);
    // In force is in force.
    const columns = { age: [30], income: [2000], city: ['Lyon'] };
    const answer = await consumer.owner.mutate<{ prediction: { agreementId: string } }>(
      'predict',
      { endpointId, agreementId: inForce, purpose: 'CREDIT', columns },
      'prediction { agreementId }',
    );
    expect(answer.prediction.agreementId).toBe(inForce);
    // What was offered before can no longer be signed, by either.
    const signing = { agreementId: offered, version: 1, password: PASSWORD };
    expect((await refused(provider.owner, 'signAgreement', signing)).brokenLimit.path).toHaveLength(3);
    expect((await refused(consumer.owner, 'signAgreement', signing)).brokenLimit.path).toHaveLength(1);
    // Nor does an endpoint go to a version of such data while the terms stand; away from it, it does.
    const elsewhere = await endpointOf(free);
    const there = await agree(elsewhere, { purposes: ['CREDIT'] });
    const route = { endpointId: elsewhere, modelVersionId: limited };
    expect((await refused(provider.owner, 'routeEndpoint', route)).brokenLimit.path.map(({ id }) => id)).toEqual([
      first.datasetVersionId,
      limited,
      elsewhere,
    ]);
    await provider.owner.mutate('terminateAgreement', { agreementId: there }, 'agreement { state }');
    await provider.owner.mutate('routeEndpoint', route, 'endpoint { id }');
    await provider.owner.mutate('routeEndpoint', { endpointId, modelVersionId: free }, 'endpoint { id }');
    expect(await conflicts()).toEqual([]);
    for (const agreementId of [inForce, kept])
      await provider.owner.mutate('terminateAgreement', { agreementId }, 'agreement { state }');
    await declare(first);
  });

  it('are recorded, and nobody else’s', async () => {
    expect(
      await consumer.owner.refusal('declareDataLicence', {
        datasetVersionId: first.datasetVersionId,
        mayBeOffered: false,
      }),
    ).toBe('NOT_FOUND');
    const viewer = await provider.member('VIEWER');
    expect(
      await viewer.refusal('declareDataLicence', { datasetVersionId: first.datasetVersionId, mayBeOffered: false }),
    ).toBe('FORBIDDEN');
    expect(
      await provider.owner.refusal('declareDataLicence', {
        datasetVersionId: first.datasetVersionId,
        mayBeOffered: true,
        regions: ['EU!'],
      }),
    ).toBe('INVALID_INPUT');
    const { auditEntries } = await provider.owner.query<{ auditEntries: { nodes: { content: string }[] } }>(
      '{ auditEntries(kind: "licence.declared", first: 1) { nodes { content } } }',
    );
    expect(JSON.parse(auditEntries.nodes[0]!.content)).toMatchObject({
      subjectId: first.datasetVersionId,
      detail: { mayBeOffered: true, purposes: null },
    });
  });

  it('end what would renew itself beyond them', async () => {
    const endpointId = await endpointOf(await train(first));
    const renewal = { renewal: { months: 1 } };
    const [ends, goesOn] = [
      await agree(endpointId, renewal),
      await agree(await endpointOf(await train(other)), renewal),
    ];
    const until = new Date(api.clock.now().getTime() + 10 * DAY_MS).toISOString();
    await declare(first, { until });
    expect(await conflicts()).toEqual([]);
    api.clock.forward(DAY_MS + 60_000);
    // By the consumer's own step, too: what the data allow is looked up in the provider's name.
    const later = await signIn(api.client, consumer.ownerEmail, PASSWORD, consumer.id);
    expect(await later.refusal('suspendAgreement', { agreementId: ends })).toBe('ILLEGAL_STEP');
    await api.app.agreements.recordExpired(scopeOf);
    const stateOf = async (id: string) =>
      (await later.query<{ agreement: { state: string } }>('query ($id: ID!) { agreement(id: $id) { state } }', { id }))
        .agreement.state;
    expect(await stateOf(ends)).toMatch(/EXPIRED|SETTLED/);
    expect(await stateOf(goesOn)).toBe('ACTIVE');
    const { auditEntries } = await later.query<{
      auditEntries: { nodes: { kind: string; content: string }[] };
    }>(
      `query ($id: ID!) { auditEntries(subjectId: $id, kind: "agreement.renewal-stopped") { nodes { kind content } } }`,
      { id: ends },
    );
    expect(auditEntries.nodes).toHaveLength(1);
    expect(auditEntries.nodes[0]!.content).toContain('"brokenLimit":"UNTIL"');
    expect(auditEntries.nodes[0]!.content).not.toContain(first.datasetVersionId);
  });
});

/** A regression of one tree over two columns, as XGBoost saves it. */
function xgboost(): Buffer {
  const tree = {
    base_weights: [0, 1, 2],
    categories: [],
    categories_nodes: [],
    categories_segments: [],
    categories_sizes: [],
    default_left: [0, 0, 0],
    id: 0,
    left_children: [1, -1, -1],
    loss_changes: [1, 0, 0],
    parents: [2147483647, 0, 0],
    right_children: [2, -1, -1],
    split_conditions: [50, 1, 2],
    split_indices: [0, 0, 0],
    split_type: [0, 0, 0],
    sum_hessian: [2, 1, 1],
    tree_param: { num_deleted: '0', num_feature: '2', num_nodes: '3', size_leaf_vector: '1' },
  };
  const learner = {
    attributes: {},
    feature_names: [],
    feature_types: [],
    gradient_booster: {
      model: {
        gbtree_model_param: { num_parallel_tree: '1', num_trees: '1' },
        iteration_indptr: [0, 1],
        tree_info: [0],
        trees: [tree],
      },
      name: 'gbtree',
    },
    learner_model_param: {
      base_score: '0',
      boost_from_average: '1',
      num_class: '0',
      num_feature: '2',
      num_target: '1',
    },
    objective: { name: 'reg:squarederror', reg_loss_param: { scale_pos_weight: '1' } },
  };
  return Buffer.from(JSON.stringify({ learner, version: [1, 7, 4] }));
}

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import {
  getNamedType,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLObjectType,
  isInputObjectType,
  isLeafType,
  isObjectType,
  isRequiredArgument,
  isUnionType,
} from 'graphql';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeSchema } from '../src/api/schema.js';
import { inTenant } from '../src/platform/db.js';
import { ID_PREFIXES, type IdKind } from '../src/platform/ids.js';
import { startWorkers, type Workers } from '../workers/main.js';
import { ENDINGS, PROCESSORS } from '../workers/processors.js';
import { PASSWORD, startTestApi, type TestApi, type TestTenant } from './support/app.js';
import { scopeOf, upload as sendFile } from './domain/dataset-support.js';
import { KIND_OF_ARGUMENT } from './support/kind-of-argument.js';
import { makeData } from './workers/data.js';
import { isOver, untilJob } from './workers/support.js';

/**
 * Goes through the whole schema: every field, mutation and subscription that takes an id is called with the id of another tenant's
 * thing, of the right kind and real, and must answer exactly what it answers for an id that there is not. Then once more without
 * row-level security: each of the two locks must hold alone.
 */

/** Ids that only narrow a list down: another tenant's finds nothing. */
const FILTERS = [
  'auditEntries(subjectId)',
  'leaderboard(splitId)',
  'agreements(filter.endpointId)',
  'modelImports(modelId)',
  'trainings(filter.modelId)',
  'trainings(filter.datasetVersionId)',
  'studies(filter.modelId)',
  'studies(filter.datasetVersionId)',
  'batchPredictions(endpointId)',
];

const PROPOSING =
  'offerAgreement counterAgreement amendAgreement createListing changeListing requestOffer answerOfferRequest';

/** Ids that mean another tenant on purpose; a split is the provider's, as test/domain/data-agreement.test.ts tries. */
const OTHERS = [
  'createListing(input.tenantIds)',
  'changeListing(input.tenantIds)',
  'offerAgreement(input.consumerTenantId)',
  ...PROPOSING.split(' ').flatMap((name) => [
    `${name}(input.terms.applications)`,
    `${name}(input.terms.training.splitId)`,
  ]),
];

/** Where the answer to a missing thing has a code of its own; it is the same one for another tenant's. */
const OTHER_CODES: Record<string, string> = {
  'predict(input.agreementId)': 'NO_AGREEMENT',
  'predictBatch(input.agreementId)': 'NO_AGREEMENT',
};

const TERMS = {
  purposes: ['CREDIT'],
  period: { from: new Date().toISOString(), until: new Date(Date.now() + 86400_000).toISOString() },
  disclosure: { kind: 'LABEL_ONLY' },
};

/** What else an operation needs before it looks at the id. */
const REST: Record<string, Record<string, unknown>> = {
  leaderboard: { target: 'bought' },
  statement: { month: new Date().toISOString().slice(0, 7) },
  createDataset: { name: 'A dataset' },
  createSplit: { method: 'RANDOM' },
  createModel: { name: 'A model' },
  setModelAlias: { alias: 'champion' },
  createEndpoint: { name: 'another' },
  predict: { columns: { age: [30], income: [2000], city: ['Lyon'] } },
  createApiKey: { name: 'Key', permissions: ['MODEL_READ'] },
  registerDevice: { name: 'Device', publicKey: publicKey() },
  changeMemberRole: { role: 'VIEWER' },
  startImport: { target: 'bought', modelName: null },
  startTraining: { target: 'bought', algorithm: { linear: {} }, modelName: null, features: ['age'] },
  startAgreedTraining: { target: 'bought', algorithm: { linear: {} }, modelName: null, purpose: 'CREDIT' },
  startTuning: {
    target: 'bought',
    algorithms: ['LINEAR'],
    search: 'RANDOM',
    limits: { trials: 1 },
    modelName: null,
    features: ['age'],
  },
  offerAgreement: { terms: TERMS },
  declareDataLicence: { mayBeOffered: true },
  createListing: { showsSchema: true },
  changeListing: { showsSchema: true },
  answerOfferRequest: { terms: TERMS },
  counterAgreement: { terms: TERMS },
  amendAgreement: { terms: TERMS },
  signAgreement: { password: PASSWORD, signatureBase64: Buffer.alloc(64).toString('base64') },
  confirmSigningKey: { password: PASSWORD, signatureBase64: Buffer.alloc(64).toString('base64') },
};

/** Of a new device. */
function publicKey(): string {
  return JSON.stringify(generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }));
}

type World = Partial<Record<IdKind, string>>;
type Path = readonly string[];
interface Case {
  readonly operation: 'query' | 'mutation' | 'subscription';
  readonly field: GraphQLField<unknown, unknown>;
  readonly path: Path;
}

const schema = makeSchema(null);
let api: TestApi;
let mine: TestTenant;
let theirs: TestTenant;
let workers: Workers;
let own: World;
let foreign: World;

beforeAll(async () => {
  api = await startTestApi();
  workers = startWorkers(api.app, PROCESSORS, ENDINGS);
  mine = await api.tenant();
  theirs = await api.tenant();
  own = await makeWorld(mine);
  foreign = await makeWorld(theirs);
}, 240_000);
afterAll(async () => {
  await workers?.close();
});

/** One of everything that has an id. */
async function makeWorld(tenant: TestTenant): Promise<World> {
  const { owner } = tenant;
  const data = await makeData(api.app, { tenantId: tenant.id }, 200);
  const input = { ...REST.startTraining, ...pick(data, ['datasetVersionId', 'splitId']), modelName: 'A model' };
  const { training } = await owner.mutate<{ training: { id: string; job: { id: string }; model: { id: string } } }>(
    'startTraining',
    input,
    'training { id job { id } model { id } }',
  );
  await untilJob(api.app, { tenantId: tenant.id }, training.job.id, isOver, 100_000);
  const { training: done } = await owner.query<{ training: { modelVersion: { id: string } } }>(
    'query ($id: ID!) { training(id: $id) { modelVersion { id } } }',
    { id: training.id },
  );
  const modelVersionId = done.modelVersion.id;
  const { study } = await owner.mutate<{ study: { id: string; job: { id: string } } }>(
    'startTuning',
    { ...REST.startTuning, ...pick(data, ['datasetVersionId', 'splitId']), modelName: 'A model' },
    'study { id job { id } }',
  );
  await untilJob(api.app, { tenantId: tenant.id }, study.job.id, isOver, 100_000);
  const { evaluation } = await owner.mutate<{ evaluation: { id: string } }>(
    'evaluate',
    { modelVersionId },
    'evaluation { id }',
  );
  const { endpoint } = await owner.mutate<{ endpoint: { id: string } }>(
    'createEndpoint',
    { name: 'an-endpoint', modelVersionId },
    'endpoint { id }',
  );
  const { batchPrediction } = await owner.mutate<{ batchPrediction: { id: string } }>(
    'predictBatch',
    { endpointId: endpoint.id, datasetVersionId: data.datasetVersionId },
    'batchPrediction { id }',
  );
  const third = await api.tenant();
  const { agreement } = await owner.mutate<{ agreement: { id: string } }>(
    'offerAgreement',
    { endpointId: endpoint.id, consumerTenantId: third.id, ...REST.offerAgreement },
    'agreement { id }',
  );
  const { listing } = await owner.mutate<{ listing: { id: string } }>(
    'createListing',
    { endpointId: endpoint.id, tenantIds: [third.id], ...REST.createListing },
    'listing { id }',
  );
  const { offerRequest } = await third.owner.mutate<{ offerRequest: { id: string } }>(
    'requestOffer',
    { listingId: listing.id },
    'offerRequest { id }',
  );
  // What stands by now breaks it.
  const licence = { datasetVersionId: data.datasetVersionId, mayBeOffered: false };
  await owner.mutate('declareDataLicence', licence, 'licence { mayBeOffered }');
  const { upload } = await owner.mutate<{ upload: { id: string } }>(
    'createUpload',
    { sizeBytes: 3, sha256: '0'.repeat(64) },
    'upload { id }',
  );
  const file = Buffer.from('tree\n');
  const { modelImport } = await owner.mutate<{ modelImport: { id: string; job: { id: string } } }>(
    'startImport',
    {
      ...pick(data, ['datasetVersionId', 'splitId']),
      uploadId: await sendFile(api.app, scopeOf(tenant.id), file),
      target: 'bought',
      modelName: 'A model',
    },
    'modelImport { id job { id } }',
  );
  await untilJob(api.app, { tenantId: tenant.id }, modelImport.job.id, isOver, 100_000);
  const { signingKey } = await owner.mutate<{ signingKey: { id: string } }>(
    'createSigningKey',
    { name: 'A key', publicKeyHex: randomBytes(32).toString('hex') },
    'signingKey { id }',
  );
  const application = await tenant.application();
  const { device } = await owner.mutate<{ device: { id: string } }>(
    'registerDevice',
    { applicationId: application.id, name: 'Device', publicKey: publicKey() },
    'device { id }',
  );
  await tenant.member('VIEWER');
  const { members } = await owner.query<{ members: { nodes: { id: string; role: string }[] } }>(
    '{ members { nodes { id role } } }',
  );
  const { invitation } = await owner.mutate<{ invitation: { id: string } }>(
    'inviteMember',
    { email: 'x@example.com', role: 'VIEWER' },
    'invitation { id }',
  );
  return {
    tenant: tenant.id,
    membership: members.nodes.find((one) => one.role === 'VIEWER')!.id,
    invitation: invitation.id,
    application: application.id,
    apiKey: application.keyId,
    device: device.id,
    upload: upload.id,
    dataset: data.datasetId,
    datasetVersion: data.datasetVersionId,
    split: data.splitId,
    training: training.id,
    modelImport: modelImport.id,
    study: study.id,
    model: training.model.id,
    modelVersion: modelVersionId,
    evaluation: evaluation.id,
    endpoint: endpoint.id,
    batchPrediction: batchPrediction.id,
    agreement: agreement.id,
    listing: listing.id,
    offerRequest: offerRequest.id,
    signingKey: signingKey.id,
  };
}

function pick<T extends object>(from: T, names: (keyof T)[]): Partial<T> {
  return Object.fromEntries(names.map((name) => [name, from[name]])) as Partial<T>;
}

/** The paths of all ids below an argument or input field. */
function idPaths(type: GraphQLInputType, path: Path, above: string[] = []): Path[] {
  const named = getNamedType(type);
  if (named.name === 'ID') return [path];
  if (!isInputObjectType(named) || above.includes(named.name)) return [];
  return Object.values(named.getFields()).flatMap((field) =>
    idPaths(field.type, [...path, field.name], [...above, named.name]),
  );
}

const cases: Case[] = (['query', 'mutation', 'subscription'] as const).flatMap((operation) =>
  Object.values(schema.getRootType(operation as never)?.getFields() ?? {}).flatMap((field) =>
    field.args.flatMap((arg) => idPaths(arg.type, [arg.name]).map((path) => ({ operation, field, path }))),
  ),
);
const nameOf = ({ field, path }: Case) => `${field.name}(${path.join('.')})`;
const kindOfCase = (one: Case): IdKind | undefined =>
  KIND_OF_ARGUMENT[nameOf(one)] ?? KIND_OF_ARGUMENT[one.path.at(-1)!];

/** The arguments of a call with our own ids everywhere but at `path`. */
function argumentsOf(one: Case, id: string): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const arg of one.field.args) {
    const paths = idPaths(arg.type, [arg.name]);
    const rest = isInputObjectType(getNamedType(arg.type))
      ? { ...REST[one.field.name] }
      : REST[one.field.name]?.[arg.name];
    if (paths.length === 0 && rest === undefined) continue;
    values[arg.name] = rest;
    for (const path of paths) {
      const here = path.join('.') === one.path.join('.');
      const optional = !path.slice(1).length ? !String(arg.type).endsWith('!') : isOptional(arg.type, path.slice(1));
      if (!here && optional) continue;
      const value = here ? id : (own[kindOfCase({ ...one, path })!] ?? foreign.tenant);
      if (path.length === 1) values[arg.name] = value;
      else Object.assign((values[arg.name] ??= {}) as object, { [path.at(-1)!]: value });
    }
  }
  return values;
}

/** Whether the id, or something on the way to it, may be left out. */
function isOptional(type: GraphQLInputType, [name, ...rest]: Path): boolean {
  const named = getNamedType(type);
  const field = isInputObjectType(named) && name !== undefined ? named.getFields()[name] : undefined;
  if (!field) return false;
  return !String(field.type).endsWith('!') || isOptional(field.type, rest);
}

async function call(one: Case, id: string): Promise<{ code: unknown; message: unknown }> {
  const { field } = one;
  const values = argumentsOf(one, id);
  const used = field.args.filter((arg) => arg.name in values);
  const declared = used.map((arg) => `$${arg.name}: ${String(arg.type)}`).join(', ');
  const passed = used.map((arg) => `${arg.name}: $${arg.name}`).join(', ');
  const type = getNamedType(field.type);
  const inner = isUnionType(type)
    ? '{ __typename ... on Refusal { code message } }'
    : isObjectType(type) || 'getFields' in type
      ? '{ __typename }'
      : '';
  // A subscription is asked through POST: what it may see is decided before it streams.
  const text = `${one.operation} (${declared}) { result: ${field.name}(${passed}) ${inner} }`;
  if (one.operation === 'subscription') return subscribe(text, values);
  const { data, errors } = await mine.owner.send<{ result: { code?: string; message?: string } | null }>(text, values);
  return {
    code: errors[0]?.extensions.code ?? data?.result?.code,
    message: errors[0]?.message ?? data?.result?.message,
  };
}

async function subscribe(query: string, variables: Record<string, unknown>) {
  const { createClient } = await import('graphql-ws');
  const { WebSocket } = await import('ws');
  const socket = createClient({
    url: `${api.url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${mine.owner.token}` },
  });
  try {
    for await (const { errors } of socket.iterate({ query, variables }))
      return { code: errors?.[0]?.extensions?.code, message: errors?.[0]?.message };
    return { code: undefined, message: undefined };
  } finally {
    await socket.dispose();
  }
}

const nowhere = (kind: IdKind) => `${ID_PREFIXES[kind]}_${'0'.repeat(31)}1`;

/** Takes the second lock away: from now on only what our statements say keeps tenants apart. */
async function disableRowSecurity(): Promise<void> {
  const owner = new pg.Client(api.database.databaseUrl);
  await owner.connect();
  await owner.query(`do $$ declare t regclass; begin
    for t in select oid from pg_class where relrowsecurity loop
      execute format('alter table %s disable row level security', t);
    end loop; end $$`);
  await owner.end();
}

/** How many tenants' jobs a statement sees that does not say whose. */
const tenantsSeen = () =>
  inTenant(api.app.db, { tenantId: mine.id }, (tx) => tx.query<unknown[]>('select distinct tenant_id from job'));

const nameless = (type: GraphQLObjectType) =>
  Object.values(type.getFields()).filter(({ args, type: of }) => args.length === 0 && isLeafType(getNamedType(of)));

/** Every list that needs no id, with all that its rows tell. */
const lists = Object.values(schema.getQueryType()!.getFields()).flatMap(({ name, args, type }) => {
  const listed = getNamedType(type);
  const nodes = isObjectType(listed) ? listed.getFields().nodes : undefined;
  if (!nodes || args.some(isRequiredArgument)) return [];
  const fields = nameless(getNamedType(nodes.type) as GraphQLObjectType);
  return [
    [name, `{ list: ${name}(first: 100) { nodes { ${fields.map((field) => field.name).join(' ')} } } }`],
  ] as const;
});

it('tries every id in the schema', () => {
  const known = (one: Case) =>
    kindOfCase(one) || nameOf(one) === 'node(id)' || [...FILTERS, ...OTHERS].includes(nameOf(one));
  expect(cases.length).toBeGreaterThan(35);
  expect(cases.filter((one) => !known(one)).map(nameOf), 'ids of a kind that this test does not know').toEqual([]);
  for (const name of [...FILTERS, ...OTHERS]) expect(cases.map(nameOf)).toContain(name);
});

describe.each(['by both locks', 'by the statements alone'])('another tenant’s things, %s,', (locks) => {
  const alone = locks.endsWith('alone');
  if (alone) beforeAll(disableRowSecurity);

  it('are tried with the locks that are meant', async () => {
    expect(await tenantsSeen()).toHaveLength(alone ? 2 : 1);
    // And the statement that does not say whose is noticed wherever a test runs it.
    expect(api.forgotten.splice(0)).toEqual(['select distinct tenant_id from job']);
  });

  // The catalogue has what others have listed for a tenant: these have not.
  it.each(lists)('are not in the list of %s', async (name, query) => {
    const answer = await mine.owner.send<{ list: { nodes: { id?: string }[] } | null }>(query);
    expect(answer.errors.map(({ extensions }) => extensions.code).filter((code) => code !== 'FORBIDDEN')).toEqual([]);
    if (name === 'catalogue') expect(answer.data?.list?.nodes).toEqual([]);
    else if (answer.data?.list) expect(answer.data.list.nodes).not.toEqual([]);
    for (const id of Object.values(foreign)) expect(JSON.stringify(answer)).not.toContain(id);
  });
  const tried = cases.filter((one) => ![...FILTERS, ...OTHERS, 'node(id)'].includes(nameOf(one)));
  it.each(tried.map((one) => [nameOf(one), one] as const))('%s', async (_name, one) => {
    const kind = kindOfCase(one)!;
    const answer = await call(one, foreign[kind]!);
    expect(answer.code).toBe(OTHER_CODES[nameOf(one)] ?? 'NOT_FOUND');
    expect(await call(one, nowhere(kind))).toEqual(answer);
    expect(await call(one, 'no id at all')).toEqual(answer);
  });

  it.each(Object.keys(ID_PREFIXES) as IdKind[])('node(id) of a %s', async (kind) => {
    const ask = (id: string) =>
      mine.owner.send<{ node: { id: string } | null }>('query ($id: ID!) { node(id: $id) { id } }', { id });
    const answer = await ask(foreign[kind] ?? nowhere(kind));
    expect([answer.data?.node, answer.errors[0]?.extensions.code]).toEqual([null, 'NOT_FOUND']);
    if (own[kind] && schema.getType('Node') && (await ask(own[kind])).data?.node)
      expect((await ask(own[kind])).data!.node!.id).toBe(own[kind]);
  });

  it('are found by their owner: the fixtures are real', async () => {
    for (const [kind, id] of Object.entries(foreign)) {
      const { data } = await theirs.owner.send<{ node: { id: string } | null }>(
        'query ($id: ID!) { node(id: $id) { id } }',
        { id },
      );
      expect(data?.node?.id, kind).toBe(id);
    }
  });

  it('are not in lists narrowed down to them', async () => {
    const { owner } = mine;
    const { auditEntries } = await owner.query<{ auditEntries: { nodes: unknown[] } }>(
      'query ($id: ID) { auditEntries(subjectId: $id) { nodes { kind } } }',
      { id: foreign.training },
    );
    expect(auditEntries.nodes).toEqual([]);
    const { leaderboard } = await owner.query<{ leaderboard: unknown[] }>(
      'query ($id: ID!) { leaderboard(splitId: $id, target: "bought") { __typename } }',
      { id: foreign.split },
    );
    expect(leaderboard).toEqual([]);
    for (const [list, filter] of [
      ['agreements', { endpointId: foreign.endpoint }],
      ['trainings', { modelId: foreign.model }],
      ['trainings', { datasetVersionId: foreign.datasetVersion }],
      ['studies', { modelId: foreign.model }],
      ['studies', { datasetVersionId: foreign.datasetVersion }],
    ] as const) {
      const type = {
        agreements: 'AgreementFilterInput',
        trainings: 'TrainingFilterInput',
        studies: 'StudyFilterInput',
      }[list];
      const { data, errors } = await owner.send<{ list: { nodes: unknown[] } | null }>(
        `query ($filter: ${type}) { list: ${list}(filter: $filter) { nodes { id } } }`,
        { filter },
      );
      expect(data?.list?.nodes ?? errors[0]?.extensions.code, JSON.stringify(filter)).toSatisfy(
        (found) => found === 'NOT_FOUND' || (Array.isArray(found) && found.length === 0),
      );
    }
  });
});

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startWorkers, type Workers } from '../../workers/main.js';
import { ENDINGS, PROCESSORS } from '../../workers/processors.js';
import { startTestApi, type TestApi, type TestTenant } from '../support/app.js';
import { isOver, untilJob } from '../workers/support.js';
import { announce, scopeOf } from './dataset-support.js';

let api: TestApi;
let tenant: TestTenant;
let workers: Workers;
let data: { datasetVersionId: string; splitId: string };

const example = (path: string) => readFileSync(new URL(`../../examples/penguins/${path}`, import.meta.url));
const model = example('species_lightgbm.txt');

interface Job {
  readonly id: string;
  readonly state: string;
  readonly errorCode: string | null;
  readonly errorMessage: string | null;
}
interface Version {
  readonly id: string;
  readonly number: number;
  readonly algorithm: string;
  readonly trainingId: string | null;
  readonly importId: string;
  readonly source: object;
  readonly task: string;
  readonly classes: readonly string[];
  readonly inputs: readonly { readonly name: string; readonly kind: string; readonly categories: string[] | null }[];
  readonly parameters: readonly object[];
  readonly importance: readonly { readonly column: string; readonly gain: number }[];
  readonly trainRows: number;
  readonly test: { readonly rows: number; readonly accuracy: { readonly value: number } };
  readonly parity: { readonly rows: number; readonly edgeRows: number; readonly labelMismatches: number };
}

async function upload(bytes: Buffer, by = tenant): Promise<string> {
  const made = await by.owner.mutate<{ upload: { id: string }; url: string }>(
    'createUpload',
    announce(bytes),
    'upload { id } url',
  );
  const path = made.url.slice(new URL(made.url).origin.length);
  const response = await fetch(api.url + path, { method: 'PUT', body: new Uint8Array(bytes) });
  expect(response.status).toBe(200);
  return made.upload.id;
}

const over = (jobId: string) => untilJob(api.app, { tenantId: tenant.id }, jobId, isOver, 60_000);

const input = (uploadId: string, more: object = {}) => ({
  uploadId,
  ...data,
  target: 'species',
  modelName: 'Penguins',
  ...more,
});

/** Asks for an import and waits for its end. */
async function importFile(bytes: Buffer, more: object = {}) {
  const { modelImport } = await tenant.owner.mutate<{ modelImport: { id: string; job: Job } }>(
    'startImport',
    input(await upload(bytes), more),
    'modelImport { id job { id } }',
  );
  await over(modelImport.job.id);
  const answer = await tenant.owner.query<{ modelImport: { job: Job; modelVersion: Version | null } }>(
    `query ($id: ID!) { modelImport(id: $id) { job { id state errorCode errorMessage } modelVersion {
      id number algorithm trainingId importId task classes trainRows source { format library objective sha256 sizeBytes }
      inputs { name kind categories } parameters { name } importance { column gain }
      test { rows ... on MulticlassMetrics { accuracy { value } } } parity { rows edgeRows labelMismatches } } } }`,
    { id: modelImport.id },
  );
  return { id: modelImport.id, ...answer.modelImport };
}

beforeAll(async () => {
  api = await startTestApi();
  tenant = await api.tenant();
  workers = startWorkers(api.app, PROCESSORS, ENDINGS);
  const { version } = await tenant.owner.mutate<{ version: { id: string; job: Job } }>(
    'createDataset',
    { name: 'Penguins', uploadId: await upload(example('penguins.csv')) },
    'version { id job { id } }',
  );
  await over(version.job.id);
  const { split } = await tenant.owner.mutate<{ split: { id: string; job: Job } }>(
    'createSplit',
    { datasetVersionId: version.id, method: 'STRATIFIED', column: 'species' },
    'split { id job { id } }',
  );
  await over(split.job.id);
  data = { datasetVersionId: version.id, splitId: split.id };
}, 120_000);

afterAll(async () => {
  await workers?.close();
});

describe('an import through the API', () => {
  it('makes a version of a file, measured on the split and proved, that serves like any other', async () => {
    const { id, job, modelVersion: version } = await importFile(model);
    expect(job).toMatchObject({ state: 'SUCCEEDED', errorCode: null });
    expect(version).toMatchObject({
      number: 1,
      algorithm: 'IMPORTED',
      trainingId: null,
      importId: id,
      task: 'MULTICLASS',
      classes: ['Adelie', 'Chinstrap', 'Gentoo'],
      parameters: [],
      trainRows: 0,
      source: {
        format: 'LIGHTGBM_TEXT',
        library: 'LightGBM model v4',
        objective: 'multiclass num_class:3',
        sha256: createHash('sha256').update(model).digest('hex'),
        sizeBytes: model.length,
      },
    });
    expect(version!.inputs.map(({ name, kind }) => [name, kind])).toEqual([
      ['island', 'CATEGORY'],
      ['bill_length_mm', 'NUMBER'],
      ['bill_depth_mm', 'NUMBER'],
      ['flipper_length_mm', 'NUMBER'],
      ['body_mass_g', 'NUMBER'],
      ['sex', 'CATEGORY'],
    ]);
    expect(version!.test.accuracy.value).toBeGreaterThan(0.95);
    expect(version!.parity.labelMismatches).toBe(0);
    expect(version!.parity.edgeRows).toBeGreaterThan(50);
    expect(version!.importance.reduce((sum, { gain }) => sum + gain, 0)).toBeCloseTo(1);
    const { endpoint } = await tenant.owner.mutate<{ endpoint: { id: string } }>(
      'createEndpoint',
      { name: 'penguins', modelVersionId: version!.id },
      'endpoint { id }',
    );
    const { prediction } = await tenant.owner.mutate<{ prediction: { labels: string[] } }>(
      'predict',
      {
        endpointId: endpoint.id,
        columns: {
          island: ['Torgersen', 'Biscoe', null],
          bill_length_mm: [39.1, 46.1, 50],
          bill_depth_mm: [18.7, 13.2, 19.5],
          flipper_length_mm: [181, 211, 196],
          body_mass_g: [3750, 4500, null],
          sex: ['male', 'female', 'other'],
        },
      },
      'prediction { labels }',
    );
    // As LightGBM answers.
    expect(prediction.labels).toEqual(['Adelie', 'Gentoo', 'Adelie']);
  });

  it('gives the same file for the same one, keeps the fitted model, and no upload', async () => {
    const [first, second] = [await importFile(model), await importFile(model)];
    const scope = scopeOf(tenant.id);
    const of = (version: Version | null) => api.app.models.readOnnx(scope, version!.id);
    expect((await of(first.modelVersion)).digest).toBe((await of(second.modelVersion)).digest);
    const version = (await api.app.models.findVersion(scope, second.modelVersion!.id))!;
    expect(version.fittedBlobId).not.toBeNull();
    await expect(api.app.imports.plan(scope, second.id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await tenant.owner.refusal('retryImport', { importId: second.id })).toBe('CONFLICT');
    expect(await tenant.owner.refusal('cancelImport', { importId: second.id })).toBe('CONFLICT');
  });

  it.each([
    ['is cut off', () => model.subarray(0, model.length / 2), {}, 'MODEL_UNREADABLE'],
    ['is no model', () => example('penguins.csv'), {}, 'MODEL_UNREADABLE'],
    ['is another format than was said', () => model, { format: 'XGBOOST_JSON' }, 'MODEL_UNREADABLE'],
    [
      'ranks',
      () => Buffer.from(model.toString().replace('objective=multiclass', 'objective=lambdarank')),
      {},
      'MODEL_UNSUPPORTED',
    ],
    ['tells other classes', () => model, { target: 'year', classes: ['a', 'b', 'c'] }, 'MODEL_DOES_NOT_FIT'],
    [
      'takes other columns',
      () => Buffer.from(model.toString().replaceAll('body_mass_g', 'weight')),
      {},
      'MODEL_DOES_NOT_FIT',
    ],
  ] as const)('fails with a sentence where the file %s', async (_, bytes, more, code) => {
    const { id, job, modelVersion } = await importFile(Buffer.from(bytes()), more);
    expect(job).toMatchObject({ state: 'FAILED', errorCode: code });
    expect(job.errorMessage).toMatch(/[a-z].*\.$/);
    expect(modelVersion).toBeNull();
    if (code !== 'MODEL_UNSUPPORTED') return;
    const { modelImport } = await tenant.owner.mutate<{ modelImport: { job: Job } }>(
      'retryImport',
      { importId: id },
      'modelImport { job { id } }',
    );
    expect(await over(modelImport.job.id)).toMatchObject({ state: 'FAILED', errorCode: code });
  });

  it('takes columns in the order that is given', async () => {
    const renamed = Buffer.from(
      model
        .toString()
        .replace(/^feature_names=.*$/m, 'feature_names=Column_0 Column_1 Column_2 Column_3 Column_4 Column_5'),
    );
    expect((await importFile(renamed)).job).toMatchObject({ errorCode: 'MODEL_DOES_NOT_FIT' });
    const columns = ['island', 'bill_length_mm', 'bill_depth_mm', 'flipper_length_mm', 'body_mass_g', 'sex'];
    const { modelVersion } = await importFile(renamed, { columns });
    expect(modelVersion!.test.accuracy.value).toBeGreaterThan(0.95);
  });

  it('is refused at once where the request is wrong', async () => {
    const uploadId = await upload(model);
    const refusal = (more: object) => tenant.owner.refusal('startImport', input(uploadId, more));
    expect(await refusal({ target: 'nothing' })).toBe('INVALID_INPUT');
    expect(await refusal({ modelName: null })).toBe('INVALID_INPUT');
    expect(await refusal({ columns: ['sex', 'sex'] })).toBe('INVALID_INPUT');
    const announced = await tenant.owner.mutate<{ upload: { id: string } }>(
      'createUpload',
      announce(model),
      'upload { id }',
    );
    expect(await refusal({ uploadId: announced.upload.id })).toBe('NOT_READY');
    await tenant.owner.mutate('startImport', input(uploadId), 'modelImport { id }');
    expect(await refusal({})).toBe('CONFLICT');
    expect(await tenant.owner.refusal('createDataset', { name: 'Twice', uploadId })).toBe('CONFLICT');
  });

  it('is listed, and nobody else’s', async () => {
    const { id } = await importFile(model);
    const { modelImports } = await tenant.owner.query<{ modelImports: { nodes: { id: string; model: object }[] } }>(
      '{ modelImports(first: 1) { nodes { id model { name } categories { column } columns classes } } }',
    );
    expect(modelImports.nodes).toEqual([
      { id, model: { name: 'Penguins' }, categories: [], columns: null, classes: null },
    ]);
    const stranger = await api.tenant();
    const seen = await stranger.owner.query<{ modelImports: { nodes: object[] } }>('{ modelImports { nodes { id } } }');
    expect(seen.modelImports.nodes).toEqual([]);
    for (const mutation of ['cancelImport', 'retryImport'])
      expect(await stranger.owner.refusal(mutation, { importId: id })).toBe('NOT_FOUND');
    const viewer = await tenant.member('VIEWER');
    await expect(viewer.mutate('startImport', input(id), 'modelImport { id }')).rejects.toThrow(/FORBIDDEN|permission/);
  });
});

import { createClient } from 'graphql-ws';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { ENDINGS, PROCESSORS } from '../../workers/processors.js';
import { startWorkers, type Workers } from '../../workers/main.js';
import { startTestApi, type TestApi, type TestTenant } from '../support/app.js';
import { type Data, makeData } from '../workers/data.js';
import { isOver, readJob, untilJob } from '../workers/support.js';

let api: TestApi;
let tenant: TestTenant;
let stranger: TestTenant;
let data: Data;
let workers: Workers;
/** Versions: a classifier, a weaker one, and a regressor. */
let [classifier, weaker, regressor]: string[] = [];

beforeAll(async () => {
  api = await startTestApi();
  tenant = await api.tenant();
  stranger = await api.tenant();
  data = await makeData(api.app, { tenantId: tenant.id });
  workers = startWorkers(api.app, PROCESSORS, ENDINGS);
  classifier = await train({ algorithm: { gradientBoosting: { nEstimators: 20 } } });
  weaker = await train({ algorithm: { gradientBoosting: { nEstimators: 1 } } });
  regressor = await train({
    target: 'spent',
    features: ['age', 'city'],
    positiveClass: null,
    algorithm: { linear: {} },
  });
});

afterAll(async () => {
  await workers?.close();
});

async function train(more: object): Promise<string> {
  const { training } = await tenant.owner.mutate<{ training: { id: string; job: { id: string } } }>(
    'startTraining',
    {
      datasetVersionId: data.datasetVersionId,
      splitId: data.splitId,
      target: 'bought',
      features: ['age', 'income', 'city'],
      positiveClass: 'yes',
      modelName: 'Evaluated',
      seed: 7,
      ...more,
    },
    'training { id job { id } }',
  );
  await untilJob(api.app, { tenantId: tenant.id }, training.job.id, isOver, 60_000);
  const answer = await tenant.owner.query<{ training: { modelVersion: { id: string } } }>(
    `query ($id: ID!) { training(id: $id) { modelVersion { id } } }`,
    { id: training.id },
  );
  return answer.training.modelVersion.id;
}

interface Started {
  evaluation: { id: string; job: { id: string } };
}

const start = async (more: object = {}) =>
  (
    await tenant.owner.mutate<Started>(
      'evaluate',
      { modelVersionId: classifier, ...more },
      'evaluation { id job { id } }',
    )
  ).evaluation;

const ESTIMATE = '{ value low high }';
const METRICS = `{ rows ... on BinaryMetrics { auc ${ESTIMATE} } ... on RegressionMetrics { rmse ${ESTIMATE} } }`;
const SECTIONS = `job { state errorCode errorMessage } sections {
  metrics ${METRICS}
  curves { className auc ${ESTIMATE} averagePrecision ${ESTIMATE} roc { threshold x y } precisionRecall { x y } positives negatives }
  calibration { equalWidth { rows from to meanScore share ${ESTIMATE} } equalCount { rows } errorEqualWidth errorEqualCount brier ${ESTIMATE} }
  thresholds { purpose bound threshold chosen { recall ${ESTIMATE} alertShare ${ESTIMATE} cost } measured { rows precision ${ESTIMATE} } }
  residuals { mean quantiles { quantile value } bins { rows meanPredicted median } }
  groups { column reference leastRows maskedRows groups { group rows metrics ${METRICS} rates { name rate ${ESTIMATE} difference ${ESTIMATE} ratio } } gaps { name difference ratio highest lowest } }
  permutationImportance { figure value rows repeats columns { column increase ${ESTIMATE} } }
  partialDependence { column outputs rows points { number text share mean low high } }
  shap { method rows backgroundRows outputs base columns { column meanAbsolute byOutput } examples { row output score raw contributions { column value } } }
  crossValidation { scheme folds column figures { name mean deviation low high } results { fold trainRows validationRows metrics ${METRICS} } }
  learningCurve { share trainRows train ${METRICS} judged ${METRICS} }
  against { rows figures { name value against difference ${ESTIMATE} } } }`;

// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Loose = Record<string, any>;

async function run(more: object): Promise<{ id: string; job: { state: string }; sections: Loose }> {
  const evaluation = await start(more);
  await untilJob(api.app, { tenantId: tenant.id }, evaluation.job.id, isOver, 120_000);
  const answer = await tenant.owner.query<{ evaluation: { job: { state: string }; sections: Loose } }>(
    `query ($id: ID!) { evaluation(id: $id) { ${SECTIONS} } }`,
    { id: evaluation.id },
  );
  return { ...answer.evaluation, id: evaluation.id };
}

describe('an evaluation through the API', () => {
  it('tells every section that was asked for', async () => {
    const { job, sections } = await run({
      againstVersionId: weaker,
      curves: true,
      calibration: {},
      thresholds: [{ alertShare: 0.3 }, { cost: { falsePositive: 1, falseNegative: 5 } }],
      groups: { columns: ['city'] },
      permutationImportance: { repeats: 2 },
      partialDependence: { columns: ['age', 'city'] },
      shap: { rows: 40, examples: 3 },
      crossValidation: { folds: 3 },
      learningCurve: { shares: [0.5, 1] },
    });
    expect(job).toMatchObject({ state: 'SUCCEEDED', errorMessage: null });
    const { modelVersion } = await tenant.owner.query<{ modelVersion: Loose }>(
      `query ($id: ID!) { modelVersion(id: $id) { test ${METRICS} evaluations(first: 1) { nodes { part sections { metrics { rows } } } } } }`,
      { id: classifier },
    );
    expect(sections.metrics).toEqual(modelVersion.test);
    expect(modelVersion.evaluations.nodes).toMatchObject([{ part: 'TEST', sections: { metrics: { rows: 120 } } }]);
    expect(sections.residuals).toBeNull();
    expect(sections.curves[0].roc.at(-1)).toMatchObject({ x: 1, y: 1 });
    expect(sections.thresholds).toMatchObject([
      { purpose: 'ALERT_SHARE', bound: 0.3, chosen: { cost: null } },
      { purpose: 'COST', bound: null, measured: { rows: 120 } },
    ]);
    expect(sections.thresholds[0].chosen.alertShare.value).toBeLessThanOrEqual(0.3);
    expect(sections.groups[0].groups.length).toBeGreaterThan(2);
    expect(sections.permutationImportance.columns[0].increase.value).toBeGreaterThan(0);
    expect(sections.partialDependence[1].points.at(-1)).toMatchObject({ number: null, text: null });
    for (const { raw, contributions } of sections.shap.examples) {
      const sum = contributions.reduce(
        (all: number, { value }: { value: number }) => all + value,
        sections.shap.base[0],
      );
      expect(sum).toBeCloseTo(raw, 9);
    }
    expect(sections.crossValidation).toMatchObject({ scheme: 'STRATIFIED', column: 'bought', folds: 3 });
    expect(sections.crossValidation.results).toHaveLength(3);
    expect(sections.learningCurve.map(({ trainRows }: Loose) => trainRows)).toEqual([180, 360]);
    const loss = sections.against.figures.find(({ name }: Loose) => name === 'LOG_LOSS');
    expect(loss.difference.high).toBeLessThan(0);
  });

  it('of numbers, on the validation rows', async () => {
    const { sections } = await run({ modelVersionId: regressor, part: 'VALIDATION', residuals: { bins: 4 } });
    expect(sections.metrics.rmse.value).toBeGreaterThan(0);
    expect(sections.residuals.bins).toHaveLength(4);
    expect(sections.residuals.quantiles).toHaveLength(9);
  });

  it('shows its sections as it goes', async () => {
    const socket = createClient({
      url: `${api.url.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${tenant.owner.token}`, 'x-concordat-tenant': tenant.id },
      lazy: false,
    });
    const { id } = await start({ crossValidation: { folds: 10 } });
    const seen: string[] = [];
    const news = socket.iterate<{ evaluationProgress: { job: { state: string; progress: { phase: string } | null } } }>(
      {
        query: `subscription ($id: ID!) { evaluationProgress(id: $id) { job { state progress { phase fraction round rounds } } } }`,
        variables: { id },
      },
    );
    for await (const { data: told, errors } of news) {
      expect(errors).toBeUndefined();
      const { state, progress } = told!.evaluationProgress.job;
      seen.push(progress ? `${state} ${progress.phase}` : state);
    }
    await socket.dispose();
    expect(seen[0]).toBe('QUEUED');
    expect(seen).toContain('RUNNING crossValidation');
    expect(seen.at(-1)).toMatch(/^SUCCEEDED/);
  });

  it.each([
    ['input.residuals', { residuals: {} }],
    ['input.calibration.bins', { calibration: { bins: 1 } }],
    ['input.thresholds.0', { thresholds: [{}] }],
    ['input.thresholds.1', { thresholds: [{ alertShare: 1 }, { alertShare: 2 }] }],
    ['input.groups.columns', { groups: { columns: ['nothing'] } }],
    ['input.partialDependence.columns', { partialDependence: { columns: ['spent'] } }],
    ['input.crossValidation.folds', { crossValidation: { folds: 2 } }],
    ['input.crossValidation.column', { crossValidation: { scheme: 'TIME' } }],
    ['input.learningCurve.shares', { learningCurve: { shares: [0] } }],
    ['input.seed', { seed: -1 }],
  ])('is refused at once where %s is wrong', async (field, more) => {
    const { data: answer } = await tenant.owner.send<{ evaluate: { code: string; field: string } }>(
      `mutation ($input: EvaluateInput!) { evaluate(input: $input) { ... on Refusal { code field } } }`,
      { input: { modelVersionId: classifier, ...more } },
    );
    expect(answer!.evaluate).toEqual({ code: 'INVALID_INPUT', field });
  });

  it('fails with a sentence for what only the data can tell', async () => {
    const evaluation = await start({ againstVersionId: regressor });
    const job = await untilJob(api.app, { tenantId: tenant.id }, evaluation.job.id, isOver, 60_000);
    expect(job).toMatchObject({ state: 'FAILED', attempt: 1, errorCode: 'TASK_DOES_NOT_FIT' });
  });

  it('is cancelled, and can be retried', async () => {
    const many = { crossValidation: { folds: 20 }, permutationImportance: { repeats: 20 } };
    const evaluation = await start(many);
    await untilJob(api.app, { tenantId: tenant.id }, evaluation.job.id, (job) => job.progress !== null);
    await tenant.owner.mutate('cancelEvaluation', { evaluationId: evaluation.id }, 'evaluation { id }');
    const ended = await untilJob(api.app, { tenantId: tenant.id }, evaluation.job.id, isOver);
    expect(ended.state).toBe('CANCELLED');
    expect(await tenant.owner.refusal('cancelEvaluation', { evaluationId: evaluation.id })).toBe('CONFLICT');
    await tenant.owner.mutate('retryEvaluation', { evaluationId: evaluation.id }, 'evaluation { id }');
    await untilJob(api.app, { tenantId: tenant.id }, evaluation.job.id, isOver, 120_000);
    expect((await readJob(api.app, { tenantId: tenant.id }, evaluation.job.id)).state).toBe('SUCCEEDED');
    const { auditEntries } = await tenant.owner.query<{ auditEntries: { nodes: { kind: string }[] } }>(
      'query ($id: ID) { auditEntries(subjectId: $id) { nodes { kind } } }',
      { id: evaluation.id },
    );
    expect(auditEntries.nodes.map(({ kind }) => kind).reverse()).toEqual([
      'evaluation.started',
      'evaluation.cancelled',
      'evaluation.retried',
      'evaluation.finished',
    ]);
  });

  it('needs a version of the tenant that keeps its fitted model', async () => {
    for (const input of [{ modelVersionId: classifier }, { modelVersionId: 'mdv_0' }])
      expect(await stranger.owner.refusal('evaluate', input)).toBe('NOT_FOUND');
    const owner = new pg.Client(api.database.databaseUrl);
    await owner.connect();
    const set = (blob: string | null) =>
      owner.query(
        `alter table model_version disable trigger immutable, no force row level security;
         update model_version set fitted_blob_id = ${blob ? `'${blob}'` : 'null'} where id = '${weaker}';
         alter table model_version enable trigger immutable, force row level security`,
      );
    const { rows } = await owner.query<{ id: string }>(
      `select set_config('app.tenant_id', '${tenant.id}', false), fitted_blob_id as id from model_version where id = '${weaker}'`,
    );
    await set(null);
    expect(await tenant.owner.refusal('evaluate', { modelVersionId: weaker })).toBe('CONFLICT');
    await set(rows[0]?.id ?? null);
    await owner.end();
  });

  it('keeps its figures when the data are deleted, but nothing of single rows', async () => {
    const { id, sections } = await run({ shap: { rows: 5, examples: 2 } });
    expect(sections.shap.examples).toHaveLength(2);
    await tenant.owner.mutate('deleteDataset', { datasetId: data.datasetId }, 'dataset { id }');
    const answer = await tenant.owner.query<{ evaluation: { sections: Loose } }>(
      `query ($id: ID!) { evaluation(id: $id) { ${SECTIONS} } }`,
      { id },
    );
    expect(answer.evaluation.sections.shap).toMatchObject({ examples: null, rows: 5 });
    expect(answer.evaluation.sections.metrics).toEqual(sections.metrics);
    expect(await tenant.owner.refusal('evaluate', { modelVersionId: classifier })).toBe('NOT_FOUND');
  });
});

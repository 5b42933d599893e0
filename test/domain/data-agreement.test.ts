import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inTenant } from '../../src/platform/db.js';
import { PROCESSORS } from '../../workers/processors.js';
import { PASSWORD } from '../support/app.js';
import { makeData } from '../workers/data.js';
import { untilJob } from '../workers/support.js';
import { scopeOf } from './agreement-support.js';
import {
  agree,
  api,
  asked,
  closeWorld,
  codeOf,
  consumer,
  data,
  DAY_MS,
  ended,
  entriesOf,
  offer,
  openWorld,
  provider,
  start,
  stranger,
  terms,
  train,
  usesOf,
  withoutWorkers,
} from './data-agreement-support.js';

beforeAll(openWorld);
afterAll(closeWorld);

describe('an agreement about a dataset version', () => {
  it('lets the consumer train, and tells both the same of it', async () => {
    const agreementId = await agree({ delivery: { jobDeadlineMinutes: 60, creditBasisPoints: 0 } });
    const training = await start(agreementId);
    expect(training).toMatchObject({ agreementId, features: ['age', 'income', 'city'] });
    const { state, versionId } = await ended(training);
    expect(state).toBe('SUCCEEDED');
    const { modelVersion } = await consumer.owner.query<{ modelVersion: object }>(
      'query ($id: ID!) { modelVersion(id: $id) { agreementId datasetVersionId trainRows inputs { name } } }',
      { id: versionId },
    );
    expect(modelVersion).toEqual({
      agreementId,
      datasetVersionId: data.datasetVersionId,
      trainRows: expect.any(Number) as number,
      inputs: ['age', 'income', 'city'].map((name) => ({ name })),
    });
    const seen = await usesOf(provider, agreementId);
    expect(seen).toEqual(await usesOf(consumer, agreementId));
    expect(seen).toMatchObject([
      {
        trainingId: training.id,
        version: 1,
        purpose: 'ACADEMIC_RESEARCH',
        columns: ['bought', 'age', 'income', 'city'],
        outcome: 'SUCCEEDED',
        isOnTime: true,
        code: null,
      },
    ]);
    for (const who of [provider, consumer]) {
      const entries = await entriesOf(who, training.id);
      expect(entries.map(({ kind }) => kind)).toEqual(['data-use.ended', 'data-use.admitted']);
      expect(JSON.parse(entries[1]!.content)).toMatchObject({
        detail: { agreementId, agreementVersion: 1, purpose: 'ACADEMIC_RESEARCH', splitId: data.splitId },
      });
    }
    // The provider learns nothing of the model.
    const entries = JSON.stringify(await entriesOf(provider, training.id));
    for (const hidden of [versionId, 'Learned elsewhere', 'GRADIENT']) expect(entries).not.toContain(hidden);
    // And it answers like any model of the consumer's own.
    const { endpoint } = await consumer.owner.mutate<{ endpoint: { id: string } }>(
      'createEndpoint',
      { name: 'learned', modelVersionId: versionId },
      'endpoint { id }',
    );
    const { prediction } = await consumer.owner.mutate<{ prediction: { labels: string[] } }>(
      'predict',
      { endpointId: endpoint.id, columns: { age: [30], income: [2000], city: ['Lyon'] } },
      'prediction { labels }',
    );
    expect(prediction.labels).toHaveLength(1);
  });

  it('shows the consumer names and types of the agreed columns, and nothing else of the data', async () => {
    const agreementId = await agree();
    const question = `query ($id: ID!) { agreement(id: $id) { datasetVersionId endpointId endpoint { id } summary
      columns { name type } terms { disclosure { kind } training { splitId columns mayOffer offerUntil } } termStatus { term status } } }`;
    const { agreement } = await consumer.owner.query<{ agreement: Record<string, unknown> }>(question, {
      id: agreementId,
    });
    expect(agreement).toMatchObject({
      endpointId: null,
      endpoint: null,
      datasetVersionId: data.datasetVersionId,
      terms: { disclosure: null, training: { splitId: data.splitId, mayOffer: true, offerUntil: null } },
    });
    expect(agreement.columns).toEqual([
      { name: 'age', type: 'NUMBER' },
      { name: 'income', type: 'NUMBER' },
      { name: 'city', type: 'CATEGORY' },
      { name: 'bought', type: 'CATEGORY' },
    ]);
    expect(agreement.summary).toContain('without seeing a row');
    for (const [field, id] of [
      ['dataset', data.datasetId],
      ['datasetVersion', data.datasetVersionId],
      ['split', data.splitId],
      ['dataLicence', data.datasetVersionId],
    ] as const) {
      const arg = field === 'dataLicence' ? 'datasetVersionId' : 'id';
      const { errors } = await consumer.owner.send(`query ($id: ID!) { ${field}(${arg}: $id) { __typename } }`, { id });
      expect(errors[0]?.extensions.code, field).toBe('NOT_FOUND');
    }
    // No other work on the data: not the ordinary training, nor tuning, nor evaluation, nor a split.
    const { agreementId: _, purpose: __, ...own } = asked(agreementId);
    expect(await consumer.owner.refusal('startTraining', own)).toBe('NOT_FOUND');
    const { algorithm: ___, seed: ____, ...question2 } = own;
    const study = { ...question2, algorithms: ['LINEAR'], search: 'RANDOM', limits: { trials: 1 } };
    expect(await consumer.owner.refusal('startTuning', study)).toBe('NOT_FOUND');
    const split = { datasetVersionId: data.datasetVersionId, method: 'RANDOM' };
    expect(await consumer.owner.refusal('createSplit', split)).toBe('NOT_FOUND');
    const modelVersionId = await train(agreementId);
    expect(await consumer.owner.refusal('evaluate', { modelVersionId })).toBe('NOT_FOUND');
    // And whoever is no party sees nothing at all.
    expect(await codeOf(stranger.owner, asked(agreementId))).toBe('NOT_FOUND');
    expect(await codeOf(provider.owner, asked(agreementId))).toBe('NOT_FOUND');
  });

  it('refuses what it does not allow, for both to see', async () => {
    const agreementId = await agree();
    expect(await codeOf(consumer.owner, asked(agreementId, { purpose: 'MARKETING' }))).toBe('PURPOSE_NOT_ALLOWED');
    expect(await codeOf(consumer.owner, asked(agreementId, { features: ['age', 'spent'] }))).toBe('NO_AGREEMENT');
    expect(await codeOf(consumer.owner, asked(agreementId, { target: 'spent' }))).toBe('INVALID_INPUT');
    expect(await codeOf(consumer.owner, asked(agreementId, { weightColumn: 'same' }))).toBe('INVALID_INPUT');
    expect(await codeOf(consumer.owner, asked(agreementId, { splitId: `spl_${'0'.repeat(32)}` }))).toBe('NO_AGREEMENT');
    for (const who of [provider, consumer])
      expect((await entriesOf(who, agreementId)).map(({ kind }) => kind)).toEqual(Array(3).fill('data-use.refused'));
    const application = await consumer.application();
    const named = await agree({ applications: [application.id] });
    expect(await codeOf(consumer.owner, asked(named))).toBe('APPLICATION_NOT_ALLOWED');
    const elsewhere = await agree({ regions: ['mars'] });
    expect(await ended(await start(elsewhere))).toMatchObject({ state: 'FAILED', code: 'REGION_NOT_ALLOWED' });
    expect((await usesOf(provider, elsewhere))[0]).toMatchObject({ outcome: 'FAILED', code: 'REGION_NOT_ALLOWED' });
    await provider.owner.mutate('suspendAgreement', { agreementId }, 'agreement { state }');
    expect(await codeOf(consumer.owner, asked(agreementId))).toBe('AGREEMENT_NOT_IN_FORCE');
    // Whichever columns it asks for in an amendment, the consumer does not learn which there are; the provider is told.
    const amendment = { agreementId, terms: terms({ training: { columns: ['age', 'nowhere'] } }) };
    expect(await provider.owner.refusal('amendAgreement', amendment)).toBe('INVALID_INPUT');
    await consumer.owner.mutate('amendAgreement', amendment, 'agreement { state }');
    const signature = { agreementId, version: 2, password: PASSWORD };
    expect(await provider.owner.refusal('signAgreement', signature)).toBe('INVALID_INPUT');
    await provider.owner.mutate('terminateAgreement', { agreementId }, 'agreement { state }');
    const { agreement } = await consumer.owner.query<{ agreement: object }>(
      'query ($id: ID!) { agreement(id: $id) { columns { name } } }',
      { id: agreementId },
    );
    expect(agreement).toEqual({ columns: null });
  });

  it('takes no terms that speak of answers, and an endpoint none that speak of learning', async () => {
    for (const change of [
      { disclosure: { kind: 'LABEL_ONLY' } },
      { rowsPerDay: 5 },
      { concurrentRequests: 1 },
      { devices: { proof: 'OPTIONAL' } },
      { price: { currency: 'EUR', minorUnitsPerThousandRows: 5 } },
      { delivery: { p95LatencyMs: 5, creditBasisPoints: 0 } },
      { delivery: { jobDeadlineMinutes: 5, creditBasisPoints: 5 } },
      { training: { columns: ['age', 'nowhere'] } },
    ])
      expect(await provider.owner.refusal('offerAgreement', offer(change)), JSON.stringify(change)).toBe(
        'INVALID_INPUT',
      );
    expect(await provider.owner.refusal('offerAgreement', { ...offer(), endpointId: `end_${'0'.repeat(32)}` })).toBe(
      'INVALID_INPUT',
    );
    const other = await makeData(api.app, { tenantId: provider.id }, 50);
    expect(await provider.owner.refusal('offerAgreement', offer({ training: { splitId: other.splitId } }))).toBe(
      'NOT_FOUND',
    );
    expect(await consumer.owner.refusal('offerAgreement', { ...offer(), consumerTenantId: stranger.id })).toBe(
      'NOT_FOUND',
    );
    const foreign = await makeData(api.app, { tenantId: stranger.id }, 50);
    expect(await provider.owner.refusal('offerAgreement', offer({ training: { splitId: foreign.splitId } }))).toBe(
      'NOT_FOUND',
    );
  });

  it('goes out and comes in as a policy', async () => {
    const agreementId = await agree({ training: { offerUntil: new Date(Date.now() + 9 * DAY_MS).toISOString() } });
    const read = async (id: string) =>
      (
        await provider.owner.query<{ agreement: { odrl: string; document: string } }>(
          'query ($id: ID!) { agreement(id: $id) { odrl document } }',
          { id },
        )
      ).agreement;
    const { odrl, document } = await read(agreementId);
    expect(JSON.parse(odrl)).toMatchObject({ permission: [{ action: 'cc:train' }] });
    const { agreement } = await provider.owner.mutate<{ agreement: { id: string } }>(
      'importAgreement',
      { document: odrl },
      'agreement { id }',
    );
    const again = JSON.parse((await read(agreement.id)).document) as Record<string, unknown>;
    expect(again).toEqual({ ...(JSON.parse(document) as object), agreementId: agreement.id });
    expect(again).toMatchObject({ format: 'concordat-agreement/3', datasetVersionId: data.datasetVersionId });
    const mixed = odrl.replaceAll('cc:train', 'cc:predict');
    expect(await provider.owner.refusal('importAgreement', { document: mixed })).toBe('INVALID_INPUT');
  });
});

describe('a training on data of another tenant', () => {
  it('stops when the agreement does: while it waits, while it runs, and at its end', async () => {
    const slow = { algorithm: { gradientBoosting: { nEstimators: 10_000, earlyStoppingRounds: 0 } } };
    const agreementId = await agree({ delivery: { jobDeadlineMinutes: 60, creditBasisPoints: 0 } });
    const training = await start(agreementId, slow);
    await untilJob(
      api.app,
      { tenantId: consumer.id },
      training.job.id,
      ({ progress }) => progress?.phase === 'training',
      60_000,
    );
    await provider.owner.mutate('suspendAgreement', { agreementId }, 'agreement { state }');
    expect(await ended(training)).toEqual({ state: 'FAILED', code: 'AGREEMENT_NOT_IN_FORCE', versionId: null });
    // Tried again, it does not begin.
    await consumer.owner.mutate('retryTraining', { trainingId: training.id }, 'training { id }');
    expect(await ended(training)).toMatchObject({ state: 'FAILED', code: 'AGREEMENT_NOT_IN_FORCE' });
    expect(await usesOf(provider, agreementId)).toMatchObject([{ outcome: 'FAILED', code: 'AGREEMENT_NOT_IN_FORCE' }]);
  });

  it('registers nothing if the agreement ended meanwhile, whatever the child has done', async () => {
    const agreementId = await agree();
    await withoutWorkers(async () => {
      const training = await start(agreementId);
      const { claimJob, succeedJob } = await import('../../src/platform/jobs.js');
      const scope = scopeOf(consumer.id);
      const job = await inTenant(api.app.db, scope, (tx) =>
        claimJob(tx, { jobId: training.job.id, tenantId: consumer.id }),
      );
      const { signal } = new AbortController();
      const finish = await PROCESSORS.train(api.app, job!, { scope, signal, progress: () => Promise.resolve() });
      await provider.owner.mutate('terminateAgreement', { agreementId }, 'agreement { state }');
      await expect(
        inTenant(api.app.db, scope, async (tx) => {
          expect(await succeedJob(tx, job!)).toBe(true);
          await finish(tx, scope);
        }),
      ).rejects.toMatchObject({ code: 'AGREEMENT_NOT_IN_FORCE' });
      expect((await usesOf(provider, agreementId))[0]).toMatchObject({ outcome: null });
      await consumer.owner.mutate('cancelTraining', { trainingId: training.id }, 'training { id }');
    });
  });

  it('is cancelled by the consumer, for both to see', async () => {
    const agreementId = await agree();
    const training = await withoutWorkers(async () => {
      const waiting = await start(agreementId);
      await consumer.owner.mutate('cancelTraining', { trainingId: waiting.id }, 'training { id }');
      return waiting;
    });
    expect(await usesOf(provider, agreementId)).toMatchObject([{ outcome: 'CANCELLED', isOnTime: null }]);
    expect((await entriesOf(provider, training.id))[0]!.kind).toBe('data-use.ended');
  });

  it('that ends too late is seen to', async () => {
    const agreementId = await agree({ delivery: { jobDeadlineMinutes: 1, creditBasisPoints: 0 } });
    const training = await withoutWorkers(async () => {
      const waiting = await start(agreementId);
      api.clock.forward(120_000);
      return waiting;
    });
    expect((await ended(training)).state).toBe('SUCCEEDED');
    expect(await usesOf(consumer, agreementId)).toMatchObject([{ outcome: 'SUCCEEDED', isOnTime: false }]);
  });

  it('cannot be put in by a service that forgot the agreement', async () => {
    const agreementId = await agree();
    const training = await start(agreementId);
    await ended(training);
    const copy = (change: string) =>
      inTenant(api.app.db, { tenantId: consumer.id }, (tx) =>
        tx.query(
          `insert into training (id, tenant_id, model_id, dataset_version_id, split_id, target, features, task, algorithm, parameters, options, seed, job_id, created_at, provider_tenant_id, agreement_id)
           select 'trn_${'9'.repeat(32)}', tenant_id, model_id, dataset_version_id, split_id, target, features, task, algorithm, parameters, options, seed, job_id, created_at, ${change}
             from training where tenant_id = $1 and id = $2`,
          [consumer.id, training.id],
        ),
      );
    await expect(copy('null, null')).rejects.toThrow(/foreign key/);
    await expect(copy('provider_tenant_id, agreement_id')).rejects.toThrow('under an agreement');
  });
});

it('the app’s role reads no row of another tenant’s data, agreement or not', async () => {
  await agree();
  for (const table of ['dataset_version', 'dataset', 'split', 'blob', 'tenant_key', 'data_licence']) {
    const rows = await inTenant(api.app.db, { tenantId: consumer.id }, (tx) =>
      tx.query<unknown[]>(`select 1 from ${table} where tenant_id = $1 and $2::text is not null`, [
        provider.id,
        consumer.id,
      ]),
    );
    expect(rows, table).toEqual([]);
  }
});

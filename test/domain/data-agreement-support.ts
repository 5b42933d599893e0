import { expect } from 'vitest';
import { startWorkers, type Workers } from '../../workers/main.js';
import { ENDINGS, PROCESSORS } from '../../workers/processors.js';
import { PASSWORD, startTestApi, type TestApi, type TestTenant } from '../support/app.js';
import type { Client } from '../support/client.js';
import { type Data, makeData } from '../workers/data.js';
import { isOver, untilJob } from '../workers/support.js';

export const DAY_MS = 86_400_000;
export let api: TestApi;
let workers: Workers;
export let provider: TestTenant;
export let consumer: TestTenant;
export let stranger: TestTenant;
export let data: Data;

/** Three tenants, data of the first one, and workers. */
export async function openWorld(): Promise<void> {
  api = await startTestApi();
  workers = startWorkers(api.app, PROCESSORS, ENDINGS);
  provider = await api.tenant('Hospital');
  consumer = await api.tenant('Institute');
  stranger = await api.tenant('Stranger');
  data = await makeData(api.app, { tenantId: provider.id }, 300);
}
export const closeWorld = async (): Promise<void> => workers?.close();

/** Without workers, while `act` runs. */
export async function withoutWorkers<T>(act: () => Promise<T>): Promise<T> {
  await workers.close();
  try {
    return await act();
  } finally {
    workers = startWorkers(api.app, PROCESSORS, ENDINGS);
  }
}

export const terms = (change: Record<string, unknown> = {}) => {
  const { training, ...rest } = change;
  return {
    purposes: ['RESEARCH'],
    period: { from: new Date(Date.now() - 60_000).toISOString(), until: new Date(Date.now() + DAY_MS).toISOString() },
    ...rest,
    training: {
      splitId: data.splitId,
      columns: ['age', 'income', 'city', 'bought'],
      mayOffer: true,
      ...(training as object),
    },
  };
};
export const offer = (change: Record<string, unknown> = {}, of = data) => ({
  datasetVersionId: of.datasetVersionId,
  consumerTenantId: consumer.id,
  terms: terms({ ...change, training: { splitId: of.splitId, ...(change.training as object) } }),
});
export const agree = async (change: Record<string, unknown> = {}, of = data): Promise<string> => {
  const { agreement } = await provider.owner.mutate<{ agreement: { id: string } }>(
    'offerAgreement',
    offer(change, of),
    'agreement { id }',
  );
  for (const who of [provider, consumer])
    await who.owner.mutate('signAgreement', { agreementId: agreement.id, password: PASSWORD }, 'agreement { state }');
  return agreement.id;
};
export const asked = (agreementId: string, change: object = {}, of = data) => ({
  agreementId,
  purpose: 'ACADEMIC_RESEARCH',
  datasetVersionId: of.datasetVersionId,
  splitId: of.splitId,
  target: 'bought',
  algorithm: { gradientBoosting: { nEstimators: 5, earlyStoppingRounds: 0 } },
  modelName: 'Learned elsewhere',
  seed: 7,
  ...change,
});
export const start = async (agreementId: string, change: object = {}, of = data) =>
  (
    await consumer.owner.mutate<{ training: { id: string; job: { id: string } } }>(
      'startAgreedTraining',
      asked(agreementId, change, of),
      'training { id features agreementId job { id } }',
    )
  ).training;
export const ended = async (training: { id: string; job: { id: string } }) => {
  const job = await untilJob(api.app, { tenantId: consumer.id }, training.job.id, isOver, 100_000);
  const { training: done } = await consumer.owner.query<{ training: { modelVersion: { id: string } | null } }>(
    'query ($id: ID!) { training(id: $id) { modelVersion { id } } }',
    { id: training.id },
  );
  return { state: job.state, code: job.errorCode, versionId: done.modelVersion?.id ?? null };
};
export const train = async (agreementId: string, change: object = {}, of = data) => {
  const outcome = await ended(await start(agreementId, change, of));
  expect(outcome.state, outcome.code ?? '').toBe('SUCCEEDED');
  return outcome.versionId!;
};
export const usesOf = async (who: TestTenant, agreementId: string) =>
  (
    await who.owner.query<{ agreement: { trainings: { nodes: Record<string, unknown>[] } } }>(
      `query ($id: ID!) { agreement(id: $id) { trainings { nodes {
         trainingId version purpose columns askedAt deadlineAt endedAt outcome code isOnTime } } } }`,
      { id: agreementId },
    )
  ).agreement.trainings.nodes;
export const entriesOf = async (who: TestTenant, subjectId: string) =>
  (
    await who.owner.query<{ auditEntries: { nodes: { kind: string; content: string }[] } }>(
      'query ($id: ID!) { auditEntries(subjectId: $id, first: 100) { nodes { kind content } } }',
      { id: subjectId },
    )
  ).auditEntries.nodes.filter(({ kind }) => kind.startsWith('data-use.'));
export const codeOf = (who: Client, input: object) =>
  who.refusal('startAgreedTraining', input as Record<string, unknown>);

import type { FittedModel } from '../../src/ml/core/model.js';
import { forgetLineage } from '../domain/agreement-support.js';
import { classifier, registerModel, regressor } from '../domain/serving-support.js';
import { PASSWORD, startTestApi, type TestApi, type TestTenant } from '../support/app.js';
import type { Client } from '../support/client.js';
import { oipClient, type OipClient, type OipTensor } from './open-inference-support.js';

export const NAME = 'Kredit & Bonität 1/2';
export const X: OipTensor = { name: 'x', datatype: 'FP64', shape: [2, 1], data: [-1.2345, 0.5] };
export const CITY: OipTensor = { name: 'city', datatype: 'BYTES', shape: [2], data: ['Paris', 'Lyon'] };
export const CREDIT = { parameters: { purpose: 'CREDIT' } };

/** A provider with two endpoints, a consumer with an application; nothing agreed. */
export interface OipWorld {
  readonly api: TestApi;
  readonly provider: TestTenant;
  readonly consumer: TestTenant;
  /** A classifier called NAME, of the columns x and city. */
  readonly credit: string;
  readonly version: string;
  /** `wide` called price. */
  readonly price: string;
  /** The provider's application. */
  readonly owner: OipClient;
  /** The consumer's. */
  readonly caller: OipClient;
  readonly callerGraphQL: Client;
  readonly callerApplicationId: string;
  createEndpoint(name: string, fitted: FittedModel): Promise<string>;
  agree(endpointId: string, change?: Record<string, unknown>): Promise<string>;
}

/** value = 10 a + 100 b + 1000 flag. */
export function wide(): FittedModel {
  const number = { kind: 'number', impute: 0, mean: 0, scale: 1 } as const;
  return {
    ...regressor(),
    model: {
      family: 'linear',
      features: ['a', 'b', 'flag'].map((column) => ({ ...number, column })),
      weights: Float32Array.of(10, 100, 1000),
      intercept: Float32Array.of(0),
      link: 'identity',
    },
    inputs: [
      { name: 'a', kind: 'number', categories: null },
      { name: 'b', kind: 'number', categories: null },
      { name: 'flag', kind: 'boolean', categories: null },
    ],
  };
}

export async function makeOipWorld(settings: Parameters<typeof startTestApi>[0] = {}): Promise<OipWorld> {
  const api = await startTestApi(settings);
  await forgetLineage(api.database.databaseUrl);
  const provider = await api.tenant('Provider');
  const consumer = await api.tenant('Consumer');
  const createEndpoint = async (name: string, fitted: FittedModel): Promise<string> => {
    const modelVersionId = await registerModel(api.app, provider.id, fitted);
    const made = await provider.owner.mutate<{ endpoint: { id: string; modelVersionId: string } }>(
      'createEndpoint',
      { name, modelVersionId },
      'endpoint { id modelVersionId }',
    );
    return made.endpoint.id;
  };

  const agree = async (endpointId: string, change: Record<string, unknown> = {}): Promise<string> => {
    const now = Date.now();
    const offered = await provider.owner.mutate<{ agreement: { id: string } }>(
      'offerAgreement',
      {
        endpointId,
        consumerTenantId: consumer.id,
        terms: {
          purposes: ['CREDIT'],
          period: { from: new Date(now - 60_000).toISOString(), until: new Date(now + 86_400_000).toISOString() },
          rowsPerDay: 1000,
          rowsInTotal: 5000,
          disclosure: { kind: 'SCORES', digits: 2 },
          ...change,
        },
      },
      'agreement { id }',
    );
    const input = { agreementId: offered.agreement.id, password: PASSWORD };
    await provider.owner.mutate('signAgreement', input, 'agreement { state }');
    await consumer.owner.mutate('signAgreement', input, 'agreement { state }');
    return input.agreementId;
  };

  const credit = await createEndpoint(NAME, classifier());
  const price = await createEndpoint('price', wide());
  const owner = oipClient(api.url, (await provider.application()).key);
  const application = await consumer.application();
  const { versions } = (await owner.get(`/v2/models/${credit}`)).body as unknown as { versions: string[] };
  return {
    api,
    provider,
    consumer,
    credit,
    version: versions[0]!,
    price,
    owner,
    caller: oipClient(api.url, application.key),
    callerGraphQL: application.client,
    callerApplicationId: application.id,
    createEndpoint,
    agree,
  };
}

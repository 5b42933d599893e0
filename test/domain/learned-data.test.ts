import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeData } from '../workers/data.js';
import {
  agree,
  api,
  asked,
  closeWorld,
  codeOf,
  consumer,
  DAY_MS,
  ended,
  offer,
  openWorld,
  provider,
  stranger,
  train,
} from './data-agreement-support.js';

beforeAll(openWorld);
afterAll(closeWorld);

describe('what was learned', () => {
  const endpointOf = async (modelVersionId: string, name: string) =>
    (
      await consumer.owner.mutate<{ endpoint: { id: string } }>(
        'createEndpoint',
        { name, modelVersionId },
        'endpoint { id }',
      )
    ).endpoint.id;
  const resale = (endpointId: string, change: object = {}) => ({
    endpointId,
    consumerTenantId: stranger.id,
    terms: {
      purposes: ['EVALUATION'],
      period: { from: new Date().toISOString(), until: new Date(api.clock.now().getTime() + DAY_MS).toISOString() },
      disclosure: { kind: 'LABEL_ONLY' },
      ...change,
    },
  });
  const refused = async (input: object) => {
    const { result } = await consumer.owner.query<{
      result: { code: string; message: string; brokenLimit: { limit: string; path: { kind: string; id: string }[] } };
    }>(
      `mutation ($input: OfferAgreementInput!) { result: offerAgreement(input: $input) {
         ... on AgreementRefusal { code message brokenLimit { limit path { kind id } } } } }`,
      { input },
    );
    expect(result.code).toBe('LICENCE_BROKEN');
    return { ...result.brokenLimit, message: result.message };
  };

  it('carries the limits of the data across tenants, also over a training that went on from it', async () => {
    const fresh = await makeData(api.app, { tenantId: provider.id }, 300);
    const agreementId = await agree({}, fresh);
    const first = await train(agreementId, {}, fresh);
    const own = await makeData(api.app, { tenantId: consumer.id }, 300);
    const { agreementId: _, purpose: __, ...question } = asked(agreementId, {}, own);
    const { training } = await consumer.owner.mutate<{ training: { id: string; job: { id: string } } }>(
      'startTraining',
      { ...question, features: ['age', 'income', 'city'], warmStartFrom: first },
      'training { id job { id } }',
    );
    const next = (await ended(training)).versionId!;
    const endpointId = await endpointOf(next, 'goes-on');
    const path = [
      { kind: 'DATASET_VERSION', id: fresh.datasetVersionId },
      { kind: 'AGREEMENT', id: agreementId },
      { kind: 'MODEL_VERSION', id: first },
      { kind: 'MODEL_VERSION', id: next },
      { kind: 'ENDPOINT', id: endpointId },
    ];
    // What was agreed.
    expect(await refused(resale(endpointId, { purposes: ['CREDIT'] }))).toMatchObject({ limit: 'PURPOSES', path });
    await consumer.owner.mutate('offerAgreement', resale(endpointId), 'agreement { id }');
    // What the provider declares later for all that comes into force from then on: which limit, and no more.
    await provider.owner.mutate(
      'declareDataLicence',
      { datasetVersionId: fresh.datasetVersionId, mayBeOffered: true, regions: ['moon'] },
      'licence { regions }',
    );
    const answer = await refused(resale(endpointId));
    expect(answer).toMatchObject({ limit: 'REGIONS', path });
    expect(answer.message).not.toMatch(/moon|Hospital/);
    const { licenceConflicts } = await consumer.owner.query<{ licenceConflicts: { nodes: { limit: string }[] } }>(
      '{ licenceConflicts { nodes { limit sentence path { id } } } }',
    );
    expect(licenceConflicts.nodes).toMatchObject([{ limit: 'REGIONS' }]);
    expect(JSON.stringify(licenceConflicts)).not.toContain('moon');
    // The provider sees its own agreement as a conflict, too.
    const { licenceConflicts: theirs } = await provider.owner.query<{
      licenceConflicts: { nodes: { agreementId: string; path: object[] }[] };
    }>('{ licenceConflicts { nodes { agreementId limit path { kind id } } } }');
    expect(theirs.nodes).toMatchObject([
      { agreementId, path: [{ kind: 'DATASET_VERSION', id: fresh.datasetVersionId }] },
    ]);
    expect(await provider.owner.refusal('offerAgreement', offer({}, fresh))).toBe('LICENCE_BROKEN');
  });

  it('is offered to nobody, or only so long, if that was agreed', async () => {
    const kept = await endpointOf(await train(await agree({ training: { mayOffer: false } })), 'kept');
    expect((await refused(resale(kept))).limit).toBe('OFFER');
    const until = new Date(Date.now() + DAY_MS / 2).toISOString();
    const short = await endpointOf(await train(await agree({ training: { offerUntil: until } })), 'short');
    expect((await refused(resale(short))).limit).toBe('UNTIL');
  });

  it('is marked when the data are deleted, and nothing more is learned from them', async () => {
    const gone = await makeData(api.app, { tenantId: provider.id }, 300);
    const agreementId = await agree({}, gone);
    const versionId = await train(agreementId, {}, gone);
    await provider.owner.mutate('deleteDataset', { datasetId: gone.datasetId }, 'dataset { id }');
    const { modelVersion } = await consumer.owner.query<{ modelVersion: object }>(
      'query ($id: ID!) { modelVersion(id: $id) { derivedFromDeletedData } }',
      { id: versionId },
    );
    expect(modelVersion).toEqual({ derivedFromDeletedData: true });
    expect(await codeOf(consumer.owner, asked(agreementId, {}, gone))).toBe('NOT_FOUND');
    const { agreement } = await consumer.owner.query<{ agreement: object }>(
      'query ($id: ID!) { agreement(id: $id) { columns { name } } }',
      { id: agreementId },
    );
    expect(agreement).toEqual({ columns: null });
    // An agreement about data ends and is settled like every other.
    await consumer.owner.mutate('terminateAgreement', { agreementId }, 'agreement { state }');
    const settled = await consumer.owner.mutate<{ agreement: { state: string } }>(
      'settleAgreement',
      { agreementId },
      'agreement { state settlement { document } }',
    );
    expect(settled.agreement.state).toBe('SETTLED');
    const { errors } = await consumer.owner.send('query ($id: ID!) { usage(agreementId: $id) { rows } }', {
      id: agreementId,
    });
    expect(errors[0]?.extensions.code).toBe('CONFLICT');
  });
});

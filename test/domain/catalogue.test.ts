import { beforeAll, describe, expect, it } from 'vitest';
import { PASSWORD, startTestApi, type TestApi, type TestTenant } from '../support/app.js';
import { forgetLineage } from './agreement-support.js';
import { classifier, registerModel } from './serving-support.js';

let api: TestApi;
let provider: TestTenant;
let friend: TestTenant;
let other: TestTenant;
let endpointId: string;

beforeAll(async () => {
  api = await startTestApi();
  await forgetLineage(api.database.databaseUrl);
  provider = await api.tenant('Grain Ltd');
  friend = await api.tenant('Mill Ltd');
  other = await api.tenant('Bread Ltd');
  endpointId = await makeEndpoint('loans');
});

async function makeEndpoint(name: string): Promise<string> {
  const modelVersionId = await registerModel(api.app, provider.id, classifier());
  const { endpoint } = await provider.owner.mutate<{ endpoint: { id: string } }>(
    'createEndpoint',
    { name, modelVersionId },
    'endpoint { id }',
  );
  return endpoint.id;
}

const TERMS = {
  purposes: ['CREDIT'],
  period: { from: new Date().toISOString(), until: new Date(Date.now() + 86_400_000).toISOString() },
  disclosure: { kind: 'LABEL_ONLY' },
  rowsPerDay: 100,
};
const ALL = `id tenantId providerName state name description endpointId audience tenantIds
  schema { task classes columns { name kind } } terms { purposes rowsPerDay }`;

interface Shown {
  id: string;
  state: string;
  name: string;
  providerName: string;
  endpointId: string | null;
}
const create = async (content: object = {}) =>
  (
    await provider.owner.mutate<{ listing: Shown }>(
      'createListing',
      { endpointId, showsSchema: true, ...content },
      `listing { ${ALL} }`,
    )
  ).listing;
const change = async (listingId: string, content: object = {}) =>
  (
    await provider.owner.mutate<{ listing: Shown }>(
      'changeListing',
      { listingId, showsSchema: true, ...content },
      `listing { ${ALL} }`,
    )
  ).listing;
const catalogue = async (who: TestTenant) =>
  (await who.owner.query<{ catalogue: { nodes: Shown[] } }>(`{ catalogue { nodes { ${ALL} } } }`)).catalogue.nodes;
const sees = async (who: TestTenant, id: string) => {
  const listed = (await catalogue(who)).some((one) => one.id === id);
  const { data, errors } = await who.owner.send<{ listing: object | null }>(
    'query ($id: ID!) { listing(id: $id) { id } }',
    { id },
  );
  const found = (data?.listing ?? null) !== null;
  if (!found) expect(errors[0]?.extensions.code).toBe('NOT_FOUND');
  expect(listed, 'the list and the single thing agree').toBe(found);
  return found;
};
const request = async (who: TestTenant, listingId: string, more: object = {}) =>
  (
    await who.owner.mutate<{ offerRequest: { id: string } }>(
      'requestOffer',
      { listingId, ...more },
      'offerRequest { id }',
    )
  ).offerRequest.id;

describe('the catalogue', () => {
  it('shows what the provider made visible, and nothing else of it', async () => {
    const made = await create({ description: 'Who pays back.', terms: TERMS, tenantIds: [friend.id] });
    expect(made).toMatchObject({ endpointId, audience: 'NAMED', tenantIds: [friend.id], name: 'loans' });
    const [seen] = await catalogue(friend);
    expect(seen).toEqual({
      id: made.id,
      tenantId: provider.id,
      providerName: 'Grain Ltd',
      state: 'LISTED',
      name: 'loans',
      description: 'Who pays back.',
      endpointId: null,
      audience: null,
      tenantIds: null,
      schema: {
        task: 'binary',
        classes: ['no', 'yes'],
        columns: [
          { name: 'x', kind: 'number' },
          { name: 'city', kind: 'category' },
        ],
      },
      terms: { purposes: ['CREDIT'], rowsPerDay: 100 },
    });
    expect(await catalogue(other)).toEqual([]);
    expect(await sees(other, made.id)).toBe(false);
    expect(await catalogue(provider)).toEqual([]);
    const bare = await create({ showsSchema: false, name: 'A secret recipe', tenantIds: [other.id] });
    expect((await catalogue(other))[0]).toMatchObject({ id: bare.id, schema: null, terms: null, description: null });
    // Seen is not offered: the endpoint itself is unknown to those who see a listing of it.
    const { data } = await friend.owner.send<{ endpoint: object | null }>(
      'query ($id: ID!) { endpoint(id: $id) { id } }',
      { id: endpointId },
    );
    expect(data?.endpoint ?? null).toBeNull();
    expect(
      await friend.owner.refusal('predict', { endpointId, columns: { x: [1], city: ['Lyon'] }, purpose: 'CREDIT' }),
    ).toBe('NOT_FOUND');
  });

  it('follows every change of who may see', async () => {
    const { id } = await create({ tenantIds: [friend.id] });
    await change(id, { tenantIds: [other.id] });
    expect([await sees(friend, id), await sees(other, id)]).toEqual([false, true]);
    expect(await change(id)).toMatchObject({ audience: 'ALL', tenantIds: null });
    expect([await sees(friend, id), await sees(other, id)]).toEqual([true, true]);
    await provider.owner.mutate('withdrawListing', { listingId: id }, 'listing { state }');
    expect([await sees(friend, id), await sees(other, id)]).toEqual([false, false]);
    expect(await friend.owner.refusal('requestOffer', { listingId: id })).toBe('NOT_FOUND');
    await change(id, { tenantIds: [friend.id] });
    expect([await sees(friend, id), await sees(other, id)]).toEqual([true, false]);
    const { listings } = await provider.owner.query<{ listings: { nodes: { id: string }[] } }>(
      '{ listings(first: 1) { nodes { id } } }',
    );
    expect(listings.nodes[0]!.id).toBe(id);
  });

  it('takes out what is deleted', async () => {
    const gone = await makeEndpoint('gone');
    const { id } = await create({ endpointId: gone });
    expect(await sees(friend, id)).toBe(true);
    await provider.owner.mutate('deleteEndpoint', { endpointId: gone }, 'endpointId');
    expect(await sees(friend, id)).toBe(false);
    expect(await provider.owner.refusal('changeListing', { listingId: id, showsSchema: true })).toBe('NOT_FOUND');
  });

  it('takes only what could be offered, from those who may', async () => {
    const refusal = (content: object) =>
      provider.owner.refusal('createListing', { endpointId, showsSchema: true, ...content });
    expect(await refusal({ tenantIds: [] })).toBe('INVALID_INPUT');
    expect(await refusal({ tenantIds: [friend.id, friend.id] })).toBe('INVALID_INPUT');
    expect(await refusal({ tenantIds: [`ten_${'0'.repeat(32)}`] })).toBe('NOT_FOUND');
    expect(await refusal({ name: 'two\nlines' })).toBe('INVALID_INPUT');
    const noisy = { kind: 'NOISY', epsilonMilliPerRow: 1000, digits: 0, lower: 0, upper: 1, budgetMilli: 1000 };
    expect(await refusal({ terms: { ...TERMS, disclosure: noisy } })).toBe('INVALID_INPUT');
    const viewer = await provider.member('VIEWER');
    expect(await viewer.refusal('createListing', { endpointId, showsSchema: true })).toBe('FORBIDDEN');
  });
});

describe('a request for an offer', () => {
  it('becomes an offer on the terms that were asked for, of the listing, or of the provider', async () => {
    const { id: listingId } = await create({ terms: TERMS, tenantIds: [friend.id, other.id] });
    const answered = async (more: object, answer: object = {}) => {
      const offerRequestId = await request(friend, listingId, more);
      const { agreement } = await provider.owner.mutate<{ agreement: { id: string; terms: { rowsPerDay: number } } }>(
        'answerOfferRequest',
        { offerRequestId, ...answer },
        'agreement { id state consumerTenantId endpointId terms { rowsPerDay } }',
      );
      expect(agreement).toMatchObject({ state: 'OFFERED', consumerTenantId: friend.id, endpointId });
      const { offerRequest } = await friend.owner.query<{ offerRequest: object }>(
        'query ($id: ID!) { offerRequest(id: $id) { state agreementId } }',
        { id: offerRequestId },
      );
      expect(offerRequest).toEqual({ state: 'ANSWERED', agreementId: agreement.id });
      expect(await provider.owner.refusal('answerOfferRequest', { offerRequestId })).toBe('CONFLICT');
      return { id: agreement.id, rowsPerDay: agreement.terms.rowsPerDay };
    };
    expect((await answered({})).rowsPerDay).toBe(100);
    expect((await answered({ terms: { ...TERMS, rowsPerDay: 200 } })).rowsPerDay).toBe(200);
    const last = await answered({ terms: { ...TERMS, rowsPerDay: 200 } }, { terms: { ...TERMS, rowsPerDay: 150 } });
    expect(last.rowsPerDay).toBe(150);
    // And goes on like every offer.
    for (const who of [friend, provider])
      await who.owner.mutate('signAgreement', { agreementId: last.id, password: PASSWORD }, 'agreement { state }');
    const { prediction } = await friend.owner.mutate<{ prediction: { labels: string[] } }>(
      'predict',
      { endpointId, agreementId: last.id, columns: { x: [5], city: ['Lyon'] }, purpose: 'CREDIT' },
      'prediction { labels }',
    );
    expect(prediction.labels).toEqual(['yes']);
  });

  it('is declined, or taken back; one waits at a time', async () => {
    const { id: listingId } = await create({ tenantIds: [friend.id] });
    const first = await request(friend, listingId, { message: 'Please.\nWe bake.' });
    expect(await friend.owner.refusal('requestOffer', { listingId })).toBe('CONFLICT');
    const { offerRequests } = await provider.owner.query<{ offerRequests: { nodes: object[] } }>(
      '{ offerRequests(filter: { party: PROVIDER, state: OPEN }) { nodes { id consumerTenantId message terms { rowsPerDay } } } }',
    );
    expect(offerRequests.nodes).toEqual([
      { id: first, consumerTenantId: friend.id, message: 'Please.\nWe bake.', terms: null },
    ]);
    // Neither the request nor the listing has terms.
    expect(await provider.owner.refusal('answerOfferRequest', { offerRequestId: first })).toBe('INVALID_INPUT');
    expect(await friend.owner.refusal('answerOfferRequest', { offerRequestId: first, terms: TERMS })).toBe('CONFLICT');
    expect(await friend.owner.refusal('declineOfferRequest', { offerRequestId: first })).toBe('CONFLICT');
    expect(await provider.owner.refusal('withdrawOfferRequest', { offerRequestId: first })).toBe('CONFLICT');
    await provider.owner.mutate('declineOfferRequest', { offerRequestId: first }, 'offerRequest { state }');
    const second = await request(friend, listingId);
    await friend.owner.mutate('withdrawOfferRequest', { offerRequestId: second }, 'offerRequest { state }');
    expect(await provider.owner.refusal('answerOfferRequest', { offerRequestId: second, terms: TERMS })).toBe(
      'CONFLICT',
    );
    expect(await provider.owner.refusal('requestOffer', { listingId })).toBe('INVALID_INPUT');
    for (const who of [friend, provider]) {
      const { auditEntries } = await who.owner.query<{ auditEntries: { nodes: { kind: string }[] } }>(
        'query ($id: ID!) { auditEntries(subjectId: $id) { nodes { kind } } }',
        { id: first },
      );
      expect(auditEntries.nodes.map(({ kind }) => kind)).toEqual(['offer-request.declined', 'offer-request.made']);
    }
  });

  it('that loses a race leaves no offer behind', async () => {
    const { id: listingId } = await create({ terms: TERMS, tenantIds: [friend.id] });
    const offerRequestId = await request(friend, listingId);
    const count = async () =>
      (
        await provider.owner.query<{ agreements: { nodes: object[] } }>(
          'query ($f: AgreementFilterInput) { agreements(filter: $f, first: 100) { nodes { id } } }',
          { f: { endpointId } },
        )
      ).agreements.nodes.length;
    const before = await count();
    const answers = await Promise.allSettled(
      Array.from({ length: 5 }, () =>
        provider.owner.mutate('answerOfferRequest', { offerRequestId }, 'agreement { id }'),
      ),
    );
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await count()).toBe(before + 1);
  });
});

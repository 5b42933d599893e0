import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inTenant } from '../../src/platform/db.js';
import type { Scope } from '../../src/platform/scope.js';
import { canonicalDocument, parseTerms } from '../../src/domain/agreements/terms.js';
import { purposeAllowed } from '../../src/domain/agreements/purpose.js';
import { verifySignature } from '../../src/domain/agreements/signing.js';
import { codeOf, makeEndpoint, makeTenant, makeWorld, scopeOf, termsFor, type World } from './agreement-support.js';

let world: World;
let provider: Scope;
let consumer: Scope;
let stranger: Scope;
let endpointId: string;

beforeAll(async () => {
  world = await makeWorld();
  provider = await makeTenant(world.db, 'Provider');
  consumer = await makeTenant(world.db, 'Consumer');
  stranger = await makeTenant(world.db, 'Stranger');
  endpointId = await makeEndpoint(world.db, provider);
});
afterAll(() => world.close());

const offer = (terms = termsFor()) =>
  world.agreements.offer(provider, { endpointId, consumerTenantId: consumer.tenantId, terms });

describe('terms', () => {
  it('are canonical: the same terms in any order give the same bytes', () => {
    const terms = parseTerms({ ...termsFor(), purposes: ['HEALTH', 'CREDIT', 'HEALTH'] });
    const { disclosure, period, ...rest } = parseTerms({
      ...termsFor(),
      period: terms.period,
      purposes: ['CREDIT', 'HEALTH'],
    });
    const around = {
      format: 'concordat-agreement/1',
      agreementId: 'a',
      version: 1,
      providerTenantId: 'p',
      consumerTenantId: 'c',
      endpointId: 'e',
    } as const;
    expect(canonicalDocument({ terms, ...around }).digest).toEqual(
      canonicalDocument({ ...around, terms: { disclosure, period, ...rest } }).digest,
    );
  });

  it.each([
    ['an unknown term', { region: 'EU' }],
    ['an unknown part of a term', { disclosure: { kind: 'LABEL_ONLY', digits: 2 } }],
    ['an unknown purpose', { purposes: ['ANYTHING'] }],
    ['no purpose', { purposes: [] }],
    ['no quota where one is named', { rowsPerDay: 0 }],
    ['a missing quota', { rowsInTotal: undefined }],
    ['half a row', { rowsPerDay: 1.5 }],
    ['too many digits', { disclosure: { kind: 'SCORES', digits: 7 } }],
    [
      'a period that ends before it begins',
      { period: { from: '2031-01-01T00:00:00Z', until: '2030-01-01T00:00:00Z' } },
    ],
  ])('with %s are refused', async (_, change) => {
    expect(await codeOf(offer({ ...termsFor(), ...change } as never))).toBe('INVALID_INPUT');
  });

  it('allow a purpose below one that they name, not above it', () => {
    expect(purposeAllowed(['RESEARCH'], 'ACADEMIC_RESEARCH')).toBe(true);
    expect(purposeAllowed(['ACADEMIC_RESEARCH'], 'RESEARCH')).toBe(false);
    expect(purposeAllowed(['MARKETING'], 'CREDIT')).toBe(false);
  });

  it('that a regression cannot fulfil are refused', async () => {
    const id = await makeEndpoint(world.db, provider, 'regression');
    const terms = termsFor({ disclosure: { kind: 'LABEL_ONLY' } });
    expect(
      await codeOf(world.agreements.offer(provider, { endpointId: id, consumerTenantId: consumer.tenantId, terms })),
    ).toBe('INVALID_INPUT');
  });
});

describe('an agreement', () => {
  it('goes from offer to force by two signatures over the same bytes, and each party sees the same', async () => {
    const offered = await offer();
    expect(offered).toMatchObject({
      state: 'OFFERED',
      party: 'PROVIDER',
      providerName: 'Provider',
      consumerName: null,
    });
    expect(await world.agreements.get(consumer, offered.id)).toMatchObject({
      providerName: 'Provider',
      consumerName: 'Consumer',
    });
    await world.agreements.sign(consumer, offered.id);
    const active = await world.agreements.sign(provider, offered.id);
    expect(active).toMatchObject({
      state: 'ACTIVE',
      consumerName: 'Consumer',
      steps: ['amend', 'suspend', 'terminate'],
    });
    expect(active.document).toBe(offered.document);
    expect(active.signatures.map((s) => s.party).sort()).toEqual(['CONSUMER', 'PROVIDER']);
    for (const signature of active.signatures) {
      expect(signature.custody).toBe('CUSTODIAL');
      expect(verifySignature(active.document, signature)).toBe(true);
      expect(verifySignature(active.document + ' ', signature)).toBe(false);
    }
    expect(active.signatures[0]!.publicKey).not.toEqual(active.signatures[1]!.publicKey);
    const kinds = await inTenant(world.db, consumer, (tx) =>
      tx.query<{ kind: string }[]>(`select kind from audit_entry where subject_id = $1 order by log_index`, [
        active.id,
      ]),
    );
    expect(kinds.map((k) => k.kind)).toEqual([
      'agreement.offered',
      'agreement.signed',
      'agreement.signed',
      'agreement.activated',
    ]);
  });

  it('is suspended by either, and resumed only by whoever suspended it', async () => {
    const { id } = await offer();
    await world.agreements.sign(provider, id);
    await world.agreements.sign(consumer, id);
    expect(await world.agreements.suspend(provider, id)).toMatchObject({
      state: 'SUSPENDED',
      suspendedBy: ['PROVIDER'],
    });
    expect(await codeOf(world.agreements.resume(consumer, id))).toBe('ILLEGAL_STEP');
    await world.agreements.suspend(consumer, id);
    expect(await world.agreements.resume(provider, id)).toMatchObject({
      state: 'SUSPENDED',
      suspendedBy: ['CONSUMER'],
    });
    expect(await world.agreements.resume(consumer, id)).toMatchObject({ state: 'ACTIVE', suspendedBy: [] });
    expect(await world.agreements.terminate(consumer, id)).toMatchObject({ state: 'TERMINATED', steps: ['settle'] });
    expect(await codeOf(world.agreements.resume(provider, id))).toBe('ILLEGAL_STEP');
  });

  it('can be declined, and nothing follows', async () => {
    const { id } = await offer();
    expect(await world.agreements.withdraw(consumer, id)).toMatchObject({ state: 'WITHDRAWN' });
    for (const step of ['sign', 'withdraw', 'suspend', 'resume', 'terminate'] as const)
      expect(await codeOf(world.agreements[step](provider, id))).toBe('ILLEGAL_STEP');
  });

  it('says what would be legal', async () => {
    const { id } = await offer();
    await expect(world.agreements.terminate(provider, id)).rejects.toMatchObject({
      code: 'ILLEGAL_STEP',
      remedy: expect.stringContaining('sign, withdraw') as string,
    });
  });

  it('expires by the clock: steps are refused, the expiry is recorded once', async () => {
    const { id } = await offer();
    await world.agreements.sign(provider, id);
    world.clock.offsetMs = 2 * 86_400_000;
    try {
      expect(await world.agreements.get(consumer, id)).toMatchObject({ state: 'EXPIRED', steps: [] });
      expect(await codeOf(world.agreements.sign(consumer, id))).toBe('ILLEGAL_STEP');
      expect(await codeOf(world.agreements.sign(consumer, id))).toBe('ILLEGAL_STEP');
      expect(await world.agreements.recordExpired(scopeOf)).toBeGreaterThan(0);
      expect(await world.agreements.recordExpired(scopeOf)).toBe(0);
    } finally {
      world.clock.offsetMs = 0;
    }
    const entries = await inTenant(world.db, provider, (tx) =>
      tx.query<unknown[]>(`select 1 from audit_entry where subject_id = $1 and kind = 'agreement.expired'`, [id]),
    );
    expect(entries).toHaveLength(1);
  });

  it('takes one of many concurrent identical steps', async () => {
    const { id } = await offer();
    const signs = await Promise.all(
      [provider, consumer, provider, consumer, provider, consumer].map((s) => codeOf(world.agreements.sign(s, id))),
    );
    expect(signs.filter((code) => code === undefined)).toHaveLength(2);
    expect(signs.filter((code) => code === 'ILLEGAL_STEP')).toHaveLength(4);
    const ends = await Promise.all(
      [provider, consumer, provider].map((s) => codeOf(world.agreements.terminate(s, id))),
    );
    expect(ends.filter((code) => code === undefined)).toHaveLength(1);
  });

  it('is nothing to a stranger, and a stranger or a missing tenant cannot be told apart', async () => {
    const { id } = await offer();
    expect(await world.agreements.find(stranger, id)).toBeNull();
    for (const step of ['sign', 'withdraw', 'suspend', 'resume', 'terminate'] as const)
      expect(await codeOf(world.agreements[step](stranger, id))).toBe('NOT_FOUND');
    expect((await world.agreements.list(stranger, {}, {})).nodes).toEqual([]);
    const missing = `ten_${'0'.repeat(32)}`;
    const terms = termsFor();
    expect(await codeOf(world.agreements.offer(provider, { endpointId, consumerTenantId: missing, terms }))).toBe(
      'NOT_FOUND',
    );
    expect(
      await codeOf(world.agreements.offer(stranger, { endpointId, consumerTenantId: consumer.tenantId, terms })),
    ).toBe('NOT_FOUND');
  });

  it('is listed newest first, by part', async () => {
    const all = await world.agreements.list(provider, { party: 'PROVIDER', endpointId }, { first: 2 });
    expect(all.nodes).toHaveLength(2);
    expect(all.nodes[0]!.id > all.nodes[1]!.id).toBe(true);
    const next = await world.agreements.list(provider, {}, { first: 2, after: all.pageInfo.endCursor });
    expect(next.nodes[0]!.id < all.nodes[1]!.id).toBe(true);
    expect((await world.agreements.list(provider, { party: 'CONSUMER' }, {})).nodes).toEqual([]);
  });
});

describe('the database itself', () => {
  const attempt = (scope: Scope, text: string, values: unknown[]) =>
    codeOf(inTenant(world.db, scope, (tx) => tx.query(text, values)));

  it('holds terms, signatures and ends against a faulty service', async () => {
    const { id } = await offer();
    expect(await attempt(consumer, `update agreement set state = 'ACTIVE' where id = $1`, [id])).toBeDefined();
    expect(await attempt(provider, `update agreement set terms = '{}' where id = $1`, [id])).toBe('P0001');
    expect(await attempt(provider, `delete from agreement where id = $1`, [id])).toBe('42501');
    const forged = `insert into agreement_signature values ($1, 1, 'CONSUMER', 'Ed25519', 'CUSTODIAL', $2, $3, 'acc', now())`;
    expect(await attempt(provider, forged, [id, Buffer.alloc(32), Buffer.alloc(64)])).toBe('42501');
    expect(await attempt(stranger, forged, [id, Buffer.alloc(32), Buffer.alloc(64)])).toBe('42501');
    await world.agreements.withdraw(provider, id);
    expect(await attempt(provider, `update agreement set state = 'OFFERED' where id = $1`, [id])).toBeDefined();
    expect(await attempt(provider, `update agreement_meter set rows_total = 0 where agreement_id = $1`, [id])).toBe(
      '42501',
    );
  });
});

import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { decide } from '../../src/domain/serving/decide.js';
import type { Agreement } from '../../src/domain/agreements/view.js';
import { addMonths } from '../../src/domain/agreements/period.js';
import { amountOf } from '../../src/domain/agreements/settlement.js';
import { inTenant } from '../../src/platform/db.js';
import type { Scope } from '../../src/platform/scope.js';
import { codeOf, makeEndpoint, makeTenant, makeWorld, scopeOf, termsFor, type World } from './agreement-support.js';

let world: World;
let provider: Scope;
let consumer: Scope;
let stranger: Scope;
let endpointId: string;
const DAY = 86_400_000;

beforeAll(async () => {
  world = await makeWorld();
  provider = await makeTenant(world.db, 'Provider');
  consumer = await makeTenant(world.db, 'Consumer');
  stranger = await makeTenant(world.db, 'Stranger');
  endpointId = await makeEndpoint(world.db, provider);
});
afterAll(() => world.close());
afterEach(() => {
  world.clock.offsetMs = 0;
});

const offer = (change: Parameters<typeof termsFor>[0] = {}) =>
  world.agreements.offer(provider, { endpointId, consumerTenantId: consumer.tenantId, terms: termsFor(change) });
async function agreed(change: Parameters<typeof termsFor>[0] = {}): Promise<Agreement> {
  const { id } = await offer(change);
  await world.agreements.sign(provider, id);
  return world.agreements.sign(consumer, id);
}
const later = (days: number) => new Date(Date.now() + days * DAY).toISOString();
const lasting = (days: number) => ({ from: new Date(Date.now() - 60_000).toISOString(), until: later(days) });
const both = async (id: string, version: number) => {
  await world.agreements.sign(provider, { agreementId: id, version });
  return world.agreements.sign(consumer, { agreementId: id, version });
};
const sweep = () => world.agreements.recordExpired(scopeOf);
const meter = async (id: string) =>
  (
    await inTenant(world.db, consumer, (tx) =>
      tx.query<Record<string, unknown>[]>(`select * from agreement_meter where agreement_id = $1`, [id]),
    )
  )[0]!;
const kinds = (id: string) =>
  inTenant(world.db, provider, (tx) =>
    tx.query<{ kind: string }[]>(`select kind from audit_entry where subject_id = $1 order by log_index`, [id]),
  ).then((rows) => rows.map(({ kind }) => kind.replace('agreement.', '')));

describe('a counter-offer', () => {
  it('is a new version of the other party; signatures of the earlier one count for nothing', async () => {
    const { id, document } = await offer();
    await world.agreements.sign(provider, id);
    expect(await codeOf(world.agreements.counter(provider, id, termsFor()))).toBe('ILLEGAL_STEP');
    const countered = await world.agreements.counter(consumer, id, termsFor({ rowsPerDay: 2000 }));
    expect(countered).toMatchObject({ state: 'OFFERED', version: 2, signatures: [], terms: { rowsPerDay: 2000 } });
    expect(countered.document).not.toBe(document);
    expect(countered.versions.map(({ version, state, proposedBy }) => [version, state, proposedBy])).toEqual([
      [1, 'DROPPED', 'PROVIDER'],
      [2, 'PROPOSED', 'CONSUMER'],
    ]);
    // Nobody signs unseen what came meanwhile.
    expect(await codeOf(world.agreements.sign(consumer, id))).toBe('CONFLICT');
    expect(await codeOf(world.agreements.sign(consumer, { agreementId: id, version: 1 }))).toBe('CONFLICT');
    await world.agreements.sign(consumer, { agreementId: id, version: 2 });
    const back = await world.agreements.counter(provider, id, termsFor({ rowsPerDay: 1500 }));
    expect(back).toMatchObject({ version: 3, signatures: [] });
    const active = await both(id, 3);
    expect(active).toMatchObject({ state: 'ACTIVE', version: 3, terms: { rowsPerDay: 1500 } });
    expect(active.signatures).toHaveLength(2);
    expect((await meter(id)).rows_per_day).toBe(1500);
    expect(await kinds(id)).toEqual([
      'offered',
      'signed',
      'countered',
      'signed',
      'countered',
      'signed',
      'signed',
      'activated',
    ]);
  });

  it('must be terms that could be offered', async () => {
    const { id } = await offer();
    expect(
      await codeOf(world.agreements.counter(consumer, id, termsFor({ period: { from: later(-3), until: later(-2) } }))),
    ).toBe('INVALID_INPUT');
    expect(await codeOf(world.agreements.counter(consumer, id, { ...termsFor(), odd: 1 }))).toBe('INVALID_INPUT');
    expect(await codeOf(world.agreements.counter(stranger, id, termsFor()))).toBe('NOT_FOUND');
  });
});

describe('an amendment', () => {
  it('changes nothing until both have signed it, and then the terms, the meter and the period at once', async () => {
    const { id } = await agreed({ rowsPerDay: 10, rowsInTotal: 20 });
    const waiting = await world.agreements.amend(
      consumer,
      id,
      termsFor({ rowsPerDay: 50, rowsInTotal: 70, period: lasting(30) }),
    );
    expect(waiting).toMatchObject({ state: 'ACTIVE', version: 1, terms: { rowsPerDay: 10 }, proposal: { version: 2 } });
    expect(await meter(id)).toMatchObject({ rows_per_day: 10, rows_in_total: 20 });
    await world.agreements.sign(consumer, { agreementId: id, version: 2 });
    expect(await meter(id)).toMatchObject({ rows_per_day: 10, state: 'ACTIVE' });
    const amended = await world.agreements.sign(provider, { agreementId: id, version: 2 });
    expect(amended).toMatchObject({ state: 'ACTIVE', version: 2, terms: { rowsPerDay: 50 }, proposal: null });
    const row = await meter(id);
    expect(row).toMatchObject({ rows_per_day: 50, rows_in_total: 70, state: 'ACTIVE' });
    expect(row.valid_until).toEqual(amended.validUntil);
    expect(amended.versions.map(({ state }) => state)).toEqual(['AGREED', 'AGREED']);
  });

  it('can be rejected, taken back, and lapses; the old terms stay in force', async () => {
    const { id } = await agreed();
    for (const who of [provider, consumer]) {
      await world.agreements.amend(provider, id, termsFor({ rowsPerDay: 5 }));
      expect(await codeOf(world.agreements.amend(consumer, id, termsFor()))).toBe('ILLEGAL_STEP');
      expect(await world.agreements.reject(who, id)).toMatchObject({ state: 'ACTIVE', version: 1, proposal: null });
      expect(await codeOf(world.agreements.reject(who, id))).toBe('ILLEGAL_STEP');
    }
    await world.agreements.amend(provider, id, termsFor({ period: lasting(0.5) }));
    world.clock.offsetMs = 0.6 * DAY;
    expect(await world.agreements.get(consumer, id)).toMatchObject({ state: 'ACTIVE', proposal: null });
    expect(await codeOf(both(id, 4))).toBe('ILLEGAL_STEP');
    expect(await world.agreements.amend(provider, id, termsFor())).toMatchObject({ proposal: { version: 5 } });
  });

  it('of a suspended agreement leaves it suspended', async () => {
    const { id } = await agreed();
    await world.agreements.suspend(consumer, id);
    await world.agreements.amend(consumer, id, termsFor({ rowsPerDay: 7 }));
    expect(await both(id, 2)).toMatchObject({
      state: 'SUSPENDED',
      terms: { rowsPerDay: 7 },
      suspendedBy: ['CONSUMER'],
    });
    expect(await meter(id)).toMatchObject({ state: 'SUSPENDED', rows_per_day: 7 });
  });
});

describe('notice', () => {
  it('keeps it in force to its end, and then it is terminated and settled', async () => {
    const { id } = await agreed({ noticeDays: 10, period: lasting(100) });
    const given = await world.agreements.terminate(consumer, id);
    expect(given).toMatchObject({ state: 'TERMINATING', notice: { by: 'CONSUMER' }, steps: ['suspend'] });
    expect(given.validUntil).toEqual(given.notice!.until);
    expect(Math.round((given.validUntil.getTime() - Date.now()) / DAY)).toBe(10);
    expect(await meter(id)).toMatchObject({ state: 'ACTIVE', valid_until: given.validUntil });
    expect(await codeOf(world.agreements.amend(provider, id, termsFor()))).toBe('ILLEGAL_STEP');
    await world.agreements.suspend(provider, id);
    expect(await world.agreements.resume(provider, id)).toMatchObject({ state: 'TERMINATING' });
    world.clock.offsetMs = 10 * DAY + 1000;
    expect(await world.agreements.get(provider, id)).toMatchObject({ state: 'TERMINATED', steps: ['settle'] });
    expect(await codeOf(world.agreements.suspend(provider, id))).toBe('ILLEGAL_STEP');
    await sweep();
    expect(await world.agreements.get(provider, id)).toMatchObject({ state: 'SETTLED', steps: [] });
    expect((await kinds(id)).slice(-2)).toEqual(['terminated', 'settled']);
  });

  it('is not waited for if both want the end, or the terms ask for none', async () => {
    const { id } = await agreed({ noticeDays: 10, period: lasting(100) });
    await world.agreements.terminate(consumer, id);
    expect(await codeOf(world.agreements.terminate(consumer, id))).toBe('ILLEGAL_STEP');
    expect(await world.agreements.terminate(provider, id)).toMatchObject({ state: 'TERMINATED' });
    expect(await world.agreements.terminate(provider, (await agreed()).id)).toMatchObject({
      state: 'TERMINATED',
      notice: null,
    });
  });

  it('does not prolong a period that ends before, and ends a waiting amendment', async () => {
    const { id, validUntil } = await agreed({ noticeDays: 30, period: lasting(5), renewal: { months: 1 } });
    await world.agreements.amend(provider, id, termsFor());
    expect(await world.agreements.terminate(consumer, id)).toMatchObject({ validUntil, renews: false, proposal: null });
    world.clock.offsetMs = 6 * DAY;
    expect(await world.agreements.get(provider, id)).toMatchObject({ state: 'EXPIRED' });
  });
});

describe('renewal', () => {
  it('begins the next period before the present one ends, again and again, without a gap', async () => {
    const { id, validUntil } = await agreed({ period: lasting(5), renewal: { months: 1 } });
    world.clock.offsetMs = 4.9 * DAY;
    await sweep();
    expect(await world.agreements.get(consumer, id)).toMatchObject({ validUntil, renews: true });
    world.clock.offsetMs = 5 * DAY - 300_000;
    await sweep();
    const renewed = await world.agreements.get(consumer, id);
    expect(renewed).toMatchObject({ state: 'ACTIVE', validUntil: addMonths(validUntil, 1) });
    expect((await meter(id)).valid_until).toEqual(renewed.validUntil);
    // A platform that slept for half a year catches up, by whole periods from the signed end.
    world.clock.offsetMs = 200 * DAY;
    expect(await world.agreements.get(consumer, id)).toMatchObject({ state: 'ACTIVE' });
    await sweep();
    const months = [...Array(10).keys()].map((n) => addMonths(validUntil, n).getTime());
    const caughtUp = (await world.agreements.get(consumer, id)).validUntil.getTime();
    expect(months).toContain(caughtUp);
    expect(caughtUp).toBeGreaterThan(world.clock.now().getTime());
    expect((await kinds(id)).filter((kind) => kind === 'renewed')).toHaveLength(2);
    await world.agreements.terminate(provider, id);
  });

  it('is stopped by either', async () => {
    const { id, validUntil } = await agreed({ period: lasting(5), renewal: { months: 1 } });
    expect(await world.agreements.stopRenewal(consumer, id)).toMatchObject({ renews: false, validUntil });
    expect(await codeOf(world.agreements.stopRenewal(provider, id))).toBe('ILLEGAL_STEP');
    world.clock.offsetMs = 5 * DAY;
    expect(await world.agreements.get(provider, id)).toMatchObject({ state: 'EXPIRED' });
    await sweep();
    expect(await world.agreements.get(provider, id)).toMatchObject({ state: 'SETTLED' });
  });

  it('counts months as people do', () => {
    const utc = (text: string) => new Date(`${text}T10:00:00Z`);
    expect(addMonths(utc('2030-01-31'), 1)).toEqual(utc('2030-02-28'));
    expect(addMonths(utc('2031-12-31'), 2)).toEqual(utc('2032-02-29'));
    expect(addMonths(utc('2030-01-31'), 2)).toEqual(utc('2030-03-31'));
    expect(addMonths(utc('2030-05-15'), 12)).toEqual(utc('2031-05-15'));
  });
});

it('a breach suspends it with a reason, and the other party alone lifts it', async () => {
  const { id } = await agreed();
  const reason = 'More was asked for than agreed, again and again.';
  const system = { ...provider, actor: { kind: 'SYSTEM', id: 'sweep' } } as const;
  expect(await world.agreements.suspendForBreach(system, id, { by: 'CONSUMER', reason })).toBe(true);
  expect(await world.agreements.suspendForBreach(system, id, { by: 'CONSUMER', reason })).toBe(false);
  expect(await world.agreements.get(consumer, id)).toMatchObject({
    state: 'SUSPENDED',
    breach: { by: 'CONSUMER', reason },
    suspendedBy: [],
  });
  expect(await codeOf(world.agreements.resume(consumer, id))).toBe('ILLEGAL_STEP');
  await world.agreements.suspend(provider, id);
  expect(await world.agreements.resume(provider, id)).toMatchObject({ state: 'ACTIVE', breach: null });
  expect(await kinds(id)).toContain('breached');
  await world.agreements.terminate(provider, id);
  expect(await world.agreements.suspendForBreach(system, id, { by: 'CONSUMER', reason })).toBe(false);
});

describe('settlement', () => {
  it('freezes what the statements say, the same bytes for both', async () => {
    const { id } = await agreed({ price: { currency: 'EUR', minorUnitsPerThousandRows: 250 } });
    await world.agreements.amend(
      provider,
      id,
      termsFor({ price: { currency: 'EUR', minorUnitsPerThousandRows: 100 } }),
    );
    await both(id, 2);
    await world.agreements.terminate(provider, id);
    const settled = await world.agreements.settle(consumer, id);
    const text = settled.settlement!.document;
    expect(JSON.parse(text)).toMatchObject({
      format: 'concordat-settlement/2',
      agreementId: id,
      ended: 'TERMINATED',
      logIndex: null,
      rows: 0,
      meteredRows: 0,
      versions: [
        { version: 1, rows: 0, price: { minorUnitsPerThousandRows: 250 }, minorUnits: 0, creditMinorUnits: 0 },
        { version: 2, rows: 0, price: { minorUnitsPerThousandRows: 100 }, minorUnits: 0, creditMinorUnits: 0 },
      ],
      amounts: [{ currency: 'EUR', minorUnits: 0, creditMinorUnits: 0, dueMinorUnits: 0 }],
    });
    expect((await world.agreements.get(provider, id)).settlement).toEqual(settled.settlement);
    expect(settled.settlement!.documentDigest).toEqual(createHash('sha256').update(text).digest());
    expect(await codeOf(world.agreements.settle(provider, id))).toBe('ILLEGAL_STEP');
    expect(await world.agreements.find(stranger, id)).toBeNull();
  });

  it('is of what was in force only', async () => {
    const { id } = await offer();
    world.clock.offsetMs = 2 * DAY;
    expect(await codeOf(world.agreements.settle(provider, id))).toBe('ILLEGAL_STEP');
    await sweep();
    expect(await world.agreements.get(provider, id)).toMatchObject({ state: 'EXPIRED', settlement: null });
  });

  it('rounds exactly, of ties up', () => {
    expect([amountOf(1, 499), amountOf(1, 500), amountOf(3, 500), amountOf(0, 9)]).toEqual([0, 1, 2, 0]);
    expect(amountOf(1e12, 8_000_000)).toBe(8e15);
    expect(amountOf(999_999_999_999, 7_999_999)).toBe(Number((999_999_999_999n * 7_999_999n + 500n) / 1000n));
  });
});

describe('steps at once', () => {
  it('of both parties on one agreement lead to one of the two orders', async () => {
    for (let round = 0; round < 10; round++) {
      const { id } = await offer();
      await world.agreements.sign(provider, id);
      const [signed, countered, withdrawn] = await Promise.all([
        codeOf(world.agreements.sign(consumer, id)),
        codeOf(world.agreements.counter(consumer, id, termsFor())),
        codeOf(world.agreements.withdraw(provider, id)),
      ]);
      const { state, signatures, version } = await world.agreements.get(provider, id);
      expect([signed, countered, withdrawn].filter((code) => code === undefined).length).toBeGreaterThan(0);
      if (state === 'ACTIVE') expect([signatures.length, version]).toEqual([2, 1]);
      else expect(['OFFERED', 'WITHDRAWN']).toContain(state);
    }
  });

  it('amend once, and give notice once for each party', async () => {
    const { id } = await agreed({ noticeDays: 5 });
    const amended = await Promise.all(
      [provider, consumer, provider].map((who) => codeOf(world.agreements.amend(who, id, termsFor()))),
    );
    expect(amended.filter((code) => code === undefined)).toHaveLength(1);
    const ended = await Promise.all(
      [provider, consumer, provider, consumer].map((who) => codeOf(world.agreements.terminate(who, id))),
    );
    expect(ended.filter((code) => code === undefined)).toHaveLength(2);
    const settled = await Promise.all([
      codeOf(world.agreements.settle(provider, id)),
      codeOf(world.agreements.settle(consumer, id)),
      sweep().then(() => undefined),
    ]);
    expect(settled).toContain('ILLEGAL_STEP');
    expect((await kinds(id)).filter((kind) => kind === 'settled')).toHaveLength(1);
  });
});

it('the decision holds the new version as soon as it is in force, and the old one until then', async () => {
  const { id } = await agreed({ purposes: ['CREDIT'] });
  await world.agreements.amend(provider, id, termsFor({ purposes: ['HEALTH'] }));
  const asks = async (purpose: string) => {
    const { terms, state, validFrom, validUntil, version, documentDigestHex } = await world.agreements.get(
      provider,
      id,
    );
    const signature = { task: 'binary', classes: ['no', 'yes'], inputs: [] } as const;
    const endpoint = {
      id: endpointId,
      tenantId: provider.tenantId,
      name: 'E',
      state: 'READY',
      modelVersionId: 'v',
      modelDigest: null,
    } as const;
    const policy = {
      endpoint: {
        ...endpoint,
        signature: { ...signature, classes: ['no', 'yes'], inputs: [] },
        createdAt: new Date(),
        routedAt: new Date(),
      },
      agreements: [
        { id, version, documentDigest: documentDigestHex, terms, state: state as 'ACTIVE', validFrom, validUntil },
      ],
    };
    const question = {
      tenantId: consumer.tenantId,
      mayPredict: true,
      policy,
      agreementId: id,
      purpose,
      applicationId: null,
      region: 'local',
      running: () => 0,
      rowCount: 1,
      explain: false,
      now: new Date(),
    };
    return decide(question).admit;
  };
  expect([await asks('CREDIT'), await asks('HEALTH')]).toEqual([true, false]);
  await both(id, 2);
  expect([await asks('CREDIT'), await asks('HEALTH')]).toEqual([false, true]);
});

it('the database holds versions against a faulty service', async () => {
  const { id } = await agreed();
  const attempt = (scope: Scope, text: string) => codeOf(inTenant(world.db, scope, (tx) => tx.query(text, [id])));
  expect(await attempt(provider, `update agreement set version = 2, terms = '{}' where id = $1`)).toBe('P0001');
  expect(
    await attempt(
      provider,
      `update agreement_version set state = 'PROPOSED', agreed_at = null where agreement_id = $1`,
    ),
  ).toBe('P0001');
  expect(await attempt(provider, `update agreement_version set terms = '{}' where agreement_id = $1`)).toBe('42501');
  await world.agreements.amend(provider, id, termsFor());
  expect(
    await attempt(
      consumer,
      `update agreement_version set state = 'AGREED', agreed_at = now() where agreement_id = $1 and version = 2`,
    ),
  ).toBe('P0001');
  const forged = `insert into agreement_signature values ($1, 2, 'CONSUMER', 'Ed25519', 'OWN', decode(repeat('00', 32), 'hex'), decode(repeat('00', 64), 'hex'), 'acc', now())`;
  expect(await attempt(provider, forged)).toBe('42501');
  expect(await attempt(stranger, forged)).toBe('42501');
});

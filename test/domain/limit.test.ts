import { createHash, randomBytes, randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OUTCOMES } from '../../src/domain/audit/outcome.js';
import type { Terms } from '../../src/domain/agreements/agreement.service.js';
import {
  type Entry,
  type LedgerService,
  newPredictionId,
  type Posted,
  predictionIdOf,
} from '../../src/domain/metering/ledger.service.js';
import { openDb } from '../../src/platform/db.js';
import type { Scope } from '../../src/platform/scope.js';
import { ENTITIES } from '../../src/app.js';
import { makeEndpoint, makeTenant, makeWorld, openTestLedger, termsFor, type World } from './agreement-support.js';

let world: World;
let ledger: LedgerService;
let owner: pg.Client;
let provider: Scope;
let consumer: Scope;
let endpointId: string;

beforeAll(async () => {
  world = await makeWorld();
  ledger = await world.openLedger();
  owner = new pg.Client(world.database.databaseUrl);
  await owner.connect();
  provider = await makeTenant(world.db, 'Provider');
  consumer = await makeTenant(world.db, 'Consumer');
  endpointId = await makeEndpoint(world.db, provider);
});
afterAll(async () => {
  await owner.end();
  await world.close();
});

/** The ledger's clock stands still at this moment; null: it goes again. */
async function stopClock(at: string | null): Promise<void> {
  const now = at === null ? 'clock_timestamp()' : `timestamptz '${at}'`;
  await owner.query(`create or replace function ledger_now() returns timestamptz language sql volatile return ${now}`);
}

const NONE = { rowsPerSecond: null, rowsPerDay: null, rowsPerMonth: null, rowsInTotal: null };
const FOREVER = { from: '2020-01-01T00:00:00.000Z', until: '2100-01-01T00:00:00.000Z' };

async function agree(change: Partial<Terms>): Promise<string> {
  const terms = termsFor({ ...NONE, period: FOREVER, ...change });
  const { id } = await world.agreements.offer(provider, { endpointId, consumerTenantId: consumer.tenantId, terms });
  await world.agreements.sign(provider, id);
  await world.agreements.sign(consumer, id);
  return id;
}

type Change = Omit<Partial<Entry>, 'facts'> & { readonly facts?: Partial<Entry['facts']> };

function entry(agreementId: string, rowCount: number, change: Change = {}): Entry {
  return {
    predictionId: newPredictionId(),
    isRepeatable: false,
    proof: null,
    rowCount,
    startedAt: performance.now(),
    refusal: null,
    commitments: { inputDigest: randomBytes(32), outputDigest: randomBytes(32) },
    ...change,
    facts: {
      providerTenantId: provider.tenantId,
      endpointId,
      agreement: { id: agreementId, version: 1, documentDigest: '0'.repeat(64) },
      model: { versionId: 'mdv_1', digest: null },
      purpose: 'CREDIT',
      disclosure: { kind: 'LABEL_ONLY' },
      door: 'GRAPHQL',
      region: 'local',
      declaredRegion: null,
      deviceId: null,
      ...change.facts,
    },
  };
}

const ask = (agreementId: string, rowCount: number, change: Change = {}, by = ledger) =>
  by.record(consumer, entry(agreementId, rowCount, change));

/** Of all agreements: what the meter counts, and what the entries sum up to. */
async function differences(): Promise<object[]> {
  const { rows } = await owner.query<object>(
    `select m.agreement_id, m.rows_total, m.budget_used_milli, coalesce(sum(e.row_count), 0) as used
     from agreement_meter m left join prediction_context c on c.agreement_id = m.agreement_id
       left join prediction_entry e on e.context_id = c.id and e.code = 0
     group by m.agreement_id having m.rows_total <> coalesce(sum(e.row_count), 0)
       or m.budget_used_milli <> coalesce(m.epsilon_milli_per_row, 0) * coalesce(sum(e.row_count), 0)`,
  );
  return rows;
}

async function gaps(): Promise<number> {
  const { rows } = await owner.query<{ gaps: number }>(
    `select (select next_index from audit_log) - count(distinct log_index) as gaps
     from (select log_index from audit_entry union all select log_index from prediction_entry) entry`,
  );
  return Number(rows[0]!.gaps);
}

/** mulberry32 */
function random(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const NOISY = { kind: 'NOISY', epsilonMilliPerRow: 3, digits: 2, budgetMilli: 6002 } as const;

describe('1,000 callers at once', () => {
  beforeAll(() => stopClock('2030-06-15T12:00:00.500Z'));
  afterAll(() => stopClock(null));

  it.each([
    ['rowsPerSecond', { rowsPerSecond: 2000 }, 'QUOTA_SECOND_EXCEEDED', 2000],
    ['rowsPerDay', { rowsPerDay: 2000 }, 'QUOTA_DAY_EXCEEDED', 2000],
    ['rowsPerMonth', { rowsPerMonth: 2000 }, 'QUOTA_MONTH_EXCEEDED', 2000],
    ['rowsInTotal', { rowsInTotal: 2000 }, 'QUOTA_TOTAL_EXCEEDED', 2000],
    ['a privacy budget', { disclosure: NOISY }, 'PRIVACY_BUDGET_SPENT', 2000],
  ] as const)('at %s: each whole or not at all, in the order of arrival', async (_, terms, code, limit) => {
    const id = await agree(terms as Partial<Terms>);
    const next = random(7);
    const sizes = Array.from({ length: 1000 }, () => 1 + Math.floor(next() * 40));
    const posted = await Promise.all(sizes.map((rows) => ask(id, rows)));
    let used = 0;
    const expected = sizes.map((rows) => (used + rows <= limit ? ((used += rows), null) : code));
    expect(posted.map((one) => one.refusal)).toEqual(expected);
    expect(used).toBe(limit);
    expect(posted.at(-1)).toMatchObject({ refusal: code, detail: '0' });
    expect(await differences()).toEqual([]);
    expect(await gaps()).toBe(0);
  });
});

describe('windows', () => {
  afterAll(() => stopClock(null));
  const codes = async (id: string, rows: number, times: string[]) => {
    const found: (string | null)[] = [];
    for (const time of times) {
      await stopClock(time);
      found.push((await ask(id, rows)).refusal);
    }
    return found;
  };

  it('begin with the second, the day and the month of UTC', async () => {
    expect(
      await codes(await agree({ rowsPerSecond: 10 }), 10, [
        '2030-01-01T00:00:00.000Z',
        '2030-01-01T00:00:00.999Z',
        '2030-01-01T00:00:01.000Z',
        '2030-01-01T00:00:01.001Z',
      ]),
    ).toEqual([null, 'QUOTA_SECOND_EXCEEDED', null, 'QUOTA_SECOND_EXCEEDED']);
    expect(
      await codes(await agree({ rowsPerDay: 10 }), 6, [
        '2030-02-28T00:00:00.000Z',
        '2030-02-28T23:59:59.999Z',
        '2030-03-01T00:00:00.000Z',
        '2030-03-01T00:00:00.001Z',
      ]),
    ).toEqual([null, 'QUOTA_DAY_EXCEEDED', null, 'QUOTA_DAY_EXCEEDED']);
    expect(
      await codes(await agree({ rowsPerMonth: 10 }), 6, [
        '2031-12-01T00:00:00.000Z',
        '2031-12-31T23:59:59.999Z',
        '2032-01-01T00:00:00.000Z',
        '2032-01-31T23:59:59.999Z',
      ]),
    ).toEqual([null, 'QUOTA_MONTH_EXCEEDED', null, 'QUOTA_MONTH_EXCEEDED']);
  });

  it('stay shut when the clock is set back', async () => {
    const id = await agree({ rowsPerSecond: 10, rowsPerDay: 20, rowsPerMonth: 30 });
    const times = ['2033-05-05T10:00:01Z', '2033-05-05T10:00:00Z', '2033-05-04T10:00:00Z', '2033-04-05T10:00:00Z'];
    expect(await codes(id, 10, times)).toEqual([null, ...Array(3).fill('QUOTA_SECOND_EXCEEDED')]);
    expect(await codes(id, 10, ['2033-05-05T10:00:02Z', '2033-05-05T10:00:03Z'])).toEqual([null, 'QUOTA_DAY_EXCEEDED']);
    expect(await codes(id, 10, ['2033-05-06T00:00:00Z', '2033-05-07T00:00:00Z'])).toEqual([
      null,
      'QUOTA_MONTH_EXCEEDED',
    ]);
    expect(await codes(id, 10, ['2033-04-05T10:00:00Z', '2033-06-01T00:00:00Z'])).toEqual([
      'QUOTA_MONTH_EXCEEDED',
      null,
    ]);
  });

  it('an agreement that ends while its request is computed is over', async () => {
    const id = await agree({ period: { from: '2040-01-01T00:00:00.000Z', until: '2040-01-02T00:00:00.000Z' } });
    await stopClock('2040-01-01T23:59:59.999Z');
    expect((await ask(id, 1)).refusal).toBeNull();
    await stopClock('2040-01-02T00:00:00.000Z');
    expect(await ask(id, 1)).toMatchObject({ refusal: 'AGREEMENT_NOT_IN_FORCE', detail: 'EXPIRED' });
  });
});

describe('two replicas on one database', () => {
  it('never deadlock, overdraw or leave a gap, over many agreements in any order', async () => {
    const ids = await Promise.all(Array.from({ length: 24 }, (_, i) => agree({ rowsInTotal: 60 + i })));
    const db = await openDb({ ...world.database, entities: ENTITIES });
    const second = await openTestLedger(db, world.database.masterKey);
    const next = random(11);
    const asked = Array.from({ length: 2400 }, () => ({
      id: ids[Math.floor(next() * ids.length)]!,
      rows: 1 + Math.floor(next() * 3),
      by: next() < 0.5 ? ledger : second.ledger,
    }));
    const posted = await Promise.all(asked.map(({ id, rows, by }) => ask(id, rows, {}, by)));
    await second.close();
    await db.close();
    for (const [i, id] of ids.entries()) {
      const used = posted.reduce((sum, one, k) => sum + (asked[k]!.id === id && !one.refusal ? asked[k]!.rows : 0), 0);
      expect(used).toBeLessThanOrEqual(60 + i);
      // Whatever was refused would not have fitted any more at the end, or only just.
      expect(used).toBeGreaterThan(60 + i - 3);
    }
    expect(await differences()).toEqual([]);
    expect(await gaps()).toBe(0);
  });

  it('charge a repeated key once, and refuse a repeated proof, whichever of them is asked', async () => {
    const id = await agree({ rowsInTotal: 1000 });
    const db = await openDb({ ...world.database, entities: ENTITIES });
    const second = await openTestLedger(db, world.database.masterKey);
    const of = (i: number) => (i % 2 ? ledger : second.ledger);
    for (let round = 0; round < 20; round++) {
      const key = { predictionId: predictionIdOf(consumer.tenantId, randomUUID()), isRepeatable: true };
      const same = { inputDigest: randomBytes(32), outputDigest: randomBytes(32) };
      const posted = await Promise.all(
        Array.from({ length: 8 }, (_, i) => ask(id, 2, { ...key, commitments: same }, of(i))),
      );
      expect(posted.map((one) => one.refusal)).toEqual(Array(8).fill(null));
      expect(posted.filter((one) => !one.isRepetition)).toHaveLength(1);
      expect(new Set(posted.map((one) => JSON.stringify(one.entry))).size).toBe(1);
      expect((await ask(id, 2, key, of(round))).refusal).toBe('IDEMPOTENCY_CONFLICT');
      const proof = createHash('sha256').update(randomUUID()).digest();
      const proven = await Promise.all(Array.from({ length: 6 }, (_, i) => ask(id, 1, { proof }, of(i))));
      expect(proven.filter((one) => one.refusal === null)).toHaveLength(1);
      expect(proven.filter((one) => one.refusal === 'PROOF_REPLAYED')).toHaveLength(5);
    }
    await second.close();
    await db.close();
    expect(await differences()).toEqual([]);
    expect(await gaps()).toBe(0);
  });
});

it('counts what it records, whatever it is asked', async () => {
  const ids = [
    await agree({ rowsPerSecond: 40, rowsInTotal: 900 }),
    await agree({ rowsPerDay: 300, rowsPerMonth: 200 }),
    await agree({ disclosure: { ...NOISY, budgetMilli: 500 } }),
    await agree({}),
  ];
  const next = random(3);
  const keys = Array.from({ length: 30 }, () => predictionIdOf(consumer.tenantId, randomUUID()));
  const proofs = Array.from({ length: 200 }, () => randomBytes(32));
  const one = (): Promise<Posted> => {
    const isRepeatable = next() < 0.3;
    const input = Buffer.alloc(32, Math.floor(next() * 2));
    return ask(ids[Math.floor(next() * ids.length)]!, 1 + Math.floor(next() * 4), {
      ...(isRepeatable && { predictionId: keys[Math.floor(next() * keys.length)]!, isRepeatable }),
      proof: next() < 0.3 ? proofs[Math.floor(next() * proofs.length)]! : null,
      refusal: next() < 0.1 ? 'INPUT_INVALID' : null,
      commitments: { inputDigest: input, outputDigest: input },
      facts: { purpose: next() < 0.5 ? 'CREDIT' : null },
    });
  };
  const seen = new Set<string>();
  for (let round = 0; round < 5; round++) {
    const posted = await Promise.all(Array.from({ length: 300 }, one));
    for (const { refusal, isRepetition } of posted) seen.add(isRepetition ? 'REPETITION' : (refusal ?? 'ANSWERED'));
    expect(await differences()).toEqual([]);
    expect(await gaps()).toBe(0);
  }
  for (const code of [
    'ANSWERED',
    'REPETITION',
    'IDEMPOTENCY_CONFLICT',
    'PROOF_REPLAYED',
    'INPUT_INVALID',
    'QUOTA_MONTH_EXCEEDED',
  ])
    expect(seen).toContain(code);
  const { rows } = await owner.query<{ codes: number[] }>(
    `select array_agg(distinct code) as codes from prediction_entry`,
  );
  const known = new Set<number>(Object.values(OUTCOMES));
  expect(rows[0]!.codes.filter((code) => !known.has(code))).toEqual([]);
});

it('goes on in the next partition, and finds what was asked in the one before', async () => {
  const other = await makeWorld();
  const near = new pg.Client(other.database.databaseUrl);
  await near.connect();
  try {
    const own = await makeTenant(other.db, 'Tenant');
    await near.query(`update audit_log set next_index = 16777216 - 3`);
    const facts = { providerTenantId: own.tenantId, agreement: null };
    const key = { predictionId: predictionIdOf(own.tenantId, randomUUID()), isRepeatable: true };
    const same = { inputDigest: randomBytes(32), outputDigest: randomBytes(32) };
    const there = await other.openLedger();
    const record = (change: Change) => there.record(own, entry('', 1, { ...change, facts }));
    const first = await record({ ...key, commitments: same });
    const posted = await Promise.all(Array.from({ length: 6 }, () => record({})));
    expect(posted.map((one) => one.entry.index - 2 ** 24)).toEqual([-2, -1, 0, 1, 2, 3]);
    expect(await record({ ...key, commitments: same })).toMatchObject({ isRepetition: true, entry: first.entry });
    const partitions = () =>
      near.query<{ name: string }>(`select inhrelid::regclass::text as name from pg_inherits
        where inhparent = 'prediction_entry'::regclass order by 1`);
    await expect
      .poll(async () => (await partitions()).rows.map(({ name }) => name))
      .toEqual(['prediction_entry_0', 'prediction_entry_1', 'prediction_entry_2']);
  } finally {
    await near.end();
    await other.close();
  }
});

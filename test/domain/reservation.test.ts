import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Terms } from '../../src/domain/agreements/agreement.service.js';
import { type LedgerService, newPredictionId, Salts } from '../../src/domain/metering/ledger.service.js';
import type { Facts } from '../../src/domain/metering/context.js';
import { ReservationService } from '../../src/domain/metering/reservation.service.js';
import { Rng } from '../../src/ml/core/rng.js';
import { inTenant } from '../../src/platform/db.js';
import { newId } from '../../src/platform/ids.js';
import type { Scope } from '../../src/platform/scope.js';
import { makeEndpoint, makeTenant, makeWorld, termsFor, type World } from './agreement-support.js';

let world: World;
let owner: pg.Client;
let ledger: LedgerService;
let reservations: ReservationService;
let provider: Scope;
let consumer: Scope;
let endpointId: string;

beforeAll(async () => {
  world = await makeWorld();
  owner = new pg.Client(world.database.databaseUrl);
  await owner.connect();
  ledger = await world.openLedger();
  const signer = {} as ConstructorParameters<typeof ReservationService>[0]['signer'];
  reservations = new ReservationService({ pool: world.db.ledger, signer, salts: new Salts(Buffer.alloc(32)) });
  provider = await makeTenant(world.db, 'Provider');
  consumer = await makeTenant(world.db, 'Consumer');
  endpointId = await makeEndpoint(world.db, provider);
});
afterAll(async () => {
  await owner?.end();
  await world?.close();
});

async function at(time: Date): Promise<void> {
  await owner.query(
    `create or replace function ledger_now() returns timestamptz language sql volatile return timestamptz '${time.toISOString()}'`,
  );
}

async function agree(change: Partial<Terms>): Promise<string> {
  const period = { from: '2020-01-01T00:00:00.000Z', until: '2100-01-01T00:00:00.000Z' };
  const none = { rowsPerSecond: null, rowsPerDay: null, rowsPerMonth: null, rowsInTotal: null };
  const terms = termsFor({ ...none, period, ...change });
  const { id } = await world.agreements.offer(provider, { endpointId, consumerTenantId: consumer.tenantId, terms });
  await world.agreements.sign(provider, id);
  await world.agreements.sign(consumer, id);
  return id;
}

const facts = (agreementId: string, door: string): Facts => ({
  providerTenantId: provider.tenantId,
  endpointId,
  agreement: { id: agreementId, version: 1, documentDigest: '0'.repeat(64) },
  model: { versionId: 'mdv_1', digest: null },
  purpose: 'CREDIT',
  disclosure: { kind: 'LABEL_ONLY' },
  door,
  region: 'local',
  declaredRegion: null,
  deviceId: null,
});

interface Held {
  readonly batchId: string;
  readonly jobId: string;
  left: number;
}

/** As services do it. The code of the refusal, or what is held. */
async function reserve(agreementId: string, rowCount: number): Promise<string | Held> {
  const held = { batchId: newId('batchPrediction'), jobId: newId('job'), left: rowCount };
  return inTenant(world.db, consumer, async (tx) => {
    await tx.query(
      `insert into job (id, tenant_id, name, subject_id, max_attempts) values ($1, $2, 'predict', $3, 3)`,
      [held.jobId, consumer.tenantId, held.batchId],
    );
    const refused = await reservations.reserve(tx, {
      ...{ batchId: held.batchId, providerTenantId: provider.tenantId, endpointId, rowCount },
      agreement: { id: agreementId, version: 1 },
      ...{ keyId: null, deviceId: null, proof: null },
    });
    if (refused) throw new Error(refused.refusal);
    return held;
  }).catch((error: unknown) => (error as Error).message);
}

/** Null: answered. */
async function settle(agreementId: string, held: Held, rowCount: number, by = consumer): Promise<string | null> {
  const contextId = await reservations.contextOf(consumer, facts(agreementId, 'BATCH'));
  const [inputDigest, outputDigest, predictionId] = [randomBytes(32), randomBytes(32), newPredictionId()];
  const chunk = { batchId: held.batchId, predictionId, rowCount, durationUs: 1, inputDigest, outputDigest };
  const settled = await inTenant(world.db, by, (tx) => reservations.settle(tx, contextId, chunk));
  if ('refusal' in settled) return settled.refusal;
  held.left -= rowCount;
  return null;
}

async function online(agreementId: string, rowCount: number): Promise<string | null> {
  const posted = await ledger.record(consumer, {
    predictionId: newPredictionId(),
    ...{ isRepeatable: false, proof: null, rowCount, startedAt: performance.now(), refusal: null },
    facts: facts(agreementId, 'GRAPHQL'),
    commitments: { inputDigest: randomBytes(32), outputDigest: randomBytes(32) },
  });
  return posted.refusal;
}

const finish = ({ jobId }: Held, state = 'CANCELLED') =>
  inTenant(world.db, consumer, (tx) =>
    tx.query(`update job set state = $3, finished_at = now() where tenant_id = $1 and id = $2`, [
      consumer.tenantId,
      jobId,
      state,
    ]),
  );

interface Counters {
  readonly total: number;
  readonly reserved: number;
  readonly today: number;
  readonly month: number;
  readonly budget: number;
}

async function counters(agreementId: string): Promise<Counters> {
  const [row] = await inTenant(world.db, provider, (tx) =>
    tx.query<Counters[]>(
      `select rows_total as total, rows_reserved as reserved, rows_today as today, rows_this_month as month, budget_used_milli as budget
       from agreement_meter where agreement_id = $1 and provider_tenant_id = $2`,
      [agreementId, provider.tenantId],
    ),
  );
  return row!;
}

/** Rows answered in the log since then. */
async function recorded(agreementId: string, since: string): Promise<number> {
  const [row] = await inTenant(world.db, provider, (tx) =>
    tx.query<{ rows: number }[]>(
      `select coalesce(sum(e.row_count), 0)::bigint as rows from prediction_entry e join prediction_context c on c.id = e.context_id
       where c.counterparty_tenant_id = $2 and c.agreement_id = $1 and e.code = 0 and e.at >= $3`,
      [agreementId, provider.tenantId, since],
    ),
  );
  return row!.rows;
}

const MINUTE = 60_000;

it('a day that begins is asked for all that is held, and pays only for what is answered in it', async () => {
  const id = await agree({ rowsPerDay: 100, rowsPerSecond: 40 });
  await at(new Date('2031-05-30T23:59:00Z'));
  const held = (await reserve(id, 90)) as Held;
  expect(await settle(id, held, 30)).toBeNull();
  // Not this second any more.
  expect(await settle(id, held, 30)).toBe('QUOTA_SECOND_EXCEEDED');
  expect(await online(id, 11)).toBe('QUOTA_DAY_EXCEEDED');
  expect(await online(id, 10)).toBeNull();
  await at(new Date('2031-05-31T00:00:10Z'));
  expect(await online(id, 41)).toBe('QUOTA_SECOND_EXCEEDED');
  expect(await online(id, 40)).toBeNull();
  await at(new Date('2031-05-31T00:00:11Z'));
  // 60 are held, and 60 are left.
  expect(await settle(id, held, 20)).toBeNull();
  expect(await counters(id)).toMatchObject({ total: 140, reserved: 40, today: 100, month: 140 });
  expect(await online(id, 1)).toBe('QUOTA_DAY_EXCEEDED');
  await finish(held);
  expect(await counters(id)).toMatchObject({ total: 100, reserved: 0, today: 60, month: 100 });
  await at(new Date('2031-05-31T23:59:59Z'));
  const other = (await reserve(id, 40)) as Held;
  await at(new Date('2031-06-01T00:00:00Z'));
  expect(await online(id, 40)).toBeNull();
  await at(new Date('2031-06-01T00:00:01Z'));
  expect(await online(id, 21)).toBeNull();
  await at(new Date('2031-06-01T00:00:02Z'));
  expect(await settle(id, other, 20)).toBe('QUOTA_DAY_EXCEEDED');
  await finish(other, 'FAILED');
  expect(await counters(id)).toMatchObject({ total: 161, reserved: 0, today: 61, month: 61 });
});

it('settles nothing for another tenant, nor more than is held', async () => {
  const id = await agree({});
  await at(new Date('2031-05-30T12:00:00Z'));
  const held = (await reserve(id, 10)) as Held;
  await expect(settle(id, held, 5, provider)).rejects.toThrow('belongs to the tenant that asked');
  await expect(settle(id, held, 11)).rejects.toThrow('nothing is reserved');
  await finish(held);
  await expect(settle(id, held, 5)).rejects.toThrow('nothing is reserved');
  expect(await counters(id)).toMatchObject({ total: 0, reserved: 0 });
});

it('counters are what was answered and what is held, and no limit is passed, whatever the order', async () => {
  const seed = Number(process.env.TEST_SEED ?? Date.now() % 1e6);
  const rng = new Rng(seed);
  const limits = { rowsPerDay: 400, rowsPerMonth: 1500, rowsInTotal: 3000 };
  const disclosure = { kind: 'NOISY', epsilonMilliPerRow: 7, digits: 0, budgetMilli: 7 * 2900 } as const;
  const id = await agree({ ...limits, disclosure });
  let now = Date.parse('2031-06-10T00:00:00Z');
  const open: Held[] = [];
  const below = (n: number) => rng.uint32() % n;
  for (let step = 0; step < 250; step++) {
    now += below(10) === 0 ? below(3 * 24 * 60) * MINUTE : below(40) * MINUTE;
    await at(new Date(now));
    const what = below(10);
    const held = open[below(open.length)];
    if (what < 3) {
      const made = await reserve(id, 1 + below(150));
      if (typeof made !== 'string') open.push(made);
    } else if (what < 7 && held && held.left > 0) await settle(id, held, 1 + below(held.left));
    else if (what < 9) await online(id, 1 + below(60));
    else if (held) {
      await finish(held);
      open.splice(open.indexOf(held), 1);
    }
    const left = open.reduce((sum, one) => sum + one.left, 0);
    const all = await recorded(id, '2000-01-01');
    const { total, reserved, today, month, budget } = await counters(id);
    const told = { seed, step };
    expect({ ...told, total, reserved, budget }).toEqual({
      ...told,
      total: all + left,
      reserved: left,
      budget: 7 * (all + left),
    });
    expect(total, `TEST_SEED=${seed}`).toBeLessThanOrEqual(2900);
    expect(today).toBeLessThanOrEqual(400);
    expect(month).toBeLessThanOrEqual(1500);
    const day = new Date(now).toISOString().slice(0, 10);
    expect(await recorded(id, `${day}T00:00:00Z`)).toBeLessThanOrEqual(400);
    expect(await recorded(id, `${day.slice(0, 7)}-01T00:00:00Z`)).toBeLessThanOrEqual(1500);
  }
  for (const held of open) await finish(held, 'SUCCEEDED');
  expect(await counters(id)).toMatchObject({ total: await recorded(id, '2000-01-01'), reserved: 0 });
});

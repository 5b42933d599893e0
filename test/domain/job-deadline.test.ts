import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Statement, StatementService } from '../../src/domain/metering/statement.service.js';
import { inTenant } from '../../src/platform/db.js';
import { newId } from '../../src/platform/ids.js';
import type { Scope } from '../../src/platform/scope.js';
import { makeEndpoint, makeTenant, makeWorld, termsFor, type World } from './agreement-support.js';

let world: World;
let owner: pg.Client;
let statements: StatementService;
let provider: Scope;
let consumer: Scope;
let endpointId: string;

beforeAll(async () => {
  world = await makeWorld();
  owner = new pg.Client(world.database.databaseUrl);
  await owner.connect();
  statements = new StatementService(world);
  provider = await makeTenant(world.db, 'Provider');
  consumer = await makeTenant(world.db, 'Consumer');
  endpointId = await makeEndpoint(world.db, provider);
});
afterAll(async () => {
  await owner?.end();
  await world?.close();
});

/** Sets the clocks of the platform and of the ledger. */
async function at(time: string): Promise<void> {
  world.clock.offsetMs = Date.parse(time) - Date.now();
  await owner.query(
    `create or replace function ledger_now() returns timestamptz language sql volatile return timestamptz '${time}'`,
  );
}

async function agree(jobDeadlineMinutes: number | null): Promise<string> {
  await at('2031-01-01T00:00:00Z');
  const terms = termsFor({
    period: { from: '2031-01-01T00:00:00.000Z', until: '2031-04-20T00:00:00.000Z' },
    ...{ rowsPerDay: 500, rowsInTotal: null },
    price: { currency: 'EUR', minorUnitsPerThousandRows: 1000 },
    delivery: { p95LatencyMs: 60_000, availabilityBasisPoints: null, jobDeadlineMinutes, creditBasisPoints: 1000 },
  });
  const { id } = await world.agreements.offer(provider, { endpointId, consumerTenantId: consumer.tenantId, terms });
  await world.agreements.sign(provider, id);
  await world.agreements.sign(consumer, id);
  return id;
}

interface Job {
  readonly id: string;
  readonly batchId: string;
}

/** As services do it: what is held and the job, in one transaction. */
function reserve(agreementId: string, rows: number): Promise<Job & { verdict: number }> {
  const job = { id: newId('job'), batchId: newId('batchPrediction') };
  return inTenant(world.db, consumer, async (tx) => {
    await tx.query(
      `insert into job (id, tenant_id, name, subject_id, max_attempts) values ($1, $2, 'predict', $3, 3)`,
      [job.id, consumer.tenantId, job.batchId],
    );
    const [{ verdict }] = await tx.query<[{ verdict: number }]>(
      `select verdict from ledger_reserve($1, $2, 1, $3, $4, $5, null, null, null)`,
      [job.batchId, agreementId, provider.tenantId, endpointId, rows],
    );
    return { ...job, verdict };
  });
}

const finish = ({ id }: Job, state: string, code: string | null = null) =>
  inTenant(world.db, consumer, (tx) =>
    tx.query(`update job set state = $3, error_code = $4, finished_at = now() where tenant_id = $1 and id = $2`, [
      consumer.tenantId,
      id,
      state,
      code,
    ]),
  );

async function meter(agreementId: string) {
  const [row] = await inTenant(world.db, provider, (tx) =>
    tx.query<{ total: number; reserved: number; today: number; month: number }[]>(
      `select rows_total as total, rows_reserved as reserved, rows_today as today, rows_this_month as month
       from agreement_meter where agreement_id = $1 and provider_tenant_id = $2`,
      [agreementId, provider.tenantId],
    ),
  );
  return row!;
}

async function read(agreementId: string, month: string): Promise<Statement> {
  const [ours, theirs] = [
    await statements.read(provider, agreementId, month),
    await statements.read(consumer, agreementId, month),
  ];
  expect(ours).toEqual(theirs);
  return ours;
}

it('counts what was late: after the deadline, or failed at the provider or the platform', async () => {
  const id = await agree(60);
  const outcomes: [state: string, code: string | null, minutes: number, isLate: boolean][] = [
    ['SUCCEEDED', null, 60, false],
    ['SUCCEEDED', null, 61, true],
    ['CANCELLED', null, 10, false],
    ['CANCELLED', null, 90, true],
    ['FAILED', 'QUOTA_DAY_EXCEEDED', 20, false],
    ['FAILED', 'AGREEMENT_NOT_IN_FORCE', 20, false],
    ['FAILED', 'INTERNAL', 20, true],
    ['FAILED', 'OUT_OF_MEMORY', 20, true],
  ];
  for (const [state, code, minutes] of outcomes) {
    await at('2031-01-10T10:00:00Z');
    const job = await reserve(id, 10);
    await at(new Date(Date.parse('2031-01-10T10:00:00Z') + minutes * 60_000).toISOString());
    await finish(job, state, code);
  }
  const open = await reserve(id, 10);
  await at('2031-02-01T00:30:00Z');
  const january = await read(id, '2031-01');
  const late = outcomes.filter(([, , , isLate]) => isLate).length;
  expect(january.versions).toMatchObject([
    { jobs: 8, jobsLate: late, isDeadlineKept: false, rows: 0, minorUnits: 0, creditMinorUnits: 0 },
  ]);
  expect(january.csv).toContain(`JOBS,,1,ENDED,8,`);
  expect(january.csv).toContain(`JOBS,,1,LATE,${late},`);
  // In the month in which it ended.
  expect((await read(id, '2031-02')).versions).toMatchObject([{ jobs: 0, jobsLate: 0, isDeadlineKept: null }]);
  await finish(open, 'SUCCEEDED');
  expect((await read(id, '2031-02')).versions).toMatchObject([{ jobs: 1, jobsLate: 1, isDeadlineKept: false }]);
  expect((await read(id, '2031-01')).json).toBe(january.json);
});

it('judges nothing where nothing was promised', async () => {
  const id = await agree(null);
  await at('2031-01-10T10:00:00Z');
  await finish(await reserve(id, 10), 'FAILED', 'INTERNAL');
  expect((await read(id, '2031-01')).versions).toMatchObject([{ jobs: 1, jobsLate: null, isDeadlineKept: null }]);
});

it('holds rows in the window in which they were reserved, and lets go what is left of it', async () => {
  const id = await agree(null);
  await at('2031-01-31T23:59:00Z');
  const [first, second] = [await reserve(id, 300), await reserve(id, 200)];
  expect((await reserve(id, 1)).verdict).toBe(4);
  expect(await meter(id)).toEqual({ total: 500, reserved: 500, today: 500, month: 500 });
  await finish(first, 'CANCELLED');
  expect(await meter(id)).toEqual({ total: 200, reserved: 200, today: 200, month: 200 });
  await at('2031-02-01T00:01:00Z');
  const next = await reserve(id, 450);
  expect(await meter(id)).toEqual({ total: 650, reserved: 650, today: 450, month: 450 });
  // Of yesterday: the counters of today have nothing of it.
  await finish(second, 'CANCELLED');
  expect(await meter(id)).toEqual({ total: 450, reserved: 450, today: 450, month: 450 });
  await finish(next, 'SUCCEEDED');
  expect(await meter(id)).toEqual({ total: 0, reserved: 0, today: 0, month: 0 });
});

it('is settled with what was answered, although a worker has not heard of the end', async () => {
  const id = await agree(60);
  await at('2031-01-10T10:00:00Z');
  const job = await reserve(id, 100);
  await world.agreements.terminate(provider, id);
  const { settlement } = await world.agreements.settle(provider, id);
  expect(JSON.parse(settlement!.document)).toMatchObject({ rows: 0, meteredRows: 0 });
  expect(await meter(id)).toMatchObject({ total: 0, reserved: 0 });
  const settled = await read(id, '2031-01');
  await at('2031-01-12T10:00:00Z');
  await finish(job, 'FAILED', 'AGREEMENT_NOT_IN_FORCE');
  expect((await read(id, '2031-01')).json).toBe(settled.json);
});

import { createHash, randomBytes } from 'node:crypto';
import canonicalize from 'canonicalize';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Terms } from '../../src/domain/agreements/agreement.service.js';
import { creditOf } from '../../src/domain/agreements/settlement.js';
import { type LedgerService, newPredictionId, type Posted } from '../../src/domain/metering/ledger.service.js';
import { type Statement, StatementService } from '../../src/domain/metering/statement.service.js';
import { UsageService } from '../../src/domain/metering/usage.service.js';
import { Rng } from '../../src/ml/core/rng.js';
import { outcomeName, outcomeNumber } from '../../src/domain/audit/outcome.js';
import { type ErrorCode, ERRORS } from '../../src/platform/errors.js';
import type { Scope } from '../../src/platform/scope.js';
import { codeOf, makeEndpoint, makeTenant, makeWorld, scopeOf, termsFor, type World } from './agreement-support.js';

let world: World;
let owner: pg.Client;
let ledger: LedgerService;
let usage: UsageService;
let statements: StatementService;
let provider: Scope;
let consumer: Scope;
let endpointId: string;

beforeAll(async () => {
  world = await makeWorld();
  owner = new pg.Client(world.database.databaseUrl);
  await owner.connect();
  ledger = await world.openLedger();
  usage = new UsageService(world);
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

const PERIOD = { from: '2031-01-10T12:00:00.000Z', until: '2031-04-20T00:00:00.000Z' };
const PRICE = { currency: 'EUR', minorUnitsPerThousandRows: 1250 };
const DELIVERY = { p95LatencyMs: 60_000, availabilityBasisPoints: 9000, jobDeadlineMinutes: null };
const terms = (change: Partial<Terms> = {}) =>
  termsFor({ period: PERIOD, rowsPerDay: null, rowsInTotal: null, price: PRICE, ...change });

async function agree(change: Partial<Terms> = {}): Promise<string> {
  await at('2031-01-05T00:00:00Z');
  const offer = { endpointId, consumerTenantId: consumer.tenantId, terms: terms(change) };
  const { id } = await world.agreements.offer(provider, offer);
  await world.agreements.sign(provider, id);
  await world.agreements.sign(consumer, id);
  return id;
}

interface Asked {
  readonly version?: number;
  readonly tookMs?: number;
  readonly refusal?: ErrorCode;
}

function ask(id: string, rowCount: number, { version = 1, tookMs = 0, refusal }: Asked = {}): Promise<Posted> {
  return ledger.record(consumer, {
    predictionId: newPredictionId(),
    isRepeatable: false,
    proof: null,
    facts: {
      providerTenantId: provider.tenantId,
      endpointId,
      agreement: { id, version, documentDigest: '0'.repeat(64) },
      model: { versionId: 'mdv_1', digest: '1'.repeat(64) },
      purpose: 'CREDIT',
      disclosure: { kind: 'LABEL_ONLY' },
      door: 'GRAPHQL',
      region: 'local',
      // What a caller says does not get into the way of what the context says.
      declaredRegion: '"agreementVersion":7,',
      deviceId: null,
    },
    rowCount,
    startedAt: performance.now() - tookMs,
    refusal: refusal ?? null,
    commitments: refusal ? null : { inputDigest: randomBytes(32), outputDigest: randomBytes(32) },
  });
}

/** Read by both, who must see the same bytes. */
async function read(id: string, month: string): Promise<Statement> {
  const [ours, theirs] = await Promise.all([provider, consumer].map((scope) => statements.read(scope, id, month)));
  expect(ours).toEqual(theirs);
  expect(createHash('sha256').update(ours!.json).digest('hex')).toBe(ours!.digestHex);
  expect(canonicalize(JSON.parse(ours!.json))).toBe(ours!.json);
  const { isFinal: _, json, csv: __, digestHex: ___, ...figures } = ours!;
  expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify(figures)));
  return ours!;
}

/** The slow reading of what the ledger answered to each request. */
function countedBy(posted: readonly { version: number; posted: Posted }[], month: string) {
  const mine = posted.filter((one) => one.posted.entry.at.startsWith(month));
  const answered = mine.filter((one) => one.posted.refusal === null);
  const sum = (list: typeof mine) => list.reduce((all, one) => all + one.posted.entry.rowCount, 0);
  const nth = (list: typeof mine, share: number) =>
    list.map((one) => one.posted.entry.durationUs).sort((a, b) => a - b)[Math.ceil(share * list.length) - 1];
  const days = new Map<string, number>();
  for (const one of answered) {
    const day = one.posted.entry.at.slice(0, 10);
    days.set(day, (days.get(day) ?? 0) + one.posted.entry.rowCount);
  }
  const indices = mine.map((one) => one.posted.entry.index);
  return {
    requests: answered.length,
    rows: sum(answered),
    days: [...days].sort(),
    refused: mine.length - answered.length,
    latency: { p50Us: nth(answered, 0.5), p95Us: nth(answered, 0.95), p99Us: nth(answered, 0.99) },
    logIndex: { first: Math.min(...indices), last: Math.max(...indices) },
    rowsOf: (version: number) => sum(answered.filter((one) => one.version === version)),
    p95Of: (version: number) =>
      nth(
        answered.filter((one) => one.version === version),
        0.95,
      ),
  };
}

describe('a statement', () => {
  it('is what was recorded: its rows are those of the usage, of the meter and of the receipts', async () => {
    const id = await agree();
    const rng = new Rng(7);
    const posted: { version: number; posted: Posted }[] = [];
    let version = 1;
    const REFUSALS = [undefined, undefined, undefined, 'INPUT_INVALID', 'ENDPOINT_NOT_READY'] as const;
    for (const day of ['01-10T12', '01-31T23', '02-01T00', '02-14T08', '02-28T23', '03-01T00', '04-02T09']) {
      await at(`2031-${day}:00:00.250Z`);
      if (day === '02-14T08') {
        const price = { currency: 'EUR', minorUnitsPerThousandRows: 333 };
        await world.agreements.amend(provider, id, terms({ price }));
        for (const party of [provider, consumer]) await world.agreements.sign(party, { agreementId: id, version: 2 });
        version = 2;
      }
      const requests = Array.from({ length: 40 }, () => ({
        rows: 1 + rng.below(999),
        asked: { version, tookMs: rng.below(500), refusal: REFUSALS[rng.below(5)] },
      }));
      const all = await Promise.all(requests.map(({ rows, asked }) => ask(id, rows, asked)));
      posted.push(...all.map((one) => ({ version, posted: one })));
    }
    await at('2031-04-03T00:00:00Z');
    let rows = 0;
    for (const month of ['2031-01', '2031-02', '2031-03', '2031-04']) {
      const statement = await read(id, month);
      const counted = countedBy(posted, month);
      const { requests, latency, logIndex } = statement;
      expect({ requests, rows: statement.rows, latency, logIndex }).toEqual({
        requests: counted.requests,
        rows: counted.rows,
        latency: counted.latency,
        logIndex: counted.logIndex,
      });
      expect(statement.days.filter((day) => day.rows > 0).map((day) => [day.day, day.rows])).toEqual(counted.days);
      expect(statement.refusals.reduce((all, one) => all + one.requests, 0)).toBe(counted.refused);
      for (const one of statement.versions) {
        expect(one.rows).toBe(counted.rowsOf(one.version));
        expect(one.latency?.p95Us).toBe(counted.p95Of(one.version));
        // Prices here are whole numbers and rows few: doubles are exact.
        expect(one.minorUnits).toBe(Math.floor((one.rows * (one.version === 1 ? 1250 : 333)) / 1000 + 0.5));
      }
      const minorUnits = statement.versions.reduce((all, one) => all + one.minorUnits!, 0);
      expect(statement.amounts).toEqual([
        { currency: 'EUR', minorUnits, creditMinorUnits: 0, dueMinorUnits: minorUnits },
      ]);
      rows += statement.rows;
    }
    expect((await read(id, '2031-02')).versions.map((one) => one.version)).toEqual([1, 2]);
    const from = new Date(PERIOD.from);
    expect((await usage.read(consumer, id, { from, until: new Date(PERIOD.until) })).rows).toBe(rows);
    expect((await usage.allowance(provider, id)).rowsTotal).toBe(rows);
  });

  it('judges what was promised, and credits once what was not kept', async () => {
    const slow = await agree({ delivery: { ...DELIVERY, p95LatencyMs: 1000, creditBasisPoints: 1250 } });
    const failing = await agree({ delivery: { ...DELIVERY, creditBasisPoints: 10_000 } });
    const both = await agree({ delivery: { ...DELIVERY, p95LatencyMs: 1000, creditBasisPoints: 500 } });
    const exact = await agree({ delivery: { ...DELIVERY, creditBasisPoints: 500 } });
    await at('2031-02-01T00:00:00Z');
    const many = (id: string, count: number, asked: Asked = {}) =>
      Promise.all(Array.from({ length: count }, () => ask(id, 10, asked)));
    await many(slow, 18);
    await many(slow, 2, { tookMs: 5000 });
    await many(failing, 8);
    await many(failing, 1, { refusal: 'ENDPOINT_NOT_READY' });
    await many(both, 8, { tookMs: 5000 });
    await many(both, 1, { refusal: 'ENDPOINT_NOT_READY' });
    await many(exact, 9);
    await many(exact, 1, { refusal: 'ENDPOINT_NOT_READY' });
    // Not the provider's doing.
    await many(exact, 50, { refusal: 'INPUT_INVALID' });
    const judged = async (id: string) => {
      const { versions, amounts } = await read(id, '2031-02');
      const { isLatencyKept, isAvailabilityKept, availabilityBasisPoints, minorUnits, creditMinorUnits } = versions[0]!;
      expect(amounts[0]).toMatchObject({
        minorUnits,
        creditMinorUnits,
        dueMinorUnits: minorUnits! - creditMinorUnits!,
      });
      return [isLatencyKept, isAvailabilityKept, availabilityBasisPoints, minorUnits, creditMinorUnits];
    };
    // 31.25 of 250.
    expect(await judged(slow)).toEqual([false, true, 10_000, 250, 31]);
    expect(await judged(failing)).toEqual([true, false, 8888, 100, 100]);
    expect(await judged(both)).toEqual([false, false, 8888, 100, 5]);
    // 112.5 is rounded up.
    expect(await judged(exact)).toEqual([true, true, 9000, 113, 0]);
    expect([creditOf(1, 4999), creditOf(1, 5000), creditOf(8e15, 10_000)]).toEqual([0, 1, 8e15]);
  });

  it('takes no refusal that was agreed for a failure of the provider: each is recorded by its own name', async () => {
    // What refuses steps of agreements refuses no prediction.
    const isOfSteps = (code: string) => code === 'LICENCE_BROKEN';
    const agreed = Object.entries(ERRORS).flatMap(([code, { refusal }]) =>
      refusal === 'AGREEMENT' && !isOfSteps(code) ? [code] : [],
    );
    const codes = [...agreed, 'CONCURRENCY_EXCEEDED', 'TOO_MANY_ROWS', 'INPUT_INVALID'] as ErrorCode[];
    expect(codes.map((code) => outcomeName(outcomeNumber(code)))).toEqual(codes);
    const id = await agree({ delivery: { ...DELIVERY, creditBasisPoints: 10_000 } });
    await at('2031-02-01T00:00:00Z');
    await ask(id, 1000);
    await Promise.all(codes.map((refusal) => ask(id, 1, { refusal })));
    const { refusals, versions } = await read(id, '2031-02');
    expect(refusals.map(({ code }) => code)).toEqual([...codes].sort());
    expect(versions).toMatchObject([{ availabilityBasisPoints: 10_000, minorUnits: 1250, creditMinorUnits: 0 }]);
  });

  it('of a month without use is zeros, and promises nothing that could be judged', async () => {
    const id = await agree({ delivery: { ...DELIVERY, creditBasisPoints: 500 } });
    await at('2031-03-01T00:00:30Z');
    expect(await read(id, '2031-02')).toMatchObject({
      requests: 0,
      rows: 0,
      refusals: [],
      days: [],
      latency: null,
      logIndex: null,
      from: new Date('2031-02-01T00:00:00Z'),
      until: new Date('2031-03-01T00:00:00Z'),
      // A flush may be under way.
      isFinal: false,
      versions: [{ version: 1, rows: 0, isLatencyKept: null, isAvailabilityKept: null, creditMinorUnits: 0 }],
      amounts: [{ currency: 'EUR', minorUnits: 0, creditMinorUnits: 0, dueMinorUnits: 0 }],
    });
    await at('2031-03-01T00:02:00Z');
    expect((await read(id, '2031-02')).isFinal).toBe(true);
    const free = await agree({ price: null });
    expect(await read(free, '2031-01')).toMatchObject({ amounts: [], versions: [{ price: null, minorUnits: null }] });
  });

  it('is of the months in which the agreement stood, and of no month to come', async () => {
    const id = await agree();
    const unsigned = await world.agreements.offer(provider, {
      endpointId,
      consumerTenantId: consumer.tenantId,
      terms: terms(),
    });
    await at('2031-04-10T06:00:00Z');
    expect(await read(id, '2031-01')).toMatchObject({ from: new Date(PERIOD.from), isFinal: true });
    expect(await read(id, '2031-04')).toMatchObject({ until: new Date(PERIOD.until), isFinal: false });
    await world.agreements.terminate(provider, id);
    await world.agreements.recordExpired(scopeOf);
    const { until } = await read(id, '2031-04');
    expect(Math.abs(until.getTime() - Date.parse('2031-04-10T06:00:00Z'))).toBeLessThan(60_000);
    for (const month of ['2030-12', '2031-05', '2031-13', '2031-4', '2031-04-01', ''])
      expect(await codeOf(statements.read(consumer, id, month)), month).toBe('INVALID_INPUT');
    expect(await codeOf(statements.read(provider, unsigned.id, '2031-04'))).toBe('INVALID_INPUT');
    const stranger = await makeTenant(world.db, 'Stranger');
    expect(await codeOf(statements.read(stranger, id, '2031-04'))).toBe('NOT_FOUND');
  });

  it('follows an amendment into another currency', async () => {
    const id = await agree();
    await at('2031-02-10T00:00:00Z');
    await ask(id, 100);
    await world.agreements.amend(
      consumer,
      id,
      terms({
        price: { currency: 'CHF', minorUnitsPerThousandRows: 5 },
        delivery: { ...DELIVERY, creditBasisPoints: 1 },
      }),
    );
    for (const party of [provider, consumer]) await world.agreements.sign(party, { agreementId: id, version: 2 });
    await ask(id, 100, { version: 2 });
    await ask(id, 3, { version: 2, refusal: 'PURPOSE_NOT_ALLOWED' });
    const { amounts, csv, latency, versions } = await read(id, '2031-02');
    expect(amounts.map((one) => [one.currency, one.dueMinorUnits])).toEqual([
      ['CHF', 1],
      ['EUR', 125],
    ]);
    expect(latency).not.toBeNull();
    const us = versions.map((one) => Object.values(one.latency!).join(','));
    expect(csv.split('\r\n')).toEqual([
      'line,day,version,code,requests,rows,p50Us,p95Us,p99Us,currency,minorUnits',
      'USAGE,2031-02-10,1,ANSWERED,1,100,,,,,',
      'USAGE,2031-02-10,2,ANSWERED,1,100,,,,,',
      'USAGE,2031-02-10,2,PURPOSE_NOT_ALLOWED,1,3,,,,,',
      `AMOUNT,,1,,1,100,${us[0]},EUR,125`,
      'CREDIT,,1,,,,,,,EUR,0',
      `AMOUNT,,2,,1,100,${us[1]},CHF,1`,
      'CREDIT,,2,,,,,,,CHF,0',
      'DUE,,,,,,,,,CHF,1',
      'DUE,,,,,,,,,EUR,125',
      '',
    ]);
  });
});

interface Settlement {
  readonly rows: number;
  readonly meteredRows: number;
  readonly endedAt: string;
  readonly logIndex: { readonly first: number; readonly last: number };
  readonly months: readonly {
    readonly month: string;
    readonly digestHex: string;
    readonly rows: number;
    readonly amounts: object[];
  }[];
  readonly versions: readonly {
    readonly rows: number;
    readonly minorUnits: number | null;
    readonly creditMinorUnits: number | null;
  }[];
  readonly amounts: readonly {
    currency: string;
    minorUnits: number;
    creditMinorUnits: number;
    dueMinorUnits: number;
  }[];
}

describe('a settlement', () => {
  const settlementOf = async (id: string): Promise<Settlement> => {
    const [ours, theirs] = await Promise.all([provider, consumer].map((scope) => world.agreements.get(scope, id)));
    expect(ours!.settlement).toEqual(theirs!.settlement);
    return JSON.parse(ours!.settlement!.document) as Settlement;
  };

  it('is the sum of the statements, credits among it, to the cent', async () => {
    const rng = new Rng(11);
    const delivery = { ...DELIVERY, p95LatencyMs: 1000, creditBasisPoints: 777 };
    const id = await agree({ delivery, price: { currency: 'EUR', minorUnitsPerThousandRows: 333 } });
    const use = async (count: number, asked: Asked = {}) => {
      for (let i = 0; i < count; i++) await ask(id, 1 + rng.below(999), asked);
    };
    await at('2031-01-20T00:00:00Z');
    await use(5);
    await at('2031-02-03T00:00:00Z');
    await use(5, { tookMs: 3000 });
    await at('2031-03-07T00:00:00Z');
    await use(5, { tookMs: 3000 });
    const price = { currency: 'CHF', minorUnitsPerThousandRows: 1777 };
    await world.agreements.amend(provider, id, terms({ price, delivery: { ...DELIVERY, creditBasisPoints: 5000 } }));
    for (const party of [provider, consumer]) await world.agreements.sign(party, { agreementId: id, version: 2 });
    await use(5, { version: 2 });
    await use(2, { version: 2, refusal: 'ENDPOINT_NOT_READY' });
    await at('2031-04-02T10:00:00Z');
    await use(3, { version: 2 });
    await world.agreements.terminate(consumer, id);
    const before = await Promise.all(['2031-01', '2031-02', '2031-03'].map((month) => read(id, month)));
    await world.agreements.settle(provider, id);
    const settled = await settlementOf(id);
    // What comes now is refused, recorded, and changes nothing.
    await ask(id, 10, { version: 2, refusal: 'ENDPOINT_NOT_READY' });
    expect((await ask(id, 10, { version: 2 })).refusal).toBe('AGREEMENT_NOT_IN_FORCE');
    const months = ['2031-01', '2031-02', '2031-03', '2031-04'];
    const stated: Statement[] = [];
    for (const month of months) stated.push(await read(id, month));
    expect(stated.every(({ isFinal }) => isFinal)).toBe(true);
    expect(stated.slice(0, 3).map(({ amounts }) => amounts)).toEqual(before.map(({ amounts }) => amounts));
    expect(settled.months.map(({ month, digestHex, rows, amounts }) => ({ month, digestHex, rows, amounts }))).toEqual(
      stated.map(({ month, digestHex, rows, amounts }) => ({ month, digestHex, rows, amounts })),
    );
    expect(settled.logIndex).toEqual({ first: stated[0]!.logIndex!.first, last: stated[3]!.logIndex!.last });
    const sum = (of: (statement: Statement) => number) => stated.reduce((all, one) => all + of(one), 0);
    expect([settled.rows, settled.meteredRows]).toEqual([sum(({ rows }) => rows), sum(({ rows }) => rows)]);
    expect(settled.meteredRows).toBe((await usage.allowance(consumer, id)).rowsTotal);
    for (const one of settled.amounts) {
      const figure = (name: 'minorUnits' | 'creditMinorUnits' | 'dueMinorUnits') =>
        sum(({ amounts }) => amounts.find(({ currency }) => currency === one.currency)?.[name] ?? 0);
      expect(one.minorUnits).toBe(figure('minorUnits'));
      expect(one.creditMinorUnits).toBe(figure('creditMinorUnits'));
      expect(one.dueMinorUnits).toBe(figure('dueMinorUnits'));
      expect(one.creditMinorUnits).toBeGreaterThan(0);
    }
    expect(settled.amounts.map(({ currency }) => currency)).toEqual(['CHF', 'EUR']);
    expect(settled.versions.map(({ minorUnits, creditMinorUnits }) => [minorUnits, creditMinorUnits])).toEqual(
      settled.amounts.map(({ minorUnits, creditMinorUnits }) => [minorUnits, creditMinorUnits]).reverse(),
    );
    // By hand: 333 cents for 1,000 rows, rounded by month; 7.77 per cent of what February and March came to.
    const cents = stated.map(({ versions }) =>
      Math.floor(((versions.find((v) => v.version === 1)?.rows ?? 0) * 333) / 1000 + 0.5),
    );
    const credits = cents.slice(1).map((amount) => Math.floor((amount * 777) / 10_000 + 0.5));
    const [minorUnits, creditMinorUnits] = [cents, credits].map((list) => list.reduce((a, b) => a + b, 0));
    const euro = { currency: 'EUR', minorUnits, creditMinorUnits, dueMinorUnits: minorUnits! - creditMinorUnits! };
    expect(settled.amounts[1]).toEqual(euro);
  });

  it('of an agreement that ended before it began, or was never used, is zeros', async () => {
    const id = await agree();
    await world.agreements.terminate(provider, id);
    await world.agreements.settle(provider, id);
    expect(await settlementOf(id)).toMatchObject({ rows: 0, meteredRows: 0, months: [], amounts: [], logIndex: null });
    expect(await codeOf(statements.read(provider, id, '2031-01'))).toBe('INVALID_INPUT');
    const unused = await agree();
    await at('2031-04-20T00:00:01Z');
    await world.agreements.recordExpired(scopeOf);
    const { months, amounts, endedAt } = await settlementOf(unused);
    expect(endedAt).toBe(PERIOD.until);
    expect(months.map(({ month }) => month)).toEqual(['2031-01', '2031-02', '2031-03', '2031-04']);
    for (const { month, digestHex } of months) expect((await read(unused, month)).digestHex).toBe(digestHex);
    expect(amounts).toEqual([{ currency: 'EUR', minorUnits: 0, creditMinorUnits: 0, dueMinorUnits: 0 }]);
  });
});

import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inTenant } from '../../src/platform/db.js';
import { newId } from '../../src/platform/ids.js';
import type { Scope } from '../../src/platform/scope.js';
import { type Entry, type LedgerService, newPredictionId } from '../../src/domain/metering/ledger.service.js';
import { escapedReceipt, leafHashOf, receiptOf } from '../../src/domain/metering/receipt.js';
import { contentOf, PREDICTION_COLUMNS, type PredictionRow } from '../../src/domain/audit/prediction.js';
import { UsageService } from '../../src/domain/metering/usage.service.js';
import type { Terms } from '../../src/domain/agreements/agreement.service.js';
import { faultOf } from './receipt-check.js';
import { codeOf, makeEndpoint, makeTenant, makeWorld, termsFor, type World } from './agreement-support.js';

let world: World;
let ledger: LedgerService;
let usage: UsageService;
let provider: Scope;
let consumer: Scope;
let endpointId: string;

beforeAll(async () => {
  world = await makeWorld();
  ledger = await world.openLedger();
  usage = new UsageService(world);
  provider = await makeTenant(world.db, 'Provider');
  consumer = await makeTenant(world.db, 'Consumer');
  endpointId = await makeEndpoint(world.db, provider);
});
afterAll(() => world.close());

async function agree(change: Partial<Terms> = {}): Promise<string> {
  const terms = termsFor(change);
  const { id } = await world.agreements.offer(provider, { endpointId, consumerTenantId: consumer.tenantId, terms });
  await world.agreements.sign(provider, id);
  await world.agreements.sign(consumer, id);
  return id;
}

type Change = Omit<Partial<Entry>, 'facts'> & { readonly facts?: Partial<Entry['facts']> };

function entry(agreementId: string | null, rowCount: number, change: Change = {}): Entry {
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
      agreement: agreementId === null ? null : { id: agreementId, version: 1, documentDigest: '0'.repeat(64) },
      model: { versionId: 'mdv_1', digest: '1'.repeat(64) },
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

const ask = (agreementId: string | null, rowCount: number, change: Change = {}) =>
  ledger.record(consumer, entry(agreementId, rowCount, change));

async function counters(agreementId: string) {
  const [row] = await inTenant(world.db, provider, (tx) =>
    tx.query<{ today: number; total: number; used: number }[]>(
      `select rows_today as today, rows_total as total, (select coalesce(sum(row_count), 0)::bigint
         from prediction_entry e join prediction_context c on c.id = e.context_id where c.agreement_id = m.agreement_id and e.code = 0) as used from agreement_meter m where agreement_id = $1`,
      [agreementId],
    ),
  );
  return row!;
}

describe('the ledger', () => {
  it('admits 200 concurrent callers up to the limit, none more, none refused wrongly', async () => {
    const id = await agree({ rowsPerDay: 500, rowsInTotal: null });
    const sizes = Array.from({ length: 200 }, (_, i) => 1 + ((i * 7) % 9));
    const posted = await Promise.all(sizes.map((rows) => ask(id, rows)));
    // In the order of arrival, each whole or not at all: exactly what a sequential reading of the requests gives.
    let used = 0;
    const expected = sizes.map((rows) => used + rows <= 500 && ((used += rows), true));
    expect(posted.map((p) => p.refusal === null)).toEqual(expected);
    expect(new Set(posted.map((p) => p.refusal))).toEqual(new Set([null, 'QUOTA_DAY_EXCEEDED']));
    expect(used).toBe(500);
    expect(await counters(id)).toEqual({ today: used, total: used, used });
  });

  it('holds the total before the day, so that nobody waits for a day that will not help', async () => {
    const id = await agree({ rowsPerDay: 10, rowsInTotal: 10 });
    expect((await ask(id, 11)).refusal).toBe('QUOTA_TOTAL_EXCEEDED');
    expect(await ask(id, 10)).toMatchObject({ refusal: null });
    expect(await ask(id, 1)).toMatchObject({ refusal: 'QUOTA_TOTAL_EXCEEDED', detail: '0' });
  });

  it('counts a new UTC day anew, and the total on', async () => {
    const id = await agree({ rowsPerDay: 10, rowsInTotal: 15 });
    await ask(id, 10);
    expect((await ask(id, 1)).refusal).toBe('QUOTA_DAY_EXCEEDED');
    await world.db.ledger.query(`update agreement_meter set day = day - 1 where agreement_id = $1`, [id]);
    expect(await ask(id, 6)).toMatchObject({ refusal: 'QUOTA_TOTAL_EXCEEDED', detail: '5' });
    expect((await ask(id, 5)).refusal).toBeNull();
  });

  it('keeps many agreements apart in one flush, with indices that have no gap', async () => {
    const ids = await Promise.all([agree({ rowsInTotal: 3 }), agree({ rowsInTotal: 5 }), agree({ rowsInTotal: null })]);
    const posted = await Promise.all(Array.from({ length: 30 }, (_, i) => ask(ids[i % 3]!, 1)));
    const admitted = ids.map((_, k) => posted.filter((p, i) => i % 3 === k && p.refusal === null).length);
    expect(admitted).toEqual([3, 5, 10]);
    const { rows } = await world.db.ledger.query<{ n: number; top: number; next: number }>(
      `select count(*) as n, max(log_index) as top, (select next_index from audit_log) as next
       from (select log_index from audit_entry union all select log_index from prediction_entry) entry`,
    );
    expect(rows[0]!.n).toBe(rows[0]!.top + 1);
    expect(rows[0]!.next).toBe(rows[0]!.n);
    expect(new Set(posted.map((p) => p.entry.index)).size).toBe(30);
  });

  it('two writers do not deadlock nor overdraw', async () => {
    const ids = await Promise.all(Array.from({ length: 6 }, () => agree({ rowsInTotal: 50 })));
    const second = await world.openLedger();
    const posted = await Promise.all(
      Array.from({ length: 600 }, (_, i) => (i % 2 ? ledger : second).record(consumer, entry(ids[(i * 5) % 6]!, 1))),
    );
    expect(posted.filter((p) => p.refusal === null)).toHaveLength(300);
    for (const id of ids) expect(await counters(id)).toEqual({ today: 50, total: 50, used: 50 });
  });

  it('refuses at once after a suspension, and again admits after the resumption', async () => {
    const id = await agree();
    const before = Promise.all(Array.from({ length: 50 }, () => ask(id, 1)));
    const suspended = world.agreements.suspend(provider, id);
    await suspended;
    await before;
    expect(await ask(id, 1)).toMatchObject({ refusal: 'AGREEMENT_NOT_IN_FORCE', detail: 'SUSPENDED' });
    await world.agreements.resume(provider, id);
    expect((await ask(id, 1)).refusal).toBeNull();
    await world.agreements.terminate(consumer, id);
    expect(await ask(id, 1)).toMatchObject({ refusal: 'AGREEMENT_NOT_IN_FORCE', detail: 'TERMINATED' });
  });

  it('holds the period by the database’s time', async () => {
    const soon = (ms: number) => new Date(Date.now() + ms).toISOString();
    const early = await agree({ period: { from: soon(60_000), until: soon(120_000) } });
    expect(await ask(early, 1)).toMatchObject({ refusal: 'AGREEMENT_NOT_IN_FORCE', detail: 'NOT_YET' });
    const short = await agree({ period: { from: soon(-1000), until: soon(700) } });
    expect((await ask(short, 1)).refusal).toBeNull();
    await delay(800);
    expect(await ask(short, 1)).toMatchObject({ refusal: 'AGREEMENT_NOT_IN_FORCE', detail: 'EXPIRED' });
  });

  it('is not fooled by an agreement of others, of another endpoint, or of nobody', async () => {
    const id = await agree();
    const other = await makeEndpoint(world.db, provider);
    expect((await ask(id, 1, { facts: { endpointId: other } })).refusal).toBe('AGREEMENT_NOT_IN_FORCE');
    const stranger = await makeTenant(world.db, 'Stranger');
    expect((await ledger.record(stranger, entry(id, 1))).refusal).toBe('AGREEMENT_NOT_IN_FORCE');
    expect((await ask(newId('agreement'), 1)).refusal).toBe('AGREEMENT_NOT_IN_FORCE');
    const { id: unsigned } = await world.agreements.offer(provider, {
      endpointId,
      consumerTenantId: consumer.tenantId,
      terms: termsFor(),
    });
    expect(await ask(unsigned, 1)).toMatchObject({ refusal: 'AGREEMENT_NOT_IN_FORCE', detail: 'OFFERED' });
  });

  it('refuses a key revoked in flight, and an unknown one', async () => {
    const id = await agree();
    const [application, key] = [newId('application'), newId('apiKey')];
    await inTenant(world.db, consumer, async (tx) => {
      await tx.query(`insert into application values ($1, $2, 'a', now())`, [application, consumer.tenantId]);
      await tx.query(
        `insert into api_key values ($1, $2, $3, 'k', $4, 'h', '{prediction:create}', now(), now() + interval '1 hour', null)`,
        [key, consumer.tenantId, application, createHash('sha256').update(key).digest()],
      );
    });
    const by = (keyId: string): Scope => ({ ...consumer, actor: { kind: 'APPLICATION', id: application, keyId } });
    expect((await ledger.record(by(key), entry(id, 1))).refusal).toBeNull();
    expect((await ledger.record(by(newId('apiKey')), entry(id, 1))).refusal).toBe('UNAUTHENTICATED');
    await inTenant(world.db, consumer, (tx) => tx.query(`update api_key set revoked_at = now() where id = $1`, [key]));
    expect((await ledger.record(by(key), entry(id, 1))).refusal).toBe('UNAUTHENTICATED');
    expect((await counters(id)).used).toBe(1);
  });

  it('records refusals without charging, and gives receipts that anyone with the key can verify', async () => {
    const id = await agree();
    const salt = randomBytes(16);
    const posted = await Promise.all([
      ask(id, 7, { refusal: 'PURPOSE_NOT_ALLOWED', facts: { purpose: 'a "code":null trap\\' } }),
      ask(id, 2),
      ask(id, 3),
    ]);
    expect(posted.map((p) => p.refusal)).toEqual(['PURPOSE_NOT_ALLOWED', null, null]);
    expect((await counters(id)).used).toBe(5);
    for (const one of posted) {
      const receipt = receiptOf(one, salt.toString('hex'));
      const within = JSON.parse(`"${escapedReceipt(one, salt.toString('hex'))}"`) as string;
      expect(JSON.parse(within)).toEqual(receipt);
      const { rows } = await world.db.ledger.query<{ public_key: Buffer }>(
        `select public_key from log_key where origin = $1 and id = $2`,
        [receipt.origin, receipt.batch.keyId],
      );
      expect(faultOf(receipt, rows[0]!.public_key)).toBeNull();
      const swapped = { ...receipt, entry: { ...receipt.entry, rowCount: 1 } };
      expect(faultOf(swapped, rows[0]!.public_key)).toBe('the signature');
      expect(leafHashOf(one)).toHaveLength(32);
    }
    expect(posted[0]!.context.document['purpose']).toBe('a "code":null trap\\');
    expect(posted[0]!.entry).toMatchObject({ code: 'PURPOSE_NOT_ALLOWED', inputDigest: null, outputDigest: null });
    // What the database has is what was signed.
    const { rows } = await world.db.ledger.query<PredictionRow>(
      `select ${PREDICTION_COLUMNS} from prediction_entry e join prediction_context c on c.id = e.context_id
       where c.agreement_id = $1 order by e.log_index`,
      [id],
    );
    expect(rows.map(contentOf)).toEqual(posted.map((p) => p.entry));
  });

  it('gives both parties the same figures, and strangers none', async () => {
    const id = await agree({ rowsPerDay: 10 });
    await Promise.all([ask(id, 4), ask(id, 6), ask(id, 1), ask(id, 3, { refusal: 'INPUT_INVALID' })]);
    const [ours, theirs] = await Promise.all(
      [provider, consumer].map((scope) => usage.read(scope, id, { until: new Date(Date.now() + 1000) })),
    );
    expect({ ...ours, from: 0, until: 0 }).toEqual({ ...theirs, from: 0, until: 0 });
    expect(ours).toMatchObject({
      requests: 2,
      rows: 10,
      refusals: [
        { code: 'INPUT_INVALID', requests: 1 },
        { code: 'QUOTA_DAY_EXCEEDED', requests: 1 },
      ],
    });
    expect(await usage.allowance(provider, id)).toEqual({
      rowsToday: 10,
      rowsThisMonth: 10,
      rowsTotal: 10,
      rowsReserved: 0,
      rowsLeftToday: 0,
      rowsLeftThisMonth: null,
      rowsLeftInTotal: 4990,
      privacyBudgetLeftMilli: null,
    });
    const stranger = await makeTenant(world.db, 'Stranger');
    expect(await codeOf(usage.read(stranger, id, {}))).toBe('NOT_FOUND');
    expect(await codeOf(usage.allowance(stranger, id))).toBe('NOT_FOUND');
  });

  it('records a tenant’s own use in the same way', async () => {
    expect(await ledger.record(provider, entry(null, 3))).toMatchObject({ refusal: null });
  });
});

describe('the app’s role', () => {
  it('can neither flush nor write entries', async () => {
    const attempt = (text: string) => codeOf(inTenant(world.db, provider, (tx) => tx.query(text)));
    expect(await attempt(`select ledger_flush('{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', null, null)`)).toBe(
      '42501',
    );
    expect(await attempt(`insert into audit_entry select * from audit_entry limit 1`)).toBe('42501');
    expect(await attempt(`update audit_entry set row_count = 0`)).toBe('42501');
    expect(await attempt(`update prediction_entry set row_count = 0`)).toBe('42501');
    expect(await attempt(`insert into prediction_context (tenant_id) values (null)`)).toBe('42501');
    expect(await attempt(`select ledger_extend()`)).toBe('42501');
    expect(await attempt(`select * from dpop_proof`)).toBe('42501');
  });
});

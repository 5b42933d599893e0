import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ENTITIES } from '../../src/app.js';
import { verifyAuditLog } from '../../src/cli/audit-verify.js';
import { type LedgerService, newPredictionId } from '../../src/domain/metering/ledger.service.js';
import { type Db, openDb, roleUrl } from '../../src/platform/db.js';
import { newId } from '../../src/platform/ids.js';
import { makeScope } from '../../src/platform/scope.js';
import { openTestLedger } from '../domain/agreement-support.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

let database: TestDatabase;
let db: Db;
let ledger: LedgerService;
let closeLedger: () => Promise<void>;
beforeAll(async () => {
  database = await createTestDatabase();
  db = await openDb({ ...database, entities: ENTITIES });
  ({ ledger, close: closeLedger } = await openTestLedger(db, database.masterKey));
});
afterAll(async () => {
  await closeLedger();
  await db.close();
  await database.drop();
});

const verify = () => verifyAuditLog(roleUrl(database.databaseUrl, database.masterKey, 'concordat_ledger'));

it('finds usage that was changed beside the hashed content', async () => {
  const tenantId = newId('tenant');
  const scope = makeScope({
    tenantId,
    actor: { kind: 'MEMBER', id: newId('account') },
    permissions: new Set(),
    requestId: 'req',
    signal: new AbortController().signal,
  });
  const request = {
    facts: {
      providerTenantId: tenantId,
      endpointId: newId('endpoint'),
      agreement: null,
      model: { versionId: newId('modelVersion'), digest: null },
      purpose: null,
      disclosure: { kind: 'FULL' },
      door: 'GRAPHQL',
      region: 'local',
      declaredRegion: null,
      deviceId: null,
    },
    isRepeatable: false,
    proof: null,
    startedAt: performance.now(),
    rowCount: 10,
    refusal: null,
    commitments: { inputDigest: Buffer.alloc(32, 1), outputDigest: Buffer.alloc(32, 2) },
  };
  await ledger.record(scope, { ...request, predictionId: newPredictionId() });
  await ledger.record(scope, { ...request, predictionId: newPredictionId(), refusal: 'INPUT_INVALID' });
  const before = await verify();
  expect(before).toMatchObject({ sound: true, size: 2 });
  const owner = new pg.Client(database.databaseUrl);
  await owner.connect();
  try {
    const context = (id: number) => `(select context_id from prediction_entry where log_index = ${id})`;
    for (const [index, change, back] of [
      [0, `agreement_id = 'x'`, 'agreement_id = null'],
      [0, `counterparty_tenant_id = 'x'`, 'counterparty_tenant_id = null'],
      [1, `purpose = 'CREDIT'`, 'purpose = null'],
    ] as const) {
      await owner.query(`update prediction_context set ${change} where id = ${context(index)}`);
      expect(await verify(), change).toMatchObject({ sound: false });
      await owner.query(`update prediction_context set ${back} where id = ${context(index)}`);
    }
    // Of an entry there is nothing but the columns: another root tells.
    for (const [index, change, back] of [
      [0, 'row_count = 9', 'row_count = 10'],
      [1, 'code = 25', 'code = 24'],
      [0, `output_digest = input_digest`, `output_digest = decode('${'02'.repeat(32)}', 'hex')`],
      [1, `at = at + interval '1 ms'`, `at = at - interval '1 ms'`],
    ] as const) {
      await owner.query(`update prediction_entry set ${change} where log_index = ${index}`);
      expect(await verify(), change).not.toEqual(before);
      await owner.query(`update prediction_entry set ${back} where log_index = ${index}`);
    }
    await owner.query(`update prediction_entry set code = 19 where log_index = 1`);
    expect(await verify()).toMatchObject({ sound: false, index: 1 });
    await owner.query(`update prediction_entry set code = 24 where log_index = 1`);
    expect(await verify()).toEqual(before);
  } finally {
    await owner.end();
  }
});

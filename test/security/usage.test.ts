import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ENTITIES } from '../../src/app.js';
import { verifyAuditLog } from '../../src/cli/audit-verify.js';
import { LedgerService } from '../../src/domain/metering/ledger.service.js';
import { type Db, openDb, roleUrl } from '../../src/platform/db.js';
import { newId } from '../../src/platform/ids.js';
import { makeLog } from '../../src/platform/log.js';
import { makeScope } from '../../src/platform/scope.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

let database: TestDatabase;
let db: Db;
let ledger: LedgerService;
beforeAll(async () => {
  database = await createTestDatabase();
  db = await openDb({ ...database, entities: ENTITIES });
  ledger = new LedgerService(db.ledger, makeLog('silent', 'test'));
});
afterAll(async () => {
  await ledger.close();
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
    providerTenantId: tenantId,
    endpointId: newId('endpoint'),
    agreementId: null,
    modelVersionId: newId('modelVersion'),
    purpose: null,
    rowCount: 10,
    refusal: null,
    commitments: { disclosure: 'FULL', inputDigest: 'i', outputDigest: 'o' },
  };
  await ledger.record(scope, { ...request, predictionId: newId('prediction') });
  await ledger.record(scope, { ...request, predictionId: newId('prediction'), refusal: 'INPUT_INVALID' });
  expect(await verify()).toMatchObject({ sound: true, size: 2 });
  const owner = new pg.Client(database.databaseUrl);
  await owner.connect();
  try {
    for (const [index, change, back] of [
      [0, 'row_count = 9', 'row_count = 10'],
      [0, `refusal_code = 'INPUT_INVALID'`, 'refusal_code = null'],
      [0, `agreement_id = 'x'`, 'agreement_id = null'],
      [0, `counterparty_tenant_id = 'x'`, 'counterparty_tenant_id = null'],
      [1, 'refusal_code = null', `refusal_code = 'INPUT_INVALID'`],
    ] as const) {
      await owner.query(`update audit_entry set ${change} where log_index = ${index}`);
      expect(await verify(), change).toMatchObject({ sound: false, index });
      await owner.query(`update audit_entry set ${back} where log_index = ${index}`);
    }
    expect(await verify()).toMatchObject({ sound: true });
  } finally {
    await owner.end();
  }
});

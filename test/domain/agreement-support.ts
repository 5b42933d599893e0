import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, type Clock } from '../../src/platform/clock.js';
import { inPlatform, inTenant, openDb, type Db } from '../../src/platform/db.js';
import { newId } from '../../src/platform/ids.js';
import { KeyRing } from '../../src/platform/keys.js';
import { PERMISSIONS, type Permission } from '../../src/platform/permissions.js';
import { makeScope, type Scope } from '../../src/platform/scope.js';
import { ENTITIES } from '../../src/app.js';
import { AgreementService, type Terms } from '../../src/domain/agreements/agreement.service.js';
import type { Agreement } from '../../src/domain/agreements/view.js';
import { DatasetService } from '../../src/domain/datasets/dataset.service.js';
import { SplitService } from '../../src/domain/datasets/split.service.js';
import { BlobStore } from '../../src/platform/blobs.js';
import { Licensing } from '../../src/domain/agreements/licensing.js';
import { type Hand, SigningKeyService } from '../../src/domain/agreements/signing-key.service.js';
import { DEFAULT_TERMS } from '../../src/domain/agreements/terms.js';
import pg from 'pg';
import { LogKeys } from '../../src/domain/audit/log-key.service.js';
import { offeredEndpoints } from '../../src/domain/serving/endpoint.service.js';
import { LedgerService } from '../../src/domain/metering/ledger.service.js';
import { settledStatements } from '../../src/domain/metering/statement.service.js';
import { makeLog } from '../../src/platform/log.js';
import { RecentEntries } from '../../src/domain/audit/recent-entries.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

/** A clock that tests turn. */
export class TestClock implements Clock {
  offsetMs = 0;
  now(): Date {
    return new Date(systemClock.now().getTime() + this.offsetMs);
  }
}

export interface World {
  readonly db: Db;
  readonly database: TestDatabase;
  readonly clock: TestClock;
  readonly agreements: TestAgreements;
  readonly signingKeys: SigningKeyService;
  /** A ledger of its own, as one replica has it. */
  openLedger(): Promise<LedgerService>;
  /** Removes the database. */
  close(): Promise<void>;
}

/** Signs by an id alone, with the key that the platform keeps: the password is a matter of the tests of accounts. */
export class TestAgreements extends AgreementService {
  override sign(
    scope: Scope,
    what: string | { agreementId: string; version?: number | null },
    hand: Hand = BY_WORD,
  ): Promise<Agreement> {
    return super.sign(scope, typeof what === 'string' ? { agreementId: what } : what, hand);
  }
}
const account = { accountId: '', sessionId: '', email: '', name: '', operator: false, memberships: [] };
const BY_WORD: Hand = { custody: 'CUSTODIAL', person: { account, address: '' }, password: '' };

/** A database of its own with the agreement service; endpoints are bare rows. */
export async function makeWorld(): Promise<World> {
  const database = await createTestDatabase();
  const db = await openDb({ databaseUrl: database.databaseUrl, masterKey: database.masterKey, entities: ENTITIES });
  const clock = new TestClock();
  const keys = new KeyRing(database.masterKey);
  await forgetLineage(database.databaseUrl);
  const opened: (() => Promise<void> | void)[] = [];
  const openLedger = async () => {
    const made = await openTestLedger(db, database.masterKey);
    opened.push(made.close);
    return made.ledger;
  };
  const close = async () => {
    for (const one of opened) await one();
    await db.close();
    await database.drop();
  };
  const blobs = new BlobStore(tmpdir(), keys);
  const datasets = new DatasetService(db, clock, blobs);
  const splits = new SplitService(db, clock, blobs, datasets);
  const accounts = { confirmPassword: () => Promise.resolve() };
  const signingKeys = new SigningKeyService({ db, clock, keys, accounts });
  const parts = {
    keys: signingKeys,
    licensing: new Licensing({ endpoints: offeredEndpoints, datasets, splits }),
    statements: settledStatements,
  };
  const agreements = new TestAgreements({ db, clock, ...parts });
  return { db, database, clock, agreements, signingKeys, openLedger, close };
}

/** What the processes of a database share. */
const homes = new Map<string, string>();
process.on('exit', () => homes.forEach((home) => rmSync(home, { recursive: true, force: true })));
function homeOf({ ledgerUrl }: Db): string {
  const home = homes.get(ledgerUrl) ?? mkdtempSync(join(tmpdir(), 'concordat-test-'));
  homes.set(ledgerUrl, home);
  return home;
}

/** A ledger that signs with keys of the log. */
export async function openTestLedger(
  db: Db,
  masterKey: Buffer,
): Promise<{ ledger: LedgerService; close(): Promise<void> }> {
  const home = homeOf(db);
  const log = makeLog('silent', 'test');
  const place = { home, publicUrl: 'https://concordat.example', port: 4000 };
  const signer = await LogKeys.open({ pool: db.ledger, masterKey, ...place, clock: systemClock, log, listener: null });
  const ledger = new LedgerService({ pool: db.ledger, signer, recent: new RecentEntries(), log });
  const close = async () => {
    await ledger.close();
    signer.close();
  };
  return { ledger, close };
}

/** In this database, endpoints and versions need no lineage: tests of serving begin with a model. */
export async function forgetLineage(databaseUrl: string): Promise<void> {
  const owner = new pg.Client(databaseUrl);
  await owner.connect();
  await owner.query(`do $$ declare c record; begin
    for c in select conrelid::regclass as target, conname from pg_constraint
      where contype = 'f' and conrelid in ('model_version'::regclass, 'endpoint'::regclass) and confrelid <> 'tenant'::regclass loop
      execute format('alter table %s drop constraint %I', c.target, c.conname);
    end loop; end $$`);
  await owner.end();
}

export function scopeOf(tenantId: string, permissions = Object.keys(PERMISSIONS) as Permission[]): Scope {
  return makeScope({
    tenantId,
    actor: { kind: 'MEMBER', id: newId('account') },
    permissions: new Set(permissions),
    requestId: newId('request'),
    signal: new AbortController().signal,
  });
}

export async function makeTenant(db: Db, name: string): Promise<Scope> {
  const id = newId('tenant');
  await inPlatform(db, (tx) => tx.query(`insert into tenant (id, name) values ($1, $2)`, [id, name]));
  return scopeOf(id);
}

export async function makeEndpoint(db: Db, scope: Scope, task = 'binary'): Promise<string> {
  const id = newId('endpoint');
  await inTenant(db, scope, (tx) =>
    tx.query(
      `insert into endpoint (id, tenant_id, name, model_version_id, signature, created_at, routed_at) values ($1, $2, $1, $3, $4, now(), now())`,
      [id, scope.tenantId, newId('modelVersion'), JSON.stringify({ task, classes: ['no', 'yes'], inputs: [] })],
    ),
  );
  return id;
}

export function termsFor(change: Partial<Terms> = {}): Terms {
  const now = Date.now();
  return {
    ...DEFAULT_TERMS,
    purposes: ['CREDIT'],
    period: { from: new Date(now - 60_000).toISOString(), until: new Date(now + 86_400_000).toISOString() },
    rowsPerDay: 1000,
    rowsInTotal: 5000,
    disclosure: { kind: 'SCORES', digits: 2 },
    ...change,
  };
}

export async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  return promise.then(
    () => undefined,
    (error: unknown) => (error as { code?: string }).code ?? String(error),
  );
}

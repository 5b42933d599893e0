import 'reflect-metadata';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect } from 'vitest';
import { startApi } from '../../src/api/server.js';
import { type App, openApp } from '../../src/app.js';
import { type Config, loadConfig } from '../../src/config.js';
import { ensureOperator } from '../../src/domain/tenants/account.service.js';
import type { Clock } from '../../src/platform/clock.js';
import type { Role } from '../../src/platform/permissions.js';
import { type Client, makeClient } from './client.js';
import { createTestDatabase, type TestDatabase } from './database.js';
import { watchStatements } from './statements.js';

export const PASSWORD = 'correct horse battery';

/** A clock that tests move. It begins with the present and goes on by itself. */
export class TestClock implements Clock {
  private aheadMs = 0;
  now(): Date {
    return new Date(Date.now() + this.aheadMs);
  }
  forward(ms: number): void {
    this.aheadMs += ms;
  }
}

export interface TestTenant {
  readonly id: string;
  readonly name: string;
  /** Signed in as the owner, in this tenant. */
  readonly owner: Client;
  readonly ownerEmail: string;
  /** A new member of this role, signed in. */
  member(role: Role): Promise<Client>;
  /** A new application with a key of these permissions (such as PREDICTION_CREATE). */
  application(permissions?: string[]): Promise<{ id: string; keyId: string; key: string; client: Client }>;
}

export interface TestApi {
  readonly app: App;
  readonly database: TestDatabase;
  readonly clock: TestClock;
  /** Statements on tenants' tables that did not name their tenant: none, when it is closed. */
  readonly forgotten: string[];
  readonly url: string;
  /** Nobody. */
  readonly client: Client;
  /** The operator's, signed in. */
  readonly operator: Client;
  tenant(name?: string): Promise<TestTenant>;
  close(): Promise<void>;
}

/** What this test file opened. Registered here, at import: a hook that is added while another one runs is never called. */
const opened: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const close of opened) await close();
});

/**
 * A real server over a database of its own, as role concordat_app. Closed after the test file, and then nothing of it may be
 * left: no connection to its database, no open handle that keeps the process alive.
 */
export async function startTestApi(settings: Partial<Config> = {}): Promise<TestApi> {
  const database = await createTestDatabase();
  const home = mkdtempSync(join(tmpdir(), 'concordat-test-'));
  const { databaseUrl, masterKey } = database;
  const env = {
    DATABASE_URL: databaseUrl,
    CONCORDAT_MASTER_KEY: masterKey.toString('hex'),
    CONCORDAT_HOME: home,
    LOG_LEVEL: 'error',
  };
  const clock = new TestClock();
  const config = { ...loadConfig(env), port: 0, ...settings };
  const app = await openApp(config, 'test', clock);
  const forgotten = await watchStatements(app.db.app);
  const api = await startApi(app);
  const client = makeClient(api.url);
  const credentials = (await ensureOperator(app.db, 'operator@example.com'))!;
  const operator = await signIn(client, credentials.email, credentials.password);
  let closed = false;
  const close = async () => {
    if (closed) return;
    closed = true;
    await api.close();
    await app.close();
    const left = await connectionsLeft(database);
    await database.drop();
    rmSync(home, { recursive: true, force: true });
    expect(forgotten, 'statements that do not name their tenant').toEqual([]);
    expect(left, 'connections to the database that nobody closed').toEqual([]);
  };
  opened.push(close);
  let count = 0;
  return {
    app,
    database,
    clock,
    forgotten,
    url: api.url,
    client,
    operator,
    tenant: (name) => makeTenant(operator, name ?? `Tenant ${++count}`),
    close,
  };
}

/** Signs in; the client carries the token. */
export async function signIn(client: Client, email: string, password = PASSWORD, tenantId?: string): Promise<Client> {
  const { token } = await client.mutate<{ token: string }>('signIn', { email, password }, 'token');
  return client.as(token, tenantId);
}

let people = 0;

export async function makeTenant(operator: Client, name: string): Promise<TestTenant> {
  const ownerEmail = `owner-${++people}@example.com`;
  const made = await operator.mutate<{ tenant: { id: string }; invitationToken: string }>(
    'createTenant',
    { name, ownerEmail },
    'tenant { id } invitationToken',
  );
  const { id } = made.tenant;
  const join = async (email: string, token: string) => {
    await operator
      .as(null)
      .mutate('acceptInvitation', { token, name: email.split('@')[0], password: PASSWORD }, 'tenantId');
    return signIn(operator.as(null), email, PASSWORD, id);
  };
  const owner = await join(ownerEmail, made.invitationToken);
  return {
    id,
    name,
    owner,
    ownerEmail,
    member: async (role) => {
      const email = `${role.toLowerCase()}-${++people}@example.com`;
      const invited = await owner.mutate<{ invitationToken: string }>(
        'inviteMember',
        { email, role },
        'invitationToken',
      );
      return join(email, invited.invitationToken);
    },
    application: async (permissions = ['PREDICTION_CREATE']) => {
      const { application } = await owner.mutate<{ application: { id: string } }>(
        'createApplication',
        { name: `Application ${++people}` },
        'application { id }',
      );
      const { apiKey, token } = await owner.mutate<{ apiKey: { id: string }; token: string }>(
        'createApiKey',
        { applicationId: application.id, name: 'Key', permissions },
        'apiKey { id } token',
      );
      return { id: application.id, keyId: apiKey.id, key: token, client: owner.as(token) };
    },
  };
}

async function connectionsLeft(database: TestDatabase): Promise<string[]> {
  const { default: pg } = await import('pg');
  const client = new pg.Client(database.databaseUrl);
  await client.connect();
  try {
    // A closed connection's backend takes a moment to leave.
    for (let attempt = 0; ; attempt++) {
      const { rows } = await client.query<{ application_name: string }>(
        `select application_name from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`,
      );
      if (rows.length === 0 || attempt === 20) return rows.map((row) => row.application_name);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  } finally {
    await client.end();
  }
}

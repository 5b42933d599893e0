import { createHmac } from 'node:crypto';
import pg from 'pg';
import { DataSource, type EntityManager, type MixedList, QueryFailedError } from 'typeorm';
import { AppError } from './errors.js';
import type { Scope } from './scope.js';
import { PLATFORM } from './scope.js';

// Counts and sizes are bigint in the database and stay below 2^53 by check constraints or by nature: numbers here.
pg.types.setTypeParser(pg.types.builtins.INT8, Number);

/** The login roles of the processes. What each may do is written in the migrations, beside the tables. */
export const ROLES = ['concordat_app', 'concordat_relay', 'concordat_gate', 'concordat_ledger'] as const;
export type DatabaseRole = (typeof ROLES)[number];

/**
 * The connections of one process. Services use `app` through `inTenant`; the others look across tenants, each in the one
 * way that its role allows, and no resolver can reach them.
 */
export interface Db {
  readonly app: DataSource;
  /** Outbox and job state. */
  readonly relay: pg.Pool;
  /** Credentials, agreements and endpoints, read only. */
  readonly gate: pg.Pool;
  /** The ledger's flush. */
  readonly ledger: pg.Pool;
  /** LISTEN connections are made from this one. */
  readonly listenUrl: string;
  /** The connection that integrates the log is made from this one. */
  readonly ledgerUrl: string;
  close(): Promise<void>;
}

declare const tenantTx: unique symbol;
/**
 * An open transaction with a tenant: only `inTenant` and `inPlatform` can make one. Every statement names the tenant itself
 * (`own(tx)`, `tenant_id = $n`); row-level security asks again.
 */
export type Tx = EntityManager & { readonly [tenantTx]: true; readonly tenantId: string };

/** The condition that a row is the tenant's own. */
export const own = (tx: Tx): { tenantId: string } => ({ tenantId: tx.tenantId });

/** One short transaction on behalf of `scope`; row-level security sees the tenant. Never waits for anything but the database. */
export function inTenant<T>(
  db: Pick<Db, 'app'>,
  scope: Pick<Scope, 'tenantId'>,
  work: (tx: Tx) => Promise<T>,
): Promise<T> {
  return db.app
    .transaction(async (manager) => work(await become(manager, scope.tenantId)))
    .catch((error: unknown) => {
      throw isUnstorable(error) ? new AppError('INVALID_INPUT', 'A text must not hold the character U+0000.') : error;
    });
}

/**
 * Goes on as a transaction of the tenant: the person or session was the platform's business, the rest and the record of it are the
 * tenant's.
 */
export async function continueIn(tx: Tx, tenantId: string): Promise<void> {
  await become(tx, tenantId);
}

/**
 * Does a part of the work in the name of another tenant, in the same transaction, and is then again what it was, also after an error.
 * Only for the provider's side of an agreement to which the tenant of the transaction is a party.
 */
export async function inNameOf<T>(tx: Tx, tenantId: string, work: (tx: Tx) => Promise<T>): Promise<T> {
  const before = tx.tenantId;
  if (tenantId === before) return work(tx);
  await become(tx, tenantId);
  try {
    return await work(tx);
  } finally {
    // Where the statement fails, the transaction has failed already and can only be rolled back.
    await become(tx, before).catch(() => undefined);
  }
}

/** Tells both locks the tenant: `tx.tenantId` is what our statements name, `app.tenant_id` what row-level security compares. */
async function become(manager: EntityManager, tenantId: string): Promise<Tx> {
  const tx = Object.assign(manager, { tenantId }) as Tx;
  // SET LOCAL takes no parameters; set_config does. Transaction-local, so that no pooled connection keeps a tenant.
  await manager.query(`select set_config('app.tenant_id', $1, true)`, [tenantId]);
  return tx;
}

/** SQLSTATE 22021: the one character of Unicode that PostgreSQL's text cannot hold. It comes from the caller, in any text or id. */
function isUnstorable(error: unknown): boolean {
  return error instanceof QueryFailedError && (error.driverError as { code?: string }).code === '22021';
}

/** A transaction on the platform's own rows: accounts, the list of tenants, audit entries of no tenant. Sees no tenant's rows. */
export function inPlatform<T>(db: Pick<Db, 'app'>, work: (tx: Tx) => Promise<T>): Promise<T> {
  return inTenant(db, { tenantId: PLATFORM }, work);
}

/** The password of a login role: derived, so that every replica with the master key knows it and none has to be kept. */
export function rolePassword(masterKey: Buffer, role: DatabaseRole): string {
  return createHmac('sha256', masterKey).update(`concordat database role ${role}`).digest('hex');
}

/** The address of the same database for another role. */
export function roleUrl(databaseUrl: string, masterKey: Buffer, role: DatabaseRole): string {
  const url = new URL(databaseUrl);
  url.username = role;
  url.password = rolePassword(masterKey, role);
  return url.toString();
}

export interface DbOptions {
  readonly databaseUrl: string;
  readonly masterKey: Buffer;
  readonly entities: MixedList<(new () => unknown) | string>;
  readonly poolSize?: number;
}

export async function openDb(options: DbOptions): Promise<Db> {
  const url = (role: DatabaseRole) => roleUrl(options.databaseUrl, options.masterKey, role);
  const pool = (role: DatabaseRole, max: number) => {
    const made = new pg.Pool({ connectionString: url(role), max, application_name: role });
    // A client whose server went away says so here while it is idle, by itself while somebody holds it; the query of whoever asks
    // next reports it. An error that nobody hears would end the process.
    made.on('error', () => undefined);
    made.on('connect', (client) => client.on('error', () => undefined));
    return made;
  };
  const app = new DataSource({
    type: 'postgres',
    url: url('concordat_app'),
    entities: options.entities as MixedList<never>,
    applicationName: 'concordat_app',
    poolSize: options.poolSize ?? 10,
    poolErrorHandler: () => undefined,
    logging: false,
  });
  await app.initialize();
  const db: Db = {
    app,
    relay: pool('concordat_relay', 2),
    gate: pool('concordat_gate', 4),
    ledger: pool('concordat_ledger', 4),
    listenUrl: url('concordat_app'),
    ledgerUrl: url('concordat_ledger'),
    close: async () => {
      await Promise.all([db.relay.end(), db.gate.end(), db.ledger.end()]);
      await app.destroy();
    },
  };
  await refuseUnsafe(db).catch(async (error: unknown) => {
    await db.close();
    throw error;
  });
  return db;
}

/** What the operator of the database can mend; the message says how. */
export class UnfitDatabaseError extends Error {}

/** Row-level security binds neither superusers nor BYPASSRLS roles: such a role must never serve requests. */
async function refuseUnsafe({ app, ledger }: Pick<Db, 'app' | 'ledger'>): Promise<void> {
  const [role] = await app.query<{ unsafe: boolean }[]>(
    `select rolsuper or rolbypassrls or rolcreaterole as unsafe from pg_roles where rolname = current_user`,
  );
  if (role?.unsafe !== false)
    throw new UnfitDatabaseError('The role concordat_app must be neither superuser nor BYPASSRLS nor CREATEROLE.');
  // Both append to the log, each with the settings of its own role.
  const [ofApp] = await app.query<DurabilitySettings[]>(DURABILITY);
  const ofLedger = await ledger.query<DurabilitySettings>(DURABILITY);
  for (const settings of [ofApp, ofLedger.rows[0]]) refuseForgetful(settings!);
}

export const DURABILITY = `select current_setting('fsync') as fsync, current_setting('full_page_writes') as full_page_writes,
  current_setting('synchronous_commit') as synchronous_commit`;
export type DurabilitySettings = Readonly<Record<'fsync' | 'full_page_writes' | 'synchronous_commit', string>>;

/**
 * After a crash, a database that confirms what it has not flushed has lost answers that were given, and gives their signed indices to
 * others, while its log still has no gap. Throws UnfitDatabaseError.
 */
export function refuseForgetful(settings: DurabilitySettings): void {
  const off = Object.entries(settings).find(([, value]) => value === 'off');
  if (off)
    throw new UnfitDatabaseError(
      `The database has ${off[0]} = off: a crash would lose what it has confirmed, answers and receipts among it. Set ${off[0]} = on.`,
    );
}

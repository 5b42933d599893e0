import type pg from 'pg';
import type { Leaf } from './leaf.js';

type Queryable = Pick<pg.ClientBase, 'query'>;

export type OriginReason = 'FIRST' | 'RESTORED' | 'NOTHING_REMEMBERED' | 'ORDERED';

export interface LogOriginRow {
  readonly origin: string;
  readonly beganAt: Date;
  readonly because: OriginReason;
  readonly entries: number;
  readonly server: string;
  /** Which memory outside of the database knows what was signed under it. Null: made by an earlier version. */
  readonly memory: string | null;
}

export interface LogKeyRow {
  readonly origin: string;
  readonly id: string;
  readonly publicKey: Buffer;
  readonly sealedPrivateKey: Buffer;
  readonly madeAt: Date;
  readonly retiredAt: Date | null;
  readonly endorsedBy: string | null;
  readonly endorsement: Buffer | null;
}

/** Whoever decides about names and keys does so alone, to the end of the transaction. */
export async function lockLogKeys(client: Queryable): Promise<void> {
  await client.query(`select pg_advisory_xact_lock(hashtext('concordat log keys'))`);
}

/** All names in order; the last is the one now. */
export async function listOrigins(client: Queryable): Promise<LogOriginRow[]> {
  const { rows } = await client.query<LogOriginRow>(
    `select origin, began_at as "beganAt", because, entries, server, memory from log_origin order by number`,
  );
  return rows;
}

export async function insertOrigin(client: Queryable, row: LogOriginRow): Promise<void> {
  await client.query(
    `insert into log_origin (origin, began_at, because, entries, server, memory) values ($1, $2, $3, $4, $5, $6)`,
    [row.origin, row.beganAt, row.because, row.entries, row.server, row.memory],
  );
}

export async function setMemory(client: Queryable, origin: string, memory: string): Promise<void> {
  await client.query(`update log_origin set memory = $2 where origin = $1`, [origin, memory]);
}

/** What the connections of integrators are called: by it, processes know of each other which memory they use. */
export const INTEGRATOR = 'concordat_integrator';

/** Whether a process of this database that is running uses another memory. */
export async function isOtherMemoryInUse(client: Queryable, memory: string): Promise<boolean> {
  const { rowCount } = await client.query(
    `select from pg_stat_activity where datname = current_database() and application_name like $1 and application_name <> $2 limit 1`,
    [`${INTEGRATOR} %`, `${INTEGRATOR} ${memory}`],
  );
  return rowCount! > 0;
}

/** All keys, oldest first. */
export async function listKeys(client: Queryable): Promise<LogKeyRow[]> {
  const { rows } = await client.query<LogKeyRow>(
    `select k.origin, k.id, k.public_key as "publicKey", k.sealed_private_key as "sealedPrivateKey", k.made_at as "madeAt",
       k.retired_at as "retiredAt", k.endorsed_by as "endorsedBy", k.endorsement
     from log_key k join log_origin o using (origin) order by o.number, k.made_at, k.retired_at nulls last`,
  );
  return rows;
}

/** The keys of the log that are in use now retire, and `row` follows them. */
export async function insertKey(client: Queryable, row: Omit<LogKeyRow, 'retiredAt'>): Promise<void> {
  await client.query(`update log_key set retired_at = $1 where retired_at is null`, [row.madeAt]);
  await client.query(
    `insert into log_key (origin, id, public_key, sealed_private_key, made_at, endorsed_by, endorsement) values ($1, $2, $3, $4, $5, $6, $7)`,
    [row.origin, row.id, row.publicKey, row.sealedPrivateKey, row.madeAt, row.endorsedBy, row.endorsement],
  );
}

/** Appends as the ledger's role, in the transaction that made what it tells. */
export async function insertPlatformEntry(
  client: Queryable,
  entry: { at: Date; kind: string; tenantId: string },
  leaf: Leaf,
): Promise<void> {
  await client.query(
    `with place as (update audit_log set next_index = next_index + 1 returning next_index - 1 as index)
     insert into audit_entry (log_index, leaf_hash, salt, tenant_id, at, kind, content) select index, $1, $2, $3, $4, $5, $6 from place`,
    [leaf.hash, leaf.salt, entry.tenantId, entry.at, entry.kind, leaf.content],
  );
}

/**
 * Which database on which server this is. A dump that is restored, and a standby that takes over, are others, even with the same
 * content; where the server does not tell (some hosted ones), only the number of the database does.
 */
export async function serverFingerprint(client: Queryable): Promise<string> {
  const { rows } = await client.query<{ database: string; may: boolean }>(
    `select oid::text as database, has_function_privilege('pg_control_system()', 'execute')
       and has_function_privilege('pg_control_checkpoint()', 'execute') as may
     from pg_database where datname = current_database()`,
  );
  const { database, may } = rows[0]!;
  if (!may) return `database ${database}`;
  const { rows: told } = await client.query<{ system: string; timeline: number }>(
    `select (select system_identifier::text from pg_control_system()) as system, (select timeline_id from pg_control_checkpoint()) as timeline`,
  );
  return `system ${told[0]!.system} timeline ${told[0]!.timeline} database ${database}`;
}

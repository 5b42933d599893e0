import type { Pool, PoolClient } from 'pg';
import { PREDICTION_COLUMNS, type PredictionRow } from '../audit/audit.service.js';
import { byteaArray, int2Array, int4Array, uuidArray } from './binary-array.js';
import type { Context } from './context.js';

/** A request on its way into the ledger. */
export interface Posting {
  /** The id of the entry unless `key` is. */
  readonly id: Buffer;
  /** The id of the entry if it is answered, which names the same prediction whenever the caller repeats it. */
  readonly key: Buffer | null;
  /** SHA-256 of the id of a proof of possession. */
  readonly proof: Buffer | null;
  readonly context: Context;
  readonly rowCount: number;
  readonly durationUs: number;
  /** Number of an outcome; 0: the ledger decides. */
  readonly code: number;
  /** 32 bytes each; null where there is no answer. */
  readonly inputDigest: Buffer | null;
  readonly outputDigest: Buffer | null;
}

/** What became of a flush, durably. */
export interface Flushed {
  /** Of the first entry; null if none was written. */
  readonly firstIndex: number | null;
  readonly at: Date;
  /** By request; null: all were admitted. -1: recorded before. */
  readonly verdict: readonly number[] | null;
  readonly reason: readonly (string | null)[] | null;
  readonly replayed: readonly (number | null)[] | null;
}

const FLUSH = {
  name: 'ledger_flush',
  text: `select first_index as "firstIndex", at_ms as "atMs", verdict, reason, replayed::text[] as replayed
    from ledger_flush($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
};
type FlushRow = Omit<Flushed, 'at' | 'replayed'> & {
  readonly atMs: number;
  readonly replayed: (string | null)[] | null;
};

/** Longer means that the database is out of reach; what then becomes of the flush is unknown. */
const FLUSH_TIMEOUT_MS = 15_000;

/** One transaction of its own, in the order of `batch`, whose contexts all have their number. When it returns, it is durable. */
export async function flush(client: PoolClient, batch: readonly Posting[]): Promise<Flushed> {
  const contexts = [...new Set(batch.map(({ context }) => context.id!))];
  const places = new Map(contexts.map((id, at) => [id, at + 1]));
  const values = [
    int4Array(contexts),
    int4Array(batch.map(({ context }) => places.get(context.id!)!)),
    uuidArray(batch.map(({ id }) => id)),
    int4Array(batch.map(({ rowCount }) => rowCount)),
    int4Array(batch.map(({ durationUs }) => durationUs)),
    int2Array(batch.map(({ code }) => code)),
    byteaArray(batch.map(({ inputDigest }) => inputDigest)),
    byteaArray(batch.map(({ outputDigest }) => outputDigest)),
    batch.some(({ key }) => key !== null) ? uuidArray(batch.map(({ key }) => key)) : null,
    batch.some(({ proof }) => proof !== null) ? byteaArray(batch.map(({ proof }) => proof)) : null,
  ];
  const query = { ...FLUSH, values, query_timeout: FLUSH_TIMEOUT_MS };
  const { rows } = await client.query<FlushRow>(query);
  const { firstIndex, atMs, verdict, reason, replayed } = rows[0]!;
  const indices = replayed?.map((index) => (index === null ? null : Number(index))) ?? null;
  return { firstIndex, at: new Date(atMs), verdict, reason, replayed: indices };
}

/** Gives the contexts their numbers, the same as other processes give them. */
export async function internContexts(client: PoolClient, contexts: readonly Context[]): Promise<void> {
  const rows = contexts.map(({ facts, content, digest }) => ({
    digest: digest.toString('hex'),
    tenant_id: facts.consumerTenantId,
    counterparty_tenant_id: facts.providerTenantId === facts.consumerTenantId ? null : facts.providerTenantId,
    agreement_id: facts.agreement?.id ?? null,
    endpoint_id: facts.endpointId,
    model_version_id: facts.model?.versionId ?? null,
    purpose: facts.purpose,
    key_id: facts.actor.keyId ?? null,
    device_id: facts.deviceId,
    content,
  }));
  const given = `json_to_recordset($1) g(digest text, tenant_id text, counterparty_tenant_id text, agreement_id text, endpoint_id text,
    model_version_id text, purpose text, key_id text, device_id text, content text)`;
  const values = [JSON.stringify(rows)];
  const read = async () => {
    const found = await client.query<{ id: number; content: string }>(
      `select c.id, c.content from ${given} join prediction_context c on c.tenant_id = g.tenant_id and c.digest = decode(g.digest, 'hex')`,
      values,
    );
    const ids = new Map(found.rows.map(({ id, content }) => [content, id]));
    for (const context of contexts) context.id = ids.get(context.content) ?? null;
  };
  await read();
  if (contexts.every(({ id }) => id !== null)) return;
  await client.query(
    `insert into prediction_context (digest, tenant_id, counterparty_tenant_id, agreement_id, endpoint_id, model_version_id, purpose, key_id, device_id, content)
     select decode(g.digest, 'hex'), g.tenant_id, g.counterparty_tenant_id, g.agreement_id, g.endpoint_id, g.model_version_id, g.purpose, g.key_id,
       g.device_id, g.content from ${given} on conflict do nothing`,
    values,
  );
  await read();
  if (contexts.some(({ id }) => id === null)) throw new Error('A context could not be kept.');
}

export type RecordedRow = PredictionRow & { readonly content: string };

/** The whole batch in which the entry was recorded, in order. */
export async function readBatch(pool: Pool, logIndex: number): Promise<RecordedRow[]> {
  const { rows } = await pool.query<RecordedRow>(
    `select ${PREDICTION_COLUMNS}, c.content from prediction_entry m
       join prediction_entry e on e.log_index >= m.log_index - m.batch_place and e.log_index < m.log_index - m.batch_place + m.batch_size
       join prediction_context c on c.id = e.context_id
     where m.log_index = $1 order by e.log_index`,
    [logIndex],
  );
  return rows;
}

/** Makes room for entries to come. */
export async function extendLedger(pool: Pool): Promise<void> {
  await pool.query(`select ledger_extend()`);
}

/** False if the proof was used before. */
export async function insertProof(pool: Pool, proof: Buffer): Promise<boolean> {
  const { rowCount } = await pool.query(
    `insert into dpop_proof (proof, at) values ($1, now()) on conflict do nothing`,
    [proof],
  );
  return rowCount === 1;
}

/** Forgets proofs that are so old that nothing accepts them. */
export async function deleteOldProofs(pool: Pool): Promise<void> {
  await pool.query(`delete from dpop_proof where at < now() - interval '1 hour'`);
}

import type { Tx } from '../../platform/db.js';
import { PREDICTION_COLUMNS } from '../audit/audit.service.js';
import type { RecordedRow } from './ledger.repo.js';

/** What a batch asks of the limits of an agreement. */
export interface Claim {
  readonly batchId: string;
  readonly providerTenantId: string;
  readonly endpointId: string;
  readonly agreement: { readonly id: string; readonly version: number } | null;
  readonly rowCount: number;
  readonly keyId: string | null;
  readonly deviceId: string | null;
  /** SHA-256 of the id of a proof of possession, which counts once. */
  readonly proof: Buffer | null;
}

/** What the ledger says under its lock. */
export interface Verdict {
  /** Number of an outcome; 0: done. */
  readonly verdict: number;
  /** The state of an agreement out of force; what a limit has left. */
  readonly reason: string | null;
  readonly atMs: number;
}

/** Holds all rows in the limits of the agreement, or none. Locks the meter: only the log may be locked after it. */
export async function reserveRows(tx: Tx, claim: Claim): Promise<Verdict> {
  const { agreement, providerTenantId } = claim;
  const [verdict] = await tx.query<Verdict[]>(
    `select verdict, reason, at_ms as "atMs" from ledger_reserve($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
    [
      claim.batchId,
      agreement?.id ?? null,
      agreement?.version ?? null,
      providerTenantId === tx.tenantId ? null : providerTenantId,
      claim.endpointId,
      claim.rowCount,
      claim.keyId,
      claim.deviceId,
      claim.proof,
    ],
  );
  return verdict!;
}

/** A chunk that was answered. */
export interface AnsweredChunk {
  readonly batchId: string;
  /** 16 bytes. */
  readonly predictionId: Buffer;
  readonly rowCount: number;
  readonly durationUs: number;
  /** 32 bytes each. */
  readonly inputDigest: Buffer;
  readonly outputDigest: Buffer;
}

/** Turns rows that are held into rows that are answered, and writes their entry. Locks the meter and the log. */
export async function settleRows(
  tx: Tx,
  contextId: number,
  chunk: AnsweredChunk,
): Promise<Verdict & { readonly logIndex: number | null }> {
  const [settled] = await tx.query<(Verdict & { logIndex: number | null })[]>(
    `select verdict, reason, at_ms as "atMs", log_index as "logIndex" from ledger_settle($1, $2, $3, $4, $5, $6, $7, $8)`,
    [
      tx.tenantId,
      chunk.batchId,
      contextId,
      chunk.predictionId.toString('hex'),
      chunk.rowCount,
      chunk.durationUs,
      chunk.inputDigest,
      chunk.outputDigest,
    ],
  );
  return settled!;
}

/** Entries of the tenant's own requests, each a batch of its own, by index. */
export function listRecorded(tx: Tx, logIndices: readonly number[]): Promise<RecordedRow[]> {
  return tx.query<RecordedRow[]>(
    `select ${PREDICTION_COLUMNS}, c.content from prediction_entry e join prediction_context c on c.id = e.context_id
     where c.tenant_id = $1 and e.batch_size = 1 and e.log_index = any ($2) order by e.log_index`,
    [tx.tenantId, logIndices],
  );
}

/** How a job ended that held rows of the agreement. */
export interface EndedJob {
  readonly version: number;
  readonly askedAt: Date;
  readonly endedAt: Date;
  /** SUCCEEDED, CANCELLED, or the code of the failure. */
  readonly outcome: string;
}

/** `until` is exclusive. */
export function listEndedJobs(
  tx: Tx,
  agreementId: string,
  { from, until }: { readonly from: Date; readonly until: Date },
): Promise<EndedJob[]> {
  return tx.query<EndedJob[]>(
    `select version, asked_at as "askedAt", ended_at as "endedAt", outcome from agreement_reservation
     where $4 in (provider_tenant_id, consumer_tenant_id) and agreement_id = $1 and ended_at >= $2 and ended_at < $3 order by ended_at, batch_id`,
    [agreementId, from, until, tx.tenantId],
  );
}

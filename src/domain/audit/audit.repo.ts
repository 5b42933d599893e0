import type { Tx } from '../../platform/db.js';
import { AuditEntryRow } from './audit.entity.js';
import type { Leaf } from './leaf.js';
import { PREDICTION_COLUMNS, type PredictionRow } from './prediction.js';

export interface NewEntry {
  readonly tenantId: string;
  readonly counterpartyTenantId: string | null;
  readonly at: Date;
  readonly kind: string;
  readonly subjectId: string | null;
}

/** Appends through the one function that may; returns the index in the log. */
export async function insertEntry(tx: Tx, entry: NewEntry, leaf: Leaf): Promise<number> {
  const [row] = await tx.query<{ index: number }[]>(`select audit_append($1, $2, $3, $4, $5, $6, $7, $8) as index`, [
    entry.tenantId,
    entry.counterpartyTenantId,
    entry.at,
    entry.kind,
    entry.subjectId,
    leaf.content,
    leaf.salt,
    leaf.hash,
  ]);
  return row!.index;
}

export interface EntryFilter {
  readonly kind: string | null;
  readonly subjectId: string | null;
}

/** Newest first, below the index `before`; those to which the tenant of the transaction is a party. */
export function listEntries(
  tx: Tx,
  filter: EntryFilter,
  page: { before: number | null; limit: number },
): Promise<AuditEntryRow[]> {
  const found = tx
    .createQueryBuilder(AuditEntryRow, 'entry')
    .where('(entry.tenant_id = :party or entry.counterparty_tenant_id = :party)', { party: tx.tenantId })
    .orderBy('entry.log_index', 'DESC')
    .limit(page.limit);
  if (page.before !== null) found.andWhere('entry.log_index < :before', page);
  if (filter.kind !== null) found.andWhere('entry.kind = :kind', filter);
  if (filter.subjectId !== null) found.andWhere('entry.subject_id = :subjectId', filter);
  return found.getMany();
}

export type PredictionEntryRow = PredictionRow & { readonly context: string };

/** Like `listEntries`, of the predictions. `isAnswered` null: those and the refused ones; `predictionId`: a UUID. */
export function listPredictions(
  tx: Tx,
  filter: { isAnswered: boolean | null; predictionId: string | null },
  page: { before: number | null; limit: number },
): Promise<PredictionEntryRow[]> {
  return tx.query<PredictionEntryRow[]>(
    `select ${PREDICTION_COLUMNS}, c.content as context from prediction_entry e join prediction_context c on c.id = e.context_id
     where $1 in (c.tenant_id, c.counterparty_tenant_id) and ($2::bigint is null or e.log_index < $2)
       and ($3::boolean is null or (e.code = 0) = $3) and ($4::uuid is null or e.prediction_id = $4)
     order by e.log_index desc limit $5`,
    [tx.tenantId, page.before, filter.isAnswered, filter.predictionId, page.limit],
  );
}

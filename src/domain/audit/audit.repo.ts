import type { Tx } from '../../platform/db.js';
import { AuditEntryRow } from './audit.entity.js';
import type { Leaf } from './leaf.js';

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

import type { Tx } from '../../platform/db.js';
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

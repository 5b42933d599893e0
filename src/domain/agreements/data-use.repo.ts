import type { Tx } from '../../platform/db.js';
import { AgreementRow } from './agreement.entity.js';
import type { limitsOf } from './data-use.js';
import type { Purpose } from './purpose.js';

/** A training on another tenant's data, as both parties see it. */
export interface DataUseRow {
  readonly trainingId: string;
  readonly agreementId: string;
  readonly providerTenantId: string;
  readonly consumerTenantId: string;
  /** The version of the terms under which it was admitted. */
  readonly version: number;
  readonly purpose: Purpose;
  /** Those that are learned from. */
  readonly columns: readonly string[];
  readonly askedAt: Date;
  readonly deadlineAt: Date | null;
  readonly endedAt: Date | null;
  readonly outcome: 'SUCCEEDED' | 'FAILED' | 'CANCELLED' | null;
  readonly code: string | null;
}

const COLUMNS = `u.training_id as "trainingId", u.agreement_id as "agreementId", u.provider_tenant_id as "providerTenantId",
  u.consumer_tenant_id as "consumerTenantId", u.version, u.purpose, u.columns, u.asked_at as "askedAt", u.deadline_at as "deadlineAt",
  u.ended_at as "endedAt", u.outcome, u.code from data_use u`;

/** The consumer's. */
export async function insertDataUse(tx: Tx, row: DataUseRow): Promise<void> {
  const { trainingId, agreementId, providerTenantId, version, purpose, columns, askedAt, deadlineAt } = row;
  await tx.query(
    `insert into data_use (consumer_tenant_id, training_id, agreement_id, provider_tenant_id, version, purpose, columns, asked_at, deadline_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
    [
      tx.tenantId,
      trainingId,
      agreementId,
      providerTenantId,
      version,
      purpose,
      JSON.stringify(columns),
      askedAt,
      deadlineAt,
    ],
  );
}

/** Of the consumer's own training. */
export async function findDataUse(tx: Tx, trainingId: string): Promise<DataUseRow | null> {
  const [row] = await tx.query<DataUseRow[]>(
    `select ${COLUMNS} where u.consumer_tenant_id = $1 and u.training_id = $2`,
    [tx.tenantId, trainingId],
  );
  return row ?? null;
}

export async function markDataUse(
  tx: Tx,
  trainingId: string,
  change: Pick<DataUseRow, 'endedAt' | 'outcome' | 'code'> & { readonly limits: ReturnType<typeof limitsOf> | null },
): Promise<void> {
  const { endedAt, outcome, code, limits } = change;
  await tx.query(
    `update data_use set ended_at = $3, outcome = $4, code = $5, limits = $6 where consumer_tenant_id = $1 and training_id = $2`,
    [tx.tenantId, trainingId, endedAt, outcome, code, limits && JSON.stringify(limits)],
  );
}

/** Newest first; to either party. */
export function listDataUses(
  tx: Tx,
  agreementId: string,
  { before, limit }: { before: string | null; limit: number },
): Promise<DataUseRow[]> {
  return tx.query(
    `select ${COLUMNS} where $1 in (u.provider_tenant_id, u.consumer_tenant_id) and u.agreement_id = $2
       and ($3::text is null or u.training_id < $3) order by u.training_id desc limit $4`,
    [tx.tenantId, agreementId, before, limit],
  );
}

/** The consumer's agreement, which stays as it is until the commit. */
export function holdAgreement(tx: Tx, id: string): Promise<AgreementRow | null> {
  return tx.findOne(AgreementRow, {
    where: { id, consumerTenantId: tx.tenantId },
    lock: { mode: 'pessimistic_read' },
  });
}

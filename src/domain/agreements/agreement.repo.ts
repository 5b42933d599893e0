import type { Pool } from 'pg';
import { QueryFailedError } from 'typeorm';
import type { Tx } from '../../platform/db.js';
import { notFound } from '../../platform/errors.js';
import { AgreementRow, AgreementSignatureRow, TenantSigningKeyRow } from './agreement.entity.js';
import { EXPIRABLE } from './step.js';

/** Throws NOT_FOUND for a consumer that does not exist: the foreign key knows, no one else may look. */
export async function insertAgreement(tx: Tx, row: AgreementRow): Promise<void> {
  try {
    await tx.insert(AgreementRow, row);
  } catch (error) {
    const cause = error instanceof QueryFailedError ? (error.driverError as { constraint?: string }) : null;
    if (cause?.constraint === 'agreement_consumer_tenant_id_fkey') throw notFound('tenant');
    throw error;
  }
}

export function findAgreement(tx: Tx, id: string): Promise<AgreementRow | null> {
  return tx.findOneBy(AgreementRow, { id });
}

/** Locks the row until the commit, so that steps follow one another. */
export function findAgreementForUpdate(tx: Tx, id: string): Promise<AgreementRow | null> {
  return tx.findOne(AgreementRow, { where: { id }, lock: { mode: 'pessimistic_write' } });
}

export interface AgreementFilter {
  readonly endpointId?: string | null;
  readonly party?: 'PROVIDER' | 'CONSUMER' | null;
}

/** Row-level security limits the list to the tenant's own agreements, in either part. Newest first. */
export function listAgreements(
  tx: Tx,
  tenantId: string,
  { endpointId, party, before, limit }: AgreementFilter & { before: string | null; limit: number },
): Promise<AgreementRow[]> {
  const query = tx.createQueryBuilder(AgreementRow, 'a').orderBy('a.id', 'DESC').limit(limit);
  if (before) query.andWhere('a.id < :before', { before });
  if (endpointId) query.andWhere('a.endpointId = :endpointId', { endpointId });
  if (party === 'PROVIDER') query.andWhere('a.providerTenantId = :tenantId', { tenantId });
  if (party === 'CONSUMER') query.andWhere('a.consumerTenantId = :tenantId', { tenantId });
  return query.getMany();
}

export async function markAgreement(
  tx: Tx,
  id: string,
  change: Pick<AgreementRow, 'state' | 'suspendedByProvider' | 'suspendedByConsumer' | 'changedAt'>,
): Promise<void> {
  await tx.update(AgreementRow, { id }, change);
}

export async function insertSignature(tx: Tx, row: AgreementSignatureRow): Promise<void> {
  await tx.insert(AgreementSignatureRow, row);
}

export function listSignatures(tx: Tx, agreementIds: readonly string[]): Promise<AgreementSignatureRow[]> {
  return tx
    .createQueryBuilder(AgreementSignatureRow, 's')
    .where('s.agreementId in (:...agreementIds)', { agreementIds })
    .orderBy('s.signedAt')
    .getMany();
}

export interface PartyNames {
  readonly agreementId: string;
  readonly providerName: string;
  /** Null to the provider until the consumer has signed. */
  readonly consumerName: string | null;
}

export function listPartyNames(tx: Tx, agreementIds: readonly string[]): Promise<PartyNames[]> {
  return tx.query<PartyNames[]>(
    `select agreement_id as "agreementId", provider_name as "providerName", consumer_name as "consumerName" from agreement_party_names($1)`,
    [agreementIds],
  );
}

export async function existsOpenAgreement(tx: Tx, endpointId: string): Promise<boolean> {
  const query = tx.createQueryBuilder(AgreementRow, 'a').where('a.endpointId = :endpointId', { endpointId });
  return query.andWhere('a.state in (:...open)', { open: EXPIRABLE }).getExists();
}

export function findSigningKey(tx: Tx, tenantId: string): Promise<TenantSigningKeyRow | null> {
  return tx.findOneBy(TenantSigningKeyRow, { tenantId });
}

export async function insertSigningKey(tx: Tx, row: TenantSigningKeyRow): Promise<void> {
  await tx.createQueryBuilder().insert().into(TenantSigningKeyRow).values(row).orIgnore().execute();
}

/** Agreements whose period has ended unrecorded, across tenants. */
export async function listDue(gate: Pool, now: Date, limit: number): Promise<{ id: string; tenantId: string }[]> {
  const { rows } = await gate.query<{ id: string; tenantId: string }>(
    `select id, provider_tenant_id as "tenantId" from agreement
     where state in ('OFFERED', 'ACTIVE', 'SUSPENDED') and valid_until <= $1 order by valid_until limit $2`,
    [now, limit],
  );
  return rows;
}

import type { Pool } from 'pg';
import { type FindOptionsWhere, In, LessThan, QueryFailedError } from 'typeorm';
import { own, type Tx } from '../../platform/db.js';
import { notFound } from '../../platform/errors.js';
import { AgreementRow, AgreementSignatureRow, TenantSigningKeyRow } from './agreement.entity.js';
import { EXPIRABLE, type Party } from './step.js';

/** Agreements are the bridge: the tenant is the one party or the other, or the one that is asked for. */
function asParty(
  tx: Tx,
  where: FindOptionsWhere<AgreementRow>,
  party?: Party | null,
): FindOptionsWhere<AgreementRow>[] {
  const parts = { PROVIDER: { providerTenantId: tx.tenantId }, CONSUMER: { consumerTenantId: tx.tenantId } };
  return (party ? [parts[party]] : Object.values(parts)).map((part) => ({ ...where, ...part }));
}

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
  return tx.findOneBy(AgreementRow, asParty(tx, { id }));
}

/** Locks the row until the commit, so that steps follow one another. */
export function findAgreementForUpdate(tx: Tx, id: string): Promise<AgreementRow | null> {
  return tx.findOne(AgreementRow, { where: asParty(tx, { id }), lock: { mode: 'pessimistic_write' } });
}

export interface AgreementFilter {
  readonly endpointId?: string | null;
  readonly party?: Party | null;
}

/** Newest first. */
export function listAgreements(
  tx: Tx,
  { endpointId, party, before, limit }: AgreementFilter & { before: string | null; limit: number },
): Promise<AgreementRow[]> {
  const where = asParty(tx, { ...(before && { id: LessThan(before) }), ...(endpointId && { endpointId }) }, party);
  return tx.find(AgreementRow, { where, order: { id: 'DESC' }, take: limit });
}

export async function markAgreement(
  tx: Tx,
  id: string,
  change: Pick<AgreementRow, 'state' | 'suspendedByProvider' | 'suspendedByConsumer' | 'changedAt'>,
): Promise<void> {
  await tx.createQueryBuilder().update(AgreementRow).set(change).where(asParty(tx, { id })).execute();
}

export async function insertSignature(tx: Tx, row: AgreementSignatureRow): Promise<void> {
  await tx.insert(AgreementSignatureRow, row);
}

export function listSignatures(tx: Tx, agreementIds: readonly string[]): Promise<AgreementSignatureRow[]> {
  return tx
    .createQueryBuilder(AgreementSignatureRow, 's')
    .innerJoin(AgreementRow, 'a', 'a.id = s.agreementId')
    .where(':party in (a.providerTenantId, a.consumerTenantId)', { party: tx.tenantId })
    .andWhere('s.agreementId in (:...agreementIds)', { agreementIds })
    .orderBy('s.signedAt')
    .getMany();
}

export interface PartyNames {
  readonly agreementId: string;
  readonly providerName: string;
  /** Null to the provider until the consumer has signed. */
  readonly consumerName: string | null;
}

/** The function itself looks only at agreements to which the tenant of the transaction is a party. */
export function listPartyNames(tx: Tx, agreementIds: readonly string[]): Promise<PartyNames[]> {
  return tx.query<PartyNames[]>(
    `select agreement_id as "agreementId", provider_name as "providerName", consumer_name as "consumerName" from agreement_party_names($1)`,
    [agreementIds],
  );
}

/** On an endpoint of the tenant's own. */
export function existsOpenAgreement(tx: Tx, endpointId: string): Promise<boolean> {
  return tx.existsBy(AgreementRow, asParty(tx, { endpointId, state: In([...EXPIRABLE]) }, 'PROVIDER'));
}

export function findSigningKey(tx: Tx): Promise<TenantSigningKeyRow | null> {
  return tx.findOneBy(TenantSigningKeyRow, own(tx));
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

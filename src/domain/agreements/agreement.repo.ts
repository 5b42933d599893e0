import type { Pool } from 'pg';
import { type FindOptionsWhere, In, LessThan, QueryFailedError } from 'typeorm';
import type { Tx } from '../../platform/db.js';
import { notFound } from '../../platform/errors.js';
import {
  AgreementRow,
  AgreementSettlementRow,
  AgreementSignatureRow,
  AgreementVersionRow,
} from './agreement.entity.js';
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

export type AgreementChange = Partial<
  Omit<AgreementRow, 'id' | 'providerTenantId' | 'consumerTenantId' | 'endpointId'>
>;

export async function markAgreement(tx: Tx, id: string, change: AgreementChange): Promise<void> {
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

/** Of the agreements to which the tenant is a party; oldest first. */
export function listVersions(tx: Tx, agreementIds: readonly string[]): Promise<AgreementVersionRow[]> {
  return tx
    .createQueryBuilder(AgreementVersionRow, 'v')
    .innerJoin(AgreementRow, 'a', 'a.id = v.agreementId')
    .where(':party in (a.providerTenantId, a.consumerTenantId)', { party: tx.tenantId })
    .andWhere('v.agreementId in (:...agreementIds)', { agreementIds })
    .orderBy('v.version')
    .getMany();
}

export async function insertVersion(tx: Tx, row: AgreementVersionRow): Promise<void> {
  await tx.insert(AgreementVersionRow, row);
}

/** Decides the version that waits, of an agreement that the transaction has locked. */
export async function markVersion(
  tx: Tx,
  { agreementId, version }: Pick<AgreementVersionRow, 'agreementId' | 'version'>,
  change: Pick<AgreementVersionRow, 'state' | 'agreedAt'>,
): Promise<void> {
  await tx
    .createQueryBuilder()
    .update(AgreementVersionRow)
    .set(change)
    .where({ agreementId, version })
    .andWhere(
      `exists (select from agreement a where a.id = agreement_id and :party in (a.provider_tenant_id, a.consumer_tenant_id))`,
      { party: tx.tenantId },
    )
    .execute();
}

/** Rows that were ever answered; those that a job has reserved are not. Read after a change of the agreement, which holds the meter until the commit. */
export async function readMeter(tx: Tx, agreementId: string): Promise<number> {
  const [row] = await tx.query<{ rows: number }[]>(
    `select rows_total - rows_reserved as rows from agreement_meter where agreement_id = $1 and $2 in (provider_tenant_id, consumer_tenant_id)`,
    [agreementId, tx.tenantId],
  );
  return row?.rows ?? 0;
}

export async function insertSettlement(tx: Tx, row: AgreementSettlementRow): Promise<void> {
  await tx.insert(AgreementSettlementRow, row);
}

export function listSettlements(tx: Tx, agreementIds: readonly string[]): Promise<AgreementSettlementRow[]> {
  return tx
    .createQueryBuilder(AgreementSettlementRow, 's')
    .innerJoin(AgreementRow, 'a', 'a.id = s.agreementId')
    .where(':party in (a.providerTenantId, a.consumerTenantId)', { party: tx.tenantId })
    .andWhere('s.agreementId in (:...agreementIds)', { agreementIds })
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

/** On an endpoint of the tenant's own, or on all of them: what is offered or agreed, newest first. */
export function listOpenAgreements(
  tx: Tx,
  { endpointId, before, limit }: { endpointId?: string; before?: string | null; limit?: number },
): Promise<AgreementRow[]> {
  const narrowed = { ...(before && { id: LessThan(before) }), ...(endpointId && { endpointId }) };
  const where = asParty(tx, { ...narrowed, state: In([...EXPIRABLE]) }, 'PROVIDER');
  return tx.find(AgreementRow, { where, order: { id: 'DESC' }, take: limit });
}

/** What time or the end of an agreement has left to be done, across tenants. `lead`: renewals begin so long before. */
export async function listDue(
  gate: Pool,
  { now, leadMs, limit }: { now: Date; leadMs: number; limit: number },
): Promise<{ id: string; tenantId: string }[]> {
  const { rows } = await gate.query<{ id: string; tenantId: string }>(
    `select id, provider_tenant_id as "tenantId" from agreement
     where state in ('OFFERED', 'ACTIVE', 'SUSPENDED') and valid_until <= $1
       and (valid_until <= $2 or state <> 'OFFERED' and jsonb_typeof(terms -> 'renewal') = 'object' and not renewal_stopped and notice_by is null)
     union all
     select id, provider_tenant_id from agreement where state in ('TERMINATED', 'EXPIRED') and activated_at is not null
     limit $3`,
    [new Date(now.getTime() + leadMs), now, limit],
  );
  return rows;
}

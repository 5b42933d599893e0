import { QueryFailedError } from 'typeorm';
import type { Tx } from '../../platform/db.js';
import { AppError } from '../../platform/errors.js';
import type { Party } from './step.js';
import { readPredictionTerms, type Terms } from './terms.js';

export type OfferRequestState = 'OPEN' | 'ANSWERED' | 'DECLINED' | 'WITHDRAWN';

export interface OfferRequestRow {
  readonly id: string;
  readonly providerTenantId: string;
  readonly consumerTenantId: string;
  readonly listingId: string;
  readonly state: OfferRequestState;
  /** What the consumer would sign; null: it leaves that to the provider. */
  readonly terms: Terms | null;
  readonly message: string | null;
  /** The offer that answered it. */
  readonly agreementId: string | null;
  readonly createdAt: Date;
  readonly changedAt: Date;
}

const COLUMNS = `id, provider_tenant_id as "providerTenantId", consumer_tenant_id as "consumerTenantId", listing_id as "listingId", state, terms,
  message, agreement_id as "agreementId", created_at as "createdAt", changed_at as "changedAt" from offer_request`;
const PARTY = `$1 in (provider_tenant_id, consumer_tenant_id)`;

async function list(tx: Tx, text: string, values: unknown[]): Promise<OfferRequestRow[]> {
  const rows = await tx.query<OfferRequestRow[]>(`select ${COLUMNS} where ${text}`, [tx.tenantId, ...values]);
  return rows.map((row) => ({ ...row, terms: row.terms && readPredictionTerms(row.terms) }));
}

/** The consumer's. Throws CONFLICT while another one of its waits on the listing. */
export async function insertOfferRequest(tx: Tx, row: OfferRequestRow): Promise<void> {
  const { id, providerTenantId, listingId, terms, message, createdAt } = row;
  try {
    await tx.query(
      `insert into offer_request (consumer_tenant_id, id, provider_tenant_id, listing_id, terms, message, created_at, changed_at)
       values ($1, $2, $3, $4, $5, $6, $7, $7)`,
      [tx.tenantId, id, providerTenantId, listingId, terms && JSON.stringify(terms), message, createdAt],
    );
  } catch (error) {
    const cause = error instanceof QueryFailedError ? (error.driverError as { constraint?: string }) : null;
    if (cause?.constraint === 'offer_request_open')
      throw new AppError('CONFLICT', 'The tenant has asked for an offer on this listing already.', {
        remedy: 'Wait for the answer, or withdraw that request first.',
      });
    throw error;
  }
}

export async function findOfferRequest(tx: Tx, id: string): Promise<OfferRequestRow | null> {
  return (await list(tx, `${PARTY} and id = $2`, [id]))[0] ?? null;
}

/** Locked until the commit. */
export async function findOfferRequestForUpdate(tx: Tx, id: string): Promise<OfferRequestRow | null> {
  return (await list(tx, `${PARTY} and id = $2 for update`, [id]))[0] ?? null;
}

/** Newest first. */
export function listOfferRequests(
  tx: Tx,
  { party, state }: { party?: Party | null; state?: OfferRequestState | null },
  { before, limit }: { before: string | null; limit: number },
): Promise<OfferRequestRow[]> {
  const part = party ? `$1 = ${party === 'PROVIDER' ? 'provider' : 'consumer'}_tenant_id and ${PARTY}` : PARTY;
  return list(
    tx,
    `${part} and ($2::text is null or state = $2) and ($3::text is null or id < $3) order by id desc limit $4`,
    [state ?? null, before, limit],
  );
}

export async function markOfferRequest(
  tx: Tx,
  id: string,
  change: Pick<OfferRequestRow, 'state' | 'agreementId' | 'changedAt'>,
): Promise<void> {
  await tx.query(`update offer_request set state = $3, agreement_id = $4, changed_at = $5 where ${PARTY} and id = $2`, [
    tx.tenantId,
    id,
    change.state,
    change.agreementId,
    change.changedAt,
  ]);
}

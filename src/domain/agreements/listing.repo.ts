import { QueryFailedError } from 'typeorm';
import type { Tx } from '../../platform/db.js';
import { notFound } from '../../platform/errors.js';
import { readPredictionTerms, type Terms } from './terms.js';

/** What may be seen of an endpoint's signature. */
export interface ListedSchema {
  readonly task: string;
  readonly classes: readonly string[] | null;
  readonly columns: readonly { readonly name: string; readonly kind: string }[];
}

export interface ListingRow {
  readonly id: string;
  readonly tenantId: string;
  readonly endpointId: string;
  readonly state: 'LISTED' | 'WITHDRAWN';
  readonly name: string;
  readonly description: string | null;
  /** Null: nothing of it may be seen. */
  readonly schema: ListedSchema | null;
  /** An example. */
  readonly terms: Terms | null;
  readonly audience: 'ALL' | 'NAMED';
  readonly createdAt: Date;
  readonly changedAt: Date;
}

const COLUMNS = `l.id, l.tenant_id as "tenantId", l.endpoint_id as "endpointId", l.state, l.name, l.description, l.schema, l.terms,
  l.audience, l.created_at as "createdAt", l.changed_at as "changedAt" from listing l`;
/** What others have listed for the tenant $1, or for everybody. */
const VISIBLE = `l.state = 'LISTED' and (l.audience = 'ALL' or exists (select from listing_audience a
  where a.tenant_id = l.tenant_id and a.listing_id = l.id and a.audience_tenant_id = $1)) and not l.tenant_id = $1`;

async function list(tx: Tx, text: string, values: unknown[]): Promise<ListingRow[]> {
  const rows = await tx.query<ListingRow[]>(`select ${COLUMNS} where ${text}`, [tx.tenantId, ...values]);
  return rows.map((row) => ({ ...row, terms: row.terms && readPredictionTerms(row.terms) }));
}

export async function insertListing(tx: Tx, row: ListingRow): Promise<void> {
  const { id, endpointId, state, name, description, schema, terms, audience, createdAt } = row;
  await tx.query(
    `insert into listing (tenant_id, id, endpoint_id, state, name, description, schema, terms, audience, created_at, changed_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)`,
    [tx.tenantId, id, endpointId, state, name, description, json(schema), json(terms), audience, createdAt],
  );
}

export async function markListing(tx: Tx, row: ListingRow): Promise<void> {
  const { id, state, name, description, schema, terms, audience, changedAt } = row;
  await tx.query(
    `update listing set state = $3, name = $4, description = $5, schema = $6, terms = $7, audience = $8, changed_at = $9
     where tenant_id = $1 and id = $2`,
    [tx.tenantId, id, state, name, description, json(schema), json(terms), audience, changedAt],
  );
}

const json = (value: object | null) => value && JSON.stringify(value);

/** In place of those that were named before. Throws NOT_FOUND for a tenant that does not exist: the foreign key knows. */
export async function writeAudience(tx: Tx, listingId: string, tenantIds: readonly string[]): Promise<void> {
  await tx.query(`delete from listing_audience where tenant_id = $1 and listing_id = $2`, [tx.tenantId, listingId]);
  try {
    await tx.query(
      `insert into listing_audience (tenant_id, listing_id, audience_tenant_id) select $1, $2, unnest($3::text[])`,
      [tx.tenantId, listingId, tenantIds],
    );
  } catch (error) {
    const cause = error instanceof QueryFailedError ? (error.driverError as { constraint?: string }) : null;
    if (cause?.constraint === 'listing_audience_audience_tenant_id_fkey') throw notFound('tenant');
    throw error;
  }
}

/** Whom the tenant's own listings name. */
export async function listAudience(tx: Tx, listingIds: readonly string[]): Promise<Map<string, string[]>> {
  const rows = await tx.query<{ id: string; named: string[] }[]>(
    `select listing_id as id, array_agg(audience_tenant_id order by audience_tenant_id) as named from listing_audience
     where tenant_id = $1 and listing_id = any ($2) group by 1`,
    [tx.tenantId, listingIds],
  );
  return new Map(rows.map(({ id, named }) => [id, named]));
}

/** The tenant's own, locked until the commit. */
export async function findListingForUpdate(tx: Tx, id: string): Promise<ListingRow | null> {
  return (await list(tx, `l.tenant_id = $1 and l.id = $2 for update`, [id]))[0] ?? null;
}

/** The tenant's own, or one that is listed for it. */
export async function findListing(tx: Tx, id: string): Promise<ListingRow | null> {
  return (await list(tx, `(l.tenant_id = $1 or ${VISIBLE}) and l.id = $2`, [id]))[0] ?? null;
}

/** What others have listed for the tenant; newest first. */
export function listVisible(tx: Tx, before: string | null, limit: number): Promise<ListingRow[]> {
  return list(tx, `${VISIBLE} and ($2::text is null or l.id < $2) order by l.id desc limit $3`, [before, limit]);
}

/** The tenant's own, also withdrawn ones; newest first. */
export function listOwn(tx: Tx, before: string | null, limit: number): Promise<ListingRow[]> {
  return list(tx, `l.tenant_id = $1 and ($2::text is null or l.id < $2) order by l.id desc limit $3`, [before, limit]);
}

/** Of those that the tenant sees: the function itself looks. */
export async function listProviderNames(tx: Tx, listingIds: readonly string[]): Promise<Map<string, string>> {
  const rows = await tx.query<{ id: string; name: string }[]>(
    `select listing_id as id, provider_name as name from listing_provider_names($1)`,
    [listingIds],
  );
  return new Map(rows.map(({ id, name }) => [id, name]));
}

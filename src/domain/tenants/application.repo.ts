import { own, type Tx } from '../../platform/db.js';
import { ApiKeyRow, ApplicationRow } from './tenant.entity.js';

/** False if the tenant has an application of this name. */
export async function insertApplication(tx: Tx, row: ApplicationRow): Promise<boolean> {
  const made = await tx.query<unknown[]>(
    `insert into application (id, tenant_id, name, created_at) values ($1, $2, $3, $4) on conflict (tenant_id, name) do nothing returning id`,
    [row.id, row.tenantId, row.name, row.createdAt],
  );
  return made.length > 0;
}

export function findApplication(tx: Tx, id: string): Promise<ApplicationRow | null> {
  return tx.findOneBy(ApplicationRow, { ...own(tx), id });
}

export function listApplications(tx: Tx, after: string | null, limit: number): Promise<ApplicationRow[]> {
  return tx
    .createQueryBuilder(ApplicationRow, 'application')
    .where(own(tx))
    .andWhere(`application.id > coalesce(:after, '')`, { after })
    .orderBy('application.id')
    .limit(limit)
    .getMany();
}

export async function insertKey(tx: Tx, row: ApiKeyRow): Promise<void> {
  await tx.insert(ApiKeyRow, row);
}

export function findKey(tx: Tx, id: string): Promise<ApiKeyRow | null> {
  return tx.findOneBy(ApiKeyRow, { ...own(tx), id });
}

/** Locked, so that two revocations at once leave one record. */
export function lockKey(tx: Tx, id: string): Promise<ApiKeyRow | null> {
  return tx.findOne(ApiKeyRow, { where: { ...own(tx), id }, lock: { mode: 'pessimistic_write' } });
}

export interface KeyList {
  readonly applicationId: string | null;
  readonly after: string | null;
  readonly limit: number;
}

export function listKeys(tx: Tx, list: KeyList): Promise<ApiKeyRow[]> {
  return tx
    .createQueryBuilder(ApiKeyRow, 'key')
    .where(own(tx))
    .andWhere(`key.id > coalesce(:after, '')`, { after: list.after })
    .andWhere(list.applicationId === null ? 'true' : 'key.application_id = :application', {
      application: list.applicationId,
    })
    .orderBy('key.id')
    .limit(list.limit)
    .getMany();
}

export async function markRevoked(tx: Tx, id: string, at: Date): Promise<void> {
  await tx.update(ApiKeyRow, { ...own(tx), id }, { revokedAt: at });
}

import { IsNull, LessThan, Not } from 'typeorm';
import { own, type Tx } from '../../platform/db.js';
import { TenantSigningKeyRow } from './agreement.entity.js';

/** The key that the platform keeps for the tenant, if it has one in use. */
export function findKeptKey(tx: Tx): Promise<TenantSigningKeyRow | null> {
  return tx.findOneBy(TenantSigningKeyRow, { ...own(tx), custody: 'CUSTODIAL', revokedAt: IsNull() });
}

export function findSigningKey(tx: Tx, id: string): Promise<TenantSigningKeyRow | null> {
  return tx.findOneBy(TenantSigningKeyRow, { ...own(tx), id });
}

/** Locks it until the commit, so that no signature is made with a key that is being revoked. */
export function findSigningKeyForUpdate(tx: Tx, id: string): Promise<TenantSigningKeyRow | null> {
  return tx.findOne(TenantSigningKeyRow, { where: { ...own(tx), id }, lock: { mode: 'pessimistic_write' } });
}

/** Newest first. */
export function listSigningKeys(tx: Tx, before: string | null, limit: number): Promise<TenantSigningKeyRow[]> {
  const where = { ...own(tx), ...(before && { id: LessThan(before) }) };
  return tx.find(TenantSigningKeyRow, { where, order: { id: 'DESC' }, take: limit });
}

/** Of the tenant's own keys, those not revoked, confirmed or not. */
export function countOwnKeys(tx: Tx): Promise<number> {
  return tx.countBy(TenantSigningKeyRow, { ...own(tx), custody: 'OWN', revokedAt: IsNull() });
}

export function existsPublicKey(tx: Tx, publicKey: Buffer): Promise<boolean> {
  return tx.existsBy(TenantSigningKeyRow, { ...own(tx), publicKey, confirmedAt: Not(IsNull()), revokedAt: IsNull() });
}

/** Does nothing if the tenant has a kept key in use already. */
export async function insertSigningKey(tx: Tx, row: TenantSigningKeyRow): Promise<void> {
  await tx.createQueryBuilder().insert().into(TenantSigningKeyRow).values(row).orIgnore().execute();
}

export async function markSigningKey(
  tx: Tx,
  id: string,
  change: Partial<Pick<TenantSigningKeyRow, 'confirmedAt' | 'revokedAt'>>,
): Promise<void> {
  await tx.update(TenantSigningKeyRow, { ...own(tx), id }, change);
}

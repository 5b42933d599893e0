import { LessThan, QueryFailedError } from 'typeorm';
import { own, type Tx } from '../../platform/db.js';
import { AppError } from '../../platform/errors.js';
import { EndpointRow } from './endpoint.entity.js';

/** Throws CONFLICT for a name that another endpoint of the tenant has. */
export async function insertEndpoint(tx: Tx, row: EndpointRow): Promise<void> {
  try {
    await tx.insert(EndpointRow, row);
  } catch (error) {
    const cause = error instanceof QueryFailedError ? (error.driverError as { constraint?: string }) : null;
    if (cause?.constraint === 'endpoint_name')
      throw new AppError('CONFLICT', 'An endpoint of this name exists.', { field: 'input.name' });
    throw error;
  }
}

/** Not the deleted ones. */
export function findEndpoint(tx: Tx, id: string): Promise<EndpointRow | null> {
  return tx.findOneBy(EndpointRow, { ...own(tx), id, state: 'READY' });
}

export function findEndpointForUpdate(tx: Tx, id: string): Promise<EndpointRow | null> {
  return tx.findOne(EndpointRow, { where: { ...own(tx), id, state: 'READY' }, lock: { mode: 'pessimistic_write' } });
}

/** Keeps the endpoint from being deleted until the commit. */
export function findEndpointForShare(tx: Tx, id: string): Promise<EndpointRow | null> {
  return tx.findOne(EndpointRow, { where: { ...own(tx), id, state: 'READY' }, lock: { mode: 'pessimistic_read' } });
}

/** Newest first. */
export function listEndpoints(tx: Tx, before: string | null, limit: number): Promise<EndpointRow[]> {
  const where = { ...own(tx), state: 'READY' as const, ...(before && { id: LessThan(before) }) };
  return tx.find(EndpointRow, { where, order: { id: 'DESC' }, take: limit });
}

export async function markEndpoint(
  tx: Tx,
  id: string,
  change: Partial<Pick<EndpointRow, 'state' | 'modelVersionId' | 'routedAt'>>,
): Promise<void> {
  await tx.update(EndpointRow, { ...own(tx), id }, change);
}

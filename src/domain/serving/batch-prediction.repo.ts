import { LessThan } from 'typeorm';
import { own, type Tx } from '../../platform/db.js';
import { notFound } from '../../platform/errors.js';
import { kindOf } from '../../platform/ids.js';
import { BatchChunkRow, BatchPredictionRow } from './batch-prediction.entity.js';

export async function insertBatch(tx: Tx, row: BatchPredictionRow): Promise<void> {
  await tx.insert(BatchPredictionRow, row as never);
}

export function findBatch(tx: Tx, id: string): Promise<BatchPredictionRow | null> {
  if (kindOf(id) !== 'batchPrediction') return Promise.resolve(null);
  return tx.findOneBy(BatchPredictionRow, { ...own(tx), id });
}

export async function getBatch(tx: Tx, id: string): Promise<BatchPredictionRow> {
  const row = await findBatch(tx, id);
  if (!row) throw notFound('batch prediction');
  return row;
}

export interface BatchFilter {
  readonly endpointId?: string | null;
}

/** Newest first. */
export function listBatches(
  tx: Tx,
  { endpointId }: BatchFilter,
  { before, limit }: { before: string | null; limit: number },
): Promise<BatchPredictionRow[]> {
  const where = { ...own(tx), ...(endpointId && { endpointId }), ...(before && { id: LessThan(before) }) };
  return tx.find(BatchPredictionRow, { where, order: { id: 'DESC' }, take: limit });
}

export async function markBatchDeleted(tx: Tx, id: string, at: Date): Promise<void> {
  await tx.update(BatchPredictionRow, { ...own(tx), id }, { deletedAt: at });
}

export async function insertChunk(tx: Tx, row: BatchChunkRow): Promise<void> {
  await tx.insert(BatchChunkRow, row as never);
}

/** In order. */
export function listChunks(tx: Tx, batchId: string): Promise<BatchChunkRow[]> {
  return tx.find(BatchChunkRow, { where: { ...own(tx), batchId }, order: { place: 'ASC' } });
}

/** Rows answered, by batch; none for those of which nothing was. */
export async function countAnswered(tx: Tx, batchIds: readonly string[]): Promise<Map<string, number>> {
  const rows = await tx.query<{ id: string; rows: number }[]>(
    `select batch_id as id, sum(row_count)::bigint as rows from batch_chunk where tenant_id = $1 and batch_id = any ($2) group by 1`,
    [tx.tenantId, batchIds],
  );
  return new Map(rows.map(({ id, rows: count }) => [id, count]));
}

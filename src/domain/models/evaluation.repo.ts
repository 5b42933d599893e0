import { LessThan } from 'typeorm';
import { own, type Tx } from '../../platform/db.js';
import { notFound } from '../../platform/errors.js';
import { kindOf } from '../../platform/ids.js';
import { EvaluationRow } from './evaluation.entity.js';

export async function insertEvaluation(tx: Tx, row: EvaluationRow): Promise<void> {
  await tx.insert(EvaluationRow, row as never);
}

export function findEvaluation(tx: Tx, id: string): Promise<EvaluationRow | null> {
  if (kindOf(id) !== 'evaluation') return Promise.resolve(null);
  return tx.findOneBy(EvaluationRow, { ...own(tx), id });
}

export async function getEvaluation(tx: Tx, id: string): Promise<EvaluationRow> {
  const row = await findEvaluation(tx, id);
  if (!row) throw notFound('evaluation');
  return row;
}

export interface EvaluationFilter {
  readonly modelVersionId: string;
}

/** Newest first. */
export function listEvaluations(
  tx: Tx,
  { modelVersionId }: EvaluationFilter,
  { before, limit }: { before: string | null; limit: number },
): Promise<EvaluationRow[]> {
  const where = { ...own(tx), modelVersionId, ...(before && { id: LessThan(before) }) };
  return tx.find(EvaluationRow, { where, order: { id: 'DESC' }, take: limit });
}

export async function markEvaluated(tx: Tx, id: string, result: EvaluationRow['result']): Promise<void> {
  await tx.update(EvaluationRow, { ...own(tx), id }, { result: result as never });
}

import { own, type Tx } from '../../platform/db.js';
import { notFound } from '../../platform/errors.js';
import { kindOf } from '../../platform/ids.js';
import { ModelImportRow } from './import.entity.js';

export async function insertImport(tx: Tx, row: ModelImportRow): Promise<void> {
  await tx.insert(ModelImportRow, row);
}

export function findImport(tx: Tx, id: string): Promise<ModelImportRow | null> {
  if (kindOf(id) !== 'modelImport') return Promise.resolve(null);
  return tx.findOneBy(ModelImportRow, { ...own(tx), id });
}

export async function getImport(tx: Tx, id: string): Promise<ModelImportRow> {
  const row = await findImport(tx, id);
  if (!row) throw notFound('import');
  return row;
}

export interface ImportFilter {
  readonly modelId?: string | null;
}

/** Newest first. */
export function listImports(
  tx: Tx,
  { modelId }: ImportFilter,
  { before, limit }: { before: string | null; limit: number },
): Promise<ModelImportRow[]> {
  const query = tx.createQueryBuilder(ModelImportRow, 'import').where(own(tx));
  query.orderBy('import.id', 'DESC').take(limit);
  if (before) query.andWhere('import.id < :before', { before });
  if (modelId) query.andWhere('import.model_id = :modelId', { modelId });
  return query.getMany();
}

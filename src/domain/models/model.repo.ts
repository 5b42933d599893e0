import { In, LessThan, MoreThan } from 'typeorm';
import { own, type Tx } from '../../platform/db.js';
import { kindOf } from '../../platform/ids.js';
import { ModelAliasRow, ModelRow, ModelVersionRow } from './model.entity.js';

/** False if the tenant has a model of this name. */
export async function insertModel(tx: Tx, row: ModelRow): Promise<boolean> {
  const made = await tx.createQueryBuilder().insert().into(ModelRow).values(row).orIgnore().returning('id').execute();
  return (made.raw as unknown[]).length === 1;
}

export function findModel(tx: Tx, id: string): Promise<ModelRow | null> {
  if (kindOf(id) !== 'model') return Promise.resolve(null);
  return tx.findOneBy(ModelRow, { ...own(tx), id });
}

export function findModels(tx: Tx, ids: readonly string[]): Promise<ModelRow[]> {
  return tx.findBy(ModelRow, { ...own(tx), id: In([...ids]) });
}

export function findModelByName(tx: Tx, name: string): Promise<ModelRow | null> {
  return tx.findOneBy(ModelRow, { ...own(tx), name });
}

/** Oldest first. */
export function listModels(tx: Tx, after: string | null, limit: number): Promise<ModelRow[]> {
  const where = after ? { ...own(tx), id: MoreThan(after) } : own(tx);
  return tx.find(ModelRow, { where, order: { id: 'ASC' }, take: limit });
}

/** The next number of a model's versions; the model stays locked until the commit, so that numbers have no gaps. */
export async function takeNumber(tx: Tx, modelId: string): Promise<number> {
  const [rows] = await tx.query<[{ number: number }[], number]>(
    `update model set last_number = last_number + 1 where tenant_id = $1 and id = $2 returning last_number as number`,
    [tx.tenantId, modelId],
  );
  return rows[0]!.number;
}

export async function insertVersion(tx: Tx, row: ModelVersionRow): Promise<void> {
  await tx.insert(ModelVersionRow, row);
}

export function findVersion(tx: Tx, id: string): Promise<ModelVersionRow | null> {
  if (kindOf(id) !== 'modelVersion') return Promise.resolve(null);
  return tx.findOneBy(ModelVersionRow, { ...own(tx), id });
}

export function findVersionByNumber(tx: Tx, modelId: string, number: number): Promise<ModelVersionRow | null> {
  return tx.findOneBy(ModelVersionRow, { ...own(tx), modelId, number });
}

export function findVersionsOf(tx: Tx, trainingIds: readonly string[]): Promise<ModelVersionRow[]> {
  return tx.findBy(ModelVersionRow, { ...own(tx), trainingId: In([...trainingIds]) });
}

export function findVersionsOfImports(tx: Tx, importIds: readonly string[]): Promise<ModelVersionRow[]> {
  return tx.findBy(ModelVersionRow, { ...own(tx), importId: In([...importIds]) });
}

/** Newest first. */
export function listVersions(
  tx: Tx,
  modelId: string,
  before: string | null,
  limit: number,
): Promise<ModelVersionRow[]> {
  const where = { ...own(tx), modelId, ...(before && { id: LessThan(before) }) };
  return tx.find(ModelVersionRow, { where, order: { id: 'DESC' }, take: limit });
}

/** Versions that were trained and validated on the same rows for the same target: their figures can be compared. */
export function listComparable(tx: Tx, splitId: string, target: string, limit: number): Promise<ModelVersionRow[]> {
  return tx
    .createQueryBuilder(ModelVersionRow, 'version')
    .where(own(tx))
    .andWhere(`version.split_id = :splitId and version.signature ->> 'target' = :target`, { splitId, target })
    .orderBy('version.id', 'DESC')
    .take(limit)
    .getMany();
}

export function listAliases(tx: Tx, modelId: string): Promise<ModelAliasRow[]> {
  return tx.find(ModelAliasRow, { where: { ...own(tx), modelId }, order: { alias: 'ASC' } });
}

export async function upsertAlias(tx: Tx, row: ModelAliasRow): Promise<void> {
  await tx.upsert(ModelAliasRow, row, ['tenantId', 'modelId', 'alias']);
}

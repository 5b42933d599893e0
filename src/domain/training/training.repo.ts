import { own, type Tx } from '../../platform/db.js';
import { notFound } from '../../platform/errors.js';
import { kindOf } from '../../platform/ids.js';
import type { JobState } from '../../platform/jobs.js';
import { TrainingRow } from './training.entity.js';

export async function insertTraining(tx: Tx, row: TrainingRow): Promise<void> {
  await tx.insert(TrainingRow, row);
}

export function findTraining(tx: Tx, id: string): Promise<TrainingRow | null> {
  if (kindOf(id) !== 'training') return Promise.resolve(null);
  return tx.findOneBy(TrainingRow, { ...own(tx), id });
}

export async function getTraining(tx: Tx, id: string): Promise<TrainingRow> {
  const row = await findTraining(tx, id);
  if (!row) throw notFound('training');
  return row;
}

export interface TrainingFilter {
  readonly modelId?: string | null;
  readonly datasetVersionId?: string | null;
  readonly states?: readonly JobState[] | null;
}

/** Newest first. */
export function listTrainings(
  tx: Tx,
  filter: TrainingFilter,
  page: { before: string | null; limit: number },
): Promise<TrainingRow[]> {
  const query = tx.createQueryBuilder(TrainingRow, 'training').where(own(tx));
  query.orderBy('training.id', 'DESC').take(page.limit);
  if (page.before) query.andWhere('training.id < :before', { before: page.before });
  if (filter.modelId) query.andWhere('training.model_id = :modelId', { modelId: filter.modelId });
  if (filter.datasetVersionId)
    query.andWhere('training.dataset_version_id = :versionId', { versionId: filter.datasetVersionId });
  if (filter.states?.length)
    query.andWhere(
      `exists (select from job where job.tenant_id = training.tenant_id and job.id = training.job_id and job.state = any(:states))`,
      { states: [...filter.states] },
    );
  return query.getMany();
}

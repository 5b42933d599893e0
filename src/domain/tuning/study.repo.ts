import { In } from 'typeorm';
import { own, type Tx } from '../../platform/db.js';
import { notFound } from '../../platform/errors.js';
import { kindOf } from '../../platform/ids.js';
import type { JobState } from '../../platform/jobs.js';
import { StudyRow, TrialRow } from './study.entity.js';

export async function insertStudy(tx: Tx, row: StudyRow): Promise<void> {
  await tx.insert(StudyRow, row);
}

export function findStudy(tx: Tx, id: string): Promise<StudyRow | null> {
  if (kindOf(id) !== 'study') return Promise.resolve(null);
  return tx.findOneBy(StudyRow, { ...own(tx), id });
}

export async function getStudy(tx: Tx, id: string): Promise<StudyRow> {
  const row = await findStudy(tx, id);
  if (!row) throw notFound('study');
  return row;
}

export interface StudyFilter {
  readonly modelId?: string | null;
  readonly datasetVersionId?: string | null;
  readonly states?: readonly JobState[] | null;
}

/** Newest first. */
export function listStudies(
  tx: Tx,
  filter: StudyFilter,
  page: { before: string | null; limit: number },
): Promise<StudyRow[]> {
  const query = tx.createQueryBuilder(StudyRow, 'study').where(own(tx));
  query.orderBy('study.id', 'DESC').take(page.limit);
  if (page.before) query.andWhere('study.id < :before', { before: page.before });
  if (filter.modelId) query.andWhere('study.model_id = :modelId', { modelId: filter.modelId });
  if (filter.datasetVersionId)
    query.andWhere('study.dataset_version_id = :versionId', { versionId: filter.datasetVersionId });
  if (filter.states?.length)
    query.andWhere(
      `exists (select from job where job.tenant_id = study.tenant_id and job.id = study.job_id and job.state = any(:states))`,
      { states: [...filter.states] },
    );
  return query.getMany();
}

export async function updateStudy(
  tx: Tx,
  id: string,
  change: Partial<Pick<StudyRow, 'elapsedMs' | 'endedBy' | 'bestNumber' | 'trainingId'>>,
): Promise<void> {
  await tx.update(StudyRow, { ...own(tx), id }, change);
}

export async function insertTrial(tx: Tx, row: TrialRow): Promise<void> {
  await tx.insert(TrialRow, row);
}

/** By number. */
export function listTrials(tx: Tx, studyId: string, page: { after: number; limit?: number }): Promise<TrialRow[]> {
  const query = tx.createQueryBuilder(TrialRow, 'trial').where({ ...own(tx), studyId });
  query.andWhere('trial.number > :after', { after: page.after }).orderBy('trial.number', 'ASC');
  return (page.limit === undefined ? query : query.take(page.limit)).getMany();
}

/** The complete ones, best first. */
export function rankTrials(
  tx: Tx,
  studyId: string,
  { smallerFirst, limit }: { smallerFirst: boolean; limit: number },
): Promise<TrialRow[]> {
  return tx.find(TrialRow, {
    where: { ...own(tx), studyId, state: 'COMPLETE' },
    order: { value: smallerFirst ? 'ASC' : 'DESC', number: 'ASC' },
    take: limit,
  });
}

export function findTrial(tx: Tx, studyId: string, number: number): Promise<TrialRow | null> {
  return tx.findOneBy(TrialRow, { ...own(tx), studyId, number });
}

/** How many trials of each state each study has. */
export async function countTrials(
  tx: Tx,
  studyIds: readonly string[],
): Promise<{ studyId: string; state: TrialRow['state']; count: number }[]> {
  return tx
    .createQueryBuilder(TrialRow, 'trial')
    .select('trial.study_id', 'studyId')
    .addSelect('trial.state', 'state')
    .addSelect('count(*)::int', 'count')
    .where({ ...own(tx), studyId: In([...studyIds]) })
    .groupBy('trial.study_id')
    .addGroupBy('trial.state')
    .getRawMany();
}

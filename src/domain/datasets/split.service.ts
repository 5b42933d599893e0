import type { BlobStore } from '../../platform/blobs.js';
import type { Clock } from '../../platform/clock.js';
import { type Db, inTenant, type Tx } from '../../platform/db.js';
import { AppError, notFound } from '../../platform/errors.js';
import { kindOf, newId } from '../../platform/ids.js';
import { enqueueJob } from '../../platform/jobs.js';
import { type Page, type PageRequest, readPage } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import { appendAudit } from '../audit/audit.service.js';
import type { DatasetVersionRow, SplitRow } from './dataset.entity.js';
import * as repo from './dataset.repo.js';
import type { DatasetService } from './dataset.service.js';
import type { SplitInput, SplitResult, TrainingInput } from './training-input.service.js';

export type { SplitRow } from './dataset.entity.js';

export interface CreateSplit {
  readonly datasetVersionId: string;
  readonly method: SplitRow['method'];
  readonly column?: string | null;
  readonly train?: number | null;
  readonly validation?: number | null;
  readonly test?: number | null;
  readonly seed?: number | null;
}

const DEFAULTS = { train: 0.6, validation: 0.2, test: 0.2, seed: 1 };

/** Splits of dataset versions: objects of their own, computed once by a job, the same for the same seed for ever. */
export class SplitService {
  constructor(
    private readonly db: Pick<Db, 'app'>,
    private readonly clock: Clock,
    private readonly blobs: BlobStore,
    private readonly datasets: DatasetService,
  ) {}

  /** Throws NOT_FOUND, NOT_READY, INVALID_INPUT. What the rows themselves forbid (too few groups) refuses the job. */
  async create(scope: Scope, input: CreateSplit): Promise<SplitRow> {
    const shares = sharesOf(input);
    const seed = input.seed ?? DEFAULTS.seed;
    if (!Number.isInteger(seed) || seed < 0 || seed > 2 ** 31 - 1)
      throw invalid('seed', 'The seed must be a whole number from 0 to 2147483647.');
    return inTenant(this.db, scope, async (tx) => {
      const version = await this.datasets.getReadyVersion(tx, input.datasetVersionId);
      const columnName = columnOf(input, version);
      const id = newId('split');
      const jobId = await enqueueJob(tx, scope, { name: 'split', subjectId: id });
      const { method } = input;
      const row = { id, tenantId: scope.tenantId, datasetVersionId: version.id, method, columnName, ...shares };
      const createdAt = this.clock.now();
      await repo.insertSplit(tx, { ...row, seed, jobId, createdAt });
      const detail = { datasetVersionId: version.id, method, ...shares, seed };
      await appendAudit(tx, scope, { kind: 'split.created', subjectId: id, detail, at: createdAt });
      return (await repo.findSplit(tx, id))!;
    });
  }

  async find(scope: Pick<Scope, 'tenantId'>, id: string): Promise<SplitRow | null> {
    if (kindOf(id) !== 'split') return null;
    return inTenant(this.db, scope, (tx) => repo.findSplit(tx, id));
  }

  /** Newest first. */
  list(scope: Scope, versionId: string, request: PageRequest): Promise<Page<SplitRow>> {
    return inTenant(this.db, scope, (tx) =>
      readPage(
        request,
        (row) => row.id,
        (after, limit) => repo.listSplits(tx, versionId, { after, limit }),
      ),
    );
  }

  /** For other domains, within their transaction. Throws NOT_FOUND (also for a split of another version), NOT_READY. */
  async getReady(tx: Tx, ids: { splitId: string; datasetVersionId: string }): Promise<SplitRow> {
    const split = kindOf(ids.splitId) === 'split' ? await repo.findSplit(tx, ids.splitId) : null;
    if (!split || split.datasetVersionId !== ids.datasetVersionId) throw notFound('split of this dataset version');
    if (split.state === 'REFUSED')
      throw new AppError('NOT_READY', 'This split was refused.', { remedy: 'Create another split.' });
    if (split.state !== 'READY') throw new AppError('NOT_READY', 'This split is still being computed.');
    return split;
  }

  /** What a training's child process needs (`loadTrainingInput`), with the version and its split. Throws NOT_FOUND, NOT_READY. */
  async trainingInput(
    tx: Tx,
    scope: Pick<Scope, 'tenantId'>,
    ids: { datasetVersionId: string; splitId: string },
  ): Promise<TrainingInput & { version: DatasetVersionRow; row: SplitRow }> {
    const version = await this.datasets.getReadyVersion(tx, ids.datasetVersionId);
    const row = await this.getReady(tx, ids);
    const input = await this.#input(tx, scope, { version, row });
    return { ...input, splitDigest: row.digest!, version, row };
  }

  prepare(scope: Scope, splitId: string): Promise<SplitInput> {
    return inTenant(this.db, scope, async (tx) => {
      const row = await repo.findSplit(tx, splitId);
      if (!row) throw notFound('split');
      return this.#input(tx, scope, { version: await this.datasets.getReadyVersion(tx, row.datasetVersionId), row });
    });
  }

  async finish(tx: Tx, splitId: string, { counts, digest }: SplitResult): Promise<void> {
    await repo.markSplit(tx, splitId, { ...counts, digest, at: this.clock.now() });
  }

  async #input(
    tx: Tx,
    scope: Pick<Scope, 'tenantId'>,
    { version, row }: { version: DatasetVersionRow; row: SplitRow },
  ): Promise<SplitInput> {
    const { method, columnName, train, validation, test, seed } = row;
    const table = await this.blobs.open(tx, scope, version.blobId!);
    return { table, split: { method, column: columnName, shares: { train, validation, test }, seed } };
  }
}

function sharesOf(input: CreateSplit): { train: number; validation: number; test: number } {
  const given = [input.train, input.validation, input.test].filter((share) => share != null);
  if (given.length !== 0 && given.length !== 3) throw invalid('train', 'Give all three shares, or none.');
  const { train, validation, test } = { ...DEFAULTS, ...(given.length === 3 ? (input as typeof DEFAULTS) : {}) };
  const shares = { train, validation, test };
  for (const [name, share] of Object.entries(shares))
    if (!(share > 0 && share < 1)) throw invalid(name, 'Every share must lie between 0 and 1.');
  if (Math.abs(train + validation + test - 1) > 1e-9) throw invalid('train', 'The three shares must sum to 1.');
  return shares;
}

function columnOf({ method, column }: CreateSplit, version: DatasetVersionRow): string | null {
  if (method === 'RANDOM') {
    if (column != null) throw invalid('column', 'A RANDOM split takes no column.');
    return null;
  }
  const found = version.columns!.find(({ name }) => name === column);
  if (!found) throw invalid('column', `A ${method} split needs the name of a column of the dataset version.`);
  if (method === 'TIME' && found.type !== 'DATE' && found.type !== 'NUMBER')
    throw invalid('column', 'A TIME split needs a column of dates or numbers.');
  return found.name;
}

function invalid(field: string, message: string): AppError {
  return new AppError('INVALID_INPUT', message, { field: `input.${field}` });
}

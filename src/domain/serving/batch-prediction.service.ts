import type { BlobStore } from '../../platform/blobs.js';
import type { Clock } from '../../platform/clock.js';
import { type Db, inTenant, type Tx } from '../../platform/db.js';
import { AppError } from '../../platform/errors.js';
import { newId } from '../../platform/ids.js';
import { enqueueJob, getJob, isFinal, type Job, retryJob } from '../../platform/jobs.js';
import type { Scope } from '../../platform/scope.js';
import { unsealWhole } from '../../platform/sealing.js';
import type { AgreementDeviceService } from '../agreements/agreement-device.service.js';
import { appendAudit } from '../audit/audit.service.js';
import { RecordedWork, type WithJob } from '../audit/recorded-work.service.js';
import type { DatasetService, DatasetVersionRow } from '../datasets/dataset.service.js';
import type { Claim, Refused, ReservationService } from '../metering/reservation.service.js';
import type { Receipt } from '../metering/ledger.service.js';
import { type Admitted, type BatchAsked, type BatchDecisions } from './batch-decision.js';
import type { BatchPredictionRow } from './batch-prediction.entity.js';
import * as repo from './batch-prediction.repo.js';
import type { PublishedSignature } from './endpoint.entity.js';
import { REGION } from './attempt.js';
import { ledgerRefusal } from './ledger-refusal.js';

export type { BatchPredictionRow } from './batch-prediction.entity.js';
export type { BatchFilter } from './batch-prediction.repo.js';

export interface NewBatchPrediction {
  readonly endpointId: string;
  /** The tenant's own. */
  readonly datasetVersionId: string;
  readonly purpose?: string | null;
  readonly agreementId?: string | null;
  readonly declaredRegion?: string | null;
}

/** A batch with the state of its job. */
export type BatchPredictionView = WithJob<BatchPredictionRow>;

/** What can be fetched of a batch that is over: one part for each chunk, in order. */
export interface BatchAnswers {
  readonly batch: BatchPredictionView;
  readonly parts: readonly AnsweredPart[];
}

export interface AnsweredPart {
  readonly firstRow: number;
  readonly rowCount: number;
  readonly receipt: Receipt;
  /** The canonical JSON of what was disclosed. Throws NOT_FOUND if it was deleted meanwhile. */
  read(): Promise<string>;
}

export interface BatchPredictionParts {
  readonly db: Pick<Db, 'app'>;
  readonly clock: Clock;
  readonly blobs: BlobStore;
  readonly datasets: DatasetService;
  readonly devices: AgreementDeviceService;
  readonly decisions: BatchDecisions;
  readonly reservations: ReservationService;
}

/** Rows of a chunk at most, and cells of its answers: so much is computed, recorded and lost together. */
const CHUNK_ROWS = 10_000;
const CHUNK_CELLS = 1_000_000;
const MOST_CHUNKS = 10_000;

/** Batch predictions: asked for here, made by a worker (workers/predict.ts, `BatchRunService`). */
export class BatchPredictionService extends RecordedWork<BatchPredictionRow, repo.BatchFilter> {
  constructor(private readonly parts: BatchPredictionParts) {
    super({ kind: 'batch', ...parts, rows: { find: repo.findBatch, get: repo.getBatch, list: repo.listBatches } });
  }

  /**
   * Holds the rows in the limits of the agreement, and puts the batch in the queue. Throws what `decide` denies and the ledger refuses,
   * INPUT_INVALID for a dataset version without the columns: all recorded; NOT_FOUND, NOT_READY for the dataset version.
   */
  async start(scope: Scope, input: NewBatchPrediction): Promise<BatchPredictionView> {
    const { db, datasets, decisions } = this.parts;
    const declaredRegion = input.declaredRegion ?? null;
    if (declaredRegion !== null && !REGION.test(declaredRegion))
      throw new AppError('INVALID_INPUT', 'A region is named by small letters, digits and hyphens, 40 at most.', {
        field: 'input.declaredRegion',
      });
    const version = await inTenant(db, scope, (tx) => datasets.getReadyVersion(tx, input.datasetVersionId));
    const asked: BatchAsked = {
      tenantId: scope.tenantId,
      actor: scope.actor,
      mayPredict: scope.permissions.has('prediction:create'),
      device: scope.device ?? null,
      endpointId: input.endpointId,
      agreementId: input.agreementId ?? null,
      purpose: input.purpose ?? null,
      declaredRegion,
      rowCount: version.rowCount!,
    };
    const admitted = await decisions.admit(asked);
    const { policy, decision, agreement } = admitted;
    const about = { policy, agreementId: decision.agreementId };
    const chunkRows = chunkRowsOf(admitted);
    const misfit = misfitOf(policy.endpoint.signature, version) ?? tooManyChunks(asked.rowCount, chunkRows);
    if (misfit) return decisions.refuse(asked, about, misfit);
    const row: BatchPredictionRow = {
      tenantId: scope.tenantId,
      id: newId('batchPrediction'),
      endpointId: policy.endpoint.id,
      providerTenantId: policy.endpoint.tenantId,
      agreementId: decision.agreementId,
      agreementVersion: agreement?.version ?? null,
      modelVersionId: policy.endpoint.modelVersionId,
      modelDigest: policy.endpoint.modelDigest,
      task: policy.endpoint.signature.task,
      classes: policy.endpoint.signature.classes,
      disclosure: decision.disclosure,
      purpose: asked.purpose,
      declaredRegion,
      actor: scope.actor,
      deviceId: asked.device?.id ?? null,
      datasetVersionId: version.id,
      rowCount: asked.rowCount,
      chunkRows,
      jobId: '',
      createdAt: this.parts.clock.now(),
      deletedAt: null,
    };
    return this.reserving(asked, about, (tx, reserve) => this.enqueue(tx, scope, { row, reserve }));
  }

  /** Puts a failed or cancelled batch back in the queue: for the rows that are left, which are held anew. */
  override async retry(scope: Scope, id: string): Promise<BatchPredictionView> {
    const { db, decisions } = this.parts;
    const { row, answered } = await inTenant(db, scope, async (tx) => {
      const row = await repo.getBatch(tx, id);
      refuseDeleted(row);
      return { row, answered: (await repo.countAnswered(tx, [id])).get(id) ?? 0 };
    });
    const rowCount = row.rowCount - answered;
    const { deviceId } = row;
    const agreementIds = deviceId === null ? null : await this.parts.devices.agreementsOf(scope, deviceId);
    const device = agreementIds && { id: deviceId!, agreementIds };
    const asked: BatchAsked = { ...row, rowCount: Math.max(rowCount, 1), device, mayPredict: true };
    const { policy, decision } = await decisions.stillAdmit(asked, row);
    return this.reserving(asked, { policy, agreementId: decision.agreementId }, async (tx, reserve) => {
      const job = await retryJob(tx, scope, row.jobId);
      if (rowCount > 0) await reserve(row, rowCount);
      await this.record(tx, scope, { kind: 'batch.retried', subjectId: id });
      return { ...row, job };
    });
  }

  /** Makes the answers unreadable, for good. CONFLICT while it is under way; twice changes nothing. */
  async delete(scope: Scope, id: string): Promise<BatchPredictionView> {
    const { db, blobs, clock } = this.parts;
    const { view, blobIds } = await inTenant(db, scope, async (tx) => {
      const row = await repo.getBatch(tx, id);
      const job = await getJob(tx, scope, row.jobId);
      if (row.deletedAt) return { view: { ...row, job }, blobIds: [] };
      if (!isFinal(job.state))
        throw new AppError('CONFLICT', 'The batch is still under way.', { remedy: 'Cancel it first.' });
      const deletedAt = clock.now();
      const blobIds = (await repo.listChunks(tx, id)).map(({ blobId }) => blobId);
      for (const blobId of blobIds) await blobs.shred(tx, scope, blobId);
      await repo.markBatchDeleted(tx, id, deletedAt);
      await this.record(tx, scope, { kind: 'batch.deleted', subjectId: id });
      return { view: { ...row, deletedAt, job }, blobIds };
    });
    // The keys are gone already; a file that outlives a crash here is swept.
    for (const blobId of blobIds) await blobs.removeFile(scope, blobId);
    return view;
  }

  /** Rows answered, recorded and charged so far, in the order of the ids. */
  readonly answered = async (scope: Scope, ids: readonly string[]): Promise<number[]> => {
    const counts = await inTenant(this.parts.db, scope, (tx) => repo.countAnswered(tx, ids));
    return ids.map((id) => counts.get(id) ?? 0);
  };

  /** What was answered, once it is over, also in part. NOT_FOUND for what was deleted, NOT_READY while it is under way. */
  answers(scope: Scope, id: string): Promise<BatchAnswers> {
    return inTenant(this.parts.db, scope, async (tx) => {
      const row = await repo.getBatch(tx, id);
      refuseDeleted(row);
      const job = await getJob(tx, scope, row.jobId);
      if (!isFinal(job.state)) throw new AppError('NOT_READY', 'The batch is still under way.');
      const chunks = await repo.listChunks(tx, id);
      const receipts = await this.parts.reservations.receipts(
        tx,
        chunks.map(({ logIndex }) => logIndex),
      );
      const parts = chunks.map(({ place, rowCount, logIndex, blobId }) => ({
        firstRow: place * row.chunkRows,
        rowCount,
        receipt: receipts.get(logIndex)!,
        read: () => this.read(scope, blobId),
      }));
      return { batch: { ...row, job }, parts };
    });
  }

  private async read(scope: Scope, blobId: string): Promise<string> {
    const blob = await inTenant(this.parts.db, scope, (tx) => this.parts.blobs.open(tx, scope, blobId));
    return Buffer.from(await unsealWhole(blob)).toString('utf8');
  }

  private async enqueue(
    tx: Tx,
    scope: Scope,
    { row, reserve }: { row: BatchPredictionRow; reserve: Reserve },
  ): Promise<BatchPredictionView> {
    const { id, endpointId, agreementId, agreementVersion, modelVersionId, datasetVersionId, purpose, rowCount } = row;
    // Once more in this transaction: it may have been deleted.
    await this.parts.datasets.getReadyVersion(tx, datasetVersionId);
    const jobId = await enqueueJob(tx, scope, { name: 'predict', subjectId: id });
    await repo.insertBatch(tx, { ...row, jobId });
    await reserve(row, rowCount);
    const about = { endpointId, agreementId, agreementVersion, modelVersionId, datasetVersionId, purpose, rowCount };
    await appendAudit(tx, scope, { kind: 'batch.started', subjectId: id, detail: about, at: row.createdAt });
    const job: Job = await getJob(tx, scope, jobId);
    return { ...row, jobId, job };
  }

  /** One transaction, which the refusal of the ledger undoes; the refusal is recorded. */
  private async reserving<T>(
    asked: BatchAsked,
    about: { readonly policy: Admitted['policy']; readonly agreementId: string | null },
    work: (tx: Tx, reserve: Reserve) => Promise<T>,
  ): Promise<T> {
    const { db, decisions, reservations } = this.parts;
    // Undone with the transaction, the proof is recorded once more with the refusal.
    const proof = asked.device?.takeProof?.() ?? null;
    const device = asked.device && { ...asked.device, takeProof: () => proof };
    try {
      return await inTenant(db, asked, (tx) =>
        work(tx, async (row, rowCount) => {
          const refused = await reservations.reserve(tx, claimOf({ device, rowCount }, row));
          if (refused) throw new Unreserved(refused);
        }),
      );
    } catch (error) {
      if (!(error instanceof Unreserved)) throw error;
      return decisions.refuse({ ...asked, device }, about, ledgerRefusal(error.refused, asked.rowCount));
    }
  }
}

type Reserve = (row: BatchPredictionRow, rowCount: number) => Promise<void>;

class Unreserved extends Error {
  constructor(readonly refused: Refused) {
    super('The ledger refuses the batch.');
  }
}

function claimOf({ device, rowCount }: Pick<BatchAsked, 'device' | 'rowCount'>, row: BatchPredictionRow): Claim {
  const { id: batchId, providerTenantId, endpointId, agreementId, agreementVersion, actor } = row;
  return {
    batchId,
    providerTenantId,
    endpointId,
    agreement: agreementId === null ? null : { id: agreementId, version: agreementVersion! },
    rowCount,
    keyId: actor.keyId ?? null,
    deviceId: device?.id ?? null,
    proof: device?.takeProof?.() ?? null,
  };
}

function refuseDeleted({ deletedAt }: BatchPredictionRow): void {
  if (deletedAt) throw new AppError('NOT_FOUND', 'The answers of this batch were deleted.');
}

/** Where seconds are limited, a chunk takes half of one at most: the rest is for requests that wait. */
function chunkRowsOf({ policy, agreement }: Admitted): number {
  const byCells = Math.max(1, Math.floor(CHUNK_CELLS / (policy.endpoint.signature.classes?.length ?? 1)));
  const bySecond = Math.max(1, Math.floor((agreement?.terms.rowsPerSecond ?? Infinity) / 2));
  return Math.min(CHUNK_ROWS, byCells, bySecond);
}

function tooManyChunks(rowCount: number, chunkRows: number): AppError | null {
  if (rowCount <= MOST_CHUNKS * chunkRows) return null;
  const message = `At ${chunkRows} rows at a time, a batch has at most ${MOST_CHUNKS * chunkRows} rows; this one has ${rowCount}.`;
  return new AppError('TOO_MANY_ROWS', message, {
    field: 'input.datasetVersionId',
    remedy: 'Split the rows into several dataset versions.',
  });
}

/** What can be told without reading the rows. Columns that the model does not take are left alone. */
function misfitOf({ inputs }: PublishedSignature, { columns }: DatasetVersionRow): AppError | null {
  const known = new Map(columns!.map((column) => [column.name, column]));
  for (const { name, kind } of inputs) {
    const column = known.get(name);
    const why = !column
      ? 'The column is missing.'
      : column.role === 'EMPTY' || column.type === kind.toUpperCase()
        ? null
        : `The model takes a ${kind}, and this is a ${column.type.toLowerCase()}.`;
    if (why)
      return new AppError('INPUT_INVALID', `Column ${name}: ${why}`, {
        field: 'input.datasetVersionId',
        remedy: 'Make another dataset version, with the columns of the endpoint’s signature.',
      });
  }
  return null;
}

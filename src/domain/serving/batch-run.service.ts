import { setTimeout as delay } from 'node:timers/promises';
import { type BlobStore, type NewBlob, writeSealed } from '../../platform/blobs.js';
import { type Db, inTenant, type Tx } from '../../platform/db.js';
import { AppError } from '../../platform/errors.js';
import { type ClaimedJob, holdJob } from '../../platform/jobs.js';
import type { Scope } from '../../platform/scope.js';
import type { AgreementDeviceService } from '../agreements/agreement-device.service.js';
import { appendAudit } from '../audit/audit.service.js';
import type { DatasetService } from '../datasets/dataset.service.js';
import type { Salts } from '../metering/ledger.service.js';
import { chunkPredictionId, type ReservationService } from '../metering/reservation.service.js';
import type { ModelService } from '../models/model.service.js';
import { type Admitted, type BatchAsked, type BatchDecisions } from './batch-decision.js';
import type { BatchInput, ChunkAsked, ChunkInferred } from './batch-input.service.js';
import type { BatchPredictionRow } from './batch-prediction.entity.js';
import * as batches from './batch-prediction.repo.js';
import { canonicalAnswer, commitToAnswer } from './commitment.js';
import { Running } from './concurrency.js';
import { disclose, ruleName } from './disclose.js';
import type { NoiseSource } from './noise-stream.js';
import { ledgerRefusal } from './ledger-refusal.js';

export interface BatchRunParts {
  readonly db: Pick<Db, 'app'>;
  readonly blobs: BlobStore;
  readonly datasets: DatasetService;
  readonly models: ModelService;
  readonly devices: AgreementDeviceService;
  readonly decisions: BatchDecisions;
  readonly reservations: ReservationService;
  readonly salts: Salts;
  readonly noise: NoiseSource;
}

/** A run of a batch in this worker. */
export interface BatchRun {
  /** For the child process: the chunks that are left. */
  readonly input: BatchInput;
  readonly rowCount: number;
  /** Decides, discloses, charges, records and stores; resolves with the rows answered so far. Throws what ends the job. */
  answer(chunk: ChunkInferred): Promise<number>;
  end(): void;
}

/** How long to wait for a place among the requests that an agreement allows at a time. */
const CROWDED_MS = 500;

/** The worker's side of batch predictions. */
export class BatchRunService {
  /** Batches under way in this process, by agreement. */
  private readonly running = new Running();

  constructor(private readonly parts: BatchRunParts) {}

  /** Throws what is refused now, before anything is inferred; NOT_FOUND if the rows or the model are gone. */
  async begin(scope: Scope, job: ClaimedJob): Promise<BatchRun> {
    const { db, blobs, datasets, models, reservations, salts } = this.parts;
    const { batch, chunks, table } = await inTenant(db, scope, async (tx) => {
      const row = await batches.getBatch(tx, job.subjectId);
      const version = await datasets.getReadyVersion(tx, row.datasetVersionId);
      const table = await blobs.open(tx, scope, version.blobId!);
      return { batch: row, chunks: await batches.listChunks(tx, row.id), table };
    });
    const end = await this.enter(scope, batch);
    try {
      await reservations.prepare();
      // On behalf of the endpoint's tenant: only after the decision that the caller may have its answers.
      const provider = { tenantId: batch.providerTenantId };
      const onnx = await inTenant(db, provider, (tx) => models.openOnnx(tx, provider, batch.modelVersionId));
      const done = new Set(chunks.map(({ place }) => place));
      const left: ChunkAsked[] = [];
      for (let place = 0, firstRow = 0; firstRow < batch.rowCount; place++, firstRow += batch.chunkRows) {
        if (done.has(place)) continue;
        const rowCount = Math.min(batch.chunkRows, batch.rowCount - firstRow);
        const salt = salts.of(chunkPredictionId(batch.tenantId, batch.id, place));
        left.push({ place, firstRow, rowCount, salt });
      }
      let answered = chunks.reduce((sum, { rowCount }) => sum + rowCount, 0);
      const asked = new Map(left.map((chunk) => [chunk.place, chunk]));
      return {
        input: { table, onnx, chunks: left },
        rowCount: batch.rowCount,
        answer: async (chunk) => {
          const { rowCount } = asked.get(chunk.place)!;
          await this.settle(scope, job, { batch, chunk, rowCount });
          return (answered += rowCount);
        },
        end,
      };
    } catch (error) {
      end();
      throw error;
    }
  }

  /** Joins the transaction that marks the job SUCCEEDED. */
  async finish(tx: Tx, scope: Scope, id: string): Promise<void> {
    const { rowCount } = await batches.getBatch(tx, id);
    await appendAudit(tx, scope, { kind: 'batch.finished', subjectId: id, detail: { rowCount } });
  }

  /** Counts the batch among what is under way, once there is a place for it. Returns how to give the place back. */
  private async enter(scope: Scope, batch: BatchPredictionRow): Promise<() => void> {
    for (;;) {
      try {
        const asked = await this.askedOf(batch);
        const { decision } = await this.parts.decisions.stillAdmit(asked, batch, (id) => this.running.count(id));
        return decision.counts ? this.running.begin(decision.agreementId!) : () => undefined;
      } catch (error) {
        if (!(error instanceof AppError && error.code === 'CONCURRENCY_EXCEEDED')) throw error;
        await delay(CROWDED_MS, undefined, { signal: scope.signal });
      }
    }
  }

  private async settle(
    scope: Scope,
    job: ClaimedJob,
    { batch, chunk, rowCount }: { batch: BatchPredictionRow; chunk: ChunkInferred; rowCount: number },
  ): Promise<void> {
    const { decisions, noise, salts, db, blobs } = this.parts;
    const startedAt = performance.now();
    const asked = { ...(await this.askedOf(batch)), rowCount };
    const admitted = await decisions.stillAdmit(asked, batch);
    const { disclosure } = batch;
    const predictionId = chunkPredictionId(batch.tenantId, batch.id, chunk.place);
    const inputDigest = Buffer.from(chunk.inputDigest);
    const told = disclose(chunk.inference, disclosure, () =>
      noise.streamOf(predictionId, inputDigest, ruleName(disclosure)),
    );
    const outputDigest = commitToAnswer(salts.of(predictionId), told);
    const blob = await inTenant(db, scope, (tx) => blobs.prepare(tx, scope));
    await writeSealed(blob, [Buffer.from(canonicalAnswer(told), 'utf8')], scope.signal);
    const durationUs = Math.round((chunk.elapsedMs + performance.now() - startedAt) * 1000);
    const answered = { batchId: batch.id, predictionId, rowCount, durationUs, inputDigest, outputDigest };
    try {
      await this.record(scope, job, { batch, asked, admitted, place: chunk.place, blob, answered });
    } catch (error) {
      // Of any other failure nobody knows whether the commit went through: a file without a row is swept.
      if (error instanceof AppError && error.code !== 'UNAVAILABLE') await blobs.removeFile(scope, blob.blobId);
      throw error;
    }
  }

  /** Entry, charge and answer are there together, or none of them. Waits while the second has no room. */
  private async record(scope: Scope, job: ClaimedJob, done: Done): Promise<void> {
    const { db, blobs, decisions, reservations } = this.parts;
    const { batch, asked, admitted, place, blob, answered } = done;
    const { policy, agreement, decision } = admitted;
    const model = { versionId: batch.modelVersionId, digest: batch.modelDigest };
    const facts = {
      ...decisions.facts(asked, { endpoint: policy.endpoint, agreement, model }),
      disclosure: batch.disclosure,
    };
    const contextId = await reservations.contextOf(asked, facts);
    for (;;) {
      const refused = await inTenant(db, scope, async (tx) => {
        if (!(await holdJob(tx, job))) throw new Error('Another run has the batch.');
        await blobs.insert(tx, blob, 'answer');
        const settled = await reservations.settle(tx, contextId, answered);
        if (!('logIndex' in settled)) throw new Unsettled(settled);
        const { logIndex } = settled;
        await batches.insertChunk(tx, {
          ...ownerOf(batch),
          place,
          rowCount: answered.rowCount,
          logIndex,
          blobId: blob.blobId,
        });
        return null;
      }).catch((error: unknown) => {
        if (error instanceof Unsettled) return error.refused;
        throw error;
      });
      if (refused === null) return;
      if (refused.refusal !== 'QUOTA_SECOND_EXCEEDED')
        return decisions.refuse(
          asked,
          { policy, agreementId: decision.agreementId },
          ledgerRefusal(refused, answered.rowCount),
        );
      await delay(1000 - (refused.at.getTime() % 1000), undefined, { signal: scope.signal });
      // A second is long enough for an agreement to end.
      await decisions.stillAdmit(asked, batch);
    }
  }

  private async askedOf(batch: BatchPredictionRow): Promise<BatchAsked> {
    const { deviceId } = batch;
    const device = deviceId && { id: deviceId, agreementIds: await this.parts.devices.agreementsOf(batch, deviceId) };
    return { ...batch, device: device || null, mayPredict: true };
  }
}

interface Done {
  readonly batch: BatchPredictionRow;
  readonly asked: BatchAsked;
  readonly admitted: Admitted;
  readonly place: number;
  readonly blob: NewBlob;
  readonly answered: Parameters<ReservationService['settle']>[2];
}

/** Undoes the transaction of a chunk that the ledger refuses. */
class Unsettled extends Error {
  constructor(readonly refused: Exclude<Awaited<ReturnType<ReservationService['settle']>>, { logIndex: number }>) {
    super('The ledger refuses the chunk.');
  }
}

function ownerOf({ tenantId, id }: BatchPredictionRow): { tenantId: string; batchId: string } {
  return { tenantId, batchId: id };
}

import type { EvaluationRequest, EvaluationResult } from '../../ml/evaluate.js';
import type { TrainSpec } from '../../ml/train.js';
import type { Clock } from '../../platform/clock.js';
import { type Db, inTenant, type Tx } from '../../platform/db.js';
import { AppError, notFound } from '../../platform/errors.js';
import { newId } from '../../platform/ids.js';
import { cancelJob, enqueueJob, findJobs, getJob, type Job, retryJob } from '../../platform/jobs.js';
import { type Page, type PageRequest, readPage } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import type { SealedBlob } from '../../platform/sealing.js';
import { appendAudit, type AuditEvent } from '../audit/audit.service.js';
import type { SplitService } from '../datasets/split.service.js';
import type { TrainingInput } from '../datasets/training-input.service.js';
import { type AskedSections, completeRequest } from './evaluation-request.js';
import type { EvaluationRow } from './evaluation.entity.js';
import * as evaluations from './evaluation.repo.js';
import type { ModelService, ModelVersionRow } from './model.service.js';

export type { EvaluationRow } from './evaluation.entity.js';

export interface NewEvaluation extends AskedSections {
  readonly modelVersionId: string;
  /** Of any dataset version that has the model's columns; the version's own unless told. */
  readonly splitId?: string | null;
  readonly part?: EvaluationRow['part'] | null;
  readonly againstVersionId?: string | null;
  readonly seed?: number | null;
}

/** An evaluation with the state of its job. */
export type EvaluationView = EvaluationRow & { readonly job: Job };

/** What a child process is given: nothing of tenants or names. */
export interface EvaluationPlan {
  readonly data: TrainingInput;
  readonly fitted: SealedBlob;
  readonly against: SealedBlob | null;
  readonly spec: TrainSpec | null;
  readonly request: EvaluationRequest;
  readonly part: EvaluationRow['part'];
  readonly seed: number;
}

export interface EvaluationParts {
  readonly db: Pick<Db, 'app'>;
  readonly clock: Clock;
  readonly models: ModelService;
  readonly splits: SplitService;
  /** How a version was learned; null if it was not trained here. Trainings come after models, and are told of here only so. */
  readonly specOf: (tx: Tx, version: ModelVersionRow) => Promise<TrainSpec | null>;
}

/** Evaluations of versions: asked for here, done by a worker (workers/evaluate.ts), stored by `finish`. */
export class EvaluationService {
  constructor(private readonly parts: EvaluationParts) {}

  /** INVALID_INPUT with the field for what can be told without reading the data. NOT_FOUND, NOT_READY; CONFLICT for an old version. */
  async start(scope: Scope, input: NewEvaluation): Promise<EvaluationView> {
    const { models, splits } = this.parts;
    const split = input.splitId ? await splits.find(scope, input.splitId) : null;
    if (input.splitId && !split) throw notFound('split');
    return inTenant(this.parts.db, scope, async (tx) => {
      const { version } = await models.openFitted(tx, scope, input.modelVersionId);
      if (input.againstVersionId) await models.openFitted(tx, scope, input.againstVersionId);
      const rows = split ? { datasetVersionId: split.datasetVersionId, splitId: split.id } : version;
      const data = await splits.trainingInput(tx, scope, rows);
      const columns = data.version.columns!.map(({ name }) => name);
      const id = newId('evaluation');
      const row: EvaluationRow = {
        tenantId: scope.tenantId,
        id,
        modelVersionId: version.id,
        datasetVersionId: data.version.id,
        splitId: data.row.id,
        part: input.part ?? 'TEST',
        againstVersionId: input.againstVersionId ?? null,
        request: completeRequest(input, version.signature, columns),
        seed: seedOf(input.seed ?? version.seed),
        jobId: await enqueueJob(tx, scope, { name: 'evaluate', subjectId: id }),
        createdAt: this.parts.clock.now(),
        result: null,
      };
      await evaluations.insertEvaluation(tx, row);
      const { modelVersionId, datasetVersionId, splitId, part, againstVersionId, request, seed } = row;
      const detail = { modelVersionId, datasetVersionId, splitId, part, againstVersionId, request, seed };
      await appendAudit(tx, scope, { kind: 'evaluation.started', subjectId: id, detail, at: row.createdAt });
      return { ...row, job: await getJob(tx, scope, row.jobId) };
    });
  }

  /** Ends it within a second. CONFLICT if it is over. */
  cancel(scope: Scope, id: string): Promise<EvaluationView> {
    return inTenant(this.parts.db, scope, async (tx) => {
      const row = await evaluations.getEvaluation(tx, id);
      const job = await cancelJob(tx, scope, row.jobId);
      // A running one is recorded by its worker, when it is really over.
      if (job.state === 'CANCELLED') await this.record(tx, scope, { kind: 'evaluation.cancelled', subjectId: id });
      return { ...row, job };
    });
  }

  /** Puts a failed or cancelled evaluation back in the queue, as it was asked for. CONFLICT for any other. */
  retry(scope: Scope, id: string): Promise<EvaluationView> {
    return inTenant(this.parts.db, scope, async (tx) => {
      const row = await evaluations.getEvaluation(tx, id);
      const job = await retryJob(tx, scope, row.jobId);
      await this.record(tx, scope, { kind: 'evaluation.retried', subjectId: id });
      return { ...row, job };
    });
  }

  find(scope: Scope, id: string): Promise<EvaluationView | null> {
    return inTenant(this.parts.db, scope, async (tx) => {
      const row = await evaluations.findEvaluation(tx, id);
      return row && { ...row, job: await getJob(tx, scope, row.jobId) };
    });
  }

  /** Of a version, newest first. */
  list(scope: Scope, modelVersionId: string, request: PageRequest): Promise<Page<EvaluationView>> {
    return inTenant(this.parts.db, scope, (tx) =>
      readPage(
        request,
        (row) => row.id,
        async (before, limit) => {
          const rows = await evaluations.listEvaluations(tx, modelVersionId, before, limit);
          const jobIds = rows.map((row) => row.jobId);
          const jobs = await findJobs(tx, scope, jobIds);
          return rows.map((row, i) => ({ ...row, job: jobs[i]! }));
        },
      ),
    );
  }

  /** For the worker: everything that the child process needs. */
  plan(scope: Scope, id: string): Promise<EvaluationPlan> {
    const { models, splits, specOf } = this.parts;
    return inTenant(this.parts.db, scope, async (tx) => {
      const { modelVersionId, againstVersionId, request, part, seed, ...row } = await evaluations.getEvaluation(tx, id);
      const { version, fitted } = await models.openFitted(tx, scope, modelVersionId);
      const against = againstVersionId ? (await models.openFitted(tx, scope, againstVersionId)).fitted : null;
      const { version: _, row: __, ...data } = await splits.trainingInput(tx, scope, row);
      return { data, fitted, against, spec: await specOf(tx, version), request, part, seed };
    });
  }

  /** Joins the transaction that marks the job SUCCEEDED. NOT_FOUND if the data were deleted meanwhile: what it tells of them goes, too. */
  async finish(tx: Tx, scope: Scope, id: string, result: EvaluationResult): Promise<void> {
    const row = await evaluations.getEvaluation(tx, id);
    await this.parts.splits.trainingInput(tx, scope, row);
    await evaluations.markEvaluated(tx, id, result);
    await this.record(tx, scope, { kind: 'evaluation.finished', subjectId: id });
  }

  /** Joins the transaction that ends the job without success. */
  async recordEnd(
    tx: Tx,
    scope: Scope,
    id: string,
    { state, code }: { state: 'FAILED' | 'CANCELLED'; code: string | null },
  ): Promise<void> {
    if (state === 'CANCELLED') await this.record(tx, scope, { kind: 'evaluation.cancelled', subjectId: id });
    else await this.record(tx, scope, { kind: 'evaluation.failed', subjectId: id, detail: { code } });
  }

  private async record(tx: Tx, scope: Scope, event: Pick<AuditEvent, 'kind' | 'subjectId' | 'detail'>): Promise<void> {
    await appendAudit(tx, scope, { ...event, at: this.parts.clock.now() });
  }
}

function seedOf(seed: number): number {
  if (Number.isSafeInteger(seed) && seed >= 0 && seed < 2 ** 32) return seed;
  throw new AppError('INVALID_INPUT', 'A seed is a whole number from 0 to 2^32 - 1.', { field: 'input.seed' });
}

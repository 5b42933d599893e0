import type { EvaluationRequest, EvaluationResult } from '../../ml/evaluate.js';
import type { TrainSpec } from '../../ml/train.js';
import type { Clock } from '../../platform/clock.js';
import { type Db, inTenant, type Tx } from '../../platform/db.js';
import { AppError, notFound } from '../../platform/errors.js';
import { newId } from '../../platform/ids.js';
import { enqueueJob, getJob } from '../../platform/jobs.js';
import type { Scope } from '../../platform/scope.js';
import type { SealedBlob } from '../../platform/sealing.js';
import { appendAudit } from '../audit/audit.service.js';
import { RecordedWork, type WithJob } from '../audit/recorded-work.service.js';
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
export type EvaluationView = WithJob<EvaluationRow>;

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
export class EvaluationService extends RecordedWork<EvaluationRow, evaluations.EvaluationFilter> {
  constructor(private readonly parts: EvaluationParts) {
    const rows = {
      find: evaluations.findEvaluation,
      get: evaluations.getEvaluation,
      list: evaluations.listEvaluations,
    };
    super({ kind: 'evaluation', ...parts, rows });
  }

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
}

function seedOf(seed: number): number {
  if (Number.isSafeInteger(seed) && seed >= 0 && seed < 2 ** 32) return seed;
  throw new AppError('INVALID_INPUT', 'A seed is a whole number from 0 to 2^32 - 1.', { field: 'input.seed' });
}

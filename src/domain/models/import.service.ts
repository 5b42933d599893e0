import type { Imported, ImportSpec, ModelFormat } from '../../ml/import.js';
import { MOST_MODEL_BYTES } from '../../ml/import.js';
import type { BlobStore, NewBlob } from '../../platform/blobs.js';
import type { Clock } from '../../platform/clock.js';
import { type Db, inTenant, type Tx } from '../../platform/db.js';
import { AppError } from '../../platform/errors.js';
import { newId } from '../../platform/ids.js';
import { enqueueJob, getJob } from '../../platform/jobs.js';
import type { Scope } from '../../platform/scope.js';
import type { SealedBlob } from '../../platform/sealing.js';
import { appendAudit } from '../audit/audit.service.js';
import { RecordedWork, type WithJob } from '../audit/recorded-work.service.js';
import type { SplitService } from '../datasets/split.service.js';
import type { TrainingInput } from '../datasets/training-input.service.js';
import { lockUpload, openUpload, takeUpload } from '../datasets/upload.service.js';
import type { ModelImportRow } from './import.entity.js';
import * as imports from './import.repo.js';
import type { ModelService, ModelVersionRow, Signature } from './model.service.js';

export type { ModelImportRow } from './import.entity.js';

export interface NewImport {
  readonly uploadId: string;
  readonly datasetVersionId: string;
  readonly splitId: string;
  readonly target: string;
  readonly format?: ModelFormat | null;
  readonly columns?: readonly string[] | null;
  readonly categories?: ImportSpec['categories'] | null;
  readonly classes?: readonly string[] | null;
  readonly modelId?: string | null;
  readonly modelName?: string | null;
}

/** What a child process is given beside the keys: nothing of tenants or names. */
export interface ImportPlan {
  readonly row: ModelImportRow;
  readonly data: TrainingInput;
  readonly datasetDigest: string;
  /** The uploaded file. */
  readonly file: SealedBlob;
  readonly spec: ImportSpec;
}

/** What came out, without the files themselves: the ONNX file and the fitted model lie sealed. */
export type ImportResult = Omit<Imported, 'fitted' | 'onnx'> & {
  readonly digest: string;
  readonly sizeBytes: number;
  readonly signature: Signature;
  readonly codeVersion: string;
  readonly elapsedMs: number;
  readonly peakMemoryBytes: number;
};

/** An import with the state of its job. */
export type ImportView = WithJob<ModelImportRow>;

/** Of the resamples behind the intervals: an import learns nothing that a seed could change. */
const SEED = 1;
/** Names of columns, classes and categories that one request may give. */
const MOST_NAMES = 100_000;

interface Parts {
  readonly db: Pick<Db, 'app'>;
  readonly clock: Clock;
  readonly blobs: BlobStore;
  readonly models: ModelService;
  readonly splits: SplitService;
}

/** Import of models that another library trained: asked for here, done by a worker (workers/import.ts). */
export class ImportService extends RecordedWork<ModelImportRow, imports.ImportFilter> {
  constructor(private readonly parts: Parts) {
    const rows = { find: imports.findImport, get: imports.getImport, list: imports.listImports };
    super({ kind: 'import', ...parts, rows });
  }

  /**
   * Puts an import in the queue. INVALID_INPUT with the field for what can be told without reading the file; what only the file or
   * the data can tell is the job's failure. NOT_FOUND and NOT_READY for the data and the upload; CONFLICT for a used upload.
   */
  async start(scope: Scope, input: NewImport): Promise<ImportView> {
    const categories = input.categories ?? [];
    checkNames(input, categories);
    return inTenant(this.parts.db, scope, async (tx) => {
      const { version } = await this.parts.splits.trainingInput(tx, scope, input);
      if (!version.columns!.some(({ name }) => name === input.target))
        throw invalid('target', 'The dataset has no such column.');
      const upload = await lockUpload(tx, input.uploadId);
      const { model, isNew } = await this.parts.models.named(tx, scope, input);
      if (upload.sizeBytes > MOST_MODEL_BYTES)
        throw new AppError('DATA_TOO_LARGE', `A model file may have up to ${MOST_MODEL_BYTES} bytes.`, {
          field: 'input.uploadId',
        });
      const id = newId('modelImport');
      const createdAt = this.parts.clock.now();
      await takeUpload(tx, upload, { by: id, at: createdAt });
      const { datasetVersionId, splitId, target } = input;
      const row: ModelImportRow = {
        ...{ tenantId: scope.tenantId, id, modelId: model.id, datasetVersionId, splitId, target, createdAt },
        ...{ uploadId: upload.id, sha256: upload.sha256, sizeBytes: upload.sizeBytes },
        format: input.format ?? 'AUTO',
        columns: input.columns ? [...input.columns] : null,
        categories: categories.map(({ column, values }) => ({ column, values })),
        classes: input.classes ? [...input.classes] : null,
        seed: SEED,
        jobId: await enqueueJob(tx, scope, { name: 'import', subjectId: id }),
      };
      await imports.insertImport(tx, row);
      if (isNew) await appendAudit(tx, scope, { kind: 'model.created', subjectId: model.id, at: createdAt });
      const detail = {
        modelId: model.id,
        datasetVersionId,
        splitId,
        target,
        uploadId: upload.id,
        sha256: upload.sha256,
      };
      await appendAudit(tx, scope, { kind: 'import.started', subjectId: id, detail, at: createdAt });
      return { ...row, job: await getJob(tx, scope, row.jobId) };
    });
  }

  /** For the worker: everything that the child process needs. */
  plan(scope: Scope, id: string): Promise<ImportPlan> {
    return inTenant(this.parts.db, scope, async (tx) => {
      const row = await imports.getImport(tx, id);
      const { version, row: _, ...data } = await this.parts.splits.trainingInput(tx, scope, row);
      const datasetDigest = version.digest!;
      const { format, target, columns, categories, classes, seed, sha256 } = row;
      // Nothing that differs between two imports alike: the same request gives the same file.
      const metadata = { datasetDigest, splitDigest: data.splitDigest, sourceDigest: sha256 };
      return {
        row,
        data,
        datasetDigest,
        file: await openUpload(tx, scope, this.parts.blobs, row.uploadId),
        spec: { format, target, columns, categories, classes, seed, metadata },
      };
    });
  }

  /** Joins the transaction that marks the job SUCCEEDED: registers the version, once, and shreds the uploaded file. */
  async finish(
    tx: Tx,
    scope: Scope,
    { row, data, datasetDigest, file }: ImportPlan,
    result: { imported: ImportResult; onnx: NewBlob; fitted: NewBlob },
  ): Promise<ModelVersionRow> {
    const { validationRows: _, testRows: __, source, ...imported } = result.imported;
    const { id, modelId, datasetVersionId, splitId, seed, sha256 } = row;
    // Deleted meanwhile? Then there is nothing to register.
    await this.parts.splits.trainingInput(tx, scope, row);
    await this.parts.blobs.shred(tx, scope, file.blobId);
    const version = await this.parts.models.register(tx, scope, {
      ...imported,
      blob: result.onnx,
      fitted: result.fitted,
      modelId,
      trainingId: null,
      importId: id,
      source: { ...source, sha256, sizeBytes: row.sizeBytes },
      datasetVersionId,
      datasetDigest,
      splitId,
      splitDigest: data.splitDigest,
      algorithm: 'IMPORTED',
      parameters: {},
      seed,
    });
    const { elapsedMs, peakMemoryBytes } = imported;
    const detail = { modelVersionId: version.id, ...source, sha256, elapsedMs, peakMemoryBytes };
    await appendAudit(tx, scope, { kind: 'import.finished', subjectId: id, detail });
    return version;
  }
}

function checkNames(input: NewImport, categories: ImportSpec['categories']): void {
  const { columns, classes } = input;
  const names = [columns, classes, ...categories.map(({ values }) => values)];
  if (names.reduce((sum, list) => sum + (list?.length ?? 0), 0) > MOST_NAMES)
    throw invalid('categories', `At most ${MOST_NAMES} names can be given in all.`);
  for (const [field, list] of [
    ['columns', columns],
    ['classes', classes],
    ['categories', categories.map(({ column }) => column)],
  ] as const)
    if (list && new Set(list).size < list.length) throw invalid(field, 'A name is there twice.');
}

function invalid(field: string, message: string): AppError {
  return new AppError('INVALID_INPUT', message, { field: `input.${field}` });
}

import { stat } from 'node:fs/promises';
import type { FittedModel } from '../../ml/infer.js';
import { type BlobStore, type NewBlob } from '../../platform/blobs.js';
import type { Clock } from '../../platform/clock.js';
import { type Db, inTenant, type Tx } from '../../platform/db.js';
import { AppError, notFound } from '../../platform/errors.js';
import { newId } from '../../platform/ids.js';
import { type Page, type PageRequest, readPage } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import { type SealedBlob, unsealWhole } from '../../platform/sealing.js';
import { appendAudit } from '../audit/audit.service.js';
import { compare, type Comparison, defaultFigure, figureOf, isBetter } from './compare.js';
import { loadFitted } from './fitted-model.service.js';
import type { ModelAliasRow, ModelRow, ModelVersionRow } from './model.entity.js';
import * as models from './model.repo.js';
import type { FigureName } from '../../ml/train.js';

export type { ModelRow, ModelVersionRow } from './model.entity.js';
export { isBetter } from './compare.js';
export type { Signature } from '../../ml/infer.js';

/** A proved artifact on its way into the registry; the blobs (ONNX file, packed fitted model) are written, their rows are not. */
export type NewVersion = Omit<
  ModelVersionRow,
  | 'tenantId'
  | 'id'
  | 'number'
  | 'createdAt'
  | 'blobId'
  | 'fittedBlobId'
  | 'derivedFromDeletedData'
  | 'importId'
  | 'source'
  | 'outOfBag'
  | 'providerTenantId'
  | 'agreementId'
> &
  Partial<Pick<ModelVersionRow, 'importId' | 'source' | 'outOfBag' | 'providerTenantId' | 'agreementId'>> & {
    readonly blob: NewBlob;
    readonly fitted: NewBlob;
  };

const ALIAS = /^[a-z][a-z0-9-]{0,62}$/;
/** More versions of one split and target than this are not ranked: the newest are. */
const RANKED = 1000;

/** The registry: models, their numbered immutable versions, and the tenant's names for versions. */
export class ModelService {
  constructor(
    private readonly db: Pick<Db, 'app'>,
    private readonly clock: Clock,
    private readonly blobs: BlobStore,
  ) {}

  /** CONFLICT if the tenant has a model of this name. */
  create(scope: Scope, input: { name: string; description?: string | null }): Promise<ModelRow> {
    return inTenant(this.db, scope, async (tx) => {
      const row = await this.insert(tx, scope, input.name, input.description ?? null);
      await appendAudit(tx, scope, { kind: 'model.created', subjectId: row.id, at: row.createdAt });
      return row;
    });
  }

  /** The model of this name, made if there is none; with whether it was. The caller appends the audit entry of a new one. */
  async findOrInsert(tx: Tx, scope: Scope, name: string): Promise<{ model: ModelRow; isNew: boolean }> {
    const known = await models.findModelByName(tx, modelName(name, 'input.modelName'));
    if (known) return { model: known, isNew: false };
    return { model: await this.insert(tx, scope, name, null), isNew: true };
  }

  /** The model whose next version is to be made: an existing one by its id, or one by its name, made if there is none. */
  async named(
    tx: Tx,
    scope: Scope,
    { modelId, modelName }: { readonly modelId?: string | null; readonly modelName?: string | null },
  ): Promise<{ model: ModelRow; isNew: boolean }> {
    if (!modelId === !modelName)
      throw new AppError('INVALID_INPUT', 'Name either an existing model (modelId) or a new one (modelName).', {
        field: 'input.modelId',
      });
    return modelId ? { model: await this.get(tx, modelId), isNew: false } : this.findOrInsert(tx, scope, modelName!);
  }

  find(scope: Scope, id: string): Promise<ModelRow | null> {
    return inTenant(this.db, scope, (tx) => models.findModel(tx, id));
  }

  /** In the order of the ids; null where there is none. */
  readonly findMany = async (scope: Scope, ids: readonly string[]): Promise<(ModelRow | null)[]> => {
    const rows = await inTenant(this.db, scope, (tx) => models.findModels(tx, ids));
    const byId = new Map(rows.map((row) => [row.id, row]));
    return ids.map((id) => byId.get(id) ?? null);
  };

  /** Joins a transaction. Throws NOT_FOUND. */
  async get(tx: Tx, id: string): Promise<ModelRow> {
    const model = await models.findModel(tx, id);
    if (!model) throw notFound('model');
    return model;
  }

  list(scope: Scope, request: PageRequest): Promise<Page<ModelRow>> {
    return inTenant(this.db, scope, (tx) =>
      readPage(
        request,
        (row) => row.id,
        (after, limit) => models.listModels(tx, after, limit),
      ),
    );
  }

  /**
   * Registers a version under the model's next number; once per training or import, whatever happens. Joins the transaction that
   * ends it; audit is the last statement. Throws PARITY_FAILED: a file that does not answer like its trainer is no version.
   */
  async register(tx: Tx, scope: Scope, version: NewVersion): Promise<ModelVersionRow> {
    const { blob, fitted, ...content } = version;
    if (!content.parity.passed) throw parityFailed();
    const row: ModelVersionRow = {
      importId: null,
      source: null,
      outOfBag: null,
      providerTenantId: null,
      agreementId: null,
      ...content,
      tenantId: scope.tenantId,
      id: newId('modelVersion'),
      number: await models.takeNumber(tx, content.modelId),
      createdAt: this.clock.now(),
      blobId: blob.blobId,
      fittedBlobId: fitted.blobId,
      derivedFromDeletedData: false,
    };
    await this.blobs.insert(tx, blob, 'model');
    await this.blobs.insert(tx, fitted, 'model');
    await models.insertVersion(tx, row);
    const { modelId, number, digest, datasetVersionId, datasetDigest, splitId, codeVersion } = row;
    const origin = row.trainingId ? { trainingId: row.trainingId } : { importId: row.importId };
    const shared = row.agreementId === null ? {} : { agreementId: row.agreementId };
    const detail = {
      modelId,
      number,
      digest,
      datasetVersionId,
      datasetDigest,
      splitId,
      ...origin,
      ...shared,
      codeVersion,
    };
    await appendAudit(tx, scope, { kind: 'version.registered', subjectId: row.id, detail, at: row.createdAt });
    return row;
  }

  findVersion(scope: Scope, id: string): Promise<ModelVersionRow | null> {
    return inTenant(this.db, scope, (tx) => models.findVersion(tx, id));
  }

  /** Joins a transaction. Throws NOT_FOUND. */
  async getVersion(tx: Tx, id: string): Promise<ModelVersionRow> {
    const version = await models.findVersion(tx, id);
    if (!version) throw notFound('model version');
    return version;
  }

  findVersionByNumber(scope: Scope, modelId: string, number: number): Promise<ModelVersionRow | null> {
    return inTenant(this.db, scope, (tx) => models.findVersionByNumber(tx, modelId, number));
  }

  /** The versions that these trainings made, in their order. */
  readonly findVersionsOf = async (
    scope: Scope,
    trainingIds: readonly string[],
  ): Promise<(ModelVersionRow | null)[]> => {
    const rows = await inTenant(this.db, scope, (tx) => models.findVersionsOf(tx, trainingIds));
    const byTraining = new Map(rows.map((row) => [row.trainingId, row]));
    return trainingIds.map((id) => byTraining.get(id) ?? null);
  };

  /** The versions that these imports made, in their order. */
  readonly findVersionsOfImports = async (
    scope: Scope,
    importIds: readonly string[],
  ): Promise<(ModelVersionRow | null)[]> => {
    const rows = await inTenant(this.db, scope, (tx) => models.findVersionsOfImports(tx, importIds));
    const byImport = new Map(rows.map((row) => [row.importId, row]));
    return importIds.map((id) => byImport.get(id) ?? null);
  };

  /** Newest first. */
  listVersions(scope: Scope, modelId: string, request: PageRequest): Promise<Page<ModelVersionRow>> {
    return inTenant(this.db, scope, (tx) =>
      readPage(
        request,
        (row) => row.id,
        (after, limit) => models.listVersions(tx, modelId, after, limit),
      ),
    );
  }

  /** The file, unsealed and checked against its digest. NOT_FOUND if it was deleted. For serving, inside the platform. */
  async readOnnx(scope: Pick<Scope, 'tenantId'>, versionId: string): Promise<{ digest: string; onnx: Uint8Array }> {
    const { version, blob } = await inTenant(this.db, scope, async (tx) => {
      const version = await this.getVersion(tx, versionId);
      return { version, blob: await this.blobs.open(tx, scope, version.blobId) };
    });
    const onnx = new Uint8Array(await unsealWhole(blob));
    return { digest: version.digest, onnx };
  }

  /** Where the version's ONNX file lies, for a child process that infers with it. Joins a transaction. NOT_FOUND if it was deleted. */
  async openOnnx(tx: Tx, scope: Pick<Scope, 'tenantId'>, versionId: string): Promise<SealedBlob> {
    return this.blobs.open(tx, scope, (await this.getVersion(tx, versionId)).blobId);
  }

  /**
   * Where the version's fitted model lies, for a child process that goes on with it (`loadFitted`). Joins a transaction. NOT_FOUND
   * if there is no such version or its file was deleted, CONFLICT if it dates from before fitted models were kept.
   */
  async openFitted(
    tx: Tx,
    scope: Pick<Scope, 'tenantId'>,
    versionId: string,
  ): Promise<{ version: ModelVersionRow; fitted: SealedBlob }> {
    const version = await this.getVersion(tx, versionId);
    if (version.fittedBlobId === null)
      throw new AppError('CONFLICT', 'This version was registered before fitted models were kept.', {
        remedy: 'Train it again: the same training gives the same model.',
      });
    return { version, fitted: await this.blobs.open(tx, scope, version.fittedBlobId) };
  }

  /** The fitted model, to explain what it answers. Null if none was kept, or a file of more than `mostBytes`. NOT_FOUND if it was deleted. */
  async readFitted(scope: Pick<Scope, 'tenantId'>, versionId: string, mostBytes: number): Promise<FittedModel | null> {
    const blob = await inTenant(this.db, scope, async (tx) => {
      const { fittedBlobId } = await this.getVersion(tx, versionId);
      return fittedBlobId === null ? null : this.blobs.open(tx, scope, fittedBlobId);
    });
    if (blob === null || (await stat(blob.path)).size > mostBytes) return null;
    return loadFitted(blob);
  }

  /** Gives a version a name within its model; a name points to one version at a time. */
  setAlias(scope: Scope, input: { modelId: string; alias: string; versionId: string }): Promise<ModelAliasRow> {
    if (!ALIAS.test(input.alias))
      throw new AppError(
        'INVALID_INPUT',
        'An alias has 1 to 63 lower-case letters, digits and dashes, a letter first.',
        {
          field: 'input.alias',
        },
      );
    return inTenant(this.db, scope, async (tx) => {
      const model = await this.get(tx, input.modelId);
      const version = await this.getVersion(tx, input.versionId);
      if (version.modelId !== model.id)
        throw new AppError('INVALID_INPUT', 'This version belongs to another model.', { field: 'input.versionId' });
      const row = { tenantId: scope.tenantId, ...input, setAt: this.clock.now() };
      await models.upsertAlias(tx, row);
      const detail = { alias: input.alias, versionId: version.id, number: version.number };
      await appendAudit(tx, scope, { kind: 'alias.set', subjectId: model.id, detail, at: row.setAt });
      return row;
    });
  }

  listAliases(scope: Scope, modelId: string): Promise<ModelAliasRow[]> {
    return inTenant(this.db, scope, (tx) => models.listAliases(tx, modelId));
  }

  /** Two versions of one or of two models, side by side. NOT_FOUND. */
  compare(scope: Scope, aId: string, bId: string): Promise<Comparison> {
    return inTenant(this.db, scope, async (tx) =>
      compare(await this.getVersion(tx, aId), await this.getVersion(tx, bId)),
    );
  }

  /**
   * Versions of one split and target, best first by a figure of the validation rows; of equals the older one first. The test rows
   * have no say: who chooses by them has no honest figure left.
   */
  async leaderboard(
    scope: Scope,
    { splitId, target, figure, first }: { splitId: string; target: string; figure: FigureName | null; first: number },
  ): Promise<{ version: ModelVersionRow; figure: FigureName; value: number }[]> {
    if (!Number.isInteger(first) || first < 1 || first > 100)
      throw new AppError('INVALID_INPUT', 'first must be between 1 and 100.', { field: 'first' });
    const versions = await inTenant(this.db, scope, (tx) => models.listComparable(tx, splitId, target, RANKED));
    return versions
      .flatMap((version) => {
        const name = figure ?? defaultFigure(version);
        const value = figureOf(version.validation, name)?.value ?? null;
        return value === null ? [] : [{ version, figure: name, value }];
      })
      .sort((a, b) => isBetter(a.figure, b.value, a.value) || (a.version.id < b.version.id ? -1 : 1))
      .slice(0, first);
  }

  private async insert(tx: Tx, scope: Scope, name: string, description: string | null): Promise<ModelRow> {
    const row: ModelRow = {
      tenantId: scope.tenantId,
      id: newId('model'),
      name: modelName(name, 'input.name'),
      description,
      lastNumber: 0,
      createdAt: this.clock.now(),
    };
    if ((description?.length ?? 0) > 10_000)
      throw new AppError('INVALID_INPUT', 'A description has at most 10,000 characters.', {
        field: 'input.description',
      });
    if (!(await models.insertModel(tx, row)))
      throw new AppError('CONFLICT', 'The tenant has a model of this name.', { field: 'input.name' });
    return row;
  }
}

export function parityFailed(): AppError {
  return new AppError(
    'PARITY_FAILED',
    'The exported model does not answer like the trained one; it was not registered.',
  );
}

function modelName(name: string, field: string): string {
  const normal = name.normalize('NFC').trim();
  if (normal.length < 1 || [...normal].length > 200 || /\p{Cc}/u.test(normal))
    throw new AppError('INVALID_INPUT', 'A name has 1 to 200 characters, on one line.', { field });
  return normal;
}

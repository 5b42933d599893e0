import { randomInt } from 'node:crypto';
import {
  type Algorithm,
  type AlgorithmName,
  ALGORITHMS,
  type AnyParameters,
  checkConstraints,
  COMBINATIONS,
  type FitOptions,
  type Member,
  parseMembers,
  parseParameters,
  SpecError,
  SPECS,
  type TaskName,
} from '../../ml/spec.js';
import type { Artifact, TrainSpec } from '../../ml/train.js';
import type { NewBlob } from '../../platform/blobs.js';
import type { Clock } from '../../platform/clock.js';
import { type Db, inNameOf, inTenant, type Tx } from '../../platform/db.js';
import { AppError, ERRORS, type ErrorCode } from '../../platform/errors.js';
import { newId } from '../../platform/ids.js';
import { enqueueJob, getJob } from '../../platform/jobs.js';
import type { Scope } from '../../platform/scope.js';
import type { SealedBlob } from '../../platform/sealing.js';
import { appendAudit, type AuditEvent } from '../audit/audit.service.js';
import { RecordedWork, type WithJob, type WorkEnd } from '../audit/recorded-work.service.js';
import type { SplitService } from '../datasets/split.service.js';
import type { TrainingInput } from '../datasets/training-input.service.js';
import type { ModelService, ModelVersionRow, Signature } from '../models/model.service.js';
import type { TrainingOptions, TrainingRow } from './training.entity.js';
import * as trainings from './training.repo.js';
import type { TrainingFilter } from './training.repo.js';

export type { TrainingRow } from './training.entity.js';
export type { TrainingFilter } from './training.repo.js';

/** A dataset version and one of its splits, ready to train on. */
type TrainingData = Awaited<ReturnType<SplitService['trainingInput']>>;

interface AskedAlgorithm<Name extends AlgorithmName> {
  readonly name: Name;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Where the parameters stand in what the caller sent; for error messages. */
  readonly path?: string;
}

/** What is to be learned from what: as it is asked for a training, and for a study. */
export interface NewQuestion extends Omit<FitOptions, 'members'> {
  readonly datasetVersionId: string;
  readonly splitId: string;
  readonly target: string;
  /** Default: the columns of role FEATURE. */
  readonly features?: readonly string[] | null;
  readonly task?: TaskName | null;
  readonly positiveClass?: string | null;
  readonly seed?: number | null;
  readonly modelId?: string | null;
  readonly modelName?: string | null;
}

export interface NewTraining extends NewQuestion {
  /** A combination has members. */
  readonly algorithm: AskedAlgorithm<AlgorithmName> & { readonly members?: readonly AskedAlgorithm<Algorithm>[] };
  /** A model version to go on from. */
  readonly warmStartFrom?: string | null;
}

/** The same with what was not given. */
export type Question = Omit<
  TrainingRow,
  'id' | 'algorithm' | 'parameters' | 'studyId' | 'jobId' | 'providerTenantId' | 'agreementId'
>;

/** Another tenant's data, as an agreement lets the tenant learn from them. */
export interface SharedData {
  readonly agreementId: string;
  readonly providerTenantId: string;
  /** Those that may be learned from; null: all. */
  readonly columns: readonly string[] | null;
}

/** Who asks for a training, if it is nobody in person: a study with the options that its core chose; an agreement. */
export interface Cause {
  readonly study?: { readonly studyId: string; readonly options: FitOptions };
  readonly shared?: SharedData & { readonly trainingId: string };
}

/** What decides about learning from another tenant's data: agreements, which come later in the order of domains. */
export interface DataUses {
  /** What is allowed now, held until the commit. Throws AGREEMENT_NOT_IN_FORCE and the like. */
  hold(tx: Tx, training: TrainingRow): Promise<SharedData>;
  /** Writes how it ended; returns what is to be recorded last. */
  end(tx: Tx, training: TrainingRow, end: DataUseEnd): Promise<AuditEvent>;
}
export type DataUseEnd = WorkEnd | { readonly state: 'SUCCEEDED'; readonly code: null };

/** What a child process is given beside the keys: nothing of tenants or names. */
export interface TrainingPlan {
  readonly training: TrainingRow;
  readonly data: TrainingInput;
  readonly datasetDigest: string;
  /** The fitted model to go on from. */
  readonly warmStart: SealedBlob | null;
  readonly spec: TrainSpec;
}

/** What came out, without the files themselves: the ONNX file and the fitted model lie sealed. */
export type Trained = Omit<Artifact, 'fitted' | 'onnx'> & {
  readonly digest: string;
  readonly sizeBytes: number;
  readonly signature: Signature;
  readonly codeVersion: string;
  readonly elapsedMs: number;
  readonly peakMemoryBytes: number;
};

/** A training with the state of its job. */
export type TrainingView = WithJob<TrainingRow>;

export interface TrainingParts {
  readonly db: Pick<Db, 'app'>;
  readonly clock: Clock;
  readonly models: ModelService;
  readonly splits: SplitService;
  readonly uses: DataUses;
}

/** Training: asked for here, done by a worker (workers/train.ts), ended by `finish` or the job's failure. */
export class TrainingService extends RecordedWork<TrainingRow, TrainingFilter> {
  constructor(private readonly parts: TrainingParts) {
    const rows = { find: trainings.findTraining, get: trainings.getTraining, list: trainings.listTrainings };
    super({ kind: 'training', ...parts, rows });
  }

  /**
   * Puts a training in the queue. INVALID_INPUT with the field for what can be told without reading the data; what only the data
   * can tell is the job's failure. NOT_FOUND and NOT_READY for the data.
   */
  start(scope: Scope, input: NewTraining): Promise<TrainingView> {
    return inTenant(this.parts.db, scope, (tx) => this.startIn(tx, scope, input));
  }

  /** The same in a transaction that is open. */
  async startIn(tx: Tx, scope: Scope, input: NewTraining, { study, shared }: Cause = {}): Promise<TrainingView> {
    const parameters = parametersOf(input.algorithm);
    const members = membersOf(input.algorithm);
    const { name, members: asked = [] } = input.algorithm;
    const warmStart = await this.earlierVersion(tx, scope, input, parameters);
    const algorithms = [name, ...asked.map((one) => one.name)];
    const common = await this.ask(tx, scope, input, { algorithms, shared });
    const id = shared?.trainingId ?? newId('training');
    const row: TrainingRow = {
      ...common,
      id,
      algorithm: name,
      parameters,
      options: { ...common.options, ...study?.options, ...(members ? { members } : {}), ...warmStart },
      studyId: study?.studyId ?? null,
      providerTenantId: shared?.providerTenantId ?? null,
      agreementId: shared?.agreementId ?? null,
      jobId: await enqueueJob(tx, scope, { name: 'train', subjectId: id }),
    };
    await trainings.insertTraining(tx, row);
    const { modelId, datasetVersionId, splitId, target, algorithm, options, seed, studyId, createdAt } = row;
    const about = { modelId, datasetVersionId, splitId, target, algorithm, parameters, options, seed, studyId };
    const detail = shared ? { ...about, agreementId: shared.agreementId } : about;
    await appendAudit(tx, scope, { kind: 'training.started', subjectId: id, detail, at: createdAt });
    return { ...row, job: await getJob(tx, scope, row.jobId) };
  }

  /**
   * What a training and a study have in common, checked for the algorithms that are to learn; makes the model where it is new.
   * INVALID_INPUT, NOT_FOUND, NOT_READY.
   */
  async ask(
    tx: Tx,
    scope: Scope,
    input: NewQuestion,
    { algorithms, shared }: { readonly algorithms: readonly AlgorithmName[]; readonly shared?: SharedData },
  ): Promise<Question> {
    const seed = input.seed ?? randomInt(2 ** 31);
    if (!Number.isSafeInteger(seed) || seed < 0 || seed >= 2 ** 32)
      throw invalid('seed', 'A seed is a whole number from 0 to 2^32 - 1.');
    const data = await this.dataOf(tx, input, shared ?? null);
    checkColumns(input, data);
    const features = input.features ? [...input.features] : usualFeatures(input, data);
    checkOptions(input, { algorithms, features }, data);
    const { model, isNew } = await this.parts.models.named(tx, scope, input);
    const createdAt = this.parts.clock.now();
    if (isNew) await appendAudit(tx, scope, { kind: 'model.created', subjectId: model.id, at: createdAt });
    return {
      tenantId: scope.tenantId,
      modelId: model.id,
      datasetVersionId: input.datasetVersionId,
      splitId: input.splitId,
      target: input.target,
      features,
      task: input.task ?? 'AUTO',
      positiveClass: input.positiveClass ?? null,
      options: optionsOf(input),
      seed,
      createdAt,
    };
  }

  /**
   * The data to learn from: the tenant's own, or another tenant's, which are read in its name, as far as an agreement in force lets them
   * be learned from. Nobody but the child process ever sees a row of them. NOT_FOUND, NOT_READY.
   */
  private async dataOf(
    tx: Tx,
    ids: { readonly datasetVersionId: string; readonly splitId: string },
    shared: SharedData | null,
  ): Promise<TrainingData> {
    if (!shared) return this.parts.splits.trainingInput(tx, { tenantId: tx.tenantId }, ids);
    const { providerTenantId: tenantId, columns } = shared;
    const data = await inNameOf(tx, tenantId, (provider) =>
      this.parts.splits.trainingInput(provider, { tenantId }, ids),
    );
    const seen = data.version.columns!.filter(({ name }) => columns?.includes(name) ?? true);
    return { ...data, version: { ...data.version, columns: seen } };
  }

  /** The data of a training, allowed as things are now: an agreement that has ended since lets nothing be learned. */
  private async dataNow(tx: Tx, training: TrainingRow): Promise<TrainingData> {
    return this.dataOf(tx, training, training.agreementId === null ? null : await this.parts.uses.hold(tx, training));
  }

  /** The columns that a training learns from unless it is told. */
  async featuresOf(tx: Tx, input: NewQuestion, shared: SharedData): Promise<string[]> {
    return usualFeatures(input, await this.dataOf(tx, input, shared));
  }

  /** What can be told of a version to go on from without opening it; the child compares features, classes and scores. */
  private async earlierVersion(
    tx: Tx,
    scope: Scope,
    { warmStartFrom, algorithm }: NewTraining,
    parameters: AnyParameters,
  ): Promise<Pick<TrainingOptions, 'warmStartFrom'>> {
    if (!warmStartFrom) return {};
    const { version } = await this.parts.models.openFitted(tx, scope, warmStartFrom);
    if (algorithm.name !== 'GRADIENT_BOOSTING' || version.algorithm !== 'GRADIENT_BOOSTING')
      throw invalid('warmStartFrom', 'Only gradient boosting can go on, from a version of its own kind.');
    if ((version.parameters['objective'] ?? 'AUTO') !== parameters['objective'])
      throw invalid('warmStartFrom', 'That version has another objective.');
    return { warmStartFrom };
  }

  /** For the worker: everything that the child process needs. */
  plan(scope: Scope, id: string): Promise<TrainingPlan> {
    return inTenant(this.parts.db, scope, async (tx) => {
      const training = await trainings.getTraining(tx, id);
      const { version, row: _, ...data } = await this.dataNow(tx, training);
      const datasetDigest = version.digest!;
      const { warmStartFrom } = training.options;
      // Nothing that differs between two trainings alike: the same request gives the same file.
      const metadata = { datasetDigest, splitDigest: data.splitDigest };
      return {
        training,
        data,
        datasetDigest,
        warmStart: warmStartFrom ? (await this.parts.models.openFitted(tx, scope, warmStartFrom)).fitted : null,
        spec: { ...specOf(training), metadata },
      };
    });
  }

  /** How a version was learned, for what fits it again; null if no training made it. Joins a transaction. */
  async specOf(tx: Tx, version: Pick<ModelVersionRow, 'trainingId'>): Promise<TrainSpec | null> {
    const training = version.trainingId === null ? null : await trainings.findTraining(tx, version.trainingId);
    return training && specOf(training);
  }

  /** Joins the transaction that marks the job SUCCEEDED: registers the version, once. */
  async finish(
    tx: Tx,
    scope: Scope,
    { training, data, datasetDigest }: TrainingPlan,
    result: { trained: Trained; onnx: NewBlob; fitted: NewBlob },
  ): Promise<ModelVersionRow> {
    const { validationRows: _, testRows: __, ...trained } = result.trained;
    const { id, modelId, datasetVersionId, splitId, algorithm, seed } = training;
    // Deleted meanwhile? Then there is nothing to register: what it holds of the data must go, too.
    await this.dataNow(tx, training);
    const { providerTenantId, agreementId } = training;
    const end = { state: 'SUCCEEDED', code: null } as const;
    const used = agreementId === null ? null : await this.parts.uses.end(tx, training, end);
    const version = await this.parts.models.register(tx, scope, {
      ...trained,
      providerTenantId,
      agreementId,
      blob: result.onnx,
      fitted: result.fitted,
      modelId,
      trainingId: id,
      datasetVersionId,
      datasetDigest,
      splitId,
      splitDigest: data.splitDigest,
      algorithm,
      parameters: allParameters(training),
      seed,
    });
    const detail = {
      modelVersionId: version.id,
      elapsedMs: trained.elapsedMs,
      peakMemoryBytes: trained.peakMemoryBytes,
    };
    await appendAudit(tx, scope, { kind: 'training.finished', subjectId: id, detail });
    if (used) await appendAudit(tx, scope, used);
    return version;
  }

  protected override async ended(tx: Tx, training: TrainingRow, end: WorkEnd): Promise<AuditEvent | null> {
    return training.agreementId === null ? null : this.parts.uses.end(tx, training, end);
  }
}

function specOf(training: TrainingRow): TrainSpec {
  const { algorithm, task, target, features, parameters, options, seed, positiveClass } = training;
  return { ...options, algorithm, task, target, features, parameters, seed, positiveClass };
}

/** Every algorithm with its parameters, as data for a form. */
export function describeAlgorithms() {
  return [...ALGORITHMS, ...COMBINATIONS].map((name) => ({ name, ...SPECS[name] }));
}

function checkColumns(input: NewQuestion, data: TrainingData): void {
  const names = new Set(data.version.columns!.map((column) => column.name));
  const known = (name: string) => names.has(name);
  if (!known(input.target)) throw invalid('target', 'The dataset has no such column.');
  checkWeight(input, data);
  if (!input.features) return;
  if (input.features.length === 0) throw invalid('features', 'Name at least one column, or leave this out to use all.');
  const unknown = input.features.findIndex((name) => !known(name));
  if (unknown >= 0) throw invalid(`features.${unknown}`, 'The dataset has no such column.');
  if (input.features.includes(input.target)) throw invalid('features', 'The target cannot be a feature as well.');
  if (new Set(input.features).size < input.features.length) throw invalid('features', 'A column is named twice.');
}

function checkWeight({ weightColumn, target, features }: NewQuestion, { version }: TrainingData): void {
  if (!weightColumn) return;
  const refuse = (message: string): never => {
    throw invalid('weightColumn', message);
  };
  const column = version.columns!.find(({ name }) => name === weightColumn);
  if (!column) return refuse('The dataset has no such column.');
  if (column.type !== 'NUMBER') refuse('A weight is a number; this column holds none.');
  if (weightColumn === target) refuse('The target cannot be the weight as well.');
  if (features?.includes(weightColumn)) refuse('A weight cannot be a feature as well.');
}

function parametersOf({ name, parameters, path }: AskedAlgorithm<AlgorithmName>): AnyParameters {
  return asInput(path ?? 'input.algorithm', () => parseParameters(name, parameters) as AnyParameters);
}

/** With all their parameters; null for an algorithm that stands alone. */
function membersOf({ name, members, path }: NewTraining['algorithm']): readonly Member[] | null {
  const whole = members?.map(({ name: algorithm, parameters, path: at, ...rest }) => ({
    ...rest,
    algorithm,
    parameters: parametersOf({ name: algorithm, parameters, path: at }),
  }));
  return asInput(path ?? 'input.algorithm', () => parseMembers(name, whole ?? null));
}

/** What was given of the options, as it is kept. */
function optionsOf({ constraints, weightColumn }: NewQuestion): FitOptions {
  return { ...(constraints ? { constraints } : {}), ...(weightColumn ? { weightColumn } : {}) };
}

/** The parameters with those of the members, as `members.0.learningRate`: what a version keeps and two versions are compared by. */
function allParameters({ parameters, options }: TrainingRow): AnyParameters {
  const ofMembers = (options.members ?? []).flatMap(({ parameters: own, ...member }, m) =>
    Object.entries({ ...member, ...own }).map(([name, value]) => [`members.${m}.${name}`, value] as const),
  );
  return { ...parameters, ...Object.fromEntries(ofMembers) };
}

/** `features`: the columns to learn from. */
function checkOptions(
  { constraints }: NewQuestion,
  { algorithms, features }: { algorithms: readonly AlgorithmName[]; features: readonly string[] },
  data: TrainingData,
): void {
  if (!constraints) return;
  const columns = data.version
    .columns!.filter(({ name }) => features.includes(name))
    .map(({ name, type }) => ({ name, kind: type.toLowerCase() as Lowercase<typeof type> }));
  for (const name of algorithms) asInput('input', () => checkConstraints(constraints, SPECS[name], columns));
}

/** Columns that tell something of more than one row: no identifiers, free text, constants. */
function usualFeatures({ target, weightColumn }: NewQuestion, { version }: TrainingData): string[] {
  const others = [target, weightColumn];
  const features = version.columns!.filter(({ name, role }) => role === 'FEATURE' && !others.includes(name));
  if (features.length === 0) throw invalid('features', 'The dataset has no column to learn from; name some.');
  return features.map(({ name }) => name);
}

export function invalid(field: string, message: string): AppError {
  return new AppError('INVALID_INPUT', message, { field: `input.${field}` });
}

/** A SpecError is about what was asked: the field below `path`. */
function asInput<T>(path: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof SpecError)) throw error;
    throw new AppError('INVALID_INPUT', error.message, { field: `${path}.${error.field}` });
  }
}

/** What the child says is wrong with the request or the data, as the job's failure. `code`: a SpecErrorCode. */
export function specFailure(code: string, field: string | null, message: string): AppError {
  const known = code in ERRORS ? (code as ErrorCode) : 'INVALID_INPUT';
  return new AppError(known, message, { field: field ? `input.${field}` : undefined });
}

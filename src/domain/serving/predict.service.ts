import {
  type Batcher,
  type Explanation,
  type Feeds,
  type Inference,
  InputError,
  type SessionPool,
  type Signature,
} from '../../ml/infer.js';
import type { Clock } from '../../platform/clock.js';
import { AppError, type ErrorCode, type ErrorDetails, notFound } from '../../platform/errors.js';
import { kindOf } from '../../platform/ids.js';
import type { Listener } from '../../platform/listen.js';
import type { Logger } from '../../platform/log.js';
import type { ProvenDevice, Scope } from '../../platform/scope.js';
import { PURPOSES } from '../agreements/agreement.service.js';
import {
  type Entry,
  leafHashOf,
  type LedgerService,
  newPredictionId,
  type Posted,
  predictionIdOf,
  type Receipt,
  receiptOf,
  type Salts,
} from '../metering/ledger.service.js';
import type { ModelService } from '../models/model.service.js';
import { commitToAnswer, commitToInput } from './commitment.js';
import { Running } from './concurrency.js';
import { type Admission, decide, type Decision, type Door, notInForceMessage } from './decide.js';
import { disclose, ruleName } from './disclose.js';
import type { PublishedSignature } from './endpoint.entity.js';
import type { Explainers } from './explainers.js';
import { tellExplanation, type Told } from './explanation.js';
import type { NoiseSource } from './noise-stream.js';
import type { Policies, Policy } from './policy.js';
import { ColumnRows, type Rows } from './rows.js';

export { datatypeOf, matrixName, TensorRows } from './rows.js';

export interface PredictRequest {
  readonly endpointId: string;
  readonly purpose?: string | null;
  readonly agreementId?: string | null;
  /** The only version that may answer; NOT_FOUND if the endpoint routes to another. */
  readonly modelVersionId?: string | null;
  /** A UUID: the same request again gets the same answer, and is charged once. */
  readonly idempotencyKey?: string | null;
  /** Whether the answers are to be explained, as far as the agreement allows. */
  readonly explain?: boolean | null;
  /** Where the caller says that it is; recorded as declared. */
  readonly declaredRegion?: string | null;
  /** Through which door it came; recorded. */
  readonly door?: Door;
}

/** The rows: lists of equal length by the name of the column, or in the form of another door. */
export type Asked =
  | { readonly columns: Readonly<Record<string, readonly unknown[]>>; readonly rows?: undefined }
  | { readonly rows: Rows };

/** An answer, recorded and charged before it exists for the caller. */
export interface Prediction extends Required<Told> {
  readonly id: string;
  readonly rowCount: number;
  readonly modelVersionId: string;
  /** What the endpoint publishes. */
  readonly signature: PublishedSignature;
  readonly agreementId: string | null;
  readonly logIndex: number;
  /** Of the audit entry. */
  readonly leafHashHex: string;
  /** Opens the digests of input and output in the audit entry. */
  readonly saltHex: string;
  readonly receipt: Receipt;
  /** It was answered, recorded and charged before, and is told once more. */
  readonly isRepetition: boolean;
  readonly at: Date;
  readonly latencyMs: number;
}

export interface PredictServiceParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly listener: Listener;
  /** Where this replica stands. */
  readonly region: string;
  readonly policies: Policies;
  readonly models: ModelService;
  readonly ledger: LedgerService;
  readonly salts: Salts;
  readonly sessions: SessionPool;
  readonly batcher: Batcher;
  readonly explainers: Explainers;
  readonly noise: NoiseSource;
}

/** The prediction path: decide, infer, disclose, record, answer. There is no other way to an answer. */
export class PredictService {
  private readonly running = new Running();

  constructor(private readonly parts: PredictServiceParts) {}

  /**
   * Throws what `decide` denies, what the ledger refuses, INPUT_INVALID, ENDPOINT_NOT_READY, EXPLANATION_UNAVAILABLE,
   * REPETITION_IMPOSSIBLE; INVALID_INPUT for a key that is no UUID. All but NOT_FOUND, FORBIDDEN, INVALID_INPUT are recorded, with their code. UNAVAILABLE if rights may have
   * changed without this process having heard of it.
   */
  async predict(scope: Scope, request: PredictRequest & Asked): Promise<Prediction> {
    const { listener } = this.parts;
    if (!listener.isInTouch() && !(await listener.regainTouch()))
      throw new AppError('UNAVAILABLE', 'The database does not say whether the agreement still holds.', {
        retryAfterMs: 1000,
      });
    const counted: Counted = { end: null };
    try {
      return await this.carryOut(scope, request, counted);
    } finally {
      counted.end?.();
    }
  }

  private async carryOut(scope: Scope, request: PredictRequest & Asked, counted: Counted): Promise<Prediction> {
    const startedAt = performance.now();
    const { purpose = null } = request;
    const idempotencyKey = request.idempotencyKey ?? null;
    const isRepeatable = idempotencyKey !== null;
    const predictionId = isRepeatable ? predictionIdOf(scope.tenantId, idempotencyKey) : newPredictionId();
    const { device = null } = scope;
    const declaredRegion = request.declaredRegion ?? null;
    if (declaredRegion !== null && !REGION.test(declaredRegion))
      throw new AppError('INVALID_INPUT', 'A region is named by small letters, digits and hyphens, 40 at most.', {
        field: 'input.declaredRegion',
      });
    const { region } = this.parts;
    const door = request.door ?? 'GRAPHQL';
    const asked = { predictionId, isRepeatable, startedAt, door, region, declaredRegion, device };
    const rows = request.rows ?? new ColumnRows(request.columns);
    const { rowCount } = rows;
    const { policy, decision } = await this.judge(scope, request, { rowCount, counted });
    if (!decision.admit) {
      const { code, message, ...details } = decision;
      // Of what the caller may not even know to exist, no record is kept either.
      if (!policy || code === 'NOT_FOUND' || code === 'FORBIDDEN') throw new AppError(code, message, details);
      // Into the ledger goes no text of the caller's: one that the database refuses would take the whole flush along.
      const declared = purpose !== null && Object.hasOwn(PURPOSES, purpose) ? purpose : null;
      const about = { ...asked, policy, rowCount, purpose: declared, agreementId: decision.agreementId };
      return this.refuse(scope, about, new AppError(code, message, details));
    }
    const { modelVersionId } = policy!.endpoint;
    if ((request.modelVersionId ?? modelVersionId) !== modelVersionId) throw notFound('model version');
    const about = { ...asked, policy: policy!, rowCount, purpose, agreementId: decision.agreementId };
    let inferred: Inferred;
    try {
      inferred = await this.infer(scope, { about, decision, rows }, modelVersionId);
    } catch (error) {
      return this.refuse(scope, about, this.refusalOf(scope, error, about.policy));
    }
    return this.settle(scope, { about, decision, inferred, rows });
  }

  /** The answer leaves after the commit, or not at all. */
  private async settle(scope: Scope, done: Done): Promise<Prediction> {
    const { about, decision, inferred } = done;
    const salt = this.parts.salts.of(about.predictionId);
    const inputDigest = commitToInput(salt, inferred.inputs, inferred.feeds);
    const answer = this.tell(done, inferred, inputDigest);
    const commitments = { inputDigest, outputDigest: commitToAnswer(salt, answer) };
    const entry = { ...entryOf(about, recordedRule(decision)), commitments };
    const posted = await this.parts.ledger.record(scope, entry);
    if (posted.refusal !== null) throw ledgerRefusal(posted, about.rowCount);
    const told = posted.isRepetition ? await this.repeat(scope, posted, done, { answer, salt }) : answer;
    const modelVersionId = posted.context['modelVersionId'] as string;
    return predictionOf({ about, answer: told, posted, salt, modelVersionId });
  }

  /**
   * The answer of then once more, on the version of then. What it was is not kept, only its digest: an answer with another one is not
   * given, because the agreement or the version has changed, or the version is gone.
   */
  private async repeat(scope: Scope, posted: Posted, done: Done, now: { answer: Told; salt: Buffer }): Promise<Told> {
    const isThatOfThen = (answer: Told) =>
      commitToAnswer(now.salt, answer).toString('hex') === posted.entry.outputDigest;
    if (isThatOfThen(now.answer)) return now.answer;
    const modelVersionId = posted.context['modelVersionId'] as string;
    const inferred = await this.infer(scope, done, modelVersionId).catch(() => null);
    const answer = inferred && this.tell(done, inferred, Buffer.from(posted.entry.inputDigest!, 'hex'));
    if (answer && isThatOfThen(answer)) return answer;
    throw new AppError(
      'REPETITION_IMPOSSIBLE',
      'The answer of then cannot be given again: the model or what may be told has changed since.',
    );
  }

  /**
   * What may leave of what the model answered. Noise depends on the prediction, the rows and the rule: the same request again gets the
   * same, and no two answers share theirs.
   */
  private tell({ about, decision }: Asking, { inference, explanation }: Inferred, inputDigest: Buffer): Told {
    const { disclosure, explanations } = decision;
    const answer = disclose(inference, disclosure, () =>
      this.parts.noise.streamOf(about.predictionId, inputDigest, ruleName(disclosure)),
    );
    if (explanation === null) return answer;
    const explained = { explanation, classes: inference.classes, labels: answer.labels };
    return { ...answer, explanation: tellExplanation(explained, explanations, disclosure) };
  }

  /**
   * The decision on what is remembered, and before anybody is refused on what the database says now: a step of an agreement
   * counts from the moment it was answered, however late its news arrive. (The other way round the ledger sees to it.)
   */
  private async judge(
    { tenantId, permissions, actor, device = null }: Scope,
    { endpointId, agreementId = null, purpose = null, explain = false }: PredictRequest,
    { rowCount, counted }: { rowCount: number; counted: Counted },
  ): Promise<{ policy: Policy | null; decision: Decision }> {
    const { policies, clock, region } = this.parts;
    const question = {
      tenantId,
      mayPredict: permissions.has('prediction:create'),
      agreementId,
      purpose,
      applicationId: actor.kind === 'APPLICATION' ? actor.id : null,
      device,
      region,
      running: (id: string) => this.running.count(id),
      rowCount,
      explain: explain === true,
    };
    const on = (policy: Policy | null) => {
      const decision = decide({ ...question, policy, now: clock.now() });
      // In the same turn, so that nobody else is admitted in between.
      if (decision.admit && decision.counts) counted.end = this.running.begin(decision.agreementId!);
      return { policy, decision };
    };
    if (kindOf(endpointId) !== 'endpoint') return on(null);
    const remembered = on(await policies.find(tenantId, endpointId));
    // How many are under way is not the database's to know.
    if (remembered.decision.admit || remembered.decision.code === 'CONCURRENCY_EXCEEDED') return remembered;
    return on(await policies.reread(tenantId, endpointId));
  }

  /** The model is read on behalf of the endpoint's tenant: only after the decision that the caller may have its answer. */
  private async infer({ signal }: Scope, asking: Asking, modelVersionId: string): Promise<Inferred> {
    const { sessions, batcher, models, explainers } = this.parts;
    const { endpoint } = asking.about.policy;
    const load = async () => (await models.readOnnx({ tenantId: endpoint.tenantId }, modelVersionId)).onnx;
    const inferred = await sessions.use(modelVersionId, load, async (model) => {
      const { inputs } = model.signature;
      const feeds = asking.rows.encode(inputs, endpoint.signature.inputs);
      return { inputs, feeds, inference: await batcher.infer(model, feeds), explanation: null };
    });
    if (asking.decision.explanations.kind === 'NONE') return inferred;
    const explanation = await explainers.explain({ ...endpoint, modelVersionId }, inferred.feeds, signal);
    return { ...inferred, explanation };
  }

  private refusalOf({ requestId }: Scope, error: unknown, { endpoint }: Policy): AppError {
    if (error instanceof InputError) {
      const { column, row, message } = error;
      const where = [...(column === null ? [] : [`column ${column}`]), ...(row === null ? [] : [`row ${row}`])];
      const field = `input.columns${column === null ? '' : `.${column}`}${row === null ? '' : `[${row}]`}`;
      return new AppError('INPUT_INVALID', [...where, message].join(': '), { field });
    }
    if (error instanceof AppError && EXPECTED.has(error.code)) return error;
    // Only the kind of the error: the runtime's messages may quote what they were given.
    const kind = error instanceof AppError ? error.code : error instanceof Error ? error.name : 'unknown';
    this.parts.log.error(
      { endpointId: endpoint.id, modelVersionId: endpoint.modelVersionId, kind, requestId },
      'inference failed',
    );
    return new AppError('ENDPOINT_NOT_READY', 'The endpoint does not answer at present.', { retryAfterMs: 1000 });
  }

  /** Records the refusal, then throws it. */
  private async refuse(scope: Scope, about: About, error: AppError): Promise<never> {
    await this.parts.ledger.record(scope, { ...entryOf(about, null), refusal: error.code });
    throw error;
  }
}

/** What explaining may be refused with. */
const EXPECTED = new Set<ErrorCode>(['EXPLANATION_UNAVAILABLE', 'UNAVAILABLE']);

/** How to say that the request is over, if its agreement limits how many are under way. */
interface Counted {
  end: (() => void) | null;
}

interface About {
  readonly predictionId: Buffer;
  readonly isRepeatable: boolean;
  readonly startedAt: number;
  readonly door: Door;
  readonly device: ProvenDevice | null;
  readonly region: string;
  readonly declaredRegion: string | null;
  readonly policy: Policy;
  readonly agreementId: string | null;
  readonly purpose: string | null;
  readonly rowCount: number;
}

/** What the model took and answered. */
interface Inferred {
  readonly inputs: Signature['inputs'];
  readonly feeds: Feeds;
  readonly inference: Inference;
  readonly explanation: Explanation | null;
}

interface Asking {
  readonly about: About;
  readonly decision: Admission;
  readonly rows: Rows;
}

interface Done extends Asking {
  readonly inferred: Inferred;
}

/** What the log says of what was told. */
function recordedRule({ disclosure, explanations }: Admission): object {
  return explanations.kind === 'NONE' ? disclosure : { ...disclosure, explanations };
}

export const REGION = /^[a-z0-9][a-z0-9-]{0,39}$/;

function entryOf({ policy, agreementId, device, ...about }: About, disclosure: object | null): Entry {
  const { endpoint, agreements } = policy;
  const agreement = agreements.find(({ id }) => id === agreementId) ?? null;
  return {
    ...about,
    providerTenantId: endpoint.tenantId,
    endpointId: endpoint.id,
    agreement: agreement && {
      id: agreement.id,
      version: agreement.version,
      documentDigest: agreement.documentDigest,
    },
    model: { versionId: endpoint.modelVersionId, digest: endpoint.modelDigest },
    disclosure,
    deviceId: device?.id ?? null,
    proof: device?.takeProof() ?? null,
    refusal: null,
    commitments: null,
  };
}

interface Answered {
  readonly about: About;
  readonly answer: Told;
  readonly posted: Posted;
  readonly salt: Buffer;
  readonly modelVersionId: string;
}

/** The receipt is made when it is asked for. */
function predictionOf({ about, answer, posted, salt, modelVersionId }: Answered): Prediction {
  return {
    ...answer,
    explanation: answer.explanation ?? null,
    id: posted.entry.predictionId,
    rowCount: about.rowCount,
    modelVersionId,
    signature: about.policy.endpoint.signature,
    agreementId: about.agreementId,
    logIndex: posted.entry.index,
    leafHashHex: leafHashOf(posted).toString('hex'),
    saltHex: salt.toString('hex'),
    get receipt() {
      return receiptOf(posted, salt);
    },
    isRepetition: posted.isRepetition,
    at: posted.at,
    latencyMs: Math.round((performance.now() - about.startedAt) * 10) / 10,
  };
}

/** What the ledger says of a refusal. */
type Verdict = Pick<Posted, 'refusal' | 'detail' | 'at'>;

const REFUSED: Partial<Record<ErrorCode, (posted: Verdict, rowCount: number) => [string, ErrorDetails?]>> = {
  QUOTA_SECOND_EXCEEDED: ({ detail, at }, rowCount) => [
    `The agreement has ${detail} rows left in this second; the request has ${rowCount}.`,
    { retryAfterMs: 1000 - (at.getTime() % 1000) },
  ],
  QUOTA_MONTH_EXCEEDED: ({ detail, at }, rowCount) => [
    `The agreement has ${detail} rows left this month (UTC); the request has ${rowCount}.`,
    { retryAfterMs: Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + 1) - at.getTime() },
  ],
  PRIVACY_BUDGET_SPENT: ({ detail }, rowCount) => [
    `The privacy budget of the agreement is enough for ${detail} more rows; the request has ${rowCount}.`,
  ],
  PROOF_REPLAYED: () => ['This proof of possession was used before.'],
  IDEMPOTENCY_CONFLICT: () => ['This idempotency key was used for another request.', { field: 'input.idempotencyKey' }],
  QUOTA_DAY_EXCEEDED: ({ detail, at }, rowCount) => [
    `The agreement has ${detail} rows left today (UTC); the request has ${rowCount}.`,
    { retryAfterMs: 86_400_000 - (at.getTime() % 86_400_000) },
  ],
  QUOTA_TOTAL_EXCEEDED: ({ detail }, rowCount) => [
    `The agreement has ${detail} rows left in total; the request has ${rowCount}.`,
  ],
  AGREEMENT_NOT_IN_FORCE: ({ detail }) => [notInForceMessage(detail ?? 'MISSING')],
  UNAUTHENTICATED: () => ['The API key or the device has been revoked or has expired.'],
};

export function ledgerRefusal(posted: Verdict, rowCount: number): AppError {
  const code = posted.refusal as ErrorCode;
  const [message, details] = REFUSED[code]?.(posted, rowCount) ?? ['The ledger refuses the request.'];
  return new AppError(code, message, details);
}

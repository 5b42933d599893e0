import {
  type Batcher,
  type Feeds,
  type Inference,
  InputError,
  type SessionPool,
  type Signature,
} from '../../ml/infer.js';
import type { Clock } from '../../platform/clock.js';
import { AppError, type ErrorCode, type ErrorDetails, notFound } from '../../platform/errors.js';
import { kindOf, newId } from '../../platform/ids.js';
import type { Listener } from '../../platform/listen.js';
import type { Logger } from '../../platform/log.js';
import type { Scope } from '../../platform/scope.js';
import { PURPOSES } from '../agreements/agreement.service.js';
import { type Commitments, type Entry, type LedgerService, type Posted, takeSalt } from '../metering/ledger.service.js';
import type { ModelService } from '../models/model.service.js';
import { commitToAnswer, commitToInput } from './commitment.js';
import { type Admission, decide, type Decision, notInForceMessage } from './decide.js';
import { type Answer, disclose } from './disclose.js';
import type { PublishedSignature } from './endpoint.entity.js';
import type { Policies, Policy } from './policy.js';
import { ColumnRows, type Rows } from './rows.js';

export { datatypeOf, matrixName, TensorRows } from './rows.js';

export interface PredictRequest {
  readonly endpointId: string;
  readonly purpose?: string | null;
  readonly agreementId?: string | null;
  /** The only version that may answer; NOT_FOUND if the endpoint routes to another. */
  readonly modelVersionId?: string | null;
}

/** The rows: lists of equal length by the name of the column, or in the form of another door. */
export type Asked =
  | { readonly columns: Readonly<Record<string, readonly unknown[]>>; readonly rows?: undefined }
  | { readonly rows: Rows };

/** An answer, recorded and charged before it exists for the caller. */
export interface Prediction extends Answer {
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
  readonly at: Date;
  readonly latencyMs: number;
}

export interface PredictServiceParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly listener: Listener;
  readonly policies: Policies;
  readonly models: ModelService;
  readonly ledger: LedgerService;
  readonly sessions: SessionPool;
  readonly batcher: Batcher;
}

/** The prediction path: decide, infer, disclose, record, answer. There is no other way to an answer. */
export class PredictService {
  constructor(private readonly parts: PredictServiceParts) {}

  /**
   * Throws what `decide` denies, what the ledger refuses, INPUT_INVALID, ENDPOINT_NOT_READY. All but NOT_FOUND and FORBIDDEN
   * are recorded, with their code. UNAVAILABLE if rights may have changed without this process having heard of it.
   */
  async predict(scope: Scope, request: PredictRequest & Asked): Promise<Prediction> {
    const started = performance.now();
    const { listener } = this.parts;
    if (!listener.isInTouch() && !(await listener.regainTouch()))
      throw new AppError('UNAVAILABLE', 'The database does not say whether the agreement still holds.', {
        retryAfterMs: 1000,
      });
    const { purpose = null } = request;
    const rows = request.rows ?? new ColumnRows(request.columns);
    const { rowCount } = rows;
    const { policy, decision } = await this.judge(scope, request, rowCount);
    if (!decision.admit) {
      const { code, message, ...details } = decision;
      // Of what the caller may not even know to exist, no record is kept either.
      if (!policy || code === 'NOT_FOUND' || code === 'FORBIDDEN') throw new AppError(code, message, details);
      // Into the ledger goes no text of the caller's: one that the database refuses would take the whole flush along.
      const declared = purpose !== null && Object.hasOwn(PURPOSES, purpose) ? purpose : null;
      const about = { policy, rowCount, purpose: declared, agreementId: decision.agreementId };
      return this.refuse(scope, about, new AppError(code, message, details));
    }
    if ((request.modelVersionId ?? policy!.endpoint.modelVersionId) !== policy!.endpoint.modelVersionId)
      throw notFound('model version');
    const about = { policy: policy!, rowCount, purpose, agreementId: decision.agreementId };
    let inferred: Inferred;
    try {
      inferred = await this.infer(about.policy, rows);
    } catch (error) {
      return this.refuse(scope, about, this.refusalOf(scope, error, about.policy));
    }
    return this.settle(scope, { about, decision, inferred, started });
  }

  /** The answer leaves after the commit, or not at all. */
  private async settle(scope: Scope, done: Done): Promise<Prediction> {
    const { about, decision, inferred, started } = done;
    const answer = disclose(inferred.inference, decision.disclosure);
    const salt = takeSalt();
    const entry = entryOf(about, {
      disclosure:
        decision.disclosure.kind === 'SCORES' ? `SCORES:${decision.disclosure.digits}` : decision.disclosure.kind,
      inputDigest: commitToInput(salt, inferred.inputs, inferred.feeds),
      outputDigest: commitToAnswer(salt, answer),
    });
    const posted = await this.parts.ledger.record(scope, entry);
    if (posted.refusal !== null) throw ledgerRefusal(posted, about.rowCount);
    return {
      ...answer,
      id: entry.predictionId,
      rowCount: about.rowCount,
      modelVersionId: about.policy.endpoint.modelVersionId,
      signature: about.policy.endpoint.signature,
      agreementId: about.agreementId,
      logIndex: posted.logIndex,
      leafHashHex: posted.leafHash.toString('hex'),
      saltHex: salt.toString('hex'),
      at: posted.at,
      latencyMs: Math.round((performance.now() - started) * 10) / 10,
    };
  }

  /**
   * The decision on what is remembered, and before anybody is refused on what the database says now: a step of an agreement
   * counts from the moment it was answered, however late its news arrive. (The other way round the ledger sees to it.)
   */
  private async judge(
    { tenantId, permissions }: Scope,
    { endpointId, agreementId = null, purpose = null }: PredictRequest,
    rowCount: number,
  ): Promise<{ policy: Policy | null; decision: Decision }> {
    const { policies, clock } = this.parts;
    const mayPredict = permissions.has('prediction:create');
    const on = (policy: Policy | null) => ({
      policy,
      decision: decide({ tenantId, mayPredict, policy, agreementId, purpose, rowCount, now: clock.now() }),
    });
    if (kindOf(endpointId) !== 'endpoint') return on(null);
    const remembered = on(await policies.find(tenantId, endpointId));
    return remembered.decision.admit ? remembered : on(await policies.reread(tenantId, endpointId));
  }

  /** The model is read on behalf of the endpoint's tenant: only after the decision that the caller may have its answer. */
  private infer({ endpoint }: Policy, rows: Rows): Promise<Inferred> {
    const { sessions, batcher, models } = this.parts;
    const load = async () => (await models.readOnnx({ tenantId: endpoint.tenantId }, endpoint.modelVersionId)).onnx;
    return sessions.use(endpoint.modelVersionId, load, async (model) => {
      const { inputs } = model.signature;
      const feeds = rows.encode(inputs, endpoint.signature.inputs);
      return { inputs, feeds, inference: await batcher.infer(model, feeds) };
    });
  }

  private refusalOf({ requestId }: Scope, error: unknown, { endpoint }: Policy): AppError {
    if (error instanceof InputError) {
      const { column, row, message } = error;
      const where = [...(column === null ? [] : [`column ${column}`]), ...(row === null ? [] : [`row ${row}`])];
      const field = `input.columns${column === null ? '' : `.${column}`}${row === null ? '' : `[${row}]`}`;
      return new AppError('INPUT_INVALID', [...where, message].join(': '), { field });
    }
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

interface About {
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
}

interface Done {
  readonly about: About;
  readonly decision: Admission;
  readonly inferred: Inferred;
  readonly started: number;
}

function entryOf({ policy, agreementId, purpose, rowCount }: About, commitments: Commitments | null): Entry {
  return {
    predictionId: newId('prediction'),
    providerTenantId: policy.endpoint.tenantId,
    endpointId: policy.endpoint.id,
    agreementId,
    modelVersionId: policy.endpoint.modelVersionId,
    purpose,
    rowCount,
    refusal: null,
    commitments,
  };
}

const REFUSED: Partial<Record<ErrorCode, (posted: Posted, rowCount: number) => [string, ErrorDetails?]>> = {
  QUOTA_DAY_EXCEEDED: ({ detail, at }, rowCount) => [
    `The agreement has ${detail} rows left today (UTC); the request has ${rowCount}.`,
    { retryAfterMs: 86_400_000 - (at.getTime() % 86_400_000) },
  ],
  QUOTA_TOTAL_EXCEEDED: ({ detail }, rowCount) => [
    `The agreement has ${detail} rows left in total; the request has ${rowCount}.`,
  ],
  AGREEMENT_NOT_IN_FORCE: ({ detail }) => [notInForceMessage(detail ?? 'MISSING')],
  UNAUTHENTICATED: () => ['The API key has been revoked or has expired.'],
};

function ledgerRefusal(posted: Posted, rowCount: number): AppError {
  const code = posted.refusal as ErrorCode;
  const [message, details] = REFUSED[code]?.(posted, rowCount) ?? ['The ledger refuses the request.'];
  return new AppError(code, message, details);
}

import {
  type Batcher,
  type Explanation,
  type Inferred,
  InputError,
  type SessionPool,
  type Signature,
} from '../../ml/infer.js';
import type { Clock } from '../../platform/clock.js';
import { AppError, type ErrorCode, notFound } from '../../platform/errors.js';
import { kindOf } from '../../platform/ids.js';
import type { Listener } from '../../platform/listen.js';
import type { Logger } from '../../platform/log.js';
import type { Scope } from '../../platform/scope.js';
import { PURPOSES, stateAt } from '../agreements/agreement.service.js';
import type { LedgerService, Posted, Salts } from '../metering/ledger.service.js';
import type { ModelService } from '../models/model.service.js';
import { type Asked, Attempt, type PredictRequest } from './attempt.js';
import { commitToAnswer, commitToInput } from './commitment.js';
import { Running } from './concurrency.js';
import { type Admission, decide, type Decision, type Denial } from './decide.js';
import { disclose, ruleName } from './disclose.js';
import type { Explainers } from './explainers.js';
import { tellExplanation, type Told } from './explanation.js';
import { FactBook } from './facts.js';
import { ledgerRefusal, OutOfForce } from './ledger-refusal.js';
import type { NoiseSource } from './noise-stream.js';
import type { Policies, Policy } from './policy.js';
import { Prediction } from './prediction.js';

export { type Asked, type PredictRequest } from './attempt.js';
export { type Prediction } from './prediction.js';
export { datatypeOf, matrixName, TensorRows } from './rows.js';

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
  private readonly facts: FactBook;

  constructor(private readonly parts: PredictServiceParts) {
    this.facts = new FactBook(parts.region);
  }

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
    for (let isFirst = true; ; isFirst = false) {
      const attempt = new Attempt(scope, request);
      try {
        return await this.carryOut(attempt);
      } catch (error) {
        if (!isFirst || !(error instanceof OutOfForce) || !(await this.hasAnother(attempt))) throw error;
      } finally {
        attempt.end?.();
      }
    }
  }

  /**
   * Whether a request that was refused because its agreement has ended, of which this replica had not heard, may be answered under
   * another: one that names no agreement means any that is in force. A proof counts once, so that a request with one is asked anew.
   */
  private async hasAnother({ scope, endpointId, agreementId }: Attempt): Promise<boolean> {
    if (agreementId !== null || scope.device) return false;
    const policy = await this.parts.policies.reread(scope.tenantId, endpointId);
    const now = this.parts.clock.now();
    return policy?.agreements.some((agreement) => stateAt(agreement, now) === 'ACTIVE') ?? false;
  }

  private async carryOut(attempt: Attempt): Promise<Prediction> {
    const decision = this.judgeOn(attempt) ?? (await this.judge(attempt));
    if (!decision.admit) return this.deny(attempt, decision);
    const { modelVersionId } = attempt.policy!.endpoint;
    if (attempt.modelVersionId !== null && attempt.modelVersionId !== modelVersionId) throw notFound('model version');
    let answered: Answered;
    try {
      answered = await this.infer(attempt, decision, modelVersionId);
    } catch (error) {
      const { agreementId } = decision;
      const refusal = this.refusalOf(attempt.scope, error, attempt.policy!);
      return this.refuse(attempt, { agreementId, purpose: attempt.purpose }, refusal);
    }
    return this.settle(attempt, decision, answered);
  }

  /** The answer leaves after the commit, or not at all. */
  private async settle(attempt: Attempt, decision: Admission, answered: Answered): Promise<Prediction> {
    const { predictionId, isRepeatable, startedAt, purpose, scope, rows } = attempt;
    const { agreementId } = decision;
    const salt = this.parts.salts.of(predictionId);
    const inputDigest = commitToInput(salt, answered.inputs, answered.inferred.feeds);
    const answer = this.tell(attempt, decision, answered, inputDigest);
    const posted = await this.parts.ledger.record(scope, {
      predictionId,
      isRepeatable,
      proof: scope.device?.takeProof() ?? null,
      facts: this.facts.of(attempt, agreementId, purpose, decision),
      rowCount: rows.rowCount,
      startedAt,
      refusal: null,
      commitments: { inputDigest, outputDigest: commitToAnswer(salt, answer) },
    });
    if (posted.refusal !== null) throw ledgerRefusal(posted, rows.rowCount);
    const told = posted.isRepetition ? await this.repeat(attempt, decision, posted, { answer, salt }) : answer;
    return new Prediction(attempt, told, posted, salt);
  }

  /**
   * The answer of then once more, on the version of then. What it was is not kept, only its digest: an answer with another one is not
   * given, because the agreement or the version has changed, or the version is gone.
   */
  private async repeat(
    attempt: Attempt,
    decision: Admission,
    { entry, context }: Posted,
    now: { answer: Told; salt: Buffer },
  ): Promise<Told> {
    const isThatOfThen = (answer: Told) => commitToAnswer(now.salt, answer).toString('hex') === entry.outputDigest;
    if (isThatOfThen(now.answer)) return now.answer;
    const modelVersionId = context.document['modelVersionId'] as string;
    const answered = await this.infer(attempt, decision, modelVersionId).catch(() => null);
    const answer = answered && this.tell(attempt, decision, answered, Buffer.from(entry.inputDigest!, 'hex'));
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
  private tell(attempt: Attempt, decision: Admission, answered: Answered, inputDigest: Buffer): Told {
    const { disclosure, explanations } = decision;
    const { inference } = answered.inferred;
    const answer = disclose(inference, disclosure, () =>
      this.parts.noise.streamOf(attempt.predictionId, inputDigest, ruleName(disclosure)),
    );
    if (answered.explanation === null) return answer;
    const explained = { explanation: answered.explanation, classes: inference.classes, labels: answer.labels };
    return { ...answer, explanation: tellExplanation(explained, explanations, disclosure) };
  }

  /** The decision on what is remembered, if it is one that the database need not be asked about. */
  private judgeOn(attempt: Attempt): Decision | null {
    const policy = this.parts.policies.known(attempt.scope.tenantId, attempt.endpointId);
    if (!policy) return null;
    const decision = this.decideOn(attempt, policy);
    return isFinal(decision) ? decision : null;
  }

  /**
   * The decision on what is remembered, and before anybody is refused on what the database says now: a step of an agreement
   * counts from the moment it was answered, however late its news arrive. (The other way round the ledger sees to it.)
   */
  private async judge(attempt: Attempt): Promise<Decision> {
    const { policies } = this.parts;
    const { scope, endpointId } = attempt;
    if (kindOf(endpointId) !== 'endpoint') return this.decideOn(attempt, null);
    const remembered = this.decideOn(attempt, await policies.find(scope.tenantId, endpointId));
    return isFinal(remembered) ? remembered : this.decideOn(attempt, await policies.reread(scope.tenantId, endpointId));
  }

  private decideOn(attempt: Attempt, policy: Policy | null): Decision {
    const { scope, rows } = attempt;
    const { actor } = scope;
    attempt.policy = policy;
    const decision = decide({
      tenantId: scope.tenantId,
      mayPredict: scope.permissions.has('prediction:create'),
      policy,
      agreementId: attempt.agreementId,
      purpose: attempt.purpose,
      applicationId: actor.kind === 'APPLICATION' ? actor.id : null,
      region: this.parts.region,
      running: this.running.count,
      rowCount: rows.rowCount,
      explain: attempt.explain,
      device: scope.device ?? null,
      now: this.parts.clock.now(),
    });
    // In the same turn, so that nobody else is admitted in between.
    if (decision.admit && decision.counts) attempt.end = this.running.begin(decision.agreementId!);
    return decision;
  }

  /** The model is read on behalf of the endpoint's tenant: only after the decision that the caller may have its answer. */
  private async infer(attempt: Attempt, decision: Admission, modelVersionId: string): Promise<Answered> {
    const { sessions, batcher, models, explainers } = this.parts;
    const { endpoint } = attempt.policy!;
    const { rows } = attempt;
    const load = async () => (await models.readOnnx({ tenantId: endpoint.tenantId }, modelVersionId)).onnx;
    const lease = sessions.held(modelVersionId) ?? (await sessions.acquire(modelVersionId, load));
    let inferred: Inferred;
    const { inputs } = lease.model.signature;
    try {
      inferred = await batcher.infer(lease.model, {
        rowCount: rows.rowCount,
        write: (of, feeds) => rows.write(of, endpoint.signature.inputs, feeds),
      });
    } finally {
      lease.release();
    }
    const explanation =
      decision.explanations.kind === 'NONE'
        ? null
        : await explainers.explain(
            { tenantId: endpoint.tenantId, modelVersionId },
            inferred.feeds,
            attempt.scope.signal,
          );
    return { inputs, inferred, explanation };
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

  /** Of what the caller may not even know to exist, no record is kept either. */
  private deny(attempt: Attempt, { admit: _, code, message, ...details }: Denial): Promise<never> {
    const error = new AppError(code, message, details);
    if (!attempt.policy || code === 'NOT_FOUND' || code === 'FORBIDDEN') throw error;
    // Into the ledger goes no text of the caller's: one that the database refuses would take the whole flush along.
    const { purpose } = attempt;
    const declared = purpose !== null && Object.hasOwn(PURPOSES, purpose) ? purpose : null;
    return this.refuse(attempt, { agreementId: details.agreementId, purpose: declared }, error);
  }

  /** Records the refusal, then throws it. */
  private async refuse(
    attempt: Attempt,
    { agreementId, purpose }: { agreementId: string | null; purpose: string | null },
    error: AppError,
  ): Promise<never> {
    const { predictionId, isRepeatable, startedAt, scope, rows } = attempt;
    await this.parts.ledger.record(scope, {
      predictionId,
      isRepeatable,
      proof: scope.device?.takeProof() ?? null,
      facts: this.facts.of(attempt, agreementId, purpose, null),
      rowCount: rows.rowCount,
      startedAt,
      refusal: error.code,
      commitments: null,
    });
    throw error;
  }
}

/** What explaining may be refused with. */
const EXPECTED = new Set<ErrorCode>(['EXPLANATION_UNAVAILABLE', 'UNAVAILABLE']);

/** Whether it stands without a look into the database: how many requests are under way is not the database's to know. */
function isFinal(decision: Decision): boolean {
  return decision.admit || decision.code === 'CONCURRENCY_EXCEEDED';
}

/** What the model took and answered. */
interface Answered {
  readonly inputs: Signature['inputs'];
  readonly inferred: Inferred;
  readonly explanation: Explanation | null;
}

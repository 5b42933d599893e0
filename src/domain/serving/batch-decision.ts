import type { Clock } from '../../platform/clock.js';
import { AppError, type ErrorCode } from '../../platform/errors.js';
import { kindOf } from '../../platform/ids.js';
import type { Listener } from '../../platform/listen.js';
import type { Actor, ProvenDevice, Scope } from '../../platform/scope.js';
import { PURPOSES } from '../agreements/agreement.service.js';
import { type Entry, type Facts, type LedgerService, newPredictionId } from '../metering/ledger.service.js';
import { type Admission, decide, type Decision } from './decide.js';
import type { AgreementPolicy, Policies, Policy } from './policy.js';

/** Who asks for which rows of whose answers: the same when the batch is asked for and when a chunk of it is answered. */
export interface BatchAsked {
  readonly tenantId: string;
  readonly actor: Actor;
  readonly mayPredict: boolean;
  /** With a proof of possession only where the batch is asked for. */
  readonly device: (Pick<ProvenDevice, 'id' | 'agreementIds'> & Partial<Pick<ProvenDevice, 'takeProof'>>) | null;
  readonly endpointId: string;
  readonly agreementId: string | null;
  readonly purpose: string | null;
  readonly declaredRegion: string | null;
  readonly rowCount: number;
}

export interface Admitted {
  readonly decision: Admission;
  readonly policy: Policy;
  /** Null: the endpoint is the tenant's own. */
  readonly agreement: AgreementPolicy | null;
}

/** What a batch was admitted under, which must still be in force. */
export interface Pinned {
  readonly agreementVersion: number | null;
}

/** The one decision, asked for a batch; refusals of it are recorded like those of any other door. */
export class BatchDecisions {
  constructor(
    private readonly parts: {
      readonly clock: Clock;
      readonly listener: Listener;
      readonly region: string;
      readonly policies: Policies;
      readonly ledger: LedgerService;
    },
  ) {}

  get region(): string {
    return this.parts.region;
  }

  /** Throws what `decide` denies, after it was recorded; UNAVAILABLE if rights may have changed without this process having heard of it. */
  async admit(asked: BatchAsked, running: (agreementId: string) => number = () => 0): Promise<Admitted> {
    const { listener } = this.parts;
    if (!listener.isInTouch() && !(await listener.regainTouch()))
      throw new AppError('UNAVAILABLE', 'The database does not say whether the agreement still holds.', {
        retryAfterMs: 1000,
      });
    const { policy, decision } = await this.judge(asked, running);
    if (decision.admit) {
      const agreement = policy!.agreements.find(({ id }) => id === decision.agreementId) ?? null;
      return { decision, policy: policy!, agreement };
    }
    const { code, message, admit: _, agreementId, ...details } = decision;
    const error = new AppError(code, message, details);
    // Of what the caller may not even know to exist, no record is kept; nor of waiting for a place.
    if (!policy || UNRECORDED.has(code)) throw error;
    return this.refuse(asked, { policy, agreementId }, error);
  }

  /** The same for work that was admitted before: AGREEMENT_NOT_IN_FORCE if the terms are no longer those of then. */
  async stillAdmit(asked: BatchAsked, pinned: Pinned, running?: (agreementId: string) => number): Promise<Admitted> {
    const admitted = await this.admit(asked, running);
    const { policy, agreement } = admitted;
    if ((agreement?.version ?? null) === pinned.agreementVersion) return admitted;
    const error = new AppError('AGREEMENT_NOT_IN_FORCE', 'The terms have changed since the batch was asked for.', {
      remedy: 'Ask anew, under the terms of now.',
    });
    return this.refuse(asked, { policy, agreementId: agreement!.id }, error);
  }

  /** Records the refusal, then throws it. */
  async refuse(
    asked: BatchAsked,
    { policy, agreementId }: { readonly policy: Policy; readonly agreementId: string | null },
    error: AppError,
  ): Promise<never> {
    const agreement = policy.agreements.find(({ id }) => id === agreementId) ?? null;
    const { endpoint } = policy;
    const model = { versionId: endpoint.modelVersionId, digest: endpoint.modelDigest };
    const entry: Entry = {
      facts: {
        ...this.facts(asked, { endpoint, agreement, model }),
        // Into the ledger goes no text of the caller's.
        purpose: asked.purpose !== null && Object.hasOwn(PURPOSES, asked.purpose) ? asked.purpose : null,
        disclosure: null,
      },
      predictionId: newPredictionId(),
      isRepeatable: false,
      proof: asked.device?.takeProof?.() ?? null,
      rowCount: asked.rowCount,
      startedAt: performance.now(),
      refusal: error.code,
      commitments: null,
    };
    const { tenantId, actor } = asked;
    await this.parts.ledger.record({ tenantId, actor } as Scope, entry);
    throw error;
  }

  /** What the log says of the circumstances. */
  facts(
    { purpose, declaredRegion, device }: BatchAsked,
    by: {
      readonly endpoint: Policy['endpoint'];
      readonly agreement: AgreementPolicy | null;
      readonly model: Facts['model'];
    },
  ): Omit<Facts, 'disclosure'> {
    const { endpoint, agreement, model } = by;
    return {
      providerTenantId: endpoint.tenantId,
      endpointId: endpoint.id,
      agreement: agreement && {
        id: agreement.id,
        version: agreement.version,
        documentDigest: agreement.documentDigest,
      },
      model,
      purpose,
      door: 'BATCH',
      region: this.parts.region,
      declaredRegion,
      deviceId: device?.id ?? null,
    };
  }

  /** On what is remembered, and before anybody is refused on what the database says now. */
  private async judge(
    asked: BatchAsked,
    running: (agreementId: string) => number,
  ): Promise<{ policy: Policy | null; decision: Decision }> {
    const { policies, clock, region } = this.parts;
    const { tenantId, actor, endpointId } = asked;
    const on = (policy: Policy | null) => ({
      policy,
      decision: decide({
        ...asked,
        door: 'BATCH',
        applicationId: actor.kind === 'APPLICATION' ? actor.id : null,
        region,
        running,
        explain: false,
        policy,
        now: clock.now(),
      }),
    });
    if (kindOf(endpointId) !== 'endpoint') return on(null);
    const remembered = on(await policies.find(tenantId, endpointId));
    return remembered.decision.admit ? remembered : on(await policies.reread(tenantId, endpointId));
  }
}

const UNRECORDED: ReadonlySet<ErrorCode> = new Set(['NOT_FOUND', 'FORBIDDEN', 'CONCURRENCY_EXCEEDED']);

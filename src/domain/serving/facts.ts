import type { Facts } from '../metering/ledger.service.js';
import type { Attempt } from './attempt.js';
import type { Admission } from './decide.js';
import type { Policy } from './policy.js';

/** Of one policy: callers times purposes, more or less. */
const MOST = 1000;

/**
 * What the ledger writes down of who asked what under which terms. Many requests have the same: they get the same object, by which the
 * ledger knows it again without a look at what is in it.
 */
export class FactBook {
  private readonly known = new WeakMap<Policy, Map<string, Facts>>();

  constructor(private readonly region: string) {}

  /**
   * Of a request that was admitted, or (`admission` null) refused under this agreement, if under one. `purpose`: as far as it is one.
   */
  of(attempt: Attempt, agreementId: string | null, purpose: string | null, admission: Admission | null): Facts {
    const policy = attempt.policy!;
    const { door, declaredRegion } = attempt;
    const { actor, device } = attempt.scope;
    const deviceId = device?.id ?? null;
    const told = admission === null ? '-' : admission.explanations.kind;
    // No id, code or region has a space in it.
    const name = `${actor.id} ${actor.keyId} ${agreementId} ${purpose} ${door} ${deviceId} ${declaredRegion} ${told}`;
    let ofPolicy = this.known.get(policy);
    if (!ofPolicy) this.known.set(policy, (ofPolicy = new Map()));
    let facts = ofPolicy.get(name);
    if (!facts) {
      const { endpoint, agreements } = policy;
      const agreement = agreements.find(({ id }) => id === agreementId);
      facts = {
        providerTenantId: endpoint.tenantId,
        endpointId: endpoint.id,
        agreement: agreement
          ? { id: agreement.id, version: agreement.version, documentDigest: agreement.documentDigest }
          : null,
        model: { versionId: endpoint.modelVersionId, digest: endpoint.modelDigest },
        purpose,
        disclosure: admission && recordedRule(admission),
        door,
        region: this.region,
        declaredRegion,
        deviceId,
      };
      if (ofPolicy.size >= MOST) ofPolicy.clear();
      ofPolicy.set(name, facts);
    }
    return facts;
  }
}

/** What the log says of what was told. */
function recordedRule({ disclosure, explanations }: Admission): object {
  return explanations.kind === 'NONE' ? disclosure : { ...disclosure, explanations };
}

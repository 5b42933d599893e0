import type { Pool } from 'pg';
import type { Listener } from '../../platform/listen.js';
import { type AgreementState, readPredictionTerms, type Terms } from '../agreements/agreement.service.js';
import type { PublishedSignature } from './endpoint.entity.js';

/** An agreement as decisions see it. */
export interface AgreementPolicy {
  readonly id: string;
  /** Of the terms, and SHA-256 (hexadecimal) of the document that both parties signed. */
  readonly version: number;
  readonly documentDigest: string;
  readonly terms: Terms;
  readonly state: AgreementState;
  readonly validFrom: Date;
  readonly validUntil: Date;
}

/** All that decides about one tenant's requests to one endpoint. */
export interface Policy {
  readonly endpoint: {
    readonly id: string;
    readonly tenantId: string;
    readonly name: string;
    readonly state: 'READY' | 'DELETED';
    readonly modelVersionId: string;
    /** SHA-256 of the model, hexadecimal. */
    readonly modelDigest: string | null;
    readonly signature: PublishedSignature;
    readonly createdAt: Date;
    readonly routedAt: Date;
  };
  /** Between the endpoint's tenant and this one, oldest first; empty for the endpoint's own tenant. */
  readonly agreements: readonly AgreementPolicy[];
}

const MOST_ENDPOINTS = 10_000;
const MOST_TENANTS = 1000;

/**
 * Policies in memory, forgotten when the database notifies a change. Out of touch with the database's news nothing is
 * remembered: every question reads, and predictions are refused. What was decided on news that have not arrived yet is caught by the ledger, which looks at
 * the agreement again under its lock.
 */
export class Policies {
  /** By endpoint, then by tenant. */
  private readonly held = new Map<string, Map<string, Held>>();

  constructor(
    private readonly gate: Pool,
    private readonly listener: Listener,
  ) {
    listener.on('concordat_policy', (endpointId) => {
      if (endpointId === null) this.held.clear();
      else this.held.delete(endpointId);
    });
  }

  /** What is remembered; null if nothing is, or may not be any more. */
  known(tenantId: string, endpointId: string): Policy | null {
    return this.listener.isInTouch() ? (this.held.get(endpointId)?.get(tenantId)?.policy ?? null) : null;
  }

  /** As `find`, but what the database says now. */
  reread(tenantId: string, endpointId: string): Promise<Policy | null> {
    this.held.get(endpointId)?.delete(tenantId);
    return this.find(tenantId, endpointId);
  }

  /** Null if there is no such endpoint. That there is one says nothing about who may know of it. */
  find(tenantId: string, endpointId: string): Promise<Policy | null> {
    if (!this.listener.isInTouch()) {
      this.held.clear();
      return readPolicy(this.gate, tenantId, endpointId);
    }
    const tenants = this.held.get(endpointId);
    const found = tenants?.get(tenantId);
    if (found) return found.reading;
    // Remembered before it is read: news that come during the reading forget it.
    const made: Held = { reading: readPolicy(this.gate, tenantId, endpointId), policy: null };
    if (this.held.size >= MOST_ENDPOINTS) this.held.clear();
    if (!tenants || tenants.size >= MOST_TENANTS) this.held.set(endpointId, new Map([[tenantId, made]]));
    else tenants.set(tenantId, made);
    const forget = () => {
      const now = this.held.get(endpointId);
      if (now?.get(tenantId) === made) now.delete(tenantId);
      if (now?.size === 0) this.held.delete(endpointId);
    };
    made.reading.then((policy) => (policy ? (made.policy = policy) : forget()), forget);
    return made.reading;
  }
}

/** The promise is kept, so that many first requests read once. */
interface Held {
  readonly reading: Promise<Policy | null>;
  /** As soon as it is read. */
  policy: Policy | null;
}

type Row = Policy['endpoint'] & {
  readonly agreements: (AgreementPolicy & { validFrom: string; validUntil: string })[];
};

async function readPolicy(gate: Pool, tenantId: string, endpointId: string): Promise<Policy | null> {
  const { rows } = await gate.query<Row>({
    name: 'policy',
    text: `select e.id, e.tenant_id as "tenantId", e.name, e.state, e.model_version_id as "modelVersionId",
        (select v.digest from model_version v where v.tenant_id = e.tenant_id and v.id = e.model_version_id) as "modelDigest", e.signature,
        e.created_at as "createdAt", e.routed_at as "routedAt",
        coalesce((select jsonb_agg(jsonb_build_object('id', a.id, 'version', a.version, 'documentDigest', encode(a.document_digest, 'hex'), 'terms', a.terms, 'state', a.state,
            'validFrom', a.valid_from, 'validUntil', a.valid_until) order by a.id)
          from agreement a where a.provider_tenant_id = e.tenant_id and a.endpoint_id = e.id and a.consumer_tenant_id = $2), '[]') as agreements
      from endpoint e where e.id = $1`,
    values: [endpointId, tenantId],
  });
  const [row] = rows;
  if (!row) return null;
  const { agreements, ...endpoint } = row;
  return {
    endpoint,
    agreements: agreements.map((agreement) => ({
      ...agreement,
      terms: readPredictionTerms(agreement.terms),
      validFrom: new Date(agreement.validFrom),
      validUntil: new Date(agreement.validUntil),
    })),
  };
}

import type { Clock } from '../../platform/clock.js';
import { type Db, inTenant, type Tx } from '../../platform/db.js';
import { AppError, notFound } from '../../platform/errors.js';
import { kindOf, newId } from '../../platform/ids.js';
import type { KeyRing } from '../../platform/keys.js';
import { type Page, type PageRequest, readPage } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import { appendAudit, type AuditKind } from '../audit/audit.service.js';
import type { AgreementRow, AgreementSignatureRow } from './agreement.entity.js';
import * as repo from './agreement.repo.js';
import { signCustodially } from './signing.js';
import { type AgreementState, legalSteps, type Party, type Situation, stateAt, type Step, takeStep } from './step.js';
import { summarise } from './summary.js';
import { canonicalDocument, disclosureMisfit, parseTerms, type Terms } from './terms.js';

export { PURPOSES, type Purpose, purposeAllowed } from './purpose.js';
export { type AgreementState, stateAt } from './step.js';
export { DISCLOSURE_ENFORCEMENT } from './enforcement.js';
export { type Disclosure, disclosureMisfit, readTerms, type Terms } from './terms.js';

/** An agreement as one of its parties sees it. */
export interface Agreement {
  readonly id: string;
  readonly providerTenantId: string;
  readonly providerName: string;
  readonly consumerTenantId: string;
  /** Null to the provider until the consumer has signed. */
  readonly consumerName: string | null;
  readonly endpointId: string;
  readonly version: number;
  readonly terms: Terms;
  readonly summary: string;
  readonly document: string;
  /** SHA-256 of the document. */
  readonly documentDigestHex: string;
  /** At the moment of reading: expired as soon as the period has ended. */
  readonly state: AgreementState;
  readonly suspendedBy: readonly Party[];
  readonly signatures: readonly AgreementSignatureRow[];
  /** The part of the tenant that reads. */
  readonly party: Party;
  /** What this party can do now. */
  readonly steps: readonly Step[];
  readonly createdAt: Date;
  readonly changedAt: Date;
}

export interface Offer {
  readonly endpointId: string;
  /** The other party tells it; there is no list to choose from. */
  readonly consumerTenantId: string;
  /** Unchecked: parsed here, where an unknown term is refused. */
  readonly terms: unknown;
}

/** What agreements need to know of endpoints, which come later in the order of domains. */
export interface OfferedEndpoints {
  /** The task of an endpoint of the scope's tenant, locked against deletion until the commit; null if there is none. */
  findTask(tx: Tx, endpointId: string): Promise<'binary' | 'multiclass' | 'regression' | null>;
}

const AUDIT_OF: Record<Step, AuditKind> = {
  sign: 'agreement.signed',
  withdraw: 'agreement.withdrawn',
  suspend: 'agreement.suspended',
  resume: 'agreement.resumed',
  terminate: 'agreement.terminated',
};

export interface AgreementServiceParts {
  readonly db: Db;
  readonly clock: Clock;
  readonly keys: KeyRing;
  readonly endpoints: OfferedEndpoints;
}

export class AgreementService {
  constructor(private readonly parts: AgreementServiceParts) {}

  /** Throws INVALID_INPUT for terms that would not be enforced, NOT_FOUND for an endpoint or a tenant that is not there. */
  async offer(scope: Scope, { endpointId, consumerTenantId, terms: unchecked }: Offer): Promise<Agreement> {
    const terms = parseTerms(unchecked);
    const now = this.parts.clock.now();
    if (new Date(terms.period.until) <= now) throw invalidTerm('period.until', 'The period has ended already.');
    if (kindOf(consumerTenantId) !== 'tenant') throw notFound('tenant');
    if (consumerTenantId === scope.tenantId)
      throw new AppError('INVALID_INPUT', 'Using one’s own endpoint needs no agreement.', {
        field: 'input.consumerTenantId',
      });
    return this.inTenant(scope, async (tx) => {
      const task = kindOf(endpointId) === 'endpoint' ? await this.parts.endpoints.findTask(tx, endpointId) : null;
      if (!task) throw notFound('endpoint');
      const misfit = disclosureMisfit(terms.disclosure, task);
      if (misfit) throw invalidTerm('disclosure', misfit);
      const row = newAgreement({ providerTenantId: scope.tenantId, consumerTenantId, endpointId, terms, now });
      await repo.insertAgreement(tx, row);
      const view = await this.view(tx, scope, row);
      await this.audit(tx, scope, row, { kind: 'agreement.offered', now, detail: { endpointId, terms } });
      return view;
    });
  }

  /** Signs with the key that the platform keeps for the tenant. The second signature puts the agreement in force. */
  sign(scope: Scope, id: string): Promise<Agreement> {
    return this.step(scope, id, 'sign');
  }

  /** Before it is in force: the provider takes its offer back, or the consumer declines it. */
  withdraw(scope: Scope, id: string): Promise<Agreement> {
    return this.step(scope, id, 'withdraw');
  }

  suspend(scope: Scope, id: string): Promise<Agreement> {
    return this.step(scope, id, 'suspend');
  }

  resume(scope: Scope, id: string): Promise<Agreement> {
    return this.step(scope, id, 'resume');
  }

  terminate(scope: Scope, id: string): Promise<Agreement> {
    return this.step(scope, id, 'terminate');
  }

  find(scope: Scope, id: string): Promise<Agreement | null> {
    return this.inTenant(scope, async (tx) => {
      const row = kindOf(id) === 'agreement' ? await repo.findAgreement(tx, id) : null;
      return row && this.view(tx, scope, row);
    });
  }

  async get(scope: Scope, id: string): Promise<Agreement> {
    const agreement = await this.find(scope, id);
    if (!agreement) throw notFound('agreement');
    return agreement;
  }

  list(scope: Scope, filter: repo.AgreementFilter, page: PageRequest): Promise<Page<Agreement>> {
    return this.inTenant(scope, (tx) =>
      readPage(
        page,
        (row) => row.id,
        async (before, limit) => this.views(tx, scope, await repo.listAgreements(tx, { ...filter, before, limit })),
      ),
    );
  }

  /** Whether anything offered or agreed still stands on the endpoint. Joins the caller's transaction. */
  standsOn(tx: Tx, endpointId: string): Promise<boolean> {
    return repo.existsOpenAgreement(tx, endpointId);
  }

  /** Records what time has ended. Nothing depends on it: every decision looks at the period itself. Returns how many. */
  async recordExpired(scopeOf: (tenantId: string) => Scope, limit = 100): Promise<number> {
    const due = await repo.listDue(this.parts.db.gate, this.parts.clock.now(), limit);
    for (const { id, tenantId } of due) {
      const scope = scopeOf(tenantId);
      await this.inTenant(scope, async (tx) => {
        const row = await repo.findAgreementForUpdate(tx, id);
        if (row) await this.expire(tx, scope, row);
      });
    }
    return due.length;
  }

  private async step(scope: Scope, id: string, step: Step): Promise<Agreement> {
    if (kindOf(id) !== 'agreement') throw notFound('agreement');
    const outcome = await this.inTenant(scope, async (tx) => {
      const row = await repo.findAgreementForUpdate(tx, id);
      if (!row) throw notFound('agreement');
      // The expiry is recorded even though the step is refused: so it must be committed before the refusal is thrown.
      const expired = await this.expire(tx, scope, row);
      return expired ? new Expired(step, expired, partyOf(row, scope)) : this.take(tx, scope, { row, step });
    });
    return outcome instanceof Expired ? outcome.refuse() : outcome;
  }

  private async take(tx: Tx, scope: Scope, { row, step }: { row: AgreementRow; step: Step }): Promise<Agreement> {
    const now = this.parts.clock.now();
    const party = partyOf(row, scope);
    const before = situationOf(row, await repo.listSignatures(tx, [row.id]));
    const after = takeStep(step, before, party);
    const detail = { documentDigest: row.documentDigest.toString('hex'), party, state: after.state };
    if (step === 'sign') {
      const { keys } = this.parts;
      const made = await signCustodially(tx, scope, { keys, text: row.document, now });
      const key = { agreementId: row.id, version: row.version, party };
      const how = { algorithm: 'Ed25519', custody: 'CUSTODIAL' } as const;
      await repo.insertSignature(tx, { ...key, ...how, ...made, signedBy: scope.actor.id, signedAt: now });
      Object.assign(detail, { publicKey: made.publicKey.toString('hex'), custody: how.custody });
    }
    const changed = { ...row, ...columnsOf(after), changedAt: now };
    await repo.markAgreement(tx, row.id, { ...columnsOf(after), changedAt: now });
    const view = await this.view(tx, scope, changed);
    await this.audit(tx, scope, row, { kind: AUDIT_OF[step], now, detail });
    if (step === 'sign' && after.state === 'ACTIVE')
      await this.audit(tx, scope, row, { kind: 'agreement.activated', now, detail: {} });
    return view;
  }

  /** If the period has ended: records it and returns the situation before. */
  private async expire(tx: Tx, scope: Scope, row: AgreementRow): Promise<Situation | null> {
    const now = this.parts.clock.now();
    if (row.state === 'EXPIRED' || stateAt(row, now) !== 'EXPIRED') return null;
    const situation = situationOf(row, []);
    await repo.markAgreement(tx, row.id, { ...columnsOf(situation), state: 'EXPIRED', changedAt: now });
    await this.audit(tx, scope, row, { kind: 'agreement.expired', now, detail: { state: row.state } });
    return situation;
  }

  private audit(
    tx: Tx,
    scope: Scope,
    row: AgreementRow,
    event: { kind: AuditKind; now: Date; detail: Record<string, unknown> },
  ): Promise<number> {
    const other = scope.tenantId === row.providerTenantId ? row.consumerTenantId : row.providerTenantId;
    const { kind, now: at, detail } = event;
    return appendAudit(tx, scope, {
      kind,
      at,
      subjectId: row.id,
      detail: { ...detail, version: row.version },
      counterpartyTenantId: other,
    });
  }

  private async view(tx: Tx, scope: Scope, row: AgreementRow): Promise<Agreement> {
    return (await this.views(tx, scope, [row]))[0]!;
  }

  private async views(tx: Tx, scope: Scope, rows: AgreementRow[]): Promise<Agreement[]> {
    if (rows.length === 0) return [];
    const ids = rows.map((row) => row.id);
    const signatures = await repo.listSignatures(tx, ids);
    const names = new Map((await repo.listPartyNames(tx, ids)).map((name) => [name.agreementId, name]));
    const now = this.parts.clock.now();
    return rows.map((row) => {
      const own = signatures.filter((signature) => signature.agreementId === row.id);
      const { providerName, consumerName } = names.get(row.id)!;
      const state = stateAt(row, now);
      const situation = { ...situationOf(row, own), state };
      const party = partyOf(row, scope);
      return {
        ...row,
        providerName,
        consumerName,
        summary: summarise(row.terms),
        documentDigestHex: row.documentDigest.toString('hex'),
        state,
        suspendedBy: situation.suspendedBy,
        signatures: own,
        party,
        steps: legalSteps(situation, party),
      };
    });
  }

  private inTenant<T>(scope: Scope, work: (tx: Tx) => Promise<T>): Promise<T> {
    return inTenant(this.parts.db, scope, work);
  }
}

/** A step that came too late. */
class Expired {
  constructor(
    private readonly step: Step,
    private readonly before: Situation,
    private readonly party: Party,
  ) {}

  refuse(): never {
    takeStep(this.step, { ...this.before, state: 'EXPIRED' }, this.party);
    throw new Error('No step may leave EXPIRED.');
  }
}

function newAgreement(parts: {
  providerTenantId: string;
  consumerTenantId: string;
  endpointId: string;
  terms: Terms;
  now: Date;
}): AgreementRow {
  const { now, ...content } = parts;
  const id = newId('agreement');
  const version = 1;
  const { text, digest } = canonicalDocument({ format: 'concordat-agreement/2', agreementId: id, version, ...content });
  return {
    ...content,
    id,
    version,
    document: text,
    documentDigest: digest,
    validFrom: new Date(content.terms.period.from),
    validUntil: new Date(content.terms.period.until),
    state: 'OFFERED',
    suspendedByProvider: false,
    suspendedByConsumer: false,
    createdAt: now,
    changedAt: now,
  };
}

function partyOf(row: AgreementRow, scope: Pick<Scope, 'tenantId'>): Party {
  return row.providerTenantId === scope.tenantId ? 'PROVIDER' : 'CONSUMER';
}

function situationOf(row: AgreementRow, signatures: readonly AgreementSignatureRow[]): Situation {
  const suspendedBy: Party[] = [];
  if (row.suspendedByProvider) suspendedBy.push('PROVIDER');
  if (row.suspendedByConsumer) suspendedBy.push('CONSUMER');
  return { state: row.state, signedBy: signatures.map((signature) => signature.party), suspendedBy };
}

function columnsOf({ state, suspendedBy }: Situation) {
  return {
    state,
    suspendedByProvider: suspendedBy.includes('PROVIDER'),
    suspendedByConsumer: suspendedBy.includes('CONSUMER'),
  };
}

function invalidTerm(term: string, message: string): AppError {
  return new AppError('INVALID_INPUT', message, { field: `input.terms.${term}` });
}

export type { AgreementFilter } from './agreement.repo.js';

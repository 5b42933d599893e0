import { inTenant, type Tx } from '../../platform/db.js';
import { AppError, notFound } from '../../platform/errors.js';
import { kindOf, newId } from '../../platform/ids.js';
import { type Page, type PageRequest, readPage } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import type { AgreementVersionRow } from './agreement.entity.js';
import * as repo from './agreement.repo.js';
import { AgreementSteps, type AgreementStepsParts, type Event, isAboutEndpoint, type Work } from './agreement-steps.js';
import { refuseRoute } from './licensing.js';
import { changeOf, documentOf, newAgreement, proposed } from './life.js';
import { importOdrl } from './odrl.js';
import type { Hand, SigningKeyService } from './signing-key.service.js';
import { type Party, RENEWAL_LEAD_MS, type Situation, suspendedForBreach } from './step.js';
import { type About, type AgreedTerms, invalidTerm, parseTerms } from './terms.js';
import {
  type Agreement,
  columnsOf,
  type EndpointAgreement,
  openVersion,
  partyOf,
  standingTerms,
  viewsOf,
} from './view.js';

export { PURPOSES, type Purpose, purposeAllowed } from './purpose.js';
export { type AgreementState, stateAt } from './step.js';
export { DISCLOSURE_ENFORCEMENT } from './enforcement.js';
export { type Amount, amountOf, creditOf, endOf, type SettledMonths, sumOf } from './settlement.js';
export { type Disclosure, disclosureMisfit, type Explanations, readPredictionTerms, type Terms } from './terms.js';
export type { AgreementFilter } from './agreement.repo.js';
/** To other domains, agreements are about endpoints. */
export type { AgreementVersion, EndpointAgreement as Agreement } from './view.js';
export type { OfferedEndpoints } from './licensing.js';
export type { Statements } from './agreement-steps.js';

export interface Offer {
  /** What is offered: this, or a dataset version to train on. */
  readonly endpointId?: string | null;
  readonly datasetVersionId?: string | null;
  /** The other party tells it; there is no list to choose from. */
  readonly consumerTenantId: string;
  /** Unchecked: parsed here, where an unknown term is refused. */
  readonly terms: unknown;
}

export interface AgreementServiceParts extends AgreementStepsParts {
  readonly keys: SigningKeyService;
}

export class AgreementService {
  private readonly steps: AgreementSteps;

  constructor(private readonly parts: AgreementServiceParts) {
    this.steps = new AgreementSteps(parts);
  }

  /**
   * Throws INVALID_INPUT for terms that cannot be offered, LICENCE_BROKEN for those that the data forbid, NOT_FOUND for an endpoint or a
   * tenant that is not there.
   */
  offer(scope: Scope, offer: Offer): Promise<Agreement> {
    return inTenant(this.parts.db, scope, (tx) => this.offerIn(tx, scope, { ...offer, id: newId('agreement') }));
  }

  /** The same in a transaction that is open, which has nothing left to do but to be recorded. */
  async offerIn(tx: Tx, scope: Scope, offer: Offer & { readonly id: string }): Promise<Agreement> {
    const { id, consumerTenantId, endpointId = null, datasetVersionId = null } = offer;
    if ((endpointId === null) === (datasetVersionId === null))
      throw new AppError('INVALID_INPUT', 'Offer either an endpoint or a dataset version.', {
        field: 'input.endpointId',
      });
    const now = this.parts.clock.now();
    await this.parts.licensing.require(tx, { endpointId, datasetVersionId });
    const terms = parseUnended(offer.terms, { now, about: endpointId === null ? 'DATASET_VERSION' : 'ENDPOINT' });
    if (kindOf(consumerTenantId) !== 'tenant') throw notFound('tenant');
    if (consumerTenantId === scope.tenantId)
      throw new AppError('INVALID_INPUT', 'Using what is one’s own needs no agreement.', {
        field: 'input.consumerTenantId',
      });
    const parties = { id, providerTenantId: scope.tenantId, consumerTenantId, endpointId, datasetVersionId };
    await this.parts.licensing.refuseUnfit(tx, parties, terms);
    const version = proposed(parties, { version: 1, by: 'PROVIDER', terms, now });
    const row = newAgreement(parties, version);
    await repo.insertAgreement(tx, row);
    await repo.insertVersion(tx, version);
    const view = await this.steps.view(tx, scope, row);
    const about = endpointId === null ? { datasetVersionId } : { endpointId };
    await this.steps.audit(tx, scope, row, [{ kind: 'agreement.offered', detail: { ...about, terms, version: 1 } }]);
    return view;
  }

  /** Offers what an ODRL policy of our profile says (docs/odrl.md). INVALID_INPUT for one whose assigner is somebody else. */
  async offerOdrl(scope: Scope, document: string): Promise<Agreement> {
    const { providerTenantId, ...offer } = importOdrl(document);
    if (providerTenantId !== scope.tenantId)
      throw new AppError('INVALID_INPUT', 'The assigner of the policy is another tenant.', { field: 'input.document' });
    return this.offer(scope, offer);
  }

  /**
   * Signs what waits for signatures: the offer, or an amendment. The second signature puts it in force. `version` is the one that
   * was read: CONFLICT if another one waits by now.
   */
  async sign(scope: Scope, input: { agreementId: string; version?: number | null }, hand: Hand): Promise<Agreement> {
    const id = input.agreementId;
    await this.parts.keys.admit(hand);
    return this.steps.take(scope, { id, step: 'sign' }, async (work, after) => {
      const { tx, row, now, versions } = work;
      const open = openVersion(versions, now)!;
      if (open.version !== (input.version ?? 1))
        throw new AppError('CONFLICT', `What waits for signatures is version ${open.version}.`, {
          field: 'input.version',
          remedy: 'Read that version, then sign it by its number.',
        });
      const party = partyOf(row, scope);
      const { id: signingKeyId, ...made } = await this.parts.keys.sign(tx, scope, { text: open.document, hand });
      // What comes into force keeps the limits of the data as they are now, whatever they were when it was proposed.
      await this.parts.licensing.refuseUnfit(tx, row, open.terms, 'input.agreementId');
      const key = { agreementId: row.id, version: open.version, party, signingKeyId };
      const how = { algorithm: 'Ed25519', custody: hand.custody } as const;
      await repo.insertSignature(tx, { ...key, ...how, ...made, signedBy: scope.actor.id, signedAt: now });
      const documentDigest = open.documentDigest.toString('hex');
      const detail = { documentDigest, party, publicKey: made.publicKey.toString('hex'), custody: hand.custody };
      work.events.push({ kind: 'agreement.signed', detail: { ...detail, version: open.version, state: after.state } });
      if (after.open !== null) return {};
      work.events.push({
        kind: row.activatedAt ? 'agreement.amended' : 'agreement.activated',
        detail: { documentDigest, version: open.version },
      });
      return this.putInForce(work, open, after);
    });
  }

  /** Answers an offer with other terms: a new version, which nobody has signed. */
  counter(scope: Scope, id: string, terms: unknown): Promise<Agreement> {
    return this.propose(scope, { id, step: 'counter', kind: 'agreement.countered' }, terms);
  }

  /** Proposes other terms for an agreement in force; until both have signed them, the old ones hold. */
  amend(scope: Scope, id: string, terms: unknown): Promise<Agreement> {
    return this.propose(scope, { id, step: 'amend', kind: 'agreement.amendment-proposed' }, terms);
  }

  /** Takes an amendment back, or rejects it. */
  reject(scope: Scope, id: string): Promise<Agreement> {
    return this.steps.take(scope, { id, step: 'reject' }, async (work) => {
      await this.steps.drop(work);
      work.events.push({ kind: 'agreement.amendment-rejected' });
      return {};
    });
  }

  /** Before it is in force: the provider takes its offer back, or the consumer declines it; and the same of a counter-offer. */
  withdraw(scope: Scope, id: string): Promise<Agreement> {
    return this.steps.take(scope, { id, step: 'withdraw' }, async (work) => {
      await this.steps.drop(work);
      work.events.push({ kind: 'agreement.withdrawn' });
      return {};
    });
  }

  suspend(scope: Scope, id: string): Promise<Agreement> {
    return this.steps.takePlain(scope, id, { step: 'suspend', kind: 'agreement.suspended' });
  }

  resume(scope: Scope, id: string): Promise<Agreement> {
    return this.steps.takePlain(scope, id, { step: 'resume', kind: 'agreement.resumed' });
  }

  stopRenewal(scope: Scope, id: string): Promise<Agreement> {
    return this.steps.takePlain(scope, id, {
      step: 'stopRenewal',
      kind: 'agreement.renewal-stopped',
      change: { renewalStopped: true },
    });
  }

  /** At once, or with the notice that the terms ask for, unless the other party has given notice already. */
  terminate(scope: Scope, id: string): Promise<Agreement> {
    return this.steps.take(scope, { id, step: 'terminate' }, async (work, after) => {
      const change = changeOf(work.row, after, work.now);
      await this.steps.drop(work);
      const until = change.noticeUntil?.toISOString();
      work.events.push(
        after.state === 'TERMINATED'
          ? { kind: 'agreement.terminated' }
          : { kind: 'agreement.notice-given', detail: { until } },
      );
      return change;
    });
  }

  /** Freezes the figures of an agreement that has ended. */
  settle(scope: Scope, id: string): Promise<Agreement> {
    return this.steps.take(scope, { id, step: 'settle' }, (work) => this.steps.freeze(work));
  }

  /**
   * Puts an agreement out of force because `by` has broken it, and records why. The other party lifts it (`resume`). False if it stands
   * suspended for a breach already, or does not stand at all. `scope`: the platform's, in the name of one of the parties.
   */
  async suspendForBreach(scope: Scope, id: string, breach: { by: Party; reason: string }): Promise<boolean> {
    return inTenant(this.parts.db, scope, async (tx) => {
      const work = await this.steps.begin(tx, scope, id);
      const after = suspendedForBreach(await this.steps.situation(work), breach.by);
      if (after) {
        await this.steps.mark(work, { ...columnsOf(after), breachReason: breach.reason, changedAt: work.now });
        work.events.push({ kind: 'agreement.breached', detail: breach });
      }
      await this.steps.audit(tx, scope, work.row, work.events);
      return after !== null;
    });
  }

  find(scope: Scope, id: string): Promise<Agreement | null> {
    return inTenant(this.parts.db, scope, async (tx) => {
      const row = kindOf(id) === 'agreement' ? await repo.findAgreement(tx, id) : null;
      return row && this.steps.view(tx, scope, row);
    });
  }

  /** One about an endpoint: what answers are counted under. CONFLICT for one about data, under which nothing is answered. */
  async get(scope: Scope, id: string): Promise<EndpointAgreement> {
    const agreement = await this.getAny(scope, id);
    if (isAboutEndpoint(agreement)) return agreement;
    throw new AppError('CONFLICT', 'Nothing is answered under an agreement about a dataset version.', {
      remedy: 'Read `trainings` of the agreement.',
    });
  }

  private async getAny(scope: Scope, id: string): Promise<Agreement> {
    const agreement = await this.find(scope, id);
    if (!agreement) throw notFound('agreement');
    return agreement;
  }

  list(scope: Scope, filter: repo.AgreementFilter, page: PageRequest): Promise<Page<Agreement>> {
    return inTenant(this.parts.db, scope, (tx) =>
      readPage(
        page,
        (row) => row.id,
        async (before, limit) =>
          viewsOf(tx, scope, await repo.listAgreements(tx, { ...filter, before, limit }), this.parts.clock.now()),
      ),
    );
  }

  /** Whether anything offered or agreed still stands on the endpoint. Joins the caller's transaction. */
  standsOn(tx: Tx, endpointId: string): Promise<boolean> {
    return repo.existsOpenAgreement(tx, endpointId);
  }

  /**
   * Before an endpoint of the transaction's tenant goes to another version: LICENCE_BROKEN if the data of that version forbid what is
   * offered or agreed on the endpoint.
   */
  async refuseRoute(tx: Tx, route: { endpointId: string; modelVersionId: string }): Promise<void> {
    const rows = await repo.listOpenAgreements(tx, { endpointId: route.endpointId });
    const versions =
      rows.length === 0
        ? []
        : await repo.listVersions(
            tx,
            rows.map(({ id }) => id),
          );
    const now = this.parts.clock.now();
    await refuseRoute(
      tx,
      route,
      rows.flatMap((row) => standingTerms(row, versions, now)),
    );
  }

  /**
   * Does what time has brought: renews periods, records ends, settles what has ended. Only renewals depend on it; every decision
   * looks at the period itself. Returns how many agreements it changed.
   */
  async recordExpired(scopeOf: (tenantId: string) => Scope, limit = 100): Promise<number> {
    const now = this.parts.clock.now();
    const due = await repo.listDue(this.parts.db.gate, { now, leadMs: RENEWAL_LEAD_MS, limit });
    for (const { id, tenantId } of due) {
      const scope = scopeOf(tenantId);
      await inTenant(this.parts.db, scope, async (tx) => {
        const work = await this.steps.begin(tx, scope, id);
        const ended = work.row.state === 'TERMINATED' || work.row.state === 'EXPIRED';
        if (ended && work.row.activatedAt)
          await this.steps.mark(work, { ...(await this.steps.freeze(work)), state: 'SETTLED', changedAt: work.now });
        await this.steps.audit(tx, scope, work.row, work.events);
      });
    }
    return due.length;
  }

  private async propose(
    scope: Scope,
    { id, step, kind }: { id: string; step: 'counter' | 'amend'; kind: Event['kind'] },
    unchecked: unknown,
  ): Promise<Agreement> {
    // What it is about never changes, so that it may be read before the agreement is locked.
    const about = (await this.getAny(scope, id)).endpointId === null ? 'DATASET_VERSION' : 'ENDPOINT';
    const terms = parseUnended(unchecked, { now: this.parts.clock.now(), about });
    return this.steps.take(scope, { id, step, terms }, async (work) => {
      const { tx, row, now, versions } = work;
      await this.parts.licensing.refuseUnfit(tx, row, terms);
      await this.steps.drop(work);
      const by = partyOf(row, scope);
      const version = proposed(row, { version: versions.at(-1)!.version + 1, by, terms, now });
      await repo.insertVersion(tx, version);
      versions.push(version);
      work.events.push({ kind, detail: { terms, version: version.version, party: by } });
      // An offer is what waits; an amendment waits beside what is in force.
      return step === 'counter' ? documentOf(version) : {};
    });
  }

  private async putInForce(work: Work, open: AgreementVersionRow, after: Situation): Promise<repo.AgreementChange> {
    const { tx, row, now } = work;
    const change = { ...documentOf(open), renewalStopped: false, renewals: 0, activatedAt: row.activatedAt ?? now };
    await this.steps.mark(work, { ...columnsOf(after), ...change, changedAt: now });
    await repo.markVersion(tx, open, { state: 'AGREED', agreedAt: now });
    return change;
  }
}

/** Terms that may be proposed: checked, and not over already. */
function parseUnended(unchecked: unknown, { now, about }: { now: Date; about: About }): AgreedTerms {
  const terms = parseTerms(unchecked, about);
  if (new Date(terms.period.until) <= now) throw invalidTerm('period.until', 'The period has ended already.');
  return terms;
}

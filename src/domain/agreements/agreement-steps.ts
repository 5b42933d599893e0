import type { Clock } from '../../platform/clock.js';
import { type Db, inTenant, type Tx } from '../../platform/db.js';
import { AppError, notFound } from '../../platform/errors.js';
import { kindOf } from '../../platform/ids.js';
import type { Scope } from '../../platform/scope.js';
import { appendAudit, type AuditEvent } from '../audit/audit.service.js';
import type { AgreementRow, AgreementVersionRow } from './agreement.entity.js';
import * as repo from './agreement.repo.js';
import type { Licensing } from './licensing.js';
import { bringUpToDate } from './life.js';
import { type SettledMonths, settlementOf } from './settlement.js';
import { type Situation, type Step, takeStep } from './step.js';
import type { AgreedTerms } from './terms.js';
import { type Agreement, columnsOf, type EndpointAgreement, partyOf, rulesOf, situationAt, viewsOf } from './view.js';

/** What agreements need to know of metering, which comes later in the order of domains. */
export interface Statements {
  /** What the months of an agreement that has ended came to, as the transaction sees it. */
  readMonths(tx: Tx, agreement: EndpointAgreement, endedAt: Date): Promise<SettledMonths>;
}

export interface AgreementStepsParts {
  readonly db: Db;
  readonly clock: Clock;
  readonly licensing: Licensing;
  readonly statements: Statements;
}

export type Event = Pick<AuditEvent, 'kind' | 'detail'>;
/** What a step does beside the row. The audit log is locked last: events are written when everything else is. */
export interface Work {
  readonly tx: Tx;
  readonly scope: Scope;
  readonly now: Date;
  readonly row: AgreementRow;
  readonly versions: AgreementVersionRow[];
  readonly events: Event[];
}

/** How every step is taken: under the lock of the agreement, on what time has left of it, recorded with what it did. */
export class AgreementSteps {
  constructor(private readonly parts: AgreementStepsParts) {}

  /** Locks the agreement and brings it up to date; whatever follows acts on what time has left. */
  async begin(tx: Tx, scope: Scope, id: string): Promise<Work> {
    const row = kindOf(id) === 'agreement' ? await repo.findAgreementForUpdate(tx, id) : null;
    if (!row) throw notFound('agreement');
    const now = this.parts.clock.now();
    const versions = await repo.listVersions(tx, [id]);
    const work = { tx, scope, now, row, versions, events: [] as Event[] };
    let due = bringUpToDate(row, versions, now);
    if (due.event === 'agreement.renewed' && (await this.mayNotRenew(work, due.change!.validUntil!)))
      due = bringUpToDate(row, versions, now);
    if (due.lapsed) {
      await this.drop(work, due.lapsed);
      if (row.activatedAt)
        work.events.push({ kind: 'agreement.amendment-lapsed', detail: { version: due.lapsed.version } });
    }
    if (due.event) work.events.push({ kind: due.event, detail: due.detail });
    if (due.change) await this.mark(work, { ...due.change, changedAt: now });
    return work;
  }

  /** Whether the data forbid the next period as their limits are declared now: then the renewal is stopped, and recorded as that. */
  private async mayNotRenew(work: Work, until: Date): Promise<boolean> {
    const { row, tx } = work;
    const terms = { ...row.terms, period: { until: until.toISOString() } };
    const broken = await this.parts.licensing.breakOf(tx, row, terms);
    if (!broken) return false;
    await this.mark(work, { renewalStopped: true, changedAt: work.now });
    work.events.push({ kind: 'agreement.renewal-stopped', detail: { brokenLimit: broken.limit } });
    return true;
  }

  async situation({ tx, row, versions, now }: Work): Promise<Situation> {
    return situationAt(row, { versions, signatures: await repo.listSignatures(tx, [row.id]), now });
  }

  /**
   * Takes the step under the row's lock. `act` does what the step does beside the state, and returns further columns. What time had
   * brought is committed even if the step is refused.
   */
  async take(
    scope: Scope,
    { id, step, terms }: { id: string; step: Step; terms?: AgreedTerms },
    act: (work: Work, after: Situation) => Promise<repo.AgreementChange>,
  ): Promise<Agreement> {
    const outcome = await inTenant(this.parts.db, scope, async (tx) => {
      const work = await this.begin(tx, scope, id);
      const before = await this.situation(work);
      const after = tryStep(() => takeStep(step, before, partyOf(work.row, scope), terms && rulesOf(terms)));
      if (!(after instanceof AppError))
        await this.mark(work, {
          ...columnsOf(after),
          ...whyOf(work.row, after),
          ...(await act(work, after)),
          changedAt: work.now,
        });
      const view = after instanceof AppError ? after : await this.view(tx, scope, work.row);
      await this.audit(tx, scope, work.row, work.events);
      return view;
    });
    if (outcome instanceof AppError) throw outcome;
    return outcome;
  }

  takePlain(
    scope: Scope,
    id: string,
    { step, kind, change = {} }: { step: Step; kind: Event['kind']; change?: repo.AgreementChange },
  ): Promise<Agreement> {
    return this.take(scope, { id, step }, (work) => {
      work.events.push({ kind });
      return Promise.resolve(change);
    });
  }

  async freeze(work: Work): Promise<repo.AgreementChange> {
    const { tx, scope, row, now, versions } = work;
    const ended = row.state as 'TERMINATED' | 'EXPIRED';
    const endedAt = row.changedAt < row.validUntil ? row.changedAt : row.validUntil;
    await this.mark(work, { state: 'SETTLED', changedAt: now });
    // The row is marked first: its trigger holds the meter until the commit, so that nothing more can be charged.
    const view = await this.view(tx, scope, row);
    const counted = isAboutEndpoint(view)
      ? await this.parts.statements.readMonths(tx, view, endedAt)
      : { months: [], logIndex: null };
    const agreed = versions.flatMap((one) => (one.agreedAt ? [{ ...one, agreedAt: one.agreedAt }] : []));
    const about = { agreementId: row.id, ended, endedAt, versions: agreed, counted };
    const { text, digest, rows } = settlementOf({ ...about, meteredRows: await repo.readMeter(tx, row.id) });
    await repo.insertSettlement(tx, { agreementId: row.id, document: text, documentDigest: digest, settledAt: now });
    work.events.push({ kind: 'agreement.settled', detail: { settlementDigest: digest.toString('hex'), rows } });
    return {};
  }

  /** What waits for signatures waits no longer. */
  async drop({ tx, versions }: Work, open = versions.find(({ state }) => state === 'PROPOSED')): Promise<void> {
    if (!open) return;
    await repo.markVersion(tx, open, { state: 'DROPPED', agreedAt: null });
    open.state = 'DROPPED';
  }

  async mark({ tx, row }: Work, change: repo.AgreementChange): Promise<void> {
    await repo.markAgreement(tx, row.id, change);
    Object.assign(row, change);
  }

  async audit(tx: Tx, scope: Scope, row: AgreementRow, events: readonly Event[]): Promise<void> {
    const counterpartyTenantId = scope.tenantId === row.providerTenantId ? row.consumerTenantId : row.providerTenantId;
    const { state, version, documentDigest } = row;
    const party = scope.actor.kind === 'SYSTEM' ? {} : { party: partyOf(row, scope) };
    const usual = { state, version, documentDigest: documentDigest.toString('hex'), ...party };
    const at = this.parts.clock.now();
    for (const { kind, detail } of events)
      await appendAudit(tx, scope, {
        kind,
        at,
        subjectId: row.id,
        detail: { ...usual, ...detail },
        counterpartyTenantId,
      });
  }

  async view(tx: Tx, scope: Scope, row: AgreementRow): Promise<Agreement> {
    return (await viewsOf(tx, scope, [row], this.parts.clock.now()))[0]!;
  }
}

export const isAboutEndpoint = (agreement: Agreement): agreement is EndpointAgreement => agreement.endpointId !== null;

const whyOf = (row: AgreementRow, after: Situation) => ({
  breachReason: after.breachBy === null ? null : row.breachReason,
});

function tryStep(take: () => Situation): Situation | AppError {
  try {
    return take();
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
}

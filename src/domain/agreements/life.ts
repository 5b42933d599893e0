import type { AuditKind } from '../audit/audit.service.js';
import type { AgreementRow, AgreementVersionRow } from './agreement.entity.js';
import type { AgreementChange } from './agreement.repo.js';
import { noticeEnd, periodEnd, renewalsBeyond } from './period.js';
import { dueAt, type Party, RENEWAL_LEAD_MS, type Situation } from './step.js';
import { type AgreedTerms, canonicalDocument } from './terms.js';
import { lifetimeOf } from './view.js';

type Parties = Pick<AgreementRow, 'id' | 'providerTenantId' | 'consumerTenantId' | 'endpointId' | 'datasetVersionId'>;

/** A version of the terms that waits for signatures, with the bytes that are to be signed. */
export function proposed(
  { id: agreementId, providerTenantId, consumerTenantId, endpointId, datasetVersionId }: Parties,
  { version, by, terms, now }: { version: number; by: Party; terms: AgreedTerms; now: Date },
): AgreementVersionRow {
  const parties = { agreementId, version, providerTenantId, consumerTenantId, terms };
  const { text, digest } = canonicalDocument(
    endpointId === null
      ? { format: 'concordat-agreement/3', ...parties, datasetVersionId: datasetVersionId! }
      : { format: 'concordat-agreement/2', ...parties, endpointId },
  );
  return {
    agreementId,
    version,
    proposedBy: by,
    state: 'PROPOSED',
    terms,
    document: text,
    documentDigest: digest,
    proposedAt: now,
    agreedAt: null,
  };
}

/** What the agreement's row has of a version. */
export function documentOf({ version, terms, document, documentDigest }: AgreementVersionRow) {
  const { from, until } = terms.period;
  return { version, terms, document, documentDigest, validFrom: new Date(from), validUntil: new Date(until) };
}

/** An offer that nobody has signed. */
export function newAgreement(parties: Parties, version: AgreementVersionRow): AgreementRow {
  return {
    ...parties,
    ...documentOf(version),
    state: 'OFFERED',
    suspendedByProvider: false,
    suspendedByConsumer: false,
    activatedAt: null,
    breachBy: null,
    breachReason: null,
    noticeBy: null,
    noticeUntil: null,
    renewalStopped: false,
    renewals: 0,
    createdAt: version.proposedAt,
    changedAt: version.proposedAt,
  };
}

/** The columns that a termination changes beside the state. */
export function changeOf(row: AgreementRow, after: Situation, now: Date): AgreementChange {
  if (after.state === 'TERMINATED') return {};
  const noticeUntil = noticeEnd(row.terms, now);
  return { noticeUntil, validUntil: noticeUntil < row.validUntil ? noticeUntil : row.validUntil };
}

export interface Due {
  /** A proposal whose own period has ended. */
  readonly lapsed: AgreementVersionRow | null;
  readonly change: AgreementChange | null;
  readonly event: AuditKind | null;
  readonly detail?: Record<string, unknown>;
}

/** What time has brought since the agreement was last looked at. */
export function bringUpToDate(row: AgreementRow, versions: readonly AgreementVersionRow[], now: Date): Due {
  const waiting = versions.find(({ state }) => state === 'PROPOSED');
  const due = dueAt(lifetimeOf(row), now);
  const over = due === 'TERMINATED' || due === 'EXPIRED';
  const lapsed = waiting && (over || now >= new Date(waiting.terms.period.until)) ? waiting : null;
  if (due === null) return { lapsed, change: null, event: null };
  if (due !== 'RENEW') {
    const event = due === 'EXPIRED' ? 'agreement.expired' : 'agreement.terminated';
    return { lapsed, change: { state: due }, event, detail: { before: row.state, endedAt: row.validUntil } };
  }
  const renewals = renewalsBeyond(row.terms, row.renewals, new Date(now.getTime() + RENEWAL_LEAD_MS));
  const validUntil = periodEnd(row.terms, renewals);
  return {
    lapsed,
    change: { renewals, validUntil },
    event: 'agreement.renewed',
    detail: { renewals, until: validUntil },
  };
}

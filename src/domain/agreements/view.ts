import type { Tx } from '../../platform/db.js';
import type { Scope } from '../../platform/scope.js';
import type {
  AgreementRow,
  AgreementSettlementRow,
  AgreementSignatureRow,
  AgreementVersionRow,
} from './agreement.entity.js';
import * as repo from './agreement.repo.js';
import type { LimitedTerms } from './licence.js';
import { isRenewing } from './period.js';
import {
  type AgreementState,
  EXPIRABLE,
  legalSteps,
  type Lifetime,
  type Party,
  type Rules,
  type Situation,
  stateAt,
  type Step,
} from './step.js';
import { summarise } from './summary.js';
import type { AgreedTerms, Terms } from './terms.js';

/** A version of the terms and who has signed it. */
export interface AgreementVersion {
  readonly version: number;
  readonly proposedBy: Party;
  readonly state: AgreementVersionRow['state'];
  readonly terms: AgreedTerms;
  readonly summary: string;
  readonly document: string;
  readonly documentDigestHex: string;
  readonly signatures: readonly AgreementSignatureRow[];
  readonly proposedAt: Date;
  readonly agreedAt: Date | null;
}

/** An agreement as one of its parties sees it. */
export interface Agreement {
  readonly id: string;
  readonly providerTenantId: string;
  readonly providerName: string;
  readonly consumerTenantId: string;
  /** Null to the provider until the consumer has signed. */
  readonly consumerName: string | null;
  /** What it is about: this, or a dataset version. */
  readonly endpointId: string | null;
  readonly datasetVersionId: string | null;
  /** Of the terms in force, before that of the offer. */
  readonly version: number;
  readonly terms: AgreedTerms;
  readonly summary: string;
  readonly document: string;
  /** SHA-256 of the document. */
  readonly documentDigestHex: string;
  /** At the moment of reading: expired as soon as the period has ended. */
  readonly state: AgreementState;
  readonly suspendedBy: readonly Party[];
  readonly breach: { readonly by: Party; readonly reason: string } | null;
  readonly notice: { readonly by: Party; readonly until: Date } | null;
  readonly validFrom: Date;
  /** The first moment out of force, as things stand. */
  readonly validUntil: Date;
  /** Prolonged at the end of its period, as things stand. */
  readonly renews: boolean;
  /** Of this version. */
  readonly signatures: readonly AgreementSignatureRow[];
  /** What waits for signatures: the offer itself, or an amendment. */
  readonly proposal: AgreementVersion | null;
  /** Oldest first. */
  readonly versions: readonly AgreementVersion[];
  readonly settlement: AgreementSettlementRow | null;
  /** The part of the tenant that reads. */
  readonly party: Party;
  /** What this party can do now. */
  readonly steps: readonly Step[];
  readonly createdAt: Date;
  readonly changedAt: Date;
}

/** One that is about an endpoint. */
export type EndpointAgreement = Agreement & { readonly endpointId: string; readonly terms: Terms };

export async function viewsOf(
  tx: Tx,
  scope: Pick<Scope, 'tenantId'>,
  rows: AgreementRow[],
  now: Date,
): Promise<Agreement[]> {
  if (rows.length === 0) return [];
  const ids = rows.map((row) => row.id);
  const signatures = await repo.listSignatures(tx, ids);
  const versions = await repo.listVersions(tx, ids);
  const settlements = new Map((await repo.listSettlements(tx, ids)).map((one) => [one.agreementId, one]));
  const names = new Map((await repo.listPartyNames(tx, ids)).map((name) => [name.agreementId, name]));
  return rows.map((row) => {
    const mine = <R extends { agreementId: string }>(list: readonly R[]) =>
      list.filter((one) => one.agreementId === row.id);
    const all = mine(versions).map((version) => versionOf(version, mine(signatures)));
    const situation = situationAt(row, { versions: mine(versions), signatures: mine(signatures), now });
    const party = partyOf(row, scope);
    const { providerName, consumerName } = names.get(row.id)!;
    const { breachBy, breachReason, noticeBy, noticeUntil } = row;
    return {
      ...row,
      providerName,
      consumerName,
      summary: summarise(row.terms),
      documentDigestHex: row.documentDigest.toString('hex'),
      state: situation.state,
      suspendedBy: situation.suspendedBy,
      breach: breachBy && { by: breachBy, reason: breachReason! },
      notice: noticeBy && { by: noticeBy, until: noticeUntil! },
      renews: situation.rules?.renews ?? row.terms.renewal !== null,
      signatures: all.find(({ version }) => version === row.version)?.signatures ?? [],
      proposal: all.find(({ version }) => version === openVersion(mine(versions), now)?.version) ?? null,
      versions: all,
      settlement: settlements.get(row.id) ?? null,
      party,
      steps: legalSteps(situation, party),
    };
  });
}

function versionOf(row: AgreementVersionRow, signatures: readonly AgreementSignatureRow[]): AgreementVersion {
  return {
    ...row,
    summary: summarise(row.terms),
    documentDigestHex: row.documentDigest.toString('hex'),
    signatures: signatures.filter(({ version }) => version === row.version),
  };
}

export function partyOf(row: AgreementRow, scope: Pick<Scope, 'tenantId'>): Party {
  return row.providerTenantId === scope.tenantId ? 'PROVIDER' : 'CONSUMER';
}

/** What an agreement that still stands allows, until it ends as things stand now; and what waits for signatures. */
export function standingTerms(row: AgreementRow, versions: readonly AgreementVersionRow[], now: Date): LimitedTerms[] {
  if (!EXPIRABLE.includes(stateAt(lifetimeOf(row), now))) return [];
  const period = { until: row.validUntil.toISOString() };
  const open = openVersion(
    versions.filter(({ agreementId }) => agreementId === row.id),
    now,
  );
  return [{ ...row.terms, period }, ...(open && row.activatedAt ? [open.terms] : [])];
}

/** The version that waits for signatures, unless its period has ended meanwhile. */
export function openVersion(versions: readonly AgreementVersionRow[], now: Date): AgreementVersionRow | null {
  return versions.find(({ state, terms }) => state === 'PROPOSED' && now < new Date(terms.period.until)) ?? null;
}

export function rulesOf(terms: Pick<AgreedTerms, 'noticeDays' | 'renewal'>): Rules {
  return { needsNotice: terms.noticeDays > 0, renews: terms.renewal !== null };
}

export function lifetimeOf(row: AgreementRow): Lifetime & { state: AgreementRow['state'] } {
  return { state: row.state, validUntil: row.validUntil, noticeUntil: row.noticeUntil, renews: isRenewing(row) };
}

export interface Known {
  readonly versions: readonly AgreementVersionRow[];
  readonly signatures: readonly AgreementSignatureRow[];
  readonly now: Date;
}

/** What the rows mean at `now`. */
export function situationAt(row: AgreementRow, { versions, signatures, now }: Known): Situation {
  const suspendedBy: Party[] = [];
  if (row.suspendedByProvider) suspendedBy.push('PROVIDER');
  if (row.suspendedByConsumer) suspendedBy.push('CONSUMER');
  const state = stateAt(lifetimeOf(row), now);
  const open = openVersion(versions, now);
  const standing = state === 'OFFERED' || state === 'ACTIVE' || state === 'SUSPENDED';
  return {
    state: state === 'ACTIVE' && row.noticeBy !== null ? 'TERMINATING' : state,
    open:
      open && standing
        ? {
            by: open.proposedBy,
            signedBy: signatures.filter(({ version }) => version === open.version).map(({ party }) => party),
            rules: rulesOf(open.terms),
          }
        : null,
    rules: row.activatedAt ? { ...rulesOf(row.terms), renews: isRenewing(row) } : null,
    suspendedBy,
    breachBy: row.breachBy,
    noticeBy: row.noticeBy,
  };
}

/** As the row keeps it; whatever depends on the moment is added by the step. */
export function columnsOf({ state, suspendedBy, breachBy, noticeBy }: Situation) {
  return {
    state: state === 'TERMINATING' ? ('ACTIVE' as const) : state,
    suspendedByProvider: suspendedBy.includes('PROVIDER'),
    suspendedByConsumer: suspendedBy.includes('CONSUMER'),
    breachBy,
    noticeBy,
  };
}

import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import {
  type Agreement,
  type AgreementVersion,
  type Amount,
  amountOf,
  creditOf,
  sumOf,
  type Terms,
} from '../agreements/agreement.service.js';
import type { Outcome } from '../audit/audit.service.js';
import type { Latency, Stated } from './statement.repo.js';
import { daysOf, figuresOf, type UsageDay, type UsageFigures } from './usage.service.js';

/** Refusals that are the provider's or the platform's doing. All others are what was agreed, or what the caller sent. */
const UNDELIVERED: readonly string[] = ['ENDPOINT_NOT_READY', 'INTERNAL'] satisfies Outcome[];

/** The same of jobs. */
const UNDELIVERED_JOBS: readonly string[] = [...UNDELIVERED, 'OUT_OF_MEMORY', 'UNAVAILABLE'];

/** What was made under one version of the terms. */
export interface StatementVersion extends UsageFigures {
  readonly version: number;
  readonly documentDigestHex: string;
  readonly latency: Latency | null;
  /** Requests answered, of those that the provider and the platform had to answer; rounded down. Null: there were none. */
  readonly availabilityBasisPoints: number | null;
  /** Batches that ended in the month. */
  readonly jobs: number;
  /** Of those, how many were not done when the promised time was over, or failed at the provider or the platform. Null: none was promised. */
  readonly jobsLate: number | null;
  /** What was promised. */
  readonly delivery: Terms['delivery'];
  /** Null: nothing was promised, or there was nothing to judge by. */
  readonly isLatencyKept: boolean | null;
  readonly isAvailabilityKept: boolean | null;
  readonly isDeadlineKept: boolean | null;
  readonly price: Terms['price'];
  /** Null: there is no price. */
  readonly minorUnits: number | null;
  readonly creditMinorUnits: number | null;
}

export interface StatementFigures extends UsageFigures {
  readonly format: 'concordat-statement/1';
  readonly agreementId: string;
  readonly providerTenantId: string;
  readonly consumerTenantId: string;
  readonly endpointId: string;
  /** UTC, YYYY-MM. */
  readonly month: string;
  /** The part of the month in which the agreement stood. */
  readonly from: Date;
  readonly until: Date;
  readonly days: readonly UsageDay[];
  readonly latency: Latency | null;
  /** That were in force in the month; oldest first. */
  readonly versions: readonly StatementVersion[];
  readonly amounts: readonly Amount[];
  readonly logIndex: Stated['logIndex'];
}

/** What an agreement came to in a month that it stood in. */
export interface Stating {
  readonly month: Month;
  readonly stated: Stated;
  /** When the agreement ended; null: its period says when it will. */
  readonly endedAt: Date | null;
}

/** Null: the agreement did not stand in the month. Pure. */
export function statementOf(
  agreement: Agreement,
  { month: { month, start, end }, stated, endedAt }: Stating,
): StatementFigures | null {
  const life = lifeOf(agreement, endedAt);
  if (!life || life.from >= end || life.until <= start) return null;
  const from = life.from > start ? life.from : start;
  const until = life.until < end ? life.until : end;
  const agreed = agreement.versions.filter(({ agreedAt }) => agreedAt !== null);
  const versions = agreed
    .filter(({ version, agreedAt }, i) => {
      const isInForce = agreedAt! < until && (agreed[i + 1]?.agreedAt ?? until) > from;
      return isInForce || [...stated.rows, ...stated.jobs].some((one) => one.version === version);
    })
    .map((version) => versionOf(version, stated));
  const { id: agreementId, providerTenantId, consumerTenantId, endpointId } = agreement;
  return {
    format: 'concordat-statement/1',
    ...{ agreementId, providerTenantId, consumerTenantId, endpointId },
    ...{ month, from, until },
    ...figuresOf(stated.rows),
    days: daysOf(stated.rows),
    latency: stated.latency,
    versions,
    amounts: amountsOf(versions),
    logIndex: stated.logIndex,
  };
}

/** From the first moment in force to the end; null if it never was in force. */
export function lifeOf(
  { versions, validUntil }: Agreement,
  endedAt: Date | null,
): { readonly from: Date; readonly until: Date } | null {
  const starts = versions.flatMap(({ agreedAt, terms }) =>
    agreedAt ? [Math.max(agreedAt.getTime(), Date.parse(terms.period.from))] : [],
  );
  const from = new Date(Math.min(...starts));
  const until = endedAt ?? validUntil;
  return starts.length === 0 || from >= until ? null : { from, until };
}

/** In UTC; `end` is exclusive. */
export interface Month {
  /** YYYY-MM. */
  readonly month: string;
  readonly start: Date;
  readonly end: Date;
}

export function monthOf(moment: Date): Month {
  const month = moment.toISOString().slice(0, 7);
  const start = new Date(`${month}-01T00:00:00Z`);
  const end = new Date(start);
  end.setUTCMonth(end.getUTCMonth() + 1);
  return { month, start, end };
}

function versionOf({ version, documentDigestHex, terms }: AgreementVersion, stated: Stated): StatementVersion {
  const { delivery, price } = terms;
  const figures = figuresOf(stated.rows.filter((row) => row.version === version));
  const latency = stated.latencyByVersion.get(version) ?? null;
  const failed = figures.refusals.filter(({ code }) => UNDELIVERED.includes(code));
  const asked = failed.reduce((sum, { requests }) => sum + requests, figures.requests);
  const availabilityBasisPoints = asked === 0 ? null : Number((10_000n * BigInt(figures.requests)) / BigInt(asked));
  const most = delivery?.p95LatencyMs ?? null;
  const least = delivery?.availabilityBasisPoints ?? null;
  const isLatencyKept = most === null || latency === null ? null : latency.p95Us <= most * 1000;
  // A whole number is reached by the share if it is by the share rounded down.
  const isAvailabilityKept =
    least === null || availabilityBasisPoints === null ? null : availabilityBasisPoints >= least;
  const ended = stated.jobs.filter((job) => job.version === version);
  const minutes = delivery?.jobDeadlineMinutes ?? null;
  const jobsLate = minutes === null ? null : ended.filter((job) => isLate(job, minutes)).length;
  const isDeadlineKept = jobsLate === null || ended.length === 0 ? null : jobsLate === 0;
  const minorUnits = price && amountOf(figures.rows, price.minorUnitsPerThousandRows);
  const isMissed = [isLatencyKept, isAvailabilityKept, isDeadlineKept].includes(false);
  return {
    ...{ version, documentDigestHex },
    ...figures,
    ...{ latency, availabilityBasisPoints, jobs: ended.length, jobsLate, delivery },
    ...{ isLatencyKept, isAvailabilityKept, isDeadlineKept, price, minorUnits },
    creditMinorUnits: minorUnits === null ? null : isMissed ? creditOf(minorUnits, delivery!.creditBasisPoints) : 0,
  };
}

/** Whoever cancels, or breaks what was agreed, before the deadline has missed nothing. */
function isLate({ askedAt, endedAt, outcome }: Stated['jobs'][number], minutes: number): boolean {
  return endedAt.getTime() - askedAt.getTime() > minutes * 60_000 || UNDELIVERED_JOBS.includes(outcome);
}

/** By currency, which an amendment may change. */
function amountsOf(versions: readonly StatementVersion[]): Amount[] {
  return sumOf(
    versions.flatMap(({ price, minorUnits, creditMinorUnits }) =>
      price ? [{ currency: price.currency, minorUnits: minorUnits!, creditMinorUnits: creditMinorUnits! }] : [],
    ),
  );
}

/** Canonical JSON (RFC 8785), and its SHA-256, by which the parties compare. */
export function documentOf(figures: StatementFigures): { readonly json: string; readonly digestHex: string } {
  const json = canonicalize(figures)!;
  return { json, digestHex: createHash('sha256').update(json, 'utf8').digest('hex') };
}

const CSV_COLUMNS = [
  ...['line', 'day', 'version', 'code', 'requests', 'rows'],
  ...['p50Us', 'p95Us', 'p99Us', 'currency', 'minorUnits'],
] as const;
type CsvLine = Partial<Record<(typeof CSV_COLUMNS)[number], string | number>>;

/**
 * RFC 4180. Lines `USAGE` by day, version and outcome; `JOBS`, `AMOUNT` and `CREDIT` by version; `DUE` by currency. What is in it is numbers,
 * days and codes: nothing to be quoted, and nothing that a spreadsheet takes for a formula.
 */
export function csvOf({ versions, amounts }: StatementFigures, stated: Stated): string {
  const lines: CsvLine[] = [
    ...stated.rows.map(({ refusalCode, ...row }) => ({ line: 'USAGE', code: refusalCode ?? 'ANSWERED', ...row })),
    ...versions.flatMap(({ version, jobs, jobsLate }): CsvLine[] => {
      const late = jobsLate === null ? [] : [{ line: 'JOBS', version, code: 'LATE', requests: jobsLate }];
      return jobs === 0 ? [] : [{ line: 'JOBS', version, code: 'ENDED', requests: jobs }, ...late];
    }),
    ...versions.flatMap(({ version, requests, rows, latency, price, minorUnits, creditMinorUnits }): CsvLine[] => {
      const money = (amount: number | null) => price && { currency: price.currency, minorUnits: amount! };
      const amount = { line: 'AMOUNT', version, requests, rows, ...latency, ...money(minorUnits) };
      return price ? [amount, { line: 'CREDIT', version, ...money(creditMinorUnits) }] : [amount];
    }),
    ...amounts.map(({ currency, dueMinorUnits }) => ({ line: 'DUE', currency, minorUnits: dueMinorUnits })),
  ];
  const cells = lines.map((line) => CSV_COLUMNS.map((column) => line[column] ?? '').join(','));
  return [CSV_COLUMNS.join(','), ...cells, ''].join('\r\n');
}

import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { Terms } from './terms.js';

/** What rows cost, in minor units of the currency. */
export interface Amount {
  readonly currency: string;
  readonly minorUnits: number;
  readonly creditMinorUnits: number;
  /** What is left after the credit. */
  readonly dueMinorUnits: number;
}

/** A month as its statement has it. */
export interface SettledMonth {
  /** UTC, YYYY-MM. */
  readonly month: string;
  /** SHA-256 of the statement. */
  readonly digestHex: string;
  readonly rows: number;
  readonly versions: readonly {
    readonly version: number;
    readonly rows: number;
    /** Null: there is no price. */
    readonly minorUnits: number | null;
    readonly creditMinorUnits: number | null;
  }[];
  readonly amounts: readonly Amount[];
}

/** The statements of all months in which an agreement stood, oldest first. */
export interface SettledMonths {
  readonly months: readonly SettledMonth[];
  /** Of the agreement's entries: the first and the last that were counted. What is recorded later is counted nowhere. */
  readonly logIndex: { readonly first: number; readonly last: number } | null;
}

/** A version that was in force. */
export interface SettledVersion {
  readonly version: number;
  readonly documentDigest: Buffer;
  readonly agreedAt: Date;
  readonly terms: Pick<Terms, 'price'>;
}

/** By currency, in the order of their names. */
export function sumOf(amounts: readonly Omit<Amount, 'dueMinorUnits'>[]): Amount[] {
  const currencies = [...new Set(amounts.map(({ currency }) => currency))].sort();
  return currencies.map((currency) => {
    const mine = amounts.filter((one) => one.currency === currency);
    const minorUnits = mine.reduce((sum, one) => sum + one.minorUnits, 0);
    const creditMinorUnits = mine.reduce((sum, one) => sum + one.creditMinorUnits, 0);
    return { currency, minorUnits, creditMinorUnits, dueMinorUnits: minorUnits - creditMinorUnits };
  });
}

/** `rows` that cost `minorUnits` a thousand, in whole minor units. */
export function amountOf(rows: number, minorUnits: number): number {
  return roundHalfUp(rows, minorUnits, 1000n);
}

/** What of an amount is credited: so many hundredths of a per cent, in whole minor units. */
export function creditOf(amount: number, basisPoints: number): number {
  return roundHalfUp(amount, basisPoints, 10_000n);
}

/** a b / divisor of numbers from 0 on, rounded to the nearest whole number, of ties the larger. Exact. */
function roundHalfUp(a: number, b: number, divisor: bigint): number {
  return Number((2n * BigInt(a) * BigInt(b) + divisor) / (2n * divisor));
}

/**
 * What an agreement comes to at its end, as canonical JSON (RFC 8785) and its SHA-256: the sum of its monthly statements, to the minor
 * unit, each named by its digest. `meteredRows` is what the counter says that the ledger admits by: the same as `rows`, which are
 * counted from the entries.
 */
export function settlementOf(end: {
  readonly agreementId: string;
  readonly ended: 'TERMINATED' | 'EXPIRED';
  readonly endedAt: Date;
  /** Oldest first. */
  readonly versions: readonly SettledVersion[];
  readonly meteredRows: number;
  readonly counted: SettledMonths;
}): { readonly text: string; readonly digest: Buffer; readonly rows: number } {
  const { agreementId, ended, endedAt, versions, meteredRows, counted } = end;
  const { months, logIndex } = counted;
  const lines = versions.map(({ version, documentDigest, agreedAt, terms: { price } }) => {
    const parts = months.flatMap((month) => month.versions.filter((one) => one.version === version));
    const sum = (of: (part: (typeof parts)[number]) => number | null) =>
      parts.reduce((all, part) => all + (of(part) ?? 0), 0);
    const money = price && {
      minorUnits: sum((one) => one.minorUnits),
      creditMinorUnits: sum((one) => one.creditMinorUnits),
    };
    const rows = sum((one) => one.rows);
    return { version, documentDigest: documentDigest.toString('hex'), from: agreedAt, rows, price, ...money };
  });
  const rows = months.reduce((sum, month) => sum + month.rows, 0);
  const amounts = sumOf(months.flatMap((month) => month.amounts));
  const format = 'concordat-settlement/2';
  const about = { format, agreementId, ended, endedAt, logIndex };
  const text = canonicalize({ ...about, rows, meteredRows, months, versions: lines, amounts })!;
  return { text, digest: createHash('sha256').update(text, 'utf8').digest(), rows };
}

/** What of a settlement its statements must know. `last`: no entry after it counts; null, in settlements of an older form: all count. */
export function endOf(document: string): { readonly endedAt: Date; readonly last: number | null } {
  const read = JSON.parse(document) as { format: string; endedAt: string; logIndex?: SettledMonths['logIndex'] };
  const last = read.logIndex === undefined ? null : (read.logIndex?.last ?? -1);
  return { endedAt: new Date(read.endedAt), last };
}

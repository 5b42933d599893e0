import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { Terms } from './terms.js';

/** A version that was in force, and the meter at its beginning. */
export interface SettledVersion {
  readonly version: number;
  readonly documentDigest: Buffer;
  readonly agreedAt: Date;
  readonly rowsBefore: number;
  readonly terms: Pick<Terms, 'price'>;
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
 * What an agreement comes to at its end, as canonical JSON (RFC 8785) and its SHA-256: rows answered under each version, by the
 * counter that the ledger admits by, and what they cost. Credits for late delivery are a matter of the monthly statements.
 */
export function settlementOf(end: {
  readonly agreementId: string;
  readonly ended: 'TERMINATED' | 'EXPIRED';
  readonly endedAt: Date;
  /** Oldest first. */
  readonly versions: readonly SettledVersion[];
  readonly rows: number;
}): { readonly text: string; readonly digest: Buffer } {
  const { agreementId, ended, endedAt, versions, rows } = end;
  const lines = versions.map(({ version, documentDigest, agreedAt, rowsBefore, terms: { price } }, i) => {
    const counted = (versions[i + 1]?.rowsBefore ?? rows) - rowsBefore;
    const amount = price && { ...price, minorUnits: amountOf(counted, price.minorUnitsPerThousandRows) };
    return { version, documentDigest: documentDigest.toString('hex'), from: agreedAt, rows: counted, amount };
  });
  const amounts: Record<string, number> = {};
  for (const { amount } of lines)
    if (amount) amounts[amount.currency] = (amounts[amount.currency] ?? 0) + amount.minorUnits;
  const format = 'concordat-settlement/1';
  const text = canonicalize({ format, agreementId, ended, endedAt, rows, versions: lines, minorUnits: amounts })!;
  return { text, digest: createHash('sha256').update(text, 'utf8').digest() };
}

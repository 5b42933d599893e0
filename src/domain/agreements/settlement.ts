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

/** `rows` that cost `minorUnits` a thousand, rounded to the nearest whole minor unit, of ties the larger. Exact. */
export function amountOf(rows: number, minorUnits: number): number {
  return Number((2n * BigInt(rows) * BigInt(minorUnits) + 1000n) / 2000n);
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

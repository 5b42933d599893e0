import type { ErrorCode } from '../../platform/errors.js';

/**
 * What became of a request for a prediction, as the log counts it. Numbers are written into entries: they are never given another
 * meaning. Those up to 10 are also decided by `ledger_flush` in the database.
 */
export const OUTCOMES = {
  ANSWERED: 0,
  UNAUTHENTICATED: 1,
  AGREEMENT_NOT_IN_FORCE: 2,
  QUOTA_TOTAL_EXCEEDED: 3,
  QUOTA_DAY_EXCEEDED: 4,
  QUOTA_MONTH_EXCEEDED: 5,
  QUOTA_SECOND_EXCEEDED: 6,
  PRIVACY_BUDGET_SPENT: 7,
  PROOF_REPLAYED: 8,
  IDEMPOTENCY_CONFLICT: 9,
  INTERNAL: 10,
  NO_AGREEMENT: 20,
  PURPOSE_NOT_ALLOWED: 21,
  DISCLOSURE_IMPOSSIBLE: 22,
  ENDPOINT_NOT_READY: 23,
  INPUT_INVALID: 24,
  TOO_MANY_ROWS: 25,
  APPLICATION_NOT_ALLOWED: 26,
  REGION_NOT_ALLOWED: 27,
  CONCURRENCY_EXCEEDED: 28,
  EXPLANATION_NOT_ALLOWED: 40,
  EXPLANATION_UNAVAILABLE: 41,
  PROOF_REQUIRED: 50,
  DEVICE_NOT_ADMITTED: 51,
} as const satisfies Partial<Record<ErrorCode | 'ANSWERED', number>>;

export type Outcome = keyof typeof OUTCOMES;

const NAMES = new Map<number, Outcome>(
  Object.entries(OUTCOMES).map(([name, number]) => [number, name as Outcome] as const),
);

/** The number of a refusal; one that has none is INTERNAL's. */
export function outcomeNumber(code: ErrorCode): number {
  return Object.hasOwn(OUTCOMES, code) ? OUTCOMES[code as Outcome] : OUTCOMES.INTERNAL;
}

/** Throws for a number that was never given out. */
export function outcomeName(number: number): Outcome {
  const name = NAMES.get(number);
  if (name === undefined) throw new RangeError(`There is no outcome ${number}.`);
  return name;
}

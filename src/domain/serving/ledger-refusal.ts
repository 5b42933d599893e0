import { AppError, type ErrorCode, type ErrorDetails } from '../../platform/errors.js';
import type { Posted } from '../metering/ledger.service.js';
import { notInForceMessage } from './decide.js';

/** What the ledger says of a refusal. */
type Verdict = Pick<Posted, 'refusal' | 'detail' | 'at'>;

const REFUSED: Partial<Record<ErrorCode, (posted: Verdict, rowCount: number) => [string, ErrorDetails?]>> = {
  QUOTA_SECOND_EXCEEDED: ({ detail, at }, rowCount) => [
    `The agreement has ${detail} rows left in this second; the request has ${rowCount}.`,
    { retryAfterMs: 1000 - (at.getTime() % 1000) },
  ],
  QUOTA_MONTH_EXCEEDED: ({ detail, at }, rowCount) => [
    `The agreement has ${detail} rows left this month (UTC); the request has ${rowCount}.`,
    { retryAfterMs: Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + 1) - at.getTime() },
  ],
  PRIVACY_BUDGET_SPENT: ({ detail }, rowCount) => [
    `The privacy budget of the agreement is enough for ${detail} more rows; the request has ${rowCount}.`,
  ],
  PROOF_REPLAYED: () => ['This proof of possession was used before.'],
  IDEMPOTENCY_CONFLICT: () => ['This idempotency key was used for another request.', { field: 'input.idempotencyKey' }],
  QUOTA_DAY_EXCEEDED: ({ detail, at }, rowCount) => [
    `The agreement has ${detail} rows left today (UTC); the request has ${rowCount}.`,
    { retryAfterMs: 86_400_000 - (at.getTime() % 86_400_000) },
  ],
  QUOTA_TOTAL_EXCEEDED: ({ detail }, rowCount) => [
    `The agreement has ${detail} rows left in total; the request has ${rowCount}.`,
  ],
  AGREEMENT_NOT_IN_FORCE: ({ detail }) => [notInForceMessage(detail ?? 'MISSING')],
  UNAUTHENTICATED: () => ['The API key or the device has been revoked or has expired.'],
};

/** The ledger's word against what was remembered of the agreement. */
export class OutOfForce extends AppError {}

/** What the caller is told of what the ledger refuses. */
export function ledgerRefusal(posted: Verdict, rowCount: number): AppError {
  const code = posted.refusal as ErrorCode;
  const [message, details] = REFUSED[code]?.(posted, rowCount) ?? ['The ledger refuses the request.'];
  return new (code === 'AGREEMENT_NOT_IN_FORCE' ? OutOfForce : AppError)(code, message, details);
}

/**
 * The one table of what can be answered instead of a result.
 *
 * `refusal`: an expected refusal, part of the result type of a mutation (`INPUT`: what was sent; `STATE`: what is the case;
 * `LIMIT`: how much or how often; `AGREEMENT`: what was agreed). Null: a GraphQL error with this code in its extensions.
 * `status`: for plain HTTP routes. `remedy`: what to do next, unless the one who throws knows better.
 */
export const ERRORS = {
  // who
  UNAUTHENTICATED: { refusal: null, status: 401, remedy: 'Sign in, or send an API key as a bearer token.' },
  FORBIDDEN: {
    refusal: null,
    status: 403,
    remedy: 'Ask an administrator of the tenant for a role with this permission.',
  },
  NOT_FOUND: { refusal: null, status: 404, remedy: 'Check the id; it may belong to another tenant or be deleted.' },
  BAD_CREDENTIALS: { refusal: 'INPUT', status: 401, remedy: 'Check the email address and the password.' },
  TOO_MANY_ATTEMPTS: { refusal: 'LIMIT', status: 429, remedy: 'Wait, then try again.' },
  // what was sent
  INVALID_INPUT: { refusal: 'INPUT', status: 400, remedy: 'Correct the named field and send it again.' },
  INVALID_CURSOR: { refusal: null, status: 400, remedy: 'Start from the first page.' },
  // what is the case
  CONFLICT: { refusal: 'STATE', status: 409, remedy: 'Read the current state and decide again.' },
  // jobs
  OUT_OF_MEMORY: {
    refusal: null,
    status: 500,
    remedy: 'Use fewer rows or columns, or ask the operator for a larger CONCORDAT_CHILD_MEMORY_MB.',
  },
  // the platform
  LIMIT_REACHED: { refusal: 'LIMIT', status: 429, remedy: 'Wait, or ask the operator for a larger plan.' },
  UNAVAILABLE: { refusal: null, status: 503, remedy: 'Try again in a moment.' },
  INTERNAL: { refusal: null, status: 500, remedy: 'Try again; if it lasts, give the request id to the operator.' },
} as const satisfies Record<string, ErrorRow>;

interface ErrorRow {
  readonly refusal: RefusalKind | null;
  readonly status: number;
  readonly remedy: string;
}

export type RefusalKind = 'INPUT' | 'STATE' | 'LIMIT' | 'AGREEMENT';
export type ErrorCode = keyof typeof ERRORS;

export interface ErrorDetails {
  /** The path of the input at fault, such as `input.parameters.maxDepth`. */
  readonly field?: string;
  readonly remedy?: string;
  readonly retryAfterMs?: number;
  /** For the log only; never leaves the process. */
  readonly cause?: unknown;
}

/**
 * The one error that services throw. `message` is a sentence for a person; it holds no row, key, stack or other tenant's
 * name, because it is sent to the caller as it is.
 */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly field: string | null;
  readonly remedy: string;
  readonly retryAfterMs: number | null;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.name = 'AppError';
    this.code = code;
    this.field = details.field ?? null;
    this.remedy = details.remedy ?? ERRORS[code].remedy;
    this.retryAfterMs = details.retryAfterMs ?? null;
  }

  get refusal(): RefusalKind | null {
    return ERRORS[this.code].refusal;
  }

  get status(): number {
    return ERRORS[this.code].status;
  }
}

/** The same answer for a row that is missing, deleted, malformed in its id, or another tenant's. */
export function notFound(what: string): AppError {
  return new AppError('NOT_FOUND', `No such ${what}.`);
}

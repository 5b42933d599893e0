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
  TENANT_REQUIRED: {
    refusal: null,
    status: 403,
    remedy: 'Send the header x-concordat-tenant with one of your tenants, or call switchTenant.',
  },
  NOT_FOUND: { refusal: null, status: 404, remedy: 'Check the id; it may belong to another tenant or be deleted.' },
  BAD_CREDENTIALS: { refusal: 'INPUT', status: 401, remedy: 'Check the email address and the password.' },
  TOO_MANY_ATTEMPTS: { refusal: 'LIMIT', status: 429, remedy: 'Wait, then try again.' },
  // what was sent
  INVALID_INPUT: { refusal: 'INPUT', status: 400, remedy: 'Correct the named field and send it again.' },
  MALFORMED_REQUEST: { refusal: null, status: 400, remedy: 'Send one JSON object: query, variables, operationName.' },
  BODY_TOO_LARGE: { refusal: null, status: 413, remedy: 'Send less at a time.' },
  UNSUPPORTED_MEDIA_TYPE: { refusal: null, status: 415, remedy: 'Send application/json in UTF-8.' },
  METHOD_NOT_ALLOWED: { refusal: null, status: 405, remedy: 'Use one of the methods in the header allow.' },
  TOO_COMPLEX: { refusal: null, status: 400, remedy: 'Ask for less at a time.' },
  TIMED_OUT: { refusal: null, status: 503, remedy: 'Ask for less at a time, or try again later.' },
  INVALID_CURSOR: { refusal: null, status: 400, remedy: 'Start from the first page.' },
  // devices
  PROOF_INVALID: {
    refusal: null,
    status: 401,
    remedy: 'Make a new proof for each request, as docs/devices.md says.',
  },
  PROOF_NONCE: {
    refusal: null,
    status: 401,
    remedy: 'Make the proof again, with the value of the header dpop-nonce as its claim nonce.',
  },
  DEVICE_UNKNOWN: { refusal: null, status: 401, remedy: 'Register the device’s public key for the application.' },
  // data
  EMPTY_FILE: {
    refusal: 'INPUT',
    status: 422,
    remedy: 'Send a file with a line of column names and at least one row.',
  },
  UNKNOWN_FORMAT: {
    refusal: 'INPUT',
    status: 422,
    remedy: 'Send CSV, JSON lines or Parquet, not compressed or packed.',
  },
  NOT_UTF8: {
    refusal: 'INPUT',
    status: 422,
    remedy: 'Save the file as UTF-8, for example with: iconv -f WINDOWS-1252 -t UTF-8.',
  },
  NO_HEADER: { refusal: 'INPUT', status: 422, remedy: 'Put a line with the names of the columns first.' },
  BAD_COLUMN_NAMES: { refusal: 'INPUT', status: 422, remedy: 'Give every column a short name of its own.' },
  TOO_MANY_COLUMNS: { refusal: 'INPUT', status: 422, remedy: 'Leave out columns, or turn wide data into rows.' },
  RAGGED_ROWS: {
    refusal: 'INPUT',
    status: 422,
    remedy: 'Give every line as many fields as there are column names, and quote fields that hold the delimiter.',
  },
  NESTED_DATA: { refusal: 'INPUT', status: 422, remedy: 'Flatten lists and objects into columns of plain values.' },
  DATA_TOO_LARGE: {
    refusal: 'INPUT',
    status: 413,
    remedy: 'Send fewer rows or columns, or ask the operator for more.',
  },
  DATA_UNREADABLE: { refusal: 'INPUT', status: 422, remedy: 'Check that the file opens elsewhere, and send it again.' },
  SIZE_MISMATCH: { refusal: 'INPUT', status: 400, remedy: 'Send the file again, whole, to the same address.' },
  DIGEST_MISMATCH: { refusal: 'INPUT', status: 400, remedy: 'Send the file again to the same address.' },
  UPLOAD_EXPIRED: { refusal: 'STATE', status: 410, remedy: 'Create a new upload.' },
  UPLOAD_INTERRUPTED: { refusal: 'INPUT', status: 400, remedy: 'Send the file again to the same address.' },
  NOT_READY: { refusal: 'STATE', status: 409, remedy: 'Wait until its job has succeeded.' },
  // what is the case
  CONFLICT: { refusal: 'STATE', status: 409, remedy: 'Read the current state and decide again.' },
  // agreements and predictions
  ILLEGAL_STEP: { refusal: 'STATE', status: 409, remedy: 'Read the agreement; `steps` lists what can be done now.' },
  LICENCE_BROKEN: {
    refusal: 'AGREEMENT',
    status: 409,
    remedy: 'Offer terms within the limits of the data, or serve a model that was trained on other data.',
  },
  NO_AGREEMENT: {
    refusal: 'AGREEMENT',
    status: 403,
    remedy: 'Name an agreement for this endpoint, or ask its provider for an offer.',
  },
  AGREEMENT_NOT_IN_FORCE: {
    refusal: 'AGREEMENT',
    status: 403,
    remedy: 'Read the agreement: it may need signing, resuming or a new offer.',
  },
  PURPOSE_NOT_ALLOWED: {
    refusal: 'AGREEMENT',
    status: 403,
    remedy: 'Declare one of the purposes of the agreement, or ask the provider for another agreement.',
  },
  APPLICATION_NOT_ALLOWED: {
    refusal: 'AGREEMENT',
    status: 403,
    remedy: 'Ask through an application that the agreement names.',
  },
  REGION_NOT_ALLOWED: {
    refusal: 'AGREEMENT',
    status: 403,
    remedy: 'Ask a replica in a region that the agreement names.',
  },
  PROOF_REQUIRED: {
    refusal: 'AGREEMENT',
    status: 401,
    remedy: 'Send the header DPoP with a proof by a registered device that the agreement admits.',
  },
  DEVICE_NOT_ADMITTED: {
    refusal: 'AGREEMENT',
    status: 403,
    remedy: 'Call admitDevice for this agreement, or use a device that it admits.',
  },
  CONCURRENCY_EXCEEDED: {
    refusal: 'LIMIT',
    status: 429,
    remedy: 'Wait until one of the requests under way is answered, then try again.',
  },
  DISCLOSURE_IMPOSSIBLE: {
    refusal: 'AGREEMENT',
    status: 403,
    remedy: 'Ask the provider for an agreement whose disclosure fits the model.',
  },
  EXPLANATION_NOT_ALLOWED: {
    refusal: 'AGREEMENT',
    status: 403,
    remedy: 'Ask without `explain`, or ask the provider for an agreement with explanations.',
  },
  EXPLANATION_UNAVAILABLE: {
    refusal: 'STATE',
    status: 409,
    remedy:
      'Ask without `explain`, or route the endpoint to a version that can be explained: docs/agreements.md says which.',
  },
  QUOTA_DAY_EXCEEDED: { refusal: 'LIMIT', status: 429, remedy: 'Wait for the next day (UTC), or send fewer rows.' },
  QUOTA_SECOND_EXCEEDED: { refusal: 'LIMIT', status: 429, remedy: 'Wait a second, or send fewer rows at a time.' },
  QUOTA_MONTH_EXCEEDED: { refusal: 'LIMIT', status: 429, remedy: 'Wait for the next month (UTC), or send fewer rows.' },
  QUOTA_TOTAL_EXCEEDED: { refusal: 'LIMIT', status: 429, remedy: 'Ask the provider for a new agreement.' },
  PRIVACY_BUDGET_SPENT: {
    refusal: 'LIMIT',
    status: 429,
    remedy: 'Send fewer rows, or ask the provider for an agreement with another budget.',
  },
  PROOF_REPLAYED: { refusal: null, status: 401, remedy: 'Make a new proof of possession for each request.' },
  IDEMPOTENCY_CONFLICT: {
    refusal: 'STATE',
    status: 409,
    remedy: 'Use a new key for every request that is not the repetition of another.',
  },
  REPETITION_IMPOSSIBLE: {
    refusal: 'STATE',
    status: 409,
    remedy: 'Ask anew, with another idempotency key; that is charged.',
  },
  TOO_MANY_ROWS: { refusal: 'LIMIT', status: 413, remedy: 'Split the rows into several requests.' },
  INPUT_INVALID: {
    refusal: 'INPUT',
    status: 400,
    remedy: 'Send every column of the endpoint’s signature, all of equal length.',
  },
  ENDPOINT_NOT_READY: { refusal: 'STATE', status: 503, remedy: 'Try again in a moment, or tell the provider.' },
  // training: found by looking at the data
  PARITY_FAILED: {
    refusal: null,
    status: 500,
    remedy: 'Tell the operator: the exported model does not answer like the trained one, and was not registered.',
  },
  TARGET_MISSING_ALL: { refusal: 'INPUT', status: 422, remedy: 'Choose another target, or complete the data.' },
  TARGET_CONSTANT: { refusal: 'INPUT', status: 422, remedy: 'Choose a target with at least two different values.' },
  TARGET_NON_FINITE: {
    refusal: 'INPUT',
    status: 422,
    remedy: 'Replace infinite values of the target, or leave them empty.',
  },
  TARGET_WRONG_KIND: { refusal: 'INPUT', status: 422, remedy: 'Choose a target of another type, or another task.' },
  TARGET_OUT_OF_RANGE: { refusal: 'INPUT', status: 422, remedy: 'Choose another objective, or another target.' },
  WEIGHT_OUT_OF_RANGE: { refusal: 'INPUT', status: 422, remedy: 'Give every row a weight above 0, or leave them out.' },
  TASK_DOES_NOT_FIT: { refusal: 'INPUT', status: 422, remedy: 'Choose another task, or AUTO.' },
  SINGLE_CLASS_IN_TRAIN: { refusal: 'INPUT', status: 422, remedy: 'Make a split that is stratified by the target.' },
  TOO_MANY_CLASSES: {
    refusal: 'INPUT',
    status: 422,
    remedy: 'Choose a target with fewer values, or train a regression.',
  },
  UNKNOWN_CLASS: { refusal: 'INPUT', status: 422, remedy: 'Name a class that the target has.' },
  NO_USABLE_FEATURES: { refusal: 'INPUT', status: 422, remedy: 'Choose columns that vary.' },
  TOO_MANY_FEATURES: { refusal: 'INPUT', status: 422, remedy: 'Choose fewer columns, or a tree model.' },
  WARM_START_MISMATCH: {
    refusal: 'INPUT',
    status: 422,
    remedy: 'Train from the start, or from a version with the same columns, classes and objective.',
  },
  EMPTY_SPLIT: { refusal: 'INPUT', status: 422, remedy: 'Make another split, with other shares or another column.' },
  DIVERGED: { refusal: 'INPUT', status: 422, remedy: 'Leave out or rescale columns with huge values.' },
  // imported models
  MODEL_UNREADABLE: {
    refusal: 'INPUT',
    status: 422,
    remedy: 'Write the model again with the library’s `save_model`, and upload that file whole.',
  },
  MODEL_UNSUPPORTED: { refusal: 'INPUT', status: 422, remedy: 'Train the model without what the message names.' },
  MODEL_DOES_NOT_FIT: {
    refusal: 'INPUT',
    status: 422,
    remedy: 'Give the columns, categories or classes that the message asks for.',
  },
  NO_TRIAL_COMPLETED: {
    refusal: 'STATE',
    status: 422,
    remedy: 'Read why the trials ended; give more time, or a larger limit of latency, and retry.',
  },
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

/** A limit of data, and the way from the data to what breaks it: ids, never names. */
export interface BrokenLimit {
  readonly limit: 'OFFER' | 'PURPOSES' | 'REGIONS' | 'UNTIL';
  readonly path: readonly { readonly kind: LineageKind; readonly id: string }[];
}
export type LineageKind = 'DATASET_VERSION' | 'AGREEMENT' | 'MODEL_VERSION' | 'ENDPOINT';

export interface ErrorDetails {
  /** The path of the input at fault, such as `input.parameters.maxDepth`. */
  readonly field?: string;
  readonly remedy?: string;
  readonly retryAfterMs?: number;
  /** Which limit of data forbids it, and how the data came there. */
  readonly brokenLimit?: BrokenLimit;
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
  readonly brokenLimit: BrokenLimit | null;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.name = 'AppError';
    this.code = code;
    this.field = details.field ?? null;
    this.remedy = details.remedy ?? ERRORS[code].remedy;
    this.retryAfterMs = details.retryAfterMs ?? null;
    this.brokenLimit = details.brokenLimit ?? null;
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

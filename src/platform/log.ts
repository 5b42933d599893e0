import { AsyncLocalStorage } from 'node:async_hooks';
import { type DestinationStream, pino, type Logger } from 'pino';

/**
 * Fields that every line logged within a job carries. AsyncLocalStorage serves the log and nothing else, and the workers alone: in
 * the API process it would slow down every promise of every request (Node 20), so there the request's id is passed along.
 */
export interface LogFields {
  requestId?: string;
  tenantId?: string;
  jobId?: string;
}

const fields = new AsyncLocalStorage<LogFields>();

export function withLogFields<T>(add: LogFields, run: () => T): T {
  return fields.run({ ...fields.getStore(), ...add }, run);
}

/** One JSON object a line on stderr. Secrets have no business in a log line; the known places are redacted all the same. */
export function makeLog(
  level: string,
  name: string,
  stream: DestinationStream = pino.destination({ dest: 2, sync: true }),
): Logger {
  return pino(
    {
      level,
      name,
      serializers: { err: describeError },
      mixin: () => ({ ...fields.getStore() }),
      redact: [
        'password',
        'token',
        'secret',
        'key',
        '*.password',
        '*.token',
        '*.secret',
        '*.key',
        'headers.authorization',
        'headers.cookie',
      ],
    },
    stream,
  );
}

interface LoggedError {
  readonly type: string;
  readonly message: string | undefined;
  readonly code: string | undefined;
  readonly stack: string;
  readonly cause: LoggedError | undefined;
}

/**
 * Of an error its kind, message, code and frames, and nothing else: a database error also carries the values of the query and the
 * row at fault, which are the tenant's. Of a value that has the wrong form (SQLSTATE class 22) the message quotes it.
 */
function describeError(error: unknown): LoggedError | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, cause } = error as { code?: unknown; cause?: unknown };
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  const known = typeof code === 'string' ? code : undefined;
  return {
    type: error.name,
    message: known && /^22\w{3}$/.test(known) ? undefined : error.message,
    code: known,
    stack: frames.join('\n'),
    cause: describeError(cause),
  };
}

export type { Logger };

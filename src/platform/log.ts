import { AsyncLocalStorage } from 'node:async_hooks';
import { pino, type Logger } from 'pino';

/** Fields that every line logged within a request or job carries. AsyncLocalStorage serves the log and nothing else. */
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
export function makeLog(level: string, name: string): Logger {
  return pino(
    {
      level,
      name,
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
    pino.destination({ dest: 2, sync: true }),
  );
}

export type { Logger };

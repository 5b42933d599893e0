import { AppError } from './errors.js';

/** Of Node and of PostgreSQL (SQLSTATE, Appendix A of its manual): no room for what is to be written. */
const FULL = /^(ENOSPC|EDQUOT|53100)$/;
/** The database is gone, starting, stopping, or has no memory or connection left. */
const AWAY = /^(ECONNREFUSED|ECONNRESET|ETIMEDOUT|EPIPE|ENOTFOUND|EAI_AGAIN|08...|53...|57P0[1-4])$/;
/** The driver's words. */
const ENDED = /^(Connection terminated|Client has encountered a connection error)/;

/** What passes without a mistake of ours, as UNAVAILABLE with a sentence; null for any other error. */
export function outageOf(error: unknown): AppError | null {
  if (!(error instanceof Error)) return null;
  const { code, syscall } = error as { code?: unknown; syscall?: unknown };
  if (typeof code === 'string' && FULL.test(code))
    return new AppError('UNAVAILABLE', 'The disk is full: nothing can be stored now.', {
      remedy: 'Tell the operator to free space, then try again.',
      cause: error,
    });
  // The driver gives no code to a connection that ended, before a query or in its midst; a server that is away takes its socket along.
  const isAway = (typeof code === 'string' && AWAY.test(code)) || (code === 'ENOENT' && syscall === 'connect');
  if (isAway || ENDED.test(error.message))
    return new AppError('UNAVAILABLE', 'The database does not take this now.', { retryAfterMs: 1000, cause: error });
  return null;
}

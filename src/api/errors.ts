import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import { AppError, type ErrorCode } from '../platform/errors.js';
import { outageOf } from '../platform/outage.js';

/** What a plain HTTP route, or a refused GraphQL request, answers. */
export function errorBody(error: AppError, requestId: string): { errors: [GraphQLFormattedError] } {
  return { errors: [{ message: error.message, extensions: extensionsOf(error, requestId) }] };
}

/** The error to show for whatever was thrown: itself if it is ours, UNAVAILABLE for an outage, else a masked one. */
export function shownError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  return outageOf(error) ?? new AppError('INTERNAL', 'Something went wrong on our side.', { cause: error });
}

/**
 * What the caller sees of an error that GraphQL collected. Ours go out as they are; GraphQL's own about the document or
 * the variables too; everything else is masked, because an unknown message may hold anything.
 */
export function formatError(formatted: GraphQLFormattedError, error: unknown): GraphQLFormattedError {
  const { path, locations } = formatted;
  const thrown = thrownIn(error);
  if (thrown instanceof AppError) return { message: thrown.message, path, locations, extensions: extensionsOf(thrown) };
  if (isTheCallers(error, thrown)) {
    const { code } = formatted.extensions ?? {};
    const shown = typeof code === 'string' && code !== 'INTERNAL_SERVER_ERROR' ? code : 'BAD_USER_INPUT';
    return { message: formatted.message, path, locations, extensions: { code: shown } };
  }
  const masked = shownError(thrown);
  return { message: masked.message, path, locations, extensions: extensionsOf(masked) };
}

/** What a resolver or a rule of ours threw, from under the wraps of GraphQL and Apollo. */
export function thrownIn(error: unknown): unknown {
  let inner = error;
  while (inner instanceof GraphQLError && inner.originalError) inner = inner.originalError;
  return inner;
}

/** Whether the error is GraphQL's own about the request: raised before execution, or about a literal argument during it. */
export function isTheCallers(error: unknown, thrown: unknown): boolean {
  if (!(error instanceof GraphQLError) || !(thrown instanceof GraphQLError)) return false;
  return error.path === undefined || thrown.message.startsWith('Argument "');
}

function extensionsOf(error: AppError, requestId?: string): Record<string, unknown> & { code: ErrorCode } {
  const { code, remedy, field, retryAfterMs } = error;
  return {
    code,
    remedy,
    ...(field !== null && { field }),
    ...(retryAfterMs !== null && { retryAfterMs }),
    ...(requestId !== undefined && { requestId }),
  };
}

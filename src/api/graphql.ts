import type { IncomingMessage } from 'node:http';
import { ApolloServer, HeaderMap, type ApolloServerPlugin } from '@apollo/server';
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginInlineTraceDisabled,
  ApolloServerPluginLandingPageDisabled,
  ApolloServerPluginSchemaReportingDisabled,
  ApolloServerPluginUsageReportingDisabled,
} from '@apollo/server/plugin/disabled';
import type { ExecutionResult, GraphQLError, GraphQLSchema } from 'graphql';
import type { ProofService } from '../domain/tenants/proof.service.js';
import { AppError } from '../platform/errors.js';
import type { RequestContext } from '../platform/graphql.js';
import type { Logger } from '../platform/log.js';
import { formatError, isTheCallers, thrownIn } from './errors.js';
import { LIMITS, limitRule } from './limits.js';
import type { PreparedDocuments } from './prepared.js';
import type { ApiResponse } from './response.js';
import { refuseVariables } from './variables.js';

/** Logs what is masked, once. */
function logFailures(log: Logger, errors: readonly GraphQLError[], { requestId }: RequestContext): void {
  for (const error of errors) {
    const thrown = thrownIn(error);
    if (thrown instanceof AppError ? thrown.code === 'INTERNAL' : !isTheCallers(error, thrown))
      log.error({ err: thrown, path: error.path, requestId }, 'a field failed');
  }
}

/** Looks at the variables before the execution does, and gives every error the id of its request. */
function watching(log: Logger, prepared: PreparedDocuments): ApolloServerPlugin<RequestContext> {
  return {
    requestDidStart: () =>
      Promise.resolve({
        didResolveOperation: ({ schema, document, operation, request, source, contextValue }) => {
          if (operation) refuseVariables(schema, operation, request.variables ?? {});
          // Strangers shall not decide what is kept.
          if (operation && contextValue.scope?.permissions.has('prediction:create'))
            prepared.learn(source, document, operation);
          return Promise.resolve();
        },
        didEncounterErrors: ({ errors, contextValue }) => {
          logFailures(log, errors, contextValue);
          return Promise.resolve();
        },
        willSendResponse: ({ response, contextValue }) => {
          if (response.body.kind === 'single')
            for (const error of response.body.singleResult.errors ?? [])
              Object.assign(error.extensions ?? {}, { requestId: contextValue.requestId });
          return Promise.resolve();
        },
      }),
  };
}

/** Apollo without what a thin adapter does itself, and without what costs time and is not used. */
export function makeApollo(
  schema: GraphQLSchema,
  prepared: PreparedDocuments,
  log: Logger,
): ApolloServer<RequestContext> {
  return new ApolloServer<RequestContext>({
    schema,
    introspection: true,
    includeStacktraceInErrorResponses: false,
    allowBatchedHttpRequests: false,
    // The adapter takes POST as application/json only, and the cookie from pages of ours only.
    csrfPrevention: false,
    persistedQueries: false,
    stopOnTerminationSignals: false,
    status400ForVariableCoercionErrors: true,
    parseOptions: { maxTokens: LIMITS.tokens },
    validationRules: [limitRule],
    validationOptions: { maxErrors: 20 },
    formatError,
    stringifyResult: (result) => JSON.stringify(result),
    logger: {
      debug: () => undefined,
      info: () => undefined,
      warn: () => undefined,
      error: (m: unknown) => log.error(m),
    },
    plugins: [
      watching(log, prepared),
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginInlineTraceDisabled(),
      ApolloServerPluginLandingPageDisabled(),
      ApolloServerPluginSchemaReportingDisabled(),
      ApolloServerPluginUsageReportingDisabled(),
    ],
  });
}

export interface GraphQLRequest {
  readonly request: IncomingMessage;
  readonly response: ApiResponse;
  readonly context: RequestContext;
  /** The parsed JSON of a POST; undefined for GET. */
  readonly body: unknown;
}

/** The two ways to an answer: Apollo's, which takes everything, and a short one for what was asked before. */
export interface GraphQLDoor {
  readonly apollo: ApolloServer<RequestContext>;
  readonly prepared: PreparedDocuments;
  readonly log: Logger;
  readonly proofs: ProofService;
}

/** One GraphQL request over HTTP: Apollo decides status and headers as the GraphQL-over-HTTP specification says. */
export async function answerGraphQL(door: GraphQLDoor, asked: GraphQLRequest): Promise<void> {
  const { apollo, prepared } = door;
  const { request, response, context, body } = asked;
  const accept = request.headers.accept ?? '';
  const device = context.scope?.device;
  if (body !== undefined) {
    const quick = await prepared.run(body as object, accept, context);
    // Of what the ledger has not recorded, the proof is used up all the same.
    if (quick && device) await door.proofs.spend(device);
    if (quick) return response.answer(quick.contentType, textOf(quick.result, door.log, context));
  }
  if (device) await door.proofs.spend(device);
  const headers = new HeaderMap();
  for (const [name, value] of Object.entries(request.headers))
    if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(', ') : value);
  const url = request.url ?? '';
  const answer = await apollo.executeHTTPGraphQLRequest({
    httpGraphQLRequest: {
      method: request.method!,
      headers,
      search: url.slice(url.indexOf('?') + 1 || url.length),
      body,
    },
    context: () => Promise.resolve(context),
  });
  if (response.headersSent || response.destroyed) return;
  response.statusCode = answer.status ?? 200;
  for (const [name, value] of answer.headers) response.setHeader(name, value);
  if (answer.body.kind !== 'complete') throw new AppError('INTERNAL', 'Incremental delivery is off.');
  const contentType = answer.headers.get('content-type');
  if (body !== undefined && response.statusCode === 200 && contentType) prepared.learnAccept(accept, contentType);
  response.end(answer.body.string);
}

/** The result of an execution as Apollo would write it: a request that was executed answers 200, whatever its fields threw. */
function textOf({ data, errors }: ExecutionResult, log: Logger, context: RequestContext): string {
  if (!errors) return JSON.stringify({ data });
  logFailures(log, errors, context);
  const formatted = errors.map((error) => {
    const { message, path, locations } = error;
    const extensions = { code: 'INTERNAL_SERVER_ERROR', ...error.extensions };
    const shown = formatError({ message, path, locations, extensions }, error);
    return { ...shown, extensions: { ...shown.extensions, requestId: context.requestId } };
  });
  return JSON.stringify({ errors: formatted, data });
}

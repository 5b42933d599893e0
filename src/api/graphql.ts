import type { IncomingMessage, ServerResponse } from 'node:http';
import { ApolloServer, HeaderMap, type ApolloServerPlugin } from '@apollo/server';
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginInlineTraceDisabled,
  ApolloServerPluginLandingPageDisabled,
  ApolloServerPluginSchemaReportingDisabled,
  ApolloServerPluginUsageReportingDisabled,
} from '@apollo/server/plugin/disabled';
import type { GraphQLSchema } from 'graphql';
import { AppError } from '../platform/errors.js';
import type { RequestContext } from '../platform/graphql.js';
import type { Logger } from '../platform/log.js';
import { formatError, isTheCallers, thrownIn } from './errors.js';
import { LIMITS, limitRule } from './limits.js';
import { refuseVariables } from './variables.js';

/** Looks at the variables before the execution does, logs what is masked, once, and gives every error the id of its request. */
function watching(log: Logger): ApolloServerPlugin<RequestContext> {
  return {
    requestDidStart: () =>
      Promise.resolve({
        didResolveOperation: ({ schema, operation, request }) => {
          if (operation) refuseVariables(schema, operation, request.variables ?? {});
          return Promise.resolve();
        },
        didEncounterErrors: ({ errors, contextValue }) => {
          for (const error of errors) {
            const thrown = thrownIn(error);
            if (thrown instanceof AppError ? thrown.code === 'INTERNAL' : !isTheCallers(error, thrown))
              log.error({ err: thrown, path: error.path, requestId: contextValue.requestId }, 'a field failed');
          }
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
export function makeApollo(schema: GraphQLSchema, log: Logger): ApolloServer<RequestContext> {
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
      watching(log),
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
  readonly response: ServerResponse;
  readonly context: RequestContext;
  /** The parsed JSON of a POST; undefined for GET. */
  readonly body: unknown;
}

/** One GraphQL request over HTTP: Apollo decides status and headers as the GraphQL-over-HTTP specification says. */
export async function answerGraphQL(apollo: ApolloServer<RequestContext>, asked: GraphQLRequest): Promise<void> {
  const { request, response, context, body } = asked;
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
  response.end(answer.body.string);
}

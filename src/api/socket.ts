import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import {
  type ExecutionArgs,
  type ExecutionResult,
  getOperationAST,
  GraphQLError,
  type GraphQLFormattedError,
  type GraphQLSchema,
  parse,
  specifiedRules,
  subscribe,
  validate,
} from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { type WebSocket, WebSocketServer } from 'ws';
import type { App } from '../app.js';
import type { Credential } from '../domain/tenants/credential.service.js';
import { newId } from '../platform/ids.js';
import { outageOf } from '../platform/outage.js';
import {
  authenticate,
  callerAddress,
  isSameOrigin,
  makeContext,
  presentedToken,
  type Presented,
  wantedTenant,
} from './context.js';
import { formatError, shownError, thrownIn } from './errors.js';
import { LIMITS, limitRule } from './limits.js';
import { refuseVariables } from './variables.js';

export interface SocketOptions {
  readonly app: App;
  readonly schema: GraphQLSchema;
  publicUrl(): string;
}

/** Close codes of the graphql-transport-ws protocol. */
const UNAUTHORIZED = 4401;
const FORBIDDEN = 4403;
const TOO_MANY = 4429;
const RULES = [...specifiedRules, limitRule];

/** Subscriptions over WebSocket (graphql-transport-ws) at /graphql. */
export function attachSockets(server: Server, options: SocketOptions): { close(): Promise<void> } {
  const { app, schema } = options;
  const connections = new Connections(app);
  const sockets = new WebSocketServer({ noServer: true, maxPayload: 64 * 1024 });
  const upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    if (!/^\/graphql(\?|$)/.test(request.url ?? ''))
      return void socket.end('HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
    sockets.handleUpgrade(request, socket, head, (opened) => sockets.emit('connection', opened, request));
  };
  server.on('upgrade', upgrade);

  const served = useServer<Record<string, unknown>>(
    {
      schema,
      connectionInitWaitTimeout: 10_000,
      subscribe: async (args) => changesOnly(await subscribe(args)),
      onConnect: async ({ connectionParams, extra }) => {
        const { request, socket } = extra;
        try {
          const opened = await connections.open(socket, asking(request, connectionParams ?? {}, options.publicUrl()));
          if (!opened) socket.close(UNAUTHORIZED, 'Unauthorized');
          return opened;
        } catch (error) {
          socket.close(UNAUTHORIZED, shownError(error).code);
          return false;
        }
      },
      onSubscribe: ({ extra }, id, payload): ExecutionArgs | GraphQLError[] => {
        const connection = connections.of(extra.socket);
        if (!connection) return [new GraphQLError('This socket is closing.')];
        if (connection.operations.size >= LIMITS.subscriptionsPerSocket)
          return [new GraphQLError(`A socket has ${LIMITS.subscriptionsPerSocket} subscriptions at most.`)];
        const prepared = prepare(schema, payload);
        if (Array.isArray(prepared)) return prepared;
        const ended = new AbortController();
        connection.operations.set(id, ended);
        const contextValue = makeContext(connection.credential, {
          requestId: newId('request'),
          signal: ended.signal,
          address: () => callerAddress(extra.request, app.config.trustedProxies),
          publicUrl: options.publicUrl(),
          keepSession: () => undefined,
        });
        return { ...prepared, contextValue };
      },
      onNext: (...[, , , , result]) =>
        result.errors && { ...result, errors: result.errors.map((error) => shown(app, error)) },
      onError: (_ctx, _id, _payload, errors) => errors.map((error) => shown(app, error)),
      onComplete: ({ extra }, id) => connections.of(extra.socket)?.finish(id),
      onClose: ({ extra }) => connections.close(extra.socket),
    },
    sockets,
  );
  return {
    close: async () => {
      server.off('upgrade', upgrade);
      connections.stop();
      const force = setTimeout(() => sockets.clients.forEach((socket) => socket.terminate()), 1000);
      await served.dispose();
      clearTimeout(force);
    },
  };
}

/** Leaves out what says the same as the message before it. No generator: one that waits for its source could not be ended. */
function changesOnly(
  results: AsyncGenerator<ExecutionResult, void, void> | ExecutionResult,
): AsyncIterableIterator<ExecutionResult> | ExecutionResult {
  if (!(Symbol.asyncIterator in results)) return results;
  let told = '';
  const changes: AsyncIterableIterator<ExecutionResult> = {
    [Symbol.asyncIterator]: () => changes,
    next: async () => {
      for (;;) {
        const result = await results.next();
        const telling = JSON.stringify(result);
        if (!result.done && telling === told) continue;
        told = telling;
        return result as IteratorResult<ExecutionResult>;
      }
    },
    return: () => results.return() as Promise<IteratorResult<ExecutionResult>>,
  };
  return changes;
}

interface Asking {
  readonly presented: Presented | null;
  readonly tenant: string | null;
}

/** What a socket presents: `authorization` (and the tenant) in its first message, or the cookie if a page of ours opened it. */
function asking(request: IncomingMessage, parameters: Record<string, unknown>, publicUrl: string): Asking {
  const { authorization, 'x-concordat-tenant': tenant } = parameters;
  const headers = typeof authorization === 'string' ? { ...request.headers, authorization } : request.headers;
  return {
    presented: presentedToken({ headers }, publicUrl, isSameOrigin(request, publicUrl)),
    tenant: typeof tenant === 'string' && tenant !== '' ? tenant : wantedTenant(request),
  };
}

/** Parses and validates; queries and mutations go by POST, where their limits are. */
function prepare(
  schema: GraphQLSchema,
  payload: { query: string; operationName?: string | null; variables?: Record<string, unknown> | null },
): Omit<ExecutionArgs, 'contextValue'> | GraphQLError[] {
  try {
    const document = parse(payload.query, { maxTokens: LIMITS.tokens });
    const errors = validate(schema, document, RULES, { maxErrors: 20 });
    if (errors.length > 0) return [...errors];
    const operation = getOperationAST(document, payload.operationName);
    if (operation?.operation !== 'subscription')
      return [new GraphQLError('Only subscriptions come here; send everything else by POST.')];
    refuseVariables(schema, operation, payload.variables ?? {});
    return { schema, document, operationName: payload.operationName, variableValues: payload.variables };
  } catch (error) {
    if (error instanceof GraphQLError) return [error];
    throw error;
  }
}

function shown(app: App, error: GraphQLError): GraphQLFormattedError {
  const formatted = formatError(
    { ...error.toJSON(), extensions: { code: 'GRAPHQL_VALIDATION_FAILED', ...error.extensions } },
    error,
  );
  if (formatted.extensions?.code === 'INTERNAL' || outageOf(thrownIn(error)))
    app.log.error({ err: error.originalError ?? error }, 'a subscription failed');
  return formatted;
}

interface Connection {
  readonly asking: Asking;
  credential: Credential;
  timer: NodeJS.Timeout;
  /** Running subscriptions; aborted when they end. */
  readonly operations: Map<string, AbortController>;
  finish(id: string): void;
}

const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Every open socket with its credential, looked up again whenever the database says that it has changed, and when it expires. */
class Connections {
  private readonly open_ = new Map<WebSocket, Connection>();
  private readonly unlisten: () => void;

  constructor(private readonly app: App) {
    this.unlisten = app.listener.on('concordat_credential', (subject) => {
      for (const [socket, connection] of this.open_)
        if (subject === null || connection.credential.subject === subject) void this.recheck(socket, connection);
    });
  }

  of(socket: WebSocket): Connection | undefined {
    return this.open_.get(socket);
  }

  async open(socket: WebSocket, asking: Asking): Promise<boolean> {
    const credential = await authenticate(this.app, asking.presented, asking.tenant);
    if (!credential || socket.readyState !== socket.OPEN) return false;
    const siblings = [...this.open_.values()].filter((one) => one.credential.subject === credential.subject);
    if (siblings.length >= LIMITS.socketsPerCredential) {
      socket.close(TOO_MANY, 'Too many sockets');
      return false;
    }
    const operations = new Map<string, AbortController>();
    const finish = (id: string) => {
      operations.get(id)?.abort();
      operations.delete(id);
    };
    const connection: Connection = { asking, credential, operations, finish, timer: setTimeout(() => undefined, 0) };
    this.open_.set(socket, connection);
    // What was revoked between the look-up and the line above was told to nobody.
    await this.recheck(socket, connection);
    return this.open_.has(socket);
  }

  close(socket: WebSocket): void {
    const connection = this.open_.get(socket);
    if (!connection) return;
    clearTimeout(connection.timer);
    for (const ended of connection.operations.values()) ended.abort();
    this.open_.delete(socket);
  }

  stop(): void {
    this.unlisten();
    for (const socket of [...this.open_.keys()]) this.close(socket);
  }

  private schedule(socket: WebSocket, connection: Connection): void {
    clearTimeout(connection.timer);
    const left = connection.credential.expiresAt.getTime() - this.app.clock.now().getTime();
    const after = Math.min(LONGEST_TIMER_MS, Math.max(0, left) + 1);
    connection.timer = setTimeout(() => void this.recheck(socket, connection), after).unref();
  }

  /** Closes the socket if the credential is gone, or gives less than it did. */
  private async recheck(socket: WebSocket, connection: Connection): Promise<void> {
    const end = (code: number, reason: string) => {
      this.close(socket);
      socket.close(code, reason);
    };
    try {
      const credential = await authenticate(this.app, connection.asking.presented, connection.asking.tenant);
      if (!credential) return end(UNAUTHORIZED, 'Unauthorized');
      if (givesLess(connection.credential, credential)) return end(FORBIDDEN, 'Forbidden');
      connection.credential = credential;
      if (this.open_.has(socket)) this.schedule(socket, connection);
    } catch {
      // Unknown, revoked, or nobody can tell: no more news in any case.
      end(UNAUTHORIZED, 'Unauthorized');
    }
  }
}

function givesLess(before: Credential, now: Credential): boolean {
  if (!before.grant) return false;
  if (now.grant?.tenantId !== before.grant.tenantId) return true;
  return [...before.grant.permissions].some((permission) => !now.grant!.permissions.has(permission));
}

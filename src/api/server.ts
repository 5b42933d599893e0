import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ApolloServer } from '@apollo/server';
import type { App } from '../app.js';
import { ALGORITHMS } from '../domain/tenants/proof.service.js';
import { AppError, notFound } from '../platform/errors.js';
import type { RequestContext } from '../platform/graphql.js';
import type { ProvenDevice } from '../platform/scope.js';
import {
  authenticate,
  callerAddress,
  cookieName,
  heldCredential,
  isSameOrigin,
  makeContext,
  presentedToken,
  proveDevice,
  scopeOf,
  wantedTenant,
} from './context.js';
import { errorBody, shownError } from './errors.js';
import { makeApollo } from './graphql.js';
import { LIMITS } from './limits.js';
import { infer, inferTarget, isOpenInference, type Target } from './open-inference.js';
import { writeError } from './open-inference-answer.js';
import { requireAccess } from './permission.js';
import { PreparedDocuments } from './prepared.js';
import { ApiResponse, HttpsResponse } from './response.js';
import type { Asked, Route } from './route.js';
import { makeRoutes, refuseUnexplained } from './routes.js';
import { makeSchema, printedSchema } from './schema.js';
import { attachSockets } from './socket.js';

export interface Api {
  /** Where it listens, without a slash at its end. */
  readonly url: string;
  /** Takes no more requests, lets those under way end (but not for long), and closes every socket. */
  close(): Promise<void>;
}

const GRACE_MS = 5000;

/** Starts the API of an app: GraphQL over HTTP and over WebSocket, uploads, health, the page. */
export async function startApi(app: App, host = app.config.host, port = app.config.port): Promise<Api> {
  const schema = makeSchema(app);
  const prepared = new PreparedDocuments(schema);
  const apollo = makeApollo(schema, prepared, app.log);
  await apollo.start();
  const routes = makeRoutes({ apollo, prepared, log: app.log, proofs: app.proofs }, printedSchema());
  refuseUnexplained(routes);
  const edge = new Edge(app, routes);
  const server = createServer(
    {
      headersTimeout: LIMITS.headersMs,
      requestTimeout: 0,
      keepAliveTimeout: 10_000,
      maxHeaderSize: 16 * 1024,
      ServerResponse: app.config.publicUrl?.startsWith('https:') ? HttpsResponse : ApiResponse,
    },
    (request, response) => void edge.answer(request, response),
  );
  // Bytes must flow, on uploads too; sockets of subscriptions have pings of their own.
  server.setTimeout(LIMITS.idleMs);
  const sockets = attachSockets(server, { app, schema, publicUrl: () => edge.publicUrl });
  await listen(server, host, port);
  const { port: bound } = server.address() as AddressInfo;
  app.integrator.start();
  edge.publicUrl = (app.config.publicUrl ?? `http://localhost:${bound}`).replace(/\/$/, '');
  return {
    url: `http://${host === '0.0.0.0' || host === '::' ? 'localhost' : host}:${bound}`,
    close: async () => {
      await close(server, sockets, apollo);
      await app.integrator.close();
    },
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function close(
  server: Server,
  sockets: { close(): Promise<void> },
  apollo: ApolloServer<RequestContext>,
): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  await sockets.close();
  server.closeIdleConnections();
  const force = setTimeout(() => server.closeAllConnections(), GRACE_MS);
  await closed;
  clearTimeout(force);
  await apollo.stop();
}

/** From a request to its route and back, with what holds for all of them: time, access, errors. */
class Edge {
  publicUrl = '';

  constructor(
    private readonly app: App,
    private readonly routes: readonly Route[],
  ) {}

  async answer(request: IncomingMessage, response: ApiResponse): Promise<void> {
    try {
      const inferring = inferTarget(request);
      await (inferring ? this.infer(request, response, inferring) : this.route(request, response));
    } catch (error) {
      this.refuse(request, response, error);
    }
  }

  private async route(request: IncomingMessage, response: ApiResponse): Promise<void> {
    const { publicUrl, app } = this;
    const signal = signalOf(response);
    // The host of the target is nobody's business: only path and query are looked at.
    const target = request.url?.startsWith('/') ? request.url : '/';
    const path = PLAIN_PATH.test(target) ? target : new URL(`http://any${target}`).pathname;
    const route = this.find(request, response, path);
    const cookies = route.cookies && request.method === 'POST' && isSameOrigin(request, publicUrl);
    const presented = presentedToken(request, publicUrl, cookies);
    const credential = await authenticate(app, presented, wantedTenant(request));
    const device = await proveDevice(app, request, { presented, credential, publicUrl });
    const context = makeContext(credential, {
      device,
      requestId: response.requestId,
      signal,
      address: () => callerAddress(request, app.config.trustedProxies),
      publicUrl,
      keepSession: (session) => response.setHeader('set-cookie', sessionCookie(publicUrl, session)),
    });
    if (device && route.proofs !== 'spent by the answer') await app.proofs.spend(device);
    requireAccess(context, route.access);
    const parts = decodeParts(route.path.exec(path)?.groups);
    const asked: Asked = {
      app,
      request,
      response,
      parts,
      context,
      query: () => new URL(`http://any${target}`).searchParams,
      signal,
    };
    const answer = route.answer(asked);
    await this.spending(device, route.timeoutMs === null ? answer : within(route.timeoutMs, answer));
  }

  /** The way of every prediction through the second door: as `route`, without what it has no use for. */
  private async infer(request: IncomingMessage, response: ApiResponse, target: Target): Promise<void> {
    const { app, publicUrl } = this;
    const presented = presentedToken(request, publicUrl, false);
    const wanted = wantedTenant(request);
    const credential = heldCredential(app, presented, wanted) ?? (await authenticate(app, presented, wanted));
    const proving = proveDevice(app, request, { presented, credential, publicUrl });
    const device = proving && (await proving);
    const scope = scopeOf(credential, { device, requestId: response.requestId, signal: signalOf(response) });
    const answer = async () => {
      requireAccess({ scope, account: credential?.account ?? null }, 'prediction:create');
      await within(LIMITS.executionMs, infer(app, { request, response, target, scope: scope! }));
    };
    await (device ? this.spending(device, answer()) : answer());
  }

  /** A proof is used up by a request that failed, too. Throws what `answer` throws, PROOF_REPLAYED if that was the proof's second use. */
  private async spending(device: ProvenDevice | null, answer: Promise<void>): Promise<void> {
    if (!device) return answer;
    try {
      await answer;
    } catch (error) {
      await this.app.proofs.spend(device);
      throw error;
    }
  }

  private find(request: IncomingMessage, response: ApiResponse, path: string): Route {
    const route = this.routes.find((one) => one.methods.includes(request.method!) && one.path.test(path));
    if (!route) {
      const here = this.routes.filter((one) => one.path.test(path));
      if (here.length === 0) throw notFound('page');
      response.setHeader('allow', here.flatMap((one) => one.methods).join(', '));
      throw new AppError('METHOD_NOT_ALLOWED', 'This address does not take this method.');
    }
    return route;
  }

  private refuse(request: IncomingMessage, response: ApiResponse, error: unknown): void {
    const { requestId } = response;
    const shown = shownError(error);
    if ((shown !== error || shown.code === 'INTERNAL') && !response.destroyed)
      this.app.log.error({ err: error, requestId }, 'a request failed');
    if (response.headersSent || response.destroyed) return void response.destroy();
    response.statusCode = shown.status;
    if (shown.status === 401) response.setHeader('www-authenticate', challengeOf(shown));
    const nonce = shown.code.startsWith('PROOF') ? this.app.proofs.nonce() : null;
    if (nonce !== null) response.setHeader('dpop-nonce', nonce);
    if (shown.retryAfterMs !== null) response.setHeader('retry-after', Math.ceil(shown.retryAfterMs / 1000));
    if (isOpenInference(request.url)) {
      response.setHeader('content-type', 'application/json');
      return endEarly(request, response, writeError(shown, requestId));
    }
    const accept = request.headers.accept ?? '';
    const type = accept.includes('application/graphql-response+json')
      ? 'application/graphql-response+json'
      : 'application/json';
    response.setHeader('content-type', `${type}; charset=utf-8`);
    endEarly(request, response, JSON.stringify(errorBody(shown, requestId)));
  }
}

/** RFC 6750; RFC 9449, sections 7.1 and 8. */
function challengeOf({ code }: AppError): string {
  if (code === 'PROOF_NONCE') return `DPoP error="use_dpop_nonce", algs="${ALGORITHMS.join(' ')}"`;
  if (code === 'PROOF_INVALID' || code === 'PROOF_REPLAYED' || code === 'DEVICE_UNKNOWN')
    return `DPoP error="invalid_dpop_proof", algs="${ALGORITHMS.join(' ')}"`;
  return code === 'PROOF_REQUIRED' ? `DPoP algs="${ALGORITHMS.join(' ')}"` : 'Bearer';
}

/**
 * Answers while the body may still be coming. A connection closed under it would be reset, and many clients then see no answer: so
 * the rest is read for a while, and thrown away. The connection is not used again.
 */
function endEarly(request: IncomingMessage, response: ApiResponse, text: string): void {
  if (request.complete) return void response.end(text);
  response.setHeader('connection', 'close');
  response.setHeader('content-length', Buffer.byteLength(text));
  response.write(text);
  let left: number = LIMITS.drainedBytes;
  const end = () => {
    clearTimeout(timer);
    request.pause();
    response.end();
  };
  const timer = setTimeout(end, LIMITS.drainedMs);
  response.once('close', () => clearTimeout(timer));
  request
    .on('data', (chunk: Buffer) => (left -= chunk.length) < 0 && end())
    .once('end', end)
    .once('error', end);
}

/** Rejects with TIMED_OUT if the work takes longer. By hand: Promise.race costs three times as much. */
function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new AppError('TIMED_OUT', `This took more than ${limitMs / 1000} seconds.`)),
      limitMs,
    );
    work.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error as Error);
      },
    );
  });
}

/** A path that is itself when it is parsed: no query, no dots, nothing escaped. */
const PLAIN_PATH = /^(?:\/[a-z0-9_-]+)+$/;

/** Aborted when the caller has gone away; made when it is first asked for. */
function signalOf(response: ApiResponse): () => AbortSignal {
  let gone: AbortController | null = null;
  return () => {
    if (gone) return gone.signal;
    const made = (gone = new AbortController());
    if (response.destroyed && !response.writableFinished) made.abort();
    else response.once('close', () => response.writableFinished || made.abort());
    return made.signal;
  };
}

function decodeParts(groups: Record<string, string | undefined> | undefined): Record<string, string> {
  if (!groups) return {};
  // Without those that the address has not.
  const present = Object.entries(groups).filter((group): group is [string, string] => group[1] !== undefined);
  try {
    return Object.fromEntries(present.map(([name, part]) => [name, decodeURIComponent(part)]));
  } catch {
    throw notFound('page');
  }
}

function sessionCookie(publicUrl: string, session: { token: string; expiresAt: Date } | null): string {
  const secure = publicUrl.startsWith('https:') ? '; Secure' : '';
  const expires = (session?.expiresAt ?? new Date(0)).toUTCString();
  return `${cookieName(publicUrl)}=${session?.token ?? ''}; Path=/; HttpOnly; SameSite=Strict; Expires=${expires}${secure}`;
}

import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type { App } from '../app.js';
import type { Credential } from '../domain/tenants/credential.service.js';
import { AppError } from '../platform/errors.js';
import type { RequestContext } from '../platform/graphql.js';
import { makeScope, type ProvenDevice, type Scope, type ScopeParts } from '../platform/scope.js';

/** Browsers accept the prefix only on a cookie that is Secure, for this host, for every path. */
export function cookieName(publicUrl: string): string {
  return publicUrl.startsWith('https:') ? '__Host-concordat' : 'concordat';
}

export interface Presented {
  readonly token: string;
  readonly by: 'header' | 'cookie';
  /** By the scheme DPoP (RFC 9449): the token is nothing without a proof. */
  readonly needsProof?: boolean;
}

/**
 * The token that the request presents: a bearer header, else the session cookie if `cookies` says that this request may use
 * it. A malformed header is UNAUTHENTICATED rather than nobody.
 */
export function presentedToken(
  request: Pick<IncomingMessage, 'headers'>,
  publicUrl: string,
  cookies: boolean,
): Presented | null {
  const { authorization, cookie } = request.headers;
  if (authorization !== undefined) {
    const [, scheme, token] = /^(Bearer|DPoP) +([A-Za-z0-9_-]{1,200})$/i.exec(authorization) ?? [];
    if (!scheme || !token)
      throw new AppError('UNAUTHENTICATED', 'The authorization header must be `Bearer` (or `DPoP`) and a token.');
    return { token, by: 'header', needsProof: scheme.length === 'DPoP'.length };
  }
  if (!cookies || cookie === undefined) return null;
  const name = cookieName(publicUrl);
  const found = cookie
    .split(';')
    .map((pair) => pair.trim().split('='))
    .filter(([key]) => key === name);
  // Two cookies of our name: somebody has planted one of them.
  return found.length === 1 && found[0]![1] ? { token: found[0]![1], by: 'cookie' } : null;
}

/**
 * Whether a browser made this request on behalf of a page of ours (or no page did): the only requests that may use the
 * cookie. Browsers send Origin with every POST and every socket, and a page cannot forge it.
 */
export function isSameOrigin(request: IncomingMessage, publicUrl: string): boolean {
  const { origin, host } = request.headers;
  if (origin === undefined) return request.headers['sec-fetch-site'] === 'same-origin';
  if (origin === new URL(publicUrl).origin) return true;
  try {
    return new URL(origin).host === host;
  } catch {
    return false;
  }
}

/**
 * Where the caller is. Every trusted proxy adds whom it heard from to the end of X-Forwarded-For; what stands before was sent along by
 * anybody. Where the header does not tell an address, it is the last proxy's, which all then share.
 */
export function callerAddress(request: IncomingMessage, trustedProxies: number): string {
  const header = trustedProxies > 0 ? String(request.headers['x-forwarded-for'] ?? '') : '';
  const forwarded = header.split(',').at(-trustedProxies)?.trim() ?? '';
  return isIP(forwarded) ? forwarded : (request.socket.remoteAddress ?? 'unknown');
}

export interface Asking {
  readonly requestId: string;
  readonly signal: ScopeParts['signal'];
  readonly address: () => string;
  readonly publicUrl: string;
  readonly keepSession: RequestContext['keepSession'];
  readonly device?: ProvenDevice | null;
}

/** A wrong bearer token refuses the request; a cookie that is no longer good is nobody, so that one can sign in again. */
export async function authenticate(
  app: App,
  presented: Presented | null,
  tenant: string | null,
): Promise<Credential | null> {
  if (!presented) return null;
  const credential = await app.credentials.authenticate(presented.token, tenant);
  if (!credential && presented.by === 'header')
    throw new AppError('UNAUTHENTICATED', 'This token is unknown, expired or revoked.');
  return credential;
}

/** As `authenticate`, if no look into the database is needed; else null. */
export function heldCredential(app: App, presented: Presented | null, tenant: string | null): Credential | null {
  return presented && app.credentials.held(presented.token, tenant);
}

/**
 * The device that the request proves to come from; null without the header DPoP. Throws PROOF_INVALID, PROOF_NONCE,
 * DEVICE_UNKNOWN: a proof that is no good refuses the request, even where none would be needed.
 */
export function proveDevice(
  app: App,
  { method, headers, url = '/' }: IncomingMessage,
  {
    presented,
    credential,
    publicUrl,
  }: { presented: Presented | null; credential: Credential | null; publicUrl: string },
): Promise<ProvenDevice> | null {
  const proof = headers['dpop'];
  if (proof === undefined) {
    if (!presented?.needsProof) return null;
    throw new AppError('PROOF_INVALID', 'The scheme DPoP needs a proof in the header DPoP.');
  }
  const grant = credential?.grant;
  if (!presented || !grant) throw new AppError('PROOF_INVALID', 'A proof goes with an API key; this request has none.');
  const { tenantId, actor } = grant;
  const { token } = presented;
  const query = url.search(/[?#]/);
  const address = publicUrl + (query < 0 ? url : url.slice(0, query));
  return app.proofs.prove({ proof: String(proof), token, tenantId, actor, method: method!, url: address });
}

/** The tenant that the request names, or null. Whether it may is decided with the credential. */
export function wantedTenant(request: IncomingMessage): string | null {
  const header = request.headers['x-concordat-tenant'];
  return typeof header === 'string' && header !== '' ? header : null;
}

/** On whose behalf the request is; null for a stranger, and for a person in no tenant. */
export function scopeOf(
  credential: Credential | null,
  { device, requestId, signal }: Pick<Asking, 'device' | 'requestId' | 'signal'>,
): Scope | null {
  const grant = credential?.grant;
  if (!grant) return null;
  const { tenantId, actor, permissions } = grant;
  return makeScope({ tenantId, actor, permissions, device, requestId, signal });
}

export function makeContext(credential: Credential | null, asking: Asking): RequestContext {
  return new HttpContext(scopeOf(credential, asking), credential?.account ?? null, asking);
}

/**
 * A class, because an accessor in an object literal is a hidden class of its own each time, which V8 keeps, with all that the closure
 * reaches, until the next full collection: requests then outlived themselves by seconds, and each collection took 20 ms instead of 5.
 */
class HttpContext implements RequestContext {
  readonly requestId: string;
  readonly publicUrl: string;
  readonly keepSession: RequestContext['keepSession'];
  private readonly find: () => string;

  constructor(
    readonly scope: Scope | null,
    readonly account: RequestContext['account'],
    { requestId, publicUrl, keepSession, address }: Asking,
  ) {
    this.requestId = requestId;
    this.publicUrl = publicUrl;
    this.keepSession = keepSession;
    this.find = address;
  }

  get address(): string {
    return this.find();
  }
}

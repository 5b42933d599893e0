import type { IncomingMessage } from 'node:http';
import type { App } from '../app.js';
import type { RequestContext } from '../platform/graphql.js';
import type { Access } from '../platform/permissions.js';
import type { ApiResponse } from './response.js';

/** What the handler of a route gets. */
export interface Asked {
  readonly app: App;
  readonly request: IncomingMessage;
  readonly response: ApiResponse;
  /** The named parts of the path, decoded. */
  readonly parts: Readonly<Record<string, string>>;
  readonly context: RequestContext;
  /** Of the address: what follows the question mark. */
  query(): URLSearchParams;
  /** Aborted when the caller has gone away. */
  signal(): AbortSignal;
}

/**
 * One door besides GraphQL's fields. `access` as everywhere; a route whose handler asks a permission of its own for each thing in
 * it, or whose address holds a secret, is `public` and says so in `because`.
 */
export interface Route {
  readonly methods: readonly string[];
  /** A pattern over the whole path, with named groups. */
  readonly path: RegExp;
  readonly access: Access;
  readonly because?: string;
  /** Whether the session cookie is looked at. True only where a forged cross-site request is refused. */
  readonly cookies: boolean;
  /** A proof of possession counts once: it is used up before the answer, unless that sees to it. */
  readonly proofs?: 'spent by the answer';
  /** How long it may take, or null for as long as bytes flow. */
  readonly timeoutMs: number | null;
  answer(asked: Asked): Promise<void>;
}

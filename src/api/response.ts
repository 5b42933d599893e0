import { type IncomingMessage, type OutgoingHttpHeader, type OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { newId } from '../platform/ids.js';

/** What every answer says unless its handler says otherwise: nothing is kept, guessed, framed or run. */
const COMMON = [
  'cache-control',
  'no-store',
  'x-content-type-options',
  'nosniff',
  'referrer-policy',
  'no-referrer',
  'x-frame-options',
  'DENY',
  'cross-origin-opener-policy',
  'same-origin',
  'cross-origin-resource-policy',
  'same-origin',
  'content-security-policy',
  "default-src 'none'; frame-ancestors 'none'",
] as const;
const HTTPS_ONLY = ['strict-transport-security', 'max-age=31536000'] as const;

type Headers = OutgoingHttpHeaders | OutgoingHttpHeader[];

/** An answer over HTTP: it cannot leave without the headers that all answers have. */
export class ApiResponse<Request extends IncomingMessage = IncomingMessage> extends ServerResponse<Request> {
  readonly requestId = newId('request');
  /** Names and values in turn. */
  protected readonly common: readonly string[] = COMMON;

  /** Node calls it too, for a handler that does not. */
  override writeHead(status: number, ...more: [Headers?] | [string?, Headers?]): this {
    const { common } = this;
    if (!this.hasHeader('x-request-id')) this.setHeader('x-request-id', this.requestId);
    for (let i = 0; i < common.length; i += 2)
      if (!this.hasHeader(common[i]!)) this.setHeader(common[i]!, common[i + 1]!);
    return super.writeHead(status, ...(more as [string?, Headers?]));
  }

  /**
   * The whole of an answer with status 200. Headers go to Node as one list: to set them one by one costs five times as much.
   * `more`: names and values in turn.
   */
  answer(contentType: string, body: string | Buffer, more: readonly string[] = []): void {
    if (this.headersSent || this.destroyed) return;
    const bytes = Buffer.byteLength(body);
    const headers = ['x-request-id', this.requestId, 'content-type', contentType, 'content-length', String(bytes)];
    super.writeHead(200, headers.concat(this.common, more));
    // One byte a character: three times less room to write into than UTF-8 might need.
    if (typeof body === 'string' && bytes === body.length) this.end(body, 'latin1');
    else this.end(body);
  }
}

/** The same where browsers reach the platform by HTTPS. */
export class HttpsResponse<Request extends IncomingMessage = IncomingMessage> extends ApiResponse<Request> {
  protected override readonly common = [...COMMON, ...HTTPS_ONLY];
}

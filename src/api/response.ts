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
   * The whole of an answer with status 200. It leaves at the end of the turn, with the others that are ready then (the ledger's flush
   * makes many ready at once): written back to back they wake their reader once, not each anew, which costs more than the writing.
   * Headers go to Node as one list: to set them one by one costs five times as much. `more`: names and values in turn.
   */
  answer(contentType: string, body: string | Buffer, more: readonly string[] = []): void {
    const bytes = Buffer.byteLength(body);
    const headers = ['x-request-id', this.requestId, 'content-type', contentType, 'content-length', String(bytes)];
    // One byte a character: three times less room to write into than UTF-8 might need.
    const encoding = bytes === body.length ? 'latin1' : 'utf8';
    if (ready.length === 0) process.nextTick(sendReady);
    ready.push({ response: this, headers: headers.concat(this.common, more), body, encoding });
  }

  send({ headers, body, encoding }: Ready): void {
    if (this.headersSent || this.destroyed) return;
    super.writeHead(200, headers as string[]);
    this.end(body, encoding);
  }
}

interface Ready {
  readonly response: ApiResponse;
  readonly headers: readonly string[];
  readonly body: string | Buffer;
  readonly encoding: 'latin1' | 'utf8';
}

let ready: Ready[] = [];

function sendReady(): void {
  const now = ready;
  ready = [];
  for (const one of now)
    try {
      one.response.send(one);
    } catch {
      // Of one that cannot be sent, none of the others may know.
      one.response.destroy();
    }
}

/** The same where browsers reach the platform by HTTPS. */
export class HttpsResponse<Request extends IncomingMessage = IncomingMessage> extends ApiResponse<Request> {
  protected override readonly common = [...COMMON, ...HTTPS_ONLY];
}

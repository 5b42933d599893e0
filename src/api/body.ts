import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { AppError } from '../platform/errors.js';

const BYTE_ORDER_MARK = Buffer.from('\ufeff');

/** The JSON body of a POST. Refuses by what the headers say before it reads, and stops reading at the limit. */
export async function readJson(request: IncomingMessage, limitBytes: number): Promise<unknown> {
  requireJson(request.headers['content-type']);
  if (request.headers['content-encoding'] !== undefined)
    throw new AppError('UNSUPPORTED_MEDIA_TYPE', 'Compressed requests are not taken.');
  const bytes = await readBytes(request, limitBytes);
  if (!isUtf8(bytes)) throw new AppError('MALFORMED_REQUEST', 'The body is not UTF-8.');
  const text = bytes.toString('utf8', bytes.indexOf(BYTE_ORDER_MARK) === 0 ? BYTE_ORDER_MARK.length : 0);
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message quotes the body.
    throw new AppError('MALFORMED_REQUEST', 'The body is not JSON.');
  }
}

function requireJson(contentType: string | undefined): void {
  if (contentType === 'application/json') return;
  const [type, ...parameters] = (contentType ?? '')
    .toLowerCase()
    .split(';')
    .map((part) => part.trim());
  const charset = parameters.find((parameter) => parameter.startsWith('charset='))?.slice('charset='.length);
  if (type !== 'application/json' || (charset !== undefined && charset.replaceAll('"', '') !== 'utf-8'))
    throw new AppError('UNSUPPORTED_MEDIA_TYPE', 'The body must be application/json in UTF-8.');
}

/** Listening costs a third of what iterating does, on each of many small bodies. */
export function readBytes(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  const tooLarge = () => new AppError('BODY_TOO_LARGE', `A body has ${limitBytes} bytes at most.`);
  if (Number(request.headers['content-length'] ?? 0) > limitBytes) return Promise.reject(tooLarge());
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const take = (chunk: Buffer) => {
      size += chunk.length;
      chunks.push(chunk);
      if (size <= limitBytes) return;
      request.off('data', take);
      reject(tooLarge());
    };
    request.on('data', take);
    request.once('end', () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size)));
    // Also where the caller has gone away in the middle.
    request.once('error', reject);
    request.once('close', () => {
      if (!request.complete) reject(new AppError('MALFORMED_REQUEST', 'The body ended before its end.'));
    });
  });
}

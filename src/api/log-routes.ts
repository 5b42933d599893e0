import { AppError, notFound } from '../platform/errors.js';
import type { Asked, Route } from './route.js';

/*
 * The transparency log as C2SP tlog-tiles serves it, below /log. Public and read only: salted hashes, signatures, keys; nothing tells
 * whose entry it is.
 */

const TEXT = 'text/plain; charset=utf-8';
const BYTES = 'application/octet-stream';
const JSON_TYPE = 'application/json; charset=utf-8';
/** What changes with each checkpoint. */
const BRIEFLY = 'public, max-age=1';
/** Neither a full tile nor a partial one of a given width ever changes. */
const FOR_EVER = 'public, max-age=31536000, immutable';

/** Three digits a folder, all but the last marked by an x: x001/x234/067. */
const PLACE = String.raw`(?<place>(?:x\d{3}/){0,4}\d{3})(?:\.p/(?<width>[1-9]\d{0,2}))?`;

export function logRoutes(): Route[] {
  return [
    open(/^\/log\/checkpoint$/, async ({ app, response }) => {
      const { note } = await app.transparency.checkpoint();
      send(response, note, TEXT, BRIEFLY);
    }),
    open(/^\/log\/checkpoint\/witnessed$/, async ({ app, response }) => {
      const note = await app.transparency.witnessedCheckpoint();
      if (note === null) throw notFound('witnessed checkpoint');
      send(response, note, TEXT, BRIEFLY);
    }),
    open(/^\/log\/keys$/, ({ app, response }) => {
      send(response, JSON.stringify(app.transparency.publicKeys()), JSON_TYPE, BRIEFLY);
      return Promise.resolve();
    }),
    open(/^\/log\/witnesses$/, async ({ app, response }) => {
      send(response, JSON.stringify(await app.transparency.publicWitnesses()), JSON_TYPE, BRIEFLY);
    }),
    open(new RegExp(`^/log/tile/(?<level>0|[1-9]\\d?)/${PLACE}$`), async ({ app, response, parts }) => {
      const [index, width] = placeOf(parts);
      send(response, await app.transparency.tile(Number(parts['level']), index, width), BYTES, FOR_EVER);
    }),
    open(new RegExp(`^/log/tile/entries/${PLACE}$`), async ({ app, response, parts }) => {
      const [index, width] = placeOf(parts);
      const entries = await app.transparency.tile(-1, index, width);
      send(response, bundle(entries), BYTES, FOR_EVER);
    }),
  ];
}

function open(path: RegExp, answer: (asked: Asked) => Promise<void>): Route {
  return {
    methods: ['GET', 'HEAD'],
    path,
    access: 'public',
    because: 'salted hashes, signatures and keys, which are there to be seen by everybody',
    cookies: false,
    timeoutMs: 5000,
    answer,
  };
}

/** Index and width. One tile has one address: no group of zeroes in front, and a full one no width. */
function placeOf(parts: Asked['parts']): [number, number] {
  const [place, width] = [parts['place']!, Number(parts['width'] ?? 256)];
  const index = Number(place.replace(/[x/]/g, ''));
  const groups = place.split('/').length;
  if ((groups > 1 && index < 1000 ** (groups - 1)) || (parts['width'] && width > 255)) throw notFound('tile');
  return [index, width];
}

/** Each entry with its length in front, two bytes, big-endian. */
function bundle(entries: Buffer): Buffer {
  const count = entries.length / 32;
  const bytes = Buffer.alloc(count * 34);
  for (let i = 0; i < count; i++) {
    bytes.writeUInt16BE(32, i * 34);
    entries.copy(bytes, i * 34 + 2, i * 32, (i + 1) * 32);
  }
  return bytes;
}

function send(response: Asked['response'], body: Buffer | string, type: string, caching: string): void {
  if (response.destroyed) throw new AppError('TIMED_OUT', 'The caller has gone away.');
  response.setHeader('content-type', type);
  response.setHeader('cache-control', caching);
  response.setHeader('cross-origin-resource-policy', 'cross-origin');
  response.setHeader('content-length', Buffer.byteLength(body));
  response.end(body);
}

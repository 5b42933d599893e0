import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A log whose operator can do anything, made from the definitions of RFC 6962 and C2SP alone. */
export const sha256 = (...parts: (Buffer | string)[]) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};
export const leafOf = (entry: Buffer) => sha256(Buffer.of(0), entry);
export const splitOf = (n: number) => 2 ** Math.floor(Math.log2(n - 1));

export function rootOf(leaves: Buffer[]): Buffer {
  if (leaves.length === 0) return sha256();
  if (leaves.length === 1) return leaves[0]!;
  const k = splitOf(leaves.length);
  return sha256(Buffer.of(1), rootOf(leaves.slice(0, k)), rootOf(leaves.slice(k)));
}

export function pathOf(m: number, leaves: Buffer[]): Buffer[] {
  if (leaves.length === 1) return [];
  const k = splitOf(leaves.length);
  return m < k
    ? [...pathOf(m, leaves.slice(0, k)), rootOf(leaves.slice(k))]
    : [...pathOf(m - k, leaves.slice(k)), rootOf(leaves.slice(0, k))];
}

export function consistencyOf(m: number, leaves: Buffer[], known = true): Buffer[] {
  if (m === leaves.length) return known ? [] : [rootOf(leaves)];
  const k = splitOf(leaves.length);
  return m <= k
    ? [...consistencyOf(m, leaves.slice(0, k), known), rootOf(leaves.slice(k))]
    : [...consistencyOf(m - k, leaves.slice(k), false), rootOf(leaves.slice(0, k))];
}

export interface LogKeyPair {
  readonly name: string;
  readonly id: string;
  readonly verifierKey: string;
  readonly privateKey: KeyObject;
}

export function newKey(name: string, kind = 1): LogKeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const bytes = Buffer.concat([Buffer.of(kind), publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)]);
  const id = sha256(`${name}\n`, bytes).toString('hex', 0, 4);
  return { name, id, verifierKey: `${name}+${id}+${bytes.toString('base64')}`, privateKey };
}

export const signText = (text: string, { privateKey }: LogKeyPair) => sign(null, Buffer.from(text), privateKey);

export function lineOf(key: LogKeyPair, signature: Buffer): string {
  return `— ${key.name} ${Buffer.concat([Buffer.from(key.id, 'hex'), signature]).toString('base64')}\n`;
}

export function noteOf(origin: string, entries: Buffer[], key: LogKeyPair): string {
  const text = `${origin}\n${entries.length}\n${rootOf(entries.map(leafOf)).toString('base64')}\n`;
  return `${text}\n${lineOf(key, signText(text, key))}`;
}

export interface EvilLog {
  readonly url: string;
  origin: string;
  key: LogKeyPair;
  /** What the checkpoint is over, and what is shown. */
  entries: Buffer[];
  /** What is served instead of what follows from the above, by path below /log/. */
  readonly instead: Map<string, Buffer | string>;
  keys: object[];
  close(): Promise<void>;
}

export const randomEntries = (count: number) => Array.from({ length: count }, () => randomBytes(32));

export async function startEvilLog(entries: Buffer[]): Promise<EvilLog> {
  const origin = 'evil.example/log';
  const log = {
    origin,
    key: newKey(origin),
    entries,
    instead: new Map<string, Buffer | string>(),
    keys: [] as object[],
  };
  const serve = (path: string): Buffer | string | null => {
    const other = log.instead.get(path);
    if (other !== undefined) return other;
    if (path === 'checkpoint') return noteOf(log.origin, log.entries, log.key);
    if (path === 'keys')
      return JSON.stringify({
        origin: log.origin,
        keys: log.keys.length > 0 ? log.keys : [{ origin: log.origin, verifierKey: log.key.verifierKey }],
      });
    const [, level, place, width] = /^tile\/(entries|\d+)\/((?:x\d{3}\/)*\d{3})(?:\.p\/(\d+))?$/.exec(path) ?? [];
    if (!level || !place) return null;
    const first = Number(place.replace(/[x/]/g, '')) * 256;
    const count = Number(width ?? 256);
    if (level === 'entries')
      return Buffer.concat(log.entries.slice(first, first + count).flatMap((entry) => [Buffer.of(0, 32), entry]));
    const span = 256 ** Number(level);
    const leaves = log.entries.map(leafOf);
    return Buffer.concat(
      Array.from({ length: count }, (_, i) => rootOf(leaves.slice((first + i) * span, (first + i + 1) * span))),
    );
  };
  const server = createServer((request, response) => {
    const body = serve(request.url!.replace(/^\/log\//, ''));
    response.statusCode = body === null ? 404 : 200;
    response.end(body ?? '');
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return Object.assign(log, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
}

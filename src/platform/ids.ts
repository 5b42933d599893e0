import { randomFillSync } from 'node:crypto';

/** Every kind of thing that has a public id, and the prefix that its ids carry. */
export const ID_PREFIXES = {
  tenant: 'ten',
  account: 'acc',
  membership: 'mem',
  invitation: 'inv',
  session: 'ses',
  application: 'app',
  apiKey: 'key',
  device: 'dev',
  upload: 'upl',
  blob: 'blb',
  dataset: 'ds',
  datasetVersion: 'dsv',
  split: 'spl',
  job: 'job',
  training: 'trn',
  modelImport: 'imp',
  study: 'stu',
  model: 'mdl',
  modelVersion: 'mdv',
  evaluation: 'evl',
  endpoint: 'end',
  agreement: 'agr',
  listing: 'lst',
  offerRequest: 'orq',
  signingKey: 'sgk',
  witness: 'wit',
  batchPrediction: 'bat',
  prediction: 'prd',
  request: 'req',
} as const;

export type IdKind = keyof typeof ID_PREFIXES;

/** A new id: prefix, underscore, UUID version 7 (RFC 9562) without dashes, so that ids sort by the time they were made. */
export function newId(kind: IdKind): string {
  const at = drawUuid();
  return `${ID_PREFIXES[kind]}_${pool.toString('hex', at, at + 16)}`;
}

const pool = Buffer.allocUnsafeSlow(256 * 16);
let used = pool.length;
let lastMs = 0;
let sequence = 0;

/**
 * Makes the next 16 bytes of the pool a UUID version 7 and returns their place: 48 bits of milliseconds, a counter of 31 bits that
 * starts at random in each millisecond (RFC 9562, section 6.2, method 1), the rest random. Random bytes are drawn many at a time:
 * one by one they cost ten times as much.
 */
function drawUuid(): number {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const at = used;
  used += 16;
  const now = Date.now();
  if (now > lastMs) {
    lastMs = now;
    sequence = pool.readUInt32BE(at + 6) >>> 1;
  } else if (++sequence === 2 ** 31) {
    lastMs++;
    sequence = 0;
  }
  pool.writeUIntBE(lastMs, at, 6);
  // Version, 12 bits of the counter, variant, 14 bits, and 5 more.
  pool[at + 6] = 0x70 | (sequence >>> 27);
  pool[at + 7] = (sequence >>> 19) & 0xff;
  pool[at + 8] = 0x80 | ((sequence >>> 13) & 0x3f);
  pool[at + 9] = (sequence >>> 5) & 0xff;
  pool[at + 10] = ((sequence & 0x1f) << 3) | (pool[at + 10]! & 0x07);
  return at;
}

const ID = /^([a-z]{2,4})_[0-9a-f]{32}$/;
const KINDS = new Map<string, IdKind>(Object.entries(ID_PREFIXES).map(([kind, prefix]) => [prefix, kind as IdKind]));

/** The kind of thing that `id` names by its prefix, or null if it is no id of ours. */
export function kindOf(id: string): IdKind | null {
  return KINDS.get(ID.exec(id)?.[1] ?? '') ?? null;
}

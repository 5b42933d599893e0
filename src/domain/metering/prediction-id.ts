import { hash, randomFillSync } from 'node:crypto';
import { AppError } from '../../platform/errors.js';

const POOL_BYTES = 4096;
let pool = Buffer.alloc(0);
let used = 0;

/**
 * A UUID version 7 (RFC 9562) of 16 bytes: the time in milliseconds, then 74 random bits. They salt the entry in the public log, so
 * all of them are drawn anew, without the counter that others put there. Random bytes come 4096 at a time: one id by itself would
 * cost more than hashing it.
 */
export function newPredictionId(now = Date.now()): Buffer {
  if (used === pool.length) {
    pool = randomFillSync(Buffer.allocUnsafeSlow(POOL_BYTES));
    used = 0;
  }
  const id = pool.subarray(used, (used += 16));
  id.writeUIntBE(now, 0, 6);
  id[6] = (id[6]! & 0x0f) | 0x70;
  id[8] = (id[8]! & 0x3f) | 0x80;
  return id;
}

const KEY = /^[0-9a-f]{8}-?[0-9a-f]{4}-?([0-9a-f])[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$/i;

/**
 * The prediction that a tenant's idempotency key (a UUID) names, always the same. It keeps the time of a version 7, so that ids lie
 * together in the index, and is otherwise a hash: nobody's key can meet another tenant's. Throws INVALID_INPUT.
 */
export function predictionIdOf(tenantId: string, idempotencyKey: string): Buffer {
  const version = KEY.exec(idempotencyKey)?.[1];
  if (version === undefined)
    throw new AppError('INVALID_INPUT', 'An idempotency key is a UUID (RFC 9562).', { field: 'input.idempotencyKey' });
  const key = idempotencyKey.replaceAll('-', '').toLowerCase();
  const id = hash('sha256', `concordat idempotency\n${tenantId}\n${key}`, 'buffer').subarray(0, 16);
  if (version === '7') id.write(key.slice(0, 12), 0, 'hex');
  id[6] = (id[6]! & 0x0f) | (version === '7' ? 0x70 : 0x80);
  id[8] = (id[8]! & 0x3f) | 0x80;
  return id;
}

/** As the API names it. */
export function predictionName(id: Buffer): string {
  return `prd_${id.toString('hex')}`;
}

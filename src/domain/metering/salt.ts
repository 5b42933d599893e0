import { randomFillSync } from 'node:crypto';

const SALT_BYTES = 16;
let drawn = Buffer.alloc(0);
let used = 0;

/** 16 random bytes, never given twice. Drawn 256 at a time: one by one they cost more than hashing what they salt. */
export function takeSalt(): Buffer {
  if (used === drawn.length) {
    drawn = randomFillSync(Buffer.allocUnsafeSlow(256 * SALT_BYTES));
    used = 0;
  }
  return drawn.subarray(used, (used += SALT_BYTES));
}

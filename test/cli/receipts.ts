import { randomBytes } from 'node:crypto';
import canonicalize from 'canonicalize';
import { leafOf, newKey, pathOf, rootOf, sha256, signText } from './evil-log.js';

export const origin = 'concordat.example/0123456789abcdef';
export const key = newKey(origin);
const salt = randomBytes(16);
export const answer = { labels: ['yes', 'no'], scores: { yes: [0.75, 0.25], no: [0.25, 0.75] }, values: null };
export const columns = { x: [1.5, null], city: ['Lyon', null], when: ['2026-03-01', null], on: [true, null] };

/** The rows as the model takes them, by the names of its inputs. */
function inputDigest(): string {
  const kinds = { city: 'category', on: 'boolean', when: 'date', x: 'number' };
  const header = JSON.stringify([2, ...Object.entries(kinds)]);
  const date = BigInt64Array.of(BigInt(Date.UTC(2026, 2, 1)), -(2n ** 63n));
  const floats = (...values: number[]) => Buffer.from(Float32Array.of(...values).buffer);
  return sha256(
    salt,
    `input:${header}`,
    '["Lyon",""]',
    floats(1, NaN),
    Buffer.from(date.buffer),
    floats(1.5, NaN),
  ).toString('hex');
}

/** One flush of so many predictions from this index on; the receipts of all. */
export function makeReceipts(firstIndex: number, size: number, signer = key) {
  const context = { agreementId: 'agr_1', consumerTenantId: 'ten_1', modelDigest: 'ab', purpose: 'CREDIT' };
  const at = '2026-03-01T12:30:00.000Z';
  const entries = Array.from({ length: size }, (_, i) => ({
    at,
    code: 'ANSWERED',
    contextDigest: sha256(canonicalize(context)!).toString('hex'),
    durationUs: 1234,
    index: firstIndex + i,
    inputDigest: inputDigest(),
    kind: 'prediction',
    outputDigest: sha256(salt, 'output:', canonicalize(answer)!).toString('hex'),
    predictionId: `prd_${randomBytes(16).toString('hex')}`,
    rowCount: 2,
  }));
  const leaves = entries.map((entry) => leafOf(sha256(canonicalize(entry)!)));
  const root = rootOf(leaves).toString('base64');
  const signature = signText(`concordat batch\n${origin}\n${firstIndex}\n${size}\n${root}\n${at}\n`, signer);
  return entries.map((entry, i) => ({
    format: 'concordat-receipt/1',
    origin,
    entry,
    context,
    saltHex: salt.toString('hex'),
    batch: {
      firstIndex,
      size,
      at,
      path: pathOf(i, leaves).map((hash) => hash.toString('base64')),
      signature: signature.toString('base64'),
      keyId: signer.id,
    },
  }));
}

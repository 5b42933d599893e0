import { hkdfSync, randomBytes } from 'node:crypto';
import type { Tx } from './db.js';
import type { Scope } from './scope.js';
import { unwrap, wrap } from './sealing.js';

/**
 * Three layers: the master key wraps each tenant's key, the tenant's key wraps the key of each blob. Nothing is sealed twice
 * under a blob's key, and a row without its wrapped key can never be read again (crypto-shredding).
 */
export class KeyRing {
  readonly #wrapping: Buffer;

  /** `masterKey`: 32 bytes. */
  constructor(masterKey: Buffer) {
    this.#wrapping = Buffer.from(hkdfSync('sha256', masterKey, '', 'concordat wrapping of tenant keys', 32));
  }

  /** A new blob key and how to keep it, under the key of the scope's tenant (made on first use). */
  async makeBlobKey(
    tx: Tx,
    scope: Pick<Scope, 'tenantId'>,
    blobId: string,
  ): Promise<{ key: Buffer; wrappedKey: Buffer }> {
    const key = randomBytes(32);
    return { key, wrappedKey: wrap(key, await this.#tenantKey(tx, scope.tenantId), blobLabel(blobId)) };
  }

  async openBlobKey(tx: Tx, scope: Pick<Scope, 'tenantId'>, blobId: string, wrappedKey: Buffer): Promise<Buffer> {
    return unwrap(wrappedKey, await this.#tenantKey(tx, scope.tenantId), blobLabel(blobId));
  }

  async #tenantKey(tx: Tx, tenantId: string): Promise<Buffer> {
    const label = `concordat tenant key\n${tenantId}`;
    const find = () =>
      tx.query<{ wrapped: Buffer }[]>(`select wrapped_key as wrapped from tenant_key where tenant_id = $1`, [tenantId]);
    let [row] = await find();
    if (!row) {
      // Two first uploads at once make one key: whoever comes second reads the first one's.
      await tx.query(`insert into tenant_key (tenant_id, wrapped_key) values ($1, $2) on conflict do nothing`, [
        tenantId,
        wrap(randomBytes(32), this.#wrapping, label),
      ]);
      [row] = await find();
    }
    return unwrap(row!.wrapped, this.#wrapping, label);
  }
}

function blobLabel(blobId: string): string {
  return `concordat blob key\n${blobId}`;
}

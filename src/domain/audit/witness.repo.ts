import type { Tx } from '../../platform/db.js';
import type { Run } from './tree.repo.js';

export interface WitnessRow {
  readonly id: string;
  readonly tenantId: string;
  readonly name: string;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Buffer;
  readonly createdAt: Date;
  readonly removedAt: Date | null;
}

export interface CosignatureRow {
  readonly witnessId: string;
  readonly origin: string;
  readonly treeSize: number;
  readonly rootHash: Buffer;
  readonly signedAt: Date;
  readonly name: string;
  readonly publicKey: Buffer;
  /** Of the signed note, with its line feed. */
  readonly line: string;
}

const COSIGNATURE = `witness_id as "witnessId", origin, tree_size as "treeSize", root_hash as "rootHash", signed_at as "signedAt", name,
  public_key as "publicKey", line`;

/** False where the tenant has a witness of this name. */
export async function insertWitness(tx: Tx, row: WitnessRow): Promise<boolean> {
  const made = await tx.query<{ id: string }[]>(
    `insert into log_witness (id, tenant_id, name, public_key, created_at) values ($1, $2, $3, $4, $5)
     on conflict (tenant_id, name) where removed_at is null do nothing returning id`,
    [row.id, row.tenantId, row.name, row.publicKey, row.createdAt],
  );
  return made.length > 0;
}

/** The tenant's witnesses that are not removed, oldest first. */
export function listWitnesses(tx: Tx): Promise<WitnessRow[]> {
  return tx.query<WitnessRow[]>(
    `select id, tenant_id as "tenantId", name, public_key as "publicKey", created_at as "createdAt", removed_at as "removedAt"
     from log_witness where tenant_id = $1 and removed_at is null order by id`,
    [tx.tenantId],
  );
}

export async function markWitnessRemoved(tx: Tx, id: string, at: Date): Promise<void> {
  await tx.query(`update log_witness set removed_at = $3 where tenant_id = $1 and id = $2`, [tx.tenantId, id, at]);
}

/** The first signature of a witness for a size stays. */
export async function insertCosignature(tx: Tx, row: CosignatureRow): Promise<void> {
  await tx.query(
    `insert into log_cosignature (witness_id, origin, tree_size, root_hash, signed_at, name, public_key, line)
     values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing`,
    [row.witnessId, row.origin, row.treeSize, row.rootHash, row.signedAt, row.name, row.publicKey, row.line],
  );
}

/** What was co-signed of this checkpoint, by name. */
export function listCosignatures(run: Run, origin: string, treeSize: number): Promise<CosignatureRow[]> {
  return run<CosignatureRow>(
    `select ${COSIGNATURE} from log_cosignature where origin = $1 and tree_size = $2 order by name, witness_id`,
    [origin, treeSize],
  );
}

/** The last signature of each witness under this name of the log. */
export function listLastCosignatures(run: Run, origin: string): Promise<CosignatureRow[]> {
  return run<CosignatureRow>(
    `select distinct on (witness_id) ${COSIGNATURE} from log_cosignature where origin = $1 order by witness_id, tree_size desc`,
    [origin],
  );
}

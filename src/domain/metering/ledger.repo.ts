import type { Pool } from 'pg';

/** A request on its way into the ledger; the texts await the time and the verdict. */
export interface Posting {
  readonly predictionId: string;
  readonly tenantId: string;
  /** The provider; null where a tenant uses its own endpoint. */
  readonly counterpartyTenantId: string | null;
  readonly agreementId: string | null;
  readonly endpointId: string;
  readonly modelVersionId: string | null;
  /** The API key to look at once more; null for a person's session. */
  readonly keyId: string | null;
  readonly rowCount: number;
  /** Refused already, before the ledger. */
  readonly refusal: string | null;
  /** Canonical JSON with "at":null. */
  readonly answered: string;
  /** Canonical JSON with "at":null and "code":null. */
  readonly refused: string;
  readonly salt: Buffer;
}

/** What became of it, durably. */
export interface Posted {
  readonly logIndex: number;
  readonly leafHash: Buffer;
  readonly at: Date;
  /** Null: admitted, and charged. */
  readonly refusal: string | null;
  /** The state of an agreement out of force; the rows left of a quota. */
  readonly detail: string | null;
}

const FLUSH = {
  name: 'ledger_flush',
  text: `select index as "logIndex", hash as "leafHash", refusal, detail, recorded_at as at
    from ledger_flush($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
};

/** One transaction of its own, in the order of `batch`. When it returns, it is durable. */
export async function flush(pool: Pool, batch: readonly Posting[]): Promise<Posted[]> {
  const of = <K extends keyof Posting>(key: K) => batch.map((posting) => posting[key]);
  const values = [
    of('predictionId'),
    of('tenantId'),
    of('counterpartyTenantId'),
    of('agreementId'),
    of('endpointId'),
    of('modelVersionId'),
    of('keyId'),
    of('rowCount'),
    of('refusal'),
    of('answered'),
    of('refused'),
    of('salt'),
  ];
  const { rows } = await pool.query<Posted>({ ...FLUSH, values });
  return rows;
}

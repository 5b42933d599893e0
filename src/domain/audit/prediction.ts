import { hash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import canonicalize from 'canonicalize';
import { type PredictionContent, predictionContent } from './leaf.js';
import { outcomeName } from './outcome.js';

/** A row of `prediction_entry e` with the digest of its `prediction_context c`. */
export interface PredictionRow {
  readonly log_index: number;
  readonly at: Date;
  /** A UUID as PostgreSQL writes it. */
  readonly prediction_id: string;
  readonly context_digest: Buffer;
  readonly row_count: number;
  readonly duration_us: number;
  readonly code: number;
  readonly input_digest: Buffer | null;
  readonly output_digest: Buffer | null;
}

/** What to select for it. */
export const PREDICTION_COLUMNS = `e.log_index, e.at, e.prediction_id, c.digest as context_digest, e.row_count, e.duration_us, e.code,
  e.input_digest, e.output_digest`;

/** The content that the entry commits to. */
export function contentOf(row: PredictionRow): PredictionContent {
  return {
    at: row.at.toISOString(),
    code: outcomeName(row.code),
    contextDigest: row.context_digest.toString('hex'),
    durationUs: row.duration_us,
    index: row.log_index,
    inputDigest: row.input_digest?.toString('hex') ?? null,
    kind: 'prediction',
    outputDigest: row.output_digest?.toString('hex') ?? null,
    predictionId: `prd_${row.prediction_id.replaceAll('-', '')}`,
    rowCount: row.row_count,
  };
}

/** The same as canonical JSON, the bytes that are hashed. */
export function contentTextOf(row: PredictionRow): string {
  return predictionContent(contentOf(row));
}

/** A row of `prediction_context c`, with what CONTEXT_COLUMNS selects. */
export interface ContextRow {
  readonly context_digest: Buffer;
  readonly context: string;
  readonly tenant_id: string;
  readonly counterparty_tenant_id: string | null;
  readonly agreement_id: string | null;
  readonly endpoint_id: string;
  readonly model_version_id: string | null;
  readonly purpose: string | null;
  readonly key_id: string | null;
  readonly device_id: string | null;
}

export const CONTEXT_COLUMNS = `c.content as context, c.tenant_id, c.counterparty_tenant_id, c.agreement_id, c.endpoint_id,
  c.model_version_id, c.purpose, c.key_id, c.device_id`;

/** What is wrong with a context, whose digest its entries commit to; null if nothing is. */
export function contextFault(row: ContextRow): string | null {
  if (!hash('sha256', row.context, 'buffer').equals(row.context_digest)) return 'the digest is not that of the context';
  const said = JSON.parse(row.context) as Readonly<Record<string, unknown>>;
  if (canonicalize(said) !== row.context) return 'the context is not canonical';
  const { consumerTenantId, providerTenantId, agreementId, endpointId, modelVersionId, purpose, deviceId } = said;
  const columns = [row.tenant_id, row.counterparty_tenant_id, row.agreement_id, row.endpoint_id, row.model_version_id];
  const other = providerTenantId === consumerTenantId ? null : providerTenantId;
  const { keyId = null } = said['actor'] as { keyId?: unknown };
  return isDeepStrictEqual(
    [...columns, row.purpose, row.device_id, row.key_id],
    [consumerTenantId, other, agreementId, endpointId, modelVersionId, purpose, deviceId, keyId],
  )
    ? null
    : 'the columns of the context are not its content';
}

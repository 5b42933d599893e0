import { type Db, inTenant, type Tx } from '../../platform/db.js';
import { AppError } from '../../platform/errors.js';
import { type Page, type PageRequest, readPage } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import { type EntryFilter, insertEntry, listEntries, listPredictions, type PredictionEntryRow } from './audit.repo.js';
import { leafHash, makeLeaf, NO_SALT, predictionContent } from './leaf.js';
import { OUTCOMES } from './outcome.js';
import { contentOf } from './prediction.js';

/** Every kind of decision that the log knows. The second word is what happened, in the past. */
export const AUDIT_KINDS = [
  'tenant.created',
  'member.invited',
  'member.joined',
  'member.role-changed',
  'member.removed',
  'session.opened',
  'session.refused',
  'session.closed',
  'password.changed',
  'operator.created',
  'application.created',
  'key.created',
  'key.revoked',
  'device.registered',
  'device.revoked',
  'upload.created',
  'upload.received',
  'upload.refused',
  'dataset.created',
  'dataset.ingested',
  'dataset.refused',
  'dataset.deleted',
  'licence.declared',
  'split.created',
  'training.started',
  'training.finished',
  'training.failed',
  'training.cancelled',
  'training.retried',
  'import.started',
  'import.finished',
  'import.failed',
  'import.cancelled',
  'import.retried',
  'study.started',
  'study.finished',
  'study.failed',
  'study.cancelled',
  'study.retried',
  'evaluation.started',
  'evaluation.finished',
  'evaluation.failed',
  'evaluation.cancelled',
  'evaluation.retried',
  'batch.started',
  'batch.finished',
  'batch.failed',
  'batch.cancelled',
  'batch.retried',
  'batch.deleted',
  'model.created',
  'version.registered',
  'version.refused',
  'alias.set',
  'endpoint.created',
  'endpoint.routed',
  'endpoint.deleted',
  'signing-key.registered',
  'signing-key.revoked',
  'agreement.offered',
  'agreement.countered',
  'agreement.withdrawn',
  'agreement.signed',
  'agreement.activated',
  'agreement.amendment-proposed',
  'agreement.amendment-rejected',
  'agreement.amendment-lapsed',
  'agreement.amended',
  'agreement.suspended',
  'agreement.breached',
  'agreement.resumed',
  'agreement.renewal-stopped',
  'agreement.renewed',
  'agreement.notice-given',
  'agreement.terminated',
  'agreement.expired',
  'agreement.settled',
  'data-use.admitted',
  'data-use.refused',
  'data-use.ended',
  'listing.created',
  'listing.changed',
  'listing.withdrawn',
  'offer-request.made',
  'offer-request.answered',
  'offer-request.declined',
  'offer-request.withdrawn',
  'log.began',
  'log.key-rotated',
  'witness.registered',
  'witness.removed',
  'device.admitted',
  'device.dismissed',
  'prediction.answered',
  'prediction.refused',
] as const;

export type AuditKind = (typeof AUDIT_KINDS)[number];

export interface AuditEvent {
  readonly kind: AuditKind;
  readonly subjectId: string | null;
  /** JSON: digests, ids, counts, terms. Never a row, a key or a password. */
  readonly detail?: Readonly<Record<string, unknown>>;
  /** The other party of an agreement; it may read this entry. */
  readonly counterpartyTenantId?: string | null;
  readonly at?: Date;
}

/**
 * Appends one entry in the caller's transaction, so that a decision and its record are one. Call it LAST: it locks the log
 * until the commit (lock order everywhere: business rows, then the log). Returns the index.
 */
export function appendAudit(tx: Tx, scope: Pick<Scope, 'tenantId' | 'actor'>, event: AuditEvent): Promise<number> {
  const at = event.at ?? new Date();
  const entry = {
    tenantId: scope.tenantId,
    counterpartyTenantId: event.counterpartyTenantId ?? null,
    at,
    kind: event.kind,
    subjectId: event.subjectId,
  };
  const leaf = makeLeaf({
    at: at.toISOString(),
    kind: event.kind,
    tenantId: scope.tenantId,
    counterpartyTenantId: entry.counterpartyTenantId,
    actor: scope.actor,
    subjectId: event.subjectId,
    detail: event.detail ?? {},
  });
  return insertEntry(tx, entry, leaf);
}

export { contentOf, contentTextOf, PREDICTION_COLUMNS, type PredictionRow } from './prediction.js';
export { entryOf, leafHash, NO_SALT, predictionContent, type PredictionContent } from './leaf.js';
export type { RecentEntries } from './recent-entries.js';
export { leafOf, nodeOf } from './tree.js';
export { type Outcome, outcomeName, outcomeNumber, OUTCOMES } from './outcome.js';

/** The reading side: what a tenant's auditor sees. */
export class AuditService {
  constructor(private readonly db: Pick<Db, 'app'>) {}

  /** Newest first; the tenant's own entries, and those that name it as the other party. */
  list(scope: Scope, filter: EntryFilter, request: PageRequest): Promise<Page<AuditEntry>> {
    return inTenant(this.db, scope, (tx) =>
      readPage(
        request,
        (row) => String(row.logIndex),
        (after, limit) => listBoth(tx, filter, { before: indexOf(after), limit }),
      ),
    );
  }
}

/** One entry, whichever table it is in. */
export interface AuditEntry {
  readonly logIndex: number;
  readonly at: Date;
  readonly kind: string;
  readonly subjectId: string | null;
  readonly content: string;
  /** Of predictions, the canonical JSON whose SHA-256 the content names. */
  readonly context: string | null;
  /** Empty for predictions: their id is the salt. */
  readonly salt: Buffer;
  readonly leafHash: Buffer;
}

const ANSWERED = 'prediction.answered';
const REFUSED = 'prediction.refused';

async function listBoth(
  tx: Tx,
  filter: EntryFilter,
  page: { before: number | null; limit: number },
): Promise<AuditEntry[]> {
  const entries = await listEntries(tx, filter, page);
  const predictions = await listPredictionsAs(tx, filter, page);
  const both: AuditEntry[] = [...entries.map((entry) => ({ ...entry, context: null })), ...predictions];
  return both.sort((a, b) => b.logIndex - a.logIndex).slice(0, page.limit);
}

async function listPredictionsAs(
  tx: Tx,
  { kind, subjectId }: EntryFilter,
  page: { before: number | null; limit: number },
): Promise<AuditEntry[]> {
  if (kind !== null && kind !== ANSWERED && kind !== REFUSED) return [];
  const predictionId = subjectId === null ? null : (/^prd_([0-9a-f]{32})$/.exec(subjectId)?.[1] ?? null);
  if (subjectId !== null && predictionId === null) return [];
  const isAnswered = kind === null ? null : kind === ANSWERED;
  return (await listPredictions(tx, { isAnswered, predictionId }, page)).map(predictionEntry);
}

function predictionEntry(row: PredictionEntryRow): AuditEntry {
  const said = contentOf(row);
  const content = predictionContent(said);
  return {
    logIndex: row.log_index,
    at: row.at,
    kind: row.code === OUTCOMES.ANSWERED ? ANSWERED : REFUSED,
    subjectId: said.predictionId,
    content,
    context: row.context,
    salt: NO_SALT,
    leafHash: leafHash(NO_SALT, content),
  };
}

function indexOf(cursor: string | null): number | null {
  if (cursor === null) return null;
  const index = Number(cursor);
  if (!Number.isSafeInteger(index)) throw new AppError('INVALID_CURSOR', 'This cursor was not given by this list.');
  return index;
}

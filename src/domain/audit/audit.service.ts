import { type Db, inTenant, type Tx } from '../../platform/db.js';
import { AppError } from '../../platform/errors.js';
import { type Page, type PageRequest, readPage } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import type { AuditEntryRow } from './audit.entity.js';
import { type EntryFilter, insertEntry, listEntries } from './audit.repo.js';
import { makeLeaf } from './leaf.js';

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
  'upload.created',
  'upload.received',
  'upload.refused',
  'dataset.created',
  'dataset.ingested',
  'dataset.refused',
  'dataset.deleted',
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
  'model.created',
  'version.registered',
  'version.refused',
  'alias.set',
  'endpoint.created',
  'endpoint.routed',
  'endpoint.deleted',
  'agreement.offered',
  'agreement.withdrawn',
  'agreement.signed',
  'agreement.activated',
  'agreement.suspended',
  'agreement.resumed',
  'agreement.terminated',
  'agreement.expired',
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

/** The reading side: what a tenant's auditor sees. */
export class AuditService {
  constructor(private readonly db: Pick<Db, 'app'>) {}

  /** Newest first; the tenant's own entries, and those that name it as the other party. */
  list(scope: Scope, filter: EntryFilter, request: PageRequest): Promise<Page<AuditEntryRow>> {
    return inTenant(this.db, scope, (tx) =>
      readPage(
        request,
        (row) => String(row.logIndex),
        (after, limit) => listEntries(tx, filter, { before: indexOf(after), limit }),
      ),
    );
  }
}

function indexOf(cursor: string | null): number | null {
  if (cursor === null) return null;
  const index = Number(cursor);
  if (!Number.isSafeInteger(index)) throw new AppError('INVALID_CURSOR', 'This cursor was not given by this list.');
  return index;
}

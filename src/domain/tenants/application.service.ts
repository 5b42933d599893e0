import type { Clock } from '../../platform/clock.js';
import { type Db, inTenant } from '../../platform/db.js';
import { AppError, notFound } from '../../platform/errors.js';
import { newId } from '../../platform/ids.js';
import { type Page, type PageRequest, readPage } from '../../platform/page.js';
import { KEY_PERMISSIONS, type Permission } from '../../platform/permissions.js';
import type { Scope } from '../../platform/scope.js';
import { appendAudit } from '../audit/audit.service.js';
import * as applications from './application.repo.js';
import type { CredentialService } from './credential.service.js';
import { normalName } from './email.js';
import type { ApiKeyRow, ApplicationRow } from './tenant.entity.js';
import { newToken } from './token.js';

const DAY_MS = 24 * 3600_000;
const KEY_DAYS = 365;
const MOST_KEY_DAYS = 3650;

export interface NewKey {
  readonly applicationId: string;
  readonly name: string;
  readonly permissions: readonly Permission[];
  readonly expiresAt: Date | null;
}

/** Applications of a tenant, and the keys by which they call. */
export class ApplicationService {
  constructor(
    private readonly db: Pick<Db, 'app'>,
    private readonly clock: Clock,
    private readonly credentials: Pick<CredentialService, 'forget'>,
  ) {}

  /** CONFLICT if the tenant has an application of this name. */
  create(scope: Scope, input: { name: string }): Promise<ApplicationRow> {
    const name = normalName(input.name, 'input.name');
    const row = { id: newId('application'), tenantId: scope.tenantId, name, createdAt: this.clock.now() };
    return inTenant(this.db, scope, async (tx) => {
      if (!(await applications.insertApplication(tx, row)))
        throw new AppError('CONFLICT', 'The tenant has an application of this name.', { field: 'input.name' });
      await appendAudit(tx, scope, { kind: 'application.created', subjectId: row.id, at: row.createdAt });
      return row;
    });
  }

  find(scope: Scope, id: string): Promise<ApplicationRow | null> {
    return inTenant(this.db, scope, (tx) => applications.findApplication(tx, id));
  }

  list(scope: Scope, request: PageRequest): Promise<Page<ApplicationRow>> {
    return inTenant(this.db, scope, (tx) =>
      readPage(
        request,
        (row) => row.id,
        (after, limit) => applications.listApplications(tx, after, limit),
      ),
    );
  }

  /** The key's secret is in the answer and nowhere else. INVALID_INPUT for a permission that keys or the caller cannot have. */
  createKey(scope: Scope, input: NewKey): Promise<{ apiKey: ApiKeyRow; token: string }> {
    const createdAt = this.clock.now();
    const expiresAt = input.expiresAt ?? new Date(createdAt.getTime() + KEY_DAYS * DAY_MS);
    if (expiresAt <= createdAt || expiresAt.getTime() > createdAt.getTime() + MOST_KEY_DAYS * DAY_MS)
      throw new AppError('INVALID_INPUT', `A key expires within ${MOST_KEY_DAYS} days from now.`, {
        field: 'input.expiresAt',
      });
    const permissions = allowed(scope, input.permissions);
    const { token, hash } = newToken('apiKey');
    const apiKey: ApiKeyRow = {
      id: newId('apiKey'),
      tenantId: scope.tenantId,
      applicationId: input.applicationId,
      name: normalName(input.name, 'input.name'),
      tokenHash: hash,
      hint: token.slice(0, 7),
      permissions,
      createdAt,
      expiresAt,
      revokedAt: null,
    };
    return inTenant(this.db, scope, async (tx) => {
      if (!(await applications.findApplication(tx, input.applicationId))) throw notFound('application');
      await applications.insertKey(tx, apiKey);
      const detail = { applicationId: input.applicationId, permissions, expiresAt: expiresAt.toISOString() };
      await appendAudit(tx, scope, { kind: 'key.created', subjectId: apiKey.id, detail, at: createdAt });
      return { apiKey, token };
    });
  }

  findKey(scope: Scope, id: string): Promise<ApiKeyRow | null> {
    return inTenant(this.db, scope, (tx) => applications.findKey(tx, id));
  }

  /** Of one application, or of all. NOT_FOUND for an application that there is not. */
  listKeys(scope: Scope, applicationId: string | null, request: PageRequest): Promise<Page<ApiKeyRow>> {
    return inTenant(this.db, scope, async (tx) => {
      if (applicationId !== null && !(await applications.findApplication(tx, applicationId)))
        throw notFound('application');
      return readPage(
        request,
        (row) => row.id,
        (after, limit) => applications.listKeys(tx, { applicationId, after, limit }),
      );
    });
  }

  /** Takes effect here with the next request, on other replicas within a second. Revoking twice changes nothing. */
  async revokeKey(scope: Scope, id: string): Promise<ApiKeyRow> {
    const revoked = await inTenant(this.db, scope, async (tx) => {
      const apiKey = await applications.lockKey(tx, id);
      if (!apiKey) throw notFound('API key');
      if (apiKey.revokedAt) return apiKey;
      const at = this.clock.now();
      await applications.markRevoked(tx, id, at);
      await appendAudit(tx, scope, { kind: 'key.revoked', subjectId: id, at });
      return { ...apiKey, revokedAt: at };
    });
    this.credentials.forget(id);
    return revoked;
  }
}

function allowed(scope: Scope, permissions: readonly Permission[]): Permission[] {
  const field = 'input.permissions';
  const unique = [...new Set(permissions)].sort();
  if (unique.length === 0) throw new AppError('INVALID_INPUT', 'A key needs at least one permission.', { field });
  for (const permission of unique) {
    if (!(KEY_PERMISSIONS as readonly Permission[]).includes(permission))
      throw new AppError('INVALID_INPUT', `A key cannot have the permission ${permission}.`, { field });
    if (!scope.permissions.has(permission))
      throw new AppError('INVALID_INPUT', `You cannot give the permission ${permission}, which you do not have.`, {
        field,
      });
  }
  return unique;
}

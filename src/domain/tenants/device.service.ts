import type { Clock } from '../../platform/clock.js';
import { type Db, inTenant, type Tx } from '../../platform/db.js';
import { AppError, notFound } from '../../platform/errors.js';
import { kindOf, newId } from '../../platform/ids.js';
import { type Page, type PageRequest, readPage } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import { appendAudit } from '../audit/audit.service.js';
import { findApplication } from './application.repo.js';
import type { DeviceRow } from './device.entity.js';
import { parsePublicKey } from './device-key.js';
import * as devices from './device.repo.js';
import { normalName } from './email.js';

export interface NewDevice {
  readonly applicationId: string;
  readonly name: string;
  /** The public JWK, in JSON. */
  readonly publicKey: string;
}

/** Devices of a tenant's applications, known by the keys that they prove to hold. */
export class DeviceService {
  constructor(
    private readonly db: Pick<Db, 'app'>,
    private readonly clock: Clock,
  ) {}

  /** Throws INVALID_INPUT for what is no public key of a kind that proofs use, CONFLICT for one that the tenant has registered before. */
  async register(scope: Scope, input: NewDevice): Promise<DeviceRow> {
    const name = normalName(input.name, 'input.name');
    const key = await parsePublicKey(input.publicKey, 'input.publicKey');
    const createdAt = this.clock.now();
    const { tenantId } = scope;
    const { applicationId } = input;
    const row = { ...key, id: newId('device'), tenantId, applicationId, name, createdAt, revokedAt: null };
    return inTenant(this.db, scope, async (tx) => {
      if (kindOf(applicationId) !== 'application' || !(await findApplication(tx, applicationId)))
        throw notFound('application');
      if (!(await devices.insertDevice(tx, row)))
        throw new AppError('CONFLICT', 'The tenant has registered this key before.', {
          field: 'input.publicKey',
          remedy: 'Make a new key on the device.',
        });
      const detail = { applicationId, thumbprint: row.thumbprint.toString('base64url') };
      await appendAudit(tx, scope, { kind: 'device.registered', subjectId: row.id, detail, at: createdAt });
      return row;
    });
  }

  /** Takes effect at once, and for good: the key cannot be registered again. Revoking twice changes nothing. */
  revoke(scope: Scope, id: string): Promise<DeviceRow> {
    return inTenant(this.db, scope, async (tx) => {
      const row = await this.lock(tx, id);
      if (row.revokedAt) return row;
      const at = this.clock.now();
      await devices.markDeviceRevoked(tx, id, at);
      await appendAudit(tx, scope, { kind: 'device.revoked', subjectId: id, at });
      return { ...row, revokedAt: at };
    });
  }

  find(scope: Scope, id: string): Promise<DeviceRow | null> {
    return inTenant(this.db, scope, (tx) => devices.findDevice(tx, id));
  }

  /** Of one application, or of all. NOT_FOUND for an application that there is not. */
  list(scope: Scope, applicationId: string | null, request: PageRequest): Promise<Page<DeviceRow>> {
    return inTenant(this.db, scope, async (tx) => {
      if (applicationId !== null && !(await findApplication(tx, applicationId))) throw notFound('application');
      return readPage(
        request,
        (row) => row.id,
        (after, limit) => devices.listDevices(tx, { applicationId, after, limit }),
      );
    });
  }

  /** Locked until the commit; before agreements, whoever locks both. Joins the caller's transaction; throws NOT_FOUND. */
  async lock(tx: Tx, id: string): Promise<DeviceRow> {
    const row = kindOf(id) === 'device' ? await devices.findDeviceForUpdate(tx, id) : null;
    if (!row) throw notFound('device');
    return row;
  }

  /** Locked until the commit. Joins the caller's transaction; NOT_FOUND for one that is not there, CONFLICT for a revoked one. */
  async getUsable(tx: Tx, id: string): Promise<DeviceRow> {
    const row = await this.lock(tx, id);
    if (row.revokedAt)
      throw new AppError('CONFLICT', 'The device is revoked.', { remedy: 'Register a new key of the device.' });
    return row;
  }
}

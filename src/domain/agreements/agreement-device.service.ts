import type { Clock } from '../../platform/clock.js';
import { type Db, inTenant, type Tx } from '../../platform/db.js';
import { AppError, notFound } from '../../platform/errors.js';
import { kindOf } from '../../platform/ids.js';
import { type Page, type PageRequest, readPage } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import { appendAudit } from '../audit/audit.service.js';
import type { DeviceService } from '../tenants/device.service.js';
import * as repo from './agreement-device.repo.js';
import type { AgreementRow } from './agreement.entity.js';
import { findAgreement, findAgreementForUpdate } from './agreement.repo.js';
import { stateAt } from './step.js';

/** A device that an agreement admits, as one of the parties sees it: the provider by its thumbprint only. */
export interface AgreementDevice {
  readonly agreementId: string;
  readonly deviceId: string | null;
  readonly thumbprint: string;
  readonly admittedAt: Date;
}

export interface Admission {
  readonly agreementId: string;
  readonly deviceId: string;
}

/** The consumer's devices under agreements whose terms ask for them. */
export class AgreementDeviceService {
  constructor(
    private readonly db: Pick<Db, 'app'>,
    private readonly clock: Clock,
    private readonly devices: DeviceService,
  ) {}

  /** The agreements that admit the tenant's device now. */
  async agreementsOf(scope: Pick<Scope, 'tenantId'>, deviceId: string): Promise<ReadonlySet<string>> {
    return new Set(await inTenant(this.db, scope, (tx) => repo.listAdmitting(tx, deviceId)));
  }

  /** Throws LIMIT_REACHED beyond `devices.most`, CONFLICT where the terms allow none or the agreement has ended. Twice changes nothing. */
  admit(scope: Scope, { agreementId, deviceId }: Admission): Promise<AgreementDevice> {
    return inTenant(this.db, scope, async (tx) => {
      const device = await this.devices.getUsable(tx, deviceId);
      const agreement = await this.lockAsConsumer(tx, agreementId);
      const { devices } = agreement.terms;
      if (!devices)
        throw new AppError('CONFLICT', 'The terms of this agreement say nothing of devices.', {
          remedy: 'Use the endpoint without: or agree on terms with devices.',
        });
      const now = this.clock.now();
      if (ENDED.has(stateAt(agreement, now))) throw new AppError('CONFLICT', 'The agreement has ended.');
      const { providerTenantId, consumerTenantId } = agreement;
      const { thumbprint } = device;
      const row = { agreementId, providerTenantId, consumerTenantId, deviceId, thumbprint, admittedAt: now };
      if (!(await repo.insertAgreementDevice(tx, row))) return viewOf(scope, row);
      // The agreement is locked: nobody else admits meanwhile.
      if (devices.most !== null && (await repo.countAgreementDevices(tx, agreementId)) > devices.most)
        throw new AppError('LIMIT_REACHED', `The agreement admits at most ${devices.most} devices.`, {
          remedy: 'Dismiss or revoke another device first, or agree on more.',
        });
      await this.audit(tx, scope, agreement, { kind: 'device.admitted', thumbprint, at: now });
      return viewOf(scope, row);
    });
  }

  /** NOT_FOUND for a device that the agreement does not admit. */
  dismiss(scope: Scope, { agreementId, deviceId }: Admission): Promise<string> {
    return inTenant(this.db, scope, async (tx) => {
      await this.devices.lock(tx, deviceId);
      const agreement = await this.lockAsConsumer(tx, agreementId);
      const thumbprint = await repo.deleteAgreementDevice(tx, agreementId, deviceId);
      if (!thumbprint) throw notFound('device');
      await this.audit(tx, scope, agreement, { kind: 'device.dismissed', thumbprint, at: this.clock.now() });
      return deviceId;
    });
  }

  list(scope: Scope, agreementId: string, page: PageRequest): Promise<Page<AgreementDevice>> {
    return inTenant(this.db, scope, async (tx) => {
      await this.get(tx, agreementId);
      return readPage(
        page,
        (device) => Buffer.from(device.thumbprint, 'base64url').toString('hex'),
        async (after, limit) => {
          const rows = await repo.listAgreementDevices(tx, { agreementId, after, limit });
          return rows.map((row) => viewOf(scope, row));
        },
      );
    });
  }

  count(scope: Scope, agreementId: string): Promise<number> {
    return inTenant(this.db, scope, async (tx) => {
      await this.get(tx, agreementId);
      return repo.countAgreementDevices(tx, agreementId);
    });
  }

  private async get(tx: Tx, agreementId: string): Promise<AgreementRow> {
    const row = kindOf(agreementId) === 'agreement' ? await findAgreement(tx, agreementId) : null;
    if (!row) throw notFound('agreement');
    return row;
  }

  private async lockAsConsumer(tx: Tx, agreementId: string): Promise<AgreementRow> {
    const row = kindOf(agreementId) === 'agreement' ? await findAgreementForUpdate(tx, agreementId) : null;
    if (!row) throw notFound('agreement');
    if (row.consumerTenantId !== tx.tenantId)
      throw new AppError('ILLEGAL_STEP', 'The consumer alone says which of its devices use the agreement.');
    return row;
  }

  private audit(
    tx: Tx,
    scope: Scope,
    { id, providerTenantId }: AgreementRow,
    event: { kind: 'device.admitted' | 'device.dismissed'; thumbprint: Buffer; at: Date },
  ): Promise<number> {
    const { kind, thumbprint, at } = event;
    const detail = { thumbprint: thumbprint.toString('base64url') };
    return appendAudit(tx, scope, { kind, subjectId: id, detail, at, counterpartyTenantId: providerTenantId });
  }
}

const ENDED: ReadonlySet<string> = new Set(['WITHDRAWN', 'TERMINATED', 'EXPIRED']);

function viewOf(scope: Scope, row: repo.AgreementDeviceRow): AgreementDevice {
  return {
    agreementId: row.agreementId,
    deviceId: row.consumerTenantId === scope.tenantId ? row.deviceId : null,
    thumbprint: row.thumbprint.toString('base64url'),
    admittedAt: row.admittedAt,
  };
}

import type { JWK } from 'jose';
import type { Db } from '../../platform/db.js';
import { own, type Tx } from '../../platform/db.js';
import { DeviceRow } from './device.entity.js';

/** False if the tenant has registered this key before. */
export async function insertDevice(tx: Tx, row: DeviceRow): Promise<boolean> {
  const made = await tx.query<unknown[]>(
    `insert into device (id, tenant_id, application_id, name, public_key, thumbprint, created_at) values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (tenant_id, thumbprint) do nothing returning id`,
    [row.id, row.tenantId, row.applicationId, row.name, JSON.stringify(row.publicKey), row.thumbprint, row.createdAt],
  );
  return made.length > 0;
}

export function findDevice(tx: Tx, id: string): Promise<DeviceRow | null> {
  return tx.findOneBy(DeviceRow, { ...own(tx), id });
}

export function findDeviceForUpdate(tx: Tx, id: string): Promise<DeviceRow | null> {
  return tx.findOne(DeviceRow, { where: { ...own(tx), id }, lock: { mode: 'pessimistic_write' } });
}

export interface DeviceList {
  readonly applicationId: string | null;
  readonly after: string | null;
  readonly limit: number;
}

/** Oldest first. */
export function listDevices(tx: Tx, list: DeviceList): Promise<DeviceRow[]> {
  return tx
    .createQueryBuilder(DeviceRow, 'device')
    .where(own(tx))
    .andWhere(`device.id > coalesce(:after, '')`, { after: list.after })
    .andWhere(list.applicationId === null ? 'true' : 'device.application_id = :application', {
      application: list.applicationId,
    })
    .orderBy('device.id')
    .limit(list.limit)
    .getMany();
}

export async function markDeviceRevoked(tx: Tx, id: string, at: Date): Promise<void> {
  await tx.update(DeviceRow, { ...own(tx), id }, { revokedAt: at });
}

/** What the gate knows of a device that is not revoked. */
export interface DeviceFound {
  readonly id: string;
  readonly applicationId: string;
  readonly publicKey: JWK;
  /** That admit it. */
  readonly agreementIds: string[];
}

export async function findDeviceByKey(
  gate: Db['gate'],
  tenantId: string,
  thumbprint: Buffer,
): Promise<DeviceFound | null> {
  const { rows } = await gate.query<DeviceFound>({
    name: 'find-device',
    text: `select d.id, d.application_id as "applicationId", d.public_key as "publicKey",
        array(select a.agreement_id from agreement_device a where a.consumer_tenant_id = d.tenant_id and a.device_id = d.id) as "agreementIds"
      from device d where d.tenant_id = $1 and d.thumbprint = $2 and d.revoked_at is null`,
    values: [tenantId, thumbprint],
  });
  return rows[0] ?? null;
}

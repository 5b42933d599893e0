import type { Tx } from '../../platform/db.js';

/** A device under an agreement. */
export interface AgreementDeviceRow {
  readonly agreementId: string;
  readonly providerTenantId: string;
  readonly consumerTenantId: string;
  readonly deviceId: string;
  readonly thumbprint: Buffer;
  readonly admittedAt: Date;
}

/** False if it is there already. */
export async function insertAgreementDevice(tx: Tx, row: AgreementDeviceRow): Promise<boolean> {
  const made = await tx.query<unknown[]>(
    `insert into agreement_device (agreement_id, provider_tenant_id, consumer_tenant_id, device_id, thumbprint, admitted_at)
     values ($1, $2, $3, $4, $5, $6) on conflict do nothing returning device_id`,
    [row.agreementId, row.providerTenantId, row.consumerTenantId, row.deviceId, row.thumbprint, row.admittedAt],
  );
  return made.length > 0;
}

/** The thumbprint; null if it was not there. */
export async function deleteAgreementDevice(tx: Tx, agreementId: string, deviceId: string): Promise<Buffer | null> {
  const [rows] = await tx.query<[{ thumbprint: Buffer }[], number]>(
    `delete from agreement_device where consumer_tenant_id = $1 and agreement_id = $2 and device_id = $3 returning thumbprint`,
    [tx.tenantId, agreementId, deviceId],
  );
  return rows[0]?.thumbprint ?? null;
}

/** The agreements that admit the consumer's device. */
export async function listAdmitting(tx: Tx, deviceId: string): Promise<string[]> {
  const rows = await tx.query<{ id: string }[]>(
    `select agreement_id as id from agreement_device where consumer_tenant_id = $1 and device_id = $2`,
    [tx.tenantId, deviceId],
  );
  return rows.map(({ id }) => id);
}

const PARTY = `$1 in (provider_tenant_id, consumer_tenant_id)`;

export async function countAgreementDevices(tx: Tx, agreementId: string): Promise<number> {
  const [row] = await tx.query<{ count: number }[]>(
    `select count(*)::int as count from agreement_device where ${PARTY} and agreement_id = $2`,
    [tx.tenantId, agreementId],
  );
  return row!.count;
}

/** By thumbprint (`after`: in hexadecimal), which both parties may know: cursors tell no ids. */
export function listAgreementDevices(
  tx: Tx,
  { agreementId, after, limit }: { agreementId: string; after: string | null; limit: number },
): Promise<AgreementDeviceRow[]> {
  return tx.query<AgreementDeviceRow[]>(
    `select agreement_id as "agreementId", provider_tenant_id as "providerTenantId", consumer_tenant_id as "consumerTenantId",
       device_id as "deviceId", thumbprint, admitted_at as "admittedAt"
     from agreement_device where ${PARTY} and agreement_id = $2 and thumbprint > decode(coalesce($3, ''), 'hex') order by thumbprint limit $4`,
    [tx.tenantId, agreementId, after, limit],
  );
}

import { IsNull } from 'typeorm';
import { own, type Tx } from '../../platform/db.js';
import type { Role } from '../../platform/permissions.js';
import { PLATFORM } from '../../platform/scope.js';
import { InvitationRow, MembershipRow, TenantRow } from './tenant.entity.js';

/** A member as the tenant sees it. */
export interface Member {
  readonly id: string;
  readonly accountId: string;
  readonly email: string;
  readonly name: string;
  readonly role: Role;
  readonly createdAt: Date;
}

export async function insertTenant(tx: Tx, tenant: TenantRow): Promise<void> {
  await tx.insert(TenantRow, tenant);
}

/** In a tenant's transaction: itself or null. In the platform's: any. */
export async function findTenant(tx: Tx, id: string): Promise<TenantRow | null> {
  return tx.tenantId === id || tx.tenantId === PLATFORM ? tx.findOneBy(TenantRow, { id }) : null;
}

export function listTenants(tx: Tx, after: string | null, limit: number): Promise<TenantRow[]> {
  return tx.query<TenantRow[]>(
    `select id, name, created_at as "createdAt" from tenant
     where $1 in (id, 'platform') and id > coalesce($2, '') order by id limit $3`,
    [tx.tenantId, after, limit],
  );
}

const MEMBER = `select m.id, m.account_id as "accountId", a.email, a.name, m.role, m.created_at as "createdAt"
  from membership m join account a on a.id = m.account_id where m.tenant_id = $1`;

export function listMembers(tx: Tx, after: string | null, limit: number): Promise<Member[]> {
  return tx.query<Member[]>(`${MEMBER} and m.id > coalesce($2, '') order by m.id limit $3`, [
    tx.tenantId,
    after,
    limit,
  ]);
}

export async function findMember(tx: Tx, id: string): Promise<Member | null> {
  const [row] = await tx.query<Member[]>(`${MEMBER} and m.id = $2`, [tx.tenantId, id]);
  return row ?? null;
}

export async function isMemberByEmail(tx: Tx, email: string): Promise<boolean> {
  const rows = await tx.query<unknown[]>(`${MEMBER} and a.email = $2`, [tx.tenantId, email]);
  return rows.length > 0;
}

/** False if the account is a member already. */
export async function insertMembership(tx: Tx, membership: MembershipRow): Promise<boolean> {
  const made = await tx.query<unknown[]>(
    `insert into membership (id, tenant_id, account_id, role, created_at) values ($1, $2, $3, $4, $5)
     on conflict (tenant_id, account_id) do nothing returning id`,
    [membership.id, membership.tenantId, membership.accountId, membership.role, membership.createdAt],
  );
  return made.length > 0;
}

/** The owners' membership ids, locked, so that two owners cannot leave at once. */
export async function lockOwners(tx: Tx): Promise<string[]> {
  const rows = await tx.query<{ id: string }[]>(
    `select id from membership where tenant_id = $1 and role = 'OWNER' order by id for update`,
    [tx.tenantId],
  );
  return rows.map((row) => row.id);
}

export async function setRole(tx: Tx, id: string, role: Role): Promise<void> {
  await tx.update(MembershipRow, { ...own(tx), id }, { role });
}

export async function deleteMembership(tx: Tx, id: string): Promise<void> {
  await tx.delete(MembershipRow, { ...own(tx), id });
}

export async function insertInvitation(tx: Tx, invitation: InvitationRow): Promise<void> {
  await tx.insert(InvitationRow, invitation);
}

export function listInvitations(tx: Tx, after: string | null, limit: number): Promise<InvitationRow[]> {
  return tx
    .createQueryBuilder(InvitationRow, 'invitation')
    .where(own(tx))
    .andWhere(`invitation.id > coalesce(:after, '')`, { after })
    .orderBy('invitation.id')
    .limit(limit)
    .getMany();
}

export function findInvitation(tx: Tx, id: string): Promise<InvitationRow | null> {
  return tx.findOneBy(InvitationRow, { ...own(tx), id });
}

/** The role that whoever wrote the invitation has now, held until the commit; null if no member any more, OWNER for an operator. */
export async function lockInviterRole(tx: Tx, id: string): Promise<Role | null> {
  const [invitation] = await tx.query<{ by: string | null }[]>(
    `select invited_by as by from invitation where tenant_id = $1 and id = $2`,
    [tx.tenantId, id],
  );
  if (!invitation) return null;
  if (invitation.by === null) return 'OWNER';
  const [member] = await tx.query<{ role: Role }[]>(
    `select role from membership where tenant_id = $1 and account_id = $2 for share`,
    [tx.tenantId, invitation.by],
  );
  return member?.role ?? null;
}

/** Uses the invitation up: false if somebody has already. */
export async function markAccepted(tx: Tx, id: string, at: Date): Promise<boolean> {
  const result = await tx
    .createQueryBuilder()
    .update(InvitationRow)
    .set({ acceptedAt: at })
    .where({ ...own(tx), id, acceptedAt: IsNull() })
    .execute();
  return result.affected === 1;
}

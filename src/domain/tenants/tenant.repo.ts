import type { Tx } from '../../platform/db.js';
import type { Role } from '../../platform/permissions.js';
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
export function findTenant(tx: Tx, id: string): Promise<TenantRow | null> {
  return tx.findOneBy(TenantRow, { id });
}

export function listTenants(tx: Tx, after: string | null, limit: number): Promise<TenantRow[]> {
  return tx.query<TenantRow[]>(
    `select id, name, created_at as "createdAt" from tenant where id > coalesce($1, '') order by id limit $2`,
    [after, limit],
  );
}

const MEMBER = `select m.id, m.account_id as "accountId", a.email, a.name, m.role, m.created_at as "createdAt"
  from membership m join account a on a.id = m.account_id where m.tenant_id = current_setting('app.tenant_id')`;

export function listMembers(tx: Tx, after: string | null, limit: number): Promise<Member[]> {
  return tx.query<Member[]>(`${MEMBER} and m.id > coalesce($1, '') order by m.id limit $2`, [after, limit]);
}

export async function findMember(tx: Tx, id: string): Promise<Member | null> {
  const [row] = await tx.query<Member[]>(`${MEMBER} and m.id = $1`, [id]);
  return row ?? null;
}

export async function isMemberByEmail(tx: Tx, email: string): Promise<boolean> {
  const rows = await tx.query<unknown[]>(`${MEMBER} and a.email = $1`, [email]);
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
    `select id from membership where tenant_id = current_setting('app.tenant_id') and role = 'OWNER' order by id for update`,
  );
  return rows.map((row) => row.id);
}

export async function setRole(tx: Tx, id: string, role: Role): Promise<void> {
  await tx.update(MembershipRow, { id }, { role });
}

export async function deleteMembership(tx: Tx, id: string): Promise<void> {
  await tx.delete(MembershipRow, { id });
}

export async function insertInvitation(tx: Tx, invitation: InvitationRow): Promise<void> {
  await tx.insert(InvitationRow, invitation);
}

export function listInvitations(tx: Tx, after: string | null, limit: number): Promise<InvitationRow[]> {
  return tx
    .createQueryBuilder(InvitationRow, 'invitation')
    .where(`invitation.id > coalesce(:after, '')`, { after })
    .orderBy('invitation.id')
    .limit(limit)
    .getMany();
}

export function findInvitation(tx: Tx, id: string): Promise<InvitationRow | null> {
  return tx.findOneBy(InvitationRow, { id });
}

/** The role that whoever wrote the invitation has now, held until the commit; null if no member any more, OWNER for an operator. */
export async function lockInviterRole(tx: Tx, id: string): Promise<Role | null> {
  const [invitation] = await tx.query<{ by: string | null }[]>(
    `select invited_by as by from invitation where id = $1`,
    [id],
  );
  if (!invitation) return null;
  if (invitation.by === null) return 'OWNER';
  const [member] = await tx.query<{ role: Role }[]>(`select role from membership where account_id = $1 for share`, [
    invitation.by,
  ]);
  return member?.role ?? null;
}

/** Uses the invitation up: false if somebody has already. */
export async function markAccepted(tx: Tx, id: string, at: Date): Promise<boolean> {
  const result = await tx
    .createQueryBuilder()
    .update(InvitationRow)
    .set({ acceptedAt: at })
    .where('id = :id and accepted_at is null', { id })
    .execute();
  return result.affected === 1;
}

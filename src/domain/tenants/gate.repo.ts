import type { Db } from '../../platform/db.js';
import type { Permission, Role } from '../../platform/permissions.js';
import type { OwnMembership } from '../../platform/scope.js';

/** The reads of the gate's role, across tenants: from a secret, or from a person, to the tenants that they open. */
type Gate = Db['gate'];

export interface SessionFound {
  sessionId: string;
  accountId: string;
  email: string;
  name: string;
  operator: boolean;
  currentTenantId: string | null;
  expiresAt: Date;
  memberships: OwnMembership[];
}

const MEMBERSHIPS = (account: string) =>
  `coalesce((select json_agg(json_build_object('tenantId', m.tenant_id, 'tenantName', t.name, 'role', m.role) order by m.tenant_id)
    from membership m join tenant t on t.id = m.tenant_id where m.account_id = ${account}), '[]')`;

export async function findSession(gate: Gate, tokenHash: Buffer, now: Date): Promise<SessionFound | null> {
  const { rows } = await gate.query<SessionFound>({
    name: 'find-session',
    text: `select s.id as "sessionId", s.account_id as "accountId", a.email, a.name, a.operator,
             s.current_tenant_id as "currentTenantId", s.expires_at as "expiresAt", ${MEMBERSHIPS('s.account_id')} as memberships
           from session s join account a on a.id = s.account_id where s.token_hash = $1 and s.expires_at > $2`,
    values: [tokenHash, now],
  });
  return rows[0] ?? null;
}

export interface KeyFound {
  id: string;
  tenantId: string;
  applicationId: string;
  permissions: Permission[];
  expiresAt: Date;
}

export async function findKey(gate: Gate, tokenHash: Buffer, now: Date): Promise<KeyFound | null> {
  const { rows } = await gate.query<KeyFound>({
    name: 'find-key',
    text: `select id, tenant_id as "tenantId", application_id as "applicationId", permissions, expires_at as "expiresAt"
           from api_key where token_hash = $1 and revoked_at is null and expires_at > $2`,
    values: [tokenHash, now],
  });
  return rows[0] ?? null;
}

export interface InvitationFound {
  id: string;
  tenantId: string;
  email: string;
  role: Role;
  expiresAt: Date;
  acceptedAt: Date | null;
}

export async function findInvitationByToken(gate: Gate, tokenHash: Buffer): Promise<InvitationFound | null> {
  const { rows } = await gate.query<InvitationFound>(
    `select id, tenant_id as "tenantId", email, role, expires_at as "expiresAt", accepted_at as "acceptedAt"
     from invitation where token_hash = $1`,
    [tokenHash],
  );
  return rows[0] ?? null;
}

export async function listMemberships(gate: Gate, accountId: string): Promise<OwnMembership[]> {
  const { rows } = await gate.query<{ memberships: OwnMembership[] }>(`select ${MEMBERSHIPS('$1')} as memberships`, [
    accountId,
  ]);
  return rows[0]!.memberships;
}

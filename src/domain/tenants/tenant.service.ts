import type { Clock } from '../../platform/clock.js';
import { continueIn, type Db, inPlatform, inTenant } from '../../platform/db.js';
import { AppError, notFound } from '../../platform/errors.js';
import { newId } from '../../platform/ids.js';
import { type Page, type PageRequest, readPage } from '../../platform/page.js';
import { type Permission, type Role, ROLE_PERMISSIONS } from '../../platform/permissions.js';
import type { Scope, SignedIn } from '../../platform/scope.js';
import { appendAudit } from '../audit/audit.service.js';
import { findAccountByEmail, insertAccount } from './account.repo.js';
import type { CredentialService } from './credential.service.js';
import { normalEmail, normalName } from './email.js';
import { findInvitationByToken } from './gate.repo.js';
import { hashPassword } from './password.js';
import type { InvitationRow, TenantRow } from './tenant.entity.js';
import * as tenants from './tenant.repo.js';
import type { Member } from './tenant.repo.js';
import { hashToken, newToken } from './token.js';

export type { Member } from './tenant.repo.js';

const INVITATION_MS = 7 * 24 * 3600_000;

/** An invitation with its secret, which is shown once. */
export interface Invited {
  readonly invitation: InvitationRow;
  readonly token: string;
}

/** What a new person brings to an invitation; a signed-in one brings the account. */
export interface Joining {
  readonly token: string;
  readonly name: string | null;
  readonly password: string | null;
}

/** Tenants, their members, and how people become members. */
export class TenantService {
  constructor(
    private readonly db: Pick<Db, 'app' | 'gate'>,
    private readonly clock: Clock,
    private readonly credentials: Pick<CredentialService, 'forget'>,
  ) {}

  /** For operators: an empty tenant, and the invitation of its first owner. */
  create(scope: Scope, input: { name: string; ownerEmail: string }): Promise<Invited & { tenant: TenantRow }> {
    const tenant = { id: newId('tenant'), name: normalName(input.name, 'input.name'), createdAt: this.clock.now() };
    const invited = this.prepare(tenant.id, normalEmail(input.ownerEmail, 'input.ownerEmail'), 'OWNER', null);
    return inTenant(this.db, { tenantId: tenant.id }, async (tx) => {
      await tenants.insertTenant(tx, tenant);
      await tenants.insertInvitation(tx, invited.invitation);
      const by = { tenantId: tenant.id, actor: scope.actor };
      await appendAudit(tx, by, { kind: 'tenant.created', subjectId: tenant.id, at: tenant.createdAt });
      return { tenant, ...invited };
    });
  }

  find(scope: Pick<Scope, 'tenantId'>, id: string): Promise<TenantRow | null> {
    return inTenant(this.db, scope, (tx) => tenants.findTenant(tx, id));
  }

  async get(scope: Pick<Scope, 'tenantId'>): Promise<TenantRow> {
    const tenant = await this.find(scope, scope.tenantId);
    if (!tenant) throw notFound('tenant');
    return tenant;
  }

  /** For operators. */
  list(request: PageRequest): Promise<Page<TenantRow>> {
    return inPlatform(this.db, (tx) =>
      readPage(
        request,
        (row) => row.id,
        (after, limit) => tenants.listTenants(tx, after, limit),
      ),
    );
  }

  listMembers(scope: Scope, request: PageRequest): Promise<Page<Member>> {
    return inTenant(this.db, scope, (tx) =>
      readPage(
        request,
        (row) => row.id,
        (after, limit) => tenants.listMembers(tx, after, limit),
      ),
    );
  }

  findMember(scope: Scope, id: string): Promise<Member | null> {
    return inTenant(this.db, scope, (tx) => tenants.findMember(tx, id));
  }

  listInvitations(scope: Scope, request: PageRequest): Promise<Page<InvitationRow>> {
    return inTenant(this.db, scope, (tx) =>
      readPage(
        request,
        (row) => row.id,
        (after, limit) => tenants.listInvitations(tx, after, limit),
      ),
    );
  }

  findInvitation(scope: Scope, id: string): Promise<InvitationRow | null> {
    return inTenant(this.db, scope, (tx) => tenants.findInvitation(tx, id));
  }

  /** CONFLICT if the address is a member's; FORBIDDEN for a role that may do more than the one who invites. */
  invite(scope: Scope, input: { email: string; role: Role }): Promise<Invited> {
    refuseMoreThanOwn(scope, input.role);
    const invited = this.prepare(scope.tenantId, normalEmail(input.email, 'input.email'), input.role, scope.actor.id);
    return inTenant(this.db, scope, async (tx) => {
      if (await tenants.isMemberByEmail(tx, invited.invitation.email))
        throw new AppError('CONFLICT', 'This person is a member already.', { field: 'input.email' });
      await tenants.insertInvitation(tx, invited.invitation);
      const event = { kind: 'member.invited', subjectId: invited.invitation.id, detail: { role: input.role } } as const;
      await appendAudit(tx, scope, { ...event, at: invited.invitation.createdAt });
      return invited;
    });
  }

  /**
   * Makes the bearer of the token a member, once: the signed-in person, whose address must be the invited one, or a new
   * account. An unknown, used or expired token is NOT_FOUND, and so is that of a member who has left or may no longer give the
   * role. Returns the tenant's id.
   */
  async accept(account: SignedIn | null, input: Joining): Promise<{ tenantId: string; accountId: string }> {
    const now = this.clock.now();
    const invitation = await findInvitationByToken(this.db.gate, hashToken(input.token));
    if (!invitation || invitation.acceptedAt || invitation.expiresAt <= now) throw noInvitation();
    const { tenantId, email, role } = invitation;
    if (account && account.email !== email) {
      throw new AppError('CONFLICT', 'This invitation is for another email address than yours.', {
        remedy: 'Sign out to accept it with a new account, or ask for an invitation to your address.',
      });
    }
    const newcomer = account ? null : await this.newcomer(email, input, now);
    const accountId = account?.accountId ?? newcomer!.id;
    const joined = await inPlatform(this.db, async (tx) => {
      if (newcomer && !(await insertAccount(tx, newcomer))) throw hasAccount();
      await continueIn(tx, tenantId);
      // Who invites knows the token: without this a member who is removed comes back by it.
      const inviter = await tenants.lockInviterRole(tx, invitation.id);
      if (!inviter || !mayGive(new Set(ROLE_PERMISSIONS[inviter]), role)) throw noInvitation();
      if (!(await tenants.markAccepted(tx, invitation.id, now)))
        throw new AppError('CONFLICT', 'This invitation has just been used.');
      const membership = { id: newId('membership'), tenantId, accountId, role, createdAt: now };
      if (!(await tenants.insertMembership(tx, membership)))
        throw new AppError('CONFLICT', 'You are a member of this tenant already.');
      const actor = { kind: 'MEMBER', id: accountId } as const;
      await appendAudit(
        tx,
        { tenantId, actor },
        { kind: 'member.joined', subjectId: membership.id, detail: { role }, at: now },
      );
      return { tenantId, accountId };
    });
    this.credentials.forget(accountId);
    return joined;
  }

  /** CONFLICT for the last owner; FORBIDDEN where either role may do more than the one who changes it. */
  async changeRole(scope: Scope, id: string, role: Role): Promise<Member> {
    refuseMoreThanOwn(scope, role);
    const changed = await inTenant(this.db, scope, async (tx) => {
      const owners = await tenants.lockOwners(tx);
      const member = await tenants.findMember(tx, id);
      if (!member) throw notFound('member');
      refuseMoreThanOwn(scope, member.role);
      if (role !== 'OWNER') refuseLastOwner(owners, id);
      await tenants.setRole(tx, id, role);
      const detail = { from: member.role, to: role };
      await appendAudit(tx, scope, { kind: 'member.role-changed', subjectId: id, detail, at: this.clock.now() });
      return { ...member, role };
    });
    this.credentials.forget(changed.accountId);
    return changed;
  }

  /** Takes effect at once, also for open sessions. CONFLICT for the last owner. */
  async removeMember(scope: Scope, id: string): Promise<void> {
    const accountId = await inTenant(this.db, scope, async (tx) => {
      const owners = await tenants.lockOwners(tx);
      const member = await tenants.findMember(tx, id);
      if (!member) throw notFound('member');
      refuseMoreThanOwn(scope, member.role);
      refuseLastOwner(owners, id);
      await tenants.deleteMembership(tx, id);
      const detail = { accountId: member.accountId, role: member.role };
      await appendAudit(tx, scope, { kind: 'member.removed', subjectId: id, detail, at: this.clock.now() });
      return member.accountId;
    });
    this.credentials.forget(accountId);
  }

  private prepare(tenantId: string, email: string, role: Role, invitedBy: string | null): Invited {
    const { token, hash } = newToken('invitation');
    const createdAt = this.clock.now();
    const expiresAt = new Date(createdAt.getTime() + INVITATION_MS);
    const invitation = {
      id: newId('invitation'),
      tenantId,
      email,
      role,
      tokenHash: hash,
      createdAt,
      expiresAt,
      acceptedAt: null,
      invitedBy,
    };
    return { invitation, token };
  }

  private async newcomer(email: string, input: Joining, at: Date) {
    if (input.name === null || input.password === null) {
      throw new AppError('INVALID_INPUT', 'A new account needs a name and a password.', {
        field: input.name === null ? 'input.name' : 'input.password',
        remedy: 'Send both, or sign in first if you have an account.',
      });
    }
    const name = normalName(input.name, 'input.name');
    if (await inPlatform(this.db, (tx) => findAccountByEmail(tx, email))) throw hasAccount();
    const hash = await hashPassword(input.password, 'input.password');
    return { id: newId('account'), email, name, operator: false, hash, at };
  }
}

function noInvitation(): AppError {
  return new AppError('NOT_FOUND', 'No such invitation: it may be used or expired.', { remedy: 'Ask for a new one.' });
}

function hasAccount(): AppError {
  return new AppError('CONFLICT', 'There is an account with the invited email address.', {
    remedy: 'Sign in with it, then accept the invitation.',
  });
}

function mayGive(own: ReadonlySet<Permission>, role: Role): boolean {
  return ROLE_PERMISSIONS[role].every((permission) => own.has(permission));
}

/** Nobody gives, takes or changes a role that may do what they themselves may not. */
function refuseMoreThanOwn(scope: Scope, role: Role): void {
  if (!mayGive(scope.permissions, role))
    throw new AppError('FORBIDDEN', `The role ${role} may do what you may not.`, {
      remedy: 'Ask an owner of the tenant.',
    });
}

function refuseLastOwner(owners: string[], id: string): void {
  if (owners.length === 1 && owners[0] === id)
    throw new AppError('CONFLICT', 'This is the last owner of the tenant.', {
      remedy: 'Make somebody else an owner first.',
    });
}

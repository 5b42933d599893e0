import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { Permission, Role } from '../../platform/permissions.js';

@Entity('tenant')
export class TenantRow {
  @PrimaryColumn('text')
  id: string;

  @Column('text')
  name: string;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;
}

/** A person. Whoever it is lies in `membership`; how it signs in, in `account_password`, which has no row class: only the account service's SQL reads it. */
@Entity('account')
export class AccountRow {
  @PrimaryColumn('text')
  id: string;

  /** In lower case. */
  @Column('text')
  email: string;

  @Column('text')
  name: string;

  @Column('boolean')
  operator: boolean;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;
}

@Entity('membership')
export class MembershipRow {
  @Column('text')
  id: string;

  @PrimaryColumn('text', { name: 'tenant_id' })
  tenantId: string;

  @PrimaryColumn('text', { name: 'account_id' })
  accountId: string;

  @Column('text')
  role: Role;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;
}

@Entity('session')
export class SessionRow {
  @PrimaryColumn('text')
  id: string;

  @Column('text', { name: 'account_id' })
  accountId: string;

  @Column('bytea', { name: 'token_hash' })
  tokenHash: Buffer;

  @Column('text', { name: 'current_tenant_id', nullable: true })
  currentTenantId: string | null;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;

  @Column('timestamptz', { name: 'expires_at' })
  expiresAt: Date;
}

@Entity('invitation')
export class InvitationRow {
  @PrimaryColumn('text')
  id: string;

  @PrimaryColumn('text', { name: 'tenant_id' })
  tenantId: string;

  @Column('text')
  email: string;

  @Column('text')
  role: Role;

  @Column('bytea', { name: 'token_hash' })
  tokenHash: Buffer;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;

  @Column('timestamptz', { name: 'expires_at' })
  expiresAt: Date;

  @Column('timestamptz', { name: 'accepted_at', nullable: true })
  acceptedAt: Date | null;

  /** The member; null for an operator's invitation of the first owner. */
  @Column('text', { name: 'invited_by', nullable: true })
  invitedBy: string | null;
}

@Entity('application')
export class ApplicationRow {
  @PrimaryColumn('text')
  id: string;

  @PrimaryColumn('text', { name: 'tenant_id' })
  tenantId: string;

  @Column('text')
  name: string;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;
}

@Entity('api_key')
export class ApiKeyRow {
  @PrimaryColumn('text')
  id: string;

  @PrimaryColumn('text', { name: 'tenant_id' })
  tenantId: string;

  @Column('text', { name: 'application_id' })
  applicationId: string;

  @Column('text')
  name: string;

  @Column('bytea', { name: 'token_hash' })
  tokenHash: Buffer;

  @Column('text')
  hint: string;

  @Column('text', { array: true })
  permissions: Permission[];

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;

  @Column('timestamptz', { name: 'expires_at' })
  expiresAt: Date;

  @Column('timestamptz', { name: 'revoked_at', nullable: true })
  revokedAt: Date | null;
}

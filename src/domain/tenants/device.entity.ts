import type { JWK } from 'jose';
import { Column, Entity, PrimaryColumn } from 'typeorm';

@Entity('device')
export class DeviceRow {
  @PrimaryColumn('text')
  id: string;

  @PrimaryColumn('text', { name: 'tenant_id' })
  tenantId: string;

  @Column('text', { name: 'application_id' })
  applicationId: string;

  @Column('text')
  name: string;

  @Column('jsonb', { name: 'public_key' })
  publicKey: JWK;

  /** SHA-256 (RFC 7638). */
  @Column('bytea')
  thumbprint: Buffer;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;

  @Column('timestamptz', { name: 'revoked_at', nullable: true })
  revokedAt: Date | null;
}

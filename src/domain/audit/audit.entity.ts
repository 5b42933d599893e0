import { Column, Entity, PrimaryColumn } from 'typeorm';

/** One leaf of the audit log. Written only by `audit_append` and the ledger's flush; never changed. */
@Entity('audit_entry')
export class AuditEntryRow {
  @PrimaryColumn('bigint', { name: 'log_index' })
  logIndex: number;

  @Column('bytea', { name: 'leaf_hash' })
  leafHash: Buffer;

  @Column('bytea')
  salt: Buffer;

  @Column('text', { name: 'tenant_id' })
  tenantId: string;

  @Column('text', { name: 'counterparty_tenant_id', nullable: true })
  counterpartyTenantId: string | null;

  @Column('timestamptz')
  at: Date;

  @Column('text')
  kind: string;

  @Column('text', { name: 'subject_id', nullable: true })
  subjectId: string | null;

  @Column('text')
  content: string;
}

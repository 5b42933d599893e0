import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { ColumnProfile, ColumnSchema, Format, Reject } from './schema.js';

@Entity('upload')
export class UploadRow {
  @PrimaryColumn('text')
  id: string;

  @Column('text', { name: 'tenant_id' })
  tenantId: string;

  @Column('text', { name: 'file_name', nullable: true })
  fileName: string | null;

  @Column('bigint', { name: 'size_bytes' })
  sizeBytes: number;

  @Column('text')
  sha256: string;

  @Column('bytea', { name: 'token_hash' })
  tokenHash: Buffer;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;

  @Column('timestamptz', { name: 'expires_at' })
  expiresAt: Date;

  @Column('timestamptz', { name: 'received_at', nullable: true })
  receivedAt: Date | null;

  @Column('text', { name: 'blob_id', nullable: true })
  blobId: string | null;

  /** What was last made of it, such as a dataset version. */
  @Column('text', { name: 'taken_by', nullable: true })
  takenBy: string | null;
}

@Entity('dataset')
export class DatasetRow {
  @PrimaryColumn('text')
  id: string;

  @Column('text', { name: 'tenant_id' })
  tenantId: string;

  @Column('text')
  name: string;

  @Column('text', { nullable: true })
  description: string | null;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;

  @Column('timestamptz', { name: 'deleted_at', nullable: true })
  deletedAt: Date | null;
}

export const VERSION_STATES = ['INGESTING', 'READY', 'REFUSED', 'DELETED'] as const;
export type VersionState = (typeof VERSION_STATES)[number];

/** A row of dataset_version with the state that its job gives it. */
export interface DatasetVersionRow {
  readonly id: string;
  readonly tenantId: string;
  readonly datasetId: string;
  readonly number: number;
  readonly state: VersionState;
  readonly uploadId: string;
  readonly jobId: string;
  readonly createdAt: Date;
  readonly readyAt: Date | null;
  readonly deletedAt: Date | null;
  readonly format: Format | null;
  readonly rowCount: number | null;
  readonly rejectedCount: number | null;
  readonly rejects: readonly Reject[] | null;
  readonly digest: string | null;
  readonly columns: readonly ColumnSchema[] | null;
  readonly profile: readonly ColumnProfile[] | null;
  readonly blobId: string | null;
  readonly errorCode: string | null;
  readonly errorMessage: string | null;
}

export const SPLIT_STATES = ['COMPUTING', 'READY', 'REFUSED'] as const;
export type SplitState = (typeof SPLIT_STATES)[number];

export interface SplitRow {
  readonly id: string;
  readonly tenantId: string;
  readonly datasetVersionId: string;
  readonly method: 'RANDOM' | 'STRATIFIED' | 'GROUPED' | 'TIME';
  readonly columnName: string | null;
  readonly train: number;
  readonly validation: number;
  readonly test: number;
  readonly seed: number;
  readonly state: SplitState;
  readonly jobId: string;
  readonly createdAt: Date;
  readonly readyAt: Date | null;
  readonly trainRows: number | null;
  readonly validationRows: number | null;
  readonly testRows: number | null;
  readonly digest: string | null;
  readonly errorCode: string | null;
  readonly errorMessage: string | null;
}

import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { ImportSpec, ModelFormat } from '../../ml/import.js';

/** What was asked for. How far it is, and how it ended, is in its job. */
@Entity('model_import')
export class ModelImportRow {
  @PrimaryColumn('text', { name: 'tenant_id' })
  tenantId: string;

  @PrimaryColumn('text')
  id: string;

  @Column('text', { name: 'model_id' })
  modelId: string;

  @Column('text', { name: 'dataset_version_id' })
  datasetVersionId: string;

  @Column('text', { name: 'split_id' })
  splitId: string;

  @Column('text', { name: 'upload_id' })
  uploadId: string;

  @Column('text')
  sha256: string;

  @Column('bigint', { name: 'size_bytes' })
  sizeBytes: number;

  @Column('text')
  format: ModelFormat;

  @Column('text')
  target: string;

  @Column('jsonb', { nullable: true })
  columns: string[] | null;

  @Column('jsonb')
  categories: ImportSpec['categories'];

  @Column('jsonb', { nullable: true })
  classes: string[] | null;

  @Column('bigint')
  seed: number;

  @Column('text', { name: 'job_id' })
  jobId: string;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;
}

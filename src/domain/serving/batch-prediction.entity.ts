import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { Actor } from '../../platform/scope.js';
import type { Disclosed } from './decide.js';
import type { PublishedSignature } from './endpoint.entity.js';

/** What was asked for, and under what. How far it is, and how it ended, is in its job; what was answered, in its chunks. */
@Entity('batch_prediction')
export class BatchPredictionRow {
  @PrimaryColumn('text', { name: 'tenant_id' })
  tenantId: string;

  @PrimaryColumn('text')
  id: string;

  @Column('text', { name: 'endpoint_id' })
  endpointId: string;

  @Column('text', { name: 'provider_tenant_id' })
  providerTenantId: string;

  /** With the version of its terms; null: the endpoint is the tenant's own. */
  @Column('text', { name: 'agreement_id', nullable: true })
  agreementId: string | null;

  @Column('int', { name: 'agreement_version', nullable: true })
  agreementVersion: number | null;

  @Column('text', { name: 'model_version_id' })
  modelVersionId: string;

  @Column('text', { name: 'model_digest', nullable: true })
  modelDigest: string | null;

  @Column('text')
  task: PublishedSignature['task'];

  @Column('jsonb', { nullable: true })
  classes: readonly string[] | null;

  @Column('jsonb')
  disclosure: Disclosed;

  @Column('text', { nullable: true })
  purpose: string | null;

  @Column('text', { name: 'declared_region', nullable: true })
  declaredRegion: string | null;

  @Column('jsonb')
  actor: Actor;

  @Column('text', { name: 'device_id', nullable: true })
  deviceId: string | null;

  @Column('text', { name: 'dataset_version_id' })
  datasetVersionId: string;

  @Column('bigint', { name: 'row_count' })
  rowCount: number;

  @Column('int', { name: 'chunk_rows' })
  chunkRows: number;

  @Column('text', { name: 'job_id' })
  jobId: string;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;

  @Column('timestamptz', { name: 'deleted_at', nullable: true })
  deletedAt: Date | null;
}

/** Rows that were answered, recorded and charged together. */
@Entity('batch_chunk')
export class BatchChunkRow {
  @PrimaryColumn('text', { name: 'tenant_id' })
  tenantId: string;

  @PrimaryColumn('text', { name: 'batch_id' })
  batchId: string;

  /** The how-manyth, from 0: its first row is that many times the batch's `chunkRows`. */
  @PrimaryColumn('int')
  place: number;

  @Column('int', { name: 'row_count' })
  rowCount: number;

  @Column('bigint', { name: 'log_index' })
  logIndex: number;

  @Column('text', { name: 'blob_id' })
  blobId: string;
}

import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { Signature } from '../../ml/infer.js';
import type { AlgorithmName, AnyParameters } from '../../ml/spec.js';
import type { Imported } from '../../ml/import.js';
import type { Artifact, Metrics, ParityProof } from '../../ml/train.js';

/** What another library trained has no algorithm of ours. */
export type VersionAlgorithm = AlgorithmName | 'IMPORTED';

/** The file that a version was imported from. */
export type ImportedSource = Imported['source'] & { readonly sha256: string; readonly sizeBytes: number };

/** A name under which versions are numbered. */
@Entity('model')
export class ModelRow {
  @PrimaryColumn('text', { name: 'tenant_id' })
  tenantId: string;

  @PrimaryColumn('text')
  id: string;

  @Column('text')
  name: string;

  @Column('text', { nullable: true })
  description: string | null;

  @Column('int', { name: 'last_number' })
  lastNumber: number;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;
}

/** Written once, by `ModelService.register`; the database refuses every change but the mark of deleted data. */
@Entity('model_version')
export class ModelVersionRow {
  @PrimaryColumn('text', { name: 'tenant_id' })
  tenantId: string;

  @PrimaryColumn('text')
  id: string;

  @Column('text', { name: 'model_id' })
  modelId: string;

  @Column('int')
  number: number;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;

  @Column('text')
  digest: string;

  @Column('bigint', { name: 'size_bytes' })
  sizeBytes: number;

  @Column('text', { name: 'blob_id' })
  blobId: string;

  /** The fitted model as plain data (`packModel`), sealed like the ONNX file; null for versions older than this column. */
  @Column('text', { name: 'fitted_blob_id', nullable: true })
  fittedBlobId: string | null;

  @Column('jsonb')
  signature: Signature;

  /** Of the training and the import one made it; the other is null. */
  @Column('text', { name: 'training_id', nullable: true })
  trainingId: string | null;

  @Column('text', { name: 'import_id', nullable: true })
  importId: string | null;

  @Column('jsonb', { nullable: true })
  source: ImportedSource | null;

  /** Whose the data are that it learned from, and under which agreement; null: the tenant's own. */
  @Column('text', { name: 'provider_tenant_id', nullable: true })
  providerTenantId: string | null;

  @Column('text', { name: 'agreement_id', nullable: true })
  agreementId: string | null;

  @Column('text', { name: 'dataset_version_id' })
  datasetVersionId: string;

  @Column('text', { name: 'dataset_digest' })
  datasetDigest: string;

  @Column('text', { name: 'split_id' })
  splitId: string;

  @Column('text', { name: 'split_digest' })
  splitDigest: string;

  @Column('text')
  algorithm: VersionAlgorithm;

  @Column('jsonb')
  parameters: AnyParameters;

  @Column('bigint')
  seed: number;

  @Column('text', { name: 'code_version' })
  codeVersion: string;

  @Column('jsonb')
  validation: Metrics;

  @Column('jsonb')
  test: Metrics;

  @Column('jsonb')
  parity: ParityProof;

  @Column('jsonb')
  importance: Artifact['importance'];

  @Column('jsonb')
  history: Artifact['history'];

  @Column('jsonb')
  warnings: Artifact['warnings'];

  @Column('jsonb', { name: 'out_of_bag', nullable: true })
  outOfBag: Artifact['outOfBag'];

  @Column('int')
  rounds: number;

  @Column('int', { name: 'best_round' })
  bestRound: number;

  @Column('bigint', { name: 'train_rows' })
  trainRows: number;

  @Column('bigint', { name: 'elapsed_ms' })
  elapsedMs: number;

  @Column('bigint', { name: 'peak_memory_bytes' })
  peakMemoryBytes: number;

  @Column('boolean', { name: 'derived_from_deleted_data' })
  derivedFromDeletedData: boolean;
}

/** A name of the tenant's own for one version of a model, such as `champion`. */
@Entity('model_alias')
export class ModelAliasRow {
  @PrimaryColumn('text', { name: 'tenant_id' })
  tenantId: string;

  @PrimaryColumn('text', { name: 'model_id' })
  modelId: string;

  @PrimaryColumn('text')
  alias: string;

  @Column('text', { name: 'version_id' })
  versionId: string;

  @Column('timestamptz', { name: 'set_at' })
  setAt: Date;
}

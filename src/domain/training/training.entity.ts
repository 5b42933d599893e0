import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { AlgorithmName, AnyParameters, FitOptions, TaskName } from '../../ml/spec.js';

/** What was given beside parameters and columns. */
export interface TrainingOptions extends FitOptions {
  /** A model version to go on from. */
  readonly warmStartFrom?: string | null;
}

/** What was asked for. How far it is, and how it ended, is in its job. */
@Entity('training')
export class TrainingRow {
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

  @Column('text')
  target: string;

  @Column('jsonb')
  features: string[];

  @Column('text')
  task: TaskName;

  @Column('text', { name: 'positive_class', nullable: true })
  positiveClass: string | null;

  @Column('text')
  algorithm: AlgorithmName;

  @Column('jsonb')
  parameters: AnyParameters;

  @Column('jsonb')
  options: TrainingOptions;

  @Column('bigint')
  seed: number;

  /** The study that chose it; null where a person did. */
  @Column('text', { name: 'study_id', nullable: true })
  studyId: string | null;

  /** Whose the data are that it learns from, and under which agreement; null: the tenant's own. */
  @Column('text', { name: 'provider_tenant_id', nullable: true })
  providerTenantId: string | null;

  @Column('text', { name: 'agreement_id', nullable: true })
  agreementId: string | null;

  @Column('text', { name: 'job_id' })
  jobId: string;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;
}

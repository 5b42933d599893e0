import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { EvaluationRequest, EvaluationResult } from '../../ml/evaluate.js';

/** What was asked for, and, once its job has succeeded, what came out. How far it is, and how it ended, is in its job. */
@Entity('evaluation')
export class EvaluationRow {
  @PrimaryColumn('text', { name: 'tenant_id' })
  tenantId: string;

  @PrimaryColumn('text')
  id: string;

  @Column('text', { name: 'model_version_id' })
  modelVersionId: string;

  @Column('text', { name: 'dataset_version_id' })
  datasetVersionId: string;

  @Column('text', { name: 'split_id' })
  splitId: string;

  @Column('text')
  part: 'VALIDATION' | 'TEST';

  @Column('text', { name: 'against_version_id', nullable: true })
  againstVersionId: string | null;

  @Column('jsonb')
  request: EvaluationRequest;

  @Column('bigint')
  seed: number;

  @Column('text', { name: 'job_id' })
  jobId: string;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;

  @Column('jsonb', { nullable: true })
  result: EvaluationResult | null;
}

import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { Algorithm, AlgorithmName, AnyParameters, FitOptions, Member, TaskName } from '../../ml/spec.js';
import type { FigureName } from '../../ml/train.js';
import type { Search, SpaceOverride, StudyLimits, StudyResult, Trial, TrialState } from '../../ml/tune.js';

/** What was asked for, and what was chosen. How far it is, and how it ended, is in its job. */
@Entity('study')
export class StudyRow {
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

  @Column('jsonb')
  options: FitOptions;

  @Column('bigint')
  seed: number;

  @Column('text')
  search: Search;

  @Column('jsonb', { nullable: true })
  algorithms: Algorithm[] | null;

  @Column('jsonb')
  space: SpaceOverride[];

  @Column('text', { nullable: true })
  metric: FigureName | null;

  @Column('int', { nullable: true })
  folds: number | null;

  @Column('jsonb')
  limits: StudyLimits;

  @Column('text', { name: 'job_id' })
  jobId: string;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;

  @Column('bigint', { name: 'elapsed_ms' })
  elapsedMs: number;

  @Column('text', { name: 'ended_by', nullable: true })
  endedBy: StudyResult['end'] | null;

  @Column('int', { name: 'best_number', nullable: true })
  bestNumber: number | null;

  @Column('text', { name: 'training_id', nullable: true })
  trainingId: string | null;
}

@Entity('trial')
export class TrialRow implements Omit<Trial, 'error'> {
  @PrimaryColumn('text', { name: 'tenant_id' })
  tenantId: string;

  @PrimaryColumn('text', { name: 'study_id' })
  studyId: string;

  @PrimaryColumn('int')
  number: number;

  @Column('text')
  algorithm: AlgorithmName;

  @Column('jsonb')
  parameters: AnyParameters;

  @Column('jsonb', { nullable: true })
  members: readonly Member[] | null;

  @Column('text')
  state: TrialState;

  @Column('float8', { nullable: true })
  value: number | null;

  @Column('float8', { nullable: true })
  low: number | null;

  @Column('float8', { nullable: true })
  high: number | null;

  @Column('int')
  rung: number;

  @Column('float8')
  resource: number;

  @Column('jsonb')
  curve: Trial['curve'];

  @Column('int', { nullable: true })
  rounds: number | null;

  @Column('float8', { name: 'latency_micros', nullable: true })
  latencyMicros: number | null;

  @Column('bigint', { name: 'elapsed_ms' })
  elapsedMs: number;

  @Column('text', { name: 'error_code', nullable: true })
  errorCode: string | null;

  @Column('text', { name: 'error_message', nullable: true })
  errorMessage: string | null;
}

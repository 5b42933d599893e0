import { Field, Float, ID, Int, ObjectType, registerEnumType } from 'type-graphql';
import { DateTime, Long, Node } from './graphql.js';
import type { JobState } from './jobs.js';

export const JobStateEnum = {
  QUEUED: 'QUEUED',
  RUNNING: 'RUNNING',
  SUCCEEDED: 'SUCCEEDED',
  FAILED: 'FAILED',
  CANCELLED: 'CANCELLED',
} as const satisfies Record<JobState, JobState>;
registerEnumType(JobStateEnum, {
  name: 'JobState',
  description: 'Where a job stands.',
  valuesConfig: {
    QUEUED: { description: 'Waits for its turn, or for its next attempt.' },
    RUNNING: { description: 'A worker has it.' },
    SUCCEEDED: { description: 'Done; what it made is stored.' },
    FAILED: { description: 'Ended without a result; `errorCode` and `errorMessage` say why.' },
    CANCELLED: { description: 'Ended because somebody asked for it.' },
  },
});

@ObjectType({ description: 'Whose round it is, where models are combined.' })
export class RoundPart {
  @Field(() => Int, { description: 'Which member, from 0.' })
  member: number;

  @Field(() => Int, { nullable: true, description: 'Which fold is held out, from 0; null where none is.' })
  fold: number | null;
}

@ObjectType({ description: 'A figure of one round of training.' })
export class RoundMetric {
  @Field(() => String, { description: 'Which figure, such as `logLoss`.' })
  name: string;

  @Field(() => Float, { nullable: true, description: 'On the training rows, where it is known anyway.' })
  train?: number | null;

  @Field(() => Float, { description: 'On the validation rows, or those of the fold held out.' })
  validation: number;

  @Field(() => RoundPart, { nullable: true, description: 'Whose round it is; null unless models are combined.' })
  part?: RoundPart | null;
}

@ObjectType({ description: 'How far a running job is.' })
export class JobProgress {
  @Field(() => String, {
    description: 'What it does at present, such as `reading` or `training`; evaluations name the section.',
  })
  phase: string;

  @Field(() => Float, { nullable: true, description: 'From 0 to 1, or null where nobody can know.' })
  fraction?: number | null;

  @Field(() => Int, {
    nullable: true,
    description: 'Training: rounds (trees, steps) done. Evaluation: folds, shares or columns of the section.',
  })
  round?: number | null;

  @Field(() => Int, { nullable: true, description: 'Training: rounds at most; early stopping may end it before.' })
  rounds?: number | null;

  @Field(() => RoundMetric, { nullable: true, description: 'Training: the figure of the last round.' })
  metric?: RoundMetric | null;

  @Field(() => Int, { nullable: true, description: 'Tuning: trials that have ended.' })
  trials?: number | null;

  @Field(() => Float, { nullable: true, description: 'Tuning: the metric of the best trial so far.' })
  best?: number | null;

  @Field(() => Long, { nullable: true, description: 'Predicting: rows answered, recorded and charged so far.' })
  rows?: number | null;
}

@ObjectType({ implements: Node, description: 'A piece of work in the background.' })
export class Job extends Node {
  @Field(() => String, {
    description: 'What kind of work: `ingest`, `split`, `train`, `import`, `tune`, `evaluate`, `predict`.',
  })
  name: string;

  @Field(() => JobStateEnum, { description: 'Where it stands.' })
  state: JobState;

  @Field(() => JobProgress, { nullable: true, description: 'How far it is; null until there is news.' })
  progress: JobProgress | null;

  @Field(() => Int, { description: 'How often a worker has taken it.' })
  attempt: number;

  @Field(() => Boolean, {
    description: 'Whether somebody has asked for its end; a running job then ends within a second.',
  })
  cancelRequested: boolean;

  @Field(() => String, { nullable: true, description: 'Why it failed, for a program.' })
  errorCode: string | null;

  @Field(() => String, { nullable: true, description: 'Why it failed, for a person.' })
  errorMessage: string | null;

  @Field(() => DateTime, { description: 'When it was asked for.' })
  createdAt: Date;

  @Field(() => DateTime, { nullable: true, description: 'When a worker first took it.' })
  startedAt: Date | null;

  @Field(() => DateTime, { nullable: true, description: 'When it ended.' })
  finishedAt: Date | null;

  @Field(() => ID, {
    description:
      'What it works on: a dataset version, a split, a training, an import, a study, an evaluation, a batch prediction.',
  })
  subjectId: string;
}

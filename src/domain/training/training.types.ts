import { Field, Float, ID, InputType, ObjectType, registerEnumType } from 'type-graphql';
import type { TaskName } from '../../ml/spec.js';
import { connectionOf, Long, Node, resultOf, DateTime } from '../../platform/graphql.js';
import { Job, JobStateEnum } from '../../platform/job.types.js';
import type { JobState } from '../../platform/jobs.js';
import { AlgorithmInput } from './algorithm.types.js';
import { ConstraintsInput } from './constraint.types.js';

export const TaskEnum = {
  AUTO: 'AUTO',
  BINARY: 'BINARY',
  MULTICLASS: 'MULTICLASS',
  REGRESSION: 'REGRESSION',
} as const satisfies Record<TaskName, TaskName>;
registerEnumType(TaskEnum, {
  name: 'Task',
  description: 'What a model is to answer.',
  valuesConfig: {
    AUTO: { description: 'Told from the target: its type, and how many values it has.' },
    BINARY: { description: 'One of two classes.' },
    MULTICLASS: { description: 'One of several classes.' },
    REGRESSION: { description: 'A number.' },
  },
});

@ObjectType({ implements: Node, description: 'A training: what was asked for, and how far it is.' })
export class Training extends Node {
  @Field(() => ID, { description: 'The dataset version that it learns from.' })
  datasetVersionId: string;

  @Field(() => ID, { description: 'Which rows train, validate and test.' })
  splitId: string;

  @Field(() => String, { description: 'The column to tell.' })
  target: string;

  @Field(() => [String], { description: 'The columns to learn from.' })
  features: readonly string[];

  @Field(() => TaskEnum, { description: 'What was asked for; the version says what it became.' })
  task: TaskName;

  @Field(() => Long, { description: 'The seed of all randomness: the same one gives the same model.' })
  seed: number;

  @Field(() => ID, { nullable: true, description: 'The study that chose it; null where a person did.' })
  studyId: string | null;

  @Field(() => ID, {
    nullable: true,
    description: 'The agreement under which it learns from another tenant’s data; null: they are the tenant’s own.',
  })
  agreementId: string | null;

  @Field(() => Job, { description: 'The work: state, progress, why it failed.' })
  job: Job;

  @Field(() => DateTime, { description: 'When it was asked for.' })
  createdAt: Date;
}

@ObjectType({ description: 'A hyper-parameter, for a form.' })
export class TrainingParameter {
  @Field(() => String, { description: 'Its name: a field of the algorithm’s input.' })
  name: string;

  @Field(() => String, { description: '`INT`, `FLOAT`, `BOOL` or `ENUM`.' })
  type: string;

  @Field(() => Float, { nullable: true, description: 'The least value; null unless it is a number.' })
  min: number | null;

  @Field(() => Float, { nullable: true, description: 'The greatest value; null unless it is a number.' })
  max: number | null;

  @Field(() => [String], { nullable: true, description: 'The values of an enum; null for anything else.' })
  values: readonly string[] | null;

  @Field(() => String, { description: 'Its default, as text.' })
  defaultValue: string;

  @Field(() => String, { description: 'What it does.' })
  description: string;
}

@ObjectType({ description: 'An algorithm with its hyper-parameters, for a form.' })
export class TrainingAlgorithm {
  @Field(() => String, { description: 'The field of `AlgorithmInput` that chooses it.' })
  field: string;

  @Field(() => String, { description: 'How it learns.' })
  description: string;

  @Field(() => [TrainingParameter], { description: 'Its hyper-parameters.' })
  parameters: TrainingParameter[];
}

export const TrainingConnection = connectionOf(Training);

@InputType({ description: 'Which trainings; what is left out excludes nothing.' })
export class TrainingFilterInput {
  @Field(() => ID, { nullable: true, description: 'For this model only.' })
  modelId?: string | null;

  @Field(() => ID, { nullable: true, description: 'On this dataset version only.' })
  datasetVersionId?: string | null;

  @Field(() => [JobStateEnum], { nullable: true, description: 'In one of these states only.' })
  states?: JobState[] | null;
}

@InputType({ description: 'A training. It becomes the next version of a model: name an existing one, or a new one.' })
export class StartTrainingInput {
  @Field(() => ID, { description: 'The dataset version to learn from.' })
  datasetVersionId: string;

  @Field(() => ID, { description: 'A split of it.' })
  splitId: string;

  @Field(() => String, { description: 'The column to tell.' })
  target: string;

  @Field(() => [String], {
    nullable: true,
    description: 'The columns to learn from; those of role FEATURE unless told.',
  })
  features?: string[] | null;

  @Field(() => TaskEnum, { nullable: true, description: 'What to answer; AUTO unless told.' })
  task?: TaskName | null;

  @Field(() => String, {
    nullable: true,
    description: 'Two classes: which one precision, recall and the threshold are about; the rarer one unless told.',
  })
  positiveClass?: string | null;

  @Field(() => AlgorithmInput, { description: 'How to learn.' })
  algorithm: AlgorithmInput;

  @Field(() => ConstraintsInput, {
    nullable: true,
    description: 'What the model may not contradict; nothing unless told.',
  })
  constraints?: ConstraintsInput | null;

  @Field(() => String, {
    nullable: true,
    description:
      'A column of numbers above 0 that says what each row counts; it is no feature then. All count the same unless told.',
  })
  weightColumn?: string | null;

  @Field(() => ID, {
    nullable: true,
    description:
      'A version to go on from, gradient boosting only: its trees stay, and nEstimators rounds at most are added. It must have the same columns, classes and objective.',
  })
  warmStartFrom?: string | null;

  @Field(() => Long, { nullable: true, description: '0 to 2^32 - 1; drawn at random unless told.' })
  seed?: number | null;

  @Field(() => ID, { nullable: true, description: 'An existing model. Either this or modelName.' })
  modelId?: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'The name of a model, made if there is none. Either this or modelId.',
  })
  modelName?: string | null;
}

@ObjectType({ description: 'The training that was started.' })
export class StartTrainingPayload {
  @Field(() => Training, { description: 'The training.' })
  training: Training;
}
export const StartTrainingResult = resultOf(StartTrainingPayload);

@InputType({ description: 'Which training to cancel.' })
export class CancelTrainingInput {
  @Field(() => ID, { description: 'The training.' })
  trainingId: string;
}

@ObjectType({ description: 'The training that was asked to end.' })
export class CancelTrainingPayload {
  @Field(() => Training, { description: 'The training.' })
  training: Training;
}
export const CancelTrainingResult = resultOf(CancelTrainingPayload);

@InputType({ description: 'Which training to try again.' })
export class RetryTrainingInput {
  @Field(() => ID, { description: 'The training, failed or cancelled.' })
  trainingId: string;
}

@ObjectType({ description: 'The training that is queued again.' })
export class RetryTrainingPayload {
  @Field(() => Training, { description: 'The training.' })
  training: Training;
}
export const RetryTrainingResult = resultOf(RetryTrainingPayload);

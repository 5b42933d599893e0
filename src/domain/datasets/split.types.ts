import { Field, Float, ID, InputType, Int, ObjectType } from 'type-graphql';
import { connectionOf, DateTime, enumOf, Long, Node, resultOf } from '../../platform/graphql.js';
import type { SplitState } from './dataset.entity.js';
import type { SplitRow } from './split.service.js';

export const SplitMethodEnum = enumOf<SplitRow['method']>('SplitMethod', 'How rows are assigned.', {
  RANDOM: 'Any row to any part.',
  STRATIFIED: 'Every value of the column in the same shares.',
  GROUPED: 'Rows with the same value of the column stay together.',
  TIME: 'By the column: the earliest to training, the latest to the test.',
});

export const SplitStateEnum = enumOf<SplitState>('SplitState', 'Where a split stands.', {
  COMPUTING: 'Being computed, or waiting for that.',
  READY: 'Can be trained on; it never changes again.',
  REFUSED: 'The rows do not allow it; `errorMessage` says why.',
});

@ObjectType({
  implements: Node,
  description:
    'Which rows of a dataset version are for training, validation and test. The same seed gives the same split.',
})
export class Split extends Node {
  @Field(() => ID, { description: 'The dataset version.' })
  datasetVersionId: string;

  @Field(() => SplitMethodEnum, { description: 'How rows are assigned.' })
  method: SplitRow['method'];

  @Field(() => String, { nullable: true, description: 'By which column; null for RANDOM.' })
  columnName: string | null;

  @Field(() => Float, { description: 'The share of rows for training.' })
  train: number;

  @Field(() => Float, { description: 'The share of rows for validation.' })
  validation: number;

  @Field(() => Float, { description: 'The share of rows for the test.' })
  test: number;

  @Field(() => Int, { description: 'The seed.' })
  seed: number;

  @Field(() => SplitStateEnum, { description: 'Where it stands.' })
  state: SplitState;

  @Field(() => Long, { nullable: true, description: 'Rows for training.' })
  trainRows: number | null;

  @Field(() => Long, { nullable: true, description: 'Rows for validation.' })
  validationRows: number | null;

  @Field(() => Long, { nullable: true, description: 'Rows for the test.' })
  testRows: number | null;

  @Field(() => String, { nullable: true, description: 'SHA-256 over one byte a row (0, 1, 2), in hexadecimal.' })
  digest: string | null;

  @Field(() => String, { nullable: true, description: 'Why it was refused, for a program.' })
  errorCode: string | null;

  @Field(() => String, { nullable: true, description: 'Why it was refused, for a person.' })
  errorMessage: string | null;

  @Field(() => DateTime, { description: 'When it was asked for.' })
  createdAt: Date;
}

export const SplitConnection = connectionOf(Split);

@InputType({ description: 'A split of a dataset version.' })
export class CreateSplitInput {
  @Field(() => ID, { description: 'The dataset version; it must be ready.' })
  datasetVersionId: string;

  @Field(() => SplitMethodEnum, { defaultValue: 'RANDOM', description: 'How rows are assigned.' })
  method: SplitRow['method'];

  @Field(() => String, { nullable: true, description: 'By which column; every method but RANDOM needs one.' })
  column?: string | null;

  @Field(() => Float, { nullable: true, description: 'The share for training; 0.6 unless all three are given.' })
  train?: number | null;

  @Field(() => Float, { nullable: true, description: 'The share for validation; 0.2 unless all three are given.' })
  validation?: number | null;

  @Field(() => Float, { nullable: true, description: 'The share for the test; 0.2 unless all three are given.' })
  test?: number | null;

  @Field(() => Int, { nullable: true, description: 'The seed, 0 or more; 1 unless told.' })
  seed?: number | null;
}

@ObjectType({ description: 'The new split.' })
export class CreateSplitPayload {
  @Field(() => Split, { description: 'The split, which is being computed now.' })
  split: Split;
}
export const CreateSplitResult = resultOf(CreateSplitPayload);

import { Field, ID, Int, ObjectType } from 'type-graphql';
import { connectionOf, DateTime, enumOf } from '../../platform/graphql.js';
import type { DataUseRow } from './data-use.service.js';
import type { Purpose } from './purpose.js';
import { PurposeEnum } from './terms.types.js';

export const DataUseOutcomeEnum = enumOf<NonNullable<DataUseRow['outcome']>>(
  'DataUseOutcome',
  'How a training under an agreement ended.',
  {
    SUCCEEDED: 'The consumer has a model.',
    FAILED: 'There is no model: the data or the request did not allow it, or the agreement no longer did.',
    CANCELLED: 'The consumer has cancelled it.',
  },
);

@ObjectType({ description: 'A training on the provider’s data under an agreement: the same to both parties.' })
export class AgreementTraining {
  @Field(() => ID, { description: 'The consumer’s training.' })
  trainingId: string;

  @Field(() => Int, { description: 'The version of the terms under which it was admitted.' })
  version: number;

  @Field(() => PurposeEnum, { description: 'The purpose that was declared.' })
  purpose: Purpose;

  @Field(() => [String], { description: 'The columns that are learned from: target, features and weights.' })
  columns: readonly string[];

  @Field(() => DateTime, { description: 'When it was asked for.' })
  askedAt: Date;

  @Field(() => DateTime, { nullable: true, description: 'By when the terms promise its end; null: they do not.' })
  deadlineAt: Date | null;

  @Field(() => DateTime, { nullable: true, description: 'When it ended; null: it has not.' })
  endedAt: Date | null;

  @Field(() => DataUseOutcomeEnum, { nullable: true, description: 'How it ended; null: it has not.' })
  outcome: DataUseRow['outcome'];

  @Field(() => String, { nullable: true, description: 'Why there is no model, or null.' })
  code: string | null;
}
export const AgreementTrainingConnection = connectionOf(AgreementTraining);

@ObjectType({ description: 'A column that may be learned from.' })
export class AgreementColumn {
  @Field(() => String, { description: 'Its name.' })
  name: string;

  @Field(() => String, { description: 'What it holds: NUMBER, CATEGORY, BOOLEAN, DATE, TEXT.' })
  type: string;
}

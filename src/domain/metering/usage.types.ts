import { Field, ID, Int, ObjectType } from 'type-graphql';
import { Long, DateTime } from '../../platform/graphql.js';

@ObjectType({ description: 'How many requests were refused for one reason.' })
export class RefusalCount {
  @Field(() => String, { description: 'The code of the refusal.' })
  code: string;

  @Field(() => Int, { description: 'Requests.' })
  requests: number;
}

@ObjectType({ description: 'The usage of one day.' })
export class UsageDay {
  @Field(() => String, { description: 'The UTC day, YYYY-MM-DD.' })
  day: string;

  @Field(() => Int, { description: 'Requests answered.' })
  requests: number;

  @Field(() => Long, { description: 'Rows answered and charged.' })
  rows: number;

  @Field(() => [RefusalCount], { description: 'Requests refused, by code.' })
  refusals: readonly RefusalCount[];
}

@ObjectType({ description: 'What an agreement’s limits leave. Null: the terms set no such limit.' })
export class Allowance {
  @Field(() => Long, { description: 'Rows charged today (UTC).' })
  rowsToday: number;

  @Field(() => Long, { description: 'Rows charged this month (UTC).' })
  rowsThisMonth: number;

  @Field(() => Long, { description: 'Rows charged in total.' })
  rowsTotal: number;

  @Field(() => Long, {
    description: 'Rows that batches have reserved and not answered yet; the counts above include them until they end.',
  })
  rowsReserved: number;

  @Field(() => Long, { nullable: true, description: 'Rows left today (UTC).' })
  rowsLeftToday: number | null;

  @Field(() => Long, { nullable: true, description: 'Rows left this month (UTC).' })
  rowsLeftThisMonth: number | null;

  @Field(() => Long, { nullable: true, description: 'Rows left in total.' })
  rowsLeftInTotal: number | null;

  @Field(() => Long, { nullable: true, description: 'What is left of the privacy budget, in thousandths of epsilon.' })
  privacyBudgetLeftMilli: number | null;
}

@ObjectType({
  description: 'The usage of an agreement, counted from the recorded entries: the same figures for both parties.',
})
export class Usage {
  @Field(() => ID, { description: 'The agreement.' })
  agreementId: string;

  @Field(() => DateTime, { description: 'From this moment.' })
  from: Date;

  @Field(() => DateTime, { description: 'Up to this moment, exclusively.' })
  until: Date;

  @Field(() => Int, { description: 'Requests answered.' })
  requests: number;

  @Field(() => Long, { description: 'Rows answered and charged.' })
  rows: number;

  @Field(() => [RefusalCount], { description: 'Requests refused, by code.' })
  refusals: readonly RefusalCount[];

  @Field(() => [UsageDay], { description: 'By day; days without requests are left out.' })
  days: readonly UsageDay[];
}

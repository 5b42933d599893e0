import { Field, Float, Int, ObjectType } from 'type-graphql';
import type { GroupRateName } from '../../ml/evaluate.js';
import { enumOf, Long } from '../../platform/graphql.js';
import { Estimate, Metrics } from './metrics.types.js';

const GroupRateEnum = enumOf<GroupRateName>('GroupRate', 'A rate by which groups are compared.', {
  BASE_RATE: 'The share of the group that is positive: a fact of the data.',
  SELECTION_RATE: 'The share of the group that is called positive (demographic parity).',
  TRUE_POSITIVE_RATE: 'Of its positive rows, the share that are called so (equal opportunity).',
  FALSE_POSITIVE_RATE:
    'Of its negative rows, the share that are called positive (equalised odds, with the one before).',
  PRECISION: 'Of its rows called positive, the share that are (predictive parity).',
});

@ObjectType({ description: 'A rate of a group, beside the reference group’s.' })
export class GroupRateFigure {
  @Field(() => GroupRateEnum, { description: 'Which rate.' })
  name: GroupRateName;

  @Field(() => Estimate, { description: 'With Wilson’s interval.' })
  rate: Estimate;

  @Field(() => Estimate, {
    nullable: true,
    description: 'Minus the reference group’s, with Newcombe’s interval; null of the reference group.',
  })
  difference: Estimate | null;

  @Field(() => Float, {
    nullable: true,
    description: 'Over the reference group’s; null of the reference group, and where that rate is 0.',
  })
  ratio: number | null;
}

@ObjectType({ description: 'Figures of one group.' })
export class GroupFigures {
  @Field(() => String, {
    nullable: true,
    description: 'A category, `true` or `false`, or a range; null for rows without a value (or with a rare one).',
  })
  group: string | null;

  @Field(() => Long, { description: 'How many rows.' })
  rows: number;

  @Field(() => Metrics, { description: 'How good the model is on them.' })
  metrics: Metrics;

  @Field(() => [GroupRateFigure], { description: 'Of the positive one of two classes; else empty.' })
  rates: readonly GroupRateFigure[];
}

@ObjectType({ description: 'How far apart the groups are in a rate.' })
export class GroupGap {
  @Field(() => GroupRateEnum, { description: 'Which rate.' })
  name: GroupRateName;

  @Field(() => Float, { description: 'The greatest minus the least.' })
  difference: number;

  @Field(() => Float, { nullable: true, description: 'The least over the greatest; null where that is 0.' })
  ratio: number | null;

  @Field(() => String, { nullable: true, description: 'The group of the greatest.' })
  highest: string | null;

  @Field(() => String, { nullable: true, description: 'The group of the least.' })
  lowest: string | null;
}

@ObjectType({ description: 'Figures by the values of a column.' })
export class GroupReport {
  @Field(() => String, { description: 'The column.' })
  column: string;

  @Field(() => String, { nullable: true, description: 'The largest group, which the others are compared with.' })
  reference: string | null;

  @Field(() => [GroupFigures], { description: 'The largest first, at most 20.' })
  groups: readonly GroupFigures[];

  @Field(() => [GroupGap], { description: 'Between the groups that are told; two classes only.' })
  gaps: readonly GroupGap[];

  @Field(() => Int, { description: 'Groups that are not told: smaller than leastRows, or beyond the 20 largest.' })
  maskedGroups: number;

  @Field(() => Long, { description: 'Their rows.' })
  maskedRows: number;

  @Field(() => Int, { description: 'Groups of fewer rows are not told.' })
  leastRows: number;
}

import { Field, Float, ID, InputType, Int, ObjectType, registerEnumType } from 'type-graphql';
import { Columns, connectionOf, JsonObject, Long, Node, resultOf, DateTime } from '../../platform/graphql.js';

@ObjectType({
  implements: Node,
  description: 'Where predictions are asked for. Its signature stays the same whichever version it routes to.',
})
export class Endpoint extends Node {
  @Field(() => ID, { description: 'Whose it is.' })
  tenantId: string;

  @Field(() => String, { description: 'Unique in the tenant.' })
  name: string;

  @Field(() => ID, { description: 'The model version that answers now.' })
  modelVersionId: string;

  @Field(() => DateTime, { description: 'When it was created.' })
  createdAt: Date;

  @Field(() => DateTime, { description: 'Since when this version answers.' })
  routedAt: Date;
}

export const EndpointConnection = connectionOf(Endpoint);

@InputType({ description: 'A new endpoint.' })
export class CreateEndpointInput {
  @Field(() => String, { description: 'Unique in the tenant, 1 to 100 characters.' })
  name: string;

  @Field(() => ID, { description: 'The model version that answers.' })
  modelVersionId: string;
}

@ObjectType({ description: 'The endpoint that was created.' })
export class CreateEndpointPayload {
  @Field(() => Endpoint, { description: 'The endpoint.' })
  endpoint: Endpoint;
}

@InputType({ description: 'Where an endpoint shall route.' })
export class RouteEndpointInput {
  @Field(() => ID, { description: 'The endpoint.' })
  endpointId: string;

  @Field(() => ID, { description: 'The version that answers from now on; it must take and answer the same.' })
  modelVersionId: string;
}

@ObjectType({ description: 'The endpoint that was routed.' })
export class RouteEndpointPayload extends CreateEndpointPayload {}

@InputType({ description: 'The endpoint to delete.' })
export class DeleteEndpointInput {
  @Field(() => ID, { description: 'The endpoint.' })
  endpointId: string;
}

@ObjectType({ description: 'The endpoint that was deleted.' })
export class DeleteEndpointPayload {
  @Field(() => ID, { description: 'Its id, which nothing answers to any more.' })
  endpointId: string;
}

export const DirectionEnum = { FOR: 'FOR', AGAINST: 'AGAINST' } as const;
registerEnumType(DirectionEnum, {
  name: 'InfluenceDirection',
  description: 'Which way a column moved an answer.',
  valuesConfig: {
    FOR: { description: 'Towards the label that was answered, or towards larger values.' },
    AGAINST: { description: 'Away from the label that was answered, or towards smaller values.' },
  },
});

@ObjectType({ description: 'A column that moved the answer of a row.' })
export class Influence {
  @Field(() => String, { description: 'The column.' })
  column: string;

  @Field(() => DirectionEnum, { description: 'Which way.' })
  direction: keyof typeof DirectionEnum;
}

@ObjectType({
  description:
    'How the columns add up to a raw score, which the model turns into scores or the value: raw score of a row = base + the sum of its contributions (Shapley values).',
})
export class ExplainedOutput {
  @Field(() => String, { nullable: true, description: 'The class whose raw score it is; null for regression.' })
  class: string | null;

  @Field(() => Float, { description: 'The mean raw score of the rows that the model was trained on.' })
  base: number;

  @Field(() => Columns, { description: 'By column, its contribution in each row.' })
  contributions: Readonly<Record<string, readonly number[]>>;
}

@ObjectType({ description: 'Why the model answers so: one of the two, as agreed.' })
export class PredictionExplanation {
  @Field(() => [ExplainedOutput], {
    nullable: true,
    description: 'All contributions, of each raw score that the model has; rounded like the scores. With FULL.',
  })
  outputs: readonly ExplainedOutput[] | null;

  @Field(() => [[Influence]], {
    nullable: true,
    description:
      'By row, the columns that moved its answer most, strongest first; none where the label is not told. With TOP_K.',
  })
  strongest: readonly (readonly Influence[])[] | null;
}

@ObjectType({ description: 'An answer. Its usage and its audit entry were durable before it left.' })
export class Prediction {
  @Field(() => ID, { description: 'The subject of the audit entry.' })
  id: string;

  @Field(() => Int, { description: 'Rows answered and charged.' })
  rowCount: number;

  @Field(() => [String], {
    nullable: 'itemsAndList',
    description: 'The class of each row, null where the agreement does not tell it; null for regression.',
  })
  labels: readonly (string | null)[] | null;

  @Field(() => Columns, {
    nullable: true,
    description:
      'By class, the score of each row as the agreement discloses it, null where it does not; a class of which no score is told is left out.',
  })
  scores: Readonly<Record<string, readonly (number | null)[]>> | null;

  @Field(() => [Float], {
    nullable: 'itemsAndList',
    description: 'The value of each row as agreed, null where the model answers no finite number; null for classes.',
  })
  values: readonly (number | null)[] | null;

  @Field(() => PredictionExplanation, { nullable: true, description: 'Null unless it was asked for.' })
  explanation: PredictionExplanation | null;

  @Field(() => ID, { description: 'The model version that answered.' })
  modelVersionId: string;

  @Field(() => ID, { nullable: true, description: 'The agreement that was charged; null for an own endpoint.' })
  agreementId: string | null;

  @Field(() => Long, { description: 'The index of the audit entry.' })
  logIndex: number;

  @Field(() => String, { description: 'The leaf hash of the audit entry, in hexadecimal.' })
  leafHashHex: string;

  @Field(() => String, {
    description:
      'The salt of the digests of input and output in the audit entry, in hexadecimal. Kept nowhere else: keep it to prove later what was asked and answered.',
  })
  saltHex: string;

  @Field(() => JsonObject, {
    description:
      'What proves to anybody with the platform’s public key that the log holds this entry (docs/api.md). Holds the salt.',
  })
  receipt: object;

  @Field(() => Boolean, {
    description: 'Whether this answer was recorded and charged before, under the same idempotency key.',
  })
  isRepetition: boolean;

  @Field(() => DateTime, { description: 'When it was recorded.' })
  at: Date;

  @Field(() => Float, { description: 'From the arrival to the durable record, in milliseconds.' })
  latencyMs: number;
}

@ObjectType({ description: 'The prediction that was made.' })
export class PredictPayload {
  @Field(() => Prediction, { description: 'The answer.' })
  prediction: Prediction;
}

export const CreateEndpointResult = resultOf(CreateEndpointPayload);
export const RouteEndpointResult = resultOf(RouteEndpointPayload);
export const DeleteEndpointResult = resultOf(DeleteEndpointPayload);
export const PredictResult = resultOf(PredictPayload);

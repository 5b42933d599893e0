import { Field, Float, ID, InputType, Int, ObjectType } from 'type-graphql';
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

@ObjectType({ description: 'An answer. Its usage and its audit entry were durable before it left.' })
export class Prediction {
  @Field(() => ID, { description: 'The subject of the audit entry.' })
  id: string;

  @Field(() => Int, { description: 'Rows answered and charged.' })
  rowCount: number;

  @Field(() => [String], { nullable: true, description: 'The class of each row; null for regression.' })
  labels: readonly string[] | null;

  @Field(() => Columns, {
    nullable: true,
    description: 'By class, the score of each row, as far as the agreement discloses them.',
  })
  scores: Readonly<Record<string, readonly number[]>> | null;

  @Field(() => [Float], { nullable: true, description: 'The value of each row, rounded as agreed; null for classes.' })
  values: readonly number[] | null;

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

import { Field, ID, InputType, ObjectType } from 'type-graphql';
import { connectionOf, DateTime, Long, Node, resultOf } from '../../platform/graphql.js';
import { Job } from '../../platform/job.types.js';

@ObjectType({
  implements: Node,
  description:
    'Predictions of all rows of a dataset version, made in the background. The answers are the tenant’s alone; a provider sees counts.',
})
export class BatchPrediction extends Node {
  @Field(() => ID, { description: 'The endpoint that was asked.' })
  endpointId: string;

  @Field(() => ID, { nullable: true, description: 'The agreement that is charged; null for an own endpoint.' })
  agreementId: string | null;

  @Field(() => ID, {
    description: 'The model version that answers all rows: the one to which the endpoint routed when it was asked.',
  })
  modelVersionId: string;

  @Field(() => ID, { description: 'Whose rows.' })
  datasetVersionId: string;

  @Field(() => Long, { description: 'Rows asked for.' })
  rowCount: number;

  @Field(() => Job, { description: 'How far it is.' })
  job: Job;

  @Field(() => DateTime, { description: 'When it was asked for.' })
  createdAt: Date;

  @Field(() => DateTime, { nullable: true, description: 'Since when its answers are gone; null: they are there.' })
  deletedAt: Date | null;
}

export const BatchPredictionConnection = connectionOf(BatchPrediction);

@ObjectType({
  description:
    'Where the answers of a batch are fetched, with the credential that GraphQL takes. Of a batch that failed or was cancelled: the rows that were answered.',
})
export class BatchDownloads {
  @Field(() => String, { description: 'CSV (RFC 4180): the row, from 0, and what is told of it.' })
  csvUrl: string;

  @Field(() => String, {
    description: 'JSON lines: each chunk with its answer, as it was recorded, and its receipt.',
  })
  jsonLinesUrl: string;

  @Field(() => String, {
    description: 'JSON: what was asked under what, and the receipt of every chunk. `npx concordat verify` takes it.',
  })
  manifestUrl: string;
}

@ObjectType({ description: 'The batch that was put in the queue; its rows are reserved.' })
export class PredictBatchPayload {
  @Field(() => BatchPrediction, { description: 'The batch.' })
  batchPrediction: BatchPrediction;
}
export const PredictBatchResult = resultOf(PredictBatchPayload);

@InputType({ description: 'Which batch to cancel.' })
export class CancelBatchPredictionInput {
  @Field(() => ID, { description: 'The batch.' })
  batchPredictionId: string;
}

@ObjectType({ description: 'The batch that was asked to end.' })
export class CancelBatchPredictionPayload extends PredictBatchPayload {}
export const CancelBatchPredictionResult = resultOf(CancelBatchPredictionPayload);

@InputType({ description: 'Which batch to go on with.' })
export class RetryBatchPredictionInput {
  @Field(() => ID, { description: 'The batch, failed or cancelled.' })
  batchPredictionId: string;
}

@ObjectType({ description: 'The batch that is queued again, for the rows that are left.' })
export class RetryBatchPredictionPayload extends PredictBatchPayload {}
export const RetryBatchPredictionResult = resultOf(RetryBatchPredictionPayload);

@InputType({ description: 'Whose answers to delete.' })
export class DeleteBatchPredictionInput {
  @Field(() => ID, { description: 'The batch, which must be over.' })
  batchPredictionId: string;
}

@ObjectType({ description: 'The batch whose answers were deleted.' })
export class DeleteBatchPredictionPayload extends PredictBatchPayload {}
export const DeleteBatchPredictionResult = resultOf(DeleteBatchPredictionPayload);

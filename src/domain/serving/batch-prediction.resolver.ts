import {
  Arg,
  Args,
  Authorized,
  Ctx,
  Field,
  FieldResolver,
  ID,
  InputType,
  Mutation,
  Query,
  Resolver,
  Root,
  Subscription,
} from 'type-graphql';
import { notFound } from '../../platform/errors.js';
import type { News } from '../../platform/events.js';
import { CurrentScope, Long, PageArgs, type RequestContext, subjectTopic } from '../../platform/graphql.js';
import { isFinal } from '../../platform/jobs.js';
import { loadOne } from '../../platform/loader.js';
import type { Page } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import { PurposeEnum } from '../agreements/terms.types.js';
import type { BatchPredictionService, BatchPredictionView } from './batch-prediction.service.js';
import {
  BatchDownloads,
  BatchPrediction,
  BatchPredictionConnection,
  CancelBatchPredictionInput,
  type CancelBatchPredictionPayload,
  CancelBatchPredictionResult,
  DeleteBatchPredictionInput,
  type DeleteBatchPredictionPayload,
  DeleteBatchPredictionResult,
  type PredictBatchPayload,
  PredictBatchResult,
  RetryBatchPredictionInput,
  type RetryBatchPredictionPayload,
  RetryBatchPredictionResult,
} from './batch-prediction.types.js';

@InputType({ description: 'Rows to predict in the background.' })
export class PredictBatchInput {
  @Field(() => ID, { description: 'The endpoint.' })
  endpointId: string;

  @Field(() => ID, {
    description:
      'A dataset version of the tenant’s own that has the columns of the endpoint’s signature; others are ignored.',
  })
  datasetVersionId: string;

  @Field(() => PurposeEnum, { nullable: true, description: 'Why it is asked; must be declared under an agreement.' })
  purpose?: string | null;

  @Field(() => ID, {
    nullable: true,
    description: 'The agreement to charge. Unless told: the oldest one in force that allows the purpose.',
  })
  agreementId?: string | null;

  @Field(() => String, {
    nullable: true,
    description:
      'Where the caller says that it is, such as `eu-west`: small letters, digits and hyphens. Recorded as declared; nothing is decided by it.',
  })
  declaredRegion?: string | null;
}

@Resolver(() => BatchPrediction)
export class BatchPredictionResolver {
  constructor(private readonly batches: BatchPredictionService) {}

  @Authorized('prediction:create')
  @Query(() => BatchPrediction, { nullable: true, description: 'A batch prediction of the tenant’s.' })
  batchPrediction(
    @CurrentScope() scope: Scope,
    @Arg('id', () => ID, { description: 'The batch.' }) id: string,
  ): Promise<BatchPrediction> {
    return this.get(scope, id);
  }

  @Authorized('prediction:create')
  @Query(() => BatchPredictionConnection, {
    name: 'batchPredictions',
    description: 'Batch predictions of the tenant, newest first.',
  })
  list(
    @CurrentScope() scope: Scope,
    @Arg('endpointId', () => ID, { nullable: true, description: 'Of this endpoint alone.' }) endpointId: string | null,
    @Args(() => PageArgs) page: PageArgs,
  ): Promise<Page<BatchPrediction>> {
    return this.batches.list(scope, { endpointId }, page);
  }

  @Authorized('prediction:create')
  @Mutation(() => PredictBatchResult, {
    description:
      'Asks an endpoint for predictions of a whole dataset version, in the background: its rows are reserved now.',
  })
  async predictBatch(
    @CurrentScope() scope: Scope,
    @Arg('input', () => PredictBatchInput, { description: 'Which rows, of which endpoint, for what.' })
    input: PredictBatchInput,
  ): Promise<PredictBatchPayload> {
    return { batchPrediction: await this.batches.start(scope, input) };
  }

  @Authorized('prediction:create')
  @Mutation(() => CancelBatchPredictionResult, {
    description: 'Ends a batch: at once if it waits, within a second if it runs. Rows that were answered stay charged.',
  })
  async cancelBatchPrediction(
    @CurrentScope() scope: Scope,
    @Arg('input', () => CancelBatchPredictionInput, { description: 'Which one.' })
    { batchPredictionId }: CancelBatchPredictionInput,
  ): Promise<CancelBatchPredictionPayload> {
    return { batchPrediction: await this.batches.cancel(scope, batchPredictionId) };
  }

  @Authorized('prediction:create')
  @Mutation(() => RetryBatchPredictionResult, {
    description:
      'Puts a failed or cancelled batch back in the queue, for the rows that are left, under the same terms.',
  })
  async retryBatchPrediction(
    @CurrentScope() scope: Scope,
    @Arg('input', () => RetryBatchPredictionInput, { description: 'Which one.' })
    { batchPredictionId }: RetryBatchPredictionInput,
  ): Promise<RetryBatchPredictionPayload> {
    return { batchPrediction: await this.batches.retry(scope, batchPredictionId) };
  }

  @Authorized('prediction:create')
  @Mutation(() => DeleteBatchPredictionResult, {
    description: 'Makes the answers of a batch unreadable, for good. What was recorded stays.',
  })
  async deleteBatchPrediction(
    @CurrentScope() scope: Scope,
    @Arg('input', () => DeleteBatchPredictionInput, { description: 'Which one.' })
    { batchPredictionId }: DeleteBatchPredictionInput,
  ): Promise<DeleteBatchPredictionPayload> {
    return { batchPrediction: await this.batches.delete(scope, batchPredictionId) };
  }

  @Authorized('prediction:create')
  @Subscription(() => BatchPrediction, {
    topics: 'concordat_subject',
    topicId: subjectTopic,
    description:
      'A batch as it is now, and again with every change of what is asked for; complete once it has succeeded, failed or been cancelled.',
  })
  async batchPredictionProgress(
    @Root() news: News,
    @CurrentScope() scope: Scope,
    @Arg('id', () => ID, { description: 'The batch.' }) id: string,
  ): Promise<BatchPrediction> {
    const batch = await this.batches.find(scope, id);
    if (!batch || isFinal(batch.job.state)) news.last();
    if (!batch) throw notFound('batch prediction');
    return batch;
  }

  @FieldResolver(() => PurposeEnum, { nullable: true, description: 'What it was asked for, as declared.' })
  purpose(@Root() { purpose }: BatchPredictionView): string | null {
    return purpose;
  }

  @Authorized('prediction:create')
  @FieldResolver(() => Long, { description: 'Rows answered, recorded and charged so far.' })
  async rowsAnswered(@Root() { id }: BatchPredictionView, @CurrentScope() scope: Scope): Promise<number> {
    return (await loadOne(scope, this.batches.answered, id))!;
  }

  @Authorized('prediction:create')
  @FieldResolver(() => BatchDownloads, {
    nullable: true,
    description: 'Where to fetch the answers; null until it is over, and when they are gone.',
  })
  downloads(
    @Root() { id, job, deletedAt }: BatchPredictionView,
    @Ctx() { publicUrl }: RequestContext,
  ): BatchDownloads | null {
    if (!isFinal(job.state) || deletedAt) return null;
    const base = `${publicUrl}/batch-predictions/${id}`;
    return {
      csvUrl: `${base}/answers.csv`,
      jsonLinesUrl: `${base}/answers.jsonl`,
      manifestUrl: `${base}/manifest.json`,
    };
  }

  private async get(scope: Scope, id: string): Promise<BatchPredictionView> {
    const batch = await this.batches.find(scope, id);
    if (!batch) throw notFound('batch prediction');
    return batch;
  }
}

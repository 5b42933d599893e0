import { Arg, Args, Authorized, FieldResolver, ID, Mutation, Query, Resolver, Root, Subscription } from 'type-graphql';
import { notFound } from '../../platform/errors.js';
import type { News } from '../../platform/events.js';
import { CurrentScope, PageArgs, subjectTopic } from '../../platform/graphql.js';
import { isFinal } from '../../platform/jobs.js';
import type { Page } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import type { EvaluationService, EvaluationView } from './evaluation.service.js';
import {
  CancelEvaluationInput,
  type CancelEvaluationPayload,
  CancelEvaluationResult,
  EvaluateInput,
  type EvaluatePayload,
  EvaluateResult,
  Evaluation,
  EvaluationConnection,
  EvaluationSections,
  RetryEvaluationInput,
  type RetryEvaluationPayload,
  RetryEvaluationResult,
  sectionsOf,
} from './evaluation.types.js';
import type { ModelService } from './model.service.js';
import { ModelVersion } from './model.types.js';

@Resolver(() => Evaluation)
export class EvaluationResolver {
  constructor(
    private readonly evaluations: EvaluationService,
    private readonly models: ModelService,
  ) {}

  @Authorized('model:read')
  @Query(() => Evaluation, { nullable: true, description: 'An evaluation of a model version.' })
  async evaluation(
    @CurrentScope() scope: Scope,
    @Arg('id', () => ID, { description: 'The evaluation.' }) id: string,
  ): Promise<Evaluation> {
    const evaluation = await this.evaluations.find(scope, id);
    if (!evaluation) throw notFound('evaluation');
    return evaluation;
  }

  @Authorized('training:write')
  @Mutation(() => EvaluateResult, {
    description:
      'Puts an evaluation of a model version in the queue: the sections that are named, on rows it has not seen.',
  })
  async evaluate(
    @CurrentScope() scope: Scope,
    @Arg('input', () => EvaluateInput, { description: 'Which version, which rows, which sections.' })
    input: EvaluateInput,
  ): Promise<EvaluatePayload> {
    return { evaluation: await this.evaluations.start(scope, input) };
  }

  @Authorized('training:write')
  @Mutation(() => CancelEvaluationResult, {
    description: 'Ends an evaluation: at once if it waits, within a second if it runs.',
  })
  async cancelEvaluation(
    @CurrentScope() scope: Scope,
    @Arg('input', () => CancelEvaluationInput, { description: 'Which one.' }) input: CancelEvaluationInput,
  ): Promise<CancelEvaluationPayload> {
    return { evaluation: await this.evaluations.cancel(scope, input.evaluationId) };
  }

  @Authorized('training:write')
  @Mutation(() => RetryEvaluationResult, {
    description: 'Puts a failed or cancelled evaluation back in the queue, as it was asked for.',
  })
  async retryEvaluation(
    @CurrentScope() scope: Scope,
    @Arg('input', () => RetryEvaluationInput, { description: 'Which one.' }) input: RetryEvaluationInput,
  ): Promise<RetryEvaluationPayload> {
    return { evaluation: await this.evaluations.retry(scope, input.evaluationId) };
  }

  @Authorized('model:read')
  @Subscription(() => Evaluation, {
    topics: 'concordat_subject',
    topicId: subjectTopic,
    description:
      'An evaluation as it is now, and again with every change of what is asked for; complete once it has succeeded, failed or been cancelled.',
  })
  async evaluationProgress(
    @Root() news: News,
    @CurrentScope() scope: Scope,
    @Arg('id', () => ID, { description: 'The evaluation.' }) id: string,
  ): Promise<Evaluation> {
    const evaluation = await this.evaluations.find(scope, id);
    if (!evaluation || isFinal(evaluation.job.state)) news.last();
    if (!evaluation) throw notFound('evaluation');
    return evaluation;
  }

  @FieldResolver(() => EvaluationSections, {
    nullable: true,
    description: 'What it found; null until its job has succeeded.',
  })
  sections(@Root() { result }: EvaluationView): EvaluationSections | null {
    return result && sectionsOf(result);
  }

  @Authorized('model:read')
  @FieldResolver(() => ModelVersion, { description: 'The version.' })
  async modelVersion(@Root() evaluation: EvaluationView, @CurrentScope() scope: Scope): Promise<ModelVersion> {
    const version = await this.models.findVersion(scope, evaluation.modelVersionId);
    if (!version) throw notFound('model version');
    return version;
  }
}

@Resolver(() => ModelVersion)
export class VersionEvaluationResolver {
  constructor(private readonly evaluations: EvaluationService) {}

  @Authorized('model:read')
  @FieldResolver(() => EvaluationConnection, { name: 'evaluations', description: 'Its evaluations, newest first.' })
  list(
    @Root() version: ModelVersion,
    @CurrentScope() scope: Scope,
    @Args(() => PageArgs) page: PageArgs,
  ): Promise<Page<Evaluation>> {
    return this.evaluations.list(scope, { modelVersionId: version.id }, page);
  }
}

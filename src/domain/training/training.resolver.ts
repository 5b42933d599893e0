import { Arg, Args, Authorized, FieldResolver, ID, Mutation, Query, Resolver, Root, Subscription } from 'type-graphql';
import type { AlgorithmName, ParameterSpec } from '../../ml/spec.js';
import { notFound } from '../../platform/errors.js';
import { type News } from '../../platform/events.js';
import { isFinal } from '../../platform/jobs.js';
import { CurrentScope, PageArgs, subjectTopic } from '../../platform/graphql.js';
import type { Page } from '../../platform/page.js';
import { loadOne } from '../../platform/loader.js';
import type { Scope } from '../../platform/scope.js';
import { type ModelService } from '../models/model.service.js';
import { AlgorithmEnum, Model, ModelVersion, ParameterValue, TrainingMember } from '../models/model.types.js';
import { algorithmOf, fieldOf } from './algorithm.types.js';
import { TrainingConstraints } from './constraint.types.js';
import { describeAlgorithms, type TrainingService, type TrainingView } from './training.service.js';
import {
  CancelTrainingInput,
  type CancelTrainingPayload,
  CancelTrainingResult,
  RetryTrainingInput,
  type RetryTrainingPayload,
  RetryTrainingResult,
  StartTrainingInput,
  type StartTrainingPayload,
  StartTrainingResult,
  Training,
  TrainingAlgorithm,
  TrainingConnection,
  TrainingFilterInput,
  type TrainingParameter,
} from './training.types.js';

@Resolver(() => Training)
export class TrainingResolver {
  constructor(
    private readonly trainings: TrainingService,
    private readonly models: ModelService,
  ) {}

  @Authorized('training:read')
  @Query(() => Training, { nullable: true, description: 'A training.' })
  training(
    @CurrentScope() scope: Scope,
    @Arg('id', () => ID, { description: 'The training.' }) id: string,
  ): Promise<Training> {
    return this.get(scope, id);
  }

  @Authorized('training:read')
  @Query(() => TrainingConnection, { name: 'trainings', description: 'Trainings of the tenant, newest first.' })
  list(
    @CurrentScope() scope: Scope,
    @Arg('filter', () => TrainingFilterInput, { nullable: true, description: 'Which ones; all unless told.' })
    filter: TrainingFilterInput | null,
    @Args(() => PageArgs) page: PageArgs,
  ): Promise<Page<Training>> {
    return this.trainings.list(scope, filter ?? {}, page);
  }

  @Authorized('training:read')
  @Query(() => [TrainingAlgorithm], {
    description: 'The algorithms with their hyper-parameters: ranges, defaults, one sentence each.',
  })
  trainingAlgorithms(): TrainingAlgorithm[] {
    return describeAlgorithms().map(({ name, description, parameters }) => ({
      field: fieldOf(name),
      description,
      parameters: parameters.map(describeParameter),
    }));
  }

  @Authorized('training:write')
  @Mutation(() => StartTrainingResult, { description: 'Puts a training in the queue.' })
  async startTraining(
    @CurrentScope() scope: Scope,
    @Arg('input', () => StartTrainingInput, { description: 'What to train on what, and how.' })
    input: StartTrainingInput,
  ): Promise<StartTrainingPayload> {
    return { training: await this.trainings.start(scope, { ...input, algorithm: algorithmOf(input.algorithm) }) };
  }

  @Authorized('training:write')
  @Mutation(() => CancelTrainingResult, {
    description: 'Ends a training: at once if it waits, within a second if it runs.',
  })
  async cancelTraining(
    @CurrentScope() scope: Scope,
    @Arg('input', () => CancelTrainingInput, { description: 'Which one.' }) input: CancelTrainingInput,
  ): Promise<CancelTrainingPayload> {
    return { training: await this.trainings.cancel(scope, input.trainingId) };
  }

  @Authorized('training:write')
  @Mutation(() => RetryTrainingResult, {
    description: 'Puts a failed or cancelled training back in the queue, as it was asked for.',
  })
  async retryTraining(
    @CurrentScope() scope: Scope,
    @Arg('input', () => RetryTrainingInput, { description: 'Which one.' }) input: RetryTrainingInput,
  ): Promise<RetryTrainingPayload> {
    return { training: await this.trainings.retry(scope, input.trainingId) };
  }

  @Authorized('training:read')
  @Subscription(() => Training, {
    topics: 'concordat_subject',
    topicId: subjectTopic,
    description:
      'A training as it is now, and again with every change of what is asked for; complete once it has succeeded, failed or been cancelled.',
  })
  async trainingProgress(
    @Root() news: News,
    @CurrentScope() scope: Scope,
    @Arg('id', () => ID, { description: 'The training.' }) id: string,
  ): Promise<Training> {
    const training = await this.trainings.find(scope, id);
    if (!training || isFinal(training.job.state)) news.last();
    if (!training) throw notFound('training');
    return training;
  }

  @FieldResolver(() => AlgorithmEnum, { description: 'How it learns.' })
  algorithm(@Root() training: TrainingView): AlgorithmName {
    return training.algorithm;
  }

  @FieldResolver(() => [ParameterValue], { description: 'The hyper-parameters, all of them.' })
  parameters(@Root() { parameters }: TrainingView): ParameterValue[] {
    return parameterValues(parameters);
  }

  @FieldResolver(() => [TrainingMember], { description: 'Who is combined; empty for an algorithm that stands alone.' })
  members(@Root() { options }: TrainingView): TrainingMember[] {
    return (options.members ?? []).map(({ parameters, ...member }) => ({
      ...member,
      parameters: parameterValues(parameters),
    }));
  }

  @FieldResolver(() => TrainingConstraints, { description: 'What the model is held to.' })
  constraints(@Root() { options }: TrainingView): TrainingConstraints {
    return { monotone: options.constraints?.monotone ?? [], interactions: options.constraints?.interactions ?? [] };
  }

  @FieldResolver(() => String, {
    nullable: true,
    description: 'The column that says what each row counts; null: all count the same.',
  })
  weightColumn(@Root() { options }: TrainingView): string | null {
    return options.weightColumn ?? null;
  }

  @FieldResolver(() => ID, { nullable: true, description: 'The version that it goes on from; null: from the start.' })
  warmStartFrom(@Root() { options }: TrainingView): string | null {
    return options.warmStartFrom ?? null;
  }

  @Authorized('model:read')
  @FieldResolver(() => Model, { description: 'The model whose next version it becomes.' })
  async model(@Root() training: TrainingView, @CurrentScope() scope: Scope): Promise<Model> {
    const model = await loadOne(scope, this.models.findMany, training.modelId);
    if (!model) throw notFound('model');
    return model;
  }

  @Authorized('model:read')
  @FieldResolver(() => ModelVersion, {
    nullable: true,
    description: 'The version that it became; null until it has succeeded.',
  })
  modelVersion(@Root() training: TrainingView, @CurrentScope() scope: Scope): Promise<ModelVersion | null> {
    return loadOne(scope, this.models.findVersionsOf, training.id);
  }

  private async get(scope: Scope, id: string): Promise<TrainingView> {
    const training = await this.trainings.find(scope, id);
    if (!training) throw notFound('training');
    return training;
  }
}

function parameterValues(parameters: TrainingView['parameters']): ParameterValue[] {
  return Object.entries(parameters).map(([name, value]) => ({ name, value: String(value) }));
}

function describeParameter(spec: ParameterSpec): TrainingParameter {
  const { name, type, description } = spec;
  const [min, max] = 'min' in spec ? [spec.min, spec.max] : [null, null];
  return {
    name,
    type,
    min,
    max,
    values: 'values' in spec ? spec.values : null,
    defaultValue: String(spec.default),
    description,
  };
}

import { Arg, Args, Authorized, FieldResolver, Float, ID, Mutation, Query, Resolver, Root } from 'type-graphql';
import { notFound } from '../../platform/errors.js';
import { CurrentScope, PageArgs } from '../../platform/graphql.js';
import type { Page } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import { Metrics, metricsOf } from './metrics.types.js';
import { type ModelService, type ModelVersionRow } from './model.service.js';
import {
  CreateModelInput,
  type CreateModelPayload,
  CreateModelResult,
  LeaderboardArgs,
  LeaderboardEntry,
  Model,
  ModelAlias,
  ModelComparison,
  ModelConnection,
  ModelInput,
  type ModelTask,
  ModelTaskEnum,
  ModelVersion,
  ModelVersionConnection,
  ParameterValue,
  SetModelAliasInput,
  type SetModelAliasPayload,
  SetModelAliasResult,
} from './model.types.js';

@Resolver(() => Model)
export class ModelResolver {
  constructor(private readonly models: ModelService) {}

  @Authorized('model:read')
  @Query(() => Model, { nullable: true, description: 'A model.' })
  async model(
    @CurrentScope() scope: Scope,
    @Arg('id', () => ID, { description: 'The model.' }) id: string,
  ): Promise<Model> {
    const model = await this.models.find(scope, id);
    if (!model) throw notFound('model');
    return model;
  }

  @Authorized('model:read')
  @Query(() => ModelConnection, { name: 'models', description: 'The models of the tenant, oldest first.' })
  list(@CurrentScope() scope: Scope, @Args(() => PageArgs) page: PageArgs): Promise<Page<Model>> {
    return this.models.list(scope, page);
  }

  @Authorized('model:read')
  @Query(() => ModelComparison, {
    nullable: true,
    description: 'Two versions side by side: figures, parameters, origins.',
  })
  compareModelVersions(
    @CurrentScope() scope: Scope,
    @Arg('a', () => ID, { description: 'The first version.' }) a: string,
    @Arg('b', () => ID, { description: 'The second version.' }) b: string,
  ): Promise<ModelComparison> {
    return this.models.compare(scope, a, b);
  }

  @Authorized('model:read')
  @Query(() => [LeaderboardEntry], {
    description:
      'Versions of one split and target, best first by a figure of the validation rows. The test rows have no say.',
  })
  leaderboard(
    @CurrentScope() scope: Scope,
    @Args(() => LeaderboardArgs) { splitId, target, figure, first }: LeaderboardArgs,
  ): Promise<LeaderboardEntry[]> {
    return this.models.leaderboard(scope, { splitId, target, figure: figure ?? null, first: first ?? 20 });
  }

  @Authorized('model:write')
  @Mutation(() => CreateModelResult, { description: 'Creates a model without versions.' })
  async createModel(
    @CurrentScope() scope: Scope,
    @Arg('input', () => CreateModelInput, { description: 'The model.' }) input: CreateModelInput,
  ): Promise<CreateModelPayload> {
    return { model: await this.models.create(scope, input) };
  }

  @Authorized('model:write')
  @Mutation(() => SetModelAliasResult, {
    description: 'Gives a version a name, taking it from the version that had it.',
  })
  async setModelAlias(
    @CurrentScope() scope: Scope,
    @Arg('input', () => SetModelAliasInput, { description: 'The name.' }) input: SetModelAliasInput,
  ): Promise<SetModelAliasPayload> {
    return { alias: await this.models.setAlias(scope, input) };
  }

  @Authorized('model:read')
  @FieldResolver(() => ModelVersionConnection, { description: 'Its versions, newest first.' })
  versions(
    @Root() model: Model,
    @CurrentScope() scope: Scope,
    @Args(() => PageArgs) page: PageArgs,
  ): Promise<Page<ModelVersion>> {
    return this.models.listVersions(scope, model.id, page);
  }

  @Authorized('model:read')
  @FieldResolver(() => [ModelAlias], { description: 'Its names for versions.' })
  aliases(@Root() model: Model, @CurrentScope() scope: Scope): Promise<ModelAlias[]> {
    return this.models.listAliases(scope, model.id);
  }
}

@Resolver(() => ModelVersion)
export class ModelVersionResolver {
  constructor(private readonly models: ModelService) {}

  @Authorized('model:read')
  @Query(() => ModelVersion, { nullable: true, description: 'A version of a model.' })
  async modelVersion(
    @CurrentScope() scope: Scope,
    @Arg('id', () => ID, { description: 'The version.' }) id: string,
  ): Promise<ModelVersion> {
    const version = await this.models.findVersion(scope, id);
    if (!version) throw notFound('model version');
    return version;
  }

  @FieldResolver(() => ModelTaskEnum, { description: 'What it answers.' })
  task(@Root() { signature }: ModelVersionRow): ModelTask {
    return signature.task;
  }

  @FieldResolver(() => String, { description: 'The column that it tells.' })
  target(@Root() { signature }: ModelVersionRow): string {
    return signature.target;
  }

  @FieldResolver(() => [String], {
    nullable: true,
    description: 'Classes in the order of their scores; null for regression.',
  })
  classes(@Root() { signature }: ModelVersionRow): readonly string[] | null {
    return signature.classes;
  }

  @FieldResolver(() => Float, {
    nullable: true,
    description:
      'Two classes: the least score of the second one with which it is the label. Chosen on the validation rows.',
  })
  threshold(@Root() { signature }: ModelVersionRow): number | null {
    return signature.task === 'binary' ? signature.threshold : null;
  }

  @FieldResolver(() => [ModelInput], { description: 'The columns that it takes.' })
  inputs(@Root() { signature }: ModelVersionRow): readonly ModelInput[] {
    return signature.inputs;
  }

  @FieldResolver(() => [ParameterValue], { description: 'The hyper-parameters that it was trained with, all of them.' })
  parameters(@Root() { parameters }: ModelVersionRow): ParameterValue[] {
    return Object.entries(parameters).map(([name, value]) => ({ name, value: String(value) }));
  }

  @FieldResolver(() => Metrics, { description: 'How good it is on the validation rows: choose by these.' })
  validation(@Root() { signature, validation }: ModelVersionRow): Metrics {
    return metricsOf(signature.task, validation);
  }

  @FieldResolver(() => Metrics, {
    description: 'How good it is on the test rows, which had no part in anything: report these.',
  })
  test(@Root() { signature, test }: ModelVersionRow): Metrics {
    return metricsOf(signature.task, test);
  }

  @FieldResolver(() => Model, { description: 'Its model.' })
  async model(@Root() version: ModelVersion, @CurrentScope() scope: Scope): Promise<Model> {
    const model = await this.models.find(scope, version.modelId);
    if (!model) throw notFound('model');
    return model;
  }
}

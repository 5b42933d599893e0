import { Arg, Args, Authorized, FieldResolver, ID, Mutation, Query, Resolver, Root, Subscription } from 'type-graphql';
import { notFound } from '../../platform/errors.js';
import { type News } from '../../platform/events.js';
import { CurrentScope, PageArgs, subjectTopic } from '../../platform/graphql.js';
import { isFinal } from '../../platform/jobs.js';
import { loadOne } from '../../platform/loader.js';
import type { Page } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import { type ImportService, type ImportView } from './import.service.js';
import {
  CancelImportInput,
  type CancelImportPayload,
  CancelImportResult,
  ModelImport,
  ModelImportConnection,
  RetryImportInput,
  type RetryImportPayload,
  RetryImportResult,
  StartImportInput,
  type StartImportPayload,
  StartImportResult,
} from './import.types.js';
import { type ModelService } from './model.service.js';
import { Model, ModelVersion } from './model.types.js';

@Resolver(() => ModelImport)
export class ImportResolver {
  constructor(
    private readonly imports: ImportService,
    private readonly models: ModelService,
  ) {}

  @Authorized('training:read')
  @Query(() => ModelImport, { nullable: true, description: 'The import of a model.' })
  async modelImport(
    @CurrentScope() scope: Scope,
    @Arg('id', () => ID, { description: 'The import.' }) id: string,
  ): Promise<ModelImport> {
    const found = await this.imports.find(scope, id);
    if (!found) throw notFound('import');
    return found;
  }

  @Authorized('training:read')
  @Query(() => ModelImportConnection, { name: 'modelImports', description: 'Imports of the tenant, newest first.' })
  list(
    @CurrentScope() scope: Scope,
    @Arg('modelId', () => ID, { nullable: true, description: 'For this model only; all unless told.' })
    modelId: string | null,
    @Args(() => PageArgs) page: PageArgs,
  ): Promise<Page<ModelImport>> {
    return this.imports.list(scope, { modelId }, page);
  }

  @Authorized('training:write')
  @Mutation(() => StartImportResult, {
    description:
      'Puts the import of an uploaded model in the queue: it is read, measured on the rows of a split, and proved to answer alike as ONNX.',
  })
  async startImport(
    @CurrentScope() scope: Scope,
    @Arg('input', () => StartImportInput, { description: 'Which file, for which columns.' }) input: StartImportInput,
  ): Promise<StartImportPayload> {
    return { modelImport: await this.imports.start(scope, input) };
  }

  @Authorized('training:write')
  @Mutation(() => CancelImportResult, {
    description: 'Ends an import: at once if it waits, within a second if it runs.',
  })
  async cancelImport(
    @CurrentScope() scope: Scope,
    @Arg('input', () => CancelImportInput, { description: 'Which one.' }) input: CancelImportInput,
  ): Promise<CancelImportPayload> {
    return { modelImport: await this.imports.cancel(scope, input.importId) };
  }

  @Authorized('training:write')
  @Mutation(() => RetryImportResult, {
    description: 'Puts a failed or cancelled import back in the queue, as it was asked for, while its file is kept.',
  })
  async retryImport(
    @CurrentScope() scope: Scope,
    @Arg('input', () => RetryImportInput, { description: 'Which one.' }) input: RetryImportInput,
  ): Promise<RetryImportPayload> {
    return { modelImport: await this.imports.retry(scope, input.importId) };
  }

  @Authorized('training:read')
  @Subscription(() => ModelImport, {
    topics: 'concordat_subject',
    topicId: subjectTopic,
    description:
      'An import as it is now, and again with every change of what is asked for; complete once it has succeeded, failed or been cancelled.',
  })
  async importProgress(
    @Root() news: News,
    @CurrentScope() scope: Scope,
    @Arg('id', () => ID, { description: 'The import.' }) id: string,
  ): Promise<ModelImport> {
    const found = await this.imports.find(scope, id);
    if (!found || isFinal(found.job.state)) news.last();
    if (!found) throw notFound('import');
    return found;
  }

  @Authorized('model:read')
  @FieldResolver(() => Model, { description: 'The model whose next version it becomes.' })
  async model(@Root() { modelId }: ImportView, @CurrentScope() scope: Scope): Promise<Model> {
    const model = await loadOne(scope, this.models.findMany, modelId);
    if (!model) throw notFound('model');
    return model;
  }

  @Authorized('model:read')
  @FieldResolver(() => ModelVersion, {
    nullable: true,
    description: 'The version that it became; null until it has succeeded.',
  })
  modelVersion(@Root() { id }: ImportView, @CurrentScope() scope: Scope): Promise<ModelVersion | null> {
    return loadOne(scope, this.models.findVersionsOfImports, id);
  }
}

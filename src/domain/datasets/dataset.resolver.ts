import { Arg, Args, Authorized, Ctx, FieldResolver, ID, Mutation, Query, Resolver, Root } from 'type-graphql';
import { notFound } from '../../platform/errors.js';
import { CurrentScope, PageArgs, type RequestContext } from '../../platform/graphql.js';
import { Job } from '../../platform/job.types.js';
import { loadOne } from '../../platform/loader.js';
import type { Page } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import { type DatasetService, type DatasetVersionRow } from './dataset.service.js';
import {
  CreateDatasetInput,
  type CreateDatasetPayload,
  CreateDatasetResult,
  CreateDatasetVersionInput,
  type CreateDatasetVersionPayload,
  CreateDatasetVersionResult,
  CreateUploadInput,
  type CreateUploadPayload,
  CreateUploadResult,
  Dataset,
  DatasetConnection,
  DatasetVersion,
  DatasetVersionConnection,
  DeleteDatasetInput,
  type DeleteDatasetPayload,
  DeleteDatasetResult,
  Upload,
} from './dataset.types.js';
import { type UploadService } from './upload.service.js';

@Resolver()
export class UploadResolver {
  constructor(private readonly uploads: UploadService) {}

  @Authorized('dataset:write')
  @Query(() => Upload, { nullable: true, description: 'An upload.' })
  async upload(
    @CurrentScope() scope: Scope,
    @Arg('id', () => ID, { description: 'The upload.' }) id: string,
  ): Promise<Upload> {
    const upload = await this.uploads.find(scope, id);
    if (!upload) throw notFound('upload');
    return upload;
  }

  @Authorized('dataset:write')
  @Mutation(() => CreateUploadResult, { description: 'Announces a file and gives the address to send it to.' })
  async createUpload(
    @Ctx() { publicUrl }: RequestContext,
    @CurrentScope() scope: Scope,
    @Arg('input', () => CreateUploadInput, { description: 'The file.' }) input: CreateUploadInput,
  ): Promise<CreateUploadPayload> {
    const { upload, path } = await this.uploads.create(scope, input);
    return { upload, url: publicUrl + path, method: 'PUT' };
  }
}

@Resolver(() => Dataset)
export class DatasetResolver {
  constructor(private readonly datasets: DatasetService) {}

  @Authorized('dataset:read')
  @Query(() => Dataset, { nullable: true, description: 'A dataset, also a deleted one.' })
  async dataset(
    @CurrentScope() scope: Scope,
    @Arg('id', () => ID, { description: 'The dataset.' }) id: string,
  ): Promise<Dataset> {
    const dataset = await this.datasets.find(scope, id);
    if (!dataset) throw notFound('dataset');
    return dataset;
  }

  @Authorized('dataset:read')
  @Query(() => DatasetConnection, { name: 'datasets', description: 'The datasets of the tenant, newest first.' })
  list(@CurrentScope() scope: Scope, @Args(() => PageArgs) page: PageArgs): Promise<Page<Dataset>> {
    return this.datasets.list(scope, page);
  }

  @Authorized('dataset:write')
  @Mutation(() => CreateDatasetResult, { description: 'Makes a dataset of a received file and starts to read it.' })
  createDataset(
    @CurrentScope() scope: Scope,
    @Arg('input', () => CreateDatasetInput, { description: 'The dataset.' }) input: CreateDatasetInput,
  ): Promise<CreateDatasetPayload> {
    return this.datasets.create(scope, input);
  }

  @Authorized('dataset:write')
  @Mutation(() => CreateDatasetVersionResult, {
    description: 'Adds a version to a dataset and starts to read its file.',
  })
  async createDatasetVersion(
    @CurrentScope() scope: Scope,
    @Arg('input', () => CreateDatasetVersionInput, { description: 'The version.' }) input: CreateDatasetVersionInput,
  ): Promise<CreateDatasetVersionPayload> {
    return { version: await this.datasets.createVersion(scope, input) };
  }

  @Authorized('dataset:delete')
  @Mutation(() => DeleteDatasetResult, {
    description: 'Deletes the data of a dataset for good: its keys and files. What derives from it is marked.',
  })
  async deleteDataset(
    @CurrentScope() scope: Scope,
    @Arg('input', () => DeleteDatasetInput, { description: 'The dataset.' }) input: DeleteDatasetInput,
  ): Promise<DeleteDatasetPayload> {
    return { dataset: await this.datasets.delete(scope, input.datasetId) };
  }

  @Authorized('dataset:read')
  @FieldResolver(() => DatasetVersionConnection, { description: 'Its versions, newest first.' })
  versions(
    @CurrentScope() scope: Scope,
    @Root() dataset: Dataset,
    @Args(() => PageArgs) page: PageArgs,
  ): Promise<Page<DatasetVersion>> {
    return this.datasets.listVersions(scope, dataset.id, page);
  }
}

@Resolver(() => DatasetVersion)
export class DatasetVersionResolver {
  constructor(private readonly datasets: DatasetService) {}

  @Authorized('dataset:read')
  @Query(() => DatasetVersion, { nullable: true, description: 'A dataset version.' })
  async datasetVersion(
    @CurrentScope() scope: Scope,
    @Arg('id', () => ID, { description: 'The dataset version.' }) id: string,
  ): Promise<DatasetVersion> {
    const version = await this.datasets.findVersion(scope, id);
    if (!version) throw notFound('dataset version');
    return version;
  }

  @Authorized('dataset:read')
  @FieldResolver(() => Job, { description: 'The job that reads its file.' })
  async job(@CurrentScope() scope: Scope, @Root() version: DatasetVersionRow): Promise<Job> {
    return (await loadOne(scope, this.datasets.findJobs, version.jobId))!;
  }
}

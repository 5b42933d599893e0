import { Arg, Args, Authorized, FieldResolver, ID, Mutation, Query, Resolver, Root } from 'type-graphql';
import { notFound } from '../../platform/errors.js';
import { CurrentScope, PageArgs } from '../../platform/graphql.js';
import { Job } from '../../platform/job.types.js';
import { loadOne } from '../../platform/loader.js';
import type { Page } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import { type DatasetService } from './dataset.service.js';
import { DatasetVersion } from './dataset.types.js';
import { type SplitRow, type SplitService } from './split.service.js';
import { CreateSplitInput, type CreateSplitPayload, CreateSplitResult, Split, SplitConnection } from './split.types.js';

@Resolver(() => Split)
export class SplitResolver {
  constructor(
    private readonly splits: SplitService,
    private readonly datasets: DatasetService,
  ) {}

  @Authorized('dataset:read')
  @Query(() => Split, { nullable: true, description: 'A split.' })
  async split(
    @CurrentScope() scope: Scope,
    @Arg('id', () => ID, { description: 'The split.' }) id: string,
  ): Promise<Split> {
    const split = await this.splits.find(scope, id);
    if (!split) throw notFound('split');
    return split;
  }

  @Authorized('dataset:write')
  @Mutation(() => CreateSplitResult, { description: 'Divides a dataset version into training, validation and test.' })
  async createSplit(
    @CurrentScope() scope: Scope,
    @Arg('input', () => CreateSplitInput, { description: 'The split.' }) input: CreateSplitInput,
  ): Promise<CreateSplitPayload> {
    return { split: await this.splits.create(scope, input) };
  }

  @Authorized('dataset:read')
  @FieldResolver(() => Job, { description: 'The job that computes it.' })
  async job(@CurrentScope() scope: Scope, @Root() split: SplitRow): Promise<Job> {
    return (await loadOne(scope, this.datasets.findJobs, split.jobId))!;
  }
}

@Resolver(() => DatasetVersion)
export class VersionSplitResolver {
  constructor(private readonly service: SplitService) {}

  @Authorized('dataset:read')
  @FieldResolver(() => SplitConnection, { description: 'Its splits, newest first.' })
  splits(
    @CurrentScope() scope: Scope,
    @Root() version: DatasetVersion,
    @Args(() => PageArgs) page: PageArgs,
  ): Promise<Page<Split>> {
    return this.service.list(scope, version.id, page);
  }
}

import { Arg, Args, Authorized, ID, Mutation, Query, Resolver } from 'type-graphql';
import { CurrentScope, PageArgs } from '../../platform/graphql.js';
import type { Page } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import type { LicenceConflict as Conflict, LicenceService } from './licence.service.js';
import {
  DataLicence,
  DeclareDataLicenceInput,
  type DeclareDataLicencePayload,
  DeclareDataLicenceResult,
  LicenceConflictConnection,
} from './licence.types.js';

@Resolver(() => DataLicence)
export class LicenceResolver {
  constructor(private readonly licences: LicenceService) {}

  @Authorized('dataset:read')
  @Query(() => DataLicence, {
    nullable: true,
    description: 'The limits declared for a dataset version, or for an earlier version of its dataset; null: none.',
  })
  dataLicence(
    @CurrentScope() scope: Scope,
    @Arg('datasetVersionId', () => ID, { description: 'The dataset version.' }) datasetVersionId: string,
  ): Promise<DataLicence | null> {
    return this.licences.find(scope, datasetVersionId);
  }

  @Authorized('agreement:read')
  @Query(() => LicenceConflictConnection, {
    description:
      'What the tenant has offered or agreed, and its data forbid since: it stays in force as it is, and can be neither signed, renewed nor amended unless it keeps the limits.',
  })
  licenceConflicts(@CurrentScope() scope: Scope, @Args(() => PageArgs) page: PageArgs): Promise<Page<Conflict>> {
    return this.licences.conflicts(scope, page);
  }

  @Authorized('dataset:write')
  @Mutation(() => DeclareDataLicenceResult, {
    description: 'Declares what may be done with models that are trained on a dataset version.',
  })
  async declareDataLicence(
    @CurrentScope() scope: Scope,
    @Arg('input', () => DeclareDataLicenceInput, { description: 'The limits.' })
    { datasetVersionId, purposes, regions, mayBeOffered, until }: DeclareDataLicenceInput,
  ): Promise<DeclareDataLicencePayload> {
    const limits = { purposes: purposes ?? null, regions: regions ?? null, mayBeOffered, until: until ?? null };
    return { licence: await this.licences.declare(scope, datasetVersionId, limits) };
  }
}

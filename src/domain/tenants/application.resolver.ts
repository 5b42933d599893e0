import { Arg, Args, Authorized, ID, Mutation, Query, Resolver } from 'type-graphql';
import { CurrentScope, PageArgs } from '../../platform/graphql.js';
import type { Page } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import { type ApplicationService } from './application.service.js';
import {
  type ApiKey,
  ApiKeyConnection,
  type Application,
  ApplicationConnection,
  CreateApiKeyInput,
  type CreateApiKeyPayload,
  CreateApiKeyResult,
  CreateApplicationInput,
  type CreateApplicationPayload,
  CreateApplicationResult,
  RevokeApiKeyInput,
  type RevokeApiKeyPayload,
  RevokeApiKeyResult,
} from './tenant.types.js';

@Resolver()
export class ApplicationResolver {
  constructor(private readonly applications: ApplicationService) {}

  @Authorized('tenant:read')
  @Query(() => ApplicationConnection, {
    name: 'applications',
    description: 'The applications of the tenant, oldest first.',
  })
  list(@CurrentScope() scope: Scope, @Args(() => PageArgs) page: PageArgs): Promise<Page<Application>> {
    return this.applications.list(scope, page);
  }

  @Authorized('application:manage')
  @Query(() => ApiKeyConnection, {
    description: 'The keys of one application or of all, oldest first, without their secrets.',
  })
  apiKeys(
    @CurrentScope() scope: Scope,
    @Arg('applicationId', () => ID, { nullable: true, description: 'Only those of this application.' })
    applicationId: string | null,
    @Args(() => PageArgs) page: PageArgs,
  ): Promise<Page<ApiKey>> {
    return this.applications.listKeys(scope, applicationId ?? null, page);
  }

  @Authorized('application:manage')
  @Mutation(() => CreateApplicationResult, { description: 'Creates an application.' })
  async createApplication(
    @CurrentScope() scope: Scope,
    @Arg('input', () => CreateApplicationInput, { description: 'The application.' }) input: CreateApplicationInput,
  ): Promise<CreateApplicationPayload> {
    return { application: await this.applications.create(scope, input) };
  }

  @Authorized('application:manage')
  @Mutation(() => CreateApiKeyResult, { description: 'Makes a key by which an application calls.' })
  createApiKey(
    @CurrentScope() scope: Scope,
    @Arg('input', () => CreateApiKeyInput, { description: 'The key.' }) input: CreateApiKeyInput,
  ): Promise<CreateApiKeyPayload> {
    return this.applications.createKey(scope, { ...input, expiresAt: input.expiresAt ?? null });
  }

  @Authorized('application:manage')
  @Mutation(() => RevokeApiKeyResult, { description: 'Ends a key at once.' })
  async revokeApiKey(
    @CurrentScope() scope: Scope,
    @Arg('input', () => RevokeApiKeyInput, { description: 'The key.' }) input: RevokeApiKeyInput,
  ): Promise<RevokeApiKeyPayload> {
    return { apiKey: await this.applications.revokeKey(scope, input.apiKeyId) };
  }
}

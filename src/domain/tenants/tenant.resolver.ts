import { Arg, Args, Authorized, Ctx, Mutation, Query, Resolver } from 'type-graphql';
import { CurrentScope, PageArgs, type RequestContext } from '../../platform/graphql.js';
import type { Page } from '../../platform/page.js';
import type { Scope } from '../../platform/scope.js';
import { type TenantService } from './tenant.service.js';
import {
  AcceptInvitationInput,
  type AcceptInvitationPayload,
  AcceptInvitationResult,
  ChangeMemberRoleInput,
  type ChangeMemberRolePayload,
  ChangeMemberRoleResult,
  CreateTenantInput,
  type CreateTenantPayload,
  CreateTenantResult,
  type Invitation,
  InvitationConnection,
  InviteMemberInput,
  type InviteMemberPayload,
  InviteMemberResult,
  type Member,
  MemberConnection,
  RemoveMemberInput,
  type RemoveMemberPayload,
  RemoveMemberResult,
  Tenant,
  TenantConnection,
} from './tenant.types.js';

@Resolver()
export class TenantResolver {
  constructor(private readonly tenants: TenantService) {}

  @Authorized('tenant:read')
  @Query(() => Tenant, { description: 'The tenant in which this request works.' })
  tenant(@CurrentScope() scope: Scope): Promise<Tenant> {
    return this.tenants.get(scope);
  }

  @Authorized('platform:manage')
  @Query(() => TenantConnection, {
    name: 'tenants',
    description: 'Every tenant of the platform, oldest first: its name and nothing in it.',
  })
  allTenants(@Args(() => PageArgs) page: PageArgs): Promise<Page<Tenant>> {
    return this.tenants.list(page);
  }

  @Authorized('tenant:read')
  @Query(() => MemberConnection, { description: 'The members of the tenant, oldest first.' })
  members(@CurrentScope() scope: Scope, @Args(() => PageArgs) page: PageArgs): Promise<Page<Member>> {
    return this.tenants.listMembers(scope, page);
  }

  @Authorized('tenant:manage')
  @Query(() => InvitationConnection, { description: 'The invitations of the tenant, oldest first.' })
  invitations(@CurrentScope() scope: Scope, @Args(() => PageArgs) page: PageArgs): Promise<Page<Invitation>> {
    return this.tenants.listInvitations(scope, page);
  }

  @Authorized('platform:manage')
  @Mutation(() => CreateTenantResult, { description: 'Creates a tenant and invites its first owner.' })
  async createTenant(
    @Ctx() { publicUrl }: RequestContext,
    @CurrentScope() scope: Scope,
    @Arg('input', () => CreateTenantInput, { description: 'The tenant.' }) input: CreateTenantInput,
  ): Promise<CreateTenantPayload> {
    const { tenant, invitation, token } = await this.tenants.create(scope, input);
    return { tenant, invitation, invitationLink: linkTo(publicUrl, token), invitationToken: token };
  }

  @Authorized('tenant:manage')
  @Mutation(() => InviteMemberResult, { description: 'Invites somebody to become a member.' })
  async inviteMember(
    @Ctx() { publicUrl }: RequestContext,
    @CurrentScope() scope: Scope,
    @Arg('input', () => InviteMemberInput, { description: 'The person.' }) input: InviteMemberInput,
  ): Promise<InviteMemberPayload> {
    const { invitation, token } = await this.tenants.invite(scope, input);
    return { invitation, invitationLink: linkTo(publicUrl, token), invitationToken: token };
  }

  @Authorized('public')
  @Mutation(() => AcceptInvitationResult, {
    description: 'Makes a new person, or the signed-in one, a member. An invitation works once.',
  })
  acceptInvitation(
    @Ctx() { account }: RequestContext,
    @Arg('input', () => AcceptInvitationInput, { description: 'The invitation.' }) input: AcceptInvitationInput,
  ): Promise<AcceptInvitationPayload> {
    const { token, name = null, password = null } = input;
    return this.tenants.accept(account, { token, name, password });
  }

  @Authorized('tenant:manage')
  @Mutation(() => ChangeMemberRoleResult, { description: 'Changes what a member may do, from the next request on.' })
  async changeMemberRole(
    @CurrentScope() scope: Scope,
    @Arg('input', () => ChangeMemberRoleInput, { description: 'The change.' }) input: ChangeMemberRoleInput,
  ): Promise<ChangeMemberRolePayload> {
    return { member: await this.tenants.changeRole(scope, input.memberId, input.role) };
  }

  @Authorized('tenant:manage')
  @Mutation(() => RemoveMemberResult, {
    description: 'Removes a member, from the next request on. Never the last owner.',
  })
  async removeMember(
    @CurrentScope() scope: Scope,
    @Arg('input', () => RemoveMemberInput, { description: 'The member.' }) input: RemoveMemberInput,
  ): Promise<RemoveMemberPayload> {
    await this.tenants.removeMember(scope, input.memberId);
    return { memberId: input.memberId };
  }
}

/** The token stands behind the #, which browsers send to no server and write into no referrer. */
function linkTo(publicUrl: string, token: string): string {
  return `${publicUrl}/#invitation=${token}`;
}

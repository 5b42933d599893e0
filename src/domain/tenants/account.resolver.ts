import { Arg, Authorized, Ctx, Mutation, Query, Resolver } from 'type-graphql';
import { CurrentAccount, type RequestContext } from '../../platform/graphql.js';
import type { SignedIn } from '../../platform/scope.js';
import { type AccountService } from './account.service.js';
import { type TenantService } from './tenant.service.js';
import {
  ChangePasswordInput,
  type ChangePasswordPayload,
  ChangePasswordResult,
  SignInInput,
  type SignInPayload,
  SignInResult,
  type SignOutPayload,
  SignOutResult,
  SwitchTenantInput,
  type SwitchTenantPayload,
  SwitchTenantResult,
  Viewer,
} from './tenant.types.js';

@Resolver()
export class AccountResolver {
  constructor(
    private readonly accounts: AccountService,
    private readonly tenants: TenantService,
  ) {}

  @Authorized('public')
  @Query(() => Viewer, { nullable: true, description: 'Who is asking; null without a credential.' })
  viewer(@Ctx() { account, scope }: RequestContext): Viewer | null {
    if (!account && !scope) return null;
    return {
      account: account && { ...account, id: account.accountId },
      applicationId: scope?.actor.kind === 'APPLICATION' ? scope.actor.id : null,
      tenantId: scope?.tenantId ?? null,
      memberships: account?.memberships ?? [],
      permissions: [...(scope?.permissions ?? [])],
    };
  }

  @Authorized('public')
  @Mutation(() => SignInResult, { description: 'Opens a session.' })
  async signIn(
    @Ctx() context: RequestContext,
    @Arg('input', () => SignInInput, { description: 'Who signs in.' }) input: SignInInput,
  ): Promise<SignInPayload> {
    const session = await this.accounts.signIn(context.address, input);
    context.keepSession(session);
    return session;
  }

  @Authorized('account')
  @Mutation(() => SignOutResult, { description: 'Closes the session of this request.' })
  async signOut(@Ctx() context: RequestContext, @CurrentAccount() account: SignedIn): Promise<SignOutPayload> {
    await this.accounts.signOut(account, context.scope?.tenantId ?? null);
    context.keepSession(null);
    return { sessionId: account.sessionId };
  }

  @Authorized('account')
  @Mutation(() => SwitchTenantResult, { description: 'Chooses the tenant in which this session works.' })
  async switchTenant(
    @CurrentAccount() account: SignedIn,
    @Arg('input', () => SwitchTenantInput, { description: 'The tenant.' }) input: SwitchTenantInput,
  ): Promise<SwitchTenantPayload> {
    await this.accounts.switchTenant(account, input.tenantId);
    return { tenant: await this.tenants.get(input) };
  }

  @Authorized('account')
  @Mutation(() => ChangePasswordResult, { description: 'Changes the password of the signed-in person.' })
  async changePassword(
    @Ctx() context: RequestContext,
    @CurrentAccount() account: SignedIn,
    @Arg('input', () => ChangePasswordInput, { description: 'Both passwords.' }) input: ChangePasswordInput,
  ): Promise<ChangePasswordPayload> {
    await this.accounts.changePassword(account, context.address, input);
    return { accountId: account.accountId };
  }
}

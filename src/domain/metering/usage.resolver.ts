import { Arg, Authorized, FieldResolver, ID, Query, Resolver, Root } from 'type-graphql';
import { CurrentScope, DateTime } from '../../platform/graphql.js';
import type { Scope } from '../../platform/scope.js';
import type { UsageService } from './usage.service.js';
import { Allowance, Usage } from './usage.types.js';

@Resolver(() => Usage)
export class UsageResolver {
  constructor(private readonly service: UsageService) {}

  @Authorized('usage:read')
  @Query(() => Usage, { nullable: true, description: 'The usage of an agreement to which the tenant is a party.' })
  usage(
    @CurrentScope() scope: Scope,
    @Arg('agreementId', () => ID, { description: 'The agreement.' }) agreementId: string,
    @Arg('from', () => DateTime, { nullable: true, description: '30 days before `until` unless told.' })
    from: Date | null,
    @Arg('until', () => DateTime, { nullable: true, description: 'Exclusive; now unless told.' })
    until: Date | null,
  ): Promise<Usage> {
    return this.service.read(scope, agreementId, { from, until });
  }

  @Authorized('usage:read')
  @FieldResolver(() => Allowance, { description: 'What is left now.' })
  allowance(@Root() { agreementId }: Usage, @CurrentScope() scope: Scope): Promise<Allowance> {
    return this.service.allowance(scope, agreementId);
  }
}

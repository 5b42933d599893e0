import { Arg, Args, Authorized, FieldResolver, ID, Query, Resolver, Root } from 'type-graphql';
import { CurrentScope, PageArgs } from '../../platform/graphql.js';
import type { Scope } from '../../platform/scope.js';
import { type AuditService } from './audit.service.js';
import { AuditEntry, AuditEntryConnection } from './audit.types.js';

@Resolver(() => AuditEntry)
export class AuditResolver {
  constructor(private readonly audit: AuditService) {}

  @Authorized('audit:read')
  @Query(() => AuditEntryConnection, {
    description: 'The audit entries of the tenant, and those of others to which it is a party; newest first.',
  })
  auditEntries(
    @CurrentScope() scope: Scope,
    @Arg('kind', () => String, { nullable: true, description: 'Only entries of this kind.' }) kind: string | null,
    @Arg('subjectId', () => ID, { nullable: true, description: 'Only entries about this.' }) subjectId: string | null,
    @Args(() => PageArgs) page: PageArgs,
  ) {
    return this.audit.list(scope, { kind: kind ?? null, subjectId: subjectId ?? null }, page);
  }

  @FieldResolver(() => String)
  saltHex(@Root() entry: { salt: Buffer }): string {
    return entry.salt.toString('hex');
  }

  @FieldResolver(() => String)
  leafHashHex(@Root() entry: { leafHash: Buffer }): string {
    return entry.leafHash.toString('hex');
  }
}
